"""What a row of the notation table says."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Quantity:
    """What a parameter name means.

    Attributes
    ----------
    symbol : LaTeX
    unit : as in `llmcost.units`
    label : words for a slider or a table, first letter small
    low, high : the range that occurs in practice, ends included
    scale : "linear" or "log", how a slider moves
    whole : only whole numbers make sense
    """

    symbol: str
    unit: str
    label: str
    low: float
    high: float
    scale: str = "log"
    whole: bool = True
