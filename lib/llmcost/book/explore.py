"""Live controls: sliders and choices over formulas, drawn on the page without a server.

`explore` computes the first state in Python and prints it; the front end recomputes every later
state with the JavaScript face of the same formulas.
"""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence

from .. import faces
from ..catalog import BYTES, GPUS, MODELS
from ..formats import format_value
from ..notation import NOTATION
from .frontend import data_block, escape, page_html
from .prose import drawn


class ExploreError(ValueError):
    """A control that could not work on the page: the message says which part and what it needs."""


class Markup:
    """Something that shows itself as HTML."""

    def __init__(self, markup: str):
        self._markup = markup

    def _repr_html_(self) -> str:
        return page_html(self._markup)

    def __repr__(self) -> str:
        return ""


# --- parts of a control --------------------------------------------------------------------------

def slide(name: str, low: float, high: float, value: float, values: Sequence[float] | None = None,
          label: str = "") -> dict:
    """A slider over the parameter `name`, from `low` to `high`, starting at `value`.

    It stops at the values in between that are easy to read (powers of two for tokens and sequences on a
    log scale, 1, 2, 5 and so on elsewhere), or at `values`. Raises `ExploreError` if `value` is not a stop.
    """
    row = NOTATION[name]
    stops = list(values) if values else _stops(row, low, high)
    if value not in stops:
        raise ExploreError(f"the slider {name} starts at {value}, which is not one of its stops {stops}")
    return {"name": name, "label": _capital(label or row.label), "unit": row.unit, "values": stops, "value": value}


def _stops(row, low, high) -> list:
    if row.scale == "linear":
        return [low + (high - low) * i / 20 for i in range(21)]
    if row.unit in ("token", "sequence"):
        first, last = math.ceil(math.log2(low)), math.floor(math.log2(high))
        return [2**power for power in range(first, last + 1)]
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    stops = [digit * 10**decade for decade in decades for digit in (1, 2, 5)]
    return [stop for stop in stops if low <= stop <= high]


def choose_model(keys: Sequence[str], value: str, **more) -> dict:
    """A choice among models of the catalog; `more` adds facts to each, such as `weight_bytes_per_param=2`."""
    options = [{"key": key, "label": MODELS[key].name, "python": f'MODELS["{key}"]',
                "facts": _numbers({**MODELS[key].facts, **more})} for key in keys]
    return _choice("model", "Model", options, value)


def choose_gpu(keys: Sequence[str], value: str, computing_in: str = "bf16") -> dict:
    """A choice among accelerators of the catalog, with the peak of one number format."""
    options = [{"key": key, "label": GPUS[key].name, "python": f'GPUS["{key}"].computing_in("{computing_in}")',
                "facts": _numbers(GPUS[key].computing_in(computing_in).facts)} for key in keys]
    return _choice("gpu", "GPU", options, value)


def choose_format(name: str, formats: Sequence[str], value: str) -> dict:
    """A choice of number format for the parameter `name`, such as `kv_bytes_per_element`."""
    options = [{"key": key, "label": key.upper(), "facts": {name: BYTES[key]}} for key in formats]
    return _choice(name, _capital(NOTATION[name].label), options, value, style="radio")


def choose(name: str, label: str, options: Mapping[str, Mapping], value: str) -> dict:
    """A choice among named sets of facts: `options` maps each label to the facts that it stands for."""
    listed = [{"key": _slug(text), "label": text, "facts": dict(facts)} for text, facts in options.items()]
    return _choice(name, label, listed, _slug(value), style="radio")


def switch_units(binary: bool = False) -> dict:
    """A switch between GB (1e9 bytes) and GiB (2^30 bytes)."""
    return _choice("unit", "Bytes in", [{"key": "gb", "label": "GB", "facts": {}, "format": {"binary": False}},
                                        {"key": "gib", "label": "GiB", "facts": {}, "format": {"binary": True}}],
                   "gib" if binary else "gb", style="radio")


def switch_axes(value: str = "linear") -> dict:
    """A switch of the horizontal axis of a plot between a linear and a log scale."""
    return _choice("axis", "Horizontal axis",
                   [{"key": scale, "label": scale, "facts": {}, "plot": {"x": {"scale": scale}}}
                    for scale in ("linear", "log")], value, style="radio")


def output(formula: Callable, label: str = "", **fixed) -> dict:
    """A number that the control shows: `formula` at the state, with `fixed` parameters on top."""
    return {"formula": formula.__name__, "label": label or _capital(inspect.getdoc(formula).split(".")[0]),
            "unit": faces.units(formula)["return"], "with": fixed}


def curve(formula: Callable, label: str, **fixed) -> dict:
    """A line of a plot: `formula` along the horizontal axis, with `fixed` parameters on top."""
    return {"label": label, "formula": formula.__name__, "with": fixed}


def points(label: str, values: Sequence[tuple[float, float]], marks: bool = True) -> dict:
    """A measured or computed series of a plot, as dots (`marks`) or as a line."""
    return {"label": label, "points": [list(map(float, pair)) for pair in values], "marks": marks}


def plot(x: str, low: float, high: float, y_label: str, lines: Sequence[dict], x_scale: str = "", y_scale: str = "linear",
         y_low: float | None = None, y_high: float | None = None, y_unit: str = "") -> dict:
    """A plot of `lines` over the parameter `x` from `low` to `high`."""
    row = NOTATION[x]
    unit = y_unit or next(faces.units(faces.formulas()[line["formula"]])["return"] for line in lines if "formula" in line)
    return {"kind": "curves",
            "x": {"name": x, "label": _capital(row.label), "unit": row.unit, "scale": x_scale or row.scale,
                  "min": low, "max": high},
            "y": {"label": y_label, "unit": unit, "scale": y_scale, "min": y_low, "max": y_high},
            "curves": list(lines)}


