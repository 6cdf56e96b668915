"""Traces from outside and requests from chance: what is read is whole or refused by its place, and chance keeps its promises."""

import csv
import io
import json
import math

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcost import arrivals
from llmcost.arrivals import bursty, closed_loop, drawn_from, fixed, geometric, lognormal, poisson, requests
from llmcost.catalog import read_trace
from llmcost.engine import Engine
from llmcost.scheduling import simulate
from llmcost.traces import AZURE_COLUMNS, azure_trace, vllm_benchmark
from llmcost.workload import Request, TraceError, check_requests

HEADER = ",".join(AZURE_COLUMNS)


# --- the Azure format -----------------------------------------------------------------------------------------

def test_the_published_trace_is_read():
    found = azure_trace(read_trace("azure_2023_conversation"))
    prompts, outputs = numpy.array([(request.prompt_tokens, request.output_tokens) for request in found]).T
    assert len(found) == 2867 and round(prompts.mean(), 1) == 1146.6 and round(outputs.mean(), 1) == 260.3
    times = numpy.array([request.arrival for request in found])
    assert times.min() == 0 and 599 < times.max() < 600
    check_requests(found)


GOOD = f"{HEADER}\n2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n2023-11-16 18:15:46.6805900,879,55\n"
READ = [(0.0, 374, 44), (4.314579, 396, 109), (0.0, 879, 55)]


@pytest.mark.parametrize("text", [
    GOOD, "\ufeff" + GOOD, GOOD.replace("\n", "\r\n"), GOOD.replace("\n", "\r"), GOOD.rstrip("\n"), GOOD.replace("\n", "\n\n"),
    GOOD.replace(",374,", ", 374 ,"), GOOD.replace(",374,", ',"374",'), GOOD.replace(" 18:", "T18:"), GOOD.replace("900,", "900Z,"),
    GOOD.replace("900,", "900+00:00,").replace("18:15:50.9951690", "20:15:50.9951690+02:00"),
    "\n".join(f"x,{line}" for line in GOOD.splitlines()),
], ids=["plain", "mark", "crlf", "cr", "no last end", "blank lines", "spaces", "quotes", "T", "Z", "offsets", "more columns"])
def test_times_count_from_the_earliest_row(text):
    assert [(request.arrival, request.prompt_tokens, request.output_tokens) for request in azure_trace(text)] == READ


def test_columns_may_stand_in_any_order():
    lines = ["GeneratedTokens,id,TIMESTAMP,ContextTokens", "44,a,2023-11-16 18:15:46,374", "109,b,2023-11-16 18:15:47,396"]
    assert azure_trace("\n".join(lines)) == [Request(0.0, 374, 44), Request(1.0, 396, 109)]


@pytest.mark.parametrize("text, told", [
    ("", "no column TIMESTAMP, ContextTokens, GeneratedTokens; its header must name"),
    ("TIMESTAMP,ContextTokens\n2023-11-16 18:15:46,5", "no column GeneratedTokens"),
    (HEADER, "a header and no rows"),
    (f"{HEADER}\n2023-11-16 18:15:46,5,\n", "line 2, GeneratedTokens: '' is no whole number"),
    (f"{HEADER}\n2023-11-16 18:15:46,5\n", "line 2, GeneratedTokens: None is no whole number"),
    (f"{HEADER}\n2023-11-16 18:15:46,5,6\n\n2023-11-16 18:15:46,five,6\n", "line 4, ContextTokens: 'five' is no whole number"),
    (f"{HEADER}\n2023-11-16 18:15:46,-5,6\n", "line 2, ContextTokens: -5; it must be from 1"),
    (f"{HEADER}\n2023-11-16 18:15:46,0,6\n", "line 2, ContextTokens: 0; it must be from 1"),
    (f"{HEADER}\n2023-11-16 18:15:46,5,1.5\n", "line 2, GeneratedTokens: '1.5' is no whole number"),
    (f"{HEADER}\n2023-11-16 18:15:46,5,nan\n", "line 2, GeneratedTokens: 'nan' is no whole number"),
    (f"{HEADER}\n2023-11-16 18:15:46,5,{10**30}\n", "line 2, GeneratedTokens: 10+; it must be from 1 to 1,000,000,000"),
    (f"{HEADER}\n2023-11-16 18:15:46,5,{'9' * 5000}\n", "line 2, GeneratedTokens: '9+' is no whole number"),
    (f"{HEADER}\n2023-11-16 18:15:46,5,6,7\n", "line 2 has more cells than the header"),
    (f"{HEADER}\n,5,6\n", "line 2, TIMESTAMP: '' is no time; write it as"),
    (f"{HEADER}\nnan,5,6\n", "line 2, TIMESTAMP: 'nan' is no time"),
    (f"{HEADER}\n2023-13-45 18:15:46,5,6\n", "line 2, TIMESTAMP: '2023-13-45 18:15:46' is no time"),
    (f"{HEADER}\n2023-11-16 18:15:46,5,6\n2023-11-16 18:15:46.68x,5,6\n", "line 3, TIMESTAMP"),
    (f"{HEADER}\n2023-11-16 18:15:46,5,{'6' * 200_000}\n", "line 2: field larger than field limit"),
])
def test_a_row_that_is_not_whole_is_refused_by_its_place(text, told):
    with pytest.raises(TraceError, match=told):
        azure_trace(text)


