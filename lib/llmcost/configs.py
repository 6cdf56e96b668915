"""A Hugging Face `config.json` becomes the shapes of a model, or an error that says what is wrong with it."""

from collections.abc import Mapping

from .architectures import ARCHITECTURES
from .config_experts import mlp_width
from .config_fields import ConfigError, Fields
from .config_layers import heads

TEXT_PARTS = ("text_config", "language_config", "llm_config")


def text_part(config: Mapping) -> Fields:
    """The fields of the language model of `config`: of a multimodal config, the part nested in it."""
    if not isinstance(config, Mapping):
        raise ConfigError(f"a config is an object with fields such as hidden_size; this is {type(config).__name__}")
    nested = [name for name in TEXT_PARTS if isinstance(config.get(name), Mapping)]
    if nested:
        inner = {**config[nested[0]]}
        inner.setdefault("model_type", config.get("model_type"))
        inner.setdefault("tie_word_embeddings", config.get("tie_word_embeddings"))
        return Fields(inner, f"config.json, {nested[0]}")
    return Fields(config)


def shapes_from_config(config: Mapping) -> dict:
    """The shapes of the model that `config` describes, as `llmcost.shapes` takes them.

    Raises `ConfigError` for an architecture that the book does not know, and for a field that is missing,
    impossible or in contradiction with another.
    """
    fields = text_part(config)
    architecture = ARCHITECTURES[fields.word("model_type", sorted(ARCHITECTURES))]
    layers = architecture.layers(fields, architecture.each)
    shapes = {"d_model": fields.whole("hidden_size", "n_embd"), "n_layers": len(layers), "n_heads": heads(fields),
              "vocab_size": fields.whole("vocab_size"),
              "tied_embeddings": fields.flag("tie_word_embeddings", architecture.tied), **architecture.model}
    shapes |= architecture.mixture(fields) if architecture.mixture else {"d_ff": mlp_width(fields)}
    if shapes.get("n_experts") and shapes["n_dense_layers"] > shapes["n_layers"]:
        raise ConfigError(f"{fields.place} has {shapes['n_dense_layers']} dense layers among {shapes['n_layers']}")
    return {**shapes, "layers": _grouped(layers)}


def max_context(config: Mapping) -> int | None:
    """The longest context that `config` states, if it does."""
    fields = text_part(config)
    return fields.whole("max_position_embeddings", "n_positions", usual=None)


STORED = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}


def weight_formats(config: Mapping) -> tuple[str, str]:
    """The formats of the weights: of most matrices, and of the routed experts; names as in `llmcost.precision`.

    Raises `ConfigError` for a quantization that the book does not know.
    """
    fields = text_part(config)
    plain = STORED[fields.word("torch_dtype" if fields.has("torch_dtype") else "dtype", STORED, usual="bfloat16")]
    scheme = fields if fields.has("quantization_config") else Fields(config)
    if not scheme.has("quantization_config"):
        return plain, plain
    scheme = scheme.within("quantization_config")
    method = scheme.word("quant_method", ("fp8", "mxfp4", "gptq", "awq", "compressed-tensors"))
    if method == "fp8":
        form = "fp8_block" if scheme.has("weight_block_size") else "fp8"
        return form, "mxfp4" if fields.get("expert_dtype") == "fp4" else form
    if method == "mxfp4":
        return plain, "mxfp4"
    if method == "compressed-tensors":
        return plain, _packed(scheme)
    form = _integer(scheme, scheme.whole("bits"), scheme.whole("group_size", usual=128, least=-1))
    return form, form


def _packed(scheme: Fields) -> str:
    groups = scheme.within("config_groups")
    weights = groups.within("group_0").within("weights")
    bits, group = weights.whole("num_bits"), weights.whole("group_size", usual=0, least=0)
    if weights.word("type", ("float", "int")) == "int":
        return _integer(weights, bits, group)
    form = {(8, 0): "fp8", (8, 32): "mxfp8", (4, 32): "mxfp4", (4, 16): "nvfp4"}.get((bits, group))
    if form is None:
        raise ConfigError(f"{weights.place} has {bits}-bit floats in groups of {group}, which the book does not know; "
                          f"choose the format of the weights by hand")
    return form


def _integer(scheme: Fields, bits: int, group: int) -> str:
    form = "int8" if bits == 8 else {(4, 128): "int4_g128", (4, 32): "int4_g32"}.get((bits, group))
    if form is None:
        raise ConfigError(f"{scheme.place} has {bits} bits in groups of {group}; the book knows 8 bits, and 4 bits in "
                          f"groups of 32 or 128. Choose the format of the weights by hand")
    return form


def _grouped(layers: list[dict]) -> list[dict]:
    """Equal layers together, in the order of the first of each."""
    groups: list[dict] = []
    for layer in layers:
        for group in groups:
            if {**group, "n": 0} == {**layer, "n": 0}:
                group["n"] += 1
                break
        else:
            groups.append({**layer, "n": 1})
    return groups
