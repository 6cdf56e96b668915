"""The simulation of an engine: nothing is lost, nothing is approximated, and its limits are those of the closed forms."""

import dataclasses
import math

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcost import arrivals
from llmcost.engine import POLICIES, Engine
from llmcost.fleet import Split, simulate_fleet, simulate_split
from llmcost.prefix_cache import PrefixCache
from llmcost.scheduling import _Simulation, simulate
from llmcost.workload import Request, TraceError


def seconds(prompt_tokens, pairs, decoding, contexts):
    """A step that reads weights and contexts, or computes, whichever takes longer."""
    return numpy.maximum(0.01 + 1e-5 * numpy.asarray(contexts, dtype=float), 1e-3 * (prompt_tokens + decoding) + 1e-6 * pairs)


# --- step by step, in other words ------------------------------------------------------------------------

def step_by_step(requests, engine, step_seconds):
    """The same policies with one loop for each step and one look at each sequence: first and last token of each request."""
    def blocks(tokens):
        return math.ceil(tokens / engine.block_tokens)

    coming = sorted((request.arrival, i) for i, request in enumerate(requests) if request.after is None)
    waiting, running, now, order = [], [], 0.0, 0
    first, last, ended, gaps, held = {}, {}, {}, dict.fromkeys(range(len(requests)), 0.0), 0
    static = engine.policy == "static"

    def used():
        return held + sum(s["blocks"] for s in running)

    def call_followers(number):
        coming.extend((now + request.arrival, i) for i, request in enumerate(requests) if request.after == number)
        coming.sort()

    while coming or waiting or running:
        while coming and coming[0][0] <= now:
            number = coming.pop(0)[1]
            need = requests[number].prompt_tokens + requests[number].output_tokens - 1
            if blocks(need) <= engine.kv_blocks and (engine.policy != "continuous" or need <= engine.max_batched_tokens):
                waiting.append({"number": number, "written": 0})
            else:
                call_followers(number)
        if not waiting and not running:
            if not coming:
                break
            now = coming[0][0]
            continue
        budget = engine.max_batched_tokens
        while waiting and len(running) < engine.max_sequences and (not static or all(s["fresh"] for s in running)):
            s, request = waiting[0], requests[waiting[0]["number"]]
            tokens = request.prompt_tokens + s["written"]
            room = blocks(request.prompt_tokens + request.output_tokens - 1 if static else tokens)
            if room > engine.kv_blocks - used() or (engine.policy == "continuous" and tokens > budget):
                break
            known = 0 if s["written"] else request.known_tokens
            running.append({**waiting.pop(0), "left": tokens - known, "length": known, "blocks": room, "order": order, "fresh": True})
            order, budget = order + 1, budget - tokens
        for s in running:
            s["fresh"] = False
        prefilling = [s for s in running if s["left"]]
        decoding = [s for s in running if not s["left"]] if engine.policy == "chunked" or not prefilling else []
        while not static and decoding and sum(s["length"] % engine.block_tokens == 0 for s in decoding) > engine.kv_blocks - used():
            victim = max(running, key=lambda s: s["order"])
            running = [s for s in running if s is not victim]
            waiting.insert(0, {"number": victim["number"], "written": victim["written"]})
            prefilling, decoding = ([s for s in group if s is not victim] for group in (prefilling, decoding))
        budget, chunks = engine.max_batched_tokens - len(decoding), []
        for s in prefilling:
            if budget > 0:
                chunks.append((s, min(budget, s["left"])))
                budget -= chunks[-1][1]
        if not chunks and not decoding:
            continue
        pairs = sum(count * s["length"] + count * (count + 1) / 2 for s, count in chunks)
        context = sum(s["length"] + 1 for s in decoding)
        now += float(numpy.ravel(step_seconds(sum(c for _, c in chunks), pairs, len(decoding), numpy.array([float(context)])))[0])
        for s in decoding:
            s["blocks"] += s["length"] % engine.block_tokens == 0 and not static
            s["length"] += 1
        for s, count in chunks:
            s["length"], s["left"] = s["length"] + count, s["left"] - count
        for s in [*decoding, *(s for s, _ in chunks if not s["left"])]:
            number = s["number"]
            s["written"] += 1
            first.setdefault(number, now)
            gaps[number] = max(gaps[number], now - last.get(number, now))
            last[number] = now
            if s["written"] == requests[number].output_tokens:
                ended[number] = now
                call_followers(number)
                held += s["blocks"] if static else 0
        running = [s for s in running if s["number"] not in ended]
        held = 0 if not running else held
    return first, ended, gaps


