"""Any Hugging Face config.json: a model record, or an error that says what is wrong."""

import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmcost import attention, catalog, configs, files
from llmcost.catalog import MODELS, model_from_config
from llmcost.configs import ConfigError
from llmcost.faces import at
from llmcost.shapes import ShapeError

LLAMA = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 8,
         "num_key_value_heads": 4, "intermediate_size": 128, "vocab_size": 100, "torch_dtype": "bfloat16"}
PUBLISHED = {key: json.loads((files.DATA / "configs" / f"{key}.json").read_text()) for key in MODELS}


def test_every_model_of_the_catalog_comes_from_a_config_and_every_config_has_its_model():
    assert {path.stem for path in (files.DATA / "configs").glob("*.json")} == set(MODELS)


def test_a_published_config_gives_the_same_model_as_mapping_and_as_file():
    path = files.DATA / "configs" / "deepseek_v3.json"
    assert dict(model_from_config(path).facts) == dict(model_from_config(PUBLISHED["deepseek_v3"]).facts)


@pytest.mark.parametrize("part", configs.TEXT_PARTS)
def test_the_text_part_of_a_multimodal_config_counts(part):
    nested = {"model_type": "some_vl", "vision_config": {"hidden_size": 999}, part: LLAMA}
    assert model_from_config(nested).n_params == model_from_config(LLAMA).n_params


def test_optional_fields_may_be_missing_or_null():
    without = {name: value for name, value in LLAMA.items() if name not in ("num_key_value_heads", "torch_dtype")}
    model = model_from_config({**without, "head_dim": None, "sliding_window": None})
    assert model.n_kv_heads == 8 and model.d_head == 8 and model.checkpoint_dtype == "bf16"


