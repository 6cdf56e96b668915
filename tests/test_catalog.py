"""The facts: complete, sourced, consistent, and refused when they are not."""

import datetime
import re
import statistics
from decimal import Decimal

import pytest

from llmcost import attention, catalog, transformer
from llmcost.catalog import ASSUMPTIONS, BYTES, GPUS, MODELS, FactError, UnknownName
from llmcost.faces import at
from llmcost.notation import NOTATION

GOOD = {"name": "Tiny", "kind": "config", "source": "jiang2023mistral", "where": "here", "date": datetime.date(2026, 11, 21),
        "d_model": 64, "n_layers": 2, "n_heads": 8, "d_ff": 128, "vocab_size": 100, "tied_embeddings": False,
        "layers": [{"attention": "full", "n": 2, "n_kv_heads": 4, "d_head": 8}]}


def tiny(**changes) -> dict:
    table = {**GOOD, **changes}
    return {name: value for name, value in table.items() if value is not None}


def build(**changes):
    return catalog.model_from("models.toml", "tiny", tiny(**changes))


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.key)
def test_parameters_reproduce_the_published_count(model):
    """Within the rounding of the printed digits; a module that the publisher counts in and we do not is added."""
    printed = model.published_params
    n_params = model.n_params
    if "published_prediction_modules" in model.facts:
        n_params += model.published_prediction_modules * transformer.prediction_module_params(model)
    scale = {"M": 10**6, "B": 10**9}[printed[-1]]
    digits = Decimal(printed[:-1])
    half = Decimal(1).scaleb(digits.as_tuple().exponent) / 2
    assert abs(Decimal(n_params) / scale - digits) <= half, f"{n_params:,} against {printed}"


def test_llama_70b_to_the_last_parameter():
    assert MODELS["llama_3_1_70b"].n_params == 70_553_706_496


def test_deepseek_v3_2_to_the_last_parameter_of_its_weight_files():
    model = MODELS["deepseek_v3_2"]
    assert model.n_params + transformer.prediction_module_params(model) == 685_355_329_792


@pytest.mark.parametrize("gpu", GPUS.values(), ids=lambda gpu: gpu.key)
def test_accelerators_are_within_sane_bounds(gpu):
    assert 50 < gpu.peak_flops_bf16 / gpu.memory_bandwidth < 1000, "the ridge point is off: a sparse peak?"
    assert 0.9 < gpu.memory_bytes / gpu.memory_marketing_bytes < 1.08
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


def test_every_measured_row_says_where_it_is_from():
    for row in catalog.read_csv("measurements/engine_startup.csv"):
        assert row["source"] and row["source_ref"] and row["url"].startswith("https://") and row["quality"] in "AB"
        assert row["split"] in ("judged", "calibration")
        datetime.date.fromisoformat(row["date"])


@pytest.mark.parametrize("changes, message", [
    ({"source": None}, "has no source"),
    ({"source": "nobody2020"}, "references.bib does not have"),
    ({"where": ""}, "has no where"),
    ({"kind": "rumour"}, "kind is one of"),
    ({"date": "yesterday"}, "a date is a past day"),
    ({"name": None}, "has no name"),
    ({"d_model": None}, "has no d_model"),
    ({"n_heads": 0}, "n_heads = 0"),
    ({"n_heads": -8}, "n_heads = -8"),
    ({"n_heads": 8.5}, "n_heads = 8.5"),
    ({"n_heads": True}, "n_heads = True"),
    ({"n_heads": 7}, "must be a multiple"),
    ({"n_layers": 3}, "add up to 2"),
    ({"layers": []}, "has no layers"),
    ({"layers": [{"attention": "magic", "n": 2}]}, "it is one of full"),
    ({"layers": [{"attention": "full", "n": 2, "n_kv_heads": 4}]}, "has no d_head"),
    ({"layers": [{"attention": "sliding", "n": 2, "n_kv_heads": 4, "d_head": 8}]}, "has no window"),
    ({"tied_embeddings": "yes"}, "must be true or false"),
    ({"n_experts": 4}, "has no n_active_experts"),
    ({"attention_bais": True}, "attention_bais, which no model has"),
    ({"attention_bias": "yes"}, "attention_bias = 'yes'"),
    ({"router_bias": 7}, "router_bias = 7"),
    ({"layers": "all"}, "has no layers"),
    ({"layers": [{"attention": ["full"], "n": 2}]}, "it is one of full"),
    ({"date": datetime.date(2062, 1, 1)}, "a date is a past day"),
    ({"date": datetime.datetime(2026, 1, 1)}, "a date is a past day"),
    ({"n_experts": 4, "n_active_experts": 2, "d_expert": 8, "n_shared_experts": 0, "n_dense_layers": 5}, "5 dense layers among 2"),
    ({"n_experts": 2, "n_active_experts": 3, "d_expert": 8, "n_shared_experts": 0, "n_dense_layers": 0}, "has 2"),
], ids=str)
def test_a_bad_model_is_refused_with_a_reason(changes, message):
    with pytest.raises(FactError, match=message):
        build(**changes)


def test_a_good_model_is_taken():
    model = build()
    assert model.full_elements_per_token == 2 * 2 * 4 * 8
    assert model.source_of("d_model").where == "here"
    assert model.source_of("n_params") is None, "a computed fact has no source of its own"


def test_a_leaf_may_name_its_own_source_but_not_hide_it():
    leaf = {"value": 100, "kind": "paper", "where": "Table 1"}
    assert build(vocab_size=leaf).source_of("vocab_size").where == "Table 1"
    with pytest.raises(FactError, match="kind is one of"):
        build(vocab_size={**leaf, "kind": "hearsay"})


@pytest.mark.parametrize("changes, message", [({"memory_bytes": None}, "memory_bytes = None"),
                                              ({"memory_bandwidth": 0}, "memory_bandwidth = 0"),
                                              ({"memory_bandwidth": float("nan")}, "memory_bandwidth = nan"),
                                              ({"memory_bytes": float("inf")}, "memory_bytes = inf"),
                                              ({"power_w": True}, "power_w = True"),
                                              ({"peak_flops_bf16": -1}, "peak_flops_bf16 = -1")], ids=str)
def test_a_bad_accelerator_is_refused(changes, message):
    good = {"name": "G", "kind": "datasheet", "source": "jiang2023mistral", "where": "x", "date": datetime.date.today(),
            "memory_bytes": 1e9, "memory_bandwidth": 1e12, "link_bandwidth_per_direction": 1e9, "power_w": 1,
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


@pytest.mark.parametrize("key", [key for key in GPUS if "peak_flops_fp8" in GPUS[key].facts])
def test_eight_bits_compute_twice_as_fast_as_sixteen(key):
    """Dense against dense: a peak with sparsity would give four."""
    assert GPUS[key].peak_flops_fp8 / GPUS[key].peak_flops_bf16 == pytest.approx(2, rel=0.03)


@pytest.mark.parametrize("name, bits", [(name, int(re.search(r"\d+", name)[0])) for name in BYTES])
def test_a_format_has_the_bits_in_its_name(name, bits):
    assert BYTES[name] * 8 == bits


@pytest.mark.parametrize("key, kv_bytes", [("llama_2_7b", 524_288), ("llama_3_1_8b", 131_072), ("llama_3_1_70b", 327_680),
                                           ("llama_3_1_405b", 516_096), ("deepseek_v3", 70_272), ("qwen2_5_7b", 57_344)])
def test_bytes_per_token_as_published_in_configurations(key, kv_bytes):
    assert MODELS[key].full_elements_per_token * 2 == kv_bytes