@st.composite
def traces(draw, most=12):
    n = draw(st.integers(1, most))
    found = []
    for i in range(n):
        prompt = draw(st.integers(1, 40))
        after = draw(st.none() | st.integers(0, i - 1)) if i else None
        found.append(Request(draw(st.sampled_from([0.0, 0.0, 0.05, 0.3, 1.0, 5.0])) * i, prompt, draw(st.integers(1, 20)), str(i),
                             after=after, known_tokens=draw(st.integers(0, prompt - 1))))
    return found


engines = st.builds(Engine, max_sequences=st.integers(1, 6), max_batched_tokens=st.integers(8, 64), kv_blocks=st.integers(4, 40),
                    block_tokens=st.integers(1, 5), policy=st.sampled_from(POLICIES))


@settings(max_examples=400, deadline=None, derandomize=True)
@given(traces(), engines)
def test_many_steps_at_once_are_the_steps_one_by_one(requests, engine):
    run = simulate(requests, engine, seconds)
    first, ended, gaps = step_by_step(requests, engine, seconds)
    assert set(ended) == set(numpy.flatnonzero(run.served)) == set(range(len(requests))) - set(run.rejected)
    for number in ended:
        assert run.first[number] == pytest.approx(first[number], rel=1e-9)
        assert run.end[number] == pytest.approx(ended[number], rel=1e-9)
        assert run.worst_gap[number] == pytest.approx(gaps[number], rel=1e-6, abs=1e-12)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(traces(30), engines)
def test_what_comes_in_goes_out_and_memory_is_returned(requests, engine):
    simulation = _Simulation(requests, engine, seconds, record=True)
    run = simulation.run()
    assert (run.served.sum() + len(run.rejected)) == len(requests)
    assert run.peak_blocks <= engine.kv_blocks and simulation.free == engine.kv_blocks
    assert simulation.context == 0 and not any(simulation.growing)
    assert numpy.all(run.ttft[run.served] > 0) and numpy.all(run.end[run.served] >= run.first[run.served])
    last_arrival = run.arrival.max()  # who comes after all is done, and is rejected, is waited for
    assert sum(run.seconds.values()) == pytest.approx(max(numpy.nanmax(run.end, initial=0.0), last_arrival))
    begins, ends = ([line[i] for line in run.timeline] for i in (0, 1))
    assert all(later >= earlier - 1e-12 for earlier, later in zip(ends, begins[1:]))
    assert simulate(requests, engine, seconds).end.tolist() == pytest.approx(run.end.tolist(), nan_ok=True)  # the same again


@settings(max_examples=150, deadline=None, derandomize=True)
@given(traces(20), engines)
def test_every_token_is_computed_once_but_those_that_lost_their_memory(requests, engine):
    run = simulate(requests, engine, seconds, record=True)
    served = [request for request, done in zip(requests, run.served) if done]
    _, _, prompt_tokens, decoding, steps, _ = numpy.array(run.timeline).reshape(-1, 6).T
    computed, written = prompt_tokens.sum(), (decoding * steps).sum()
    asked, replies = (sum(tokens) for tokens in ([r.prompt_tokens - r.known_tokens for r in served], [r.output_tokens - 1 for r in served]))
    assert run.steps == steps.sum() and computed + written >= asked + replies and 0 <= replies - written <= run.preemptions.sum()
    if not run.preemptions.any():
        assert (computed, written) == (asked, replies)


# --- fleets, and prefill apart from decode ---------------------------------------------------------------------

NUMBERS = ("arrival", "prompt_tokens", "output_tokens", "first", "end", "worst_gap", "cached", "preemptions")


@settings(max_examples=80, deadline=None, derandomize=True)
@given(traces(), engines)
def test_a_fleet_of_one_is_its_engine(requests, engine):
    fleet, alone = simulate_fleet(requests, engine, seconds, 1), simulate(requests, engine, seconds)
    for field in dataclasses.fields(alone):
        if field.name in NUMBERS:
            numpy.testing.assert_array_equal(getattr(fleet, field.name), getattr(alone, field.name))
        else:
            assert getattr(fleet, field.name) == getattr(alone, field.name)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(traces(20), engines, st.integers(1, 5))
