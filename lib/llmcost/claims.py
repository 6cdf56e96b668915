"""Statements of the source documents, recomputed: each has a verdict, and the verdict is derived.

Four verdicts follow from the digits: `exact` (ours rounds to what is printed), `rounding` (within 2 %),
`coarse` (within 15 %), `wrong`. Four need a reason that no digits give: `depends`, `unsupported`,
`outdated`, `definition`. A statement without digits may be judged with any of them and says why.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from . import catalog, faces

FROM_DIGITS = ("exact", "rounding", "coarse", "wrong")
FROM_REASON = ("depends", "unsupported", "outdated", "definition")
SCALES = {"": 1, "B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
          "TiB": 2**40, "%": 1e-2, "x": 1, "tokens": 1, "s": 1, "ms": 1e-3, "us": 1e-6, "FLOP": 1, "TFLOP": 1e12,
          "TFLOP/s": 1e12, "FLOP/byte": 1, "GB/s": 1e9, "TB/s": 1e12}


class ClaimError(ValueError):
    """A claim that is not complete or that cannot be computed: the message names it and what is missing."""


@dataclass(frozen=True)
class Claim:
    """One statement of a source document.

    Attributes
    ----------
    id : unique, such as "000-kv-70b-4096"
    source : the file below data/claims/, named after the source document
    place : section, table row or sentence in the source
    chapter : file name of the chapter that treats it
    statement : what the source says, in our words
    verdict : recorded; `derive` must agree
    why : the reason, in one sentence
    printed, unit : the digits as printed and their unit, "" for a statement without digits
    formula, given : "module.name" and its arguments; `model` and `gpu` name catalog records,
        the GPU computing in BF16; what neither they nor `given` have is an assumption (`llmcost.catalog.ASSUMED`)
    against : arguments that differ in a second evaluation; ours is then the ratio of the two
    over : a second formula with the same arguments; ours is then the ratio of the two
    right : the right statement, where the source's is not
    """

    id: str
    source: str
    place: str
    chapter: str
    statement: str
    verdict: str
    why: str
    printed: str = ""
    unit: str = ""
    formula: str = ""
    given: Mapping | None = None
    against: Mapping | None = None
    over: str = ""
    right: str = ""


def evaluate(claim: Claim) -> float:
    """The value that the library gives for `claim`, in the claim's own unit."""
    given = dict(claim.given or {})
    value = _value(claim, claim.formula, given)
    if claim.against is not None:
        value /= _value(claim, claim.formula, {**given, **claim.against})
    if claim.over:
        value /= _value(claim, claim.over, given)
    return value / SCALES[claim.unit]


def _value(claim: Claim, formula: str, given: Mapping) -> float:
    function = _function(claim, formula)
    models = [catalog.MODELS[given["model"]]] if "model" in given else []
    gpus = [catalog.GPUS[given["gpu"]].computing_in("bf16")] if "gpu" in given else []
    known = {name for other in filter(None, (claim.formula, claim.over)) for name in faces.leaves(_function(claim, other))}
    if unused := sorted(set(given) - known - {"model", "gpu"}):
        raise ClaimError(f"claim {claim.id} gives {', '.join(unused)}, which its formula has no use for")
    taken = {name: given[name] for name in faces.leaves(function) if name in given}
    return float(faces.at(function, *models, *gpus, catalog.ASSUMED, **taken))


def _function(claim: Claim, formula: str):
    module, _, name = formula.partition(".")
    function = faces.formulas().get(name)
    if function is None or not function.__module__.endswith(f".{module}"):
        raise ClaimError(f"claim {claim.id} names the formula {formula!r}, which the library does not have")
    return function


def verdict(printed: str, ours: float) -> str:
    """The verdict on the digits `printed` when the library computes `ours`, both in the same unit.

    >>> verdict("1.3", 1.342), verdict("2.6", 2.749), verdict("512", 537), verdict("160", 327)
    ('exact', 'coarse', 'coarse', 'wrong')
    """
    digits = Decimal(printed)
    half_last_digit = Decimal(1).scaleb(digits.as_tuple().exponent) / 2
    gap = abs(digits - Decimal(ours))
    if gap <= half_last_digit:
        return "exact"
    relative = float(gap / abs(Decimal(ours))) if ours else float("inf")
    return "rounding" if relative <= 0.02 else "coarse" if relative <= 0.15 else "wrong"


def derive(claim: Claim) -> str:
    """The verdict that follows from the digits; the recorded one where there is nothing to compute."""
    if not claim.formula or claim.verdict in FROM_REASON:
        return claim.verdict
    return verdict(claim.printed, evaluate(claim))


def load(chapter: str | None = None) -> list[Claim]:
    """Every claim, or those that `chapter` treats, in the order of the source documents.

    Raises `ClaimError` for a claim that is not complete.
    """
    found = [_claim(source, table) for source in catalog.claim_files() for table in catalog.read_claims(source)]
    ids = [claim.id for claim in found]
    if repeated := sorted({i for i in ids if ids.count(i) > 1}):
        raise ClaimError(f"two claims have the id {', '.join(repeated)}")
    return [claim for claim in found if chapter in (None, claim.chapter)]


def _claim(source: str, table: Mapping) -> Claim:
    name = table.get("id", f"in data/claims/{source}.toml without an id")
    if unknown := sorted(set(table) - set(Claim.__dataclass_fields__)):
        raise ClaimError(f"claim {name} has {', '.join(unknown)}; a claim has {', '.join(Claim.__dataclass_fields__)}")
    needed = ("id", "place", "chapter", "statement", "verdict", "why")
    if missing := [part for part in needed if not table.get(part)]:
        raise ClaimError(f"claim {name} has no {', '.join(missing)}")
    if table["verdict"] not in FROM_DIGITS + FROM_REASON:
        raise ClaimError(f"claim {name} has verdict {table['verdict']!r}; "
                         f"it is one of {', '.join(FROM_DIGITS + FROM_REASON)}")
    if table["verdict"] not in ("exact", "rounding") and not table.get("right"):
        raise ClaimError(f"claim {name} is {table['verdict']} but does not say what is right")
    if table.get("unit", "") not in SCALES:
        raise ClaimError(f"claim {name} has unit {table['unit']!r}; it is one of {', '.join(filter(None, SCALES))}")
    if bool(table.get("printed")) != bool(table.get("formula")) and table["verdict"] in FROM_DIGITS:
        raise ClaimError(f"claim {name} needs both the printed digits and the formula, or neither")
    if table.get("printed"):
        try:
            Decimal(table["printed"])
        except InvalidOperation:
            raise ClaimError(f"claim {name} has printed = {table['printed']!r}; write the digits alone, "
                             f"as in \"1.3\", and the unit in `unit`") from None
    return Claim(source=source, **table)
