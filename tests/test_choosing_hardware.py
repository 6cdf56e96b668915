"""Joules, owned machines, one's own service against an API, tasks by the accepted answer, chips: limits, hand counts, and both ways to a crossing."""

import math
import random
import statistics

import numpy
import pytest

from llmcost import bills, chips, economics, energy, ownership, phases, self_hosting, tasks
from llmcost.catalog import ASSUMED, ASSUMPTIONS, GPUS, MODELS, read_csv
from llmcost.faces import at
from llmcost.load import busy_rate, replicas_for_rate
from llmcost.traffic import Day, TrafficError

YEAR, DAY, KWH = 31_536_000, 86_400, 3.6e6


def bisected(difference, low, high):
    """Where `difference` changes its sign."""
    sign = difference(low) > 0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if (difference(middle) > 0) == sign else (low, middle)
    return low


# --- energy --------------------------------------------------------------------------------------------------

def test_energy_of_a_token_by_hand():
    """700 W at 0.8 and 40 W of host: 600 W. Two milliseconds of it are 1.2 J, 1.8 J at a PUE of 1.5; at $0.12 a kWh that is 6e-8."""
    watts = energy.drawn_watts(700, 0.8, 40)
    joules = energy.token_joules(watts, 0.002)
    assert (watts, joules, energy.wall_token_joules(joules, 1.5)) == (600, 1.2, pytest.approx(1.8))
    assert energy.token_electricity_usd(1.8, 0.12 / KWH) == pytest.approx(6e-8)


def test_energy_falls_with_the_batch_while_weights_are_read():
    """A batch of twice the size takes half the energy for a token, until state or computing takes the time."""
    known = {"n_gpus": 4, "weight_bytes_per_param": 2, "kv_bytes_per_element": 2, "state_bytes_per_element": 4, "context": 1}
    joules = [energy.token_joules(600, at(phases.output_token_gpu_seconds, MODELS["llama_3_1_70b"], GPUS["h100_sxm"].computing_in("bf16"), known, batch=batch)) for batch in (1, 2, 4096, 8192)]
    assert joules[0] / joules[1] == pytest.approx(2, rel=1e-3) and joules[2] / joules[3] == pytest.approx(1, rel=1e-3)


def test_power_over_a_day_is_between_waiting_and_work():
    assert energy.mean_watts(600, 100, 0) == 100 and energy.mean_watts(600, 100, 1) == 600
    hours = [600] * 6 + [100] * 18
    assert energy.mean_watts(600, 100, 6 / 24) == pytest.approx(sum(hours) / 24)
    assert energy.electricity_rent(statistics.mean(hours), 1.2, 0.1 / KWH) * DAY == pytest.approx(sum(hours) / 1000 * 1.2 * 0.1)


def test_energy_of_a_request_is_that_of_its_tokens():
    assert energy.request_joules(3, 0.5, 2, 4) == 0.5 + 0.5 + 0.5 + 4 + 4


# --- a machine of one's own -----------------------------------------------------------------------------------

@pytest.mark.parametrize("rate, years", [(0.02, 1), (0.1, 5), (0.17, 3), (0.3, 8)])
def test_equal_payments_are_worth_the_price(rate, years):
    factor = ownership.recovery_factor(rate, years)
    assert sum(1000 * factor / (1 + rate) ** year for year in range(1, years + 1)) == pytest.approx(1000)


def test_without_interest_a_year_brings_back_its_share():
    assert ownership.recovery_factor(1e-7, 4) == pytest.approx(0.25, rel=1e-5)


def test_what_is_sold_in_the_end_pays_for_a_part():
    """Payments for what is worn, and the sale in the end, together are worth the price."""
    rate, years, price, rest = 0.1, 5, 40_000, 0.12
    payment = ownership.worn_usd(price, rest, rate, years) * ownership.recovery_factor(rate, years)
    assert sum(payment / (1 + rate) ** year for year in range(1, years + 1)) + rest * price / (1 + rate) ** years == pytest.approx(price)


