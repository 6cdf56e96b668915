"""The facts: complete, sourced, consistent, and refused when they are not."""

import datetime
import json
import re
import statistics
from decimal import Decimal

import pytest

from llmcost import attention, capacity, catalog, files, phases, shapes
from llmcost.catalog import ASSUMPTIONS, BYTES, GPUS, MODELS, FactError, UnknownName
from llmcost.faces import at
from llmcost.notation import NOTATION
from llmcost.precision import FORMATS
from llmcost.shapes import ShapeError
from llmcost.vision import vision_params
from llmcost.traces import azure_trace

CONFIG = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 8,
          "num_key_value_heads": 4, "intermediate_size": 128, "vocab_size": 100}
TABLE = {"name": "Tiny", "kind": "config", "source": "jiang2023mistral", "where": "here",
         "date": datetime.date(2026, 11, 21), "published_params": "0.1M"}
SHAPES = {"d_model": 64, "n_layers": 2, "n_heads": 8, "d_ff": 128, "vocab_size": 100, "tied_embeddings": False,
          "layers": [{"attention": "full", "n": 2, "n_kv_heads": 4, "d_head": 8}]}


@pytest.fixture
def build(tmp_path, monkeypatch):
    """A model of the catalog from the table above and its config, with changes to the table; None leaves one out."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "tiny.json").write_text(json.dumps(CONFIG))
    (tmp_path / "references.bib").write_text((files.DATA / "references.bib").read_text())
    monkeypatch.setattr(files, "DATA", tmp_path)

    def made(**changes):
        table = {name: value for name, value in {**TABLE, **changes}.items() if value is not None}
        return catalog.model_from("models.toml", "tiny", table)
    return made


def facts(**changes) -> dict:
    return shapes.facts_from("tiny", {name: value for name, value in {**SHAPES, **changes}.items() if value is not None})


# --- published counts -----------------------------------------------------------------------------

def fits(printed: str, n_params: int, cut_off: bool = False) -> bool:
    """Whether a count is what is printed, to the rounding of its digits; or its digits cut off, where the record says so."""
    digits, scale = Decimal(printed[:-1]), {"M": 10**6, "B": 10**9, "T": 10**12}[printed[-1]]
    last = Decimal(1).scaleb(digits.as_tuple().exponent)
    gap = Decimal(n_params) / scale - digits
    return 0 <= gap < last if cut_off else abs(gap) <= last / 2


def config_of(model) -> dict:
    return json.loads((files.DATA / "configs" / f"{model.key}.json").read_text())


COUNTED_TOO = {
    "prediction module": lambda model: shapes.prediction_module_params(model.facts),
    "vision tower": lambda model: vision_params(config_of(model), model.d_model),
    "copy of the embedding": lambda model: model.vocab_size * model.d_model,
}


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.key)
def test_parameters_reproduce_the_published_count(model):
    """Within the rounding of the printed digits; what the publisher counts in besides is named, and its size computed."""
    besides = model.facts.get("published_counts_too", [])
    n_params = model.n_params + sum(COUNTED_TOO[name](model) for name in besides)
    assert fits(model.published_params, n_params), f"{n_params:,} against {model.published_params}"
    if besides:
        assert not fits(model.published_params, model.n_params), "the reason explains nothing"


@pytest.mark.parametrize("model", [model for model in MODELS.values() if "published_active_params" in model.facts],
                         ids=lambda model: model.key)
def test_active_parameters_reproduce_the_published_count(model):
    """Publishers differ in what they leave out; each omission is named in the record, and its size computed."""
    left_out = {"embedding": model.n_lookup_params, "LM head": model.n_head_params}
    names = model.facts.get("published_active_leaves_out", [])
    count = model.n_active_params - sum(left_out[name] for name in names)
    cut_off = model.facts.get("published_active_cut_off", False)
    assert fits(model.published_active_params, count, cut_off), f"{count:,} against {model.published_active_params}"


def shared_module(model) -> int:
    """A prediction module that has no embedding and LM head of its own."""
    return shapes.prediction_module_params(model.facts) - 2 * model.n_head_params


WEIGHT_FILES = {  # totals of the published weight files, and what they hold beside the model
    "llama_3_1_8b": (8_030_261_248,), "llama_3_1_70b": (70_553_706_496,), "llama_3_1_405b": (405_853_388_800,),
    "llama_2_7b": (6_738_417_664, lambda model: 32 * 64), "llama_2_70b": (68_976_653_312, lambda model: 80 * 64),
    "mixtral_8x22b": (140_620_634_112,), "mistral_nemo_12b": (12_247_782_400,), "qwen2_5_7b": (7_615_616_512,),
    "qwen3_coder_480b": (480_154_875_392,), "yi_34b": (34_388_917_248,), "deepseek_v2": (235_741_434_880,),
    "deepseek_v2_lite": (15_706_484_224,), "kimi_linear_48b_a3b": (49_122_681_728,), "gpt_oss_20b": (20_914_757_184,),
    "gpt_oss_120b": (116_829_156_672,), "minimax_text_01": (456_089_655_296,),
    "minimax_m2_5": (228_703_644_928, lambda model: 13_880_064),  # FP8 scales
    "deepseek_v3": (684_531_386_000, COUNTED_TOO["prediction module"], lambda model: 41_540_496),  # and FP8 scales
    "glm_5": (753_864_139_008, shared_module),
    "llama_4_scout": (108_641_793_536, COUNTED_TOO["vision tower"]),
    "llama_4_maverick": (401_583_781_376, COUNTED_TOO["vision tower"]),
    "qwen3_5_397b_a17b": (403_397_928_944, COUNTED_TOO["vision tower"], shared_module),
    "minimax_m3": (427_040_140_160, COUNTED_TOO["vision tower"]),
    "falcon_180b": (179_522_565_120, COUNTED_TOO["copy of the embedding"]),
}


@pytest.mark.parametrize("key", WEIGHT_FILES)
def test_parameters_equal_the_weight_files_to_the_last_one(key):
    total, *besides = WEIGHT_FILES[key]
    assert MODELS[key].n_params + sum(size(MODELS[key]) for size in besides) == total


def test_llama_70b_to_the_last_parameter():
    assert MODELS["llama_3_1_70b"].n_params == 70_553_706_496


def test_deepseek_v3_2_to_the_last_parameter_of_its_weight_files():
    model = MODELS["deepseek_v3_2"]
    assert model.n_params + shapes.prediction_module_params(model.facts) == 685_355_329_792


@pytest.mark.parametrize("gpu", GPUS.values(), ids=lambda gpu: gpu.key)
def test_accelerators_are_within_sane_bounds(gpu):
    assert 30 < gpu.peak_flops_bf16 / gpu.memory_bandwidth < 600, "the ridge point is off: a sparse peak?"
    assert 0.98 < gpu.memory_bytes / gpu.memory_marketing_bytes < 1.08
    assert gpu.computing_in("bf16").peak_flops == gpu.peak_flops_bf16


@pytest.mark.parametrize("key", ASSUMPTIONS)
def test_assumptions_stay_in_the_range_of_the_notation(key):
    assert NOTATION[key].low <= ASSUMPTIONS[key].low <= ASSUMPTIONS[key].high <= NOTATION[key].high


def test_the_engine_s_overhead_is_taken_from_lines_that_do_not_judge_it():
    rows = [row for row in catalog.read_csv("measurements/engine_startup.csv")
            if row["split"] == "calibration" and row["quality"] == "A" and row["engine_version"] == "0.19.0"]
    overheads = [(float(row["non_torch_gib"]) + float(row["activation_gib"])) * 2**30 for row in rows]
    assert ASSUMPTIONS["overhead_bytes"].value == pytest.approx(statistics.median(overheads), rel=0.02)
    assert ASSUMPTIONS["overhead_bytes"].low <= min(overheads) and max(overheads) <= ASSUMPTIONS["overhead_bytes"].high


STARTUP = [row for row in catalog.read_csv("measurements/engine_startup.csv") if row["model"] in MODELS]
MIXED = {"llama_4_scout": "the vision tower is loaded too, whole on each GPU",
         "gpt_oss_20b": "expert matrices are padded for the kernel", "gpt_oss_120b": "expert matrices are padded for the kernel"}
EVERY_LAYER_ALIKE = {"llama_4_scout", "gpt_oss_20b"}  # engines print tokens as if every layer kept them all


@pytest.mark.parametrize("row", [row for row in STARTUP if row["quality"] == "A" and row["weight_format"] == "bf16"
                                 and row["weights_gib"] and row["pp"] == "1" and row["model"] not in MIXED],
                         ids=lambda row: row["row_id"])
def test_weights_as_engines_report_them(row):
    """Start-up lines of vLLM, one GPU's share in GiB; norms and small tables are repeated on each GPU."""
    ours = MODELS[row["model"]].n_params * 2 / int(row["tp"]) / 2**30
    assert float(row["weights_gib"]) * 0.99 <= ours <= float(row["weights_gib"]) * 1.001