def test_a_fleet_loses_nobody_and_everyone_stays_home(requests, engine, replicas):
    fleet = simulate_fleet(requests, engine, seconds, replicas)
    assert set(numpy.flatnonzero(fleet.served)) == set(range(len(requests))) - set(fleet.rejected)
    first = sorted((i for i, request in enumerate(requests) if request.after is None), key=lambda i: requests[i].arrival)
    home = {}
    for i, request in enumerate(requests):
        home[i] = first.index(i) % replicas if request.after is None else home[request.after]
    ends = []
    for replica in set(home.values()):
        places = [i for i in home if home[i] == replica]
        new = {old: i for i, old in enumerate(places)}
        part = simulate([dataclasses.replace(requests[i], after=new.get(requests[i].after)) for i in places], engine, seconds)
        numpy.testing.assert_array_equal(fleet.end[places], part.end)
        ends.append(sum(part.seconds.values()))
    assert sum(fleet.seconds.values()) == pytest.approx(replicas * max(ends))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(traces(12), engines, engines, st.integers(1, 3), st.integers(1, 3), st.sampled_from([0.0, 0.02]))
def test_prefill_and_decode_apart_lose_nobody(requests, prefill, decode, n_prefill, n_decode, each):
    requests = [dataclasses.replace(request, after=None) for request in requests]
    run = simulate_split(requests, Split(prefill, decode, seconds, seconds, lambda tokens: each * tokens, n_prefill, n_decode))
    assert set(numpy.flatnonzero(run.served)) == set(range(len(requests))) - set(run.rejected)
    assert all(numpy.isnan(run.first[i]) and numpy.isnan(run.end[i]) and reason for i, reason in run.rejected.items())
    for i in numpy.flatnonzero(run.served):
        assert run.arrival[i] < run.first[i] <= run.end[i]
        if requests[i].output_tokens == 1:
            assert run.first[i] == run.end[i]
        else:  # the second token waits for the keys and values of the prompt, and takes a step at least
            assert run.worst_gap[i] >= each * requests[i].prompt_tokens + 0.01 - 1e-9
            assert run.end[i] - run.first[i] >= each * requests[i].prompt_tokens + 0.01 * (requests[i].output_tokens - 1) - 1e-9
    last = max([*(run.end[run.served]), *(request.arrival for request in requests)])
    machines = sum(run.seconds.values()) / (n_prefill + n_decode)
    assert machines == pytest.approx(last) or (machines > last and run.rejected)  # prefilled in vain, past the last token


def test_apart_a_request_takes_its_prefill_its_way_and_its_steps():
    split = Split(Engine(), Engine(), seconds, seconds, lambda tokens: 0.0)
    run = simulate_split([Request(3.0, 100, 5), Request(50.0, 10, 1)], split)
    assert run.ttft[0] == pytest.approx(seconds(100, 100 * 101 / 2, 0, [0])[0])
    # The first step of decode computes the last token of what was handed over, beside 100 that it knows.
    steps = [seconds(1, 101, 0, [0])[0], *(seconds(0, 0, 1, [length])[0] for length in (102, 103, 104))]
    assert run.end[0] - run.first[0] == pytest.approx(sum(steps)) and run.first[1] == run.end[1]
    slow = simulate_split([Request(3.0, 100, 5)], dataclasses.replace(split, transfer_seconds=lambda tokens: 0.01 * tokens))
    assert slow.end[0] == pytest.approx(run.end[0] + 1.0) and slow.ttft[0] == run.ttft[0]
    assert sum(run.seconds.values()) == pytest.approx(2 * run.end[1])


def test_prompts_do_not_hold_up_replies_on_machines_of_their_own():
    requests = [Request(0.0, 10, 200), Request(0.5, 8000, 2)]
    together = simulate(requests, Engine(policy="continuous", max_batched_tokens=10_000), seconds)
    apart = simulate_split(requests, Split(Engine(), Engine(), seconds, seconds, lambda tokens: 0.001))
    assert together.worst_gap[0] > 8 and apart.worst_gap[0] < 0.2


def test_who_cannot_decode_is_rejected_there():
    run = simulate_split([Request(0.0, 100, 50), Request(0.0, 10, 5)], Split(Engine(), Engine(kv_blocks=5), seconds, seconds, lambda tokens: 0.0))
    assert run.rejected == {0: "on the machines that decode: needs 10 blocks of cache, the engine has 5"}
    assert run.served.tolist() == [False, True] and math.isnan(run.first[0])


@pytest.mark.parametrize("change, told", [({"n_prefill": 0}, "n_prefill = 0"), ({"n_decode": 1.5}, "n_decode = 1.5"),
                                          ({"prefill": Engine(kv_blocks=0)}, "kv_blocks = 0")])
def test_splits_that_make_no_sense_are_refused(change, told):
    split = dataclasses.replace(Split(Engine(), Engine(), seconds, seconds, lambda tokens: 0.0), **change)
    with pytest.raises(TraceError, match=told):
        simulate_split([Request(0.0, 1, 1)], split)


