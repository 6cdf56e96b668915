"""Live controls: sliders and choices over formulas, drawn on the page without a server.

`explore` computes the first state in Python and prints it; the front end recomputes every later
state with the JavaScript face of the same formulas.
"""

import math
import re
from collections.abc import Mapping, Sequence

from .. import faces
from ..formats import PRICED, format_value
from ..notation import NOTATION
from .frontend import Interactive, data_block, escape, identifier
from .parts import ExploreError, numbers
from .prose import drawn
from .runs import results_near, told_near
from .values import evaluate, formulas_in, needed, with_on_top

# --- the control ---------------------------------------------------------------------------------

class Explore(Interactive):
    """A live control; `spec` is what the page gets, `values` are the outputs of its first state."""

    def __init__(self, spec: dict):
        self.spec = spec
        self.state = _state(spec)
        _check(spec)
        self.values = [float(evaluate(standing_for(line), self.state)) for line in spec["outputs"]]
        _remember(spec, self.state)
        super().__init__(self._figure())

    def _figure(self) -> str:
        binary = any(option.get("format", {}).get("binary") for option in _picked(self.spec))
        rows = "".join(
            f'<div><dt>{escape(line["label"])}</dt><dd><output data-output="{i}" data-value="{_number(value)}">'
            f'{escape(format_value(value, line["unit"], binary))}</output></dd></div>'
            for i, (line, value) in enumerate(zip(self.spec["outputs"], self.values)))
        readouts = f'<dl class="explore-readouts">{rows}</dl>' if rows else ""
        if "runs" in self.spec:
            readouts = f'<p class="explore-nearest">{escape(told_near(self.spec, self.state))}</p>{readouts}'
        code = f'<p class="explore-python"><code>{escape(python_line(self.spec))}</code></p>' if rows else ""
        return (f'<figure class="explore" id="{self.spec["id"]}" data-explore>'
                f'<div class="explore-controls"></div><div class="explore-view"></div>{readouts}{code}'
                f'<figcaption>{self.spec["caption"]}</figcaption>{data_block(self.spec)}</figure>')


def explore(id: str, title: str, caption: str, outputs: Sequence[dict], choices: Sequence[dict] = (),
            sliders: Sequence[dict] = (), drawing: dict | None = None, paste: dict | None = None, runs: dict | None = None,
            code: str = "", **fixed) -> Explore:
    """A live control on the page: its `choices` and `sliders` set the state, `outputs` and `drawing` show it.

    Parameters
    ----------
    id : unique on the page; the address of its state begins with it
    title : what a screen reader calls the drawing
    caption : HTML; what to look for
    outputs : from `output`; the first one is the number that the shown line of Python gives
    choices, sliders : from `choose…`, `switch_…` and `slide`
    drawing : from `plot`, `bars` or `heads`
    paste : from `usage_paste`; its counts come before the value of a slider of the same name
    runs : from `recorded`; the results of the run that is nearest to the state are part of it
    code : the line of Python for the first output, with {names}, where `at` alone does not give it
    fixed : parameters with one value throughout

    Raises `ExploreError` when a formula, a line of Python or a recorded curve lacks what it needs, or a slider or what is pasted
    changes nothing.
    """
    used = _names_used(outputs, drawing) | set(runs["axes"] if runs else ()) | _names_typed(code)
    if outputs and not code and "formula" not in outputs[0]:
        raise ExploreError(f"{id}: {outputs[0]['label']} has no formula to show as a line of Python; give code=…")
    if unknown := sorted(set(fixed) - used):
        raise ExploreError(f"{id}: no formula here uses {', '.join(unknown)}")
    spec = {"id": identifier(id), "title": title, "caption": caption, "fixed": numbers(fixed),
            "choices": [_with_facts_used(choice, used) for choice in choices], "sliders": list(sliders),
            "outputs": list(outputs), "python": {"template": code} if code else _python(outputs[0]) if outputs else None, "plot": drawing}
    if runs:
        spec["runs"] = runs
    if paste:
        spec["paste"] = {**paste, "counts": {name: count for name, count in paste["counts"].items() if name in used}}
    return Explore(spec)


