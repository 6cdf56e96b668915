"""The verdict on every statement of the sources is the one that its digits give."""

import dataclasses
import math
from pathlib import Path

import numpy
import pytest
import yaml

from llmcost import (arrivals, attention, attention_work, capacity, catalog, claims, collectives, expert_serving, faces, files, layouts,
                     operations, phases, roofline, served, serving, transformer)
from llmcost.book import ledger
from llmcost.engine import Engine
from llmcost.evaluation import StatementError
from llmcost.layer_operations import Pass
from llmcost.ledger import pass_flops
from llmcost.precision import BYTES_PER_ELEMENT
from llmcost.prediction import constants, engines
from llmcost.prediction.estimating import errors
from llmcost.prediction.fitting import runs_of
from llmcost.prediction.ladder import ladder
from llmcost.prices import API_PRICES, price_history
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


def test_what_a_formula_has_no_use_for_is_refused():
    claim = claims.Claim(id="x", source="004", place="", chapter="", statement="", verdict="exact", why="", printed="295.2",
                         unit="FLOP/byte", formula="roofline.ridge_point", given={"gpu": "h100_sxm", "context": 5})
    with pytest.raises(StatementError, match="claim x gives context, which its formula has no use for"):
        claims.evaluate(claim)


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


def test_every_figure_of_a_group_in_a_claim_is_what_the_group_holds():
    told, given = words_of_claims(), {"model": "llama_3_1_70b", "gpu": "h100_sxm", "context": 4608}
    held = {(size, form): served.places(n_gpus=size, form=form, **given) for size, form in ((2, "bf16"), (4, "bf16"), (8, "bf16"), (2, "fp8"))}
    for sentence in (
            f"Eight can form one group, with room for {held[8, 'bf16']} sequences of 4,608 tokens",
            f"Three groups of 2 with {held[2, 'bf16']} sequences of 4,608 tokens each, or 4 + 2, of which the four have room for {held[4, 'bf16']}",
            f"Two have room for {held[2, 'bf16']} sequences of 4,608 tokens, four for {held[4, 'bf16']} and eight for {held[8, 'bf16']}",
            f"at 90 % of the memory: {held[2, 'fp8']} sequences of 4,608 tokens with a cache in BF16"):
        assert sentence in told, sentence
    assert served.smallest_group("llama_3_1_70b", "h100_sxm", sequences=20, context=4608, form="fp8") == 2 and "One has no room for 20 such sequences" in told


def test_every_figure_of_a_fleet_in_a_claim_is_what_the_fleet_takes():
    """2,048 tokens in and 512 out, a first token in 2 s and 50 ms for each further one for 99 %; narrow weights have a cache in FP8."""
    told, forms = words_of_claims(), {"bf16": ("bf16", 2, 2), "fp8": ("fp8", 1, 1), "int4": ("bf16", BYTES_PER_ELEMENT["int4_g128"], 1)}

    def gpus(rate, form):
        products, width, cache = forms[form]
        service = serving.Service(catalog.MODELS["llama_3_1_70b"], catalog.GPUS["h100_sxm"].computing_in(products), catalog.ASSUMED,
                                  layouts.Layout(tensor=4), weight_bytes_per_param=width, kv_bytes_per_element=cache)
        return serving.fewest_gpus(service, rate, 2048, 512, ttft_limit=2.0, tpot_limit=0.05, groups=(1, 2, 4))[0][0]

    few, many = ({form: gpus(rate, form) for form in forms} for rate in (1, 16))
    for sentence in (
            f"at 1 request a second {few['bf16']} GPUs in 16 bits, {few['fp8']} in FP8, {few['int4']} in INT4; at 16 a second {many['bf16']}, "
            f"{many['fp8']} and {many['int4']}",
            f"{1 - few['fp8'] / few['bf16']:.0%}, {few['fp8']} GPUs for {few['bf16']}, and at 16 a second {1 - many['fp8'] / many['bf16']:.0%}, "
            f"{many['fp8']} for {many['bf16']}".replace("%", " %"),
            f"{1 - few['int4'] / few['bf16']:.0%}, {few['int4']} GPU for {few['bf16']}, and at 16 a second {1 - many['int4'] / many['bf16']:.0%}, "
            f"{many['int4']} for {many['bf16']}".replace("%", " %")):
        assert sentence in told, sentence