def test_fleets_and_splits_refuse_what_they_cannot_do():
    with pytest.raises(TraceError, match="replicas = 0"):
        simulate_fleet([Request(0.0, 1, 1)], Engine(), seconds, 0)
    with pytest.raises(TraceError, match="request 2 comes after another"):
        simulate_split([Request(0.0, 1, 1), Request(0.0, 1, 1, after=0)], Split(Engine(), Engine(), seconds, seconds, lambda tokens: 0.0))


# --- limits --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("policy", POLICIES)
def test_alone_a_request_takes_its_prefill_and_its_steps(policy):
    run = simulate([Request(3.0, 100, 5)], Engine(policy=policy), seconds)
    prefill = seconds(100, 100 * 101 / 2, 0, [0])[0]
    steps = [seconds(0, 0, 1, [length])[0] for length in (101, 102, 103, 104)]
    assert run.ttft[0] == pytest.approx(prefill) and run.tpot[0] == pytest.approx(sum(steps) / 4)
    assert run.seconds["idle"] == 3 and run.steps == 5


def test_a_full_machine_gives_its_batch_for_each_step():
    """Equal requests, all there from the start, slots enough: tokens per second are the batch over the step."""
    requests = [Request(0.0, 1, 2000) for _ in range(8)]
    run = simulate(requests, Engine(max_sequences=8, policy="continuous"), lambda *step: 0.02 + 0 * numpy.asarray(step[3]))
    assert 8 * 2000 / run.makespan == pytest.approx(8 / 0.02, rel=1e-9)


def test_static_batches_waste_the_slots_of_short_replies():
    requests = [Request(0.0, 1, output) for output in (1, 11, 11, 101)]
    static = simulate(requests, Engine(policy="static"), seconds)
    # 100 decode steps, after the prefill has given each its first token: slots of 0, 10, 10 and 100 steps are used.
    assert (static.slot_steps, static.wasted_slot_steps) == (400, 400 - 120)
    more = [*requests, *(Request(0.001, 1, 11) for _ in range(3))]
    engine = Engine(max_sequences=4)
    waits = {policy: simulate(more, dataclasses.replace(engine, policy=policy), seconds).ttft[-1] for policy in POLICIES}
    assert waits["continuous"] < waits["static"] / 4


def test_chunks_bound_the_gap_that_a_long_prompt_makes():
    requests = [Request(0.0, 10, 200), Request(0.5, 8000, 2)]
    gaps = {policy: simulate(requests, Engine(policy=policy, max_batched_tokens=budget), seconds).worst_gap[0]
            for policy, budget in (("continuous", 10_000), ("chunked", 500))}
    assert gaps["continuous"] > 8 and gaps["chunked"] < 4.5


def test_requests_that_lose_their_memory_still_end():
    run = simulate([Request(0.0, 16, 100) for _ in range(4)], Engine(kv_blocks=12, policy="continuous"), seconds)
    assert run.preemptions.sum() > 0 and run.served.all() and run.peak_blocks == 12


def test_a_request_that_can_never_run_is_rejected_and_holds_nobody_up():
    requests = [Request(0.0, 10_000, 10, "huge"), Request(0.0, 10, 10, "small")]
    run = simulate(requests, Engine(kv_blocks=100), seconds)
    assert run.rejected == {0: "needs 626 blocks of cache, the engine has 100"} and run.served.tolist() == [False, True]
    alone = simulate(requests[1:], Engine(kv_blocks=100), seconds)
    assert run.end[1] == alone.end[0] and math.isnan(run.first[0])


# --- prefixes ------------------------------------------------------------------------------------------------------

def conversations(users=6, turns=8):
    """Each turn sends all that was said before, and something new."""
    return [Request(10.0 * turn + 0.5 * user, 50 * (turn + 1), 5, prefix=str(user), prefix_tokens=50 * turn)
            for turn in range(turns) for user in range(users)]


def hit_rate(**cache):
    return simulate(conversations(), Engine(**cache), seconds).hit_rate


def test_an_endless_prefix_cache_finds_all_that_was_said_before_and_none_finds_nothing():
    requests = conversations()
    ideal = sum(r.prefix_tokens for r in requests) / sum(r.prompt_tokens for r in requests)
    assert hit_rate(prefix_capacity=math.inf) == pytest.approx(ideal) and hit_rate() == 0 == hit_rate(prefix_capacity=1e9, prefix_ttl=0.0)


def test_more_room_and_more_time_find_more():
    rooms = [hit_rate(prefix_capacity=room) for room in (0, 100, 400, 1000, 2400, 1e9)]
    times = [hit_rate(prefix_capacity=1e9, prefix_ttl=ttl) for ttl in (0, 5, 9, 11, 100)]
    assert rooms == sorted(rooms) and rooms[0] == 0 < rooms[-1]
    assert times == sorted(times) and times[0] == times[2] == 0 < times[3] == times[-1]