def _python(line: dict) -> dict:
    """What the shown line of Python is made of: the call, the names that it may pass, how prices are written."""
    formula = faces.formulas()[line["formula"]]
    names = faces.leaves(formula)
    parts = {"call": f"{formula.__module__.rpartition('.')[2]}.{formula.__name__}", "names": names}
    scales = {name: PRICED[NOTATION[name].unit][0] for name in names if NOTATION[name].unit in PRICED}
    return parts | {"scales": scales} if scales else parts


def _names_used(outputs: Sequence[dict], drawing: dict | None) -> set[str]:
    """Every name that a formula of the control takes, or that its drawing shows."""
    used = _names_drawn(drawing or {})
    parts = {"outputs": outputs, "plot": drawing}
    for line in [*_fixed_lines(parts), *_curves(parts)]:
        for inner in formulas_in(standing_for(line)):
            used |= set(faces.leaves(faces.formulas()[inner["formula"]]))
        used |= needed(standing_for(line))
    return used


def _names_typed(template: str) -> set[str]:
    """The {names} in a line of Python."""
    return set(re.findall(r"\{(\w+)\}", template))


def _names_drawn(drawing: Mapping) -> set[str]:
    """Names that a drawing shows without a formula: its limit line, the steps of a part, the heads that it draws."""
    limit = {drawing["limit"]["name"]} if "limit" in drawing else set()
    steps = {name for part in _parts(drawing)
             if (name := part.get("repeats", {}).get("name")) and name not in part["with"]}
    return limit | steps | ({"n_heads", "n_kv_heads"} if drawing.get("kind") == "heads" else set())


def _with_facts_used(choice: dict, used: set[str]) -> dict:
    """`choice` with the facts that the control uses: the page carries no others."""
    return {**choice, "options": [
        {**option, "facts": {name: value for name, value in option["facts"].items() if name in used}}
        for option in choice["options"]]}


def python_line(spec: dict) -> str:
    """The line of Python that gives the first output of `spec` at its first state.

    A name that a record supplies is not written out, unless something later in the state overrides it.
    """
    if template := spec["python"].get("template"):
        records = {choice["name"]: option["python"] for choice, option in zip(spec["choices"], _picked(spec)) if "python" in option}
        return re.sub(r"\{(\w+)\}", lambda name: records.get(name[1]) or _literal(_state(spec)[name[1]], None), template)
    by_record = dict.fromkeys([*spec["fixed"], *spec.get("runs", {}).get("columns", {})], False)
    for option in _picked(spec):
        by_record |= dict.fromkeys(option["facts"], "python" in option)
    by_record |= dict.fromkeys([*_set_by_hand(spec, {}), *spec["outputs"][0]["with"]], False)
    state = with_on_top(_state(spec), spec["outputs"][0]["with"])
    records = [option["python"] for option in _picked(spec) if "python" in option]
    scales = spec["python"].get("scales", {})
    given = [f"{name}={_literal(state[name], scales.get(name))}" for name in spec["python"]["names"] if not by_record[name]]
    return f"at({', '.join([spec['python']['call'], *records, *given])})"


def _picked(spec: dict, picks: Mapping[str, str] = {}) -> list[dict]:
    """The chosen option of each choice: those of `picks`, else the first ones."""
    return [next(option for option in choice["options"] if option["key"] == picks.get(choice["name"], choice["value"]))
            for choice in spec["choices"]]


def _counts(slider: dict, spec: dict, picks: Mapping[str, str]) -> bool:
    """True for a slider that is there whatever is chosen, or whose option is chosen."""
    chosen = {choice["name"]: picks.get(choice["name"], choice["value"]) for choice in spec["choices"]}
    name, option = slider.get("when", (None, None))
    return chosen.get(name) == option


def _set_by_hand(spec: dict, picks: Mapping[str, str]) -> dict:
    """The first values of what the reader moves or pastes while `picks` are chosen."""
    sliders = {slider["name"]: slider["value"] for slider in spec["sliders"] if _counts(slider, spec, picks)}
    return sliders | spec.get("paste", {}).get("counts", {})


