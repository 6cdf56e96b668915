"""Measure a machine that runs NumPy, so that the formulas for an accelerator can predict it: bandwidth, FLOPs, fixed time.

Each figure is the best of several runs: whatever else the machine does makes it slower, never faster.
"""

import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy

READ_BYTES = 512 * 2**20
"""Bytes of what is read: more than any cache holds."""


@dataclass(frozen=True)
class Machine:
    """A machine as measured, with facts by the names that formulas take, in base units.

    Attributes
    ----------
    name : what the machine says of itself
    facts : "memory_bandwidth" (of a product of one row and a matrix, which reads each element once), "thin_bandwidth" (the same with
        a few rows, for which a library first packs the matrix), "peak_flops" (of a large product), "layer_overhead_seconds" when it
        was measured, "copy_bandwidth" for comparison (bytes read and written)
    """

    name: str
    facts: Mapping[str, float]


def best_seconds(function: Callable[[], object], runs: int = 5) -> float:
    """Shortest time of `runs` calls.

    >>> best_seconds(lambda: time.sleep(0.01)) >= 0.01
    True
    """
    def once():
        begin = time.perf_counter()
        function()
        return time.perf_counter() - begin

    return min(once() for _ in range(runs))


def copy_bandwidth(dtype=numpy.float64, runs: int = 5) -> float:
    """Bytes each second, read and written, of a copy of `READ_BYTES`."""
    source = numpy.ones(READ_BYTES // numpy.dtype(dtype).itemsize, dtype=dtype)
    target = numpy.empty_like(source)
    return 2 * source.nbytes / best_seconds(lambda: numpy.copyto(target, source), runs)


def reading_bandwidth(dtype=numpy.float64, columns: int = 4096, runs: int = 5, rows: int = 1) -> float:
    """Bytes each second of a product of `rows` rows and a matrix of `READ_BYTES`: the work of a decode step of so many sequences."""
    matrix = numpy.ones((READ_BYTES // numpy.dtype(dtype).itemsize // columns, columns), dtype=dtype)
    left = numpy.ones((rows, len(matrix)), dtype=dtype)
    return matrix.nbytes / best_seconds(lambda: left @ matrix, runs)


def product_flops(rows: int = 1024, inner: int = 1024, columns: int = 4096, dtype=numpy.float64, runs: int = 5) -> float:
    """FLOPs each second of a product of [rows, inner] and [inner, columns]."""
    left, right = numpy.ones((rows, inner), dtype=dtype), numpy.ones((inner, columns), dtype=dtype)
    return 2 * rows * inner * columns / best_seconds(lambda: left @ right, runs)


def layer_overhead(step: Callable[[], object], n_layers: int, runs: int = 5) -> float:
    """Seconds of a layer in which there is next to nothing to read or to compute; `step` runs a decoder so narrow."""
    return best_seconds(step, runs) / n_layers


def machine(dtype=numpy.float64, runs: int = 5, **facts: float) -> Machine:
    """This machine, measured in a few seconds; further `facts`, such as "layer_overhead_seconds", go with it."""
    measured = {"memory_bandwidth": reading_bandwidth(dtype, runs=runs), "thin_bandwidth": reading_bandwidth(dtype, runs=runs, rows=4),
                "peak_flops": product_flops(dtype=dtype, runs=runs), "copy_bandwidth": copy_bandwidth(dtype, runs)}
    return Machine(f"{platform.machine()}, {os.cpu_count()} cores, {platform.python_implementation()} {platform.python_version()}",
                   measured | facts)
