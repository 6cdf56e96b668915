"""The controls of a page in Python: the states that a reader can set, and what they should show."""

import importlib
import json
import re

from llmcost import catalog, faces, layouts, prediction, prices, serving
from llmcost.book.explore import standing_for
from llmcost.book.runs import results_near
from llmcost.book.values import evaluate


def specification(figure) -> dict:
    """The data block of a control or a question."""
    return json.loads(figure.locator("script").text_content())


def controls(page) -> list[dict]:
    """What each live control on the page is made of."""
    return [specification(figure) for figure in page.locator("[data-explore]").all()]


def is_there(slider, chosen) -> bool:
    """True for a slider that the reader sees while the options `chosen` are."""
    name, option = slider.get("when", (None, None))
    return not name or chosen[name] == option


def pasted(spec) -> dict:
    """The counts that a control has from the record in its box."""
    return dict(spec.get("paste", {}).get("counts", {}))


def state(spec, picks={}) -> dict:
    """What the formulas of a control may read once the reader has set `picks`; the rest is as at first."""
    chosen = {choice["name"]: picks.get(choice["name"], choice["value"]) for choice in spec["choices"]}
    known = dict(spec["fixed"])
    for choice in spec["choices"]:
        known |= next(option["facts"] for option in choice["options"] if option["key"] == chosen[choice["name"]])
    by_hand = {slider["name"]: slider["value"] for slider in spec["sliders"] if is_there(slider, chosen)} | pasted(spec)
    known |= by_hand | {name: value for name, value in picks.items() if name in by_hand}
    return known | (results_near(spec["runs"], known) if "runs" in spec else {})


def option_input(spec, name, key) -> str:
    """Where the reader chooses the option `key` of the choice `name`."""
    choice = next(choice for choice in spec["choices"] if choice["name"] == name)
    place = f"{spec['id']}-{name}"
    return f"#{place}" if choice["style"] == "select" else f'input[name="{place}"][value="{key}"]'


def settings(spec):
    """Each setting that is tried: (input, value, state that it should lead to), from the first state, one at a time."""
    picks = {}  # what stays set

    def choose(name, key):
        picks[name] = key
        return option_input(spec, name, key), key, state(spec, picks)

    yield None, None, state(spec)
    for choice in spec["choices"]:
        for option in [*choice["options"], {"key": choice["value"]}]:
            yield choose(choice["name"], option["key"])
    for slider in spec["sliders"]:
        name, option = slider.get("when", (None, None))
        first = picks.get(name)
        if name:
            yield choose(name, option)
        stops = slider["values"]
        for index in (0, len(stops) // 2, len(stops) - 1, stops.index(slider["value"])):
            picks[slider["name"]] = stops[index]
            yield f"#{spec['id']}-{slider['name']}", str(index), state(spec, picks)
        if name:
            yield choose(name, first)


def expected(output, state):
    """The output's value in Python."""
    return float(evaluate(standing_for(output), state))


def in_python(line: str):
    """What the line of Python under a control gives."""
    modules = {formula.__module__ for formula in faces.formulas().values()}
    names = {name.rpartition(".")[2]: importlib.import_module(name) for name in modules}
    records = {name: next(getattr(module, name) for module in (catalog, prices) if hasattr(module, name))
               for name in re.findall(r"\b([A-Z_]+)\[", line)}
    service = {"Service": serving.Service, "Layout": layouts.Layout, "ASSUMED": catalog.ASSUMED, "predict": prediction.predict, "run": prediction.run, "replica_of": prediction.replica_of}
    return float(eval(line, {"at": faces.at, **service, **records, **names}))