def bars(rows: Mapping[str, Sequence[dict]], limit: tuple[str, str] | None = None) -> dict:
    """Stacked bars: `rows` maps a label to its parts (each a `curve`); `limit` is a label and a name in the state."""
    parts = next(iter(rows.values()))
    drawing = {"kind": "bars", "unit": faces.units(faces.formulas()[parts[0]["formula"]])["return"],
               "bars": [{"label": label, "parts": list(parts)} for label, parts in rows.items()]}
    if limit:
        drawing["limit"] = {"label": limit[0], "name": limit[1]}
    return drawing


def heads() -> dict:
    """A drawing of which query heads read which KV head."""
    return {"kind": "heads", "query": "n_heads", "kv": "n_kv_heads"}


# --- the control ---------------------------------------------------------------------------------

class Explore(Markup):
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
    spec = {"id": id, "title": title, "caption": caption, "fixed": _numbers(fixed), "choices": list(choices),
            "sliders": list(sliders), "outputs": list(outputs), "python": None, "plot": drawing}
    if outputs:
        formula = faces.formulas()[outputs[0]["formula"]]
        spec["python"] = {"call": f"{formula.__module__.rpartition('.')[2]}.{formula.__name__}",
                          "names": faces.leaves(formula)}
    used = set().union(*(faces.leaves(faces.formulas()[name]) for name in _formulas_of(spec)),
                       {drawing["limit"]["name"]} if drawing and "limit" in drawing else set())
    for choice in spec["choices"]:  # the page carries the facts that it uses, no more
        for option in choice["options"]:
            option["facts"] = {name: value for name, value in option["facts"].items() if name in used}
    return Explore(spec)


def python_line(spec: dict) -> str:
    """The line of Python that gives the first output of `spec` at its first state."""
    state, names = _first_state(spec), spec["python"]["names"]
    records = [option["python"] for option in _picked(spec) if "python" in option]
    held = {name for option in _picked(spec) if "python" in option for name in option["facts"]}
    held -= {slider["name"] for slider in spec["sliders"]} | set(spec["outputs"][0]["with"]) | set(spec["fixed"])
    state |= spec["outputs"][0]["with"]
    given = [f"{name}={_number(state[name])}" for name in names if name not in held]
    return f"at({', '.join([spec['python']['call'], *records, *given])})"


def _choice(name, label, options, value, style="select") -> dict:
    if value not in [option["key"] for option in options]:
        raise ExploreError(f"the choice {name} starts at {value!r}; it has {[option['key'] for option in options]}")
    return {"name": name, "label": label, "value": value, "style": style, "options": options}


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
    axis = {spec["plot"]["x"]["name"]} if spec["plot"] and "x" in spec["plot"] else set()
    needed: set[str] = set(spec["plot"].get("limit", {}).values()) if spec["plot"] else set()
    for line in _lines(spec):
        leaves = set(faces.leaves(faces.formulas()[line["formula"]]))
        needed |= leaves
        if lacking := leaves - set(state) - set(line["with"]) - axis:
            raise ExploreError(f"{spec['id']}: {line['formula']} needs {', '.join(sorted(lacking))}; "
                               f"add a slider, a choice or a fixed value for it")
    drawn_by_heads = {"n_heads", "n_kv_heads"} if spec["plot"] and spec["plot"]["kind"] == "heads" else set()
    for slider in spec["sliders"]:
        if slider["name"] not in needed | drawn_by_heads:
            raise ExploreError(f"{spec['id']}: no formula here uses {slider['name']}: its slider would be dead")


def _remember(spec: dict, state: Mapping) -> None:
    drawing = spec["plot"] or {}
    for line, name in ((line, line["label"]) for line in drawing.get("curves", [])):
        if "points" in line:
            drawn(spec["title"], name, [tuple(pair) for pair in line["points"]])
            continue
        x = drawing["x"]
        stops = [x["min"] + (x["max"] - x["min"]) * i / 4 for i in range(5)]
        drawn(spec["title"], name,
              [(stop, _evaluate(line["formula"], {**state, x["name"]: stop}, line["with"])) for stop in stops])
    for bar in drawing.get("bars", []):
        drawn(f"{spec['title']}, {bar['label']}", "parts",
              [(i, _evaluate(part["formula"], state, part["with"])) for i, part in enumerate(bar["parts"])])


def _numbers(facts: Mapping) -> dict:
    return {name: value for name, value in facts.items()
            if isinstance(value, (int, float)) and not isinstance(value, bool)}


def _number(value: float) -> str:
    """`value` as Python and JavaScript both read it, whole numbers without a point."""
    return str(int(value)) if math.isfinite(value) and value == int(value) and abs(value) < 1e15 else repr(float(value))


def _slug(text: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in text.lower()).strip("-")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# --- step by step ----------------------------------------------------------------------------------

def steps(id: str, frames: Sequence[tuple[str, str]], caption: str) -> Markup:
    """A sequence of frames, each a label and HTML: one at a time with a slider, or all below each other without script."""
    if not frames:
        raise ExploreError(f"{id}: a sequence needs at least one frame")
    inner = "".join(f'<div class="frame" data-frame="{i}" data-label="{escape(label)}">'
                    f'{markup}</div>' for i, (label, markup) in enumerate(frames))
    return Markup(f'<figure class="explore steps" id="{id}" data-steps><div class="explore-controls"></div>'
                  f'<div class="frames">{inner}</div><figcaption>{caption}</figcaption></figure>')
