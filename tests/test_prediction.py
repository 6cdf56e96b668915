"""Predictions against public runs, against themselves where limits must coincide, and against whatever a table may hold."""

import csv
import dataclasses
import io
import math
import subprocess
import sys
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcost.__main__ import main
from llmcost.files import read_csv, read_prediction
from llmcost.prediction import Constants, Refused, RowError, constants, engines, outcome_of, predict, replica_of, run
from llmcost.prediction.calibrating import calibrate, rows_of_benchmark
from llmcost.prediction.cases import case_from
from llmcost.prediction.estimating import errors, estimate, left_out, regime
from llmcost.prediction.fitting import ranges, runs_of
from llmcost.prediction.intervals import Domain, interval_for, intervals
from llmcost.prediction.model import time_limits
from llmcost.prediction.table import COLUMNS, predict_file, predict_rows

ROWS = read_csv("measurements/runs.csv")
MINE = {"row_id": "mine", "kind": "online-conc", "hw": "H100-SXM", "n_gpus": "4", "engine": "vllm", "engine_version": "0.19", "model": "llama-3.1-70b",
        "weight_prec": "fp8", "kv_prec": "fp8", "tp": "4", "isl": "1000", "osl": "1000", "batch_or_conc": "32"}


@pytest.fixture(scope="module")
def runs():
    return runs_of(ROWS, engines())


# --- against measurement ------------------------------------------------------------------------------------

def test_nearly_every_public_run_is_answered():
    found, wrong = predict_rows(ROWS)
    assert len(ROWS) > 2_600 and not wrong
    refused = [one for one in found if one.refused]
    assert len(refused) <= 0.01 * len(ROWS) and all(len(one.refused) > 20 for one in refused)
    for one in found:
        values = [value for value in dataclasses.astuple(one.outcome) if value is not None] if one.outcome else []
        assert all(math.isfinite(value) and value > 0 for value in values), one.row_id


def mean_error(chosen) -> float:
    """Mean of |predicted / measured - 1|, in percent."""
    return 100 * sum(abs(math.exp(error) - 1) for _, _, error in chosen) / len(chosen)


def test_errors_are_those_that_are_published(runs):
    """A change that makes a regime worse fails here; one that makes it better lowers the bar, in the same commit."""
    found = errors(runs, constants(), engines())

    def of(name, **wanted):
        def fits(run):
            case = run.case
            have = {"kind": case.kind, "model": case.model.key, "gpu": case.gpu.key, "bits": regime(case)[2], "what": regime(case)[1]}
            return all(have[key] in (value if isinstance(value, tuple) else (value,)) for key, value in wanted.items())
        return mean_error([one for one in found if one[1] == name and fits(one[0])])

    hopper = ("h100_sxm", "h200_sxm")
    assert of("output_rate", kind="offline-max", model="llama_3_1_70b", gpu=hopper, bits=8) < 6
    assert of("output_rate", kind="offline-max", model="llama_3_1_8b", gpu=hopper, bits=8) < 6.5
    assert of("output_rate", kind="offline-max", model="llama_3_1_405b", gpu=hopper, bits=8) < 5
    assert of("output_rate", kind="offline-max", what="mixture") < 22.5
    assert of("output_rate", kind="static-burst") < 8
    assert of("tpot", kind="online-conc", what="dense") < 9.8
    assert of("tpot", kind="online-conc") < 17
    assert of("tpot", kind="online-rate") < 10.5
    assert of("tpot", kind="disagg-phase") < 5


def test_intervals_cover_families_that_were_left_out(runs):
    """Five folds of families; the intervals of one fold are made from the others."""
    found = left_out(runs, constants(), engines(), ranges(), rounds=2)
    covered = defaultdict(list)
    for fold in range(5):
        table = intervals((run.case, name, error) for at, run, name, error in found if at != fold)
        for at, run, name, error in found:
            if at == fold and name != "input_rate":
                one = interval_for(run.case, name, table, inside=True)
                covered[run.case.kind, regime(run.case)[1], name].append(one.low <= math.exp(-error) <= one.high)
    shares = {group: sum(some) / len(some) for group, some in covered.items()}
    assert 0.7 <= sum(map(sum, covered.values())) / sum(map(len, covered.values())) <= 0.9
    outside = {group: share for group, share in shares.items() if len(covered[group]) >= 30 and not 0.65 <= share <= 0.95}
    assert set(outside) <= {("online-qps", "dense", "tpot")}  # an early server of two models only: said on the page


