"""Dated prices: what APIs charge for tokens and what GPUs rent for.

    >>> from llmcost.prices import API_PRICES
    >>> API_PRICES["claude_haiku_4_5"].vendor
    'Anthropic'

Prices accumulate: a change is a new row of `data/prices/`, and no row is ever overwritten.
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from . import catalog, files
from .catalog import Named
from .records import FactError, Record, Source

PER_MILLION, PER_HOUR = 1e6, 3600
NO_TIER = 10**9  # tokens: no prompt is this long


class Price(Record):
    """What one API charged for one model over one interval of time, in USD per token.

    A part that the list does not price is charged as what it replaces: reading from a cache and writing to
    one as input, a tier's part as the tier's input. `offers` says which parts the list prices.
    """


def _price(place: str, row: Mapping[str, str]) -> Price:
    number = {name: _number(place, row, name) for name in ("input", "cached_input", "cache_write", "output", "batch_multiplier",
                                                           "tier_tokens", "tier_input", "tier_output", "tier_cached_input")}
    if number["input"] is None or number["output"] is None:
        raise FactError(f"{place} has no price of input or output; every price list has both")
    if (number["tier_tokens"] is None) != (number["tier_input"] is None):
        raise FactError(f"{place} has tier_tokens or tier_input but not both")
    start, end, seen = (_day(place, row, name) for name in ("from", "to", "seen"))
    if start is None or seen is None or (end is not None and end < start):
        raise FactError(f"{place} holds from {row['from']!r} to {row['to']!r}, seen {row['seen']!r}; "
                        f"it needs from and seen, and no end before its start")
    or_else = lambda value, other: other if value is None else value
    given = number["input"]
    cached, write = or_else(number["cached_input"], given), or_else(number["cache_write"], given)
    tier = or_else(number["tier_input"], given)
    prices = {"input_price": given, "cached_price": cached, "write_price": write, "output_price": number["output"],
              "tier_input_price": tier, "tier_cached_price": or_else(number["tier_cached_input"], cached * tier / given),
              "tier_write_price": write * tier / given,
              "tier_output_price": or_else(number["tier_output"], number["output"])}
    facts = {**{name: value / PER_MILLION for name, value in prices.items()},
             "tier_tokens": int(or_else(number["tier_tokens"], NO_TIER)),
             "batch_multiplier": or_else(number["batch_multiplier"], 1),
             "vendor": row["vendor"], "model": row["model"], "start": start, "end": end, "seen": seen,
             "offers": frozenset(name for name, value in number.items() if value is not None), "note": row["note"]}
    source = catalog.source_of(place, {"kind": "price_list", "source": row["source"], "where": row["where"], "date": seen})
    return Price(row["key"], f"{row['model']}, {start}", facts, dict.fromkeys(prices, source))


def _number(place: str, row: Mapping[str, str], name: str) -> float | None:
    text = row[name]
    if text == "":
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1e9:
        raise FactError(f"{place} has {name} = {text!r}; it must be a positive number or empty")
    return value


def _day(place: str, row: Mapping[str, str], name: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(row[name]) if row[name] else None
    except ValueError:
        raise FactError(f"{place} has {name} = {row[name]!r}; a day is written 2026-11-21") from None


@cache
def price_history() -> dict[str, list[Price]]:
    """Every price of every model, in the order of time. Raises `FactError` for a bad row or intervals that overlap."""
    rows = [(_price(f"data/prices/api.csv, line {line}", row), line)
            for line, row in enumerate(files.read_csv("prices/api.csv"), start=2)]
    history: dict[str, list[Price]] = {}
    for price, line in sorted(rows, key=lambda pair: pair[0].start):
        earlier = history.setdefault(price.key, [])
        if earlier and (earlier[-1].end is None or earlier[-1].end >= price.start):
            raise FactError(f"data/prices/api.csv, line {line} begins on {price.start}, while the price before it holds to "
                            f"{earlier[-1].end or 'this day'}; give that one an end")
        earlier.append(price)
    return {row[0].key: history[row[0].key] for row in rows}


class _Prices(Mapping):
    """The price in force by key, as in `API_PRICES["gpt_4o"]`, or on a day, as in `API_PRICES["gpt_4o", "2024-06-01"]`.

    Raises `FactError` for a day without a known price, and without a day for a price that has ended.
    """

    def __getitem__(self, key) -> Price:
        key, day = key if isinstance(key, tuple) else (key, None)
        history = Named("API price", price_history())[key]
        if day is None and history[-1].end:
            raise FactError(f"no price of {key} is known after {history[-1].end}; ask for a day, as in "
                            f"API_PRICES[{key!r}, {str(history[-1].end)!r}]")
        if day is None:
            return history[-1]
        wanted = datetime.date.fromisoformat(str(day))
        for price in history:
            if price.start <= wanted and (price.end is None or wanted <= price.end):
                return price
        known = ", ".join(f"{price.start} to {price.end or 'now'}" for price in history)
        raise FactError(f"no price of {key} is known for {wanted}; there are {known}")

    def __iter__(self):
        return iter(price_history())

    def __len__(self):
        return len(price_history())


API_PRICES = _Prices()


@dataclass(frozen=True)
class Rent:
    """What one GPU rents for, in USD per second, from `low` to `high` where the source gives a range."""

    gpu: str
    date: datetime.date
    low: float
    high: float
    kind: str
    quality: str
    note: str
    source: Source


RENT_KINDS = ("on-demand", "spot", "one-year contract", "cost of ownership", "assumption")


@cache
def rents() -> list[Rent]:
    """Every dated rent, in the order of the file. Raises `FactError` for a bad row."""
    found = []
    for line, row in enumerate(files.read_csv("prices/gpu_rental.csv"), start=2):
        place = f"data/prices/gpu_rental.csv, line {line}"
        low, high = (_number(place, row, f"usd_per_gpu_hour_{end}") for end in ("low", "high"))
        date = _day(place, row, "date")
        if row["gpu"] not in catalog.GPUS or row["kind"] not in RENT_KINDS or not date or not low or not high or low > high:
            raise FactError(f"{place} needs a GPU of the catalog, a date, a kind ({', '.join(RENT_KINDS)}) and low <= high; "
                            f"it has {row['gpu']}, {row['date']}, {row['kind']}, {row['usd_per_gpu_hour_low']} to "
                            f"{row['usd_per_gpu_hour_high']}")
        source = catalog.source_of(place, {"kind": "assumed" if row["kind"] == "assumption" else "price_list",
                                           "source": row["source"], "where": row["where"], "date": date})
        found.append(Rent(row["gpu"], date, low / PER_HOUR, high / PER_HOUR, row["kind"], row["quality"], row["note"], source))
    return found


def newest_rent(gpu: str) -> Rent:
    """The lowest on-demand rent of `gpu` on the newest day that has one. Raises `FactError` when no day has.

    >>> newest_rent("h100_sxm").kind
    'on-demand'
    """
    found = [rent for rent in rents() if rent.gpu == gpu and rent.kind == "on-demand"]
    if not found:
        raise FactError(f"data/prices/gpu_rental.csv has no on-demand rent of {gpu}; it has some of "
                        f"{', '.join(sorted({rent.gpu for rent in rents() if rent.kind == 'on-demand'}))}")
    return max(found, key=lambda rent: (rent.date, -rent.low))
