"""Seconds become dollars: what a token costs whoever serves it.

Rents are in USD per second; only text shows them per hour.
"""

from .units import Count, Seconds, TokensPerSecond, UsdPerSecond, UsdPerToken


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
