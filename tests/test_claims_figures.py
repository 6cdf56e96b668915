"""Figures in the words of claims, computed again: what a sentence says beside the digits that it judges comes from the library."""

from math import ceil

import pytest

from llmcost import (attention, attention_work, capacity, claims, collectives, disaggregation, economics, expert_parallelism, moe, parallelism,
                     phases, quantization, recomputed, roofline, served, training, transformer)
from llmcost.catalog import ASSUMED, GPUS, MODELS
from llmcost.faces import at, leaves
from llmcost.layouts import Layout
from llmcost.precision import BYTES_PER_ELEMENT
from llmcost.serving import Service

TOLD = {claim.id: f"{claim.why} {claim.right}" for claim in claims.load()}
BF16 = {"weight_bytes_per_param": 2, "kv_bytes_per_element": 2, "activation_bytes_per_element": 2}
FP8 = {**BF16, "weight_bytes_per_param": 1}


def say(claim_id, *fragments):
    """Each fragment must stand in the words of the claim."""
    for fragment in fragments:
        assert fragment in TOLD[claim_id], f"{claim_id}: we get {fragment!r}"


def known(formula, *records, **given):
    """`formula` on records, the assumptions, and of `given` what it takes."""
    return float(at(formula, *records, ASSUMED, **{name: value for name, value in given.items() if name in leaves(formula)}))


# --- the third document: DeepSeek-V3 on eight cards and on hundreds -----------------------------------------------------

V3, H200, H200_BF16 = MODELS["deepseek_v3"], GPUS["h200_sxm"].computing_in("fp8"), GPUS["h200_sxm"].computing_in("bf16")


def eight(formula, gpu=H200, **given):
    """`formula` for DeepSeek-V3 in FP8 with its cache in BF16, on eight of a GPU."""
    return known(formula, V3, gpu, **{**FP8, "n_gpus": 8, **given})


def between_two(message_bytes):
    """Seconds of a message between two H200s."""
    return known(collectives.point_to_point_seconds, H200, message_bytes=message_bytes)


def test_what_passes_between_eight_cards():
    row, prompts = (eight(parallelism.stream_bytes, pass_tokens=tokens) for tokens in (1, 23_000))
    rounds = eight(parallelism.tensor_all_reduces)
    say("002-decode-moves-rows", f"{row / 1e3:.0f} kB at each of the 7", f"{rounds:.0f} all-reduces, in which each card sends "
        f"{eight(parallelism.tensor_sent_bytes, message_bytes=row) / 1e6:.1f} MB")
    waits = {(batch, skew): eight(parallelism.tensor_seconds, message_bytes=batch * row, arrival_skew_seconds=skew) for batch, skew in ((1, 0), (1, 8e-6), (23, 0))}
    reads = {batch: eight(phases.weight_reading_seconds, batch=batch) for batch in (1, 4, 23, 160)}
    say("002-decode-not-the-link", f"{between_two(row) * 1e6:.0f} us for each step", f"{waits[1, 0] * 1e3:.2f} ms beside {reads[1] * 1e3:.2f} ms",
        f"{waits[1, 8e-6] * 1e3:.1f} ms with 8 us", f"it is {waits[23, 0] * 1e3:.1f} beside {reads[23] * 1e3:.1f} ms")
    computes = {gpu: eight(phases.prefill_seconds, gpu, prompts=23, prompt_tokens=1000) for gpu in (H200, H200_BF16)}
    say("002-prefill-transfer-negligible", f"{between_two(prompts) * 1e3:.1f} ms for each of 7 steps", f"{rounds:.0f} all-reduces of {prompts / 1e9:.3f} GB",
        f"{eight(parallelism.tensor_seconds, message_bytes=prompts, arrival_skew_seconds=0) * 1e3:.0f} ms, beside {computes[H200_BF16] * 1e3:.0f} ms",
        f"{computes[H200] * 1e3:.0f} ms at that of FP8")
    say("002-card-to-card-0.8-ms", f"{between_two(716.8e6) * 1e3:.1f} ms at one byte", f"each has {ceil(100_000 / 320)} tokens, {between_two(313 * 7168) * 1e6:.0f} us")
    say("002-57-for-one", f"{reads[1] * 1e3:.2f} ms on eight H200s", f"{eight(phases.tokens_per_second_per_user, batch=1, context=1000):,.0f} tokens a second",
        *(f"{eight(phases.weight_bytes_read, batch=batch) / 1e9:.0f} {words}" for batch, words in ((4, "GB are read for 4 sequences"), (23, "for 23"), (160, "for 160"))))
    say("002-17.5-ms", f"At batch 23 it is {reads[23] * 1e3:.1f} ms, at 160 {reads[160] * 1e3:.1f}", f"reads {eight(phases.weight_bytes_read, batch=20) / 1e9:.0f} GB on its way, "
        f"{8 * eight(phases.weight_reading_seconds, batch=20) * 1e3:.0f} ms")


