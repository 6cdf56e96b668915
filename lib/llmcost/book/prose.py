"""Numbers in prose: values that print as a reader wants to see them, and the list of all that are quoted."""

from IPython import get_ipython

from ..formats import format_value

_drawn: dict[tuple[str, str], str] = {}


class Shown(float):
    """A number that computes like a float and prints with its unit.

    >>> Shown(327_680, "byte")
    328 kB
    """

    unit: str
    binary: bool

    def __new__(cls, value: float, unit: str, binary: bool = False):
        shown = super().__new__(cls, value)
        shown.unit, shown.binary = unit, binary
        format_value(value, unit, binary)  # an unknown unit fails here, not in the page
        return shown

    def __repr__(self):
        return format_value(self, self.unit, self.binary)

    __str__ = __repr__


def say(value: float, unit: str = "1", binary: bool = False) -> Shown:
    """`value` in base units, ready to be quoted in prose by its name: {eval}`name`.

    Raises `ValueError` for a unit without a format.
    """
    return Shown(value, unit, binary)


def drawn(title: str, label: str, points: list[tuple[float, float]]) -> None:
    """Remember a drawn series, so that `quoted` prints it and a change of its values fails a test."""
    step = max(1, (len(points) - 1) // 4)
    sample = " ".join(f"{x:.6g}:{y:.6g}" for x, y in points[::step])
    _drawn[title, label] = sample


def quoted() -> None:
    """Print each value that the chapter may quote, and each series that it draws.

    Prose is not compared when a notebook is tested. What is printed here is.
    """
    names = get_ipython().user_ns
    for name, value in names.items():
        if isinstance(value, Shown) and not name.startswith("_"):
            print(f"{name} = {value!r} ({float(value):.12g})")
    for (title, label), sample in _drawn.items():
        print(f"{title} | {label} | {sample}")
