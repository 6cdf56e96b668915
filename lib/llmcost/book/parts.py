"""The parts of a live control: sliders, choices, numbers shown, drawings."""

import inspect
import json
import math
from collections.abc import Callable, Mapping, Sequence

from .. import faces, usage
from ..catalog import BYTES, GPUS, MODELS
from ..formats import PRICED
from ..notation import NOTATION
from ..prices import API_PRICES, NO_TIER
from ..records import Record
from .values import TAKES, needed


class ExploreError(ValueError):
    """A control that could not work on the page: the message says which part and what it needs."""


def slide(name: str, low: float, high: float, value: float, values: Sequence[float] | None = None,
          label: str = "", when: tuple[str, str] | None = None) -> dict:
    """A slider over the parameter `name`, from `low` to `high`, starting at `value`.

    It stops at the values in between that are easy to read (powers of two for tokens and sequences on a
    log scale, 1, 2, 5 and so on elsewhere), or at `values`. With `when`, a choice and the key of one of its
    options, the slider is there and counts only while that option is chosen; the others bring facts instead.
    Raises `ExploreError` if `value` is not a stop.
    """
    row = NOTATION[name]
    stops = list(values) if values else _stops(row, low, high)
    if len(stops) < 2:
        raise ExploreError(f"the slider {name} has only the stop {stops}: it could not move")
    if value not in stops:
        raise ExploreError(f"the slider {name} starts at {value}, which is not one of its stops {stops}")
    shown = {"name": name, "label": _capital(label or row.label), "unit": row.unit, "values": stops, "value": value}
    return shown | {"when": list(when)} if when else shown


def _stops(row, low, high) -> list:
    if row.unit in PRICED:  # easy to read where people read it, as per hour
        scale = float(PRICED[row.unit][0])
        return [stop / scale for stop in _easy(row.scale, low * scale, high * scale)]
    if row.unit in ("token", "sequence") and row.scale == "log":
        first, last = math.ceil(math.log2(low)), math.floor(math.log2(high))
        return [2**power for power in range(first, last + 1)]
    return _easy(row.scale, low, high)


def _easy(scale, low, high) -> list:
    if scale == "linear":
        step = 10 ** math.floor(math.log10((high - low) / 10))
        return [round(low + step * i, 12) for i in range(round((high - low) / step) + 1)]
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    stops = [digit * 10**decade for decade in decades for digit in (1, 2, 5)]
    return [stop for stop in stops if low * (1 - 1e-9) <= stop <= high * (1 + 1e-9)]


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


def choose_price(lists: Sequence[tuple[str, str]], value: str, own: Mapping[str, float] | None = None) -> dict:
    """A choice among dated price lists of `llmcost.prices`: each a key and a day, or "" for the price in force.

    `own`, prices by parameter name, is one more option, "own", in which sliders may hold (`slide(…, when=("price", "own"))`);
    its prices hold for prompts of any length. `value` is the key of the list at first.
    """
    options = []
    for key, day in lists:
        place = f'"{key}", "{day}"' if day else f'"{key}"'
        price = API_PRICES[key, day] if day else API_PRICES[key]
        options.append({"key": f"{key}_{day}" if day else key, "label": price.name, "python": f"API_PRICES[{place}]",
                        "facts": numbers(price.facts)})
    if own:
        tiers = {f"tier_{name}": price for name, price in own.items() if name.endswith("_price")}
        options.append({"key": "own", "label": "your own", "facts": {"tier_tokens": NO_TIER, "batch_multiplier": 1, **tiers, **own}})
    return _choice("price", "Price list", options, value)


def choose_format(name: str, formats: Sequence[str], value: str) -> dict:
    """A choice of number format for the parameter `name`, such as `kv_bytes_per_element`."""
    options = [{"key": key, "label": key.upper().replace("_G", ", groups of ").replace("_", " "), "facts": {name: BYTES[key]}} for key in formats]
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


def usage_paste(example: str | Mapping, label: str = "Usage record of an API answer, as JSON") -> dict:
    """A box in which a reader pastes the usage record of an API answer; its counts are in the state by their names.

    `example`, JSON text or what it stands for, stands in the box at first and gives the first state.
    Raises `llmcost.usage.UsageError` when it cannot be read.
    """
    text = example if isinstance(example, str) else json.dumps(example, indent=2)
    return {"label": label, "example": text, "counts": usage.read(text).counts,
            "kinds": list(usage.KINDS), "limit": usage.LIMIT}


def output(formula: Callable, label: str = "", of: Record | None = None, **fixed) -> dict:
    """A number that the control shows: `formula` at the state, with `fixed` parameters on top.

    A fixed parameter is a number, the name of another in the state, or a formula, whose value it then is.
    With `of`, a record, its facts come first: the number is that of this model or chip, whatever is chosen.
    """
    return {"formula": formula.__name__, "label": label or _capital(inspect.getdoc(formula).split(".")[0]),
            "unit": faces.units(formula)["return"], "with": _on_top(formula, of, fixed)}


def reading(value, label: str, unit: str) -> dict:
    """A number that the control shows without a formula of its own: a result of recorded runs, a chain or a search."""
    return {"value": value, "label": label, "unit": unit, "with": {}}


def computed(formula: Callable, **fixed) -> dict:
    """What stands for a parameter: `formula` at the state, with `fixed` on top for it alone.

    Numbers in `fixed` also hold inside its other values: those are evaluated with the numbers on top. To keep one out of them,
    say it as a sum of one, `total(2)`.
    """
    return {"formula": formula.__name__, "with": _on_top(formula, None, fixed)}


