"""The attention of each layer, from the fields of a `config.json`.

Each rule returns a list with one mapping for each layer; `llmcost.layers` knows their kinds. Which layers
are full and what they add without saying so rests on the modeling files of Hugging Face Transformers
and on the publishers' own.
"""

from collections.abc import Callable, Mapping

from .config_fields import ConfigError, Fields


def heads(fields: Fields) -> int:
    """The number of query heads."""
    return fields.whole("num_attention_heads", "n_head")


def n_layers(fields: Fields) -> int:
    """The number of layers."""
    count = fields.whole("num_hidden_layers", "n_layer")
    if count > 10_000:
        raise ConfigError(f"{fields.place} has {count:,} layers; no decoder has more than 10,000")
    return count


def _head_width(fields: Fields) -> int:
    width, n_heads = fields.whole("hidden_size", "n_embd"), heads(fields)
    if not fields.has("head_dim") and width % n_heads:
        raise ConfigError(f"{fields.place} has hidden_size {width} for {n_heads} heads and no head_dim; state head_dim, "
                          f"or make the first a multiple of the second")
    return fields.whole("head_dim", usual=width // n_heads)


def _kv_heads(fields: Fields) -> int:
    n_heads = heads(fields)
    shared = fields.whole("num_key_value_heads", "num_kv_heads", usual=n_heads)
    if n_heads % shared:
        raise ConfigError(f"{fields.place} has {n_heads} attention heads for {shared} key-value heads; "
                          f"the first must be a multiple of the second")
    return shared


def _softmax(fields: Fields, each: Mapping, **more) -> dict:
    if "qk_norm" in each and not fields.flag("use_qk_norm", True):
        raise ConfigError(f"{fields.place} turns off use_qk_norm; a {fields.get('model_type')} model has norms of queries and keys")
    return {"attention": "full", "n_kv_heads": _kv_heads(fields), "d_head": _head_width(fields), **each, **more}


def all_full(fields: Fields, each: Mapping) -> list[dict]:
    """Every layer sees everything."""
    return [_softmax(fields, each)] * n_layers(fields)


def with_biases(rule: Callable) -> Callable:
    """Layers by `rule`, whose four projections have biases where `attention_bias` says so."""
    def layers(fields: Fields, each: Mapping) -> list[dict]:
        biased = fields.flag("attention_bias", False)
        return rule(fields, {**each, "qkv_bias": True, "output_bias": True} if biased else each)
    return layers


def falcon(fields: Fields, each: Mapping) -> list[dict]:
    """Falcon 40B and 180B."""
    if not fields.flag("new_decoder_architecture", False):
        raise ConfigError(f"{fields.place} is of Falcon's first architecture (new_decoder_architecture is not true), "
                          f"which the book does not know; Falcon 40B and 180B have the second")
    return all_full(fields, each)


LAYER_TYPES = {"full_attention": "full", "sliding_attention": "sliding", "chunked_attention": "chunked"}


def _typed(fields: Fields, each: Mapping, types: list) -> list[dict]:
    """Softmax layers whose kind `types` names one by one."""
    found = []
    for name in types:
        if not isinstance(name, str) or name not in LAYER_TYPES:
            raise ConfigError(f"{fields.place} has a layer of type {name!r}; it is one of {', '.join(LAYER_TYPES)}")
        limit = {"sliding_attention": {"window": "sliding_window"}, "chunked_attention": {"chunk": "attention_chunk_size"}}
        limits = {shape: fields.whole(named) for shape, named in limit.get(name, {}).items()}
        found.append(_softmax(fields, each, attention=LAYER_TYPES[name], **limits))
    return found


def windowed(fields: Fields, each: Mapping) -> list[dict]:
    """Every layer in the window that the config states, or in none."""
    if fields.has("layer_types"):
        return _typed(fields, each, fields.series("layer_types", n_layers(fields)))
    if not fields.has("sliding_window"):
        return all_full(fields, each)
    return [_softmax(fields, each, attention="sliding", window=fields.whole("sliding_window"))] * n_layers(fields)


def windowed_if_used(fields: Fields, each: Mapping) -> list[dict]:
    """Qwen: a window counts only where `use_sliding_window` is true; then `layer_types` says where, or `max_window_layers`."""
    n = n_layers(fields)
    window, first = fields.has("sliding_window"), fields.whole("max_window_layers", usual=28, least=0)
    types = fields.series("layer_types", n) if fields.has("layer_types") else None
    if not (fields.flag("use_sliding_window", False) and window):
        return _typed(fields, each, types) if types else all_full(fields, each)
    return _typed(fields, each, types or ["full_attention" if i < first else "sliding_attention" for i in range(n)])


def full_unless_typed(fields: Fields, each: Mapping) -> list[dict]:
    """Every layer sees everything, unless `layer_types` says otherwise; a window that is not used does not count."""
    n = n_layers(fields)
    for without_effect in ("sliding_window", "max_window_layers"):
        fields.get(without_effect)
    return _typed(fields, each, fields.series("layer_types", n)) if fields.has("layer_types") else all_full(fields, each)


def patterned(every: int) -> Callable:
    """Gemma: each `every`-th layer is full, the others slide."""
    def layers(fields: Fields, each: Mapping) -> list[dict]:
        n = n_layers(fields)
        pattern = fields.whole("sliding_window_pattern", "_sliding_window_pattern", usual=every)
        types = ["sliding_attention" if (i + 1) % pattern else "full_attention" for i in range(n)]
        return _typed(fields, each, fields.series("layer_types", n) if fields.has("layer_types") else types)
    return layers


def llama4(fields: Fields, each: Mapping) -> list[dict]:
    """Each fourth layer without rotary positions is full; the others stay inside their chunk. Norms have no weights."""
    n, _ = n_layers(fields), fields.flag("use_qk_norm", True)
    if fields.has("layer_types"):
        return _typed(fields, each, fields.series("layer_types", n))
    every = fields.whole("no_rope_layer_interval", usual=4)
    rotary = fields.series("no_rope_layers", n) if fields.get("no_rope_layers") else [(i + 1) % every != 0 for i in range(n)]
    return _typed(fields, each, ["chunked_attention" if uses else "full_attention" for uses in rotary])


def _mla_layer(fields: Fields, **more) -> dict:
    return {"attention": "mla", "q_rank": fields.whole("q_lora_rank", usual=0), "kv_rank": fields.whole("kv_lora_rank"),
            "d_nope": fields.whole("qk_nope_head_dim"), "d_rope": fields.whole("qk_rope_head_dim"),
            "d_value": fields.whole("v_head_dim"), **more}


def mla(fields: Fields, each: Mapping) -> list[dict]:
    """Every layer is MLA."""
    return [_mla_layer(fields)] * n_layers(fields)


INDEX_KEY = {"index_bytes_per_element": 1, "index_scale_bytes": 4}
"""Engines keep an index key in FP8 with one FP32 scale. Source: DeepSeek-V3.2, inference/model.py, class Indexer."""


def _indexer(fields: Fields) -> dict:
    return {"n_index_heads": fields.whole("index_n_heads"), "d_index": fields.whole("index_head_dim"),
            "index_top_k": fields.whole("index_topk"), **INDEX_KEY}


def mla_indexed(fields: Fields, each: Mapping) -> list[dict]:
    """Every layer is MLA with an indexer."""
    return [_mla_layer(fields, **_indexer(fields))] * n_layers(fields)


def compressed(fields: Fields, each: Mapping) -> list[dict]:
    """DeepSeek-V4: a window everywhere, and entries that stand for 4 or 128 tokens; a ratio of 0 means the window alone."""
    n = n_layers(fields)
    ratios = fields.get("compress_ratios")
    if not isinstance(ratios, list) or len(ratios) < n or not all(type(r) is int and r >= 0 for r in ratios):
        raise ConfigError(f"{fields.place} has compress_ratios = {ratios!r}; it needs a whole number for each of {n} layers")
    if fields.whole("num_key_value_heads", usual=1) != 1:
        raise ConfigError(f"{fields.place} has {fields.get('num_key_value_heads')} key-value heads; compressed entries have 1")
    common = {"d_head": fields.whole("head_dim"), "window": fields.whole("sliding_window"),
              "q_rank": fields.whole("q_lora_rank"), "n_output_groups": fields.whole("o_groups"),
              "output_rank": fields.whole("o_lora_rank")}

    def layer(ratio: int) -> dict:
        if ratio == 0:
            return {"attention": "shared_window", **common}
        sparse = ratio == 4  # short windows overlap and have an indexer
        return {"attention": "compressed", **common, "compress_ratio": ratio, "n_overlaps": 2 if sparse else 1,
                **(_indexer(fields) if sparse else {})}
    return [layer(ratio) for ratio in ratios[:n]]


def minimax_m2(fields: Fields, each: Mapping) -> list[dict]:
    """MiniMax-M2: full layers, with norms over all query heads and over all key heads."""
    if fields.get("qk_norm_type", "per_layer") != "per_layer":
        raise ConfigError(f"{fields.place} has qk_norm_type = {fields.get('qk_norm_type')!r}; the book knows \"per_layer\"")
    if set(map(str, fields.get("attn_type_list") or [1])) != {"1"}:
        raise ConfigError(f"{fields.place} has attn_type_list with other layers than 1, full attention; the book knows those of "
                          f"minimax_text_01")
    return all_full(fields, each)


def sparse_blocks(fields: Fields, each: Mapping) -> list[dict]:
    """MiniMax-M3: grouped-query layers, most with an indexer that selects blocks of entries."""
    n, sparse = n_layers(fields), fields.within("sparse_attention_config")
    if not sparse.flag("use_sparse_attention", True):
        raise ConfigError(f"{sparse.place} turns off use_sparse_attention; the book knows it on")
    index = {"attention": "sparse", "n_index_heads": sparse.whole("sparse_num_index_heads"),
             "d_index": sparse.whole("sparse_index_dim"), "index_bytes_per_element": 2, "index_scale_bytes": 0,
             "index_top_k": sparse.whole("sparse_topk_blocks") * sparse.whole("sparse_block_size")}
    return [_softmax(fields, each, **(index if has else {})) for has in sparse.series("sparse_attention_freq", n)]


def lightning(fields: Fields, each: Mapping) -> list[dict]:
    """MiniMax-Text-01: `attn_type_list` has 0 for lightning attention and 1 for softmax."""
    kinds = fields.series("attn_type_list", n_layers(fields))
    width = _head_width(fields)
    linear = {"attention": "linear", "n_state_heads": heads(fields), "d_key": width, "d_value": width}
    if not set(kinds) <= {0, 1}:
        raise ConfigError(f"{fields.place} has attn_type_list with {sorted(set(map(str, kinds)))}; it may have 0 and 1")
    return [_softmax(fields, each) if kind else linear for kind in kinds]


def gated_delta(fields: Fields, each: Mapping) -> list[dict]:
    """Qwen3-Next and after: `layer_types`, or a full layer at each `full_attention_interval`-th place."""
    n = n_layers(fields)
    each = {**each, "output_gate": fields.flag("attn_output_gate", True)}
    every = fields.whole("full_attention_interval", usual=4)
    usual = ["full_attention" if (i + 1) % every == 0 else "linear_attention" for i in range(n)]
    types = fields.series("layer_types", n) if fields.has("layer_types") else usual
    linear = {"attention": "gated_delta", "n_key_heads": fields.whole("linear_num_key_heads"),
              "n_state_heads": fields.whole("linear_num_value_heads"), "d_key": fields.whole("linear_key_head_dim"),
              "d_value": fields.whole("linear_value_head_dim"), "conv_width": fields.whole("linear_conv_kernel_dim")}
    return [linear if kind == "linear_attention" else _typed(fields, each, [kind])[0] for kind in types]


def kimi_delta(fields: Fields, each: Mapping) -> list[dict]:
    """Kimi Linear: two lists of layer numbers, counted from 1, that must cover every layer once."""
    n, linear = n_layers(fields), fields.within("linear_attn_config")
    delta, full = (linear.get(name, []) for name in ("kda_layers", "full_attn_layers"))
    if not isinstance(delta, list) or not isinstance(full, list) or sorted(map(str, [*delta, *full])) != sorted(
            map(str, range(1, n + 1))):
        raise ConfigError(f"{linear.place} has kda_layers and full_attn_layers that do not name each of {n} layers once")
    heads, width = linear.whole("num_heads"), linear.whole("head_dim")
    state = {"attention": "kda", "n_key_heads": heads, "n_state_heads": heads, "d_key": width, "d_value": width,
             "conv_width": linear.whole("short_conv_kernel_size"),
             "full_rank_gate": linear.flag("use_full_rank_gate", False)}
    latent = _mla_layer(fields, output_gate=fields.flag("mla_use_output_gate", False))
    return [latent if i in full else state for i in range(1, n + 1)]
