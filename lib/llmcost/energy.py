"""Seconds become joules, and joules dollars.

What a machine draws follows from the time that it works: a chip that reads draws nearly what one that computes does.
Prices of electricity are in USD per joule; only text shows them per kWh.
"""

from .elementwise import real
from .units import Count, Fraction, Joules, JoulesPerToken, Seconds, Tokens, UsdPerJoule, UsdPerSecond, UsdPerToken, Watts


def drawn_watts(power_w: Watts, power_share: Fraction, host_watts: Watts) -> Watts:
    """What one GPU at work draws: a share of its rated power, and its part of the machine around it.

    >>> drawn_watts(power_w=700, power_share=0.75, host_watts=100)
    625.0
    """
    return power_w * power_share + host_watts


def mean_watts(drawn_watts: Watts, idle_watts: Watts, used_share: Fraction) -> Watts:
    """What it draws over a day in which it works for a share of the time and waits for the rest.

    >>> mean_watts(drawn_watts=600, idle_watts=100, used_share=0.25)
    225.0
    """
    return idle_watts + used_share * (drawn_watts - idle_watts)


def token_joules(drawn_watts: Watts, token_gpu_seconds: Seconds) -> JoulesPerToken:
    """Energy of one token: what a GPU draws, over the time that the token takes of it.

    >>> token_joules(drawn_watts=600, token_gpu_seconds=0.002)
    1.2
    """
    return drawn_watts * token_gpu_seconds


def request_joules(prompt_tokens: Tokens, input_token_joules: JoulesPerToken, output_tokens: Tokens,
                   output_token_joules: JoulesPerToken) -> Joules:
    """Energy of one request: its prompt and its reply.

    >>> request_joules(prompt_tokens=1000, input_token_joules=0.25, output_tokens=200, output_token_joules=1.5)
    550.0
    """
    return real(prompt_tokens) * input_token_joules + real(output_tokens) * output_token_joules


def wall_token_joules(token_joules: JoulesPerToken, pue: Count) -> JoulesPerToken:
    """Energy of one token at the meter of the building, with cooling and losses on the way.

    >>> wall_token_joules(token_joules=2, pue=1.5)
    3.0
    """
    return token_joules * pue


def token_electricity_usd(wall_token_joules: JoulesPerToken, electricity_price: UsdPerJoule) -> UsdPerToken:
    """What the electricity of one token costs.

    >>> token_electricity_usd(wall_token_joules=4, electricity_price=2.5e-8)
    1e-07
    """
    return wall_token_joules * electricity_price


def electricity_rent(mean_watts: Watts, pue: Count, electricity_price: UsdPerJoule) -> UsdPerSecond:
    """What electricity costs each second, by what is drawn on average.

    >>> round(3600 * electricity_rent(mean_watts=1000, pue=1.5, electricity_price=0.1/3.6e6), 9)
    0.15
    """
    return mean_watts * pue * electricity_price
