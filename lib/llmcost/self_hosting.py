"""Serving a model oneself against buying its tokens: from which load on, with the hours that are paid for and not used.

A replica is rented for every second of the day; an API is paid by the request. How much of the rented time is used is a result.
"""

from math import inf

from .elementwise import ceil, maximum, real, where_above
from .units import Count, Fraction, RequestsPerSecond, Seconds, Usd, UsdPerSecond


def fleet_usd(replicas: Count, hardware_price: UsdPerSecond, period_seconds: Seconds) -> Usd:
    """Rent of the replicas for a period; `hardware_price` is that of one of them.

    >>> fleet_usd(replicas=2, hardware_price=0.005, period_seconds=3600)
    36.0
    """
    return real(replicas) * hardware_price * period_seconds


def self_hosted_usd(fleet_usd: Usd, daily_requests: Count) -> Usd:
    """What one request costs that is served on rented replicas.

    >>> self_hosted_usd(fleet_usd=360, daily_requests=90_000)
    0.004
    """
    return fleet_usd / daily_requests


def fleet_use(daily_requests: Count, replicas: Count, replica_rate: RequestsPerSecond, period_seconds: Seconds) -> Fraction:
    """Share of what the replicas could serve in a period that is asked of them: a result of the load, not a choice.

    >>> fleet_use(daily_requests=864_000, replicas=5, replica_rate=4, period_seconds=86_400)
    0.5
    """
    return real(daily_requests) / (real(replicas) * replica_rate * period_seconds)


def break_even_requests(hardware_price: UsdPerSecond, period_seconds: Seconds, api_usd: Usd) -> Count:
    """Requests in a period from which one rented replica costs less than an API that bills each of them.

    >>> break_even_requests(hardware_price=0.005, period_seconds=86_400, api_usd=0.004)
    108000.0
    """
    return hardware_price * period_seconds / api_usd


def replica_requests(replica_rate: RequestsPerSecond, period_seconds: Seconds, peak_factor: Count) -> Count:
    """Requests in a period that one replica takes when it must keep up with the busiest hour.

    >>> replica_requests(replica_rate=5, period_seconds=86_400, peak_factor=2)
    216000.0
    """
    return replica_rate * period_seconds / peak_factor


def full_replica_usd(hardware_price: UsdPerSecond, replica_rate: RequestsPerSecond, peak_factor: Count) -> Usd:
    """The least that a request costs on rented replicas, each full in the busiest hour: an API below it is never beaten.

    >>> full_replica_usd(hardware_price=0.005, replica_rate=5, peak_factor=2)
    0.002
    """
    return hardware_price * peak_factor / replica_rate


def safe_replicas(break_even_requests: Count, replica_requests: Count) -> Count:
    """Replicas from which no load is too small for the next: with fewer, each new one brings a stretch of loss. Infinite where rent never wins.

    With n replicas full, one more pays at once where n * replica_requests is already break-even for n + 1.

    >>> safe_replicas(break_even_requests=108_000, replica_requests=144_000)
    3
    """
    spare = replica_requests - break_even_requests
    needed = maximum(ceil(break_even_requests / where_above(spare, 0, spare, 1)), 1)
    return where_above(spare, 0, needed, inf)