# --- what our formulas are quoted for in words -------------------------------------------------------------------

def of(formula, model="llama_3_1_70b", gpu="h100_sxm", **given):
    """A formula for one model on one GPU in BF16; one request with 1,000 tokens of prompt and 1,500 of context, unless given."""
    usual = {"n_gpus": 1, "batch": 1, "prompts": 1, "context": 1500, "prompt_tokens": 1000, "weight_bytes_per_param": 2, "kv_bytes_per_element": 2, **given}
    needed = faces.leaves(formula)
    if unused := set(given) - set(needed):
        raise TypeError(f"{formula.__name__} has no use for {unused}")
    return faces.at(formula, catalog.MODELS[model], catalog.GPUS[gpu].computing_in("bf16"), catalog.ASSUMED, **{name: usual[name] for name in needed if name in usual})


def attention_share(tokens):
    return of(attention_work.prefill_attention_flops, prompt_tokens=tokens) / of(phases.prefill_flops, prompt_tokens=tokens)


def test_every_figure_of_a_pass_in_a_claim_is_what_the_formulas_give():
    told = words_of_claims()
    ridge, peak = of(roofline.ridge_point), catalog.GPUS["h100_sxm"].peak_flops_bf16
    ratio, step, intensity, prompt = ({n: of(formula, **{name: n}) for n in sizes} for formula, name, sizes in (
        (phases.output_input_ratio, "batch", (1, 16, 64, 256)), (phases.decode_step_seconds, "batch", (1, 16, 64)),
        (phases.decode_intensity, "batch", (1, 64, 512)), (phases.prefill_flops, "prompt_tokens", (100, 1000, 2048, 4096, 8192, 65536, 131072))))
    reading, steps = of(phases.weight_reading_seconds), {model: of(phases.decode_step_seconds, f"llama_3_1_{model}") for model in ("8b", "70b", "405b")}
    share = {n: prompt[n] / peak / (prompt[n] / peak + of(phases.decode_seconds, context=n + 500, output_tokens=1000)) for n in (2048, 8192, 131072)}
    shared = prompt[2048] / peak / (prompt[2048] / peak + 999 * of(phases.output_token_gpu_seconds, batch=64, context=2548))
    for sentence in (
            f"takes {ratio[1]:.0f} times the GPU time of an input token at batch 1, and {ratio[64]:.1f} times at batch 64",
            f"{ratio[1]:.0f} times at batch 1, {ratio[16]:.0f} at 16, {ratio[64]:.1f} at 64, {ratio[256]:.1f} at 256",
            f"it takes {ridge:.0f} tokens until computing lasts as long", f"computes for {prompt[100] / peak * 1e3:.0f} ms and reads for {reading * 1e3:.0f} ms; "
            f"with 1,000 it computes for {prompt[1000] / peak * 1e3:.0f} ms", f"it does {intensity[512]:.0f} FLOPs for each byte, where {ridge:.0f} are needed",
            f"bandwidth allows {intensity[1] / ridge * 100:.2f} % of an H100's peak", f"{step[1] * 1e3:.1f} ms: {reading * 3350:.1f} GB of weights",
            f"with four, a step takes {step[1] / 4 * 1e3:.1f} ms at least, and 1,000 tokens {999 * step[1] / 4:.1f} s",
            f"each of 64 users waits {999 * step[64]:.0f} s, and the GPU spends {999 * step[64] / 64:.1f} s for each",
            f"falls from {step[1] * 1e3:.1f} ms at batch 1 to {step[16] / 16 * 1e3:.1f} ms at 16 and {step[64] / 64 * 1e3:.2f} ms at 64",
            f"{ridge:.0f} seats on an H100 in BF16", f"On an L40S it is {of(roofline.seats, gpu='l40s'):.0f}", f"need {1000 / ridge:.1f} times the seats",
            f"takes {prompt[1000] / peak:.2f} s for 1,000 tokens, {prompt[8192] / peak:.1f} s for 8,192 and {prompt[131072] / peak:.0f} s for 131,072",
            f"takes {reading * peak / prompt[1000]:.0%} of the least time of the pass on an H100; at 8,192 tokens "
            f"{reading * peak / prompt[8192]:.0%}".replace("%", " %"),
            f"computes for {prompt[1000] / peak * 1e3:.0f} ms at the full speed of one H100, for {prompt[1000] / peak / 4 * 1e3:.0f} ms on four",
            f"give {reading * 1e3:.1f} ms for reading weights and {of(phases.decode_flops, context=1) / peak * 1e3:.2f} ms for computing",
            f"is {steps['8b'] * 1e3:.1f}, {steps['70b'] * 1e3:.1f} and {steps['405b'] * 1e3:.0f} ms",
            f"the least time of a step {steps['405b'] / steps['70b']:.2f}-fold",
            f"decode at batch 1 does {intensity[1]:.0f} FLOP for each byte and at batch 64, with 1,500 tokens each, {intensity[64]:.0f}",
            f"Prefill of 2,048 tokens does {of(phases.prefill_intensity, prompt_tokens=2048):,.0f} for each byte",
            f"takes {reading * peak / prompt[2048]:.0%} as long as computing".replace("%", " %"),
            f"{attention_share(2048):.0%} of the FLOPs at 2,048 tokens, {attention_share(16384):.0%} at 16,384 and {attention_share(131072):.0%} at "
            f"131,072".replace("%", " %"),
            f"does {of(phases.decode_intensity, batch=256, context=2000):.0f} FLOPs for each byte at batch 256 and "
            f"{of(phases.decode_intensity, batch=4096, context=2000):.0f} at 4,096",
            f"takes {prompt[4096] / prompt[2048]:.2f} times as long for 4,096 tokens as for 2,048",
            f"{prompt[131072] / prompt[65536]:.1f} times as long for 131,072 as for 65,536",
            f"{share[2048]:.1%} at 2,048 tokens, {share[8192]:.1%} at 8,192, {share[131072]:.0%} at 131,072".replace("%", " %"),
            f"{shared:.0%} at 2,048 tokens and batch 64".replace("%", " %"),
            f"{of(phases.decode_flops, context=2049) / 1e12:.4f} TFLOP without the embedding table",
            f"{of(phases.decode_step_seconds, context=2049) * 1e3:.1f} ms, without the embedding table",
            f"{ridge / of(phases.decode_intensity, context=2048):.0f} times at batch 1: the ridge point of the H100, {ridge:.0f} FLOPs for each byte, over the "
            f"{of(phases.decode_intensity, context=2048):.2f}",
            f"adds its {of(phases.decode_flops, context=2048) / peak * 1e3:.3f} ms of computing",
            f"at batch 64 by {ridge / of(phases.decode_intensity, batch=64, context=2048):.0f} times and no longer",
            f"{reading * 1e3:.1f} ms and {(of(phases.decode_step_seconds, context=1001) - of(phases.decode_step_seconds, context=1000)) * 1e6:.3f} µs more for "
            f"each token",
            f"makes the step {of(phases.decode_step_seconds, context=131072) / of(phases.decode_step_seconds, context=2048):.1f} times as long",
            f"take {1999 * of(phases.decode_step_seconds, context=2000) / (999 * step[1]):.3f} times as long as 1,000"):
        assert sentence in told, sentence


