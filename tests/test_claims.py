"""The verdict on every statement of the sources is the one that its digits give."""

import dataclasses

import numpy
import pytest

from llmcost import arrivals, catalog, claims, expert_serving, files, layouts, phases, serving
from llmcost.engine import Engine
from llmcost.evaluation import StatementError
from llmcost.precision import BYTES_PER_ELEMENT
from llmcost.prediction import constants, engines
from llmcost.prediction.estimating import errors
from llmcost.prediction.fitting import runs_of
from llmcost.prediction.ladder import ladder
from llmcost.scheduling import simulate
from llmcost.step_costs import StepCosts

CLAIMS = claims.load()


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_recorded_verdict_is_the_derived_one(claim):
    ours = claims.evaluate(claim) if claim.formula else None
    assert claim.verdict == claims.derive(claim), f"printed {claim.printed} {claim.unit}, we get {ours}"


@pytest.mark.parametrize("printed, ours, want", [
    ("1.3", 1.342, "exact"), ("1.3", 1.3499, "exact"), ("1.3", 1.36, "coarse"), ("100", 101.9, "rounding"),
    ("100", 110, "coarse"), ("100", 120, "wrong"), ("100", 80, "wrong"), ("1e3", 1400, "exact"), ("0", 0, "exact"),
    ("5", 0, "wrong"),
])
def test_verdict(printed, ours, want):
    assert claims.verdict(printed, ours) == want


@pytest.mark.parametrize("changes, message", [
    ({"why": None}, "has no why"), ({"verdict": "hmm"}, "it is one of exact"), ({"unit": "furlong"}, "unit 'furlong'"),
    ({"printed": "about 3"}, "write the digits alone"), ({"formula": None}, "both the printed digits and the formula"),
    ({"verdict": "wrong"}, "does not say what is right"), ({"colour": "red"}, "has colour"),
], ids=str)
def test_an_incomplete_claim_is_refused(changes, message, monkeypatch):
    good = {"id": "x", "place": "p", "chapter": "kv_cache", "statement": "s", "verdict": "exact", "why": "w", "printed": "1",
            "unit": "", "formula": "attention.kv_elements", "given": {}}
    table = {key: value for key, value in {**good, **changes}.items() if value is not None}
    monkeypatch.setattr(files, "claim_files", lambda: ["000"])
    monkeypatch.setattr(files, "read_claims", lambda name: [table])
    with pytest.raises(StatementError, match=message):
        claims.load()


def test_a_claim_about_an_unknown_formula_is_refused():
    claim = claims.Claim(id="x", source="000", place="", chapter="", statement="", verdict="exact", why="", printed="1",
                         formula="attention.magic")
    with pytest.raises(StatementError, match="attention.magic"):
        claims.evaluate(claim)


def test_a_gpu_computes_in_bf16_unless_a_peak_is_given():
    claim = claims.Claim(id="x", source="004", place="", chapter="", statement="", verdict="exact", why="", printed="295.2",
                         unit="FLOP/byte", formula="roofline.ridge_point", given={"gpu": "h100_sxm"})
    in_fp8 = dataclasses.replace(claim, given={"gpu": "h100_sxm", "peak_flops": catalog.GPUS["h100_sxm"].peak_flops_fp8})
    assert claims.derive(claim) == "exact"
    assert claims.evaluate(in_fp8) == pytest.approx(590.7, abs=0.1)


def test_what_is_not_given_is_assumed():
    claim = claims.Claim(id="x", source="001", place="", chapter="", statement="", verdict="exact", why="", printed="3", unit="us",
                         formula="collectives.all_reduce_seconds", given={"gpu": "h100_sxm", "n_gpus": 4, "message_bytes": 16384})
    one_more = dataclasses.replace(claim, given={**claim.given, "one_shot_hops": catalog.ASSUMED.one_shot_hops + 1})
    assert claims.evaluate(one_more) - claims.evaluate(claim) == pytest.approx(catalog.GPUS["h100_sxm"].hop_seconds / 1e-6)


# --- what our simulation is quoted for ---------------------------------------------------------------------

