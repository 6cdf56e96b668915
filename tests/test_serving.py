"""A service under a load: closed forms, the chain of batches and the simulation say the same wherever they must."""

import dataclasses
import math
from math import inf

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcost import capacity, collectives, load, parallelism, phases
from llmcost.accounting import USES, MeterError, dollars, time_of_counters, time_of_run
from llmcost.arrivals import fixed, geometric, lognormal, poisson, requests
from llmcost.catalog import ASSUMED, GPUS, MODELS
from llmcost.engine import Engine
from llmcost.faces import at
from llmcost.layouts import Layout, LayoutError
from llmcost.queueing import Chain, erlang_c
from llmcost.scheduling import simulate
from llmcost.serving import CapacityError, Service, fewest_gpus
from llmcost.step_costs import StepCosts
from llmcost.workload import Request

H100, B300 = GPUS["h100_sxm"].computing_in("bf16"), GPUS["b300_sxm"].computing_in("bf16")
LEAST = {"bandwidth_efficiency": 1, "compute_efficiency": 1, "layer_overhead_seconds": 0}
every_model = pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.key)


WIDE = (8, 4, 2)


def small(**given):
    return Service(MODELS["llama_3_1_8b"], H100, ASSUMED, **given)


def that_fits(model, groups=(1, 2, 4, 8), **given):
    """The service with the first of these groups of GPUs, and then the most bytes for each weight, that takes the model."""
    reasons = []
    for tensor in groups:
        for weight_bytes in (2, 1, 0.5):
            try:
                return Service(model, B300, ASSUMED, Layout(tensor=tensor), weight_bytes_per_param=weight_bytes, **given)
            except (CapacityError, LayoutError) as error:
                reasons.append(str(error))
    raise AssertionError(f"{model.name} fits nowhere: {reasons[-1]}")


# --- closed forms ---------------------------------------------------------------------------------------------

positive = st.floats(1e-3, 1e3)
shares = st.floats(1e-3, 0.999)


@given(positive, positive, shares)
def test_a_vanishing_load_leaves_a_request_alone(alone, work, share):
    assert load.loaded_request_seconds(alone, load.load_share(1e-12, work)) == pytest.approx(alone, rel=1e-8)
    assert load.loaded_request_seconds(alone, share) > alone
    assert load.loaded_request_seconds(alone, 1) == load.loaded_request_seconds(alone, 1.5) == inf
    assert load.batch_spread(5.0, 1) == load.batch_spread(5.0, 1.5) == inf


@given(positive, positive, positive, shares, st.integers(2, 5000))
def test_the_rate_of_a_tpot_is_its_inverse(shared, each, prompt, share, output):
    work = load.request_work_seconds(output, each, prompt)
    alone = load.lone_request_seconds(output, shared, work)
    rate = share * load.saturation_rate(work)
    tpot = load.loaded_tpot(load.loaded_request_seconds(alone, load.load_share(rate, work)), prompt, output)
    assert load.rate_for_tpot(tpot, output, alone, work, prompt) == pytest.approx(rate, rel=1e-6)
    assert load.rate_for_tpot((alone - prompt) / (output - 1) * 0.99, output, alone, work, prompt) == 0


@given(positive, positive, shares, st.floats(0, 6))
def test_the_rate_of_a_batch_is_the_inverse_of_mean_and_spreads(alone, work, share, deviations):
    alone = alone + work
    rate = share / work
    mean = load.loaded_batch(rate, load.loaded_request_seconds(alone, load.load_share(rate, work)))
    spread = load.batch_spread(mean, load.load_share(rate, work))
    assert load.rate_for_batch(mean + deviations * spread, deviations, alone, work) == pytest.approx(rate, rel=1e-6)
    assert load.rate_for_batch(0, deviations, alone, work) == 0


@given(positive, positive, positive, st.integers(2, 500), st.floats(1.01, 100))
def test_the_batch_of_a_tpot_takes_just_that_long(shared, each, prompt, output, slack):
    limit = slack * (shared + each)
    batch = load.batch_for_tpot(limit, shared, each, prompt, output)
    times = load.resident_seconds(batch, output, shared + batch * each, prompt)
    assert times / (output - 1) == pytest.approx(limit, rel=1e-9)
    assert load.batch_for_tpot(shared / 2, shared, each, prompt, output) == 0 and load.batch_for_tpot(1, 1, 1, 1, 1) == inf


