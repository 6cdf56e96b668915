"""Statements of the source documents with their verdicts: those of one chapter, and the whole ledger."""

from collections import Counter

from .. import claims as claims_module
from .. import numerals
from ..claims import FROM_DIGITS, FROM_REASON, Claim
from .frontend import Markup, escape
from .tables import inline, table

VERDICTS = FROM_DIGITS + FROM_REASON
ORDINALS = {"000": "first", "001": "second", "002": "third", "003": "fourth", "004": "fifth"}
GROUPS = (("that are not right as they stand", ("wrong", "unsupported", "outdated", "definition")),
          ("that are right under a condition, or roughly", ("depends", "coarse")), ("that hold", ("exact", "rounding")))


def claims_list(chapter: str) -> Markup:
    """Statements of the source documents that `chapter` treats, each with its verdict.

    Those that are not right stand open; those that need a condition, and those that hold, are folded.
    """
    found = claims_module.load(chapter)
    markup = ""
    for title, verdicts in GROUPS:
        chosen = sorted((claim for claim in found if claim.verdict in verdicts), key=lambda claim: verdicts.index(claim.verdict))
        is_open = " open" if verdicts[0] == "wrong" else ""
        markup += (f'<details class="claims"{is_open}><summary>{len(chosen)} statements {title}</summary>'
                   f"{''.join(map(_claim, chosen))}</details>")
    return Markup(markup)


def ledger(source: str) -> Markup:
    """Every statement of one source document: what it says, the verdict, what we compute, and the chapter that treats it.

    The page can be searched and filtered where scripts run; without them all of it is there.
    """
    found = [claim for claim in claims_module.load() if claim.source == source]
    rows = "".join(f'<div class="claim" id="{claim.id}" data-verdict="{claim.verdict}" data-source="{claim.source}" data-chapter="{claim.chapter}"'
                   f' data-computed="{"yes" if claim.formula else "no"}">{_said(claim)}{_answer(claim, both=True)}</div>' for claim in found)
    return Markup(f'<div class="ledger" data-ledger>{rows}</div>')


def lessons() -> Markup:
    """The statements from which most is to be learned, each with its lesson, in the order of `data/lessons.toml`."""
    known = {claim.id: claim for claim in claims_module.load()}
    items = "".join(f'<li><p><b>{escape(lesson)}</b></p><div class="claim">{_said(known[key])}{_answer(known[key])}</div></li>' for key, lesson in claims_module.lessons())
    return Markup(f'<ol class="lessons">{items}</ol>')


def verdicts_table() -> Markup:
    """How many statements of each source document have which verdict, how many state a number, and how many of those are recomputed."""
    known, rows = claims_module.load(), []
    numbered = numerals.numeric_claims()
    for source in [*sorted({claim.source for claim in known}), ""]:
        chosen = [claim for claim in known if source in ("", claim.source)]
        by_verdict = Counter(claim.verdict for claim in chosen)
        numeric = [claim for claim in chosen if claim.id in numbered]
        rows.append((_named(source) if source else "all", *(f"{by_verdict[verdict]}" for verdict in VERDICTS), f"{len(chosen)}", f"{len(numeric)}", f"{sum(bool(claim.formula) for claim in numeric)}"))
    return table(("Source", *VERDICTS, "Statements", "With numbers", "Recomputed"), rows, "Verdicts by source document", numbers=range(1, len(VERDICTS) + 4))


def numerals_table() -> Markup:
    """How many numerals each source document has, how many are in a statement, and why the others are not."""
    rows = [(_named(source), f"{every}", f"{inside}", f"{outside}", ", ".join(f"{count} {reason}" for reason, count in exempt.most_common()))
            for source, every, inside, outside, exempt in numerals.counts()]
    return table(("Source", "Numerals", "In a statement", "Exempt", "Why exempt"), rows, "Numerals of the source documents", numbers=(1, 2, 3))


def reasons_table() -> Markup:
    """What each reason to leave a numeral out means."""
    return table(("Exempt as", "Which is"), list(numerals.REASONS.items()), "Reasons why a numeral needs no statement")


def unsupported_table() -> Markup:
    """The statements for which no support was found, with the chapter that treats each."""
    rows = [(_named(claim.source), claim.statement, inline(_link(claim))) for claim in claims_module.load() if claim.verdict == "unsupported"]
    return table(("Source", "Statement", "Chapter"), rows, "Statements without support")


def _named(source: str) -> str:
    return f"{ORDINALS.get(source, '')} ({source})"


def _claim(claim: Claim) -> str:
    return f'<div class="claim">{_said(claim)}{_answer(claim, linked=False)}</div>'


def _said(claim: Claim) -> str:
    return (f'<p><span class="verdict {claim.verdict}">{claim.verdict}</span> {escape(claim.statement)} '
            f'<span class="source">{escape(claim.source)}, {escape(claim.place)}</span></p>')


def _answer(claim: Claim, both: bool = False, linked: bool = True) -> str:
    digits = ""
    if claim.formula:
        ours = f"{claims_module.evaluate(claim):.4g} {claim.unit}".strip()
        digits = f"Printed {claim.printed} {claim.unit}, computed {ours}. ".replace(" ,", ",") if claim.printed else f"Computed {ours}. "
    told = " ".join(filter(None, (claim.right, claim.why))) if both else claim.right or claim.why
    return f"<p>{escape(digits + told)}{' ' + _link(claim) if linked else ''}</p>"


def _link(claim: Claim) -> str:
    return f'<a class="treated" href="{claim.chapter}.html#against-the-evidence">{claim.chapter.replace("_", " ")}</a>'