@pytest.mark.parametrize("row", [row for row in STARTUP if row["quality"] == "A" and row["pp"] == "1" and row["kv_tokens"]
                                 and row["available_kv_gib"] and "eagle" not in row["row_id"] and "dcp8" not in row["row_id"]
                                 and row["engine"] == "vllm" and "21348" not in row["row_id"]],
                         ids=lambda row: row["row_id"])
def test_tokens_as_engines_print_them(row):
    """Tokens in the room that the same log prints. DeepSeek-V2-Lite and Kimi K2 are MLA. The rows left out
    share the room with a draft model, split it by token, or print a rounded room."""
    element = {"auto": 2, "fp8": 1, "float32": 4}[row["kv_dtype"]]
    model = MODELS[row["model"]]
    growth = capacity.growing_bytes_per_token(model.full_elements_per_token + model.chunked_elements_per_token
                                              + model.sliding_elements_per_token, 0, element, 0)
    if row["model"] not in EVERY_LAYER_ALIKE:
        growth = at(capacity.growing_bytes_per_token, model, kv_bytes_per_element=element)
    ours = at(capacity.tokens_that_fit, model, kv_room_bytes=float(row["available_kv_gib"]) * 2**30, n_gpus=int(row["tp"]),
              growing_bytes_per_token=growth, block_tokens=int(row["block_size"] or 16))
    assert ours == pytest.approx(int(row["kv_tokens"]), rel=1e-3)