@given(st.floats(1e-3, 1), st.floats(1e-5, 1e-3), st.floats(0, 0.5), st.integers(2, 300), st.floats(0.01, 0.9))
def test_the_closed_form_is_the_chain_without_a_limit(shared, each, prompt, output, share):
    work = load.request_work_seconds(output, each, prompt)
    alone, rate = load.lone_request_seconds(output, shared, work), share / work
    mean = load.loaded_batch(rate, load.loaded_request_seconds(alone, share))
    most = int(mean + 40 * load.batch_spread(mean, share) + 40)
    if most > 50_000:
        return
    batches = numpy.arange(1, most + 1)
    chain = Chain(load.resident_seconds(batches, output, shared + batches * each, prompt), rate)
    spread = math.sqrt(chain.probabilities @ (chain.batches - chain.batch) ** 2)
    assert chain.batch == pytest.approx(mean, rel=1e-6) and spread == pytest.approx(load.batch_spread(mean, share), rel=1e-6)
    assert chain.stay_seconds == pytest.approx(load.loaded_request_seconds(alone, share), rel=1e-6)
    assert chain.wait_seconds == pytest.approx(0, abs=1e-6 * alone)


def test_the_batch_has_a_negative_binomial_distribution():
    """With r = alone / work and load share x, n requests have the probability of n failures before r successes of chance 1 - x."""
    alone, work, share = 7.0, 2.0, 0.6
    batches = numpy.arange(1, 400)
    chain = Chain(alone - work + batches * work, share / work)
    r = alone / work
    logs = [math.lgamma(n + r) - math.lgamma(r) - math.lgamma(n + 1) + r * math.log(1 - share) + n * math.log(share) for n in range(400)]
    numpy.testing.assert_allclose(chain.probabilities, numpy.exp(logs), rtol=1e-9, atol=1e-15)
    assert chain.idle_share == pytest.approx((1 - share) ** r)
    quantile = chain.batch_quantile(0.99)
    assert chain.probabilities[:quantile.astype(int) + 1].sum() >= 0.99 > chain.probabilities[:quantile.astype(int)].sum()


# --- the chain ----------------------------------------------------------------------------------------------------

def waiting(servers, offered):
    """Erlang C by way of the recursion for Erlang B."""
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = offered * blocked / (n + offered * blocked)
    return blocked / (1 - offered / servers * (1 - blocked))


@given(st.integers(1, 300), st.floats(0.01, 0.999))
def test_servers_of_one_speed_are_those_of_erlang(servers, share):
    offered = servers * share
    assert erlang_c(servers, offered) == pytest.approx(waiting(servers, offered), rel=1e-9)
    chain = Chain(numpy.full(servers, 2.0), offered / 2)
    wait = waiting(servers, offered) * 2.0 / (servers - offered)
    assert chain.wait_seconds == pytest.approx(wait, rel=1e-6) and chain.stay_seconds == pytest.approx(2.0 + wait, rel=1e-6)
    assert chain.batch == pytest.approx(offered, rel=1e-6)
    # Waits are exponential beyond a full batch: P(wait > t) = waiting share x exp(-(full rate - rate) t).
    if (late := chain.wait_quantile(0.99)) > 0:
        assert chain.waiting_share * math.exp(-(servers - offered) / 2.0 * late) == pytest.approx(0.01, rel=1e-6)


@given(shares, positive)
def test_one_server_is_m_m_1(share, time):
    chain = Chain([time], share / time)
    assert chain.stay_seconds == pytest.approx(time / (1 - share), rel=1e-9) and chain.waiting_share == pytest.approx(share)
    assert chain.queue == pytest.approx(share**2 / (1 - share), rel=1e-9)


def test_an_array_of_rates_is_one_rate_after_the_other():
    times = 3 + 0.2 * numpy.arange(1, 31)
    rates = numpy.array([[0.1, 1.0, 2.0], [3.0, 3.3, 3.34]])  # the last above 30 / 9, what a full batch ends
    together = Chain(times, rates)
    for name in ("batch", "queue", "wait_seconds", "stay_seconds", "waiting_share", "idle_share"):
        alone = [[float(getattr(Chain(times, rate), name)) for rate in row] for row in rates]
        numpy.testing.assert_allclose(getattr(together, name), alone, rtol=1e-12)
        assert numpy.isnan(getattr(together, name)).tolist() == [[False] * 3, [False, False, True]]
    for name in ("batch_quantile", "wait_quantile"):
        alone = [[float(getattr(Chain(times, rate), name)(0.95)) for rate in row] for row in rates]
        numpy.testing.assert_allclose(getattr(together, name)(0.95), alone, rtol=1e-12)
        assert numpy.isnan(getattr(together, name)(0.95)[-1, -1])


