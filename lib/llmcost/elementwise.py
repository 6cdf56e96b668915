"""Maximum, minimum, rounding and a choice for whatever a formula is called with.

Python's `max` and `if` fail on symbols and on arrays; these do not.
A number, a NumPy array, a Pint quantity and a SymPy expression each get their own
operation. Nothing is imported here: an argument can only be an array or a symbol
if its library is loaded already.
"""

import math
import sys


def _library(name: str, kind: str, *values):
    """Return the module `name` when one of `values` is an instance of its `kind`."""
    module = sys.modules.get(name)
    if module is not None and any(isinstance(v, getattr(module, kind)) for v in values):
        return module
    return None


def maximum(a, b):
    """The larger of `a` and `b`, element by element.

    >>> maximum(2, 3)
    3
    """
    if sympy := _library("sympy", "Basic", a, b):
        return sympy.Max(a, b)
    if numpy := _library("numpy", "ndarray", a, b):
        return numpy.maximum(a, b)
    return a if a > b else b


def minimum(a, b):
    """The smaller of `a` and `b`, element by element.

    >>> minimum(2, 3)
    2
    """
    if sympy := _library("sympy", "Basic", a, b):
        return sympy.Min(a, b)
    if numpy := _library("numpy", "ndarray", a, b):
        return numpy.minimum(a, b)
    return a if a < b else b


def ceil(x):
    """The smallest whole number not below `x`.

    >>> ceil(2.1)
    3
    """
    if sympy := _library("sympy", "Basic", x):
        return sympy.ceiling(x)
    if numpy := _library("numpy", "ndarray", x):
        return numpy.ceil(x)
    return math.ceil(x)


def floor(x):
    """The largest whole number not above `x`.

    >>> floor(2.9)
    2
    """
    if sympy := _library("sympy", "Basic", x):
        return sympy.floor(x)
    if numpy := _library("numpy", "ndarray", x):
        return numpy.floor(x)
    return math.floor(x)


def sqrt(x):
    """The square root of `x`.

    >>> sqrt(9)
    3.0
    """
    if sympy := _library("sympy", "Basic", x):
        return sympy.sqrt(x)
    return x ** 0.5


def positive_part(x):
    """`x` where it is positive, else 0, in the unit of `x`.

    >>> positive_part(-3), positive_part(3)
    (0, 3)
    """
    return maximum(x, 0 * x)


def where_above(x, limit, above, below):
    """`above` where `x` is larger than `limit`, else `below`.

    >>> where_above(3, 2, "yes", "no"), where_above(2, 2, "yes", "no")
    ('yes', 'no')
    """
    if sympy := _library("sympy", "Basic", x, limit):
        return sympy.Piecewise((above, x > limit), (below, True))
    if numpy := _library("numpy", "ndarray", x, limit):
        return numpy.where(x > limit, above, below)
    return above if x > limit else below


def real(x):
    """`x` as float64 where it is a NumPy integer, which would overflow silently; else `x`.

    >>> real(3)
    3
    """
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(x, (numpy.ndarray, numpy.generic)):
        return numpy.asarray(x, dtype=numpy.float64)[()]
    return x
