"""Equations in the page, printed by the formulas themselves."""

from collections.abc import Callable

from .. import faces


class Equation:
    """One or more formulas as display mathematics."""

    def __init__(self, lines: list[tuple[str, str]]):
        self._lines = lines

    def _repr_latex_(self) -> str:
        rows = r" \\ ".join(rf"\text{{{label}}} &= {body}" for label, body in self._lines)
        return rf"$$\begin{{aligned}} {rows} \end{{aligned}}$$"

    def __repr__(self) -> str:
        return "; ".join(f"{label} = {body}" for label, body in self._lines)


def equation(*pairs, follow: bool = False) -> Equation:
    """Labels and formulas in turn, as equations in the symbols of the notation table.

    `follow` replaces each parameter that is itself a formula, down to the facts.
    """
    labels, formulas = pairs[::2], pairs[1::2]
    return Equation([(label.replace("_", r"\_"), faces.latex(formula, follow)) for label, formula in zip(labels, formulas, strict=True)])
