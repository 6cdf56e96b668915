"""Queues whose server grows faster with the number in it: the birth-death chain of a batch, summed.

Requests come at random (Poisson). While n of them are in a batch of at most B, one ends every `resident_seconds[n - 1]` / n
seconds on average; whoever comes to a full batch waits, first come first served. Lengths are exponential; without a limit
that is ever reached, the means hold for lengths of any distribution. `llmcost.load` has the closed form of the same chain
where the time grows in a straight line and B has no limit. Source: Kleinrock 1975, chapter 3.
"""

import numpy


class Chain:
    """The chain in its steady state, for one arrival rate or an array of them.

    Parameters
    ----------
    resident_seconds : [B] time of a request in a batch that stays 1, 2, ... B large
    rate : requests each second; any shape

    Raises `ValueError` for times or rates that are not positive and finite.

    Attributes
    ----------
    probabilities : [..., B + 1] of a batch of 0, 1, ... B; those with a queue behind a full batch count as B
    overflow : [...] of a full batch, the load as a share of what it can do; from 1 on nothing is steady and all is NaN
    """

    def __init__(self, resident_seconds, rate):
        times = numpy.asarray(resident_seconds, dtype=float)
        if times.ndim != 1 or not len(times) or not (numpy.isfinite(times) & (times > 0)).all():
            raise ValueError("resident_seconds must be a row of positive times, one for each batch from 1 on")
        self.rate = numpy.asarray(rate, dtype=float)
        if not (numpy.isfinite(self.rate) & (self.rate > 0)).all():
            raise ValueError(f"rate = {rate!r}; it must be a positive number of requests each second")
        self.batches = numpy.arange(len(times) + 1)
        self.full_rate = len(times) / times[-1]
        self.overflow = self.rate / self.full_rate
        births = numpy.log(self.rate)[..., None] + numpy.log(times / self.batches[1:])
        weights = numpy.concatenate([numpy.zeros((*self.rate.shape, 1)), numpy.cumsum(births, axis=-1)], axis=-1)
        weights = numpy.exp(weights - weights.max(axis=-1, keepdims=True))
        steady = self.overflow < 1
        weights[..., -1] /= numpy.where(steady, 1 - self.overflow, numpy.nan)  # with everyone who waits behind it
        self.probabilities = weights / weights.sum(axis=-1, keepdims=True)

    @property
    def waiting_share(self):
        """Share of the requests that find the batch full, and wait."""
        return self.probabilities[..., -1]

    @property
    def idle_share(self):
        """Share of the time in which nothing is in the engine."""
        return self.probabilities[..., 0]

    @property
    def batch(self):
        """Mean batch."""
        return (self.probabilities * self.batches).sum(axis=-1)

    @property
    def queue(self):
        """Mean number of requests that wait."""
        return self.waiting_share * self.overflow / (1 - self.overflow)

    @property
    def wait_seconds(self):
        """Mean time in the queue, of all requests, by Little's law."""
        return self.queue / self.rate

    @property
    def stay_seconds(self):
        """Mean time from arrival to end, by Little's law."""
        return (self.batch + self.queue) / self.rate

    def batch_quantile(self, quantile: float):
        """Smallest batch that is not exceeded for this share of the time; NaN where nothing is steady.

        Raises `ValueError` for a share that is not between 0 and 1.
        """
        _check_share(quantile)
        reached = numpy.cumsum(self.probabilities, axis=-1) >= quantile - 1e-12
        return numpy.where(numpy.isnan(self.batch), numpy.nan, reached.argmax(axis=-1))

    def wait_quantile(self, quantile: float):
        """Wait in the queue that this share of the requests does not exceed: beyond a full batch, waits are exponential.

        Raises `ValueError` for a share that is not between 0 and 1.
        """
        _check_share(quantile)
        exceeds = numpy.maximum(self.waiting_share / (1 - quantile), 1)
        return numpy.log(exceeds) / (self.full_rate - self.rate)


def _check_share(quantile):
    if not 0 < quantile < 1:
        raise ValueError(f"quantile = {quantile!r}; it must be a share above 0 and below 1, such as 0.99")


def erlang_c(servers: int, offered: float) -> float:
    """Probability of waiting in M/M/c: `servers` that each serve one request at a time, `offered` requests in service on average.

    The chain with one time for every batch. Source: Erlang 1917.

    >>> round(erlang_c(servers=2, offered=1), 9)
    0.333333333
    """
    return float(Chain(numpy.ones(servers), offered).waiting_share)
