"""A price card read backwards: what published prices of input, cached input and output say about the costs behind them.

A vendor who pays `gpu_price` for a GPU second and sells tokens at one markup over the rent of a busy GPU prints

    input = markup x seconds of an input token x gpu_price,    output = markup x seconds of an output token x gpu_price.

The seconds of an output token fall with the batch; so the ratio of the two prices says how large the batch is, if one knows what
an input token takes, and the input price then says the markup. The markup is 1 / (use x (1 - margin)): a card never tells margin
and utilization apart. Prices are rounded, so that every answer is an interval; where the interval has no upper end, or no answer
is left, `Reading` says so.

    >>> falling = lambda batch: 2e-4 + 1e-2 / batch
    >>> found = read_card(Card(input=2e-7, output=6e-7, cached=2e-8, step=1e-8), (3e-4, 3e-4), falling, gpu_price=2 / 3600)
    >>> round(found.batch.low), round(found.batch.high), found.markup.told(2)
    (14, 15, '1.2 to 1.2')
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite


CHECKED = 64  # batches at which the cost of an output token is looked at


class CardError(ValueError):
    """A card or costs that cannot be read: the message says what was given and what is needed."""


@dataclass(frozen=True)
class Interval:
    """What a card leaves open: any value from `low` to `high`, which may be infinite."""

    low: float
    high: float

    def __contains__(self, value) -> bool:
        return self.low <= value <= self.high

    def told(self, digits: int = 3) -> str:
        """The interval in words, with so many significant digits.

        >>> Interval(2, 30).told(), Interval(5, inf).told()
        ('2 to 30', '5 or more')
        """
        if self.high == inf:
            return f"{self.low:.{digits}g} or more"
        return f"{self.low:.{digits}g} to {self.high:.{digits}g}"


@dataclass(frozen=True)
class Card:
    """Prices in USD per token, as printed; `step` is the last printed place, such as one cent per million, 1e-8.

    `cached` is None where the card has no price for input that was read from a cache.

    Raises `CardError` for prices or a step that are not positive, and for a step above the price of input or output.
    """

    input: float
    output: float
    cached: float | None
    step: float

    def __post_init__(self):
        prices = [price for price in (self.input, self.output, self.cached) if price is not None]
        if not all(isfinite(value) and value > 0 for value in (*prices, self.step)):
            raise CardError(f"{self}; prices and step must be positive numbers of USD per token")
        if self.step > min(self.input, self.output):
            raise CardError(f"{self}; a price is below the step to which it is said to be rounded")

    def before_rounding(self, price: float) -> Interval:
        """What a printed price may have been."""
        return Interval(max(price - self.step / 2, 0.0), price + self.step / 2)


@dataclass(frozen=True)
class Reading:
    """What a card implies, and what it does not.

    Attributes
    ----------
    ratio : output over input price
    batch : sequences in the batch, or None where no batch gives this ratio; without an upper end where any larger one would do
    markup : price over the rent of a busy GPU
    cached_share : cached over input price, or None without a cached price
    why : in words, for each of "batch" and "margin", what could not be told and why; "batch" is missing where it could
    """

    ratio: Interval
    batch: Interval | None
    markup: Interval
    cached_share: Interval | None
    why: dict[str, str]

    def margin(self, use: float) -> Interval:
        """Margin, as a share of the price, if GPUs work for the share `use` of the hours that are paid for; below 0 is a loss.

        Raises `CardError` for a use that is not above 0 and at most 1.
        """
        if not 0 < use <= 1:
            raise CardError(f"use = {use!r}; it must be above 0 and at most 1")
        return Interval(1 - 1 / (use * self.markup.low) if self.markup.low else -inf, 1 - 1 / (use * self.markup.high))


def read_card(card: Card, input_seconds: tuple[float, float], output_seconds: Callable[[float], float], gpu_price: float,
              largest_batch: float = 4096) -> Reading:
    """Batch and markup behind `card`.

    `input_seconds` is the least and the most GPU time of an input token, `output_seconds` that of an output token in a batch; it must
    not rise with the batch. Batches from 1 to `largest_batch` are looked at. `gpu_price` is in USD per second.

    Raises `CardError` for costs that are not positive, or that rise with the batch.
    """
    low, high = input_seconds
    if not 1 <= largest_batch < inf:
        raise CardError(f"largest_batch = {largest_batch!r}; it must be a number of sequences, 1 or more")
    looked_at = [output_seconds(largest_batch ** (i / CHECKED)) for i in range(CHECKED + 1)]
    alone, full = looked_at[0], looked_at[-1]
    falling = all(later <= earlier * (1 + 1e-9) for earlier, later in zip(looked_at, looked_at[1:]))
    if not (0 < low <= high < inf and falling and 0 < full <= alone < inf and 0 < gpu_price < inf):
        raise CardError(f"input tokens of {low:g} to {high:g} s, output tokens of {alone:g} s alone and {full:g} s in a batch of "
                        f"{largest_batch:g}, {gpu_price:g} USD per GPU second; all must be positive, the first no more than the second, and "
                        f"output tokens must not take longer in a larger batch")
    given, asked = card.before_rounding(card.input), card.before_rounding(card.output)
    ratio = Interval(asked.low / given.high, asked.high / given.low if given.low else inf)
    markup = Interval(given.low / (high * gpu_price), given.high / (low * gpu_price))
    cheapest, dearest = ratio.low * low, ratio.high * high  # seconds of an output token that the ratio allows
    why = {"margin": "only use x (1 - margin) is in a price: half the use at the same price looks like a higher margin"}
    if dearest < full:
        batch = None
        why["batch"] = f"even a batch of {largest_batch:g} takes {full:g} s for an output token, and the card pays for {dearest:g} s at most"
    elif cheapest > alone:
        batch = None
        why["batch"] = f"a sequence alone takes {alone:g} s for an output token, and the card pays for {cheapest:g} s at least"
    else:
        batch = Interval(_batch(output_seconds, dearest, largest_batch), _batch(output_seconds, cheapest, largest_batch))
        if cheapest <= full:
            batch = Interval(batch.low, inf)
            why["batch"] = f"from {batch.low:.3g} on, larger batches change the ratio by less than rounding and the range of input seconds do"
    cached = card.before_rounding(card.cached) if card.cached is not None else None
    share = Interval(cached.low / given.high, cached.high / given.low if given.low else inf) if cached else None
    return Reading(ratio, batch, markup, share, why)


def _batch(output_seconds, seconds, most) -> float:
    """Largest batch in which an output token still takes `seconds` or more; 1 where none does. By bisection."""
    low, high = 1.0, float(most)
    if output_seconds(high) >= seconds:
        return high
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if output_seconds(middle) >= seconds else (low, middle)
    return low
