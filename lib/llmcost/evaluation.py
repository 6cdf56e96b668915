"""A value stated in `data/`: the formula by name, what it is given, and the records that it is evaluated on.

Statements of sources (`llmcost.claims`) and conclusions of chapters (`llmcost.takeaways`) are both of this form.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence

from . import catalog, conclusions, faces, recomputed, served
from .prices import API_PRICES

RECORDS = {"model": catalog.MODELS, "gpu": catalog.GPUS, "fabric": catalog.FABRICS, "price": API_PRICES}
"""Keys of `given` that name a record, and where it is found; a GPU computes in BF16, and a price is the one in force."""
SCALES = {"": 1, "B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
          "TiB": 2**40, "%": 1e-2, "x": 1, "tokens": 1, "sequences": 1, "days": 1, "s": 1, "ms": 1e-3, "us": 1e-6, "FLOP": 1, "TFLOP": 1e12,
          "TFLOP/s": 1e12, "FLOP/byte": 1, "GB/s": 1e9, "TB/s": 1e12, "$/Mtok": 1e-6, "$/h": 1 / 3600, "RMB/Mtok": 1e-6, "billion": 1e9}
"""Units in which statements print their digits, in base units."""
ELSEWHERE = {module.__name__.rpartition(".")[2]: module for module in (conclusions, recomputed, served)}


class StatementError(ValueError):
    """A statement that is not complete or that cannot be computed: the message names it and what is missing."""


def value(what: str, formula: str, given: Mapping, beside: Sequence[str] = ()) -> float:
    """The value of `formula`, "module.name", in base units; `what` names the statement in errors.

    A formula takes from `given`, from the records that `given` names, and from the assumptions (`llmcost.catalog.ASSUMED`).
    A function of `llmcost.recomputed`, `llmcost.served` or `llmcost.conclusions` is called with `given` alone.
    What neither it nor one of the formulas `beside` has a use for is an error.
    """
    module, _, name = formula.partition(".")
    if module in ELSEWHERE:
        return _called(what, ELSEWHERE[module], name, given)
    function = _formula(what, formula)
    records = [found[given[kind]] for kind, found in RECORDS.items() if kind in given]
    records = [record.computing_in("bf16") if hasattr(record, "computing_in") else record for record in records]
    known = {leaf for other in (formula, *beside) for leaf in faces.leaves(_formula(what, other))}
    if unused := sorted(set(given) - known - set(RECORDS)):
        raise StatementError(f"{what} gives {', '.join(unused)}, which its formula has no use for")
    taken = {leaf: given[leaf] for leaf in faces.leaves(function) if leaf in given}
    return float(faces.at(function, *records, catalog.ASSUMED, **taken))


def _called(what, module, name: str, given: Mapping) -> float:
    function = getattr(module, name, None)
    if getattr(function, "__module__", "") != module.__name__:
        raise StatementError(f"{what} names {name!r}, which {module.__name__} does not have")
    try:
        inspect.signature(function).bind(**given)
    except TypeError as error:
        raise StatementError(f"{what} calls {name} with {', '.join(given) or 'nothing'}: {error}") from None
    return float(function(**given))


def _formula(what: str, formula: str) -> Callable:
    module, _, name = formula.partition(".")
    function = faces.formulas().get(name)
    if function is None or not function.__module__.endswith(f".{module}"):
        raise StatementError(f"{what} names the formula {formula!r}, which the library does not have")
    return function