def test_caches_and_rooms_of_eight_cards():
    weights = eight(capacity.weight_bytes_per_gpu, n_params=V3.n_params)
    room = eight(capacity.kv_room_bytes)
    taken = room + weights
    say("002-memory-size-limits", f"{weights / 1e9:.1f} GB of weights", f"leave {room / 1e9:.1f} GB")
    per_token = V3.full_elements_per_token * 2
    say("002-kv-0.106-gb", f"{23_000 * 4608 * 2 / 1e9:.3f} GB on the fullest card", f"{23_000 * per_token / 1e9:.2f} GB on all, {per_token:,} bytes for each token")
    say("002-reads-weights-only", f"{eight(parallelism.step_message_bytes, batch=160) / 1e6:.1f} MB",
        *(f"{160 * context * per_token / 1e9:.{digits}f} {words}" for context, digits, words in ((1500, 1, "GB at 1,500"), (4989, 0, "GB at 4,989"))),
        " and ".join(f"{eight(phases.state_reading_seconds, batch=160, context=context) * 1e3:.1f}" for context in (1500, 4989)))
    say("002-bandwidth-limits", f"{(eight(phases.weight_reading_seconds, batch=160) + eight(phases.state_reading_seconds, batch=160, context=1500)) * 1e3:.1f} ms for 160",
        f"{eight(phases.state_reading_seconds, batch=160, context=1500) * 1e3:.1f} of them caches")
    assert taken < 0.97 * H200.memory_bytes
    intensity = known(attention_work.mla_attention_intensity, V3, kv_bytes_per_element=2)
    ridges = [known(roofline.ridge_point, GPUS[gpu].computing_in("bf16")) for gpu in ("h200_sxm", "h20", "h800_sxm")]
    say("002-decode-not-computing", f"MLA does {intensity:.0f} FLOPs", f"more than the {ridges[0]:.0f} at which", f"the {ridges[1]:.0f} of an H20", f"the {ridges[2]:.0f} of an H800")


