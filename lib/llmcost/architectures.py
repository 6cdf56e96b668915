"""What a `model_type` means: one row for each architecture that the book knows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from . import config_experts, config_layers
from .config_fields import Fields


@dataclass(frozen=True)
class Architecture:
    """What a `model_type` means.

    Attributes
    ----------
    layers : from the fields to a list with the attention of each layer
    mlp : from the fields to the shapes of its MLPs or experts
    each : shapes that all its softmax layers have without saying so
    model : shapes that the model has without saying so
    usual : fields with the value that holds where the config leaves them out
    """

    layers: Callable[[Fields, Mapping], list[dict]]
    mlp: Callable[[Fields], dict] = config_experts.dense
    each: Mapping = field(default_factory=dict)
    model: Mapping = field(default_factory=dict)
    usual: Mapping = field(default_factory=dict)


def _with_biases(rule, *more, **named) -> Architecture:
    return Architecture(config_layers.with_biases(rule), *more, **named)


L, E = config_layers, config_experts
HEAD_NORM = {"qk_norm": "head"}
TIED = {"tie_word_embeddings": True}
GEMMA3 = {**TIED, "vocab_size": 262_208, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256,
          "sliding_window": 4096}
ARCHITECTURES: dict[str, Architecture] = {
    "llama": _with_biases(L.all_full),
    "mistral": Architecture(L.windowed, usual={"num_key_value_heads": 8, "sliding_window": 4096}),
    "mixtral": Architecture(L.windowed, E.mixtral, usual={"num_key_value_heads": 8}),
    "phi3": Architecture(L.windowed),
    "qwen2": Architecture(L.windowed_if_used, each={"qkv_bias": True}),
    "qwen2_moe": Architecture(L.full_unless_typed, E.qwen, each={"qkv_bias": True}),
    "qwen3": _with_biases(L.windowed_if_used, each=HEAD_NORM),
    "qwen3_moe": _with_biases(L.full_unless_typed, E.qwen, each=HEAD_NORM),
    "qwen3_next": _with_biases(L.gated_delta, E.qwen, each=HEAD_NORM),
    "qwen3_5_moe_text": _with_biases(L.gated_delta, E.qwen, each=HEAD_NORM),
    "gemma2": _with_biases(L.patterned(2), model={"norms_per_layer": 4}, usual=TIED),
    "gemma3_text": _with_biases(L.patterned(6), each=HEAD_NORM, model={"norms_per_layer": 4}, usual=GEMMA3),
    "deepseek_v2": Architecture(L.mla, E.deepseek(router_bias=False)),
    "deepseek_v3": Architecture(L.mla, E.deepseek(router_bias=True)),
    "kimi_k2": Architecture(L.mla, E.deepseek(router_bias=True)),
    "deepseek_v32": Architecture(L.mla_indexed, E.deepseek(router_bias=True)),
    "glm_moe_dsa": Architecture(L.mla_indexed, E.deepseek(router_bias=True)),
    "deepseek_v4": Architecture(L.compressed, E.deepseek_v4),
    "kimi_linear": Architecture(L.kimi_delta, E.kimi_linear),
    "gpt_oss": _with_biases(L.patterned(2), E.gpt_oss, each={"sinks": True}, model={"router_bias": True},
                            usual={"attention_bias": True}),
    "llama4_text": _with_biases(L.llama4, E.llama4),
    "minimax_text_01": Architecture(L.lightning, E.minimax),
    "minimax_m2": Architecture(L.minimax_m2, E.minimax, each={"qk_norm": "projection"}),
    "minimax_m3": Architecture(L.sparse_blocks, E.minimax, each=HEAD_NORM),
    "minimax_m3_vl": Architecture(L.sparse_blocks, E.minimax, each=HEAD_NORM),
    "gptj": Architecture(L.all_full, E.four_times_wide,
                         model={"mlp_gated": False, "mlp_bias": True, "norms_per_layer": 1, "norm_bias": True, "head_bias": True}),
    "falcon": Architecture(L.falcon, E.four_times_wide, model={"mlp_gated": False, "norm_bias": True}, usual=TIED),
}

NEUTRAL: dict[str, tuple] = {
    "attention_bias": (False,), "attention_out_bias": (False,), "mlp_bias": (False,), "bias": (False,),
    "sliding_window": (None,), "use_sliding_window": (False,), "layer_types": (), "attn_type_list": (),
    "moe_layers": (), "mlp_layer_types": (), "moe_layer_freq": (1,), "block_configs": (),
    "index_topk_freq": (1,), "index_topk_pattern": (), "indexer_types": (), "attention_output_gate": (False,),
    "attn_output_gate": (False,), "mla_use_output_gate": (False,), "use_qk_norm": (False,), "v_head_dim": (), "n_shared_experts": (0,),
    "num_kv_shared_layers": (0,), "num_attention_heads_per_layer": (), "num_ln_in_parallel_attn": (2,),
    "hidden_size_per_layer_input": (0,), "attention_k_eq_v": (False,), "global_head_dim": (), "ssm_cfg": (), "mamba_d_state": (),
}
"""Fields that change the shapes of some model, each with the values that change nothing.

A field of these that an architecture does not read may have no other value: it would be read wrongly in silence.
"""
