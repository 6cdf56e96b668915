"""Every numeral of the source documents, in order: each is in a claim, or exempt with a reason.

The texts are not part of the project; `data/numerals/` holds where each of their numerals stands and what became of it.
Given a text, `compare` lists its numerals again and holds them against that record.
"""

import re
from collections import Counter
from dataclasses import dataclass

from . import claims, files

REASONS = {
    "heading": "number of a section, a list item or a figure",
    "name": "part of a name: a model, a chip, a format, a version, a variable",
    "input": "chosen to begin with, not asserted",
    "code": "an index, a shape or a constant of code that asserts nothing by itself",
    "formula": "an exponent, an index or a constant of a formula that a claim states in words",
    "reference": "in a citation, a link, or the date of a publication",
    "markup": "of the typesetting: the width of a picture, a token of the page's own format",
    "wording": "a manner of speaking, not a count",
}
"""Why a numeral needs no claim."""

DIGITS = r"\d+(?:[.,]\d+)*"
COUNTED = r"[二两三四五六七八九十百千万亿]+(?=[倍张块层次种个项类步卡])"
LARGE = r"(?<!\d)(?<!\d )[一二两三四五六七八九十]?[百千万亿]+"
_NUMERAL = re.compile(f"{DIGITS}|{COUNTED}|{LARGE}")
_MYRIADS = (1, 1e4, 1e8)
"""A Chinese numeral may count in units of ten thousand or of a hundred million."""


class NumeralError(ValueError):
    """A record of numerals that is not complete, or that its text does not bear out: the message says which line."""


@dataclass(frozen=True)
class Numeral:
    """One numeral of a source document.

    Attributes
    ----------
    source : the document, such as "000"
    line : of its text, counted from 1
    text : as printed
    claim : id of the claim that treats it, "" where it is exempt
    exempt : one of `REASONS`, "" where a claim treats it
    """

    source: str
    line: int
    text: str
    claim: str
    exempt: str


def listed(text: str) -> list[tuple[int, str]]:
    """Every numeral of `text` with the number of its line, in order: digits, and numbers written as Chinese words that count something.

    >>> listed("from 4 to 5 times\\n10,000 a day")
    [(1, '4'), (1, '5'), (2, '10,000')]
    """
    return [(number, found.group()) for number, line in enumerate(text.splitlines(), start=1) for found in _NUMERAL.finditer(line)]


def load(source: str | None = None) -> list[Numeral]:
    """The numerals of one source document, or of all, in order.

    Raises `NumeralError` for one that is neither in a claim nor exempt, or both, or whose claim or reason does not exist.
    """
    known = {claim.id: claim for claim in claims.load()}
    found = []
    for name in files.numeral_files() if source is None else [source]:
        for row in files.read_csv(f"numerals/{name}.csv"):
            numeral = Numeral(name, int(row["line"]), row["numeral"], row["claim"], row["exempt"])
            _check(numeral, known)
            found.append(numeral)
    return found


def _check(numeral, known):
    place = f"numeral {numeral.text} in line {numeral.line} of {numeral.source}"
    if bool(numeral.claim) == bool(numeral.exempt):
        raise NumeralError(f"{place} needs a claim, or a reason why it has none, and not both")
    if numeral.exempt and numeral.exempt not in REASONS:
        raise NumeralError(f"{place} is exempt as {numeral.exempt!r}; it is one of {', '.join(REASONS)}")
    if numeral.claim and (numeral.claim not in known or known[numeral.claim].source != numeral.source):
        raise NumeralError(f"{place} names the claim {numeral.claim!r}, which data/claims/{numeral.source}.toml does not have")


def says(claim: claims.Claim, numeral: str) -> bool:
    """Whether `claim` has the value of `numeral` in its printed digits, its statement or what it is given; words always pass."""
    if not numeral[0].isdigit():
        return True
    told = " ".join((claim.printed, claim.statement, claim.place, *(str(value) for value in _values(claim.given)), *(str(value) for value in _values(claim.against))))
    value = _value(numeral)
    return any(abs(value * scale - other) <= 1e-9 * abs(other) for other in map(_value, re.findall(DIGITS, told)) for scale in _MYRIADS)


def _values(given):
    return (given or {}).values()


def _value(digits):
    parts = digits.split(",")
    grouped = len(parts) > 1 and all(len(part.split(".")[0]) == 3 for part in parts[1:])
    whole = "".join(parts) if grouped else parts[0]
    return float(whole) if whole.count(".") < 2 else float(whole.split(".")[0])


def compare(source: str, text: str) -> None:
    """Raise `NumeralError` at the first place where the record of `source` and the numerals of `text` differ."""
    recorded = [(numeral.line, numeral.text) for numeral in load(source)]
    for ours, theirs in zip(recorded, listed(text)):
        if ours != theirs:
            raise NumeralError(f"data/numerals/{source}.csv has {ours[1]} in line {ours[0]}, the text {theirs[1]} in line {theirs[0]}")
    if len(recorded) != len(listed(text)):
        raise NumeralError(f"data/numerals/{source}.csv has {len(recorded)} numerals, the text {len(listed(text))}")


def numeric_claims() -> frozenset[str]:
    """Ids of the claims that state a number: a numeral is in them, or digits are printed in them."""
    return frozenset(numeral.claim for numeral in load() if numeral.claim) | {claim.id for claim in claims.load() if claim.printed}


def counts() -> list[tuple[str, int, int, int, Counter]]:
    """For each source document: its numerals, how many are in claims, how many are exempt, and the exempt by reason."""
    found = []
    for name in files.numeral_files():
        numerals = load(name)
        exempt = Counter(numeral.exempt for numeral in numerals if numeral.exempt)
        found.append((name, len(numerals), len(numerals) - exempt.total(), exempt.total(), exempt))
    return found


def told() -> str:
    """The counts as lines of text, all sources together at the end."""
    lines = [f"{name}: {every} numerals, {inside} in claims, {outside} exempt ({', '.join(f'{count} {reason}' for reason, count in exempt.most_common())})"
             for name, every, inside, outside, exempt in counts()]
    sums = [sum(column) for column in zip(*(row[1:4] for row in counts()))]
    return "\n".join([*lines, f"all: {sums[0]} numerals, {sums[1]} in claims, {sums[2]} exempt"])