def test_levelized_cost_by_hand():
    """$31,536 in a year at 25 % interest, nothing left, is 39,420 a year or $0.00125 a second. Upkeep of a tenth is 0.0001.
    500 W at work and 100 W idle, half of the time, at a PUE of 2 and $0.36 a kWh: 600 W or $0.00006. At 1,000 tokens a second
    for half of the time a token costs 0.00141 / 500.
    """
    given = {"purchase_usd": 31_536, "interest_rate": 0.25, "life_years": 1, "resale_share": 0, "upkeep_share": 0.1, "year_seconds": YEAR, "power_w": 400, "power_share": 1, "host_watts": 100,
             "idle_watts": 100, "pue": 2, "electricity_price": 0.36 / KWH, "used_share": 0.5, "tokens_per_second": 1000}
    assert at(ownership.capital_rent, given) == pytest.approx(0.00125)
    assert at(ownership.upkeep_rent, given) == pytest.approx(0.0001)
    assert at(energy.electricity_rent, given) == pytest.approx(0.00006)
    assert at(ownership.owned_rent, given) == pytest.approx(0.00141)
    assert at(ownership.levelized_usd, given) == pytest.approx(0.00141 / 500)


def test_levelized_cost_is_what_years_of_bills_come_to():
    """Cash and tokens of every year, both discounted, as the textbooks define it; the annuity spreads them evenly."""
    rate, years, price, used, speed = 0.08, 6, 48_000, 0.3, 900
    kept = ownership.capital_rent(ownership.worn_usd(price, 0, rate, years), ownership.recovery_factor(rate, years), YEAR)
    ours = ownership.levelized_usd(ownership.owned_rent(kept, 2e-5, used), used, speed)
    discount = [(1 + rate) ** -year for year in range(1, years + 1)]
    cash = price + sum(2e-5 * used * YEAR * d for d in discount)
    assert ours == pytest.approx(cash / sum(used * speed * YEAR * d for d in discount))


@pytest.mark.parametrize("rent", [1.5 / 3600, 3.2 / 3600, 10 / 3600])
def test_owning_ties_with_rent_in_closed_form_as_by_bisection(rent):
    kept, used = 1.4 / 3600, 0.1 / 3600
    share = ownership.owning_break_even(kept, used, rent)
    assert share == pytest.approx(bisected(lambda u: ownership.owned_rent(kept, used, u) / u - rent, 1e-6, 50))
    assert ownership.levelized_usd(ownership.owned_rent(kept, used, share), share, 700) == pytest.approx(rent / 700)


def test_the_price_at_which_a_machine_ties_gives_that_cost():
    price = ownership.tie_purchase_usd(2e-6, 0.4, 800, ownership.recovery_factor(0.1, 5), YEAR)
    rent = ownership.capital_rent(price, ownership.recovery_factor(0.1, 5), YEAR)
    assert ownership.levelized_usd(rent, 0.4, 800) == pytest.approx(2e-6)


# --- one's own service or an API --------------------------------------------------------------------------------

REPLICA = {"gpu_price": 3.2 / 3600, "n_gpus": 2, "replica_rate": 2.5, "period_seconds": DAY, "peak_factor": 1.5}


def own_usd(requests):
    """Cost of a request on the fewest replicas that keep up with the busiest hour."""
    replicas = replicas_for_rate(busy_rate(requests, DAY, REPLICA["peak_factor"]), REPLICA["replica_rate"])
    return at(self_hosting.self_hosted_usd, REPLICA, replicas=replicas, daily_requests=requests)


@pytest.mark.parametrize("api", [0.0015, 0.00266, 0.02])
def test_break_even_load_in_closed_form_as_by_bisection(api):
    ours = at(self_hosting.break_even_requests, REPLICA, api_usd=api)
    assert ours < at(self_hosting.replica_requests, REPLICA), "one replica does it"
    assert ours == pytest.approx(bisected(lambda requests: own_usd(requests) - api, 1, at(self_hosting.replica_requests, REPLICA)))


def test_break_even_load_by_hand():
    """Two GPUs at $3.20 are $153.60 a day; at $0.00266 for a request that is 57,744 of them. Full they take 144,000 with a peak of 1.5."""
    assert round(at(self_hosting.break_even_requests, REPLICA, api_usd=0.00266)) == 57_744
    assert at(self_hosting.replica_requests, REPLICA) == 144_000
    assert at(self_hosting.full_replica_usd, REPLICA) == pytest.approx(153.6 / 144_000)


def test_no_load_beats_an_api_below_a_full_replica():
    least = at(self_hosting.full_replica_usd, REPLICA)
    loads = numpy.unique(numpy.geomspace(10, 1e8, 4000).astype(int))
    assert min(own_usd(int(requests)) for requests in loads) >= least * (1 - 1e-12)
    assert own_usd(144_000) == pytest.approx(least) == own_usd(10 * 144_000)