@pytest.mark.parametrize("path", [path for path in sorted(files.DATA.glob("*/*.csv")) if path.parent.name not in ("traces", "numerals")],
                         ids=lambda path: path.stem)
def test_every_row_says_where_it_is_from(path):
    """A source of the bibliography or an address, the place in it, and a day or month; names are those of the catalog."""
    keys = set(re.findall(r"^@\w+\{([^,\s]+)", (files.DATA / "references.bib").read_text(), re.MULTILINE))
    for row in catalog.read_csv(str(path.relative_to(files.DATA))):
        assert row["source"] in keys or row.get("url", "").startswith("https://"), row
        assert row.get("where") or row.get("source_ref"), row
        assert re.search(r"20\d\d(-\d\d){0,2}", row.get("date") or row["seen"]), row
        assert row.get("gpu") is None or row["gpu"] in GPUS or path.stem == "engine_startup", row
        assert row.get("quality", "A") in ("A", "B", "primary", "secondary") and row.get("split", "shown") in (
            "judged", "calibration", "shown"), row


def test_a_published_trace_is_as_its_record_says():
    assert {path.stem for path in (files.DATA / "traces").iterdir()} == set(catalog.TRACES)
    for key, record in catalog.TRACES.items():
        requests = azure_trace(catalog.read_trace(key))
        assert len(requests) == record.facts["n_requests"]
        assert max(request.arrival for request in requests) <= record.facts["length_seconds"]


