"""A published day re-derived, and price cards read backwards."""

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcost import economics
from llmcost.catalog import read_csv
from llmcost.price_cards import Card, CardError, Interval, read_card
from llmcost.prices import API_PRICES

DAY = {row["name"]: float(row["value"]) for row in read_csv("measurements/deepseek_day.csv") if row["value"]}


def income(hits):
    price = API_PRICES["deepseek_reasoner", "2025-02-28"]
    return economics.request_income_usd(DAY["day_input_tokens"], hits, DAY["day_output_tokens"], price.input_price, price.cached_price,
                                        price.output_price, 1)


def test_the_published_day_to_the_dollar():
    gpus = DAY["mean_nodes"] * DAY["gpus_per_node"]
    cost = economics.period_usd(economics.hardware_price(2 / 3600, gpus), 24 * 3600)
    assert round(cost) == DAY["day_cost_usd"] == 87_072
    by_share, by_tokens = income(DAY["day_cache_hit_share"]), income(DAY["day_cache_hit_tokens"] / DAY["day_input_tokens"])
    assert round(by_share) == 561_975 and round(by_tokens) == 562_100
    assert by_share <= DAY["day_theoretical_revenue_usd"] <= by_tokens  # 562,027: between the two ways to round
    assert round(economics.profit_on_cost(DAY["day_theoretical_revenue_usd"], cost), 2) == DAY["cost_profit_margin"] == 5.45
    assert economics.margin(by_share, cost) == pytest.approx(1 - 1 / (1 + economics.profit_on_cost(by_share, cost)))


def test_the_published_rates_of_nodes_are_averages_over_all_node_time():
    day = DAY["day_seconds"]
    prefill = economics.phase_gpus(1 / day, DAY["day_input_tokens"], DAY["prefill_tokens_per_second_per_node"])
    decode = economics.phase_gpus(1 / day, DAY["day_output_tokens"], DAY["decode_tokens_per_second_per_node"])
    assert prefill + decode == pytest.approx(DAY["mean_nodes"], rel=2e-3)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.floats(100, 1e5), st.floats(0, 0.99), st.floats(10, 1e4), st.floats(100, 2e4), st.floats(50, 5e3), st.floats(0.05, 1))
def test_at_break_even_nothing_is_left(prompt, cached, output, prefill_speed, decode_speed, paid):
    earned = economics.request_income_usd(prompt, cached, output, 5e-7, 1e-7, 2e-6, paid)
    worked = economics.request_gpu_seconds(prompt, cached, output, prefill_speed, decode_speed)
    use = economics.break_even_use(earned, worked, 2 / 3600)
    cost = economics.request_cost_usd(worked, 2 / 3600, use)
    assert economics.margin(earned, cost) == pytest.approx(0, abs=1e-9)
    assert economics.profit_on_cost(earned, cost) == pytest.approx(0, abs=1e-9)


# --- cards --------------------------------------------------------------------------------------------------

CENT = 1e-8  # USD per token: a cent per million


def seconds_of(shared, each):
    return lambda batch: each + shared / batch


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.floats(1, 400), st.floats(1.05, 8), st.floats(5e-5, 1e-3), st.floats(0.02, 0.2), st.floats(2e-5, 1e-3))
def test_a_planted_batch_and_markup_are_found_again(batch, markup, input_seconds, shared, each):
    """Prices are rounded to a cent per million, as vendors do: what was planted lies in what is told."""
    rent, output = 2 / 3600, seconds_of(shared, each)
    exact = [markup * rent * value for value in (input_seconds, output(batch))]
    printed = [round(price / CENT) * CENT for price in exact]
    if min(printed) < CENT:
        return
    found = read_card(Card(*printed, cached=None, step=CENT), (input_seconds, input_seconds), output, rent, largest_batch=500)
    assert found.markup.low * (1 - 1e-9) <= markup <= found.markup.high * (1 + 1e-9)
    assert found.batch.low * (1 - 1e-6) <= batch <= found.batch.high * (1 + 1e-6)
    assert (found.batch.high == math.inf) == ("batch" in found.why)