def talks(replicas=1, **cache):
    """The run of conversations in which everyone answers to a reply, after a time to think."""
    talk = arrivals.conversations(arrivals.poisson(0.5, 30), 6, 200, 50, 20, think_seconds=10.0, template_tokens=100)
    return talk, simulate_fleet(talk, Engine(**cache), seconds, replicas)


def test_conversations_find_all_that_was_said_on_their_own_machine():
    talk, run = talks(prefix_capacity=math.inf)
    said = sum(request.prefix_tokens for request in talk)
    assert run.hit_rate == pytest.approx(said / sum(request.prompt_tokens for request in talk)) and 0.7 < run.hit_rate < 1
    assert talks(3, prefix_capacity=math.inf)[1].hit_rate == run.hit_rate  # whoever answers goes where the cache is
    assert talks(prefix_capacity=0)[1].hit_rate == talks(prefix_capacity=1e9, prefix_ttl=0.0)[1].hit_rate == 0
    for before, (request, end) in enumerate(zip(talk, run.end)):
        if before + 1 < len(talk) and talk[before + 1].after == before:
            assert run.arrival[before + 1] == pytest.approx(end + 10.0)
            assert talk[before + 1].prefix_tokens == request.prompt_tokens + request.output_tokens - 1


def test_conversations_find_more_with_more_room_and_more_time():
    rooms = [talks(prefix_capacity=room)[1].hit_rate for room in (0, 300, 1000, 3000, 6000, 20_000)]
    times = [talks(prefix_capacity=1e9, prefix_ttl=ttl)[1].hit_rate for ttl in (0.0, 9.9, 10.5, 12.0, 100.0)]
    assert rooms == sorted(rooms) and rooms[0] == 0 < rooms[2] < rooms[4] < rooms[5]
    assert times == sorted(times) and times[1] == 0 < times[-1] == rooms[5]


def test_a_found_prefix_is_not_computed_again():
    first, second = simulate([Request(0.0, 1000, 1, prefix="a", prefix_tokens=0), Request(100.0, 1000, 1, prefix="a", prefix_tokens=900)],
                             Engine(prefix_capacity=1e4), seconds).ttft
    assert second == pytest.approx(seconds(100, 100 * 900 + 100 * 101 / 2, 0, [0])[0]) and second < first


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 50)), max_size=60), st.integers(0, 120))
def test_a_prefix_cache_never_holds_more_than_it_can(uses, capacity):
    cache = PrefixCache(capacity, math.inf)
    for now, (name, tokens) in enumerate(uses):
        held = cache.find(name, now)
        assert held == 0 or name in cache.held
        cache.keep(name, tokens, now)
        assert cache.used == sum(size for size, _ in cache.held.values()) <= capacity


# --- bad input --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("requests, told", [
    ([], "no requests"),
    ([Request(0.0, 1, 1), Request(-1.0, 1, 1)], "request 2 arrives at -1.0"),
    ([Request(float("nan"), 1, 1)], "request 1 arrives at nan"),
    ([Request(0.0, 0, 1)], "prompt_tokens = 0"), ([Request(0.0, 1, 0)], "output_tokens = 0"), ([Request(0.0, 1.5, 1)], "prompt_tokens = 1.5"),
    ([Request(0.0, 5, 1, prefix_tokens=6)], "shares 6 tokens of a prompt of 5"),
    ([Request(0.0, 5, 1, known_tokens=5)], "brings 5 tokens of a prompt of 5"),
    ([Request(0.0, 1, 1), Request(0.0, 1, 1, after=1)], "request 2 comes after request 1"),
    ([Request(0.0, 1, 1, "x"), Request(0.0, 1, 1), Request(0.0, 1, 1, "x")], "request 3 has the id 'x' of request 1"),
])
def test_traces_that_make_no_sense_are_refused_by_row(requests, told):
    def never(*_):
        raise AssertionError("something was run")

    with pytest.raises(TraceError, match=told):
        simulate(requests, Engine(), never)


@pytest.mark.parametrize("change, told", [({"policy": "fair"}, "policy = 'fair'; it is one of static"), ({"kv_blocks": 0}, "kv_blocks = 0"),
                                          ({"block_tokens": 2.5}, "block_tokens = 2.5"), ({"prefix_ttl": -1}, "TTL -1")])
def test_engines_that_make_no_sense_are_refused(change, told):
    with pytest.raises(TraceError, match=told):
        simulate([Request(0.0, 1, 1)], Engine(**change), seconds)
