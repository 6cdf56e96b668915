"""The rooms of the museum as text with equations, and its table of right numbers."""

import re
from collections.abc import Mapping

from .. import faces, museum
from ..formats import format_value, three_digits
from ..museum import truth
from .frontend import Markup, escape
from .tables import table


class Room:
    """Every exhibit of one room: the symptom first, then both formulas, the size, where it was seen. Shows itself as Markdown."""

    def __init__(self, key: str):
        self.exhibits = museum.rooms()[key][1]

    def _repr_markdown_(self) -> str:
        return "\n\n".join(_card(exhibit, is_open=exhibit is self.exhibits[0]) for exhibit in self.exhibits)

    def __repr__(self) -> str:
        return "\n".join(f"{exhibit.id}: {_size(exhibit, exhibit.cases[0])}" for exhibit in self.exhibits)


def museum_room(key: str) -> Room:
    """The exhibits of a room of `data/museum.toml`."""
    return Room(key)


def _card(exhibit: museum.Exhibit, is_open: bool) -> str:
    lines = [("wrong", exhibit.wrong), *exhibit.shown]
    equations = r" \\ ".join(rf"\text{{{label}}} &\quad {_latex(formula)}" for label, formula in lines)
    told = [f"**Size.** {'; '.join(_size(exhibit, case) for case in exhibit.cases)}.", f"**Why it is natural.** {exhibit.natural}"]
    if "model" in exhibit.cases[0]:
        told.append(f"**Right by luck** {_some(museum.right_by_luck(exhibit))}.")
    if exhibit.printed:
        told.append("\n".join(["| Digits in the threads | On | Computed | Verdict |", "|---|---|---|---|", *(_printed(exhibit, one) for one in exhibit.printed)]))
    seen = [f"- [{thread.name}]({thread.url}), {thread.what}, *{thread.state}* when seen on {thread.seen}. {thread.told}" for thread in exhibit.threads]
    return "\n".join([
        f'<details class="claims" id="{exhibit.id}"{" open" if is_open else ""}>',
        f'<summary>{escape(exhibit.symptom)} <span class="source">{_how_far(exhibit.factor())}</span></summary>', "",
        f"**{exhibit.title}** (`{exhibit.id}`)", "", rf"$$\begin{{aligned}} {equations} \end{{aligned}}$$", "", *(f"{one}\n" for one in told), *seen, "",
        "</details>"])


def _latex(formula) -> str:
    """The equation, constants with no more than four digits and round ones as powers of ten."""
    short = re.sub(r"\d+\.\d{4,}", lambda number: f"{float(number[0]):.4g}", faces.latex(formula))
    return re.sub(r"\b(\d+?)(0{6,})\b", lambda number: _power(number[1], len(number[2])), short)


def _power(digits: str, zeros: int) -> str:
    power = f"10^{{{zeros + len(digits) - 1}}}"
    return power if digits == "1" else rf"{int(digits) / 10 ** (len(digits) - 1):g} \cdot {power}"


def _how_far(factor: float) -> str:
    times = f"{three_digits(max(factor, 1 / factor)):,f}"
    return f"{times.rstrip('0').rstrip('.') if '.' in times else times} times too {'large' if factor > 1 else 'small'}"


def _size(exhibit: museum.Exhibit, case: Mapping) -> str:
    wrong, right = museum.value(exhibit.wrong, case), museum.value(exhibit.right, case)
    on = f" ({_on(case)})" if _on(case) else ""
    return f"{format_value(wrong, exhibit.unit)} where {format_value(right, exhibit.unit)} is right, {_how_far(wrong / right)}{on}"


def _on(case: Mapping) -> str:
    """The model or GPU of a case, and its numbers in words."""
    tokens = case.get("context", case.get("prompt_tokens"))
    parts = [museum.case_name(case), format_value(tokens, "token") if tokens else "", f"{case['n_gpus']} GPUs" if case.get("n_gpus", 1) > 1 else "",
             f"a batch of {case['batch']}" if "batch" in case else ""]
    return ", ".join(filter(None, parts))


def _some(names: list[str], most: int = 5) -> str:
    """Up to `most` of the names, and how many there are besides."""
    if not names:
        return "for no model of the catalog"
    rest = len(names) - most
    return f"for {', '.join(names[:most])}{f' and {rest} others' if rest > 0 else ''}"


def _printed(exhibit: museum.Exhibit, printed: museum.Printed) -> str:
    """One row of the table of digits."""
    words = {"wrong": "wrong", "right": "right", "factor": "factor", "shortfall": "factor", "excess": "excess"}
    unit = printed.unit or {"usd": "dollars", "joule/token": "J"}.get(exhibit.unit, "")
    on = ", ".join(filter(None, (_on(printed.case), f"{printed.times} conversations" if printed.times > 1 else ""))) or "–"
    return f"| {printed.digits} {unit}, {words[printed.of]} | {on} | {printed.ours():,.6g} | *{printed.verdict}* |"


def truth_table() -> Markup:
    """The truth table, one row for each model: parameters, and bytes of state at each context that it takes."""
    by_model: dict[str, dict] = {}
    for row in truth.rows():
        one = by_model.setdefault(row["name"], {"counts": (row["parameters"], row["active_parameters"]), "states": {}})
        one["states"][row["context"]] = row["state_bytes"]
        one["last"] = row["next_token_bytes"]
    rows = [(name, *(f"{count:,}" for count in one["counts"]), *(f"{one['states'][context]:,}" for context in truth.CONTEXTS[:2] if context in one["states"]),
             *(("–",) * (sum(context not in one["states"] for context in truth.CONTEXTS[:2]))),
             f"{max(one['states']):,}", f"{one['states'][max(one['states'])]:,}", f"{one['last']:,}") for name, one in by_model.items()]
    return table(("Model", "Parameters", "Active", "Bytes at 1 token", "At 4,096", "Longest here", "Bytes there", "Next token there"), rows,
                 "Right numbers: BF16 caches, FP32 running sums", numbers=range(1, 8))