def test_every_figure_of_a_cache_in_a_claim_is_what_the_formulas_give():
    told, kv, equal = words_of_claims(), of(attention.kv_bytes_per_token), of(capacity.crossover_tokens)
    held, weights, memory = of(attention.kv_cache_bytes, context=131072), of(transformer.weight_bytes), catalog.GPUS["h100_sxm"].memory_bytes
    read = {(batch, context): of(phases.decode_read_bytes, batch=batch, context=context) for batch, context in (
        (1, 1), (1, 512), (1, 2048), (1, 4096), (1, 131072), (8, 2048), (64, 2048), (128, 2048), (64, 65536), (64, 131072))}
    bare = read[1, 1] - kv
    without, with_cache = (formula(1000, 1000) for formula in (attention_work.tokens_processed_without_cache, attention_work.tokens_processed_with_cache))
    mlp = {name: catalog.MODELS[name].n_layers * of(transformer.mlp_params, name) / catalog.MODELS[name].n_params
           for name in ("llama_3_1_8b", "llama_3_1_70b", "llama_3_1_405b", "llama_2_7b")}
    for sentence in (
            f"{kv * 1000 / 1e6:.0f} MB for 1,000 tokens", f"{kv:,} bytes for each token",
            f"take {without:,.0f} passes of a token through the layers; with a cache they take {with_cache:,.0f}",
            f"after 4,096 tokens {kv * 4096 / 1e9:.2f} GB, beside {bare / 1e9:.0f} GB of weights. With 64 conversations the notes are {64 * kv * 4096 / 1e9:.0f} GB",
            f"the parameters grow {weights / of(transformer.weight_bytes, 'llama_3_1_8b'):.1f}-fold and the cache of a token "
            f"{kv / of(attention.kv_bytes_per_token, 'llama_3_1_8b'):.1f}-fold",
            f"{mlp['llama_3_1_8b']:.0%}, {mlp['llama_3_1_70b']:.0%} and {mlp['llama_3_1_405b']:.0%} in Llama 3.1 8B, 70B and 405B; an older model such as Llama "
            f"2 7B has {mlp['llama_2_7b']:.0%}".replace("%", " %"),
            f"{64 * held / weights:.1f} times: {64 * held / 1e12:.3f} TB against {weights / 1e9:.1f} GB", f"outweigh the weights past {equal:,.0f} tokens",
            f"from {equal:,.0f} tokens in all caches together, such as {math.ceil(equal / 8192)} sequences of 8,192",
            f"{equal:,.0f} tokens of cache equal the weights",
            f"adds {read[1, 2048] / bare - 1:.1%} to the bytes of a step at 2,048 tokens and {read[1, 131072] / bare - 1:.0%} at 131,072".replace("%", " %"),
            f"adds {read[1, 4096] / read[1, 512] - 1:.1%} to the bytes of a step".replace("%", " %"),
            f"takes {read[64, 131072] / read[64, 65536]:.2f} times as long",
            f"{kv * 32768 / weights:.1%} of the weights at 32,768 tokens, and {held / weights:.0%} at 131,072".replace("%", " %"),
            f"from {math.ceil(equal / 64):,} tokens each",
            f"caches are a tenth of the weights at {equal / 10:,.0f} and ten times the weights at {equal / 1e5:.1f} million",
            f"the caches take {64 * 8192 * kv / 1e9:.1f} GB, the weights {weights / 1e9:.1f} GB",
            f"{held / 1e9:.1f} GB, which is exactly {held / 2**30:.0f} GiB", f"one head takes {131072**2 * 2 / 1e9:.1f} GB",
            f"from {math.ceil(math.sqrt(memory / 2)):,} tokens. The 64 heads of a layer together do so from {math.ceil(math.sqrt(memory / 128)):,}",
            f"reads {read[1, 2048] / 1e9:.1f} GB at batch 1, {read[8, 2048] / 1e9:.1f} at 8, {read[64, 2048] / 1e9:.1f} at 64 and {read[128, 2048] / 1e9:.1f} "
            f"at 128",
            f"{bare / read[1, 2048]:.1%} at batch 1, {bare / read[64, 2048]:.0%} at 64 and {bare / read[128, 2048]:.0%} at 128".replace("%", " %")):
        assert sentence in told, sentence
    for gpus, places in ((2, 3), (4, 101), (8, 296)):
        layout = layouts.Layout(tensor=gpus)
        assert serving.Service(catalog.MODELS["llama_3_1_70b"], catalog.GPUS["h100_sxm"].computing_in("bf16"), catalog.ASSUMED, layout).largest_batch(4608) == places
    assert "two H100s hold 3 sequences of 4,608 tokens, four hold 101 and eight 296" in told