def test_prefill_on_eight_cards_and_on_32():
    flops = eight(phases.prefill_flops, prompts=23, prompt_tokens=1000)
    say("002-3864-tflop", f"{flops / 8 / 1e12:.0f} TFLOP on each of 8 cards")
    rate = 23 / eight(phases.prefill_seconds, prompts=23, prompt_tokens=1000)
    say("002-near-the-limit", f"{1 / rate * 23:.2f} s of eight H200s at that peak: {rate:.0f} prompts a second, and {0.7 * rate:.0f} at 70 %")
    mi300x = GPUS["mi300x"].computing_in("fp8")
    at_peak = 30 / eight(phases.prefill_seconds, mi300x, prompts=30, prompt_tokens=1000)
    say("002-30-in-a-second", f"take {30 / at_peak:.2f} s for 30 prompts", f"{at_peak:.0f} in a second, and {0.7 * at_peak:.0f} at 70 %")
    say("002-mi300x-one-request", f"{1 / eight(phases.weight_reading_seconds, mi300x, batch=1):,.0f} tokens a second at the most")
    many = 1 / eight(phases.prefill_seconds, prompts=1000, prompt_tokens=1000, n_gpus=32) * 1000
    say("002-bs-800", f"32 H200s take {many:.0f} prompts", f"and {0.7 * many:.0f} at 70 %", f"the limit would be {1979e12 / (1000 * 2e9 * 2):.0f}")
    say("002-batch-50", f"{eight(phases.prefill_seconds, prompts=50, prompt_tokens=1000):.2f} s at the FP8 peak")
    say("002-prefill-2-gb", f"takes {flops / 23 / 1e12:.0f} TFLOP of all cards together, {flops / 23 / 32 / 1e12:.1f} of each")
    speed = {batch: eight(phases.decode_tokens_per_second, mi300x, batch=batch, context=1000) for batch in (1, 32)}
    touched = known(moe.experts_touched, V3, batch=64)
    say("002-proportional-below-32", f"{speed[32] / speed[1]:.1f} times from 1 to 32", f"when {touched:.0f} of 256 experts")
    measured = {load: recomputed.measured("serving_runs", "out_tok_s", row_id=row) for load, row in ((4, "m02746"), (32, "m02758"), (64, "m02752"))}
    say("002-proportional-below-32", f"make {measured[4]:.0f} and {measured[32]:,.0f} tokens a second: {measured[32] / measured[4]:.1f} times")
    say("002-above-32-blocks", f"32 requests make {measured[32]:,.0f} tokens a second, 64 make {measured[64]:,.0f}")
    each = {load: 1 / recomputed.measured("serving_runs", "tpot_seconds", row_id=row) for load, row in ((4, "m02746"), (64, "m02752"))}
    say("002-30-tokens-a-second", f"{each[4]:.0f} tokens a second for each, with 64: {each[64]:.0f}")


def test_a_unit_of_320_cards():
    spread = {"n_gpus": 4, "expert_gpus": 320, "redundant_experts": 64, "expert_bytes_per_param": 1, "weight_bytes_per_param": 1}
    held = known(expert_parallelism.spread_weight_bytes, V3, **spread)
    one_expert = V3.n_expert_params / V3.n_experts
    say("002-2-gb-a-card", f"{held / 1e9:.1f} GB: one expert in each of 58 layers, {one_expert / 1e9:.1f} GB", f"{(V3.n_params - V3.n_expert_params) / 4 / 1e9:.1f} GB")
    read = held - known(transformer.embedding_params, V3) / 4
    say("002-0.4-ms", f"a card reads {read / 1e9:.1f} GB", f"{read / H200.memory_bandwidth * 1e3:.1f} ms at the full bandwidth of an H200 and "
        f"{read / GPUS['h800_sxm'].memory_bandwidth * 1e3:.1f} on an H800")
    exchanges = 58 * sum(recomputed.measured("expert_exchange", "seconds", row_id=f"deepep_ll_{way}_ep256") for way in ("dispatch", "combine"))
    say("002-28.4-ms", f"A step has {2 * 58} exchanges", f"{exchanges * 1e3:.0f} ms for a batch",
        f"{served.spread_pass('exchange', 'deepseek_v3', 'h200_sxm', 4, 320, 64, 100_000, 1500) * 1e3:.0f} ms at 40 GB/s")


def test_a_balance_of_prefill_and_decode():
    ends = known(disaggregation.decode_rate, batch=100_000, output_tokens=1001, step_seconds=0.05)
    measured = 32 * recomputed.measured("expert_parallel_runs", "tokens_per_second_per_gpu", row_id="sglang_h100_prefill_1k")
    say("002-ten-prefill-instances", f"{ends:,.0f} requests a second end and begin, which {ends / 400:.0f} such instances", f"it takes {ends / (measured / 1000):.0f}")
    say("002-bs-800", f"{measured / 1e3:.0f},000 together")
    say("002-adjusted-10000", f"{ends / 10:.0f} requests a second", f"{ends / 10 / (measured / 1000):.1f} by the 231")
    rent = known(economics.hardware_price, gpu_price=120_000 / (8 * 30 * 86_400), n_gpus=352)
    say("002-api-is-rent", f"352 cards rent for {rent:.1f} RMB a second", f"rent is {3.7037 / 3.2 - 1:.0%}".replace("%", " %"))


