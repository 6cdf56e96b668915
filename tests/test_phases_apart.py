"""Prefill and decode on machines of their own: the balance, the gain against one machine, and the simulation."""

import dataclasses

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcost import attention, disaggregation, load, phases
from llmcost.arrivals import fixed, poisson, requests
from llmcost.catalog import ASSUMED, FABRICS, GPUS, MODELS
from llmcost.engine import Engine
from llmcost.expert_serving import ExpertService
from llmcost.faces import at
from llmcost.fleet import Split, simulate_split
from llmcost.layouts import Layout
from llmcost.serving import CapacityError, Service
from llmcost.split_fleet import fresh_prompt_seconds, largest_batch_within, shared_instances, split_fleet
from llmcost.step_costs import StepCosts

H100 = GPUS["h100_sxm"].computing_in("bf16")
SMALL = Service(MODELS["llama_3_1_8b"], H100, ASSUMED)
seconds = st.floats(1e-4, 1e-1)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(seconds, st.floats(1e-5, 1e-3), seconds, st.integers(2, 2000), st.floats(1.1, 20))
def test_the_shared_batch_keeps_the_limit_to_the_letter(shared, each, prompt, output_tokens, looser):
    limit = shared * looser
    given_ = {"shared_step_seconds": shared, "sequence_step_seconds": each, "prompt_seconds": prompt, "output_tokens": output_tokens}
    batch = at(disaggregation.shared_batch, given_, tpot_limit=limit, places=1e12)
    stay = load.resident_seconds(batch, output_tokens, shared + each * batch, prompt)
    assert load.loaded_tpot(stay, prompt, output_tokens) == pytest.approx(limit, rel=1e-9)
    assert at(disaggregation.shared_request_seconds, given_, tpot_limit=limit, places=1e12) == pytest.approx(stay / batch, rel=1e-9)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(seconds, st.floats(1e-5, 1e-3), seconds, st.integers(2, 2000), st.floats(1.1, 20), st.floats(0.3, 1))
def test_where_memory_limits_the_batch_nothing_is_gained(shared, each, prompt, output_tokens, looser, busy):
    given_ = {"shared_step_seconds": shared, "sequence_step_seconds": each, "prompt_seconds": prompt, "output_tokens": output_tokens,
              "tpot_limit": shared * looser, "prefill_busy": busy}
    few = 1e-3 * at(disaggregation.shared_batch, given_, places=1e12)
    assert at(disaggregation.split_gain, given_, places=few) <= 1 + 1e-12
    assert at(disaggregation.split_gain, {**given_, "prefill_busy": 1}, places=few) == pytest.approx(1)
    if at(disaggregation.shared_batch, given_, places=1e12) > 20:  # beside many others, its own prompt hardly counts
        assert at(disaggregation.split_gain, {**given_, "prefill_busy": 1}, places=1e12) >= 0.95


def test_balanced_pools_leave_none_idle():
    rates = {"prompt_seconds": 0.2, "prefill_busy": 0.8, "batch": 60, "output_tokens": 301, "step_seconds": 0.02}
    ratio = at(disaggregation.prefill_per_decode, rates)
    whole = at(disaggregation.split_rate, rates, n_prefill=ratio, n_decode=1)
    assert whole == pytest.approx(at(disaggregation.decode_rate, rates)) == pytest.approx(ratio * at(disaggregation.prefill_rate, rates))
    for change in (0.5, 2):
        more = at(disaggregation.split_rate, rates, n_prefill=change * ratio, n_decode=1)
        assert more / (1 + change * ratio) < whole / (1 + ratio)


def test_a_fleet_takes_its_load_and_one_instance_fewer_does_not():
    rate, prompt, output = 90.0, 1500, 200
    fleet = split_fleet(SMALL, SMALL, rate, prompt, output, tpot_limit=0.02)
    each_prefill = disaggregation.prefill_rate(fleet.prompt_seconds, 0.8)
    each_decode = disaggregation.decode_rate(fleet.batch, output, fleet.tpot)
    for count, each in ((fleet.n_prefill, each_prefill), (fleet.n_decode, each_decode)):
        assert (count - 1) * each < rate <= count * each
    context = phases.mean_context(prompt, output)
    assert fleet.tpot <= 0.02 < SMALL.step(fleet.batch + 1, context)["step"]
    assert fleet.batch == largest_batch_within(SMALL, context, 0.02)
    assert fleet.transfer_seconds == pytest.approx(at(attention.state_bytes, MODELS["llama_3_1_8b"], context=prompt, kv_bytes_per_element=2,
                                                      state_bytes_per_element=4) / 40e9)
    cached = split_fleet(SMALL, SMALL, rate, prompt, output, tpot_limit=0.02, cached_share=0.75)
    assert cached.n_prefill < fleet.n_prefill and cached.n_decode == fleet.n_decode
    assert shared_instances(SMALL, rate, prompt, output, tpot_limit=0.02) > fleet.n_prefill + fleet.n_decode
    assert shared_instances(SMALL, rate, prompt, output, tpot_limit=0.02, cached_share=0.75) < shared_instances(SMALL, rate, prompt, output, tpot_limit=0.02)
    slow = dataclasses.replace(SMALL, max_sequences=16)
    assert shared_instances(slow, rate, prompt, output, tpot_limit=0.02) <= sum(dataclasses.astuple(
        split_fleet(slow, slow, rate, prompt, output, tpot_limit=0.02))[:2])


