"""One chip against another: what a byte read and a FLOP cost, and the rent at which two chips tie."""

from .elementwise import real
from .units import (Bytes, BytesPerSecond, FlopPerSecond, Seconds, Tokens, TokensPerSecond, Usd, UsdPerByte, UsdPerFlop, UsdPerSecond,
                    UsdPerToken)


# --- capacity against bandwidth ----------------------------------------------------------------------

def full_memory_speed(memory_bandwidth: BytesPerSecond, memory_bytes: Bytes) -> TokensPerSecond:
    """How often a second a chip can read all that it can hold: tokens each second of a dense model that fills it, at most.

    >>> full_memory_speed(memory_bandwidth=800e9, memory_bytes=400e9)
    2.0
    """
    return memory_bandwidth / memory_bytes


def readable_bytes(memory_bandwidth: BytesPerSecond, tokens_per_second: TokensPerSecond) -> Bytes:
    """Bytes that a chip can read for each token at a speed.

    >>> readable_bytes(memory_bandwidth=800e9, tokens_per_second=20)
    40000000000.0
    """
    return memory_bandwidth / tokens_per_second


def needed_bandwidth(moved_bytes: Bytes, tokens_per_second: TokensPerSecond) -> BytesPerSecond:
    """Bandwidth that a speed takes: what a step reads, as often as there are steps.

    >>> needed_bandwidth(moved_bytes=40e9, tokens_per_second=20)
    800000000000.0
    """
    return moved_bytes * tokens_per_second


# --- what a byte and a FLOP cost -----------------------------------------------------------------------

def usd_per_byte(gpu_price: UsdPerSecond, memory_bandwidth: BytesPerSecond) -> UsdPerByte:
    """What reading costs: rent over bandwidth. It ranks chips for decode with small batches.

    >>> usd_per_byte(gpu_price=0.001, memory_bandwidth=4e12)
    2.5e-16
    """
    return gpu_price / memory_bandwidth


def usd_per_flop(gpu_price: UsdPerSecond, peak_flops: FlopPerSecond) -> UsdPerFlop:
    """What computing costs at the peak: rent over FLOP/s. It ranks chips for prefill.

    >>> usd_per_flop(gpu_price=0.001, peak_flops=1e15)
    1e-18
    """
    return gpu_price / peak_flops


def tie_gpu_price(other_gpu_price: UsdPerSecond, other_token_gpu_seconds: Seconds, token_gpu_seconds: Seconds) -> UsdPerSecond:
    """Rent at which a token costs the same on this chip as on another; below it this one is cheaper.

    >>> tie_gpu_price(other_gpu_price=0.001, other_token_gpu_seconds=0.006, token_gpu_seconds=0.004)
    0.0015
    """
    return other_gpu_price * other_token_gpu_seconds / token_gpu_seconds


def split_request_usd(prompt_tokens: Tokens, input_token_usd: UsdPerToken, output_tokens: Tokens, output_token_usd: UsdPerToken) -> Usd:
    """Rent of one request whose prompt and reply are computed on chips of their own, both never idle.

    >>> round(split_request_usd(prompt_tokens=1000, input_token_usd=2e-7, output_tokens=100, output_token_usd=3e-6), 9)
    0.0005
    """
    return real(prompt_tokens) * input_token_usd + real(output_tokens) * output_token_usd
