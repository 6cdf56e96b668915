"""The parts of a live control: sliders, choices, numbers shown, drawings."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence

from .. import faces
from ..catalog import BYTES, GPUS, MODELS
from ..notation import NOTATION


class ExploreError(ValueError):
    """A control that could not work on the page: the message says which part and what it needs."""


def slide(name: str, low: float, high: float, value: float, values: Sequence[float] | None = None,
          label: str = "") -> dict:
    """A slider over the parameter `name`, from `low` to `high`, starting at `value`.

    It stops at the values in between that are easy to read (powers of two for tokens and sequences on a
    log scale, 1, 2, 5 and so on elsewhere), or at `values`. Raises `ExploreError` if `value` is not a stop.
    """
    row = NOTATION[name]
    stops = list(values) if values else _stops(row, low, high)
    if len(stops) < 2:
        raise ExploreError(f"the slider {name} has only the stop {stops}: it could not move")
    if value not in stops:
        raise ExploreError(f"the slider {name} starts at {value}, which is not one of its stops {stops}")
    return {"name": name, "label": _capital(label or row.label), "unit": row.unit, "values": stops, "value": value}


def _stops(row, low, high) -> list:
    if row.scale == "linear":
        step = 10 ** math.floor(math.log10((high - low) / 10))
        return [round(low + step * i, 12) for i in range(round((high - low) / step) + 1)]
    if row.unit in ("token", "sequence"):
        first, last = math.ceil(math.log2(low)), math.floor(math.log2(high))
        return [2**power for power in range(first, last + 1)]
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    stops = [digit * 10**decade for decade in decades for digit in (1, 2, 5)]
    return [stop for stop in stops if low <= stop <= high]


def choose_model(keys: Sequence[str], value: str) -> dict:
    """A choice among models of the catalog."""
    options = [{"key": key, "label": MODELS[key].name, "python": f'MODELS["{key}"]',
                "facts": numbers(MODELS[key].facts)} for key in keys]
    return _choice("model", "Model", options, value)


def choose_gpu(keys: Sequence[str], value: str, computing_in: str = "bf16") -> dict:
    """A choice among accelerators of the catalog, with the peak of one number format."""
    options = [{"key": key, "label": GPUS[key].name, "python": f'GPUS["{key}"].computing_in("{computing_in}")',
                "facts": numbers(GPUS[key].computing_in(computing_in).facts)} for key in keys]
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


def _choice(name, label, options, value, style="select") -> dict:
    keys = [option["key"] for option in options]
    if value not in keys:
        raise ExploreError(f"the choice {name} starts at {value!r}; it has {keys}")
    if len(set(keys)) < max(2, len(keys)):
        raise ExploreError(f"the choice {name} has the options {keys}: it needs two or more, all different")
    return {"name": name, "label": label, "value": value, "style": style, "options": options}


def numbers(facts: Mapping) -> dict:
    """Those of `facts` that a formula can take: finite numbers, no flags and no text."""
    return {name: value for name, value in facts.items()
            if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)}


def _slug(text: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in text.lower()).strip("-")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