def test_every_figure_of_a_machine_in_a_claim_is_what_the_formulas_give():
    told, chips = words_of_claims(), ("h100_sxm", "l40s", "m3_ultra_80c")
    speed = {gpu: 1 / of(phases.decode_step_seconds, "llama_3_1_8b", gpu) for gpu in chips}
    prompt = {gpu: of(phases.prefill_seconds, gpu=gpu, prompt_tokens=2048) for gpu in chips}
    many, watts = 64 / of(phases.decode_step_seconds, "llama_3_1_8b", "l40s", batch=64), {gpu: catalog.GPUS[gpu].power_w for gpu in chips[:2]}
    narrow, mac = BYTES_PER_ELEMENT["int4_g32"], catalog.GPUS["m3_ultra_80c"]
    v3 = catalog.MODELS["deepseek_v3"]
    alone = 1 / of(phases.decode_step_seconds, "deepseek_v3", "m3_ultra_80c", weight_bytes_per_param=narrow)
    for sentence in (
            f"at most {speed['h100_sxm']:.0f} tokens a second from an H100, {speed['l40s']:.0f} from an L40S and {speed['m3_ultra_80c']:.0f} from an M3 Ultra",
            f"take at least {prompt['h100_sxm']:.2f} s on an H100, {prompt['l40s']:.2f} s on an L40S and {prompt['m3_ultra_80c']:.0f} s on an M3 Ultra",
            f"it is {speed['h100_sxm'] / speed['l40s']:.1f} times slower than an H100",
            f"it makes up to {many:,.0f} tokens a second, {many / 64:.0f} for each of them",
            f"A prompt takes {prompt['l40s'] / prompt['h100_sxm']:.1f} times as long as on an H100",
            f"Reading all of 512 GB takes {512e9 / mac.memory_bandwidth:.2f} s",
            f"takes {v3.n_params * narrow / 1e9:.0f} GB, of which a token reads {v3.n_active_params * narrow / 1e9:.0f}: up to {alone:.0f} tokens a second",
            f"its {mac.peak_flops_bf16 / 1e12:.1f} TFLOP/s are the limit",
            f"takes {watts['l40s'] / speed['l40s']:.1f} J for a token, and with 64 users of 1,500 tokens {watts['l40s'] / many:.2f} J",
            f"an L40S of {watts['l40s']} W takes {watts['l40s'] / speed['l40s']:.1f} J at the bandwidth, an H100 of {watts['h100_sxm']} W "
            f"{watts['h100_sxm'] / speed['h100_sxm']:.1f} J"):
        assert sentence in told, sentence
    eight_bits = catalog.MODELS["llama_3_1_405b"].n_params
    assert [gpu for gpu in chips if catalog.GPUS[gpu].memory_bytes > eight_bits] == ["m3_ultra_80c"]