def _state(spec: dict, picks: Mapping[str, str] = {}) -> dict:
    """What formulas may read: fixed values, facts of the options chosen, sliders, pasted counts; later wins."""
    state = dict(spec["fixed"])
    for option in _picked(spec, picks):
        state |= option["facts"]
    state |= _set_by_hand(spec, picks)
    return state | (results_near(spec["runs"], state) if "runs" in spec else {})


def _parts(drawing: Mapping) -> list[dict]:
    """The parts of the bars of a drawing."""
    return [part for bar in drawing.get("bars", []) for part in bar["parts"]]


def _fixed_lines(spec: dict) -> list[dict]:
    """Every part of the control that evaluates a formula at the state."""
    drawing = spec["plot"] or {}
    coordinates = [point[side] for point in drawing.get("marks", []) for side in "xy"]
    repeats = [{**part["repeats"], "with": part["with"]} for part in _parts(drawing) if "formula" in part.get("repeats", {})]
    owners = [{"formula": "kv_head_of_query_head", "with": {"query_head": 0}}] if drawing.get("kind") == "heads" else []
    return [*spec["outputs"], *_parts(drawing), *repeats, *coordinates, *owners]


def _curves(spec: dict) -> list[dict]:
    """Every part of the control that evaluates a formula along the horizontal axis."""
    return [line for line in (spec["plot"] or {}).get("curves", []) if "formula" in line or "value" in line]


def standing_for(line: Mapping):
    """The value that a part of a control shows."""
    kind = "value" if "value" in line else "formula"
    return {kind: line[kind], "with": line["with"]}


def _check(spec: dict) -> None:
    """Raise `ExploreError` for what a state lacks, and for a slider or pasted counts that nothing listens to."""
    for slider in spec["sliders"]:
        keys = {choice["name"]: [option["key"] for option in choice["options"]] for choice in spec["choices"]}
        name, option = slider.get("when", (None, None))
        if name and option not in keys.get(name, []):
            raise ExploreError(f"{spec['id']}: the slider {slider['name']} waits for {name} = {option}; there is {keys}")
    every = [{}, *({choice["name"]: option["key"]} for choice in spec["choices"] for option in choice["options"])]
    for picks in every:
        _check_names(spec, set(_state(spec, picks)), picks)
    for line in [*spec["outputs"], *_parts(spec["plot"] or {}), *_curves(spec)]:
        for inner in formulas_in(standing_for(line)):
            if unheard := _unheard({"repeats": line.get("repeats", {}), **inner}):
                raise ExploreError(f"{spec['id']}: {inner['formula']} does not take {', '.join(sorted(unheard))}; "
                                   f"it takes {', '.join(faces.leaves(faces.formulas()[inner['formula']]))}")
    for line in (curve for curve in (spec["plot"] or {}).get("curves", []) if "recorded" in curve):
        runs, moved = spec.get("runs", {"axes": {}, "columns": {}}), {spec["plot"]["x"]["name"], *line["with"]}
        if line["recorded"] not in runs["columns"] or moved - set(runs["axes"]):
            raise ExploreError(f"{spec['id']}: the curve {line['label']} shows {line['recorded']} along {', '.join(sorted(moved))}; the runs "
                               f"have {', '.join(runs['columns']) or 'no results'} along {', '.join(runs['axes']) or 'nothing'}; record it with runs=recorded(…)")
    every_value = [standing_for(line) for line in [*_fixed_lines(spec), *_curves(spec)]]
    heard = _names_drawn(spec["plot"] or {}).union(*map(needed, every_value), spec.get("runs", {}).get("axes", {}))
    if dead := [slider["name"] for slider in spec["sliders"] if slider["name"] not in heard]:
        raise ExploreError(f"{spec['id']}: no formula here listens to {', '.join(dead)}: its slider would be dead")
    if "paste" in spec and not heard & set(spec["paste"]["counts"]):
        raise ExploreError(f"{spec['id']}: no formula here listens to a count that is pasted")