@pytest.mark.parametrize("row", catalog.read_csv("measurements/phases.csv"), ids=lambda row: row["row_id"])
def test_no_measurement_beats_the_roofline(row):
    """The least time of a pass, weights and cache in the formats of the row, is below every measured one."""
    model, peak = MODELS[row["model"]], {"bf16": "bf16", "fp16": "bf16", "fp8": "fp8", "fp4": "fp4"}[row["weight_format"]]
    gpu, width = GPUS[row["gpu"]].computing_in(peak), {"bf16": 2, "fp16": 2, "fp8": 1, "fp4": BYTES["nvfp4"]}[row["weight_format"]]
    users, prompt, reply = (float(row[name] or 1) for name in ("batch", "input_tokens", "output_tokens"))
    lengths = 0.9 if row["kind"] == "concurrency" else 1  # drawn from 0.8 to 1 of what is printed
    state = {"n_gpus": int(row["n_gpus"]), "weight_bytes_per_param": width, "state_bytes_per_element": 4, "queue_seconds": 0,
             "kv_bytes_per_element": 2 if row["kv_format"] in ("bf16", "fp16") else 1, "batch": users, "prompts": users,
             "prompt_tokens": lengths * prompt, "output_tokens": lengths * reply, "context": lengths * (prompt + reply / 2)}
    formula, measured = {"first_token": (phases.prefill_seconds, row["ttft_s"]),
                         "concurrency": (phases.decode_step_seconds, row["tpot_s"]),
                         "static": (phases.request_seconds, row["e2e_s"] or users * reply / float(row["out_tok_s"] or "nan"))}[row["kind"]]
    assert 0.05 * float(measured) < at(formula, model, gpu, state) < float(measured)


@pytest.mark.parametrize("changes, message", [
    ({"source": None}, "has no source"),
    ({"source": "nobody2020"}, "references.bib does not have"),
    ({"where": ""}, "has no where"),
    ({"kind": "rumour"}, "kind is one of"),
    ({"date": "yesterday"}, "a date is a past day"),
    ({"date": datetime.date(2062, 1, 1)}, "a date is a past day"),
    ({"date": datetime.datetime(2026, 1, 1)}, "a date is a past day"),
    ({"name": None}, "has no name"),
    ({"n_layers": 2}, "its shapes stand in data/configs/tiny.json"),
], ids=str)
def test_a_bad_record_is_refused_with_a_reason(build, changes, message):
    with pytest.raises(FactError, match=message):
        build(**changes)


@pytest.mark.parametrize("changes, message", [
    ({"d_model": None}, "has no d_model"),
    ({"n_heads": 0}, "n_heads = 0"),
    ({"n_heads": -8}, "n_heads = -8"),
    ({"n_heads": 8.5}, "n_heads = 8.5"),
    ({"n_heads": True}, "n_heads = True"),
    ({"n_heads": 7}, "must be a multiple"),
    ({"n_heads": 10**12}, "n_heads = 1000000000000"),
    ({"n_layers": 3}, "add up to 2"),
    ({"layers": []}, "has no layers"),
    ({"layers": "all"}, "has no layers"),
    ({"layers": [{"attention": "magic", "n": 2}]}, "it is one of full"),
    ({"layers": [{"attention": ["full"], "n": 2}]}, "it is one of full"),
    ({"layers": [{"attention": "full", "n": 2, "n_kv_heads": 4}]}, "has no d_head"),
    ({"layers": [{"attention": "sliding", "n": 2, "n_kv_heads": 4, "d_head": 8}]}, "has no window"),
    ({"layers": [{"attention": "full", "n": 2, "n_kv_heads": 4, "d_head": 8, "sinks": 3}]}, "sinks = 3"),
    ({"layers": [{"attention": "full", "n": 2, "n_kv_heads": 4, "d_head": 8, "qk_norm": "odd"}]}, "qk_norm = 'odd'"),
    ({"layers": [{"attention": "sliding", "n": 1, "n_kv_heads": 4, "d_head": 8, "window": w} for w in (4, 8)]},
     "different window"),
    ({"tied_embeddings": "yes"}, "must be true or false"),
    ({"n_experts": 4}, "has no n_active_experts"),
    ({"attention_bais": True}, "attention_bais, which no model has"),
    ({"router_bias": 7}, "router_bias = 7"),
    ({"n_experts": 4, "n_active_experts": 2, "d_expert": 8, "n_shared_experts": 0, "n_dense_layers": 5}, "5 dense layers among 2"),
    ({"n_experts": 2, "n_active_experts": 3, "d_expert": 8, "n_shared_experts": 0, "n_dense_layers": 0}, "has 2"),
], ids=str)
def test_impossible_shapes_are_refused_with_a_reason(changes, message):
    with pytest.raises(ShapeError, match=message):
        facts(**changes)