cells = st.one_of(st.sampled_from(["", "-1", "0", "7", "nan", "inf", "1e5", "10" * 200, "2023-11-16 18:15:46", "9999-12-31T23:59:59+23:59",
                                   "0001-01-01", "\ufeff", '"', "\x00", "²"]), st.text(max_size=8), st.integers().map(str))
rows = st.lists(st.one_of(st.lists(cells, max_size=5),
                          st.tuples(st.datetimes().map(str), st.integers(1, 10**6).map(str), st.integers(1, 10**6).map(str)).map(list)), max_size=6)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(rows, st.sampled_from([HEADER, f"{HEADER},more", "\ufeff" + HEADER, "TIMESTAMP", ""]), st.sampled_from(["\n", "\r\n", "\r"]),
       st.booleans(), st.integers(1, 2))
def test_any_table_is_read_or_refused(table, header, end, quoted, times):
    out = io.StringIO()
    csv.writer(out, lineterminator=end, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL, escapechar="\\").writerows(table * times)
    read_or_refused(azure_trace, header + end + out.getvalue(), "line |no column|no rows")


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(), st.booleans())
def test_any_text_is_read_or_refused(text, with_header):
    read_or_refused(azure_trace, HEADER + "\n" + text if with_header else text, "line |no column|no rows")
    read_or_refused(vllm_benchmark, text, "that is not JSON|this is ")


def read_or_refused(reader, text, told):
    """Requests that can be simulated, or an error of the reader that says where."""
    try:
        found = reader(text)
    except TraceError as error:
        assert any(part in str(error) for part in told.split("|"))
    else:
        check_requests(found)
        assert min(request.arrival for request in found) == 0


# --- what vLLM's benchmark writes -------------------------------------------------------------------------------

def result(**changes):
    whole = {"date": "20261101-101010", "backend": "vllm", "request_rate": 2.0, "input_lens": [100, 200, 300], "output_lens": [10, 0, 30],
             "start_times": [1000.5, 1001.0, 1003.5], "errors": ["", "timeout", ""]}
    return {name: value for name, value in (whole | changes).items() if value is not None}


def test_a_benchmark_is_read_without_its_failures():
    assert vllm_benchmark(json.dumps(result())) == [Request(0.0, 100, 10), Request(3.0, 300, 30)]
    assert vllm_benchmark("\ufeff" + json.dumps(result(start_times=None))) == [Request(0.0, 100, 10), Request(1.0, 300, 30)]
    assert vllm_benchmark(json.dumps(result(request_rate="inf"))) == [Request(0.0, 100, 10), Request(3.0, 300, 30)]
    assert vllm_benchmark(json.dumps(result(start_times=[7, 5, 6])))[0].arrival == 2  # in any order


