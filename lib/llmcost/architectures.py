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
    mixture : from the fields to the shapes of its experts, or None for a dense model
    each : shapes that all its softmax layers have without saying so
    model : shapes that the model has without saying so
    tied : whether embedding and LM head share their weights when the config does not say
    """

    layers: Callable[[Fields, Mapping], list[dict]]
    mixture: Callable[[Fields], dict] | None = None
    each: Mapping = field(default_factory=dict)
    model: Mapping = field(default_factory=dict)
    tied: bool = False


HEAD_NORM = {"qk_norm": "head"}
ARCHITECTURES: dict[str, Architecture] = {
    "llama": Architecture(config_layers.all_full),
    "mistral": Architecture(config_layers.windowed),
    "mixtral": Architecture(config_layers.windowed, config_experts.mixtral),
    "phi3": Architecture(config_layers.windowed),
    "qwen2": Architecture(config_layers.windowed_if_used, each={"qkv_bias": True}),
    "qwen2_moe": Architecture(config_layers.windowed_if_used, config_experts.qwen, each={"qkv_bias": True}),
    "qwen3": Architecture(config_layers.windowed_if_used, each=HEAD_NORM),
    "qwen3_moe": Architecture(config_layers.windowed_if_used, config_experts.qwen, each=HEAD_NORM),
    "qwen3_next": Architecture(config_layers.gated_delta, config_experts.qwen, each={**HEAD_NORM, "output_gate": True}),
    "qwen3_5_moe_text": Architecture(config_layers.gated_delta, config_experts.qwen, each={**HEAD_NORM, "output_gate": True}),
    "gemma2": Architecture(config_layers.patterned(2), model={"norms_per_layer": 4}, tied=True),
    "gemma3_text": Architecture(config_layers.patterned(6), each=HEAD_NORM, model={"norms_per_layer": 4}, tied=True),
    "deepseek_v2": Architecture(config_layers.mla, config_experts.deepseek(router_bias=False)),
    "deepseek_v3": Architecture(config_layers.mla, config_experts.deepseek(router_bias=True)),
    "kimi_k2": Architecture(config_layers.mla, config_experts.deepseek(router_bias=True)),
    "deepseek_v32": Architecture(config_layers.mla_indexed, config_experts.deepseek(router_bias=True)),
    "glm_moe_dsa": Architecture(config_layers.mla_indexed, config_experts.deepseek(router_bias=True)),
    "deepseek_v4": Architecture(config_layers.compressed, config_experts.deepseek_v4),
    "kimi_linear": Architecture(config_layers.kimi_delta, config_experts.kimi_linear),
    "gpt_oss": Architecture(config_layers.patterned(2), config_experts.gpt_oss, each={"qkv_bias": True, "output_bias": True, "sinks": True},
                            model={"router_bias": True}),
    "llama4_text": Architecture(config_layers.llama4, config_experts.llama4),
    "minimax_text_01": Architecture(config_layers.lightning, config_experts.minimax),
    "minimax_m2": Architecture(config_layers.all_full, config_experts.minimax, each={"qk_norm": "projection"}),
    "minimax_m3": Architecture(config_layers.sparse_blocks, config_experts.minimax, each=HEAD_NORM),
    "minimax_m3_vl": Architecture(config_layers.sparse_blocks, config_experts.minimax, each=HEAD_NORM),
    "gptj": Architecture(config_layers.all_full, model={"mlp_gated": False, "mlp_bias": True, "norms_per_layer": 1, "norm_bias": True,
                                           "head_bias": True}),
    "falcon": Architecture(config_layers.falcon, model={"mlp_gated": False, "norm_bias": True}, tied=True),
}
