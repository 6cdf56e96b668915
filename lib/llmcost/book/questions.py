"""Questions to the reader: commit to a number first, or check an exercise. Usual slips are recognized."""

from collections.abc import Mapping

from ..formats import format_value, three_digits
from .frontend import Interactive, data_block, escape, identifier


def grade(answer: float, right: float, slips: Mapping[str, float] = {}, within: float = 0.01) -> str:
    """What to say to `answer`: right, or how far off and by which known slip.

    `slips` maps a description to the number that this slip leads to; `within` is the relative tolerance.

    >>> slips = {"query heads used where KV heads belong": 2_621_440}
    >>> grade(327_680, 327_680, slips), grade(2_621_440, 327_680, slips), grade(163_840, 327_680, slips)
    ('Right.', '8x too large: query heads used where KV heads belong.', '2x too small.')
    """
    if abs(answer - right) <= within * abs(right):
        return "Right."
    size = _how_far_off(answer, right)
    slip = next((slip for slip, value in slips.items() if abs(answer - value) <= within * abs(value)), None)
    return f"{size}: {slip}." if slip else f"{size}."


def _how_far_off(answer: float, right: float) -> str:
    """How far `answer` is from `right`; without a ratio where there is none (zero, or different signs)."""
    direction = "too large" if answer > right else "too small"
    ratio = answer / right if right else 0
    if not 0 < max(ratio, 1 / ratio if ratio > 0 else 0) < float("inf"):
        return direction.capitalize()
    factor = f"{three_digits(max(ratio, 1 / ratio)):,f}"
    if "." in factor:
        factor = factor.rstrip("0").rstrip(".")
    return f"Slightly {direction}" if factor == "1" else f"{factor}x {direction}"


class Question(Interactive):
    """A form on the page; in a live notebook also a function of the reader's number."""

    def __init__(self, kind: str, id: str, text: str, answer: float, unit: str, explanation: str,
                 slips: Mapping[str, float], within: float):
        self.answer, self.slips, self.within = float(answer), dict(slips), within
        for slip, value in self.slips.items():
            if abs(value - self.answer) <= 2 * within * abs(self.answer):
                raise ValueError(f"question {id}: the slip {slip!r} gives {value}, which cannot be told from the answer")
        spec = {"id": id, "kind": kind, "unit": unit, "answer": self.answer, "within": within,
                "slips": [{"value": value, "text": slip} for slip, value in self.slips.items()]}
        super().__init__(
            f'<form class="question {kind}" id="{identifier(id)}" data-question><p class="question-text">{text}</p>'
            f'<div class="question-controls"></div><p class="question-verdict" role="status" aria-live="polite"></p>'
            f'<details class="question-answer"><summary>Answer</summary>'
            f'<p><strong>{escape(format_value(self.answer, unit))}</strong>. {explanation}</p></details>'
            f'{data_block(spec)}</form>')

    def __call__(self, answer: float) -> str:
        """What to say to the reader's `answer`, in base units."""
        return grade(answer, self.answer, self.slips, self.within)


def predict(id: str, text: str, answer: float, unit: str, explanation: str,
            slips: Mapping[str, float] = {}) -> Question:
    """Ask for a number before the text gives it: `answer` is computed, never typed."""
    return Question("predict", id, text, answer, unit, explanation, slips, within=0.1)


def check(id: str, text: str, answer: float, unit: str, explanation: str,
          slips: Mapping[str, float] = {}, within: float = 0.01) -> Question:
    """An exercise that the page checks: `slips` maps each usual mistake to the number it leads to."""
    return Question("check", id, text, answer, unit, explanation, slips, within)