def experiment(n_gpus, form="bf16", width=2, cache=2, policy="chunked", outputs=arrivals.fixed(512), at_once=100, slots=256):
    """A thousand queries of 4,096 tokens in and 512 out, `at_once` at a time, as the claims say that they were simulated."""
    service = serving.Service(catalog.MODELS["llama_3_1_70b"], catalog.GPUS["h100_sxm"].computing_in(form), catalog.ASSUMED,
                              layouts.Layout(tensor=n_gpus), weight_bytes_per_param=width, kv_bytes_per_element=cache)
    engine = Engine(policy=policy, max_sequences=slots, kv_blocks=service.kv_blocks())
    requests = arrivals.closed_loop(at_once, 1000 // at_once, arrivals.fixed(4096), outputs)
    return simulate(requests, engine, StepCosts(service))


def words_of_claims():
    """What all claims say in words, as one text."""
    return " ".join(claim.get("why", "") + " " + claim.get("right", "") for name in files.claim_files() for claim in files.read_claims(name))


def test_every_simulated_figure_in_a_claim_is_what_the_simulation_gives():
    """The figures stand in words; each is computed again, and must be found in the sentence that has it."""
    told = words_of_claims()

    def mean(run):
        return float(numpy.nanmean(run.end - run.arrival))

    four, eight, at_once = experiment(4), experiment(8), experiment(4, at_once=1000)
    fp8, int4 = experiment(2, "fp8", 1), experiment(1, width=BYTES_PER_ELEMENT["int4_g128"])
    static, continuous = (experiment(4, policy=policy, slots=slots) for policy, slots in (("static", 100), ("continuous", 256)))
    uneven = [experiment(4, policy=policy, slots=slots, outputs=arrivals.geometric(512)) for policy, slots in (("static", 100), ("continuous", 256))]
    for sentence in (
            f"1,000 at once take {at_once.makespan:.0f} s and {mean(at_once):.0f} s each on average; 100 at a time take {four.makespan:.0f} s "
            f"and {mean(four):.0f} s each",
            f"happens {at_once.preemptions.sum():.0f} times", f"take the same {static.makespan:.1f} s", f"the same {continuous.makespan:.1f} s",
            f"take {uneven[0].makespan:.0f} s with it and {uneven[1].makespan:.0f} s without, and wait {numpy.nanmean(uneven[0].ttft):.0f} s "
            f"and {numpy.nanmean(uneven[1].ttft):.1f} s for the first token",
            f"it is {4 * four.makespan / 1000:.2f} in BF16 on four H100s, {2 * fp8.makespan / 1000:.2f} in FP8 on two and "
            f"{int4.makespan / 1000:.2f} with 4-bit weights on one",
            f"Eight H100s in one group take {eight.makespan:.0f} s", f"${8 * eight.makespan * 30 / 3600:.2f} for the {eight.makespan:.0f} s",
            f"{mean(eight):.1f} s on eight H100s", f"take {four.makespan:.0f} s by our simulation, 100 requests at a time",
            f"cost ${4 * four.makespan * 30 / 3600:.2f} at $30 an hour, and ${4 * four.makespan * 2.5 / 3600:.2f} at $2.50",
            f"take {mean(four):.1f} s by our simulation", f"By our simulation {fp8.makespan:.0f} s, 100 requests",
            f"${2 * fp8.makespan * 30 / 3600:.2f} for the {fp8.makespan:.0f} s", f"By our simulation {mean(fp8):.0f} s",
            f"By our simulation {int4.makespan:,.0f} s", f"${int4.makespan * 30 / 3600:.2f} for the {int4.makespan:,.0f} s",
            f"By our simulation {mean(int4):.0f} s"):
        assert sentence in told, sentence


def test_every_figure_of_a_service_in_a_claim_is_what_the_service_gives():
    model, told = catalog.MODELS["deepseek_v3"], words_of_claims()
    given = {"weight_bytes_per_param": 1, "max_sequences": 4096}
    eight = serving.Service(model, catalog.GPUS["h200_sxm"].computing_in("fp8"), catalog.ASSUMED, layouts.Layout(tensor=8), **given)

    def unit(gpu, **layout):
        return expert_serving.ExpertService(model, catalog.GPUS[gpu].computing_in("fp8"), catalog.ASSUMED, layouts.Layout(**layout),
                                            fabric=catalog.FABRICS["infiniband_400"], **given)

    report = {gpu: unit(gpu, tensor=4, experts=320, redundant_experts=64) for gpu in ("h200_sxm", "h800_sxm")}
    day, full = unit("h800_sxm", experts=144, redundant_experts=32), report["h200_sxm"].largest_batch(1500)
    for sentence in (
            f"These are {eight.largest_batch(1500)} sequences of 1,500 tokens on eight cards", f"have room for {eight.largest_batch(1500)} sequences",
            f"{1 / eight.step(1, 1500)['step']:.0f} by our model", f"160 take {eight.step(160, 1500)['step'] * 1e3:.0f} ms for a step",
            f"On 320 H200s {full:,} sequences of 1,500 tokens fit, and {report['h200_sxm'].largest_batch(4989):,} of 4,989",
            f"on H800s {report['h800_sxm'].largest_batch(1500):,} and {report['h800_sxm'].largest_batch(4989):,}",
            f"{day.largest_batch(4989):,} sequences of 4,989 tokens fit"):
        assert sentence in told, sentence
    assert report["h200_sxm"].one_pass(full, 1500)["exchange"] > 0.07 and "exchanges for more than 70 ms" in told
    assert report["h200_sxm"].one_pass(100_000, 1500)["step"] > 0.05 and "a step of 100,000 sequences takes more than 50 ms" in told


def test_every_figure_of_a_prediction_in_a_claim_is_what_is_predicted():
    told = words_of_claims()
    rows = [row for row in catalog.read_csv("measurements/runs.csv") if row["source"] == "tensoreconomics_experiments" and row["model"] == "llama-3.3-70b"
            and float(row["isl"]) < 3000]
    share = {round(float(row["batch_or_conc"])): float(row["out_tok_s"]) / ladder(row)[2].outcome.output_rate for row in rows}
    assert len(share) == 10
    assert f"reach {share[1]:.0%} at batch 1, {share[128]:.0%} at 128 and {share[512]:.0%} at 512".replace("%", " %") in told
    assert f"{1 / max(share.values()):.1f} to {1 / min(share.values()):.1f} times what was measured" in told
    model, gpu = catalog.MODELS["llama_3_1_70b"], catalog.GPUS["h100_sxm"].computing_in("bf16")
    lone = serving.Service(model, gpu, catalog.ASSUMED, layouts.Layout(tensor=4))
    used = lone.value(phases.decode_flops, batch=1, context=2000) / (4 * gpu.peak_flops * lone.step(1, 2000)["step"])
    assert used < 0.01 and "A decode step for one user reaches less than 1 %" in told
    found = [abs(numpy.exp(error) - 1) for run, name, error in errors(runs_of(catalog.read_csv("measurements/runs.csv"), engines()), constants(), engines())
             if name == "output_rate" and run.case.model.n_experts == 1 and run.case.kind == "offline-max"]
    assert numpy.median(found) < 0.1 and "median errors of less than a tenth are reached with twelve constants" in told