@pytest.mark.parametrize("changes, message", [
    ({"model_type": "mamba9"}, "model_type = 'mamba9', which the book does not know; it knows llama"),
    ({"model_type": "qwen3moe"}, "nearest: qwen3_moe"),
    ({"model_type": None}, "model_type = None"),
    ({"hidden_size": None}, "has no hidden_size or n_embd; a llama model needs it"),
    ({"num_hidden_layers": 0}, "num_hidden_layers = 0; it must be a whole number"),
    ({"num_hidden_layers": 10**8}, "no decoder has more than 10,000"),
    ({"num_attention_heads": 0}, "num_attention_heads = 0"),
    ({"num_attention_heads": "8"}, "num_attention_heads = '8'"),
    ({"num_key_value_heads": 3}, "8 attention heads for 3 key-value heads"),
    ({"hidden_size": 65}, "hidden_size 65 for 8 heads and no head_dim"),
    ({"vocab_size": 1e5}, "vocab_size = 100000.0"),
    ({"tie_word_embeddings": "no"}, "must be true or false"),
    ({"model_type": "gpt_oss", "layer_types": ["full_attention"]}, "it needs one entry for each of 2 layers"),
    ({"model_type": "gpt_oss", "layer_types": ["full_attention", "odd"]}, "a layer of type 'odd'"),
    ({"model_type": "gpt_oss", "layer_types": ["sliding_attention"] * 2}, "has no sliding_window"),
    ({"model_type": "mixtral"}, "has no num_local_experts"),
    ({"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 5}, "uses 5 experts per token but has 4"),
    ({"model_type": "deepseek_v3"}, "has no kv_lora_rank"),
    ({"model_type": "kimi_linear"}, "linear_attn_config = None"),
    ({"model_type": "falcon"}, "new_decoder_architecture is not true"),
    ({"torch_dtype": "float7"}, "torch_dtype = 'float7', which the book does not know; it knows bfloat16"),
    ({"quantization_config": {"quant_method": "magic"}}, "quant_method = 'magic'"),
    ({"quantization_config": 4}, "quantization_config = 4; there must be an object.*pass weight_format=, one of fp32"),
    ({"quantization_config": {"quant_method": "gptq", "bits": 3, "group_size": 128}}, "has 3 bits in groups of 128"),
], ids=str)
def test_a_bad_config_is_refused_with_a_reason(changes, message):
    fields = {name: value for name, value in {**LLAMA, **changes}.items() if value is not None}
    with pytest.raises((ConfigError, ShapeError), match=message):
        model_from_config(fields)


@pytest.mark.parametrize("text, message", [("{", "is not JSON"), ("[]", "holds list"), ("7", "holds int")])
def test_a_file_that_is_no_config_is_refused(tmp_path, text, message):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        model_from_config(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        model_from_config(tmp_path / "nothing.json")


@pytest.mark.parametrize("scheme, formats", [
    (None, ("bf16", "bf16")),
    ({"quant_method": "fp8"}, ("fp8", "fp8")),
    ({"quant_method": "fp8", "weight_block_size": [128, 128]}, ("fp8_block", "fp8_block")),
    ({"quant_method": "mxfp4"}, ("bf16", "mxfp4")),
    ({"quant_method": "gptq", "bits": 4, "group_size": 128}, ("int4_g128", "int4_g128")),
    ({"quant_method": "awq", "bits": 8}, ("int8", "int8")),
    ({"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"num_bits": 8, "type": "float"}}}},
     ("fp8", "fp8")),
    ({"quant_method": "compressed-tensors", "ignore": ["re:.*self_attn.*"],
      "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "int", "group_size": 32}}}}, ("bf16", "int4_g32")),
], ids=str)
def test_the_formats_of_the_weights(scheme, formats):
    assert configs.weight_formats({**LLAMA, "quantization_config": scheme}) == formats


WINDOWS = {"use_sliding_window": True, "sliding_window": 16}


@pytest.mark.parametrize("changes, kinds", [
    ({}, {"full": 2}),
    ({"model_type": "mistral", "sliding_window": 16}, {"sliding": 2}),
    ({"model_type": "mistral", "sliding_window": None}, {"full": 2}),
    ({"model_type": "mistral"}, {"sliding": 2}),  # the usual window
    ({"model_type": "qwen2", **WINDOWS, "use_sliding_window": False}, {"full": 2}),
    ({"model_type": "qwen2", **WINDOWS, "max_window_layers": 1}, {"full": 1, "sliding": 1}),
    ({"model_type": "qwen3", **WINDOWS, "layer_types": ["sliding_attention", "full_attention"], "max_window_layers": 2},
     {"full": 1, "sliding": 1}),
    ({"model_type": "gemma2", "sliding_window": 16}, {"sliding": 1, "full": 1}),
    ({"model_type": "gemma3_text", "sliding_window": 16, "sliding_window_pattern": 2}, {"sliding": 1, "full": 1}),
    ({"model_type": "llama4_text", "attention_chunk_size": 16, "num_local_experts": 4, "num_experts_per_tok": 1,
      "no_rope_layer_interval": 2}, {"chunked": 1, "full": 1}),
], ids=str)
def test_which_layers_a_config_means(changes, kinds):
    layers = configs.shapes_from_config({**LLAMA, **changes})["layers"]
    assert {layer["attention"]: layer["n"] for layer in layers} == kinds


@pytest.mark.parametrize("changes, more", [
    ({"attention_bias": True}, 2 * (8 * (8 + 2 * 4) + 64)),  # queries, keys, values of 8, and the output
    ({"mlp_bias": True}, 2 * (2 * 128 + 64)),
    ({"model_type": "qwen2"}, 2 * 8 * (8 + 2 * 4)),
    ({"model_type": "qwen3"}, 2 * 2 * 8),
    ({"model_type": "gemma2", "sliding_window": 16, "tie_word_embeddings": False}, 2 * 2 * 64),
    ({"tie_word_embeddings": True}, -64 * 100),
], ids=str)
def test_what_an_architecture_adds_without_saying_so(changes, more):
    assert model_from_config({**LLAMA, **changes}).n_params - model_from_config(LLAMA).n_params == more


def test_gemma_3_as_released_leaves_out_what_is_usual():
    """The 12B release states neither the vocabulary nor the head width."""
    released = {"model_type": "gemma3", "text_config": {
        "model_type": "gemma3_text", "hidden_size": 3840, "intermediate_size": 15_360, "num_attention_heads": 16,
        "num_hidden_layers": 48, "num_key_value_heads": 8, "sliding_window": 1024}}
    model = model_from_config(released)
    assert model.vocab_size == 262_208 and {layer["d_head"] for layer in model.layers} == {256}
    assert [(layer["attention"], layer["n"]) for layer in model.layers] == [("sliding", 40), ("full", 8)]


@pytest.mark.parametrize("changes", [
    {"sliding_window": 16}, {"layer_types": ["full_attention", "sliding_attention"]}, {"num_kv_shared_layers": 1},
    {"model_type": "mistral", "sliding_window": 16, "attention_bias": True}, {"num_attention_heads_per_layer": [8, 4]},
    {"model_type": "qwen2_moe", **WINDOWS}, {"attention_output_gate": True}, {"block_configs": [{}]}, {"v_head_dim": 4},
    {"use_qk_norm": True},
], ids=str)
def test_a_field_that_would_change_the_shapes_is_refused_where_it_is_not_read(changes):
    with pytest.raises(ConfigError, match="which the book does not read for|has no num_experts"):
        model_from_config({**LLAMA, **changes})


def test_norms_that_an_architecture_has_cannot_be_turned_off():
    with pytest.raises(ConfigError, match="turns off use_qk_norm"):
        model_from_config({**LLAMA, "model_type": "qwen3", "use_qk_norm": False})


def test_glm_with_shared_indexers_is_refused():
    with pytest.raises(ConfigError, match="index_topk_freq = 4, which changes the shapes"):
        model_from_config({**PUBLISHED["glm_5"], "index_topk_freq": 4})


def test_a_quantization_that_the_book_cannot_read_may_be_given_by_hand():
    config = {**LLAMA, "quantization_config": {"quant_method": "modelopt"}}
    assert model_from_config(config, weight_format="nvfp4").checkpoint_dtype == "nvfp4"


# --- hostile configs ---------------------------------------------------------------------------------

HOSTILE = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.integers(-10**12, 10**12), st.sampled_from([2**63, 10**400]),
                    st.floats(), st.text(max_size=8), st.lists(st.one_of(st.none(), st.integers(-2, 200), st.text(max_size=4)), max_size=5),
                    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2))


def leaves(config: dict, path=()) -> list[tuple]:
    """Paths of every field of a config, those of nested objects too."""
    found = []
    for name, value in config.items():
        found += [(*path, name)] + (leaves(value, (*path, name)) if isinstance(value, dict) else [])
    return found


def changed(config: dict, path: tuple, value) -> dict:
    name, *rest = path
    if rest and isinstance(config.get(name), dict):
        return {**config, name: changed(config[name], tuple(rest), value)}
    return {**config, name: value}


@st.composite
def broken_configs(draw):
    """A published config with one to four fields replaced by something hostile."""
    config = PUBLISHED[draw(st.sampled_from(sorted(PUBLISHED)))]
    for path in draw(st.lists(st.sampled_from(leaves(config)), min_size=1, max_size=4)):
        config = changed(config, path, draw(HOSTILE))
    return config


@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(broken_configs())
def test_a_hostile_config_gives_a_model_or_a_clear_message(config):
    try:
        model = model_from_config(config)
    except (ConfigError, ShapeError) as error:
        assert str(error).startswith(("config.json", "a config is")) and len(str(error)) > 20
        return
    assert 0 < model.n_active_params <= model.n_params
    short, long = (at(attention.state_bytes, model, context=context, kv_bytes_per_element=2, state_bytes_per_element=4)
                   for context in (1, 10**6))
    assert math.isfinite(long) and 0 < short <= long
