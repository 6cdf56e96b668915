"""Recorded runs of a simulation: a grid that a control shows, and the run that is nearest to what the reader set."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence

from ..formats import format_value
from .parts import ExploreError


def recorded(run: Callable[..., Mapping[str, float]], digits: int = 6, **axes: Sequence[float]) -> dict:
    """The results of `run` for every combination of `axes`, by name, for `explore(runs=...)`, to so many significant digits.

    Twelve digits where a line of Python stands under the control and must give what the page shows.

    Raises `ExploreError` without a run, or when runs give different names, or a name that is an axis.
    """
    points = list(itertools.product(*axes.values()))
    if not points:
        raise ExploreError(f"nothing to run: each of {', '.join(axes)} needs at least one value")
    found = [run(**dict(zip(axes, point))) for point in points]
    if any(set(one) != set(found[0]) for one in found) or set(found[0]) & set(axes):
        raise ExploreError(f"runs must give the same names each time, and none of {', '.join(axes)}")
    kept = {name: [_kept(one[name], digits) for one in found] for name in found[0]}
    return {"axes": {name: list(map(float, values)) for name, values in axes.items()}, "columns": kept}


def _kept(value: float, digits: int) -> float | None:
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def place_near(runs: Mapping, state: Mapping) -> dict[str, float]:
    """The point of the grid that is nearest to `state`, axis by axis; of two as near, the one that comes first.

    Raises `ExploreError` for an axis that is not in `state`.
    """
    if lacking := [name for name in runs["axes"] if name not in state]:
        raise ExploreError(f"runs were recorded along {', '.join(lacking)}; add a slider, a choice or a fixed value for it")
    return {name: min(values, key=lambda value: abs(value - state[name])) for name, values in runs["axes"].items()}


def results_near(runs: Mapping, state: Mapping) -> dict[str, float]:
    """Every result of the nearest run; NaN where there was none."""
    near, index = place_near(runs, state), 0
    for name, values in runs["axes"].items():
        index = index * len(values) + values.index(near[name])
    return {name: math.nan if column[index] is None else column[index] for name, column in runs["columns"].items()}


def told_near(spec: Mapping, state: Mapping) -> str:
    """Which run is shown, by what the sliders are set to."""
    near = place_near(spec["runs"], state)
    sliders = [slider for slider in spec["sliders"] if slider["name"] in near]
    exact = all(state[slider["name"]] == near[slider["name"]] for slider in sliders)
    told = ", ".join(f"{label[:1].lower()}{label[1:]} {format_value(near[name], unit)}"
                     for name, label, unit in ((slider["name"], slider["label"], slider["unit"]) for slider in sliders))
    return f"{'This very run was made' if exact else 'Nearest run'}{': ' if told else ''}{told}."
