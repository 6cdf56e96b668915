"""Conclusions of chapters that a price or a specification can turn over: what is compared, and how far it is from flipping today.

A takeaway says that a value is above, or below, a threshold; both are computed from `data/`. Where that no longer holds it has
flipped, and what is recorded in `data/takeaways.toml` (`standing`) has to be changed with the words of the chapter.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from . import files
from .evaluation import SCALES, StatementError, value

SIDES = ("above", "below")
STANDINGS = ("holds", "flipped")


@dataclass(frozen=True)
class Takeaway:
    """One conclusion that can flip.

    Attributes
    ----------
    id : unique
    chapter : file name of the chapter that draws it
    statement : what holds today, in words
    flipped : what holds on the other side of the threshold, in words
    value : what is compared: `{"formula": "module.name", "given": {...}}`, as `llmcost.evaluation.value` takes them
    threshold : what it is compared with: the same, or a number in `unit`
    side : "above" or "below" the threshold, where `statement` holds
    unit : of the value, one of `llmcost.evaluation.SCALES`
    standing : recorded: "holds", or "flipped" where `flipped` is what holds today
    quoted : name under which the chapter quotes the value, "" where it quotes none
    """

    id: str
    chapter: str
    statement: str
    flipped: str
    value: Mapping
    threshold: Mapping | float
    side: str
    unit: str = ""
    standing: str = "holds"
    quoted: str = ""


@dataclass(frozen=True)
class Evaluated:
    """A takeaway today: both sides in its unit, where it stands, and by which factor the value has to change until it flips."""

    takeaway: Takeaway
    value: float
    threshold: float

    @property
    def standing(self) -> str:
        """"holds" or "flipped", from the numbers."""
        above = self.value > self.threshold
        return "holds" if above == (self.takeaway.side == "above") else "flipped"

    @property
    def distance(self) -> float:
        """Threshold over value: 1 is the flip."""
        return self.threshold / self.value


def load(chapter: str | None = None) -> list[Takeaway]:
    """Every takeaway, or those of one chapter. Raises `StatementError` for one that is not complete."""
    found = [_takeaway(table) for table in files.read_takeaways()]
    ids = [one.id for one in found]
    if repeated := sorted({i for i in ids if ids.count(i) > 1}):
        raise StatementError(f"two takeaways have the id {', '.join(repeated)}")
    return [one for one in found if chapter in (None, one.chapter)]


def _takeaway(table: Mapping) -> Takeaway:
    what = f"takeaway {table.get('id', 'without an id')}"
    if unknown := sorted(set(table) - set(Takeaway.__dataclass_fields__)):
        raise StatementError(f"{what} has {', '.join(unknown)}; it takes {', '.join(Takeaway.__dataclass_fields__)}")
    needed = ("id", "chapter", "statement", "flipped", "value", "threshold", "side")
    if missing := [part for part in needed if part not in table]:
        raise StatementError(f"{what} has no {', '.join(missing)}")
    for part, allowed in (("side", SIDES), ("standing", STANDINGS), ("unit", tuple(SCALES))):
        if table.get(part, allowed[0]) not in allowed:
            raise StatementError(f"{what} has {part} {table[part]!r}; it is one of {', '.join(filter(None, allowed))}")
    return Takeaway(**table)


def evaluate(takeaway: Takeaway) -> Evaluated:
    """Both sides of `takeaway` as `data/` has them now."""
    what, scale = f"takeaway {takeaway.id}", SCALES[takeaway.unit]
    either = lambda side: value(what, side["formula"], side.get("given", {})) / scale if isinstance(side, Mapping) else float(side)
    return Evaluated(takeaway, either(takeaway.value), either(takeaway.threshold))


def flips(chapter: str | None = None) -> list[Evaluated]:
    """The takeaways whose standing is not the recorded one."""
    return [found for found in map(evaluate, load(chapter)) if found.standing != found.takeaway.standing]