def test_a_good_model_is_taken(build):
    model = build()
    assert model.full_elements_per_token == 2 * 2 * 4 * 8
    assert model.source_of("d_model").where == "here"
    assert model.source_of("n_params") is None, "a computed fact has no source of its own"


def test_one_bad_record_leaves_the_others_usable():
    named = catalog.Named("thing", {"good": 1, "bad": 0}, lambda key, table: 1 // table)
    assert named["good"] == 1 and list(named) == ["good", "bad"]
    with pytest.raises(ZeroDivisionError):
        named["bad"]


def test_a_leaf_may_name_its_own_source_but_not_hide_it(build):
    leaf = {"value": 4096, "kind": "paper", "where": "Table 1"}
    assert build(max_context=leaf).source_of("max_context").where == "Table 1"
    with pytest.raises(FactError, match="kind is one of"):
        build(max_context={**leaf, "kind": "hearsay"})


@pytest.mark.parametrize("changes, message", [({"memory_bytes": None}, "memory_bytes = None"),
                                              ({"memory_bandwidth": 0}, "memory_bandwidth = 0"),
                                              ({"memory_bandwidth": float("nan")}, "memory_bandwidth = nan"),
                                              ({"memory_bytes": float("inf")}, "memory_bytes = inf"),
                                              ({"power_w": True}, "power_w = True"),
                                              ({"peak_flops_bf16": -1}, "peak_flops_bf16 = -1")], ids=str)
def test_a_bad_accelerator_is_refused(changes, message):
    good = {"name": "G", "kind": "datasheet", "source": "jiang2023mistral", "where": "x", "date": datetime.date.today(),
            "memory_bytes": 1e9, "memory_marketing_bytes": 1e9, "memory_bandwidth": 1e12, "link_bandwidth_per_direction": 1e9, "power_w": 1,
            "peak_flops_bf16": 1e12}
    catalog.accelerator_from("accelerators.toml", "g", good)
    with pytest.raises(FactError, match=message):
        catalog.accelerator_from("accelerators.toml", "g", {k: v for k, v in {**good, **changes}.items() if v is not None})


@pytest.mark.parametrize("changes, message", [({"why": None}, "has no why"), ({"value": 9}, "outside its own range"),
                                              ({"value": "much"}, "must have numbers")], ids=str)
def test_a_bad_assumption_is_refused(changes, message):
    good = {"value": 0.9, "low": 0.8, "high": 0.95, "why": "default", "kind": "assumed", "source": "jiang2023mistral",
            "where": "x", "date": datetime.date.today()}
    table = {k: v for k, v in {**good, **changes}.items() if v is not None}
    with pytest.raises(FactError, match=message):
        catalog.assumption_from("assumptions.toml", "memory_utilization", table)


@pytest.mark.parametrize("name, nearest", [("llama-3.1-70b", "llama_3_1_70b"), ("Mistral", "mistral_7b"), ("deepseek", "deepseek_v3")])
def test_an_unknown_model_is_answered_with_the_nearest(name, nearest):
    with pytest.raises(UnknownName, match=f"nearest: .*{nearest}"):
        MODELS[name]


def test_an_unknown_gpu_is_answered_with_what_there_is():
    with pytest.raises(UnknownName, match="h100_sxm"):
        GPUS["H100"]
    with pytest.raises(UnknownName, match="has no peak for 'fp3'"):
        GPUS["h100_sxm"].computing_in("fp3")


def test_a_record_cannot_be_changed():
    with pytest.raises(TypeError):
        MODELS["llama_3_1_8b"].facts["n_layers"] = 1
    with pytest.raises(AttributeError):
        MODELS["llama_3_1_8b"].name = "other"


def test_a_formula_for_full_attention_refuses_a_model_with_a_window():
    with pytest.raises(TypeError, match="kv_cache_bytes needs n_kv_heads, d_head"):
        at(attention.kv_cache_bytes, MODELS["mistral_7b"], batch=1, context=131_072, kv_bytes_per_element=2)


NO_FAST_FP8 = {"tpu_v5p", "tpu_v6e"}  # FP8 runs at the rate of BF16


@pytest.mark.parametrize("key", [key for key in GPUS if "peak_flops_fp8" in GPUS[key].facts])
def test_eight_bits_compute_twice_as_fast_as_sixteen(key):
    """Dense against dense: a peak with sparsity would give four."""
    times = 1 if key in NO_FAST_FP8 else 2
    assert GPUS[key].peak_flops_fp8 / GPUS[key].peak_flops_bf16 == pytest.approx(times, rel=0.03)


@pytest.mark.parametrize("name, bits", [(name, int(re.search(r"\d+", name)[0])) for name in BYTES])
def test_a_format_has_the_bits_in_its_name(name, bits):
    assert FORMATS[name].element_bits == bits
    assert 0 <= BYTES[name] * 8 - bits <= 0.5, "scales cost at most half a bit an element"


def test_block_formats_as_their_specifications_say():
    """MXFP4: a byte for 32 elements. NVFP4: a byte for 16. gpt-oss prints 4.25 bits, DeepSeek one FP32 for 128 x 128."""
    assert BYTES["mxfp4"] * 8 == 4.25 and BYTES["nvfp4"] * 8 == 4.5
    assert BYTES["fp8_block"] == 1 + 4 / 128**2


# --- states ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("key, kv_bytes", [("llama_2_7b", 524_288), ("llama_3_1_8b", 131_072), ("llama_3_1_70b", 327_680),
                                           ("llama_3_1_405b", 516_096), ("deepseek_v3", 70_272), ("qwen2_5_7b", 57_344)])