@pytest.mark.parametrize("api", [0.0011, 0.0012, 0.0014, 0.0018, 0.003])
def test_from_the_safe_number_of_replicas_no_load_loses(api):
    """Every load is tried, in steps of a thousandth of a replica."""
    one, safe = at(self_hosting.replica_requests, REPLICA), int(at(self_hosting.safe_replicas, REPLICA, api_usd=api))
    lost = [requests for requests in numpy.arange(one / 1000, (safe + 6) * one, one / 1000) if own_usd(requests) > api * (1 + 1e-12)]
    assert max(lost) <= safe * one + one / 1000
    assert safe == 1 or any(requests > (safe - 1) * one for requests in lost), "with one replica less a stretch of loss remains"


def test_where_rent_never_wins_no_number_of_replicas_is_safe():
    assert at(self_hosting.safe_replicas, REPLICA, api_usd=0.001) == math.inf


def test_use_is_a_result_of_the_load():
    assert at(self_hosting.fleet_use, REPLICA, daily_requests=144_000, replicas=1) == pytest.approx(1 / 1.5), "full in the busiest hour, idle in the others"
    assert at(self_hosting.fleet_use, REPLICA, daily_requests=2.5 * DAY, replicas=1) == 1


# --- a day, hour by hour -------------------------------------------------------------------------------------------

SHAPES = {row["service"]: [float(one["rate_over_mean"]) for one in read_csv("measurements/day_traffic.csv") if one["service"] == row["service"]] for row in read_csv("measurements/day_traffic.csv")}


@pytest.mark.parametrize("service", SHAPES)
def test_hours_of_a_published_day_average_to_one(service):
    assert len(SHAPES[service]) == 24 and statistics.mean(SHAPES[service]) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("service", SHAPES)
@pytest.mark.parametrize("follow", [False, True])
def test_a_day_is_what_its_hours_add_up_to(service, follow):
    day = Day(SHAPES[service], mean_rate=40, replica_rate=2.5, follow=follow)
    served = sum(rate * 3600 for rate in day.rates)
    paid = sum(day.replicas)
    assert served == pytest.approx(40 * DAY)
    assert all(rate <= replicas * 2.5 for rate, replicas in zip(day.rates, day.replicas)), "no hour is overloaded"
    assert day.use == pytest.approx(served / (paid * 2.5 * 3600))
    assert day.usd(0.002) == pytest.approx(paid * 3600 * 0.002) and day.break_even_usd(0.002) == pytest.approx(paid * 3600 * 0.002 / served)


def test_replicas_that_follow_are_never_more_and_never_overloaded():
    for shape in SHAPES.values():
        for rate in (0.1, 1, 7, 40, 333):
            stays, moves = Day(shape, rate, 2.5), Day(shape, rate, 2.5, follow=True)
            assert all(a <= b for a, b in zip(moves.replicas, stays.replicas)) and set(stays.replicas) == {max(moves.replicas)}
            assert moves.use >= stays.use and stays.use <= 1 / stays.peak_factor + 1e-12


def test_a_fixed_day_is_the_formula_of_one_peak():
    day = Day(SHAPES["m_small"], 300_000 / DAY, 2.5)
    formula = {**REPLICA, "peak_factor": day.peak_factor}
    assert day.replicas[0] == replicas_for_rate(busy_rate(300_000, DAY, day.peak_factor), 2.5)
    assert day.use == pytest.approx(at(self_hosting.fleet_use, formula, daily_requests=300_000, replicas=day.replicas[0]))
    assert day.break_even_usd(economics.hardware_price(3.2 / 3600, 2)) == pytest.approx(at(self_hosting.self_hosted_usd, formula, daily_requests=300_000, replicas=day.replicas[0]))


def test_a_shape_in_any_unit_gives_the_same_day():
    assert Day([3, 1, 2], 5, 1).replicas == Day([0.3, 0.1, 0.2], 5, 1).replicas == [8, 8, 8]
    assert Day([3, 1, 2], 5, 1, follow=True).replicas == [8, 3, 5] and Day([1, 0], 2, 1, follow=True, least=0).replicas == [4, 0]


@pytest.mark.parametrize("given, message", [({"shape": []}, "at least one part"), ({"shape": [0, 0]}, "not all of them 0"), ({"shape": [1, -1]}, "none below 0"), ({"shape": [float("nan")]}, "none below 0"),
                                            ({"mean_rate": 0}, "positive"), ({"replica_rate": -1}, "positive"), ({"mean_rate": float("inf")}, "positive"), ({"least": -1}, "none or more")], ids=str)
def test_a_day_that_cannot_be_is_refused(given, message):
    with pytest.raises(TrafficError, match=message):
        Day(**{"shape": [1.0], "mean_rate": 1, "replica_rate": 1, **given})


# --- a task, by the accepted answer ----------------------------------------------------------------------------------

