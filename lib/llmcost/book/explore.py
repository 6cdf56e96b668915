"""Live controls: sliders and choices over formulas, drawn on the page without a server.

`explore` computes the first state in Python and prints it; the front end recomputes every later
state with the JavaScript face of the same formulas.
"""

import math
from collections.abc import Mapping, Sequence

from .. import faces
from ..formats import format_value
from .frontend import Interactive, data_block, escape, identifier
from .parts import ExploreError, numbers
from .prose import drawn




# --- the control ---------------------------------------------------------------------------------

class Explore(Interactive):
    """A live control; `spec` is what the page gets, `values` are the outputs of its first state."""

    def __init__(self, spec: dict):
        self.spec = spec
        self.state = _first_state(spec)
        _check(spec, self.state)
        self.values = [_evaluate(line["formula"], self.state, line["with"]) for line in spec["outputs"]]
        _remember(spec, self.state)
        super().__init__(self._figure())

    def _figure(self) -> str:
        binary = any(option.get("format", {}).get("binary") for option in _picked(self.spec))
        rows = "".join(
            f'<div><dt>{escape(line["label"])}</dt><dd><output data-output="{i}" data-value="{_number(value)}">'
            f'{escape(format_value(value, line["unit"], binary))}</output></dd></div>'
            for i, (line, value) in enumerate(zip(self.spec["outputs"], self.values)))
        readouts = f'<dl class="explore-readouts">{rows}</dl>' if rows else ""
        code = f'<p class="explore-python"><code>{escape(python_line(self.spec))}</code></p>' if rows else ""
        return (f'<figure class="explore" id="{self.spec["id"]}" data-explore>'
                f'<div class="explore-controls"></div><div class="explore-view"></div>{readouts}{code}'
                f'<figcaption>{self.spec["caption"]}</figcaption>{data_block(self.spec)}</figure>')


def explore(id: str, title: str, caption: str, outputs: Sequence[dict], choices: Sequence[dict] = (),
            sliders: Sequence[dict] = (), drawing: dict | None = None, **fixed) -> Explore:
    """A live control on the page: its `choices` and `sliders` set the state, `outputs` and `drawing` show it.

    Parameters
    ----------
    id : unique on the page; the address of its state begins with it
    title : what a screen reader calls the drawing
    caption : HTML; what to look for
    outputs : from `output`; the first one is the number that the shown line of Python gives
    choices, sliders : from `choose…`, `switch_…` and `slide`
    drawing : from `plot`, `bars` or `heads`
    fixed : parameters with one value throughout

    Raises `ExploreError` when a formula lacks a parameter or a slider changes nothing.
    """
    used = _names_used(outputs, drawing)
    if unknown := sorted(set(fixed) - used):
        raise ExploreError(f"{id}: no formula here uses {', '.join(unknown)}")
    spec = {"id": identifier(id), "title": title, "caption": caption, "fixed": numbers(fixed),
            "choices": [_with_facts_used(choice, used) for choice in choices], "sliders": list(sliders),
            "outputs": list(outputs), "python": None, "plot": drawing}
    if outputs:
        formula = faces.formulas()[outputs[0]["formula"]]
        spec["python"] = {"call": f"{formula.__module__.rpartition('.')[2]}.{formula.__name__}",
                          "names": faces.leaves(formula)}
    return Explore(spec)


def _names_used(outputs: Sequence[dict], drawing: dict | None) -> set[str]:
    """Every name that a formula of the control takes, or that its drawing shows."""
    used = _names_drawn(drawing or {})
    for line in _lines({"outputs": outputs, "plot": drawing}):
        used |= set(faces.leaves(faces.formulas()[line["formula"]]))
    return used


def _names_drawn(drawing: Mapping) -> set[str]:
    """Names that a drawing shows without a formula: its limit line, the heads that it draws."""
    limit = {drawing["limit"]["name"]} if "limit" in drawing else set()
    return limit | ({"n_heads", "n_kv_heads"} if drawing.get("kind") == "heads" else set())


def _with_facts_used(choice: dict, used: set[str]) -> dict:
    """`choice` with the facts that the control uses: the page carries no others."""
    return {**choice, "options": [
        {**option, "facts": {name: value for name, value in option["facts"].items() if name in used}}
        for option in choice["options"]]}


