"""One style for every Matplotlib figure: readable on a phone, in the dark and without color."""

import matplotlib.pyplot as plt
from cycler import cycler

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's colors, which stay apart for readers who see few of them."""

_STYLE = {
    "figure.figsize": (7, 3.6), "figure.dpi": 110, "savefig.facecolor": "white", "figure.facecolor": "white",
    "font.size": 11, "axes.titlesize": 11, "axes.titlelocation": "left", "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25, "grid.linewidth": 0.6, "lines.linewidth": 2,
    "legend.frameon": False, "image.cmap": "cividis",
    "axes.prop_cycle": cycler(color=COLORS) + cycler(linestyle=["-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1))]),
}


def style() -> None:
    """Set the book's figure style for the notebook."""
    plt.rcParams.update(_STYLE)
