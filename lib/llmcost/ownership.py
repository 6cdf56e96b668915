"""A machine that is bought: its price, its electricity and its idle hours as dollars per second and per token.

The price is spread over the years of use by an annuity: equal yearly payments whose worth today is what was paid.
"""

from .units import Count, Fraction, Seconds, TokensPerSecond, Usd, UsdPerJoule, UsdPerSecond, UsdPerToken, Watts


def recovery_factor(interest_rate: Fraction, life_years: Count) -> Fraction:
    """Share of a price that each year of use has to bring back, interest included; without interest it is one over the years.

    >>> round(recovery_factor(interest_rate=0.10, life_years=5), 6)
    0.263797
    """
    return interest_rate / (1 - (1 + interest_rate) ** -life_years)


def worn_usd(purchase_usd: Usd, resale_share: Fraction, interest_rate: Fraction, life_years: Count) -> Usd:
    """What is lost of a price, as money of today: the price without what the machine still sells for in the end.

    >>> worn_usd(purchase_usd=1000, resale_share=0.5, interest_rate=0.25, life_years=1)
    600.0
    """
    return purchase_usd * (1 - resale_share * (1 + interest_rate) ** -life_years)


def capital_rent(worn_usd: Usd, recovery_factor: Fraction, year_seconds: Seconds) -> UsdPerSecond:
    """What the price of a machine costs each second of its life, used or not.

    >>> capital_rent(worn_usd=31_536, recovery_factor=0.25, year_seconds=31_536_000)
    0.00025
    """
    return worn_usd * recovery_factor / year_seconds


def upkeep_rent(purchase_usd: Usd, upkeep_share: Fraction, year_seconds: Seconds) -> UsdPerSecond:
    """What keeping a machine costs each second: space, repair, people, as a share of its price each year.

    >>> upkeep_rent(purchase_usd=31_536, upkeep_share=0.125, year_seconds=31_536_000)
    0.000125
    """
    return purchase_usd * upkeep_share / year_seconds


def kept_rent(capital_rent: UsdPerSecond, upkeep_rent: UsdPerSecond, idle_watts: Watts, pue: Count,
              electricity_price: UsdPerJoule) -> UsdPerSecond:
    """What a machine costs each second while it waits.

    >>> kept_rent(0.25, upkeep_rent=0.125, idle_watts=100, pue=1.25, electricity_price=0.001)
    0.5
    """
    return capital_rent + upkeep_rent + idle_watts * pue * electricity_price


def used_rent(drawn_watts: Watts, idle_watts: Watts, pue: Count, electricity_price: UsdPerJoule) -> UsdPerSecond:
    """What each second of work costs on top: the electricity above that of waiting.

    >>> used_rent(drawn_watts=500, idle_watts=100, pue=1.25, electricity_price=0.001)
    0.5
    """
    return (drawn_watts - idle_watts) * pue * electricity_price


def owned_rent(kept_rent: UsdPerSecond, used_rent: UsdPerSecond, used_share: Fraction) -> UsdPerSecond:
    """What a machine of one's own costs each second, on average over a day.

    >>> owned_rent(kept_rent=0.5, used_rent=0.25, used_share=0.5)
    0.625
    """
    return kept_rent + used_share * used_rent


def levelized_usd(owned_rent: UsdPerSecond, used_share: Fraction, tokens_per_second: TokensPerSecond) -> UsdPerToken:
    """Cost of one token over the life of a machine: all that it costs, over the tokens of the hours in which it works.

    >>> levelized_usd(owned_rent=0.001, used_share=0.5, tokens_per_second=2000)
    1e-06
    """
    return owned_rent / (used_share * tokens_per_second)


def owning_break_even(kept_rent: UsdPerSecond, used_rent: UsdPerSecond, gpu_price: UsdPerSecond) -> Fraction:
    """Share of the time that a machine must work to be as cheap as one rented for those hours only; above 1 it never is.

    Defined where the rent is above the electricity of work alone.

    >>> owning_break_even(kept_rent=0.375, used_rent=0.25, gpu_price=1)
    0.5
    """
    return kept_rent / (gpu_price - used_rent)


def tie_purchase_usd(levelized_usd: UsdPerToken, used_share: Fraction, tokens_per_second: TokensPerSecond, recovery_factor: Fraction,
                     year_seconds: Seconds) -> Usd:
    """Price at which a machine would bring a token at `levelized_usd` if it cost nothing but its price, and sold for nothing in the end.

    >>> tie_purchase_usd(1e-6, used_share=0.5, tokens_per_second=2000, recovery_factor=0.25, year_seconds=31_536_000)
    126144.0
    """
    return levelized_usd * used_share * tokens_per_second * year_seconds / recovery_factor