def python_line(spec: dict) -> str:
    """The line of Python that gives the first output of `spec` at its first state.

    A name that a record supplies is not written out, unless something later in the state overrides it.
    """
    by_record = dict.fromkeys(spec["fixed"], False)
    for option in _picked(spec):
        by_record |= dict.fromkeys(option["facts"], "python" in option)
    by_record |= dict.fromkeys([slider["name"] for slider in spec["sliders"]] + list(spec["outputs"][0]["with"]), False)
    state = _first_state(spec) | spec["outputs"][0]["with"]
    records = [option["python"] for option in _picked(spec) if "python" in option]
    given = [f"{name}={_number(state[name])}" for name in spec["python"]["names"] if not by_record[name]]
    return f"at({', '.join([spec['python']['call'], *records, *given])})"


def _picked(spec: dict) -> list[dict]:
    return [next(option for option in choice["options"] if option["key"] == choice["value"])
            for choice in spec["choices"]]


def _first_state(spec: dict) -> dict:
    state = dict(spec["fixed"])
    for option in _picked(spec):
        state |= option["facts"]
    return state | {slider["name"]: slider["value"] for slider in spec["sliders"]}


def _formulas_of(spec: dict) -> list[str]:
    return [line["formula"] for line in _lines(spec)]


def _lines(spec: dict) -> list[dict]:
    """Every part of the control that evaluates a formula."""
    drawing = spec["plot"] or {}
    parts = [part for bar in drawing.get("bars", []) for part in bar["parts"]]
    found = [line for line in [*spec["outputs"], *drawing.get("curves", []), *parts] if "formula" in line]
    if drawing.get("kind") == "heads":
        found.append({"formula": "kv_head_of_query_head", "with": {"query_head": 0}})
    return found


def _evaluate(formula: str, state: Mapping, fixed: Mapping) -> float:
    function = faces.formulas()[formula]
    known = {**state, **fixed}
    try:
        return float(faces.at(function, {name: known[name] for name in faces.leaves(function)}))
    except ZeroDivisionError:
        return math.inf


def _check(spec: dict, state: Mapping) -> None:
    """Raise `ExploreError` for a formula that lacks a parameter and for a slider that nothing listens to."""
    drawing = spec["plot"] or {}
    heard = _names_drawn(drawing)
    if lacking := heard - set(state):
        raise ExploreError(f"{spec['id']}: the drawing needs {', '.join(sorted(lacking))}")
    for line in _lines(spec):
        leaves = set(faces.leaves(faces.formulas()[line["formula"]])) - set(line["with"])
        axis = {drawing["x"]["name"]} if "x" in drawing and line not in spec["outputs"] else set()
        if lacking := leaves - set(state) - axis:
            raise ExploreError(f"{spec['id']}: {line['formula']} needs {', '.join(sorted(lacking))}; "
                               f"add a slider, a choice or a fixed value for it")
        heard |= leaves
    if dead := [slider["name"] for slider in spec["sliders"] if slider["name"] not in heard]:
        raise ExploreError(f"{spec['id']}: no formula here listens to {', '.join(dead)}: its slider would be dead")


def _remember(spec: dict, state: Mapping) -> None:
    drawing = spec["plot"] or {}
    for line, name in ((line, line["label"]) for line in drawing.get("curves", [])):
        if "points" in line:
            drawn(spec["title"], name, [tuple(pair) for pair in line["points"]])
            continue
        x = drawing["x"]
        stops = [x["min"] + (x["max"] - x["min"]) * i / 4 for i in range(5)]
        if x["scale"] == "log":
            stops = [x["min"] * (x["max"] / x["min"]) ** (i / 4) for i in range(5)]
        drawn(spec["title"], name,
              [(stop, _evaluate(line["formula"], {**state, x["name"]: stop}, line["with"])) for stop in stops])
    for bar in drawing.get("bars", []):
        drawn(f"{spec['title']}, {bar['label']}", "parts",
              [(i, _evaluate(part["formula"], state, part["with"])) for i, part in enumerate(bar["parts"])])


def _number(value: float) -> str:
    """`value` as Python and JavaScript both read it, whole numbers without a point."""
    return str(int(value)) if math.isfinite(value) and value == int(value) and abs(value) < 1e15 else repr(float(value))


# --- step by step ----------------------------------------------------------------------------------

def steps(id: str, frames: Sequence[tuple[str, str]], caption: str) -> Interactive:
    """A sequence of frames, each a label and HTML: one at a time with a slider, or all below each other without script."""
    if not frames:
        raise ExploreError(f"{id}: a sequence needs at least one frame")
    inner = "".join(f'<div class="frame" data-frame="{i}" data-label="{escape(label)}">'
                    f'{markup}</div>' for i, (label, markup) in enumerate(frames))
    return Interactive(f'<figure class="explore steps" id="{identifier(id)}" data-steps><div class="explore-controls"></div>'
                  f'<div class="frames">{inner}</div><figcaption>{caption}</figcaption></figure>')