def test_every_figure_of_the_work_of_a_prompt_in_a_claim_is_what_the_ledger_gives():
    told, facts = words_of_claims(), catalog.MODELS["llama_3_1_70b"].facts
    width, layers, heads, tokens = facts["d_model"], facts["n_layers"], facts["n_heads"], 2048
    whole = pass_flops(facts, Pass(tokens=tokens))
    total, squared = sum(whole.values()), sum(pass_flops(facts, Pass(tokens=tokens, square=True)).values())
    small = pass_flops(catalog.MODELS["llama_3_1_8b"].facts, Pass(tokens=1, start=tokens))
    step = pass_flops(facts, Pass(tokens=1, start=tokens))
    cached = of(phases.prefill_flops, prompt_tokens=tokens) + sum(of(phases.decode_flops, context=tokens + i) for i in range(1, 1000))
    again = sum(of(phases.prefill_flops, prompt_tokens=tokens + i) for i in range(1000))
    theirs = {"10SH": 10 * tokens * width, "weights": 25.5 * tokens * width**2, "pairs": 4 * tokens**2 * width, "softmax": 5 * tokens**2 * heads}
    head = 2 * width * facts["vocab_size"]
    printed = layers * sum(theirs.values()) + head
    parts = ("query", "key", "value", "output", "rotate", "scores", "softmax", "weighted_values")
    attention_layer = sum(whole[name] for name in parts) / layers + operations.rms_norm_flops(tokens, width)
    mlp, attention_params, table = (of(formula) for formula in (transformer.mlp_params, transformer.attention_params, transformer.embedding_params))
    shares = [layers * mlp / facts["n_params"], layers * attention_params / facts["n_params"], 2 * table / facts["n_params"]]
    left_out = operations.rms_norm_flops(tokens, width) * layers + operations.rms_norm_flops(1, width) + layers * operations.residual_flops(tokens, width)
    for sentence in (
            f"{squared / 1e12:.2f} TFLOP with every operation and the masked half of attention, as simple code computes it; {total / 1e12:.2f} without that half",
            f"formula gives {printed / 1e12:.2f}, and {(printed - layers * theirs['10SH']) / 1e12:.2f} if its term 10SH is left out",
            f"{total / 1e12:.1f} TFLOP with each causal pair once",
            f"{total / 989e12:.3f} s with each causal pair once, {squared / 989e12:.3f} s with the full square", f"A prompt takes {total / 1e12:.0f} TFLOP",
            f"{total / catalog.GPUS['a100_sxm_80gb'].peak_flops_bf16:.1f} s on the 312",
            f"{whole['scores'] / 257 * 256 / 1e12:.2f} TFLOP for 2,048 tokens and 80 layers, not {theirs['pairs'] * layers / 2 / 1e12:.2f}",
            f"{whole['softmax'] / 1e12:.3f} TFLOP for 80 layers and 2,048 tokens, {whole['softmax'] / total * 100:.2f} % of the pass",
            f"{whole['rotate'] / 1e9:.1f} GFLOP for 2,048 tokens and 80 layers, not {6 * tokens * width * layers / 1e9:.1f}. It is "
            f"{whole['rotate'] / total * 100:.4f} % of the pass",
            f"{whole['scores'] / 257 / 1e12:.3f} TFLOP of causal pairs, {whole['scores'] / 257 / total * 100:.3f} % of the pass",
            f"For 2,048 tokens {attention_layer / 1e9:.0f} GFLOP a layer, where the formula gives "
            f"{(theirs['10SH'] + 4.5 * tokens * width**2 + theirs['pairs'] + theirs['softmax']) / 1e9:.0f}",
            f"The difference is {(6 - 3.375) * tokens * width * layers / 1e9:.1f} GFLOP of the 291 TFLOP",
            f"the LM head takes {tokens * head / 1e12:.1f} TFLOP, {tokens * head / (total + (tokens - 1) * head) * 100:.1f} % of the pass",
            f"{head / 1e9:.2f} GFLOP for Llama 3.3 70B, {head / total * 100:.4f} % of a pass",
            f"{layers * 21 * tokens * width / 1e12:.3f} and {layers * theirs['10SH'] / 1e12:.3f} TFLOP of 291",
            f"All that is left out makes {left_out / 1e9:.1f} GFLOP, {left_out / total * 100:.3f} % of the pass",
            f"takes {cached / 1e12:.0f} TFLOP with a cache and {again / 1e15:.0f} PFLOP without, {again / cached:.0f} times as much. {total / 1e12:.0f} of the "
            f"{cached / 1e12:.0f} TFLOP are prefill",
            f"takes {sum(pass_flops(facts, Pass(tokens=tokens + 1)).values()) / sum(step.values()):,.0f} times less with a cache",
            f"{head / total * 100:.4f} % of the prefill of 2,048 tokens, but {head / sum(step.values()) * 100:.1f} % of the decode step after it, "
            f"and {small['head'] / sum(small.values()) * 100:.1f} % of that of Llama 3.1 8B",
            f"{shares[0] * 100:.1f} % are in MLPs, {shares[1] * 100:.1f} % in attention, {shares[2] * 100:.1f} % in the two tables",
            f"{table:,} for Llama 3.3 70B, {table / facts['n_params'] * 100:.2f} % of its parameters",
            f"{2 * table / facts['n_params'] * 100:.2f} % of the parameters together", f"{mlp / (mlp + attention_params):.0%} of a block is MLP".replace("%", " %"),
            f"{tokens * width * 2 / 1e6:.1f} MB of the {table * 2 / 1e9:.1f} GB of the table",
            f"{(whole['gate'] + whole['up'] + whole['down']) / total:.0%} of the whole pass at 2,048 tokens".replace("%", " %")):
        assert sentence in told, sentence


