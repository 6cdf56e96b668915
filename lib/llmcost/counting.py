"""An array that counts the floating-point operations and bytes of what NumPy is asked to do with it.

    >>> import numpy
    >>> tally = Tally()
    >>> x, w = tally.watch(numpy.ones((2, 3))), tally.watch(numpy.ones((3, 4)), "weights.query")
    >>> _ = (x @ w) + 1
    >>> tally.flops
    {'query': 48, 'add': 8}

Code that works on arrays runs unchanged on watched arrays, and its results are watched too. What an
operation is called comes from the code: a matrix product with a weight is called like the weight,
anything else like the function that asked for it.

The convention is that of the field. A matrix product [m, n] x [n, o] is 2mno: a multiplication and an
addition into an accumulator that starts at zero. A sum of n numbers is n additions for the same reason.
Every other elementwise operation, a root or an exponential too, is 1. Comparisons that choose a maximum count;
moving, selecting and sorting do not.
"""

import dataclasses
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy

ELEMENTWISE = frozenset("add subtract multiply divide negative maximum sqrt exp log tanh square".split())
SUMMING = frozenset("add maximum".split())
MOVING = frozenset("concatenate where take_along_axis broadcast_to repeat swapaxes transpose reshape stack squeeze "
                   "expand_dims zeros_like argpartition argsort argmax moveaxis".split())


@dataclass
class Work:
    """What one operation was asked to do, added up: FLOPs, bytes of its operands, bytes of its results."""

    flops: int = 0
    read: int = 0
    written: int = 0


@dataclass
class Tally:
    """Counts of everything done with the arrays that `watch` returned, and with what followed from them.

    `work` has one `Work` for each operation.
    """

    work: dict[str, Work] = field(default_factory=dict)
    _places: dict[str, dict] = field(default_factory=dict)

    def watch(self, arrays, name: str = ""):
        """`arrays` as watched arrays: one, or any number nested in mappings, sequences and dataclasses.

        Nested arrays are named by the way to them, as in "weights.layers.0.attention.query".
        """
        def nested(value, key):
            return self.watch(value, f"{name}.{key}" if name else str(key))

        if isinstance(arrays, Mapping):
            return {key: nested(value, key) for key, value in arrays.items()}
        if isinstance(arrays, (list, tuple)):
            return [nested(value, i) for i, value in enumerate(arrays)]
        if dataclasses.is_dataclass(arrays):
            names = [part.name for part in dataclasses.fields(arrays)]
            return dataclasses.replace(arrays, **{part: nested(getattr(arrays, part), part) for part in names})
        return _watched(arrays, self, name) if isinstance(arrays, numpy.ndarray) else arrays

    @property
    def flops(self) -> dict[str, int]:
        """FLOPs by operation, those that have any."""
        return {name: work.flops for name, work in self.work.items() if work.flops}

    @property
    def touched(self) -> dict[str, int]:
        """Distinct bytes of each named array that were read, however often."""
        return {name: sum(places.values()) for name, places in self._places.items()}

    def clear(self) -> None:
        """Forget all counts; watched arrays stay watched."""
        self.work.clear()
        self._places.clear()

    def _add(self, name: str, flops: int, operands, result) -> None:
        work = self.work.setdefault(name, Work())
        work.flops += int(flops)
        work.read += sum(x.nbytes for x in operands)
        work.written += result.nbytes
        for x in operands:
            self._touch(x)

    def _touch(self, x, nbytes: int | None = None) -> None:
        """Note that `nbytes` of `x` are read, all that it has if none are given. A part of an array is told by its address."""
        if name := getattr(x, "name", ""):
            places, place = self._places.setdefault(name, {}), x.__array_interface__["data"][0]
            places[place] = max(places.get(place, 0), _distinct_bytes(x) if nbytes is None else nbytes)


def _distinct_bytes(x) -> int:
    """Bytes of `x` without the copies that broadcasting pretends."""
    return x.itemsize * math.prod(size for size, stride in zip(x.shape, x.strides) if stride)


