"""A day of traffic, hour by hour: replicas that are paid for, and how much of them is used.

    >>> even = Day([1.0] * 24, mean_rate=3, replica_rate=2)
    >>> even.replicas[0], even.use
    (2, 0.75)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from .load import replicas_for_rate

HOUR = 3600


class TrafficError(ValueError):
    """A day that cannot be: the message says what was given and what is needed."""


@dataclass(frozen=True)
class Day:
    """What a day's load takes of rented replicas.

    Attributes
    ----------
    shape : load of each of its equal parts, over their mean, or in any other unit
    mean_rate : requests each second, on average over the day
    replica_rate : requests each second that one replica takes within its limits
    follow : whether replicas are rented by the part of the day, else the busiest part decides for all of it
    least : replicas that are kept in any case

    Raises `TrafficError` for a shape without load, and for rates that are not positive.
    """

    shape: Sequence[float]
    mean_rate: float
    replica_rate: float
    follow: bool = False
    least: int = 1

    def __post_init__(self):
        if not len(self.shape) or not all(isfinite(part) and part >= 0 for part in self.shape) or sum(self.shape) == 0:
            raise TrafficError(f"shape = {self.shape!r}; it needs at least one part, none below 0, and not all of them 0")
        if not (isfinite(self.mean_rate) and isfinite(self.replica_rate) and self.mean_rate > 0 and self.replica_rate > 0):
            raise TrafficError(f"mean_rate = {self.mean_rate!r}, replica_rate = {self.replica_rate!r}; both are positive numbers of requests a second")
        if self.least < 0:
            raise TrafficError(f"least = {self.least!r}; replicas that are kept are none or more")

    @property
    def rates(self) -> list[float]:
        """Requests each second in each part of the day."""
        mean = sum(self.shape) / len(self.shape)
        return [self.mean_rate * part / mean for part in self.shape]

    @property
    def peak_factor(self) -> float:
        """Load of the busiest part over the mean."""
        return max(self.rates) / self.mean_rate

    @property
    def replicas(self) -> list[int]:
        """Replicas that are paid for in each part."""
        needed = [max(int(replicas_for_rate(rate, self.replica_rate)), self.least) for rate in self.rates]
        return needed if self.follow else [max(needed)] * len(needed)

    @property
    def use(self) -> float:
        """Share of what is paid for that is used: an output of the load. 0 parts paid for cannot be."""
        return self.mean_rate * len(self.shape) / (self.replica_rate * sum(self.replicas))

    def usd(self, hardware_price: float) -> float:
        """Rent of the day, `hardware_price` being that of one replica in USD per second."""
        return hardware_price * sum(self.replicas) * 24 * HOUR / len(self.shape)

    def break_even_usd(self, hardware_price: float) -> float:
        """Price of a request at which an API costs as much as this day."""
        return self.usd(hardware_price) / (self.mean_rate * 24 * HOUR)
