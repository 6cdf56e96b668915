"""A Hugging Face `config.json` becomes the shapes of a model, or an error that says what is wrong with it."""

import difflib
from collections.abc import Mapping

from .architectures import ARCHITECTURES, NEUTRAL
from .config_fields import ConfigError, Fields
from .config_layers import heads

TEXT_PARTS = ("text_config", "language_config", "llm_config")


def text_part(config: Mapping) -> Fields:
    """The fields of the language model of `config`: of a multimodal config, the part nested in it.

    Fields that the config leaves out have the values that are usual for its architecture.
    Raises `ConfigError` for an architecture that the book does not know.
    """
    if not isinstance(config, Mapping):
        raise ConfigError(f"a config is an object with fields such as hidden_size; this is {type(config).__name__}")
    nested = [name for name in TEXT_PARTS if isinstance(config.get(name), Mapping) and config[name]]
    inner = dict(config[nested[0]]) if nested else dict(config)
    for name in ("model_type", "tie_word_embeddings", "torch_dtype", "dtype"):
        if inner.get(name) is None and config.get(name) is not None:
            inner[name] = config[name]
    place = f"config.json, {nested[0]}" if nested else "config.json"
    kind = inner.get("model_type")
    if not isinstance(kind, str) or kind not in ARCHITECTURES:
        near = difflib.get_close_matches(str(kind), ARCHITECTURES, n=3, cutoff=0.7)
        hint = f"; nearest: {', '.join(near)}" if near else ""
        raise ConfigError(f"{place} has model_type = {kind!r}, which the book does not know{hint}; it knows "
                          f"{', '.join(ARCHITECTURES)}. If the model has the layers of one of these, name that one")
    return Fields(inner, place, ARCHITECTURES[kind].usual)


def shapes_from_config(config: Mapping) -> dict:
    """The shapes of the model that `config` describes, as `llmcost.shapes` takes them.

    Raises `ConfigError` for an architecture that the book does not know, for a field that is missing,
    impossible or in contradiction with another, and for one that changes the shapes in a way that
    the book does not read.

    >>> shapes_from_config({"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 8,
    ...                     "intermediate_size": 128, "vocab_size": 100})["layers"]
    [{'attention': 'full', 'n_kv_heads': 8, 'd_head': 8, 'n': 2}]
    """
    fields = text_part(config)
    architecture = ARCHITECTURES[fields.get("model_type")]
    layers = architecture.layers(fields, architecture.each)
    shapes = {"d_model": fields.whole("hidden_size", "n_embd"), "n_layers": len(layers), "n_heads": heads(fields),
              "vocab_size": fields.whole("vocab_size"), "tied_embeddings": fields.flag("tie_word_embeddings", False),
              **architecture.mlp(fields), **architecture.model}
    for name, nothing in NEUTRAL.items():
        if name not in fields.read and fields.has(name) and fields.get(name) not in nothing:
            raise ConfigError(f"{fields.place} has {name} = {_short(fields.get(name))}, which changes the shapes of a model and "
                              f"which the book does not read for {fields.get('model_type')}; leave it out if it changes nothing here")
    if shapes.get("n_experts") and shapes["n_dense_layers"] > shapes["n_layers"]:
        raise ConfigError(f"{fields.place} has {shapes['n_dense_layers']} dense layers among {shapes['n_layers']}")
    return {**shapes, "layers": _grouped(layers)}


def layer_order(config: Mapping) -> list[str]:
    """The kind of attention of each layer of `config`, in their order, by the names of `llmcost.layers`.

    >>> layer_order({"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 8})
    ['full', 'full']
    """
    fields = text_part(config)
    architecture = ARCHITECTURES[fields.get("model_type")]
    return [layer["attention"] for layer in architecture.layers(fields, architecture.each)]


def _short(value) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def max_context(config: Mapping) -> int | None:
    """The longest context that `config` states, if it does."""
    fields = text_part(config)
    return fields.whole("max_position_embeddings", "n_positions", usual=None)


STORED = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}


QUANTIZED = ("fp8", "mxfp4", "gptq", "awq", "compressed-tensors")


def weight_formats(config: Mapping) -> tuple[str, str]:
    """The formats of the weights: of most matrices, and of the routed experts; names as in `llmcost.precision`.

    Embedding and LM head often keep 16 bits beside them. Raises `ConfigError` for a quantization that
    the book does not know.
    """
    fields = text_part(config)
    plain = STORED[fields.word("torch_dtype" if fields.has("torch_dtype") else "dtype", STORED, usual="bfloat16")]
    scheme = fields if fields.has("quantization_config") else Fields(config)
    if not scheme.has("quantization_config"):
        return plain, plain
    scheme = scheme.within("quantization_config")
    method = scheme.word("quant_method", QUANTIZED)
    if method == "fp8":
        if scheme.has("weight_block_size") and scheme.get("weight_block_size") != [128, 128]:
            raise ConfigError(f"{scheme.place} has weight_block_size = {scheme.get('weight_block_size')!r}; the book knows [128, 128]")
        form = "fp8_block" if scheme.has("weight_block_size") else "fp8"
        return form, "mxfp4" if fields.get("expert_dtype") == "fp4" else form
    if method == "mxfp4":
        return plain, "mxfp4"
    if method == "compressed-tensors":
        form, ignored = _packed(scheme), scheme.get("ignore", [])
        experts_only = isinstance(ignored, list) and any("attn" in str(pattern) for pattern in ignored)
        return (plain if experts_only else form), form
    form = _integer(scheme, scheme.whole("bits"), scheme.whole("group_size", usual=128, least=-1))
    return form, form


def _packed(scheme: Fields) -> str:
    groups = scheme.get("config_groups")
    if not isinstance(groups, Mapping) or len(groups) != 1 or not isinstance(*groups.values(), Mapping):
        raise ConfigError(f"{scheme.place} has config_groups = {_short(groups)}; the book knows one group of one format")
    weights = Fields(*groups.values(), f"{scheme.place}, config_groups").within("weights")
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