class Watched(numpy.ndarray):
    """An array that reports to a `Tally`. Made by `Tally.watch`.

    Raises `TypeError` for a NumPy function that the convention above does not cover: nothing escapes the count.
    """

    tally: Tally
    name: str

    def __array_finalize__(self, source):
        self.tally = getattr(source, "tally", None)
        self.name = getattr(source, "name", "")

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        operands = [x for x in inputs if isinstance(x, numpy.ndarray)]
        tally = _tally_of([*operands, *(out or ())])
        if out is not None:
            options["out"] = tuple(_plain(x) for x in out)
        result = getattr(ufunc, method)(*map(_plain, inputs), **options)
        tally._add(_operation(ufunc, operands), _flops(ufunc, method, inputs, result), operands, result)
        return out[0] if out is not None else _watched(numpy.asarray(result), tally)

    def __array_function__(self, function, types, args, options):
        if function.__name__ not in MOVING:
            raise TypeError(f"numpy.{function.__name__} is not counted; use operators, array methods or one of "
                            f"{', '.join(sorted(MOVING))}")
        arrays = list(_arrays_in((args, options)))
        tally, result = _tally_of(arrays), function(*_plain_all(args), **_plain_all(options))
        first = arrays[0]
        if function is numpy.concatenate:  # what extends a named array is called like it
            keeps = getattr(first, "name", "")
            for x in () if keeps else arrays:
                tally._touch(x)
        elif result.size and numpy.may_share_memory(result, _plain(first)):
            keeps = getattr(first, "name", "")
        else:
            keeps = ""
            if function is numpy.take_along_axis:
                tally._touch(first, result.nbytes)
        return _watched(result, tally, keeps)

    def __getitem__(self, index):
        result = super().__getitem__(index)
        if not isinstance(result, Watched):
            return _watched(numpy.asarray(result), self.tally)
        if not numpy.may_share_memory(_plain(result), _plain(self)):  # a copy of the chosen rows
            self.tally._touch(self, result.nbytes)
            result.name = ""
        return result

    def __repr__(self):
        return repr(_plain(self))

    __str__ = __repr__

    def dot(self, *_):
        """Refused: a product through this method would not be counted."""
        raise TypeError("array.dot is not counted; use the operator @")


def _watched(array, tally: Tally, name: str = "") -> Watched:
    found = numpy.asarray(array).view(Watched)
    found.tally, found.name = tally, name
    return found


def _plain(x):
    return x.view(numpy.ndarray) if isinstance(x, Watched) else x


def _plain_all(values):
    if isinstance(values, dict):
        return {name: _plain_all(value) for name, value in values.items()}
    return type(values)(map(_plain_all, values)) if isinstance(values, (list, tuple)) else _plain(values)


def _arrays_in(values):
    for value in values.values() if isinstance(values, dict) else values:
        if isinstance(value, (list, tuple, dict)):
            yield from _arrays_in(value)
        elif isinstance(value, numpy.ndarray):
            yield value


def _tally_of(arrays) -> Tally:
    return next(x.tally for x in arrays if isinstance(x, Watched))


def _flops(ufunc, method, inputs, result) -> int:
    if method == "__call__" and ufunc is numpy.matmul:
        return 2 * result.size * inputs[0].shape[-1]
    if method == "__call__" and ufunc.__name__ in ELEMENTWISE:
        return numpy.size(result)
    if method == "reduce" and ufunc.__name__ in SUMMING:
        return inputs[0].size
    raise TypeError(f"numpy.{ufunc.__name__}{'' if method == '__call__' else '.' + method} is not counted; there are matmul, "
                    f"{', '.join(sorted(ELEMENTWISE))}, and the sums and maxima of an array")


def _operation(ufunc, operands) -> str:
    """The last part of the name of the weight that is multiplied, or the function that asked."""
    if ufunc is numpy.matmul:
        for x in operands:
            if getattr(x, "name", "").startswith("weights."):
                return x.name.rpartition(".")[2]
    frame = sys._getframe(2)
    while frame is not None:
        module, function = frame.f_globals.get("__name__", ""), frame.f_code.co_name
        if not module.startswith("numpy") and module != __name__ and not function.startswith("<"):
            return function
        if function == "<module>":
            break
        frame = frame.f_back
    return ufunc.__name__
