"""The notation table: one row for each parameter name of the formulas.

A name is the contract. It is the Python argument, the key in the data files, the JavaScript
argument, the label of a slider and the row of the notation page. Some names are results: a formula
of that name computes them, and another formula takes them. Slider ranges, random samples
of the tests, LaTeX symbols and the unit check of the loader all come from here.
"""

from . import loads, machines, models, money, results
from .quantity import Quantity

_PARTS = (models.ROWS, loads.ROWS, money.ROWS, machines.ROWS, results.ROWS)
NOTATION: dict[str, Quantity] = {name: row for rows in _PARTS for name, row in rows.items()}
if len(NOTATION) < sum(map(len, _PARTS)):
    raise NameError("a name stands in two parts of the notation table")
