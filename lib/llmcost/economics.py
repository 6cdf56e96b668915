"""Seconds become dollars: what a token costs whoever serves it.

Rents are in USD per second; only text shows them per hour.
"""

from .elementwise import positive_part, real
from .units import Count, Fraction, RequestsPerSecond, Seconds, Sequences, TokensPerSecond, Usd, UsdPerSecond, UsdPerToken


def unit_cost(hardware_price: UsdPerSecond, tokens_per_second: TokensPerSecond) -> UsdPerToken:
    """Cost of one token: dollars for each unit of time over tokens in it. The load decides `tokens_per_second`.

    >>> unit_cost(hardware_price=0.001, tokens_per_second=500)
    2e-06
    """
    return hardware_price / tokens_per_second


def hardware_price(gpu_price: UsdPerSecond, n_gpus: Count) -> UsdPerSecond:
    """Rent of all the GPUs together.

    >>> hardware_price(gpu_price=0.001, n_gpus=8)
    0.008
    """
    return gpu_price * n_gpus


def input_token_usd(input_token_gpu_seconds: Seconds, gpu_price: UsdPerSecond) -> UsdPerToken:
    """Rent that one input token takes, GPUs never idle.

    >>> input_token_usd(input_token_gpu_seconds=0.25, gpu_price=0.001)
    0.00025
    """
    return input_token_gpu_seconds * gpu_price


def output_token_usd(output_token_gpu_seconds: Seconds, gpu_price: UsdPerSecond) -> UsdPerToken:
    """Rent that one output token takes, GPUs never idle.

    >>> output_token_usd(output_token_gpu_seconds=0.002, gpu_price=0.001)
    2e-06
    """
    return output_token_gpu_seconds * gpu_price


# --- where the time goes that is paid for -----------------------------------------------------------------

def prefill_time_share(arrival_rate: RequestsPerSecond, prompt_seconds: Seconds) -> Fraction:
    """Share of a replica's time that prompts take.

    >>> prefill_time_share(arrival_rate=2, prompt_seconds=0.125)
    0.25
    """
    return arrival_rate * prompt_seconds


def decode_time_share(tokens_per_second: TokensPerSecond, batch: Sequences, step_part_seconds: Seconds) -> Fraction:
    """Share of a replica's time that one part of its decode steps takes: steps each second times that part.

    `batch` is the mean number of sequences in a step.

    >>> decode_time_share(tokens_per_second=1000, batch=50, step_part_seconds=0.0125)
    0.25
    """
    return tokens_per_second / real(batch) * step_part_seconds


def idle_time_share(prefill_time_share: Fraction, decode_time_share: Fraction) -> Fraction:
    """Share of a replica's time in which nothing runs; `decode_time_share` is that of whole steps.

    >>> idle_time_share(prefill_time_share=0.25, decode_time_share=0.5)
    0.25
    """
    return positive_part(1 - prefill_time_share - decode_time_share)


def period_usd(hardware_price: UsdPerSecond, period_seconds: Seconds) -> Usd:
    """Rent of the hardware for a period, used or not.

    >>> period_usd(hardware_price=0.005, period_seconds=3600)
    18.0
    """
    return hardware_price * period_seconds


def used_usd(period_usd: Usd, time_share: Fraction) -> Usd:
    """Of the rent of a period, what went into one use of the time.

    >>> used_usd(period_usd=18, time_share=0.25)
    4.5
    """
    return period_usd * time_share
