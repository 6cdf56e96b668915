"""Statements of the source documents, recomputed: each has a verdict, and the verdict is derived.

Four verdicts follow from the digits: `exact` (ours rounds to what is printed), `rounding` (within 2 %),
`coarse` (within 15 %), `wrong`. Four need a reason that no digits give: `depends`, `unsupported`,
`outdated`, `definition`. A statement without digits may be judged with any of them and says why.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from . import files
from .evaluation import SCALES, StatementError, value

FROM_DIGITS = ("exact", "rounding", "coarse", "wrong")
FROM_REASON = ("depends", "unsupported", "outdated", "definition")


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
    formula, given : "module.name" and its arguments, as `llmcost.evaluation.value` takes them
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
    what, given, formulas = f"claim {claim.id}", dict(claim.given or {}), [claim.formula, *filter(None, [claim.over])]
    ours = value(what, claim.formula, given, formulas)
    if claim.against is not None:
        ours /= value(what, claim.formula, {**given, **claim.against}, formulas)
    if claim.over:
        ours /= value(what, claim.over, given, formulas)
    return ours / SCALES[claim.unit]


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

    Raises `StatementError` for a claim that is not complete.
    """
    found = [_claim(source, table) for source in files.claim_files() for table in files.read_claims(source)]
    ids = [claim.id for claim in found]
    if repeated := sorted({i for i in ids if ids.count(i) > 1}):
        raise StatementError(f"two claims have the id {', '.join(repeated)}")
    return [claim for claim in found if chapter in (None, claim.chapter)]


def _claim(source: str, table: Mapping) -> Claim:
    name = table.get("id", f"in data/claims/{source}.toml without an id")
    if unknown := sorted(set(table) - set(Claim.__dataclass_fields__)):
        raise StatementError(f"claim {name} has {', '.join(unknown)}; a claim has {', '.join(Claim.__dataclass_fields__)}")
    needed = ("id", "place", "chapter", "statement", "verdict", "why")
    if missing := [part for part in needed if not table.get(part)]:
        raise StatementError(f"claim {name} has no {', '.join(missing)}")
    if table["verdict"] not in FROM_DIGITS + FROM_REASON:
        raise StatementError(f"claim {name} has verdict {table['verdict']!r}; "
                         f"it is one of {', '.join(FROM_DIGITS + FROM_REASON)}")
    if table["verdict"] not in ("exact", "rounding") and not table.get("right"):
        raise StatementError(f"claim {name} is {table['verdict']} but does not say what is right")
    if table.get("unit", "") not in SCALES:
        raise StatementError(f"claim {name} has unit {table['unit']!r}; it is one of {', '.join(filter(None, SCALES))}")
    if bool(table.get("printed")) != bool(table.get("formula")) and table["verdict"] in FROM_DIGITS:
        raise StatementError(f"claim {name} needs both the printed digits and the formula, or neither")
    if table.get("printed"):
        try:
            Decimal(table["printed"])
        except InvalidOperation:
            raise StatementError(f"claim {name} has printed = {table['printed']!r}; write the digits alone, "
                             f"as in \"1.3\", and the unit in `unit`") from None
    return Claim(source=source, **table)


def lessons() -> list[tuple[str, str]]:
    """Id of a claim and what is to be learned from it, for the most instructive ones, in order. Raises `StatementError` for an unknown id."""
    known, found = {claim.id for claim in load()}, files.read_toml("lessons.toml")["lesson"]
    if unknown := [one["claim"] for one in found if one["claim"] not in known]:
        raise StatementError(f"data/lessons.toml names {', '.join(unknown)}, which no claim is")
    return [(one["claim"], one["lesson"]) for one in found]