# --- limits ---------------------------------------------------------------------------------------------------

def outcome(**changed):
    return predict({**MINE, **{name: str(value) for name, value in changed.items()}}).outcome


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 400), st.integers(50, 8000), st.integers(20, 2000))
def test_more_users_share_more_and_wait_longer(users, prompt, output):
    few, many = (outcome(batch_or_conc=n, isl=prompt, osl=output) for n in (users, 2 * users))
    assert many.output_rate >= few.output_rate * 0.95
    assert many.tpot >= few.tpot * (1 - 1e-6) and many.ttft >= few.ttft * (1 - 1e-3)


def test_one_user_is_one_pass():
    case = case_from({**MINE, "batch_or_conc": "1"}, engines(), time_limits())
    alone = outcome_of(case, constants())
    from llmcost.prediction.replica import Replica
    replica = Replica(case.model, case.gpu, case.placement, case.formats, constants(), case.engine)
    assert alone.tpot == pytest.approx(replica.pass_seconds(1, 1500) + replica.added_seconds(1, 1500, 1000) * 1 / 999, rel=1e-3)
    assert alone.output_rate == pytest.approx(1000 / (alone.ttft + 999 * alone.tpot))


def test_a_scheduler_that_looks_seldom_answers_late():
    often, seldom = (outcome(engine="sglang", recv_interval=n) for n in (1, 21))
    assert seldom.tpot == pytest.approx(often.tpot, rel=0.02) and 8 * often.tpot < seldom.ttft - often.ttft < 11 * often.tpot
    assert outcome(engine="sglang").ttft == outcome(engine="sglang", recv_interval=20).ttft


def test_short_passes_make_the_first_wave_wait():
    short, long = (outcome(max_num_batched_tokens=n, batch_or_conc=256) for n in (1024, 16384))
    assert short.ttft > 1.2 * long.ttft


def test_half_of_a_batch_talks_while_the_other_computes():
    apart = {**MINE, "kind": "disagg-phase", "model": "deepseek-v3", "hw": "H800-SXM", "n_gpus": "32", "tp": "1", "ep": "32", "dp": "32", "isl": "4096",
             "batch_or_conc": "16384", "load": "prefill"}
    one, two = (predict({**apart, "load": load}).outcome.input_rate for load in ("prefill", "prefill in two microbatches"))
    replica = replica_of(apart)
    computing = replica.pass_seconds(0, 0, 4096 * 64, 64 * replica.prompt_flops(4096), 64, graph=False) - replica.talking_seconds(4096 * 64)
    assert two > 1.3 * one and two == pytest.approx(4096 * 64 / computing, rel=1e-6)  # what the links take is hidden


@pytest.mark.parametrize("n_gpus, parts", [(2, 1.0), (4, 1.5), (8, 9 / 8)])
def test_a_large_all_reduce_takes_its_bytes_over_the_link(n_gpus, parts):
    """Around a ring 2 (n - 1)/n of a message; more than four GPUs of an H100 let the switch add up and send (n + 1)/n."""
    replica = replica_of({**MINE, "n_gpus": str(n_gpus), "tp": str(n_gpus)})
    few, many = 10**6, 2 * 10**6
    slope = (replica.talking_seconds(many) - replica.talking_seconds(few)) / 10**6
    message = 8192 * 2 / (450e9 * constants().link_share)
    assert slope == pytest.approx(2 * 80 * parts * message * replica.engine.factor, rel=1e-6)


def test_an_early_server_pays_for_long_contexts():
    """Where the blocks of a cache are listed anew in each step, a step grows with the context by more than the bytes."""
    row = {**MINE, "n_gpus": "1", "tp": "1", "model": "llama-3.1-8b", "weight_prec": "bf16", "kv_prec": "bf16", "engine_version": "0.7"}
    early = replica_of(row)
    plain = replica_of(row, engine=dataclasses.replace(early.engine, host_blocks=0.0))
    grows = [early.pass_seconds(4, context) - plain.pass_seconds(4, context) for context in (1600, 16000)]
    assert grows[1] == pytest.approx(10 * grows[0]) and 0.5e-3 < grows[1] / 4 < 3e-3


def test_twice_the_machines_are_twice_the_tokens():
    one, two = outcome(kind="offline-max"), outcome(kind="offline-max", n_gpus=8)
    assert two.output_rate == pytest.approx(2 * one.output_rate, rel=0.05)


