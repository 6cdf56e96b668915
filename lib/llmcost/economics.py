"""Seconds become dollars: what a token costs whoever serves it.

Rents are in USD per second; only text shows them per hour.
"""

from .elementwise import positive_part, real
from .units import Count, Fraction, RequestsPerSecond, Seconds, Sequences, Tokens, TokensPerSecond, Usd, UsdPerSecond, UsdPerToken


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


# --- a service that sells tokens ---------------------------------------------------------------------------

def request_income_usd(prompt_tokens: Tokens, cached_share: Fraction, output_tokens: Tokens, input_price: UsdPerToken,
                       cached_price: UsdPerToken, output_price: UsdPerToken, paid_share: Fraction) -> Usd:
    """What a service earns with one request; `paid_share` is the part of its tokens that anyone pays for, at these prices.

    >>> round(request_income_usd(1000, 0.5, 300, input_price=2e-6, cached_price=1e-6, output_price=4e-6, paid_share=0.5), 9)
    0.00135
    """
    prompt = real(prompt_tokens) * ((1 - cached_share) * input_price + cached_share * cached_price)
    return paid_share * (prompt + real(output_tokens) * output_price)


def request_gpu_seconds(prompt_tokens: Tokens, cached_share: Fraction, output_tokens: Tokens,
                        prefill_tokens_per_second: TokensPerSecond, decode_gpu_tokens_per_second: TokensPerSecond) -> Seconds:
    """GPU time that one request takes of GPUs that prefill and of GPUs that decode, none of them idle.

    What is read from a cache is not computed.

    >>> request_gpu_seconds(1000, 0.5, 300, prefill_tokens_per_second=5000, decode_gpu_tokens_per_second=1500)
    0.30000000000000004
    """
    computed = real(prompt_tokens) * (1 - cached_share)
    return computed / prefill_tokens_per_second + real(output_tokens) / decode_gpu_tokens_per_second


def request_cost_usd(request_gpu_seconds: Seconds, gpu_price: UsdPerSecond, paid_hours_used: Fraction) -> Usd:
    """Rent of one request: its GPU time, and the hours that are paid for while no request comes.

    >>> request_cost_usd(request_gpu_seconds=0.5, gpu_price=0.001, paid_hours_used=0.5)
    0.001
    """
    return request_gpu_seconds * gpu_price / paid_hours_used


def margin(request_income_usd: Usd, request_cost_usd: Usd) -> Fraction:
    """Share of the income that is left after rent; negative where rent is more.

    >>> margin(request_income_usd=4, request_cost_usd=1)
    0.75
    """
    return 1 - request_cost_usd / request_income_usd


def profit_on_cost(request_income_usd: Usd, request_cost_usd: Usd) -> Fraction:
    """What is left after rent, as a share of the rent: no margin, and without an upper limit.

    >>> profit_on_cost(request_income_usd=4, request_cost_usd=1)
    3.0
    """
    return request_income_usd / request_cost_usd - 1


def break_even_use(request_income_usd: Usd, request_gpu_seconds: Seconds, gpu_price: UsdPerSecond) -> Fraction:
    """Share of the paid hours in which GPUs must work for income to cover rent; above 1 it never does.

    >>> break_even_use(request_income_usd=0.002, request_gpu_seconds=0.5, gpu_price=0.001)
    0.25
    """
    return request_gpu_seconds * gpu_price / request_income_usd


def phase_gpus(arrival_rate: RequestsPerSecond, tokens_of_phase: Tokens, phase_tokens_per_second: TokensPerSecond) -> Count:
    """GPUs of one phase that a load keeps busy: tokens of that phase each second over those of one GPU.

    >>> phase_gpus(arrival_rate=10, tokens_of_phase=500, phase_tokens_per_second=2000)
    2.5
    """
    return arrival_rate * real(tokens_of_phase) / phase_tokens_per_second