def test_money_of_eight_cards():
    rent, full = 120_000 / (30 * 86_400), 3872 * 16e-6
    say("002-reasonable-profit", f"{1 - rent / full:.0%}".replace("%", " %"), f"less than {rent / full:.0%} busy".replace("%", " %"),
        f"{562_027 / 87_072:.1f} times the rent", f"would earn {11_489 * 16e-6:.2f} RMB")
    assert round(11_489 * 16e-6 / rent) == 4
    day = {name: recomputed.measured("deepseek_day", name=name) for name in ("day_input_tokens", "day_output_tokens", "mean_nodes", "day_cost_usd", "day_theoretical_revenue_usd",
                                                                               "prefill_tokens_per_second_per_node", "decode_tokens_per_second_per_node")}
    say("002-prompt-1000", f"{day['day_input_tokens'] / day['day_output_tokens']:.1f} input tokens for each output token")
    nodes = [day["day_input_tokens"] / 86_400 / day["prefill_tokens_per_second_per_node"], day["day_output_tokens"] / 86_400 / day["decode_tokens_per_second_per_node"]]
    say("002-fewer-prefill", f"{nodes[0]:.0f} nodes' worth of prefill for {nodes[1]:.0f} of decode")
    say("002-report-cost", f"{day['mean_nodes']} nodes x 8 x 24 h x $2 are ${day['mean_nodes'] * 8 * 24 * 2:,.0f}", f"keep {sum(nodes):.1f} nodes busy",
        f"{1 - day['day_cost_usd'] / day['day_theoretical_revenue_usd']:.0%} of the income".replace("%", " %"))
    say("002-3.2-rmb", f"add {200 * 1000 * recomputed.rmb_price('deepseek_reasoner', '2025-07-15', 'rmb_per_input_token'):.1f} RMB")


# --- the fourth document: training, serving, an experiment ------------------------------------------------------------------

LLAMA, H100 = MODELS["llama_3_1_70b"], GPUS["h100_sxm"].computing_in("bf16")


def test_training_against_inference():
    tokens = known(training.break_even_tokens, multiple=10, training_tokens=15e12, training_utilization=1, serving_utilization=1)
    say("003-ten-times-in-a-year", f"{tokens / 1e12:.0f} trillion, {tokens / (365 * 86_400) / 1e6:.0f} million a second", f"took {1 / recomputed.service_over_training(1):.0f} days",
        f"{recomputed.service_over_training(365):.1f} times in a year", f"it is {10 * 7.0e6 / (365 * 24):,.0f} H100s all year")
    say("003-requests-explode", *(f"{recomputed.measured('inference_share', who='Google', quantity='tokens of all products', period=period) / 1e12:,.{digits}f} trillion"
                                  for period, digits in (("2024-05", 1), ("2025-05", 0), ("2026-05", 0))))
    say("003-changed-in-2026", f"{recomputed.measured('inference_share', who='Gartner', period='2029', quantity='inference share'):.0%} or more in 2029".replace("%", " %"))


def test_the_work_of_the_experiment():
    prompt = known(phases.prefill_flops, LLAMA, prompts=1, prompt_tokens=4096)
    reply = sum(known(phases.decode_flops, LLAMA, batch=1, context=context) for context in range(4096 + 1, 4096 + 512))
    work = 1000 * (prompt + reply)
    least = work / H100.peak_flops
    say("003-experiment-simulated", f"are {work / 1e15:.0f} PFLOP, {prompt / (prompt + reply):.0%} of them".replace("%", " %"), f"{least:.0f} s of one H100",
        "{:.0f}, {:.0f}, {:.0f}, {:.0f}, {:.0f} and {:.0f} %".format(*(100 * least / (gpus * seconds) / (2 if gpus == 2 else 1)
                                                                      for gpus, seconds in ((10, 120), (6, 90), (8, 100), (3, 60), (2, 70), (1, 90)))))
    for name, gpus, peaks in (("trtllm", 6, 1), ("vllm-fp16", 3, 1), ("vllm-fp8", 2, 2), ("vllm-int4", 1, 1)):
        say(f"003-time-{name}", f"At least {least / gpus / peaks:.0f} s")
        say(f"003-throughput-{name}", f"allow {1000 / (least / gpus / peaks):.1f} at most")


