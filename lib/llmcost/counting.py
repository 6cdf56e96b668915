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

What the convention does not cover is refused. `numpy.asarray` is the way out: it gives a plain array, of which nothing
is counted any more. Two things NumPy tells nobody about: values written into a plain array, and the method `dot` of one.
"""

import dataclasses
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy

ELEMENTWISE = frozenset("add subtract multiply divide negative maximum sqrt exp log tanh square".split())
SUMMING = frozenset("add maximum".split())
MOVING = frozenset("concatenate where take_along_axis broadcast_to repeat swapaxes transpose reshape stack squeeze "
                   "expand_dims zeros_like argpartition argsort argmax moveaxis".split())
OPTIONS = frozenset("axis keepdims dtype casting order subok".split())


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
    _reads: dict[str, dict] = field(default_factory=dict)

    def watch(self, arrays, name: str = ""):
        """`arrays` as watched arrays: one, or any number nested in mappings, sequences and dataclasses.

        Nested arrays are named by the way to them, as in "weights.layers.0.attention.query". What is no array, a number
        for one, stays what it is.
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
        return {name: _distinct_bytes(reads.values()) for name, reads in self._reads.items()}

    def clear(self) -> None:
        """Forget all counts; watched arrays stay watched."""
        self.work.clear()
        self._reads.clear()

    def _add(self, name: str, flops: int, operands, result) -> None:
        work = self.work.setdefault(name, Work())
        work.flops += int(flops)
        work.read += sum(x.nbytes for x in operands)
        work.written += result.nbytes
        for x in operands:
            self._touch(x)

    def _touch(self, x, pick=None) -> None:
        """Note that `x` is read, if it has a name: all of it, or what `pick` picks out of an array of its shape."""
        if name := getattr(x, "name", ""):
            reads, place = self._reads.setdefault(name, {}), (x.__array_interface__["data"][0], x.shape, x.strides)
            reads.setdefault(len(reads) if pick else place, (_plain(x), pick))  # kept, so that its addresses stay its own


def _distinct_bytes(reads) -> int:
    """Bytes of different addresses in `reads`, pairs of an array and what was picked out of it."""
    found = []
    for x, pick in reads:
        addresses = numpy.full(x.shape, x.__array_interface__["data"][0])
        for axis, (size, stride) in enumerate(zip(x.shape, x.strides)):
            addresses += (numpy.arange(size) * stride).reshape(-1, *(1,) * (x.ndim - axis - 1))
        found.append(numpy.ravel(pick(addresses) if pick else addresses))
    return x.itemsize * numpy.unique(numpy.concatenate(found)).size


class Watched(numpy.ndarray):
    """An array that reports to a `Tally`. Made by `Tally.watch`.

    Raises `TypeError` for what the convention above does not cover, for arrays of two tallies in one operation, and for
    results that are to go into an array that is not watched.
    """

    tally: Tally
    name: str

    def __array_finalize__(self, source):
        self.tally = getattr(source, "tally", None)
        self.name = getattr(source, "name", "")

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        _refuse_uncounted(ufunc, method, options, out or ())
        operands = [x for x in inputs if isinstance(x, numpy.ndarray)]
        tally = _tally_of([*operands, *(out or ())])
        if out is not None:
            options["out"] = tuple(_plain(x) for x in out)
        inputs = [_plain(x) for x in inputs]
        result = getattr(ufunc, method)(*inputs, **options)
        tally._add(_operation(ufunc, operands), _flops(ufunc, method, inputs, result), operands, result)
        return out[0] if out is not None else _watched(result, tally)

    def __array_function__(self, function, types, args, options):
        if function.__name__ not in MOVING or "out" in options:
            into = " with out" if "out" in options else ""
            raise TypeError(f"numpy.{function.__name__}{into} is not counted; use operators, array methods or one of "
                            f"{', '.join(sorted(MOVING))}")
        arrays = list(_arrays_in((args, options)))
        tally, result = _tally_of(arrays), function(*_plain_all(args), **_plain_all(options))
        if isinstance(result, tuple):  # indices
            return result
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
                tally._touch(first, lambda places: function(places, *_plain_all(args[1:]), **_plain_all(options)))
        return _watched(result, tally, keeps)

    def __getitem__(self, index):
        result = super().__getitem__(index)
        if numpy.may_share_memory(numpy.asarray(result), _plain(self)):
            return result
        self.tally._touch(self, lambda places: places[_plain_all(index)])  # a number, or a copy of the chosen rows
        return _watched(result, self.tally)

    def __repr__(self):
        return repr(_plain(self))

    def __str__(self):
        return str(_plain(self))


def _refused(name):
    def refused(self, *_, **__):
        raise TypeError(f"{name} of a watched array is not counted, nor what follows from it; use operators, or numpy.asarray "
                        f"to leave the count")

    return refused


for _name in "dot trace item tolist __float__ __int__ __complex__ __reduce_ex__".split():
    setattr(Watched, _name, _refused(_name))
Watched.flat = property(_refused("flat"))


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
    """The one that all watched `arrays` report to."""
    first, *others = (x.tally for x in arrays if isinstance(x, Watched))
    if first is None or any(tally is not first for tally in others):
        raise TypeError("arrays of different tallies in one operation, or of none; watch all of them with one Tally")
    return first


def _refuse_uncounted(ufunc, method, options, out) -> None:
    """Raise `TypeError`, before anything is done, unless the convention says what an operation counts."""
    called = f"numpy.{ufunc.__name__}{'' if method == '__call__' else '.' + method}"
    known = (method == "__call__" and (ufunc is numpy.matmul or ufunc.__name__ in ELEMENTWISE)
             or method == "reduce" and ufunc.__name__ in SUMMING)
    if not known:
        raise TypeError(f"{called} is not counted; there are matmul, {', '.join(sorted(ELEMENTWISE))}, and the sums and maxima "
                        f"of an array")
    if strange := sorted(name for name in set(options) - OPTIONS if name != "where" or options[name] is not True):
        raise TypeError(f"{called} with {', '.join(strange)} is not counted; it may have {', '.join(sorted(OPTIONS))}")
    if not all(isinstance(x, Watched) for x in out):
        raise TypeError(f"{called} into an array that is not watched is not counted from there on; watch that array, too, or "
                        f"write x = x + y for x += y")


def _flops(ufunc, method, inputs, result) -> int:
    if ufunc is numpy.matmul:
        return 2 * numpy.size(result) * numpy.shape(inputs[0])[-1]
    return numpy.size(inputs[0] if method == "reduce" else result)


def _operation(ufunc, operands) -> str:
    """The last part of the name of the weight that is multiplied, or the function that asked."""
    if ufunc is numpy.matmul:
        for x in operands:
            if getattr(x, "name", "").startswith("weights."):
                return x.name.rpartition(".")[2]
    frame = sys._getframe(2)
    while frame is not None:
        module, function = frame.f_globals.get("__name__", ""), frame.f_code.co_name
        if module.partition(".")[0] != "numpy" and module != __name__ and not function.startswith("<"):
            return function
        if function == "<module>":
            break
        frame = frame.f_back
    return ufunc.__name__