def test_every_figure_of_a_group_in_a_claim_is_what_the_formulas_give():
    told, weights, h100 = words_of_claims(), of(transformer.weight_bytes), catalog.GPUS["h100_sxm"]
    room = {share: of(capacity.kv_room_bytes, n_gpus=2, memory_utilization=share) for share in (0.9, 0.92, 0.95)}
    bare = of(capacity.kv_room_bytes, n_gpus=2, memory_utilization=1, overhead_bytes=0)
    tokens = {share: of(capacity.tokens_that_fit, n_gpus=2, memory_utilization=share) for share in (0.9, 0.95)}
    groups = [(gpu, n) for gpu in ("h100_sxm", "a100_sxm_80gb") for n in (4, 8)]
    reduce = {(gpu, n): of(collectives.all_reduce_seconds, gpu=gpu, n_gpus=n, message_bytes=16384) for gpu, n in groups}
    library = {(gpu, n): of(collectives.nccl_all_reduce_seconds, gpu=gpu, n_gpus=n, message_bytes=16384, rounds=2) for gpu, n in groups}
    reading = {n: of(phases.weight_reading_seconds, n_gpus=n) for n in (4, 8)}
    share = {(n, late): 160 * (reduce["h100_sxm", n] + late) / (160 * (reduce["h100_sxm", n] + late) + reading[n]) for n in (4, 8) for late in (0, 8e-6)}
    for sentence in (
            f"{weights / 2 / h100.memory_bytes * 100:.1f} %: {weights / 1e9:.1f} GB of the {2 * h100.memory_bytes / 1e9:.1f} GB",
            f"{2 * bare / 1e9:.1f} GB before anything is held back",
            f"have {2 * room[0.9] / 1e9:.1f} GB for caches at 90 %, {2 * room[0.92] / 1e9:.1f} GB at 92 % and {2 * room[0.95] / 1e9:.1f} GB at 95 %",
            f"caches of {tokens[0.9]:,.0f} tokens at 90 % of the memory and {tokens[0.95]:,.0f} at 95 %",
            f"the same two hold {of(capacity.tokens_that_fit, n_gpus=2, weight_bytes_per_param=1):,.0f} tokens at 90 %",
            f"{reduce['h100_sxm', 4] * 1e6:.1f} us for one token's 16 KiB among 4 H100s", f"NCCL, takes {library['h100_sxm', 4] * 1e6:.0f} us",
            f"{reduce['a100_sxm_80gb', 4] * 1e6:.1f} us among 4 A100s and {reduce['a100_sxm_80gb', 8] * 1e6:.1f} us among 8, for the same message with the same "
            f"kernels; NCCL takes {library['a100_sxm_80gb', 4] * 1e6:.0f} and {library['a100_sxm_80gb', 8] * 1e6:.0f} us",
            f"{160 * reduce['h100_sxm', 4] * 1e3:.2f} ms with the fastest kernels and nobody late",
            f"Calls of the library take {160 * library['h100_sxm', 4] * 1e3:.1f} ms", f"{160 * 8e-6 * 1e3:.1f} ms for 160 times 8 us",
            f"takes 4 H100s {reading[4] * 1e3:.1f} ms for a token. All-reduces add {160 * reduce['h100_sxm', 4] * 1e3:.2f} ms, {share[4, 0]:.0%} of the step, "
            f"and {share[4, 8e-6]:.0%} with 8 us of waiting at each. With 8 GPUs they are {share[8, 0]:.0%} and {share[8, 8e-6]:.0%}".replace("%", " %"),
            f"would give {2 * catalog.MODELS['llama_3_1_70b'].n_params * 8192 * 80 * 0.75 / 450e9 / 3600:.0f} hours"):
        assert sentence in told, sentence