@pytest.mark.parametrize("times, rate, told", [([], 1, "row of positive times"), ([[1.0]], 1, "row"), ([1, 0], 1, "positive times"),
                                               ([1, math.nan], 1, "positive times"), ([1], 0, "rate = 0"), ([1], -1, "rate = -1"),
                                               ([1], math.nan, "rate = nan"), ([1], [1, inf], "positive number of requests")])
def test_chains_that_make_no_sense_are_refused(times, rate, told):
    with pytest.raises(ValueError, match=told):
        Chain(times, rate)


# --- a service: memory and steps --------------------------------------------------------------------------------------

@every_model
@pytest.mark.parametrize("groups", [(1, 2, 4, 8), WIDE], ids=["few", "many"])
def test_memory_is_what_capacity_says_for_every_model(model, groups):
    service = that_fits(model, groups)
    held = service.memory(3, 1000)
    assert min(held.values()) >= 0 and sum(held.values()) == pytest.approx(B300.memory_bytes, rel=1e-12)
    for context in (100, 5_000, 100_000):
        fit = service.value(capacity.sequences_that_fit, context=context)
        assert service.largest_batch(context) == min(fit, 1024)
        assert dataclasses.replace(service, max_sequences=10**9).largest_batch(context) == fit
    if service.value(capacity.growing_bytes_per_token):
        assert service.kv_blocks() * 16 == service.value(capacity.tokens_that_fit, block_tokens=16)
    else:
        with pytest.raises(CapacityError, match="stops growing.*largest_batch says how many"):
            service.kv_blocks()
    full = dataclasses.replace(service, max_sequences=10**9)
    assert full.memory(full.largest_batch(5_000), 5_000)["free"] >= 0
    with pytest.raises(CapacityError, match=f"{full.largest_batch(5_000):,} fit"):
        full.memory(full.largest_batch(5_000) + 1, 5_000)


@every_model
@pytest.mark.parametrize("groups", [(1, 2, 4, 8), WIDE], ids=["few", "many"])
def test_a_step_without_overheads_is_the_least_step_of_every_model(model, groups):
    service = that_fits(model, groups, given=LEAST)
    alone = service.layout.tensor == 1
    for batch, context in ((1, 1), (7, 3_000), (300, 500), (64, 20_000)):
        parts = service.step(batch, context)
        assert sum(seconds for part, seconds in parts.items() if part != "step") == pytest.approx(parts["step"], rel=1e-12)
        assert parts["fixed"] == 0 and (parts["communication"] == 0) == alone
        least = service.value(phases.decode_step_seconds, batch=batch, context=context)
        assert parts["step"] - parts["communication"] == pytest.approx(least, rel=1e-12)
        group = service.value(parallelism.tensor_step_seconds, batch=batch, context=context,
                              message_bytes=service.value(parallelism.step_message_bytes, batch=batch))
        assert parts["step"] == pytest.approx(group, rel=1e-12)
    one_gpu = dataclasses.replace(service, layout=Layout(), given=LEAST | {"memory_utilization": 1e3})  # as if there were room
    for prompts, prompt in ((1, 1), (1, 3_000), (5, 700)):
        assert one_gpu.prefill_seconds(prompt, prompts) == pytest.approx(
            one_gpu.value(phases.prefill_seconds, prompt_tokens=prompt, prompts=prompts), rel=1e-12)
        assert service.prefill_seconds(prompt, prompts) >= service.value(phases.prefill_seconds, prompt_tokens=prompt, prompts=prompts)


@every_model
def test_arrays_are_scalars_one_after_the_other(model):
    service = that_fits(model)
    batches, contexts = numpy.array([1, 2, 50, 400]), numpy.array([10, 4_097, 500, 90_000])
    together = service.step(batches, contexts)
    for i, (batch, context) in enumerate(zip(batches.tolist(), contexts.tolist())):
        one = service.step(batch, context)
        assert {part: float(numpy.broadcast_to(seconds, 4)[i]) for part, seconds in together.items()} == pytest.approx(one, rel=1e-12)
    assert service.largest_batch(contexts).tolist() == [service.largest_batch(int(context)) for context in contexts]
    numpy.testing.assert_allclose(service.prefill_seconds(contexts), [service.prefill_seconds(int(n)) for n in contexts], rtol=1e-12)


