"""How far off a prediction may be: intervals from families of runs that were left out when the constants were estimated.

A family is a model on an accelerator with weights of one size: its runs have their errors in common, so that leaving out single
runs would say too little. The middle 80 % of the errors of left-out families, by kind of load, dense or mixture, and quantity,
stretched the more the fewer families there are, is the interval. Where a case lies outside of what was measured, the interval is wider and says so.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import exp, inf

import numpy

from .cases import Case

ENOUGH = 15  # errors for an interval of their own; else those of all kinds of load, or of all models too
INSIDE = 0.8
STRETCH = 1.7  # over the number of families, so much wider than their spread: Student's interval for one more of n over the normal one, within 0.04 from n = 4 on
WIDER = 1.6  # times as far off, in logarithms, outside of what was measured


@dataclass(frozen=True)
class Interval:
    """Factors on a prediction between which the measured value lies in 80 % of the cases, and from how many errors it is."""

    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Domain:
    """What was measured: accelerators with bytes of a weight, engines, kinds of load, and the largest batch and context."""

    machines: frozenset
    engines: frozenset
    kinds: frozenset
    batch: float
    context: float

    @classmethod
    def of(cls, cases: Iterable[Case]) -> "Domain":
        """What `cases` cover."""
        cases = list(cases)
        return cls(frozenset((case.gpu.key, case.formats.weights) for case in cases), frozenset(case.engine.name for case in cases),
                   frozenset((case.kind, case.model.n_experts > 1) for case in cases), max(case.batch for case in cases),
                   max(case.prompt_tokens + case.output_tokens for case in cases))

    def has(self, case: Case) -> bool:
        """Whether a case lies inside: everything about it was measured, if not together."""
        return ((case.gpu.key, case.formats.weights) in self.machines and case.engine.name in self.engines
                and (case.kind, case.model.n_experts > 1) in self.kinds and case.batch <= self.batch
                and case.prompt_tokens + case.output_tokens <= self.context)


def group_of(case: Case, quantity: str) -> tuple[str, str, str]:
    """What errors are gathered by: kind of load, dense or mixture, and quantity."""
    return case.kind, "mixture" if case.model.n_experts > 1 else "dense", quantity


def intervals(found: Iterable[tuple[Case, str, float]]) -> dict[tuple[str, str, str], Interval]:
    """Intervals by group; "any" stands for all kinds of load or all models, and is there for every quantity."""
    gathered, families = defaultdict(list), defaultdict(set)
    for case, quantity, error in found:
        kind, what, _ = group_of(case, quantity)
        for group in ((kind, what, quantity), ("any", what, quantity), ("any", "any", quantity)):
            gathered[group].append(error)
            families[group].add(case.family)
    return {group: _interval(some, len(families[group])) for group, some in sorted(gathered.items()) if len(some) >= ENOUGH or group[:2] == ("any", "any")}


def _interval(some, n_families) -> Interval:
    tail = (1 - INSIDE) / 2
    middle, ends = numpy.median(some), numpy.quantile(some, (tail, 1 - tail))
    least, most = middle + (1 + STRETCH / n_families) * (ends - middle)
    return Interval(float(exp(-most)), float(exp(-least)), len(some))


def interval_for(case: Case, quantity: str, table: Mapping[tuple[str, str, str], Interval], inside: bool) -> Interval:
    """The interval of one prediction: that of the narrowest group that has one."""
    kind, what, _ = group_of(case, quantity)
    for group in ((kind, what, quantity), ("any", what, quantity), ("any", "any", quantity)):
        if group in table:
            found = table[group]
            return found if inside else Interval(found.low**WIDER, found.high**WIDER, found.n)
    return Interval(0.0, inf, 0)
