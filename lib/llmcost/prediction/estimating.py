"""Constants from runs: how far measurements move them, and which of them the measurements say anything about.

Every constant is positive and known within a range, so it is estimated as a logarithm that starts in the middle of what is
plausible: a normal prior whose two standard deviations are the ends of the range. Runs pull on it through the logarithm of
predicted over measured, with less weight where a run is far off than where it is close (Huber), and a regime counts
with the root of the number of its runs. A few Gauss-Newton steps find the likeliest values; what the last one leaves of the prior's
width says what was identified.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import log

import numpy

from .cases import Case, Refused
from .constants import Constants, Engine
from .model import outcome_of

COLUMNS = {"output_rate": "out_tok_s", "ttft": "ttft_ms", "tpot": "tpot_ms", "input_rate": "in_tok_s_per_gpu"}
"""What an `Outcome` holds, and the column of a table that has it measured."""
TYPICAL_ERROR = {"output_rate": 0.1, "tpot": 0.1, "input_rate": 0.1, "ttft": 0.3}
"""Of a logarithm: what runs of one configuration differ by between engines and versions; first tokens wait, which varies more."""
OWN_ERROR = {name: error / 2 for name, error in TYPICAL_ERROR.items()}  # on one server, with one engine
FAR_OFF = 0.3  # from here on a run counts less
KNOWN_SHARE = 0.6  # of the prior's width: what is left where a constant counts as identified
STEP = 0.02  # of a logarithm, for derivatives


@dataclass(frozen=True)
class Run:
    """A case and what was measured: values by name of `Outcome`, in its units."""

    case: Case
    measured: Mapping[str, float]


@dataclass(frozen=True)
class Estimated:
    """One number before and after, the range in which it is plausible, and whether the runs say anything about it."""

    name: str
    before: float
    after: float
    low: float
    high: float
    identified: bool


def regime(case: Case) -> tuple[str, str, int]:
    """What cases have in common whose errors do: kind of load, dense or mixture, bits of a weight."""
    bits = 16 if case.formats.weights >= 2 else 8 if case.formats.weights >= 1 else 4
    return case.kind, "mixture" if case.model.n_experts > 1 else "dense", bits


def errors(runs: Sequence[Run], constants: Constants, engines: Mapping[str, Engine]) -> list[tuple[Run, str, float]]:
    """(run, name, logarithm of predicted over measured) for everything that was measured and is predicted."""
    found = []
    for run in runs:
        try:
            outcome = outcome_of(replace(run.case, engine=engines[run.case.engine.name]), constants)
        except Refused:
            continue
        for name, measured in run.measured.items():
            if predicted := getattr(outcome, name):
                found.append((run, name, log(predicted / measured)))
    return found


def estimate(runs: Sequence[Run], constants: Constants, engines: Mapping[str, Engine], free: Mapping[str, tuple[float, float]],
             rounds: int = 5, one_server: bool = False) -> tuple[Constants, dict[str, Engine], list[Estimated]]:
    """Constants and engines after `runs`, and what became of each name in `free`.

    `free` gives ranges by name: of a constant, or of an engine for its factor. Everything else stays. Runs of one server count one
    by one and pull away from where the constants are; public ones count by regime and pull away from the middle of the range.
    Raises `ValueError` without a run to learn from, or for a name that is neither.
    """
    if unknown := [name for name in free if name not in Constants.__dataclass_fields__ and name not in engines]:
        raise ValueError(f"{', '.join(unknown)}: neither a constant ({', '.join(Constants.__dataclass_fields__)}) nor an engine ({', '.join(engines)})")
    names = list(free)
    start = numpy.array([log(getattr(constants, name, None) or engines[name].factor) for name in names])
    width = numpy.array([log(high / low) / 4 for low, high in free.values()])
    middle = start if one_server else numpy.array([log(low * high) / 2 for low, high in free.values()])
    ends = [numpy.array([log(pair[i]) for pair in free.values()]) for i in (0, 1)]
    at = numpy.clip(start, *ends)
    weight, left = _weights(errors(runs, constants, engines), one_server), width
    if not len(weight):
        raise ValueError("no run has a measured value that is predicted; there is nothing to learn from")
    for _ in range(rounds):
        here = numpy.array([error for _, _, error in errors(runs, *_with(constants, engines, names, at))])
        slopes = numpy.empty((len(here), len(names)))
        for i in range(len(names)):
            moved = at.copy()
            moved[i] += STEP
            slopes[:, i] = (numpy.array([error for _, _, error in errors(runs, *_with(constants, engines, names, moved))]) - here) / STEP
        trust = weight * numpy.minimum(1, FAR_OFF / numpy.maximum(numpy.abs(here), 1e-12))
        curvature = slopes.T @ (trust[:, None] * slopes) + numpy.diag(1 / width**2)
        pull = -slopes.T @ (trust * here) - (at - middle) / width**2
        left = numpy.sqrt(numpy.diag(numpy.linalg.inv(curvature)))
        step = numpy.linalg.solve(curvature, pull)
        at = numpy.clip(at + step, *ends)
        if numpy.abs(step).max() < 1e-3:
            break
    told = [Estimated(name, float(numpy.exp(before)), float(numpy.exp(after)), *free[name], bool(rest < KNOWN_SHARE * prior))
            for name, before, after, rest, prior in zip(names, start, at, left, width)]
    return *_with(constants, engines, names, at), told


def _weights(found, one_server: bool) -> numpy.ndarray:
    """Weights over the square of the typical error; of public runs a regime and quantity counts with the root of its number of runs."""
    if one_server:
        return numpy.array([OWN_ERROR[name] ** -2 for _, name, _ in found])
    groups = defaultdict(list)
    for i, (run, name, _) in enumerate(found):
        groups[regime(run.case), name].append(i)
    weight = numpy.zeros(len(found))
    for (_, name), members in groups.items():
        weight[members] = len(members) ** -0.5 / TYPICAL_ERROR[name] ** 2
    return weight


def _with(constants, engines, names, logs):
    values = dict(zip(names, map(float, numpy.exp(logs))))
    changed = {name: value for name, value in values.items() if name in Constants.__dataclass_fields__}
    return replace(constants, **changed), {key: replace(engine, factor=values.get(key, engine.factor)) for key, engine in engines.items()}


def left_out(runs: Sequence[Run], constants: Constants, engines: Mapping[str, Engine], free: Mapping[str, tuple[float, float]], folds: int = 5,
             rounds: int = 3) -> list[tuple[int, Run, str, float]]:
    """(fold, run, quantity, logarithm of predicted over measured) for every run, its family left out of the estimate.

    Families are dealt out in the order of their names, so that the folds are the same each time.
    """
    families = sorted({run.case.family for run in runs})
    fold_of = {family: i % folds for i, family in enumerate(families)}
    found = []
    for fold in range(folds):
        rest = [run for run in runs if fold_of[run.case.family] != fold]
        fitted, of_engines, _ = estimate(rest, constants, engines, free, rounds)
        held = [run for run in runs if fold_of[run.case.family] == fold]
        found += [(fold, *one) for one in errors(held, fitted, of_engines)]
    return found