def test_groups_and_batches_of_the_experiment():
    group = {"n_gpus": 4, "batch": 1, "context": 4096, **BF16}
    batch = {**group, "batch": 64}
    waits = [known(parallelism.tensor_seconds, LLAMA, H100, n_gpus=4, message_bytes=b * 16_384, arrival_skew_seconds=0) for b in (1, 64)]
    say("003-communication-is-core", f"read weights for {known(phases.weight_reading_seconds, LLAMA, H100, **group) * 1e3:.1f} ms, the cache of 4,096 tokens for "
        f"{known(phases.state_reading_seconds, LLAMA, H100, **group) * 1e3:.1f} ms", f"the caches take {known(phases.state_reading_seconds, LLAMA, H100, **batch) * 1e3:.1f} ms")
    assert waits[1] > waits[0] > 0
    per_token = known(attention.kv_bytes_per_token, LLAMA, n_kv_heads=8, d_head=128, kv_bytes_per_element=2)
    say("003-kv-bottleneck", f"{per_token:,.0f} bytes for each token", f"100 requests of 4,608 tokens take {100 * 4608 * per_token / 1e9:.0f} GB")
    full = {**group, "batch": 128, "context": 2048}
    say("003-fully-utilized", f"compute for {known(phases.decode_computing_seconds, LLAMA, H100, **full) * 1e3:.1f} of the "
        f"{known(phases.decode_step_seconds, LLAMA, H100, **full) * 1e3:.1f} ms")
    one = {"model": "llama_3_1_70b", "gpu": "h100_sxm", "n_gpus": 4, "prompt_tokens": 4096, "output_tokens": 512}
    say("003-batch-is-given", " and ".join(f"{served.batch_under_load(rate=rate, **one):.0f} {words}" for rate, words in ((1, "requests at a time at 1 request a second"), (2, "at 2"))))
    used = [recomputed.measured("kv_memory_use", column, row_id="kwon_before_paging") for column in ("share_low", "share_high")]
    say("003-scheduler-max-tokens", f"used {used[0] * 100:.1f} to {used[1] * 100:.1f} % of their cache")


def test_published_comparisons_of_engines():
    def rate(row):
        return recomputed.measured("engine_benchmarks", row_id=row)

    say("003-engines-throughput-triton", f"{rate('vllm060_70b_sharegpt_tensorrtllm')} requests a second against {rate('vllm060_70b_sharegpt_vllm')} of vLLM")
    say("003-engines-throughput-tgi", f"TGI took {rate('tgi3_long_1_tgi')} s and vLLM {rate('tgi3_long_1_vllm')} s", f"{rate('tgi3_small_1_tgi')} and {rate('tgi3_small_1_vllm')} s for 200")
    tpot = [rate(f"inferencex_llama_3_1_70b_b200_sxm_c64_{engine}") * 1e3 for engine in ("trtllm", "vllm")]
    say("003-engines-latency-trtllm", f"took {tpot[0]:.0f} and {tpot[1]:.0f} ms for a token")
    ours = {name: 1000 / seconds for name, seconds in (("trtllm", 90), ("tgi", 100), ("vllm", 60))}
    gpus = {"trtllm": 6, "tgi": 8, "vllm": 3}
    for name, digits in (("trtllm", 0), ("tgi", 1)):
        say(f"003-engines-throughput-{name}", f"has {ours[name] / ours['vllm']:.0%}".replace("%", " %"), f"{100 * ours[name] / gpus[name] / (ours['vllm'] / gpus['vllm']):.{digits}f} % for each GPU")


