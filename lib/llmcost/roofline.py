"""Bytes and FLOPs become seconds: the roofline, the utilizations, and the matrix product behind both.

A machine can be limited by what it computes or by what it moves. Which of the two it is depends on one
number, the FLOPs done for each byte moved. Source: Williams 2009.
"""

from math import inf

from .elementwise import maximum, minimum, real, where_above
from .units import (Bytes, BytesPerElement, BytesPerParam, BytesPerSecond, Count, Flop, FlopPerByte, FlopPerSecond,
                    Fraction, Seconds, Tokens)

# --- the machine -------------------------------------------------------------------------------

def ridge_point(peak_flops: FlopPerSecond, memory_bandwidth: BytesPerSecond) -> FlopPerByte:
    """FLOPs for each byte at which computing takes as long as reading.

    >>> round(ridge_point(peak_flops=989e12, memory_bandwidth=3.35e12))
    295
    """
    return peak_flops / memory_bandwidth


def attainable_flops(intensity: FlopPerByte, peak_flops: FlopPerSecond,
                     memory_bandwidth: BytesPerSecond) -> FlopPerSecond:
    """The roofline: FLOP/s that work with `intensity` FLOPs for each byte can reach.

    >>> attainable_flops(intensity=2, peak_flops=100, memory_bandwidth=10)
    20
    """
    return minimum(peak_flops, intensity * memory_bandwidth)


def roofline_seconds(work_flops: Flop, moved_bytes: Bytes, peak_flops: FlopPerSecond,
                     memory_bandwidth: BytesPerSecond) -> Seconds:
    """Least time of work that computes and moves at the same time: the longer of the two.

    >>> roofline_seconds(work_flops=200, moved_bytes=50, peak_flops=100, memory_bandwidth=10)
    5.0
    """
    return maximum(work_flops / peak_flops, moved_bytes / memory_bandwidth)


def computing_seconds(work_flops: Flop, n_gpus: Count, peak_flops: FlopPerSecond, compute_efficiency: Fraction) -> Seconds:
    """Time to compute at a share of the peak, the MFU; at 1, full speed.

    >>> computing_seconds(work_flops=200, n_gpus=2, peak_flops=100, compute_efficiency=0.5)
    2.0
    """
    return work_flops / (real(n_gpus) * peak_flops) / compute_efficiency


def reading_seconds(moved_bytes: Bytes, n_gpus: Count, memory_bandwidth: BytesPerSecond,
                    bandwidth_efficiency: Fraction) -> Seconds:
    """Time to read or write at a share of the bandwidth, the MBU; at 1, full bandwidth.

    >>> reading_seconds(moved_bytes=50, n_gpus=1, memory_bandwidth=10, bandwidth_efficiency=0.5)
    10.0
    """
    return moved_bytes / (real(n_gpus) * memory_bandwidth) / bandwidth_efficiency


def pass_seconds(computing_seconds: Seconds, reading_seconds: Seconds) -> Seconds:
    """Time of a pass that computes and reads at the same time: the longer of the two.

    >>> pass_seconds(computing_seconds=2.0, reading_seconds=0.5)
    2.0
    """
    return maximum(computing_seconds, reading_seconds)



# --- how well it is used -------------------------------------------------------------------------

def model_flops_utilization(work_flops: Flop, measured_seconds: Seconds, n_gpus: Count,
                            peak_flops: FlopPerSecond) -> Fraction:
    """MFU: FLOPs that the model needs, over those that the GPUs could have done in the time.

    >>> model_flops_utilization(work_flops=100, measured_seconds=2, n_gpus=1, peak_flops=100)
    0.5
    """
    return work_flops / (measured_seconds * real(n_gpus) * peak_flops)


def memory_bandwidth_utilization(moved_bytes: Bytes, measured_seconds: Seconds, n_gpus: Count,
                                 memory_bandwidth: BytesPerSecond) -> Fraction:
    """MBU: bytes that the model needs to read, over those that the GPUs could have read in the time.

    >>> memory_bandwidth_utilization(moved_bytes=50, measured_seconds=10, n_gpus=1, memory_bandwidth=10)
    0.5
    """
    return moved_bytes / (measured_seconds * real(n_gpus) * memory_bandwidth)


# --- one matrix product ---------------------------------------------------------------------------

def matmul_flops(rows: Tokens, inner: Count, columns: Count) -> Flop:
    """FLOPs of a product of [rows, inner] and [inner, columns]: a multiplication and an addition for each triple.

    >>> matmul_flops(rows=2, inner=3, columns=4)
    48
    """
    return 2 * real(rows) * real(inner) * real(columns)


def matmul_bytes(rows: Tokens, inner: Count, columns: Count, weight_bytes_per_param: BytesPerParam,
                 activation_bytes_per_element: BytesPerElement) -> Bytes:
    """Bytes that the product moves at least: activations in, weights in, activations out, each once.

    >>> matmul_bytes(rows=2, inner=3, columns=4, weight_bytes_per_param=1, activation_bytes_per_element=2)
    40
    """
    weights = real(inner) * real(columns) * weight_bytes_per_param
    return weights + real(rows) * (real(inner) + columns) * activation_bytes_per_element


def matmul_intensity(matmul_flops: Flop, matmul_bytes: Bytes) -> FlopPerByte:
    """FLOPs for each byte that the product moves.

    >>> matmul_intensity(matmul_flops=48, matmul_bytes=40)
    1.2
    """
    return matmul_flops / matmul_bytes


def matmul_seconds(matmul_flops: Flop, matmul_bytes: Bytes, peak_flops: FlopPerSecond,
                   memory_bandwidth: BytesPerSecond) -> Seconds:
    """Least time of the product on one GPU.

    >>> matmul_seconds(matmul_flops=200, matmul_bytes=50, peak_flops=100, memory_bandwidth=10)
    5.0
    """
    return roofline_seconds(matmul_flops, matmul_bytes, peak_flops, memory_bandwidth)


def critical_rows(inner: Count, columns: Count, ridge_point: FlopPerByte, weight_bytes_per_param: BytesPerParam,
                  activation_bytes_per_element: BytesPerElement) -> Tokens:
    """Rows (tokens) at which the product turns from memory-bound to compute-bound.

    It is `matmul_intensity` = `ridge_point`, solved for the rows; infinite where activations alone keep
    the memory busy, because the matrix is so narrow.

    >>> round(critical_rows(inner=8192, columns=28672, ridge_point=295.2, weight_bytes_per_param=2,
    ...                     activation_bytes_per_element=2))
    310
    """
    spare = 2 - ridge_point * activation_bytes_per_element * (1 / columns + 1 / inner)
    rows = ridge_point * weight_bytes_per_param / where_above(spare, 0, spare, 1)
    return where_above(spare, 0, rows, inf)


# --- the napkin: weights only -----------------------------------------------------------------------

def seats(ridge_point: FlopPerByte, weight_bytes_per_param: BytesPerParam) -> Tokens:
    """Tokens in one pass that the weights can carry before computing takes longer than reading them.

    Each byte of weights read serves every token of the pass, with 2 FLOPs for each parameter and token.

    >>> seats(ridge_point=295.2, weight_bytes_per_param=2)
    295.2
    """
    return ridge_point * weight_bytes_per_param / 2


def fare(seats: Tokens, passengers: Tokens) -> Count:
    """Time of a pass for each token in it, over that of a token in a full pass.

    >>> fare(seats=300, passengers=100), fare(seats=300, passengers=600)
    (3.0, 1)
    """
    return maximum(seats / passengers, 1)