def test_stages_pass_a_micro_batch_along():
    layouts = {stages: Layout(tensor=2, stages=stages) for stages in (1, 2, 4)}
    one, two, four = (small(layout=layout) for layout in layouts.values())
    assert one.step(8, 1000) == small(layout=Layout(tensor=2)).step(8, 1000)
    send = two.value(collectives.point_to_point_seconds, message_bytes=two.value(parallelism.step_message_bytes, batch=8))
    part, whole = two.step(16, 1000), one.step(8, 1000)
    assert part["communication"] == pytest.approx(whole["communication"] + send, rel=1e-12)
    assert [part[name] for name in ("weights", "state", "computing", "fixed")] == [
        whole[name] for name in ("weights", "state", "computing", "fixed")]
    # One sequence is in one stage at a time: stages do not divide it.
    assert four.step(1, 1000)["state"] == four.step(4, 1000)["state"] == one.step(1, 1000)["state"]
    assert four.prompt_engine_seconds(2000) == four.prefill_seconds(2000) / 4
    prompt = four.value(collectives.point_to_point_seconds, message_bytes=four.value(parallelism.step_message_bytes, batch=2000))
    assert four.prefill_seconds(2000) == pytest.approx(one.prefill_seconds(2000) + 3 * prompt, rel=1e-12)
    # Layers are shared out: a GPU of four stages has room for more tokens than four times those of one.
    assert four.kv_blocks() > 4 * one.kv_blocks() and four.largest_batch(1000) >= one.largest_batch(1000)


# --- a service: loads and limits -----------------------------------------------------------------------------------------

def test_a_service_hardly_used_is_a_request_alone():
    service = small(max_sequences=200)
    quiet = service.under_load(1e-6, 2000, 300)
    alone = service.step(1, 2150)["step"]
    assert quiet.tpot == pytest.approx(alone, rel=1e-4) and quiet.batch < 1e-4
    assert quiet.ttft == pytest.approx(service.prefill_seconds(2000) + alone / 2, rel=1e-4)
    assert quiet.request_seconds == pytest.approx(quiet.ttft + 299 * quiet.tpot)


def test_more_load_is_more_of_everything_but_cheaper():
    service = small(max_sequences=64, layout=Layout(replicas=3))
    most = service.saturation_rate(1000, 200)
    rates = most * numpy.array([0.01, 0.2, 0.5, 0.8, 0.95, 0.999, 1.0, 1.2])
    under = service.under_load(rates, 1000, 200)
    for values in (under.batch, under.utilization, under.ttft, under.tpot, under.request_seconds, under.output_tokens_per_second,
                   under.ttft_quantile(0.9), under.tpot_quantile(0.9), 1 / under.usd_per_token(1e-3)):
        steady = numpy.asarray(values)[:6]
        assert numpy.all(numpy.diff(steady) >= 0) and steady[0] < steady[-1]
    for values in (under.batch, under.ttft, under.tpot, under.request_seconds, under.output_tokens_per_second, under.usd_per_token(1e-3)):
        assert numpy.isnan(values).tolist() == [False] * 6 + [True] * 2
    assert under.utilization == pytest.approx(rates / most) and under.batch[5] < 64
    assert under.usd_per_token(1e-3)[0] == pytest.approx(3e-3 / (rates[0] * 200))
    # Three replicas with three times the load are one replica with its share.
    one = dataclasses.replace(service, layout=Layout()).under_load(rates / 3, 1000, 200)
    numpy.testing.assert_allclose(under.ttft, one.ttft, rtol=1e-12)


def test_the_frontier_trades_speed_of_a_user_for_tokens_of_a_gpu():
    for model, prompt, output in (("llama_3_1_8b", 500, 200), ("gpt_oss_20b", 4000, 1000), ("qwen3_30b_a3b", 100, 2)):
        service = that_fits(MODELS[model])
        points = service.frontier(prompt, output)
        assert points["batch"].tolist() == list(range(1, service.largest_batch(prompt + output / 2) + 1))
        assert numpy.all(numpy.diff(points["user"]) < 0) and numpy.all(numpy.diff(points["gpu"]) > 0)
        assert points["gpu"][-1] * service.layout.n_gpus == pytest.approx(service.saturation_rate(prompt, output) * output)