def test_finer_cards_say_more():
    exact, output = (3.217e-7, 9.113e-7), seconds_of(0.05, 2e-4)
    widths = []
    for step in (1e-8, 1e-9, 1e-10):
        printed = [round(price / step) * step for price in exact]
        found = read_card(Card(*printed, cached=None, step=step), (3e-4, 3e-4), output, 2 / 3600)
        widths.append(found.batch.high / found.batch.low)
    assert widths[0] > widths[1] > widths[2] > 1


def test_what_cannot_be_told_is_said():
    card, rent = Card(5e-7, 1e-6, 1e-7, CENT), 2 / 3600
    flat = read_card(card, (1e-4, 1e-3), seconds_of(0.05, 2e-4), rent)
    assert flat.batch.high == math.inf and "larger batches change the ratio by less" in flat.why["batch"]
    dear = read_card(card, (1e-4, 1e-4), seconds_of(0.5, 1e-2), rent)
    assert dear.batch is None and "even a batch of 4096 takes" in dear.why["batch"]
    cheap = read_card(card, (1e-3, 1e-3), lambda batch: 1e-4, rent)
    assert cheap.batch is None and "a sequence alone takes" in cheap.why["batch"]
    assert all("use x (1 - margin)" in found.why["margin"] for found in (flat, dear, cheap))
    assert 0.2 in flat.cached_share and read_card(dataclasses.replace(card, cached=None), (1e-4, 1e-3), seconds_of(0.05, 2e-4), rent).cached_share is None


def test_what_input_tokens_take_widens_the_markup():
    exact = read_card(Card(5e-7, 1e-6, 1e-7, CENT), (2e-4, 2e-4), seconds_of(0.05, 2e-4), 2 / 3600)
    loose = read_card(Card(5e-7, 1e-6, 1e-7, CENT), (1e-4, 2e-4), seconds_of(0.05, 2e-4), 2 / 3600)
    assert loose.markup.high == pytest.approx(2 * exact.markup.high) and loose.markup.low == exact.markup.low < exact.markup.high
    assert exact.cached_share.low < 0.2 < exact.cached_share.high


def test_use_and_margin_trade_against_each_other():
    found = read_card(Card(5e-7, 1e-6, None, CENT), (2e-4, 2e-4), seconds_of(0.05, 2e-4), 2 / 3600)
    full, half = found.margin(1.0), found.margin(0.5)
    assert half.high < full.high and 1 - half.high == pytest.approx(2 * (1 - full.high))
    assert found.margin(1 / found.markup.high).high == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("call, told", [
    (lambda: Card(0, 1e-6, None, CENT), "must be positive numbers"),
    (lambda: Card(1e-6, math.nan, None, CENT), "must be positive numbers"),
    (lambda: Card(1e-9, 1e-6, None, CENT), "below the step"),
    (lambda: read_card(Card(1e-6, 2e-6, None, CENT), (0, 1e-4), seconds_of(0.1, 1e-4), 1e-3), "all must be positive"),
    (lambda: read_card(Card(1e-6, 2e-6, None, CENT), (2e-4, 1e-4), seconds_of(0.1, 1e-4), 1e-3), "the first no more than the second"),
    (lambda: read_card(Card(1e-6, 2e-6, None, CENT), (1e-4, 1e-4), seconds_of(0.1, 1e-4), 1e-3, largest_batch=0), "largest_batch = 0"),
    (lambda: read_card(Card(1e-6, 2e-6, None, CENT), (1e-4, 1e-4), lambda batch: 1e-4 / batch + (1e-3 if 10 < batch < 50 else 0), 1e-3), "must not take longer"),
    (lambda: read_card(Card(1e-6, 2e-6, None, CENT), (1e-4, 1e-4), lambda batch: batch, 1e-3), "must not take longer in a larger batch"),
    (lambda: read_card(Card(1e-6, 2e-6, None, CENT), (1e-4, 1e-4), seconds_of(0.1, 1e-4), 1e-3).margin(0), "use = 0; it must be above 0"),
])
def test_cards_that_cannot_be_read_are_refused(call, told):
    with pytest.raises(CardError, match=told):
        call()


def test_intervals_in_words():
    assert Interval(1.0, 2.5).told() == "1 to 2.5" and Interval(3, math.inf).told() == "3 or more"