TALK = {"turns": 7, "instruction_tokens": 900, "question_tokens": 120, "answer_tokens": 300, "thinking_multiple": 2}
CARD = {"input_price": 3e-6, "cached_price": 3e-7, "write_price": 3.75e-6, "output_price": 15e-6}


@pytest.mark.parametrize("hit_share", [0, 0.4, 1])
def test_an_attempt_costs_what_its_calls_cost(hit_share):
    """Each call counted: what it sends anew, what it sends again, and what it writes with its reasoning."""
    sent, usd = 0, 0.0
    for turn in range(TALK["turns"]):
        new = TALK["question_tokens"] + (TALK["instruction_tokens"] if turn == 0 else TALK["answer_tokens"])
        usd += new * CARD["write_price"] + sent * (hit_share * CARD["cached_price"] + (1 - hit_share) * CARD["write_price"]) + 3 * TALK["answer_tokens"] * CARD["output_price"]
        sent += new
    assert at(tasks.attempt_usd, TALK | CARD, hit_share=hit_share) == pytest.approx(usd)


def test_an_attempt_with_every_hit_is_the_conversation_of_the_bill():
    given = {**TALK, "thinking_multiple": 0, **CARD}
    ours = at(tasks.attempt_usd, given, hit_share=1)
    assert ours == pytest.approx(at(bills.cached_conversation_usd, {name: given[name] for name in (*TALK, *CARD) if name not in ("thinking_multiple", "input_price")}))


def test_in_a_long_attempt_a_token_is_sent_half_as_often_as_there_are_turns():
    resent = lambda turns: at(tasks.resent_multiple, {**TALK, "instruction_tokens": 0, "turns": turns})
    assert resent(1) == 1 and resent(10_000) / 10_000 == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize("limit", [1, 2, 5, 20])
def test_expected_attempts_and_accepted_share_by_counting(limit):
    p = 0.3
    ends = {k: (1 - p) ** (k - 1) * p for k in range(1, limit + 1)}
    assert tasks.accepted_share(p, limit) == pytest.approx(sum(ends.values()))
    assert tasks.expected_attempts(tasks.accepted_share(p, limit), p) == pytest.approx(sum(k * share for k, share in ends.items()) + limit * (1 - p) ** limit)


def test_tasks_drawn_at_random_cost_what_the_formulas_say():
    draw, p, limit, attempt, review, fallback, n = random.Random(3), 0.4, 3, 0.5, 0.25, 20, 200_000
    spent = accepted = done = 0
    for _ in range(n):
        for tried in range(1, limit + 1):
            spent += attempt + review
            if draw.random() < p:
                accepted += 1
                break
        else:
            done += fallback
    share = tasks.accepted_share(p, limit)
    assert accepted / n == pytest.approx(share, rel=0.01)
    assert spent / accepted == pytest.approx(tasks.accepted_usd(attempt, review, p), rel=0.01)
    assert (spent + done) / n == pytest.approx(tasks.done_usd(attempt, review, tasks.expected_attempts(share, p), share, fallback), rel=0.01)


def test_the_limit_on_attempts_cancels():
    for limit in (1, 2, 7):
        share = tasks.accepted_share(0.35, limit)
        assert tasks.expected_attempts(share, 0.35) * 0.9 / share == pytest.approx(tasks.accepted_usd(0.5, 0.4, 0.35))


def test_with_no_fallback_cost_a_task_costs_its_attempts():
    assert tasks.done_usd(0.5, 0, 1.75, 0.875, 0) == 1.75 * 0.5


@pytest.mark.parametrize("cheap, dear", [((0.038, 0.506), (0.126, 0.574)), ((0.126, 0.574), (1.193, 0.64)), ((0.2, 0.3), (0.5, 0.9))])
def test_the_check_at_which_models_tie_in_closed_form_as_by_bisection(cheap, dear):
    ours = tasks.tie_review_usd(*cheap, *dear)
    difference = lambda review: tasks.accepted_usd(cheap[0], review, cheap[1]) - tasks.accepted_usd(dear[0], review, dear[1])
    assert ours == pytest.approx(bisected(difference, -1, 1000), abs=1e-9)
    assert difference(ours + 1) > 0 > difference(ours - 0.05), "above it the one that succeeds more often is cheaper"


def test_the_share_that_ties_gives_the_other_cost():
    share = tasks.tie_success_share(0.2, 0.3, 1.25)
    assert share == 0.4 and tasks.accepted_usd(0.2, 0.3, share) == pytest.approx(1.25)


# --- chips --------------------------------------------------------------------------------------------------------