@pytest.mark.parametrize("limits", [{"tpot_limit": 0.02}, {"ttft_limit": 0.3}, {"ttft_limit": 0.5, "tpot_limit": 0.03, "quantile": 0.5}])
def test_the_largest_rate_keeps_the_limits_and_no_larger_one_does(limits):
    service = small(max_sequences=128, layout=Layout(replicas=2))
    rate = service.largest_rate(1000, 300, **limits)
    quantile = limits.get("quantile", 0.99)

    def kept(rate):
        under = service.under_load(rate, 1000, 300)
        return under.ttft_quantile(quantile) <= limits.get("ttft_limit", inf) and under.tpot_quantile(quantile) <= limits.get("tpot_limit", inf)

    assert kept(rate) and not kept(rate * (1 + 1e-6)) and rate < service.saturation_rate(1000, 300)


def test_without_limits_the_largest_rate_is_saturation():
    service = small(max_sequences=32)
    assert service.largest_rate(1000, 300) == pytest.approx(service.saturation_rate(1000, 300), rel=1e-6)


def test_replicas_grow_with_the_rate():
    service, limits = small(max_sequences=48), {"tpot_limit": 0.03, "ttft_limit": 2.0}
    few, many = (fewest_gpus(service, rate, 1000, 300, **limits, groups=(1, 4)) for rate in (100.0, 1000.0))
    for found, rate in ((few, 100.0), (many, 1000.0)):
        assert [gpus for gpus, _ in found] == sorted(fleet.layout.total_gpus for _, fleet in found)
        for _, fleet in found:
            one = dataclasses.replace(fleet, layout=dataclasses.replace(fleet.layout, replicas=1))
            each = one.largest_rate(1000, 300, **limits)
            assert (fleet.layout.replicas - 1) * each < rate <= fleet.layout.replicas * each
    assert many[0][0] == pytest.approx(10 * few[0][0], rel=0.1) and len(few) == len(many) == 2


def test_what_does_not_fit_says_the_way_out():
    big = MODELS["llama_3_1_70b"]
    with pytest.raises(CapacityError, match=r"does not fit: each of 1 H100 .* 141\.1 GB of weights.*use more GPUs for a replica or fewer"):
        Service(big, H100, ASSUMED)
    with pytest.raises(LayoutError, match="64 query heads do not divide over 3 GPUs"):
        Service(big, H100, ASSUMED, Layout(tensor=3))
    with pytest.raises(LayoutError, match="llmcost.expert_serving.ExpertService serves it"):
        Service(MODELS["mixtral_8x7b"], H100, ASSUMED, Layout(tensor=2, experts=4))
    for wrong in (0, -1, 2.5, True):
        with pytest.raises(CapacityError, match=f"max_sequences = {wrong}"):
            small(max_sequences=wrong)
    assert small(max_sequences=numpy.int64(7)).largest_batch(100) == 7
    for wrong in ("memory_utilisation", "n_gpus"):
        with pytest.raises(TypeError, match=f"given has {wrong}; .* n_gpus comes from the layout"):
            small(given={wrong: 1})
    for prompt, output in ((1000, 0), (0, 10), (1000, math.nan)):
        with pytest.raises(CapacityError, match=f"{prompt} prompt and {output} output tokens; a request has at least one of both"):
            small().under_load(1, prompt, output)
    with pytest.raises(CapacityError, match="not one sequence of 2,000,050 tokens fits"):
        small().saturation_rate(2_000_000, 100)
    with pytest.raises(CapacityError, match=r"no load keeps TTFT up to inf s and TPOT up to 0\.001 s: a request alone .*use more GPUs"):
        small().largest_rate(1000, 100, tpot_limit=0.001)
    for rate in (0, -1.0, inf, math.nan):
        with pytest.raises(CapacityError, match=f"rate = {rate}"):
            fewest_gpus(small(), rate, 1000, 100)
        with pytest.raises(ValueError, match="positive number of requests"):
            small().under_load(rate, 1000, 100)
    with pytest.raises(CapacityError, match="groups is empty"):
        fewest_gpus(small(), 10, 1000, 100, groups=())
    with pytest.raises(CapacityError, match=r"no group of GPUs will do\. 1: no load keeps .* \| 3: .*32 query heads"):
        fewest_gpus(small(), 10, 1000, 100, tpot_limit=1e-4, groups=(1, 3))


@pytest.mark.parametrize("quantile", [0, 1, 99, -0.5, math.nan])
def test_a_quantile_is_a_share(quantile):
    service = small(max_sequences=8)
    under = service.under_load(1, 1000, 100)
    for wrong in (under.ttft_quantile, under.tpot_quantile, under.chain.batch_quantile, under.chain.wait_quantile,
                  lambda share: service.largest_rate(1000, 100, quantile=share), lambda share: fewest_gpus(service, 1, 1000, 100, quantile=share)):
        with pytest.raises(ValueError, match=f"quantile = {quantile}; it must be a share above 0 and below 1"):
            wrong(quantile)