@pytest.mark.parametrize("changes, told", [
    ({"input_lens": None}, "input_lens is not a list of lengths; save the result with --save-result --save-detailed"),
    ({"output_lens": None}, "output_lens is not a list"), ({"output_lens": []}, "output_lens is not a list"), ({"input_lens": 5}, "input_lens is not"),
    ({"output_lens": [1, 2]}, "3 input_lens and 2 output_lens"),
    ({"output_lens": [1, -2, 3]}, "output_lens, entry 1: -2; it must be from 0"), ({"input_lens": [1, 2, 0]}, "input_lens, entry 2: 0; it must be"),
    ({"input_lens": [1, None, 3]}, "input_lens, entry 1: None is no whole number"), ({"input_lens": [True, 2, 3]}, "entry 0: True is no whole"),
    ({"input_lens": [1.5, 2, 3]}, "entry 0: 1.5 is no whole number"), ({"output_lens": [math.nan, 2, 3]}, "entry 0: nan is no whole number"),
    ({"output_lens": [[1], 2, 3]}, r"entry 0: \[1\] is no whole"), ({"output_lens": [10**400, 2, 3]}, "entry 0: 10+; it must be"),
    ({"output_lens": [0, 0, 0]}, "every request failed"),
    ({"start_times": [1.0, 2.0]}, "start_times has 2 entries for 3 requests"), ({"start_times": "now"}, "start_times has no entries"),
    ({"start_times": [1.0, math.nan, 2.0]}, "start_times, entry 1: nan is no time"), ({"start_times": [1.0, 2.0, -math.inf]}, "entry 2: -inf"),
    ({"start_times": [1.0, "2", 2.0]}, "start_times, entry 1: '2' is no time"), ({"start_times": [0.5, 10**400, 1]}, "entry 1: 10+ is no time"),
    ({"start_times": [1e308, -1e308, 0]}, r"entry 0: 1e\+308 is no time"),
    *(({"start_times": None, "request_rate": rate}, "no start_times, and request_rate = .*Save start_times, or give a rate")
      for rate in ("inf", math.inf, math.nan, 0, -1, True, None, [2], 1e-320)),
])
def test_a_result_that_makes_no_sense_is_refused_by_its_field(changes, told):
    with pytest.raises(TraceError, match=told):
        vllm_benchmark(json.dumps(result(**changes)))


@pytest.mark.parametrize("text, told", [("", "that is not JSON"), ("{", "that is not JSON"), ("[1, 2]", "this is list"), ("null", "this is NoneType"),
                                        ("[" * 100_000, "that is not JSON"), ('{"input_lens": [' + "9" * 5000 + "]}", "that is not JSON")])
def test_what_is_no_result_is_refused(text, told):
    with pytest.raises(TraceError, match=told):
        vllm_benchmark(text)


anything = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
                        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2), max_leaves=6)
lengths = st.lists(st.integers(-1, 5) | anything, min_size=2, max_size=3)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.fixed_dictionaries({"input_lens": lengths | anything, "output_lens": lengths | anything},
                             optional={"start_times": st.lists(st.floats() | st.integers(0, 9), min_size=2, max_size=3) | anything,
                                       "request_rate": st.floats() | anything}))
def test_any_result_is_read_or_refused(given_result):
    try:
        found = vllm_benchmark(json.dumps(given_result))
    except TraceError as error:
        assert any(name in str(error) for name in ("input_lens", "output_lens", "start_times", "request_rate"))
    else:
        check_requests(found)


# --- requests from chance -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("variation", [0, 0.5, 1, 3])
def test_arrivals_keep_their_rate_and_their_variation(variation):
    times = bursty(4.0, 40_000, variation, seed=5)
    gaps = numpy.diff(times, prepend=0.0)
    assert numpy.all(gaps >= 0) and 1 / gaps.mean() == pytest.approx(4.0, rel=0.05)
    assert gaps.std() / gaps.mean() == pytest.approx(variation, rel=0.05, abs=1e-9)
    if variation == 1:
        numpy.testing.assert_array_equal(times, poisson(4.0, 40_000, seed=5))


