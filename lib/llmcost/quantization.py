"""What fewer bits buy: which ceiling each of them moves, from which batch on it pays, and in how many days.

Bits of weights move the bytes of a step and the memory; bits of the cache move both for each sequence; bits of activations move
the peak, where the machine multiplies in that format. Weight-only formats are multiplied in 16 bits after they are unpacked.
"""

from math import inf

from .elementwise import maximum, positive_part, real, where_above
from .units import (Bytes, BytesPerParam, BytesPerSecond, Count, Flop, FlopPerSecond, Fraction, Seconds, Sequences, Usd, UsdPerSecond)


def token_computing_seconds(token_multiplied_flops: Flop, n_gpus: Count, peak_flops: FlopPerSecond,
                            compute_efficiency: Fraction) -> Seconds:
    """Time that each sequence adds to the computing of a step.

    >>> token_computing_seconds(token_multiplied_flops=140e9, n_gpus=2, peak_flops=1e15, compute_efficiency=0.7)
    0.0001
    """
    return token_multiplied_flops / (real(n_gpus) * peak_flops * compute_efficiency)


def token_multiplied_flops(n_active_params: Count, n_lookup_params: Count, state_attention_flops: Flop) -> Flop:
    """FLOPs of one token of a decode step: 2 for each parameter that it is multiplied with, and attention.

    >>> token_multiplied_flops(n_active_params=110, n_lookup_params=10, state_attention_flops=40)
    240
    """
    return 2 * (n_active_params - n_lookup_params) + state_attention_flops


def sequence_reading_seconds(cache_read_bytes: Bytes, state_share: Fraction, fixed_traffic_bytes: Bytes, fixed_share: Fraction,
                             memory_bandwidth: BytesPerSecond, bandwidth_efficiency: Fraction) -> Seconds:
    """Time that each sequence adds to the reading of a step.

    >>> sequence_reading_seconds(1e9, state_share=0.5, fixed_traffic_bytes=0, fixed_share=1, memory_bandwidth=2e12,
    ...                          bandwidth_efficiency=0.5)
    0.0005
    """
    return (cache_read_bytes * state_share + fixed_traffic_bytes * fixed_share) / (memory_bandwidth * bandwidth_efficiency)


def narrow_step_seconds(batch: Sequences, weight_step_seconds: Seconds, sequence_reading_seconds: Seconds,
                        token_computing_seconds: Seconds) -> Seconds:
    """Time of a decode step in which the batch adds reading and computing in straight lines; no all-reduce, nothing fixed.

    >>> narrow_step_seconds(batch=100, weight_step_seconds=0.01, sequence_reading_seconds=1e-5, token_computing_seconds=2e-4)
    0.02
    """
    return maximum(weight_step_seconds + real(batch) * sequence_reading_seconds, real(batch) * token_computing_seconds)


def slower_from_batch(other_weight_step_seconds: Seconds, sequence_reading_seconds: Seconds,
                      token_computing_seconds: Seconds) -> Sequences:
    """Batch from which a format with fewer weight bytes and slower products is behind another one; infinite where it never is.

    `token_computing_seconds` is that of the slower products, `other_weight_step_seconds` of the other format, which is still
    reading there: the first computes as long as the other reads.

    >>> round(slower_from_batch(other_weight_step_seconds=0.01, sequence_reading_seconds=1e-5, token_computing_seconds=1.1e-4))
    100
    """
    spare = positive_part(token_computing_seconds - sequence_reading_seconds)
    return where_above(spare, 0, other_weight_step_seconds / where_above(spare, 0, spare, 1), inf)


def checkpoint_bytes(n_params: Count, n_lookup_params: Count, n_head_params: Count, weight_bytes_per_param: BytesPerParam,
                     edge_bytes_per_param: BytesPerParam) -> Bytes:
    """Bytes of a checkpoint that keeps the embedding and the LM head in another format than the matrices between them.

    >>> checkpoint_bytes(n_params=130, n_lookup_params=20, n_head_params=10, weight_bytes_per_param=0.5, edge_bytes_per_param=2)
    110.0
    """
    edges = n_lookup_params + n_head_params
    return (n_params - edges) * weight_bytes_per_param + edges * edge_bytes_per_param


def bytes_saved(n_params: Count, weight_bytes_per_param: BytesPerParam, fewer_bytes_per_param: BytesPerParam) -> Bytes:
    """Bytes of weights that a narrower format saves.

    >>> bytes_saved(n_params=100, weight_bytes_per_param=2, fewer_bytes_per_param=0.5)
    150.0
    """
    return n_params * (weight_bytes_per_param - fewer_bytes_per_param)


# --- is it worth it --------------------------------------------------------------------------------------

def rent_saved(hardware_price: UsdPerSecond, saved_share: Fraction) -> UsdPerSecond:
    """Rent that is no longer paid when the same load needs that much less hardware.

    >>> rent_saved(hardware_price=0.01, saved_share=0.5)
    0.005
    """
    return hardware_price * saved_share


def payback_seconds(investment_usd: Usd, rent_saved: UsdPerSecond) -> Seconds:
    """Time after which an investment has been saved; infinite where nothing is saved.

    >>> payback_seconds(investment_usd=1000, rent_saved=0.01)
    100000.0
    """
    some = positive_part(rent_saved)
    return where_above(some, 0, investment_usd / where_above(some, 0, some, 1), inf * investment_usd / where_above(some, 0, some, 1))


def return_on_investment(investment_usd: Usd, rent_saved: UsdPerSecond, period_seconds: Seconds) -> Fraction:
    """Dollars saved over a period for each dollar invested, less that dollar: 0 is break-even.

    >>> return_on_investment(investment_usd=1000, rent_saved=0.01, period_seconds=200_000)
    1.0
    """
    return (rent_saved * period_seconds - investment_usd) / investment_usd