def test_speed_with_a_full_memory_is_bandwidth_over_capacity():
    """What the source compares: an L40S, 48 GB at 864 GB/s; an M3 Ultra, 512 GB at 819 GB/s."""
    assert chips.full_memory_speed(864e9, 48e9) == 18 and chips.full_memory_speed(819e9, 512e9) == pytest.approx(1.5996, abs=1e-4)
    assert GPUS["l40s"].memory_bandwidth == 864e9 and GPUS["m3_ultra_80c"].memory_bandwidth == 819e9


@pytest.mark.parametrize("key", GPUS)
def test_at_that_speed_a_chip_reads_just_what_it_holds(key):
    gpu = GPUS[key]
    speed = at(chips.full_memory_speed, gpu)
    assert chips.readable_bytes(gpu.memory_bandwidth, speed) == pytest.approx(gpu.memory_bytes)
    assert chips.needed_bandwidth(gpu.memory_bytes, speed) == pytest.approx(gpu.memory_bandwidth)


@pytest.mark.parametrize("other_price, other_seconds, seconds", [(3 / 3600, 0.004, 0.001), (1 / 3600, 0.001, 0.02)])
def test_tie_of_rents_in_closed_form_as_by_bisection(other_price, other_seconds, seconds):
    ours = chips.tie_gpu_price(other_price, other_seconds, seconds)
    difference = lambda rent: economics.output_token_usd(seconds, rent) - economics.output_token_usd(other_seconds, other_price)
    assert ours == pytest.approx(bisected(difference, 1e-9, 1))


def test_where_one_chip_is_first_by_byte_and_by_flop_nothing_is_split():
    """Both phases on the best chip: any pair costs at least as much."""
    rents, seconds_in, seconds_out = (0.001, 0.0008), (1e-4, 3e-4), (2e-3, 4e-3)
    usd = lambda a, b: chips.split_request_usd(1000, rents[a] * seconds_in[a], 300, rents[b] * seconds_out[b])
    assert min((usd(a, b), (a, b)) for a in (0, 1) for b in (0, 1))[1] == (0, 0)
    assert chips.usd_per_byte(0.002, 4e12) == 5e-16 and chips.usd_per_flop(0.002, 1e15) == 2e-18


# --- facts ----------------------------------------------------------------------------------------------------------

ENERGY = read_csv("measurements/energy.csv")


@pytest.mark.parametrize("row", ENERGY, ids=lambda row: row["row_id"])
def test_measured_energy_is_power_over_rate(row):
    """What the publishers divide themselves, to a tenth: their power is that of the steady part of a run."""
    assert float(row["watts"]) / float(row["tokens_per_second"]) == pytest.approx(float(row["joules_per_token"]), rel=0.1)
    assert 0.3 < float(row["watts"]) / int(row["n_gpus"]) / GPUS[row["gpu"]].power_w < 1.02


def test_the_assumed_share_of_power_is_the_median_of_the_runs():
    shares = [float(row["watts"]) / int(row["n_gpus"]) / GPUS[row["gpu"]].power_w for row in ENERGY]
    assumed = ASSUMPTIONS["power_share"]
    assert assumed.value == pytest.approx(statistics.median(shares), abs=0.005)
    assert assumed.low <= min(shares) + 0.001 and max(shares) <= assumed.high


@pytest.mark.parametrize("row", [row for row in read_csv("measurements/edge_decode.csv") if row["weight_bytes"]], ids=lambda row: row["row_id"])
def test_no_small_machine_beats_its_bandwidth(row):
    model, gpu = MODELS[row["model"]], GPUS[row["gpu"]].computing_in("bf16")
    bound = at(phases.tokens_per_second_per_user, model, gpu, ASSUMED, batch=1, context=float(row["context"]), n_gpus=1, kv_bytes_per_element=2, weight_bytes_per_param=float(row["weight_bytes"]) / model.n_params)
    assert 0.2 * bound < float(row["tokens_per_second"]) < bound


@pytest.mark.parametrize("row", read_csv("prices/purchase.csv"), ids=lambda row: f"{row['gpu']}-{row['date']}-{row['usd_low']}")
def test_a_price_of_purchase_has_its_ends_in_order(row):
    assert 500 < float(row["usd_low"]) <= float(row["usd_high"]) < 100_000
    assert row["what"] in ("card", "share of a server", "share of a cluster", "whole machine")


def test_electricity_is_priced_as_people_pay_it():
    assert all(0.03 < float(row["per_kwh"]) < 0.6 and row["currency"] in ("USD", "EUR") for row in read_csv("prices/electricity.csv"))
