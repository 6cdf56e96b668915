"""What stands for a number in a control, evaluated in Python; the front end has a twin of each.

A value is a number; the name of one in the state, or of a formula; a formula with values on top of the state; a ratio or a sum
of values; the steady state of a chain of batches (`llmcost.queueing`); or the smallest whole number that keeps a limit.
"""

import math
from collections.abc import Mapping

import numpy

from .. import faces
from ..queueing import Chain

TAKES = ("batch", "waiting_share", "wait_seconds", "stay_seconds", "batch_quantile", "wait_quantile")
"""What can be taken from a chain; a quantile is taken at a share of the time or of the requests."""


def evaluate(value, state: Mapping):
    """The number that `value` stands for in `state`, or an array where one is in it.

    Infinite where a formula divides by zero or no number keeps a limit, NaN where a chain makes no sense or nothing is steady.
    """
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, str):
        return state[value] if value in state else evaluate({"formula": value, "with": {}}, state)
    if "value" in value:
        return evaluate(value["value"], with_on_top(state, value["with"]))
    if "chain" in value:
        return _from_chain(value, state)
    if "smallest" in value:
        return _smallest(value["smallest"], state)
    if "ratio" in value:
        over, under = (evaluate(one, state) for one in value["ratio"])
        if isinstance(under, numpy.ndarray):
            return numpy.where(under == 0, math.inf, over / numpy.where(under == 0, 1, under))
        return over / under if under else math.inf
    if "sum" in value:
        return sum(evaluate(one, state) for one in value["sum"])
    function = faces.formulas()[value["formula"]]
    known = with_on_top(state, value["with"])
    try:
        return faces.at(function, {name: known[name] for name in faces.leaves(function)})
    except ZeroDivisionError:
        return math.inf


def with_on_top(state: Mapping, fixed: Mapping) -> dict:
    """`state` with the parameters that a part of a control has on top: numbers first, then what stands for one."""
    known = {**state, **{name: value for name, value in fixed.items() if isinstance(value, (int, float))}}
    return known | {name: evaluate(value, known) for name, value in fixed.items() if not isinstance(value, (int, float))}


def needed(value) -> set[str]:
    """The names that `value` takes from the state."""
    if isinstance(value, (int, float)):
        return set()
    if isinstance(value, str):
        return set(faces.leaves(faces.formulas()[value])) if value in faces.formulas() else {value}
    if "chain" in value:
        return (needed(value["chain"]["resident"]) - {"batch"}) | needed(value["chain"]["most"]) | needed(value["chain"]["rate"])
    if "smallest" in value:
        search = value["smallest"]
        return (needed(search["of"]) - {search["name"]}) | needed(search["limit"])
    if inner := value.get("ratio") or value.get("sum"):
        return set().union(*map(needed, inner))
    on_top = value["with"]
    numbers = {name for name, one in on_top.items() if isinstance(one, (int, float))}
    inner = set().union(*(needed(one) for one in on_top.values())) - numbers
    outer = needed(value["value"]) if "value" in value else set(faces.leaves(faces.formulas()[value["formula"]]))
    return (outer - set(on_top)) | inner


def formulas_in(value):
    """Each part of `value` that is a formula with values on top, from the outside in."""
    if not isinstance(value, Mapping):
        return
    if "formula" in value:
        yield value
    for inner in (value.get("value"), *value.get("with", {}).values(), *value.get("chain", {}).values(), value.get("smallest", {}).get("of"),
                  value.get("smallest", {}).get("limit"), *value.get("ratio", ()), *value.get("sum", ())):
        yield from formulas_in(inner)


def _from_chain(value, state) -> float:
    chain = value["chain"]
    most, rate = evaluate(chain["most"], state), evaluate(chain["rate"], state)
    if not (1 <= most < math.inf and 0 < rate < math.inf):
        return math.nan
    # One evaluation for all batches: every formula takes arrays.
    batches = numpy.arange(1.0, math.floor(most) + 1)
    times = numpy.broadcast_to(evaluate(chain["resident"], {**state, "batch": batches}), batches.shape)
    if not ((times > 0) & (times < math.inf)).all():
        return math.nan
    steady = Chain(times, rate)
    taken = getattr(steady, value["take"])
    taken = taken(value["at"]) if callable(taken) else taken
    return float(taken) if steady.overflow < 1 else math.nan


def _smallest(search, state) -> float:
    """By bisection over the whole numbers from 1 on; infinite where the highest does not keep the limit either."""
    limit = evaluate(search["limit"], state)

    def keeps(number):
        return evaluate(search["of"], {**state, search["name"]: number}) <= limit

    low, high = 0, search["high"]
    if not keeps(high):
        return math.inf
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if keeps(middle) else (middle, high)
    return high