def ratio(value, other) -> dict:
    """What stands for a parameter: one value over another, as a share or a rate; infinite where the other is 0."""
    return {"ratio": [value, other]}


def total(*values) -> dict:
    """What stands for a parameter: the sum of values of one unit."""
    return {"sum": list(values)}


def from_chain(take: str, resident: dict, most, rate: str, at: float = 0.0) -> dict:
    """What stands for a parameter: a mean or a quantile of a chain of batches in its steady state.

    `resident` is the time of a request in a batch, a `computed` of `batch`; `most` the largest batch, `rate` the name of the rate;
    `at` is the share of a quantile. Raises `ExploreError` for a name that a chain does not have, and for a quantile without a share.
    """
    if take not in TAKES:
        raise ExploreError(f"a chain has no {take!r}; it has {', '.join(TAKES)}")
    if take.endswith("_quantile") and not 0 < at < 1:
        raise ExploreError(f"{take} at {at}: give the share that it does not exceed, above 0 and below 1, as in at=0.99")
    names = sorted(needed(resident) - {"batch"})
    return {"chain": {"resident": resident, "most": most, "rate": rate, "names": names}, "take": take, "at": at}


def smallest(name: str, high: int, value: dict, limit) -> dict:
    """What stands for a parameter: the smallest whole `name`, up to `high`, at which `value` is within `limit`."""
    return {"smallest": {"name": name, "high": high, "of": value, "limit": limit}}


def value_curve(value, label: str, unit: str, **fixed) -> dict:
    """A line of a plot or a part of a bar: a value without a formula of its own, with `fixed` on top of the state."""
    return {"label": label, "value": value, "unit": unit, "with": fixed}


def recorded_curve(column: str, label: str, **fixed) -> dict:
    """A line of a plot through recorded runs, with the axes in `fixed` held at a place."""
    return {"label": label, "recorded": column, "with": fixed, "marks": False}


def curve(formula: Callable, label: str, of: Record | None = None, **fixed) -> dict:
    """A line of a plot: `formula` along the horizontal axis, with `of` and `fixed` on top as in `output`."""
    return {"label": label, "formula": formula.__name__, "with": _on_top(formula, of, fixed)}


def _on_top(formula: Callable, record: Record | None, fixed: Mapping) -> dict:
    """Facts of `record` that `formula` takes, and `fixed`, a formula in it by its name."""
    facts = numbers(record.facts) if record else {}
    given = {name: value.__name__ if callable(value) else value for name, value in fixed.items()}
    return {name: facts[name] for name in faces.leaves(formula) if name in facts} | given


def points(label: str, values: Sequence[tuple[float, float]], marks: bool = True) -> dict:
    """A measured or computed series of a plot, as dots (`marks`) or as a line."""
    return {"label": label, "points": [list(map(float, pair)) for pair in values], "marks": marks}


def mark(label: str, x: tuple[Callable, Mapping], y: tuple[Callable, Mapping]) -> dict:
    """A point of a plot that moves with the state: each coordinate is a formula and the parameters on top for it."""
    return {"label": label, **{side: {"formula": formula.__name__, "with": _on_top(formula, None, fixed)}
                               for side, (formula, fixed) in {"x": x, "y": y}.items()}}


def plot(x: str, low: float, high: float, y_label: str, lines: Sequence[dict], x_scale: str = "", y_scale: str = "linear",
         y_low: float | None = None, y_high: float | None = None, y_unit: str = "", marks: Sequence[dict] = ()) -> dict:
    """A plot of `lines` over the parameter `x` from `low` to `high`, with `marks` above them.

    Raises `ExploreError` for a mark in other units than those of the axes.
    """
    row = NOTATION[x]
    unit = y_unit or next(_unit(line) for line in lines if "formula" in line or "value" in line)
    for point in marks:
        for side, wanted in (("x", row.unit), ("y", unit)):
            if _unit(point[side]) != wanted:
                raise ExploreError(f"the mark {point['label']} has {_unit(point[side])} for {side}; "
                                   f"the axis is in {wanted}")
    drawing = {"kind": "curves",
               "x": {"name": x, "label": _capital(row.label), "unit": row.unit, "scale": x_scale or row.scale,
                     "min": low, "max": high},
               "y": {"label": y_label, "unit": unit, "scale": y_scale, "min": y_low, "max": y_high},
               "curves": list(lines)}
    return drawing | {"marks": list(marks)} if marks else drawing


def part(formula: Callable, label: str, repeats: str = "", **fixed) -> dict:
    """A part of a stacked bar: `formula` with `fixed` parameters on top.

    With `repeats`, a name in the state or a formula, it is so many equal steps: ticks divide it.
    """
    shown = curve(formula, label, None, **fixed)
    if not repeats:
        return shown
    return shown | {"repeats": {"formula" if repeats in faces.formulas() else "name": repeats}}


def bars(rows: Mapping[str, Sequence[dict]], limit: tuple[str, str] | None = None) -> dict:
    """Stacked bars: `rows` maps a label to its parts (each a `part`); `limit` is a label and a name in the state."""
    parts = next(iter(rows.values()))
    drawing = {"kind": "bars", "unit": _unit(parts[0]),
               "bars": [{"label": label, "parts": list(parts)} for label, parts in rows.items()]}
    if limit:
        drawing["limit"] = {"label": limit[0], "name": limit[1]}
    return drawing


def _unit(line: dict) -> str:
    """The unit of what a part of a drawing evaluates."""
    return line["unit"] if "value" in line else faces.units(faces.formulas()[line["formula"]])["return"]


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