def test_every_figure_of_a_bill_or_a_run_in_a_claim_is_in_the_data():
    told = words_of_claims()
    rows = [row for row in files.read_csv("measurements/runs.csv") if row["source"] == "tensoreconomics_experiments" and row["model"] == "llama-3.3-70b"]
    speed = {round(float(row["batch_or_conc"])): float(row["out_tok_s"]) for row in rows if float(row["isl"]) < 3000}
    cost = {batch: 4 * 2.5 / 3600 / rate * 1e6 for batch, rate in speed.items()}
    output, prompt, long = 15e-3, 3e-3, 20 * 3e-3
    dearest = max(price.output_price for history in price_history().values() for price in history if str(price.start) <= "2025-08-31")
    for sentence in (
            f"measured at {speed[1]:.0f} tokens a second for one request and {speed[128]:,.0f} for 128", f"cost ${cost[1]:.2f} and ${cost[128]:.2f}",
            f"cost ${cost[1]:.2f} at batch 1, ${cost[8]:.2f} at 8, ${cost[32]:.2f} at 32, ${cost[64]:.2f} at 64 and ${cost[128]:.2f} at 128",
            f"From batch 128 to 8 the cost rises {cost[8] / cost[128]:.1f} times and to 1 it rises {cost[1] / cost[128]:.0f} times",
            f"{speed[1]:.0f} tokens a second at batch 1, {speed[4]:.0f} at 4 ({speed[4] / speed[1]:.1f} times), {speed[16]:.0f} at 16 "
            f"({speed[16] / speed[1]:.1f} times), {speed[64]:.0f} at 64 ({speed[64] / speed[1]:.1f} times) and {speed[128]:,.0f} at 128 "
            f"({speed[128] / speed[1]:.1f} times)",
            f"made {speed[1]:.1f} tokens a second at batch 1, {speed[8] / 8:.1f} at 8, {speed[32] / 32:.1f} at 32 and {speed[128] / 128:.1f} at 128",
            f"output is {output / (output + prompt):.0%} of the bill: half the reply saves {output / 2 / (output + prompt):.0%}, half the prompt "
            f"{prompt / 2 / (output + prompt):.0%}. With 20,000 tokens in, input is {long / (long + output):.0%}".replace("%", " %"),
            f"makes {1000 * 3600 / 2.5 / 1e6:.2f} million tokens for a dollar, and a million tokens for ${2.5 / 3.6:.2f}",
            f"of gpt-4 cost ${API_PRICES['gpt_4', '2024-01-31'].output_price * 1e6:.0f} in January 2024, and of gpt-5-nano "
            f"${API_PRICES['gpt_5_nano', '2025-08-31'].output_price * 1e6:.2f} in August 2025",
            f"The dearest list price went up meanwhile, to ${dearest * 1e6:.0f}"):
        assert sentence in told, sentence