def test_simulated_pools_take_what_the_formulas_say():
    """One machine of each kind: just below the rate of the slower one the queue ends, just above it does not."""
    output, prompt, cost = 100, 2000, StepCosts(SMALL)
    engine = Engine(policy="continuous", max_sequences=32, kv_blocks=20_000)
    prompt_seconds = float(SMALL.prompt_engine_seconds(prompt))
    step = float(SMALL.step(32, phases.mean_context(prompt, output))["step"])
    most = min(1 / prompt_seconds, disaggregation.decode_rate(32, output, step))
    split = Split(engine, engine, cost, cost, lambda tokens: 0.005)

    def last_waits(rate):
        some = requests(poisson(rate, 600), fixed(prompt), fixed(output))
        run = simulate_split(some, split)
        stay = run.end - run.arrival
        return numpy.nanmean(stay[-60:]) / numpy.nanmean(stay[:60])

    assert last_waits(0.7 * most) < 1.5 < 2.5 < last_waits(1.5 * most)


@pytest.mark.parametrize("given_, told", [
    ({"rate": 0}, "rate = 0; it must be a positive number"),
    ({"rate": float("nan")}, "it must be a positive number"),
    ({"output_tokens": 1}, "decode needs a prompt and a second token"),
    ({"prefill_busy": 0}, "prefill_busy = 0"),
    ({"cached_share": 1.0}, "cached_share = 1.0"),
    ({"transfer_bandwidth": 0}, "transfer_bandwidth = 0"),
    ({"link_efficiency": float("nan")}, "link_efficiency = nan"),
    ({"output_tokens": float("inf")}, "decode needs a prompt and a second token"),
    ({"tpot_limit": 1e-4}, "no batch keeps 0.1 ms per output token: a sequence alone takes"),
    ({"prompt_tokens": 2_000_000}, "not one sequence of 2,000,100 tokens fits"),
])
def test_what_cannot_be_split_is_refused(given_, told):
    asked = {"rate": 10.0, "prompt_tokens": 1000, "output_tokens": 200, **given_}
    with pytest.raises(CapacityError, match=told):
        split_fleet(SMALL, SMALL, **asked)


def test_groups_of_gpus_are_instances_too():
    large = Service(MODELS["llama_3_1_70b"], H100, ASSUMED, Layout(tensor=4))
    fleet = split_fleet(large, large, 12.0, 1000, 300)
    assert fleet.n_gpus == 4 * (fleet.n_prefill + fleet.n_decode)
    assert fleet.transfer_seconds == pytest.approx(1000 * 327_680 / (4 * 40e9))
    assert fleet.link_use * fleet.n_prefill == pytest.approx(12 * fleet.transfer_seconds)
    rates = disaggregation.decode_rate(fleet.batch, 300, fleet.tpot), disaggregation.prefill_rate(fleet.prompt_seconds, 0.8)
    assert fleet.per_decode == pytest.approx(rates[0] / rates[1])
    count = shared_instances(large, 12.0, 1000, 300, tpot_limit=0.05)
    times = large.resident_seconds(1000, 300)
    batch = max(b for b in range(1, len(times) + 1) if (times[b - 1] - large.prompt_engine_seconds(1000)) / 299 <= 0.05)
    assert (count - 1) * batch / times[batch - 1] < 12 <= count * batch / times[batch - 1]


def test_a_unit_of_many_groups_hands_over_from_one_of_them():
    v3, h800 = MODELS["deepseek_v3"], GPUS["h800_sxm"].computing_in("fp8")
    unit = ExpertService(v3, h800, ASSUMED, Layout(experts=32), weight_bytes_per_param=1, fabric=FABRICS["infiniband_400"], micro_batches=2)
    fleet = split_fleet(unit, unit, 30.0, 4000, 500)
    assert fleet.transfer_seconds == pytest.approx(4000 * 70_272 / 40e9)
    assert fleet.prompt_seconds == pytest.approx(unit.prefill_seconds(4000))


def test_new_tokens_attend_to_cached_ones():
    large = Service(MODELS["llama_3_1_70b"], H100, ASSUMED, Layout(tensor=4))
    whole, cached = large.prompt_engine_seconds(100_000), large.prompt_engine_seconds(90_000)
    assert fresh_prompt_seconds(large, 100_000, 0.9) == pytest.approx(whole - cached)
    assert fresh_prompt_seconds(large, 100_000, 0.9) > 1.5 * large.prompt_engine_seconds(10_000)
    assert fresh_prompt_seconds(large, 1000, 0.0) == large.prompt_engine_seconds(1000)