def test_who_misses_a_limit_is_told_by_how_much():
    service = small(layout=Layout(stages=2))
    alone = service.under_load(service.saturation_rate(1000, 100) * 1e-6, 1000, 100)
    limit = float(alone.ttft + alone.ttft_quantile(0.99)) / 2  # a mean would keep it
    with pytest.raises(CapacityError, match=rf"a request alone on 2 x H100 .* takes {float(alone.ttft_quantile(0.99)):.3g} s"):
        service.largest_rate(1000, 100, ttft_limit=limit)


@pytest.mark.filterwarnings("error")
def test_replies_of_one_token_are_prompts_alone():
    service = small(max_sequences=8)
    points, under = service.frontier(1000, 1), service.under_load(1.0, 1000, 1)
    assert set(points["tpot"]) == {0} and set(points["user"]) == {inf} and numpy.allclose(points["gpu"], 1 / service.prefill_seconds(1000))
    assert under.tpot == under.tpot_quantile(0.99) == 0 and under.request_seconds == under.ttft < under.ttft_quantile(0.99)


def test_close_to_saturation_a_full_batch_is_what_it_is():
    """The wait grows without end, and must not take digits from the time in the batch."""
    service = small(max_sequences=64)
    under = service.under_load(service.saturation_rate(1000, 200) * (1 - 1e-13), 1000, 200)
    assert under.tpot == pytest.approx(float(under.tpot_quantile(0.99)), rel=1e-9) and under.ttft > 1e9


# --- costs of steps ----------------------------------------------------------------------------------------------------

def chunk(costs, before, count, decoding=0, contexts=0.0):
    return float(costs(count, count * before + count * (count + 1) / 2, decoding, numpy.array([float(contexts)]))[0])


@every_model
@pytest.mark.parametrize("groups", [(1, 2, 4, 8), WIDE], ids=["few", "many"])
def test_steps_cost_what_the_service_says(model, groups):
    service = that_fits(model, groups)
    costs = StepCosts(service)
    for context in (1, 10, 127.5, 128, 2_048, 4_096, 4_097, 9_000, 30_000, 100_000):
        for batch in (1, 7, 500):
            assert costs(0, 0, batch, numpy.array([batch * context]))[0] == pytest.approx(service.step(batch, context)["step"], rel=1e-5)
    exact = 1e-6 if model.chunk > 100_000 else 1e-5  # lines between corners, but for chunks, where curves are between them
    for prompt in (1, 2, 17, 128, 1_000, 4_096, 4_097, 8_192):
        assert chunk(costs, 0, prompt) == pytest.approx(service.prefill_seconds(prompt), rel=exact)
    for prompt in (10, 500, 4_096, 8_192):
        for parts in (2, 3, 8):
            cuts = numpy.linspace(0, prompt, parts + 1).astype(int).tolist()
            assert sum(chunk(costs, begin, end - begin) for begin, end in zip(cuts, cuts[1:])) >= chunk(costs, 0, prompt) * (1 - 1e-9)
    # One token more of a prompt reads what one of a reply reads.
    assert chunk(costs, 60_000, 1) == pytest.approx(service.step(1, 60_000)["step"], rel=1e-3)
    if model.chunk > 100_000:  # a chunk that begins anew is cheaper than one that is full
        grows = [[chunk(costs, before, 300) for before in (0, 100, 5_000, 60_000)],
                 [chunk(costs, 1_000, count) for count in (1, 16, 500, 5_000)],
                 [chunk(costs, 0, 300, decoding, 2_000 * decoding) for decoding in (0, 1, 30, 700)],
                 [chunk(costs, 0, 300, 10, 10 * context) for context in (1, 100, 5_000, 100_000)]]
        assert all(sorted(row) == row for row in grows)
    assert grows_with_each_prompt(costs)


def grows_with_each_prompt(costs):
    """Whole prompts of one length together: more than the longest alone, less than one after the other."""
    one, three = chunk(costs, 0, 400), float(costs(1200, 3 * 400 * 401 / 2, 0, numpy.zeros(1))[0])
    return one <= three <= 3 * one