# --- the page ------------------------------------------------------------------------------------------------

def test_twenty_lessons_are_of_claims_that_exist():
    found = claims.lessons()
    assert len(found) == len({key for key, _ in found}) == 20
    assert {key[:3] for key, _ in found} == {"000", "001", "002", "003", "004"}


def test_a_lesson_of_no_claim_is_refused(monkeypatch):
    monkeypatch.setattr(files, "read_toml", lambda name, read=files.read_toml: {"lesson": [{"claim": "gone", "lesson": "x"}]} if name == "lessons.toml" else read(name))
    with pytest.raises(StatementError, match="names gone"):
        claims.lessons()


@pytest.mark.parametrize("source", files.claim_files())
def test_the_ledger_has_every_claim_and_where_it_is_treated(source):
    page = ledger(source)._repr_html_()
    for claim in CLAIMS:
        assert (f'id="{claim.id}"' in page) == (claim.source == source)
    chapters = {Path(chapter["file"]).name for part in yaml.safe_load((Path(__file__).parents[1] / "_toc.yml").read_text("utf-8"))["parts"] for chapter in part["chapters"]}
    assert {claim.chapter for claim in CLAIMS} <= chapters


def test_the_ledger_is_searched_and_filtered(open_page):
    page = open_page("chapters/claims.html")
    page.wait_for_function("document.documentElement.dataset.ledger === 'ready'")
    shown = lambda: page.locator(".ledger > .claim:not([hidden])")
    assert shown().count() == len(CLAIMS)
    page.get_by_label("Verdict", exact=True).select_option("wrong")
    wrong = [claim for claim in CLAIMS if claim.verdict == "wrong"]
    assert shown().count() == len(wrong) and page.locator(".ledger-count").text_content() == f"{len(wrong)} of {len(CLAIMS)} statements"
    page.get_by_label("Words", exact=True).fill("bus seats")
    assert [one.get_attribute("id") for one in shown().all()] == ["000-bus-50-seats"]
    assert "search=bus+seats" in page.url and "verdict=wrong" in page.url
    again = open_page("chapters/claims.html?source=003&computed=yes")
    again.wait_for_function("document.documentElement.dataset.ledger === 'ready'")
    assert again.locator(".ledger > .claim:not([hidden])").count() == len([claim for claim in CLAIMS if claim.source == "003" and claim.formula])
    again.get_by_label("Words", exact=True).fill("no such words")
    assert again.locator(".ledger-count").text_content().startswith("0 of")