def _unheard(line: dict) -> set[str]:
    """Parameters on top of a part that nothing in it takes."""
    evaluated = [line["formula"], line.get("repeats", {}).get("formula"), *line["with"].values()]
    taken = set().union(*(faces.leaves(faces.formulas()[name]) for name in evaluated if isinstance(name, str) and name in faces.formulas()),
                        *(needed(value) for value in line["with"].values() if isinstance(value, Mapping)))
    return set(line["with"]) - taken - {line.get("repeats", {}).get("name")}


def _check_names(spec: dict, known: set[str], picks: Mapping[str, str]) -> None:
    drawing, typed = spec["plot"] or {}, _names_typed((spec["python"] or {}).get("template", ""))
    where = "".join(f" when {name} is {key}" for name, key in picks.items())
    if lacking := _names_drawn(drawing) - known:
        raise ExploreError(f"{spec['id']}: the drawing needs {', '.join(sorted(lacking))}{where}")
    records = {choice["name"] for choice, option in zip(spec["choices"], _picked(spec, picks)) if "python" in option}
    if lacking := typed - known - records:
        raise ExploreError(f"{spec['id']}: the line of Python needs {', '.join(sorted(lacking))}{where}")
    axis = {drawing["x"]["name"]} if "x" in drawing else set()
    for line, there in [*((line, known) for line in _fixed_lines(spec)), *((line, known | axis) for line in _curves(spec))]:
        if lacking := needed(standing_for(line)) - there:
            raise ExploreError(f"{spec['id']}: {line.get('formula') or line['label']} needs {', '.join(sorted(lacking))}{where}; "
                               f"add a slider, a choice or a fixed value for it")


def _remember(spec: dict, state: Mapping) -> None:
    drawing = spec["plot"] or {}
    for line, name in ((line, line["label"]) for line in drawing.get("curves", [])):
        if "recorded" in line:
            axis = drawing["x"]["name"]
            found = [(x, results_near(spec["runs"], {**state, **line["with"], axis: x})[line["recorded"]])
                     for x in spec["runs"]["axes"][axis]]
            drawn(spec["title"], name, found)
            continue
        if "points" in line:
            drawn(spec["title"], name, [tuple(pair) for pair in line["points"]])
            continue
        x = drawing["x"]
        stops = [x["min"] + (x["max"] - x["min"]) * i / 4 for i in range(5)]
        if x["scale"] == "log":
            stops = [x["min"] * (x["max"] / x["min"]) ** (i / 4) for i in range(5)]
        drawn(spec["title"], name,
              [(stop, float(evaluate(standing_for(line), {**state, x["name"]: stop}))) for stop in stops])
    for point in drawing.get("marks", []):
        drawn(spec["title"], point["label"], [tuple(float(evaluate(point[side], state)) for side in "xy")])
    for bar in drawing.get("bars", []):
        drawn(f"{spec['title']}, {bar['label']}", "parts",
              [(i, float(evaluate(standing_for(part), state))) for i, part in enumerate(bar["parts"])])


def _number(value: float) -> str:
    """`value` as Python and JavaScript both read it, whole numbers without a point."""
    return str(int(value)) if math.isfinite(value) and value == int(value) and abs(value) < 1e15 else repr(float(value))


def _literal(value: float, scale: str | None) -> str:
    """`value` as it is typed: where `scale` is given and twelve digits are all it has, as in 3/1e6."""
    if not math.isfinite(value):
        return f'float("{float(value)}")'
    if scale:
        short = float(f"{value * float(scale):.12g}")
        if math.isclose(short / float(scale), value, rel_tol=1e-14):
            return f"{_number(short)}/{scale}"
    return _number(value)


# --- step by step ----------------------------------------------------------------------------------

def steps(id: str, frames: Sequence[tuple[str, str]], caption: str) -> Interactive:
    """A sequence of frames, each a label and HTML: one at a time with a slider, or all below each other without script."""
    if not frames:
        raise ExploreError(f"{id}: a sequence needs at least one frame")
    inner = "".join(f'<div class="frame" data-frame="{i}" data-label="{escape(label)}">'
                    f'{markup}</div>' for i, (label, markup) in enumerate(frames))
    return Interactive(f'<figure class="explore steps" id="{identifier(id)}" data-steps><div class="explore-controls"></div>'
                  f'<div class="frames">{inner}</div><figcaption>{caption}</figcaption></figure>')