def test_formats_in_memory_and_quality():
    say("003-params-in-trillions", f"{LLAMA.n_params:,}", f"{LLAMA.n_params / 1e12:.2f} trillion")
    say("003-experiment-fp8-2-gpus", f"Weights are {LLAMA.n_params / 1e9:.1f} GB")
    median = recomputed.score_lost("fp8", "fp8")
    say("003-fp8-quality", f"{1 - median:.1%}".replace("%", " %"))
    small, packed = MODELS["llama_3_1_8b"], BYTES_PER_ELEMENT["int4_g128"]
    saved = {(model.key, width): 1 - known(quantization.checkpoint_bytes, model, weight_bytes_per_param=width, edge_bytes_per_param=2) / (2 * model.n_params)
             for model in (LLAMA, small) for width in (1, packed)}
    say("003-fp8-memory", f"so {saved[LLAMA.key, 1]:.0%} of Llama 3.1 70B and {saved[small.key, 1]:.0%} of 8B".replace("%", " %"))
    say("003-int4-memory", f"{1 - packed / 2:.1%} with one of 16 bits".replace("%", " %"), f"{saved[LLAMA.key, packed]:.0%} of a checkpoint".replace("%", " %"))


def test_returns_on_an_investment():
    year, rent = 365 * 86_400, known(economics.hardware_price, gpu_price=2.69 / 3600, n_gpus=8)
    for name, share, multiple in (("fp8", 0.5, 5), ("int8", 0.75, 6), ("int4", 0.875, 8)):
        saved = known(quantization.rent_saved, hardware_price=rent, saved_share=share, gpu_price=2.69 / 3600, n_gpus=8)
        say(f"003-roi-{name}", f"${saved * year / multiple:,.0f}")
    assert 0.5 * rent * year / (0.75 * rent * year / 6) == pytest.approx(4) and "returns 1:4" in TOLD["003-roi-int8"]


def test_rent_of_the_experiment():
    """What the times of the rows imply at the price of the parameters, and at the price that a row takes."""
    for name, gpus, seconds, cost in (("trtllm", 6, 90, 6), ("tgi", 8, 100, 8), ("vllm-fp16", 3, 60, 3), ("vllm-fp8", 2, 70, 2.33), ("vllm-int4", 1, 90, 1.5)):
        say(f"003-cost-{name}", f"${30 / 3600 * gpus * seconds:.2f}", f"a GPU cost ${cost / gpus / seconds * 3600:.0f} an hour")
    lone = {"n_gpus": 3, "batch": 1, "prompts": 1, "prompt_tokens": 4096, **BF16}
    alone = 511 * known(phases.weight_reading_seconds, LLAMA, H100, **lone) + known(phases.prefill_seconds, LLAMA, H100, **lone)
    say("003-latency-vllm-fp16", f"takes {alone:.1f} s on three H100s")


# --- the fifth document: phases, caches, training ---------------------------------------------------------------------------

def decode(formula, **given):
    """`formula` for Llama 3.1 70B in BF16 on one H100's bandwidth and peak."""
    return known(formula, LLAMA, H100, **{"n_gpus": 1, **BF16, **given})


def test_intensity_and_the_time_of_a_step():
    say("004-batch-saturates", f"{decode(phases.decode_intensity, batch=1, context=1500):.0f} FLOP per byte at batch 1, {decode(phases.decode_intensity, batch=64, context=1500):.0f} at 64 "
        f"and {decode(phases.decode_intensity, batch=512, context=1500):.0f} at 512",
        f"{decode(phases.decode_intensity, batch=64, context=8192):.0f} at 64 and {decode(phases.decode_intensity, batch=512, context=8192):.0f} at 512")
    step, computing = ({batch: decode(one, batch=batch, context=1500) * 1e3 for batch in (1, 64, 256)} for one in (phases.decode_step_seconds, phases.decode_computing_seconds))
    say("004-bus-not-faster", f"{step[1]:.0f} ms at batch 1, {step[64]:.0f} ms at 64 and {step[256]:.0f} ms at 256")
    say("004-memory-wall", f"computes for {computing[1]:.2f} ms of the {step[1]:.0f} ms", f"computes for {computing[256]:.0f} ms of {step[256]:.0f}")
    say("004-step-is-parallel", f"{computing[1] / step[1]:.2%}".replace("%", " %"))
    rows = known(roofline.critical_rows, H100, inner=4096, columns=11008, weight_bytes_per_param=2, activation_bytes_per_element=2)
    say("004-intensity-rises", f"B = {rows:.0f}", f"{known(roofline.ridge_point, H100):.0f} if the activations")
    say("004-ridge-295", f"in FP8 it is {known(roofline.ridge_point, GPUS['h100_sxm'].computing_in('fp8')):.0f}")
    say("004-intensity-falls-to-one", f"{known(attention_work.attention_intensity, LLAMA, kv_bytes_per_element=2):.0f} for Llama 3.1 70B with GQA and "
        f"{known(attention_work.mla_attention_intensity, V3, kv_bytes_per_element=2):.0f} for DeepSeek-V3")
    say("004-tens-of-gb", *(f"{2 * MODELS[f'llama_3_1_{size}b'].n_params / 1e9:.0f} GB" for size in (8, 70, 405)))