@pytest.mark.parametrize("drawn, mean, variation", [
    (fixed(300), 300, 0), (geometric(300), 300, math.sqrt(1 - 1 / 300)), (geometric(1), 1, 0), (lognormal(300, 1.5), 300, 1.5),
    (lognormal(300, 0), 300, 0), (drawn_from([100, 500]), 300, 2 / 3)])
def test_lengths_keep_their_mean_and_their_variation(drawn, mean, variation):
    found = drawn(numpy.random.default_rng(0), 200_000)
    assert found.min() >= 1 and found.dtype.kind == "i"
    assert found.mean() == pytest.approx(mean, rel=0.02) and found.std() / found.mean() == pytest.approx(variation, rel=0.05, abs=1e-9)


def test_the_same_seed_gives_the_same_requests_and_another_one_others():
    def all_kinds(seed):
        think = lognormal(10, 1)
        return (requests(poisson(2.0, 50, seed), lognormal(500, 1), geometric(100), seed), closed_loop(5, 4, geometric(9), geometric(9), 1.0, seed),
                arrivals.conversations(poisson(1.0, 5, seed), 3, 100, 20, 30, think, 10, seed))

    first, again, other = all_kinds(7), all_kinds(7), all_kinds(8)
    assert first == again and all(one != another for one, another in zip(first, other))
    for found in first:
        check_requests(found)
    prompts, outputs = zip(*((request.prompt_tokens, request.output_tokens) for request in
                             requests(numpy.zeros(3000), geometric(300), geometric(300), 1)))
    assert abs(numpy.corrcoef(prompts, outputs)[0, 1]) < 0.1  # one seed, yet lengths that have nothing to do with each other


@pytest.mark.parametrize("think", [0.0, 2.5])
def test_a_closed_loop_keeps_its_users_busy(think):
    run = simulate(closed_loop(7, 6, geometric(50), geometric(30), think), Engine(max_sequences=3),
                   lambda prompts, pairs, decoding, contexts: 0.01 + 1e-4 * (prompts + decoding) + 0 * contexts)
    last = run.end.reshape(6, 7)[-1].min()  # the first user is done
    moments = numpy.unique(numpy.concatenate([run.arrival, run.end, run.end + think]))
    between = (moments[1:] + moments[:-1]) / 2
    between = between[between < last]
    in_flight = ((run.arrival <= between[:, None]) & (between[:, None] < run.end)).sum(axis=1)
    thinking = ((run.end <= between[:, None]) & (between[:, None] < run.end + think)).sum(axis=1)
    assert len(between) > 20 and set(in_flight + thinking) == {7} and (set(in_flight) == {7}) == (think == 0)


@pytest.mark.parametrize("make, told", [
    *((lambda rate=rate: poisson(rate, 10), f"rate = {rate}; it must be above 0") for rate in (0, -1, math.nan, math.inf)),
    (lambda: poisson(1, 0), "count = 0"), (lambda: bursty(1, 10, -1), "variation = -1"), (lambda: bursty(1, 10, math.nan), "variation = nan"),
    (lambda: bursty(1, 10, math.inf), "variation = inf"), (lambda: fixed(0), "tokens = 0"), (lambda: fixed(2.5), "tokens = 2.5; it must be a whole"),
    (lambda: geometric(0), "mean = 0"), (lambda: geometric(math.nan), "mean = nan"), (lambda: geometric(0.5), "mean = 0.5; a length is at least 1"),
    (lambda: lognormal(-5, 1), "mean = -5"), (lambda: lognormal(5, -1), "variation = -1"), (lambda: drawn_from([]), "no lengths to draw from"),
    (lambda: closed_loop(0, 5, fixed(1), fixed(1)), "users = 0"), (lambda: closed_loop(5, 0, fixed(1), fixed(1)), "each = 0"),
    (lambda: arrivals.conversations([0.0], 0, 1, 1, 1, 1.0), "turns = 0"), (lambda: arrivals.conversations([0.0], 1, 1, 0, 1, 1.0), "question_tokens = 0"),
])
def test_chances_that_make_no_sense_are_refused(make, told):
    with pytest.raises(TraceError, match=told):
        make()