def test_costs_beyond_what_was_laid_out_are_refused():
    costs = StepCosts(small(), max_tokens=1000, max_context=5000)
    assert chunk(costs, 0, 1000) < chunk(costs, 4000, 1000)
    for beyond in ((0, 3000), (4500, 501)):
        with pytest.raises(CapacityError, match="pass max_tokens= or max_context="):
            chunk(costs, *beyond)
    with pytest.raises(CapacityError, match="pass max_tokens= or max_context="):
        costs(0, 0, 2, numpy.array([9_000.0, 10_002.0]))
    with pytest.raises(LayoutError, match="the simulation knows one batch"):
        StepCosts(small(layout=Layout(stages=2)))


# --- the simulation against the chain -----------------------------------------------------------------------------------

SHARED, EACH, OUTPUT = 0.02, 0.001, 200
STUDENT = 4.032  # of t with 5 degrees of freedom, between -STUDENT and STUDENT 99 % of the time


def free_prompts(prompt_tokens, pairs, decoding, contexts):
    """A step with a part that all share and one for each; prompts cost nothing."""
    return (SHARED + EACH * decoding if decoding else 0.0) + 0.0 * numpy.asarray(contexts)


def simulated_stays(share, outputs, max_sequences):
    """Mean stay of the requests of six seeds, the beginning and the end of each left out."""
    rate, means = share / ((OUTPUT - 1) * EACH), []
    engine = Engine(policy="continuous", max_sequences=max_sequences, kv_blocks=10**9, block_tokens=64)
    for seed in range(6):
        run = simulate(requests(poisson(rate, 6000, seed), fixed(1), outputs, seed), engine, free_prompts)
        means.append((run.end - run.arrival)[500:5500].mean())
    return numpy.array(means)


@pytest.mark.parametrize("share, outputs, most", [(0.3, geometric(OUTPUT), 10_000), (0.6, geometric(OUTPUT), 10_000),
                                                  (0.5, geometric(OUTPUT), 32), (0.6, lognormal(OUTPUT, 1.0), 10_000)],
                         ids=["low", "high", "limit", "lognormal"])
def test_the_simulation_stays_as_long_as_the_chain_says(share, outputs, most):
    """Poisson arrivals; without a limit, lengths of any distribution. Who comes sits out the step under way, half of one on average."""
    batches = numpy.arange(1, min(most, 1000) + 1)
    rate = share / ((OUTPUT - 1) * EACH)
    chain = Chain((OUTPUT - 1) * (SHARED + EACH * batches), rate)
    assert (chain.waiting_share > 0.05) == (most == 32)
    means = simulated_stays(share, outputs, most)
    expected = chain.stay_seconds + (SHARED + EACH * chain.batch) / 2
    assert abs(means.mean() - expected) < STUDENT * means.std(ddof=1) / math.sqrt(len(means))
    assert means.std(ddof=1) < 0.1 * expected  # or the test above would say little


def test_a_service_at_its_limit_ends_what_saturation_says():
    service = small(max_sequences=48)
    costs, engine = StepCosts(service), Engine(policy="continuous", max_sequences=48, kv_blocks=service.kv_blocks(), max_batched_tokens=8192)
    run = simulate(requests(numpy.zeros(600), fixed(1000), geometric(200)), engine, costs)
    ended = numpy.sort(run.end)
    assert 400 / (ended[500] - ended[100]) == pytest.approx(service.saturation_rate(1000, 200), rel=0.05)


def test_a_lone_request_is_simulated_as_the_service_says():
    service = small()
    run = simulate([Request(1.0, 3000, 400)], Engine(kv_blocks=service.kv_blocks()), StepCosts(service))
    assert run.ttft[0] == pytest.approx(service.prefill_seconds(3000), rel=1e-6)
    assert run.tpot[0] == pytest.approx(service.step(1, phases.mean_context(3000, 400))["step"], rel=1e-6)
    quiet = service.under_load(1e-6, 3000, 400)
    assert run.end[0] - 1.0 == pytest.approx(float(quiet.request_seconds) - service.step(1, 3200)["step"] / 2, rel=1e-4)


# --- where the time goes ----------------------------------------------------------------------------------------------------

def steady(service, rate=8.0, count=1500, policy="chunked"):
    engine = Engine(policy=policy, max_sequences=service.max_sequences, kv_blocks=100_000)
    return simulate(requests(poisson(rate, count), fixed(800), fixed(150)), engine, StepCosts(service), record=True)