def test_caches_beside_weights():
    per_token = known(attention.kv_bytes_per_token, LLAMA, n_kv_heads=8, d_head=128, kv_bytes_per_element=2)
    weights = decode(phases.weight_bytes_read, batch=1)
    crossing = known(capacity.crossover_tokens, LLAMA, **BF16)
    say("004-latency-grows", f"{per_token:,.0f} bytes")
    say("004-waiting-for-kv", f"{4096 * per_token / (2 * LLAMA.n_params):.2%} of the weights".replace("%", " %"), f"{crossing:,.0f} tokens")
    say("004-writing-an-essay", f"{4096 * per_token / 1e9:.1f} GB and the book beside it {weights / 1e9:.0f} GB")
    many = known(attention.kv_bytes_per_token, LLAMA, n_kv_heads=64, d_head=128, kv_bytes_per_element=2)
    say("004-structure-sets-memory", f"{many / 1e6:.1f} MB for each token in BF16 and not {per_token / 1e6:.2f}")
    query = LLAMA.d_model * LLAMA.n_heads * 128
    layer = known(transformer.block_params, LLAMA, n_kv_heads=8, d_head=128)
    say("004-only-query-projection", f"{query / layer:.1%}".replace("%", " %"))
    sparse = MODELS["deepseek_v3_2"]
    say("004-variants-sparse", f"{sparse.index_bytes_per_token:,.0f} bytes per token beside {2 * sparse.sparse_elements_per_token:,.0f}")


def test_training_in_bytes_and_days():
    states = 16 * LLAMA.n_params
    say("004-four-parts", f"{states / 1e9:,.0f} GB for Llama 3.1 70B, {states / (2 * LLAMA.n_params):.0f} times the {2 * LLAMA.n_params / 1e9:.0f} GB")
    assert 2 * LLAMA.n_params + known(training.gradient_bytes, LLAMA, gradient_bytes_per_param=2) + known(training.optimizer_bytes, LLAMA, optimizer_bytes_per_param=12) == states
    work = known(training.training_flops, LLAMA, training_tokens=15e12)
    day = known(training.serving_flops, LLAMA, served_tokens=100e9 / 0.75)
    say("004-inference-is-main-cost", f"after {work / day:.0f} days", f"{work:.1e}".replace("e+24", "e24"))
    say("004-100-billion-words", f"{6e9 * 1440 / 1e12:.1f} trillion a day, some {6e9 * 1440 / (100e9 / 0.75):.0f} times")
    products = 7 * LLAMA.n_layers + 1
    say("004-one-or-few-products", f"{products} in Llama 3.1 70B")
    assert training.recomputing_flops(training_flops=6, recomputed=1) == pytest.approx(8)


def test_a_loaded_service_of_four():
    service = Service(LLAMA, H100, ASSUMED, Layout(tensor=4))
    operations_at = {rate: service.under_load(rate, 4096, 512) for rate in (1, 2)}
    say("004-latency-vs-throughput", f"from {float(operations_at[1].tpot) * 1e3:.0f} to {float(operations_at[2].tpot) * 1e3:.0f} ms")
    say("004-slow-few-resources", f"take {float(operations_at[1].tpot) * 1e3:.0f} ms for a token; at 2 requests a second {float(operations_at[2].tpot) * 1e3:.0f} ms")
