"""Dated prices: sourced, without overlap, refused when they are not what they should be; and the bills they give."""

import datetime
import itertools

import pytest

from llmcost import bills, files, prices
from llmcost.catalog import GPUS, UnknownName
from llmcost.faces import at
from llmcost.prices import API_PRICES, price_history, rents
from llmcost.records import FactError

EVERY = [price for history in price_history().values() for price in history]
by_id = {"ids": lambda price: f"{price.key}-{price.start}"}


@pytest.mark.parametrize("price", EVERY, **by_id)
def test_a_price_is_sourced_and_in_order(price):
    assert price.source_of("input_price").kind == "price_list"
    assert price.start <= price.seen <= datetime.date.today()
    assert 0 < price.cached_price <= price.input_price <= price.output_price
    assert price.tier_input_price >= price.input_price and price.tier_output_price >= price.output_price
    assert price.write_price >= price.input_price and 0 < price.batch_multiplier <= 1


@pytest.mark.parametrize("key", price_history())
def test_intervals_of_one_model_do_not_overlap(key):
    for earlier, later in itertools.pairwise(price_history()[key]):
        assert earlier.end is not None and earlier.end < later.start


def test_a_price_is_found_by_day_and_a_day_without_one_is_told():
    assert API_PRICES["gpt_4o", "2024-06-01"].input_price == pytest.approx(5e-6)
    assert API_PRICES["gpt_4o"].input_price == pytest.approx(2.5e-6)
    with pytest.raises(FactError, match="no price of gpt_4o is known for 2020-01-01; there are 2024-05-14 to"):
        API_PRICES["gpt_4o", "2020-01-01"]
    with pytest.raises(FactError, match="no price of deepseek_chat is known after 2026-04-23; ask for a day"):
        API_PRICES["deepseek_chat"]
    with pytest.raises(UnknownName, match="nearest: .*gpt_4o"):
        API_PRICES["gpt4o"]


ROW = {"key": "m", "vendor": "V", "model": "M", "from": "2025-01-01", "to": "", "seen": "2025-02-01", "input": "1",
       "cached_input": "", "cache_write": "", "output": "2", "batch_multiplier": "", "tier_tokens": "", "tier_input": "",
       "tier_output": "", "tier_cached_input": "", "reasoning": "no", "source": "jiang2023mistral", "where": "here", "note": ""}


@pytest.fixture
def history_of(monkeypatch):
    """The history that rows with these changes to a good one give."""
    def read(*changes):
        monkeypatch.setattr(files, "read_csv", lambda name: [{**ROW, **change} for change in changes])
        price_history.cache_clear()
        return price_history()
    yield read
    price_history.cache_clear()


@pytest.mark.parametrize("change, message", [
    ({"input": ""}, "no price of input"), ({"input": "-1"}, "input = '-1'"), ({"output": "cheap"}, "output = 'cheap'"),
    ({"output": "nan"}, "output = 'nan'"), ({"from": "1 May"}, "from = '1 May'"), ({"from": ""}, "it needs from and seen"),
    ({"to": "2024-01-01"}, "no end before its start"), ({"tier_tokens": "200000"}, "but not both"),
    ({"source": "nobody"}, "references.bib does not have"), ({"where": ""}, "has no where"),
], ids=str)
def test_a_bad_price_is_refused(history_of, change, message):
    with pytest.raises(FactError, match=message):
        history_of(change)


@pytest.mark.parametrize("end", ["", "2025-03-01"])
def test_overlapping_intervals_are_refused(history_of, end):
    with pytest.raises(FactError, match="line 3 begins on 2025-03-01, while the price before it holds to"):
        history_of({"to": end}, {"from": "2025-03-01", "seen": "2025-03-01"})


def test_what_a_list_does_not_price_is_charged_as_what_it_replaces(history_of):
    [price] = history_of({"tier_tokens": "100", "tier_input": "3"})["m"]
    assert price.cached_price == price.write_price == price.input_price
    assert price.tier_cached_price == price.tier_write_price == price.tier_input_price == pytest.approx(3e-6)
    assert price.tier_output_price == price.output_price and price.batch_multiplier == 1


def test_rents_are_dated_and_of_known_gpus():
    assert all(rent.gpu in GPUS and 0 < rent.low <= rent.high < 20 / 3600 for rent in rents())


def bill(key, day=None, **tokens):
    price = API_PRICES[key, day] if day else API_PRICES[key]
    given = {"cached_tokens": 0, "written_tokens": 0, "batched": 0, **tokens}
    return at(bills.bill_usd, price, **given)


def test_bills_by_hand():
    """Worked out with the prices as printed: dollars for a million tokens."""
    day = "2025-10-01"
    assert bill("claude_sonnet_4_5", day, input_tokens=10_000, output_tokens=1_000) == pytest.approx(0.03 + 0.015)
    assert bill("claude_sonnet_4_5", day, input_tokens=10_000, output_tokens=1_000, cached_tokens=8_000,
                written_tokens=1_000) == pytest.approx(0.001 * 3 + 0.008 * 0.3 + 0.001 * 3.75 + 0.015)
    assert bill("claude_sonnet_4_5", day, input_tokens=300_000, output_tokens=1_000) == pytest.approx(0.3 * 6 + 0.0225)
    assert bill("claude_sonnet_4_5", day, input_tokens=200_000, output_tokens=1_000) == pytest.approx(0.2 * 3 + 0.015)
    assert bill("claude_sonnet_4_5", day, input_tokens=10_000, output_tokens=1_000, batched=1) == pytest.approx(0.0225)