@pytest.mark.parametrize("model", ["llama_3_1_8b", "mistral_7b", "gpt_oss_20b"])
@pytest.mark.parametrize("policy", ["continuous", "chunked"])
def test_the_time_of_a_run_adds_up(model, policy):
    service = that_fits(MODELS[model], max_sequences=256)
    run = steady(service, count=300, policy=policy)
    found = time_of_run(service, run)
    assert list(found) == list(USES) and sum(found.values()) == pytest.approx(sum(run.seconds.values()), rel=1e-9)
    assert min(found.values()) >= 0 and found["idle"] == run.seconds["idle"] and found["prefill"] >= run.seconds["prefill"] * (1 - 1e-9)
    if policy == "continuous":  # prompts alone are prefill, decode steps are decode
        assert found["prefill"] == pytest.approx(run.seconds["prefill"], rel=1e-3)


def test_replies_that_outgrow_a_window_are_no_prefill():
    """Most steps are told together, with their mean context: what bends in between must not be charged to the prompts."""
    service = that_fits(MODELS["mistral_7b"])
    run = simulate([Request(0.0, 1, 20_000)], Engine(kv_blocks=10_000), StepCosts(service), record=True)
    assert len(run.timeline) == 2 and time_of_run(service, run)["prefill"] == pytest.approx(run.seconds["prefill"])


def test_a_run_and_its_counters_tell_the_same():
    service = small(max_sequences=256)
    run = steady(service, policy="continuous")
    timeline = numpy.array(run.timeline)
    decoding, steps = timeline[:, 3], timeline[:, 4]
    running = (decoding * steps).sum() / steps[decoding > 0].sum()
    period = sum(run.seconds.values())
    told = time_of_counters(service, period, 1500, run.prompt_tokens.sum(), run.output_tokens.sum(), running)
    found = time_of_run(service, run)
    assert sum(told.values()) == pytest.approx(period, rel=1e-9) and min(told.values()) >= 0
    for use in USES:
        assert told[use] == pytest.approx(found[use], rel=0.03, abs=0.003 * period), use
    paid = dollars(service, found, gpu_price=1e-3)
    assert list(paid) == list(USES) and sum(paid.values()) == pytest.approx(1e-3 * period, rel=1e-12)
    assert paid["idle"] / sum(paid.values()) == pytest.approx(found["idle"] / period)
    pair = small(layout=Layout(tensor=2))
    assert sum(dollars(pair, found, gpu_price=1e-3).values()) == pytest.approx(2e-3 * period)


def test_counters_that_cannot_be_true_are_refused():
    counters = {"period_seconds": 3600, "requests": 1000, "prompt_tokens": 1e6, "output_tokens": 2e5, "running": 5}
    service = small()
    assert sum(time_of_counters(service, **counters).values()) == pytest.approx(3600)
    for name in counters:
        for wrong in (0, -1, math.nan, inf):
            with pytest.raises(MeterError, match=f"{name} = {wrong}"):
                time_of_counters(service, **counters | {name: wrong})
    with pytest.raises(MeterError, match="running = 0.5; a batch holds at least one request"):
        time_of_counters(service, **counters | {"running": 0.5})
    assert set(dollars(service, dict.fromkeys(USES, 0.0), gpu_price=1e-3).values()) == {0}
    with pytest.raises(MeterError, match="999 output tokens for 1,000 requests"):
        time_of_counters(service, **counters | {"output_tokens": 999})
    with pytest.raises(MeterError, match=r"take \d+\.\d\d times the period: 0\.\d\d of it for prompts .* is `running` the mean of a replica"):
        time_of_counters(service, **counters | {"output_tokens": 3e7})
    with pytest.raises(MeterError, match="no timeline; simulate it with record=True"):
        time_of_run(service, simulate([Request(0.0, 10, 10)], Engine(), StepCosts(service)))


def test_prompts_that_wait_for_each_other_are_a_queue_of_one_server():
    """M/D/1: one prompt in a step, replies of one token, so that nothing but prompts is in the engine."""
    prompt_seconds, rate, waits = 0.1, 7.0, []
    for seed in range(8):
        asked = requests(poisson(rate, 6000, seed), fixed(100), fixed(1), seed)
        run = simulate(asked, Engine(policy="continuous", max_batched_tokens=100), lambda *step: prompt_seconds + 0 * numpy.asarray(step[3]))
        waits.append(float((run.ttft - prompt_seconds)[500:].mean()))
    spread = 3.5 * numpy.std(waits, ddof=1) / math.sqrt(len(waits))  # 99 % of Student's t with seven degrees
    assert numpy.mean(waits) == pytest.approx(load.prompt_queue_seconds(rate, prompt_seconds), abs=spread)
    assert spread < 0.2 * load.prompt_queue_seconds(rate, prompt_seconds)