def test_bytes_per_token_as_published_in_configurations(key, kv_bytes):
    assert MODELS[key].full_elements_per_token * 2 == kv_bytes


def state(key, context, **given):
    return at(attention.state_bytes, MODELS[key], context=context, **{"kv_bytes_per_element": 2, "state_bytes_per_element": 4,
                                                                      **given})


def test_gpt_oss_keeps_128_tokens_in_half_of_its_layers():
    """As the model card says: alternating full and banded layers, 8 KV heads of 64."""
    entry = 2 * 8 * 64 * 2
    assert state("gpt_oss_120b", 10_000) == 18 * entry * 10_000 + 18 * entry * 128


def test_llama_4_keeps_one_chunk_in_three_layers_of_four():
    entry = 2 * 8 * 128 * 2
    assert state("llama_4_scout", 100_000) == 12 * entry * 100_000 + 36 * entry * 8_192


def test_qwen3_5_keeps_a_fixed_state_in_three_layers_of_four():
    """Gated DeltaNet: 64 value heads of 128 x 128 in FP32, and three inputs of the convolution."""
    fixed = 45 * (64 * 128 * 128 * 4 + 3 * (2 * 16 * 128 + 64 * 128) * 2)
    assert state("qwen3_5_397b_a17b", 1000) == fixed + 15 * 2 * 2 * 256 * 2 * 1000


def test_kimi_k3_keeps_latents_in_24_layers_of_93():
    fixed = 69 * (96 * 128 * 128 * 4 + 3 * 3 * 12_288 * 2)
    assert state("kimi_k3", 1000) == fixed + 24 * (512 + 64) * 2 * 1000


def test_deepseek_v4_pro_at_a_million_tokens_as_released():
    """9.62 GiB in BF16: one entry for 4 or for 128 tokens, index keys of 128, a window of 128; compressor states on top."""
    compressor = 31 * 2 * 128 * 512 * 4 + 30 * (2 * 8 * 1024 + 2 * 8 * 256) * 4
    ours = state("deepseek_v4_pro", 2**20, index_bytes_per_token=30 * 128 * 2 / 4) - compressor
    assert ours == 30 * 2**18 * (1024 + 256) + 31 * 2**13 * 1024 + 61 * 128 * 1024
    assert round(ours / 2**30, 2) == 9.62
