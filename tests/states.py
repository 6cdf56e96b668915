"""The controls of a page in Python: the states that a reader can set, and what they should show."""

import importlib
import json
import math

from llmcost import faces
from llmcost.catalog import GPUS, MODELS


def specification(figure) -> dict:
    """The data block of a control or a question."""
    return json.loads(figure.locator("script").text_content())


def controls(page) -> list[dict]:
    """What each live control on the page is made of."""
    return [specification(figure) for figure in page.locator("[data-explore]").all()]


def settings(spec):
    """Each setting that is tried: (input, value, state that it should lead to), from the first state, one at a time."""
    def state(**picks):
        chosen = {choice["name"]: picks.get(choice["name"], choice["value"]) for choice in spec["choices"]}
        known = dict(spec["fixed"])
        for choice in spec["choices"]:
            known |= next(option["facts"] for option in choice["options"] if option["key"] == chosen[choice["name"]])
        known |= {slider["name"]: slider["value"] for slider in spec["sliders"]}
        return known | {name: value for name, value in picks.items() if name not in chosen}

    yield None, None, state()
    for choice in spec["choices"]:
        for option in [*choice["options"], {"key": choice["value"]}]:
            name = f"{spec['id']}-{choice['name']}"
            radio = f'input[name="{name}"][value="{option["key"]}"]'
            yield f"#{name}" if choice["style"] == "select" else radio, option["key"], state(**{choice["name"]: option["key"]})
    for slider in spec["sliders"]:
        stops = slider["values"]
        for index in (0, len(stops) // 2, len(stops) - 1, stops.index(slider["value"])):
            yield f"#{spec['id']}-{slider['name']}", str(index), state(**{slider["name"]: stops[index]})


def expected(output, state):
    """The output's value in Python."""
    formula = faces.formulas()[output["formula"]]
    known = {**state, **output["with"]}
    try:
        return float(faces.at(formula, {name: known[name] for name in faces.leaves(formula)}))
    except ZeroDivisionError:
        return math.inf


def in_python(line: str):
    """What the line of Python under a control gives."""
    modules = {formula.__module__ for formula in faces.formulas().values()}
    names = {name.rpartition(".")[2]: importlib.import_module(name) for name in modules}
    return float(eval(line, {"at": faces.at, "MODELS": MODELS, "GPUS": GPUS, **names}))