@pytest.mark.parametrize("name, slower", [("bandwidth_share", 0.5), ("kernel_seconds", 2), ("all_reduce_seconds", 2), ("link_share", 0.5), ("gemm_share_8", 0.5)])
def test_every_constant_has_its_say(name, slower):
    case = case_from({**MINE, "batch_or_conc": "200"}, engines(), time_limits())
    worse = dataclasses.replace(constants(), **{name: getattr(constants(), name) * slower})
    assert outcome_of(case, worse).tpot > outcome_of(case, constants()).tpot * 1.001


def test_there_are_twelve_constants_and_one_factor_for_each_engine():
    tables = read_prediction()
    assert len(dataclasses.fields(Constants)) == 12 == len(tables["constant"])
    assert all(table["low"] <= getattr(constants(), name) <= table["high"] and table["unit"] and table["why"] for name, table in tables["constant"].items())
    assert sum(bool(table.get("fitted")) for table in tables["engine"].values()) == len(tables["engine"]) - 1


# --- calibration ------------------------------------------------------------------------------------------------

def measured_by(chosen, rows):
    """`rows` as a server with other constants would have measured them."""
    found = []
    for row in rows:
        got = outcome_of(case_from(row, engines(), time_limits()), chosen)
        found.append({**row, "tpot_ms": str(got.tpot * 1e3), "ttft_ms": str(got.ttft * 1e3)})
    return found


def test_a_slower_server_is_recognized():
    rows = [{**MINE, "row_id": f"{n}", "batch_or_conc": str(n), "isl": str(isl)} for n in (1, 8, 64, 200) for isl in (200, 4000)]
    slow = dataclasses.replace(constants(), kernel_seconds=1.6 * constants().kernel_seconds)
    found = calibrate(measured_by(slow, rows))
    assert found.before > 0.05 and found.after < found.before / 3
    assert {"grouped_share", "pair_bytes", "gemm_share_4"} <= set(found.not_identifiable)
    assert predict(rows[0], found.constants, found.engines).outcome.tpot == pytest.approx(
        outcome_of(case_from(rows[0], engines(), time_limits()), slow).tpot, rel=0.1)


def test_the_command_says_what_changed_and_what_it_cannot_tell(tmp_path, capsys):
    rows = measured_by(dataclasses.replace(constants(), kernel_seconds=1.6 * constants().kernel_seconds),
                       [{**MINE, "row_id": f"{n}", "batch_or_conc": str(n), "isl": str(isl)} for n in (1, 8, 64, 200) for isl in (200, 4000)])
    assert main(["calibrate", str(written(tmp_path / "own.csv", rows))]) == 0
    told = capsys.readouterr().out
    assert told.startswith("16 measured values: mean error") and "kernel_seconds" in told.split("not identifiable")[0]
    assert "grouped_share" in told.split("not identifiable from these runs: ")[1]
    assert main(["calibrate", str(written(tmp_path / "none.csv", [MINE]))]) == 2 and "none with tp" in capsys.readouterr().err


def test_a_run_and_its_replica_by_name():
    row = run("m00020")
    assert replica_of(row).pass_seconds(64, 2000) == pytest.approx(1.5 * replica_of(row, engine=dataclasses.replace(
        engines()["vllm_v0"], factor=engines()["vllm_v0"].factor / 1.5)).pass_seconds(64, 2000))
    row["model"] = "changed"
    assert run("m00020")["model"] == "llama-3.3-70b"
    with pytest.raises(Refused, match="no model 'changed'"):
        replica_of(row)
    with pytest.raises(KeyError, match="no run 'm0020'; nearest: "):
        run("m0020")


def test_nothing_to_learn_from_is_said(runs):
    with pytest.raises(ValueError, match="1 rows, none with tp and a measured value"):
        calibrate([MINE])
    with pytest.raises(ValueError, match="neither a constant .* nor an engine"):
        estimate(runs[:3], constants(), engines(), {"speed": (1, 2)})
    with pytest.raises(ValueError, match="nothing to learn from"):
        estimate([], constants(), engines(), {"kernel_seconds": (1e-6, 1e-5)})


def test_a_saved_benchmark_becomes_a_row():
    summary = {"completed": 100, "total_input_tokens": 100_000, "total_output_tokens": 50_000, "duration": 50.0, "mean_ttft_ms": 80.0, "mean_tpot_ms": 12.0,
               "request_rate": "inf", "max_concurrency": 16}
    row = rows_of_benchmark(summary, model="llama-3.1-8b", hw="H100-SXM", n_gpus="1", tp="1", engine_version="0.19", weight_prec="bf16")
    assert (row["isl"], row["osl"], row["batch_or_conc"]) == ("1000.0", "500.0", "16") and predict(row).outcome.tpot < 0.02
    assert calibrate([row]).n_measured == 3
    with pytest.raises(ValueError, match="the result has no mean_tpot_ms"):
        rows_of_benchmark({**summary, "mean_tpot_ms": None})
    with pytest.raises(ValueError, match="one of them says how the load came"):
        rows_of_benchmark({**summary, "max_concurrency": None})


# --- tables ---------------------------------------------------------------------------------------------------

def written(path, rows):
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


def test_the_command_writes_what_the_function_predicts(tmp_path):
    rows = [MINE, {**MINE, "row_id": "unknown", "model": "llama-9"}, {**MINE, "row_id": "large", "model": "llama-3.1-405b", "weight_prec": "bf16", "tp": "1"}]
    source, target = written(tmp_path / "in.csv", rows), tmp_path / "out.csv"
    done = subprocess.run([sys.executable, "-m", "llmcost", "predict", str(source), str(target)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = list(csv.DictReader(io.StringIO(target.read_text())))
    assert tuple(found[0]) == COLUMNS and [row["row_id"] for row in found] == ["mine", "unknown", "large"]
    ours = predict(MINE)
    assert float(found[0]["tpot_ms"]) == pytest.approx(1e3 * ours.outcome.tpot, rel=1e-5)
    assert float(found[0]["tpot_ms_low"]) < float(found[0]["tpot_ms"]) < float(found[0]["tpot_ms_high"])
    assert found[0]["in_domain"] == "true" and found[0]["refused"] == ""
    assert "no model 'llama-9' in the catalog" in found[1]["refused"] and "does not fit" in found[2]["refused"]


def test_bad_rows_are_reported_and_the_rest_is_done(tmp_path):
    rows = [MINE, {**MINE, "isl": "many"}, {**MINE, "kind": "guess"}, {**MINE, "n_gpus": "2.5"}, {**MINE, "weight_prec": "fp3"}, {**MINE, "hw": ""},
            {**MINE, "tp": "8"}, {**MINE, "batch_or_conc": "-1"}, {**MINE, "kind": "online-rate", "load": "quickly"}]
    report, target = io.StringIO(), tmp_path / "out.csv"
    assert predict_file(written(tmp_path / "in.csv", [{"load": "", **row} for row in rows]), target, report) == 8
    told = report.getvalue()
    for line, column in ((3, "isl"), (4, "kind"), (5, "n_gpus"), (6, "weight_prec"), (7, "hw"), (8, "tp"), (9, "batch_or_conc"), (10, "load")):
        assert f"line {line}, column {column}: " in told
    assert len(target.read_text().splitlines()) == 2 and not list(tmp_path.glob("*.part"))


def test_what_is_no_table_is_refused(tmp_path):
    (tmp_path / "in.csv").write_text("a,b\n1,2\n")
    for source, code in (("in.csv", 2), ("missing.csv", 2)):
        done = subprocess.run([sys.executable, "-m", "llmcost", "predict", str(tmp_path / source), str(tmp_path / "out.csv")], capture_output=True, text=True)
        assert done.returncode == code and done.stderr and "Traceback" not in done.stderr
        assert not (tmp_path / "out.csv").exists()


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.dictionaries(st.sampled_from(sorted({*MINE, "load", "notes", "pp", "ep", "dp", "date"})), st.text(max_size=12) | st.sampled_from(
    ["0", "-3", "1e99", "nan", "inf", "4", "1,000", "open-loop 0 req/s", "fp8", "mixtral-8x7b", "2025-01", "disagg-phase", "offline-max"]), max_size=8))
def test_any_cell_gives_a_prediction_or_a_reason(changed):
    try:
        found = predict({**MINE, **changed})
    except RowError as error:
        assert str(error) and error.column
    else:
        assert found.refused or all(value is None or (math.isfinite(value) and value > 0) for value in dataclasses.astuple(found.outcome))


def test_outside_of_what_was_measured_the_interval_is_wider():
    inside, outside = predict(MINE), predict({**MINE, "hw": "L4", "n_gpus": "8", "tp": "8", "weight_prec": "int8"})
    assert inside.inside and not outside.inside
    assert outside.intervals["tpot"].high > inside.intervals["tpot"].high and outside.intervals["tpot"].low < inside.intervals["tpot"].low
    assert not Domain(frozenset(), frozenset(), frozenset(), 0, 0).has(inside.case)
