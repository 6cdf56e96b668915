"""The kinds of attention layer: one row each, with its shapes, its parameters, its state, its operations and its words.

A layer is a mapping from shape names to values, as in `{"attention": "full", "n": 32, "n_kv_heads": 8,
"d_head": 128}`; `n` such layers stand in a model. A new kind of layer is a new row here, its operations in
`llmcost.layer_operations`, and the same layer, running, in `llmcost.reference_model`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from . import attention, attention_work, layer_operations, transformer

LONGEST = 10_000_000  # tokens: a window this wide hides nothing
SUMS = ("full_elements_per_token", "sparse_elements_per_token", "sliding_elements_per_token",
        "chunked_elements_per_token", "fixed_state_elements", "buffer_bytes", "buffer_traffic_bytes", "index_bytes_per_token",
        "full_attention_flops", "full_prefill_flops", "sparse_attention_flops", "sliding_attention_flops",
        "chunked_attention_flops", "fixed_attention_flops", "full_elementwise_flops", "sparse_elementwise_flops",
        "sliding_elementwise_flops", "chunked_elementwise_flops")
"""What `attention.state_bytes` and its kin take: sums over the layers of a model."""
LIMITS = ("window", "chunk", "index_top_k")
"""What they take besides: one value for all layers of a model."""
CONV_BYTES_PER_ELEMENT = 2
"""Engines keep the inputs of short convolutions in the format of the activations, BF16. Source: vLLM, mamba_cache_dtype."""


@dataclass(frozen=True)
class Kind:
    """One kind of attention layer.

    Attributes
    ----------
    needs : names of its shapes
    may : further shapes with the value that holds when they are absent
    params : parameters of one layer, from (d_model, n_heads, shapes)
    state : its part of `SUMS` and `LIMITS`, from (n_heads, shapes)
    shards : ways its state splits over GPUs, from shapes
    grows : whether its state grows with the context
    words : what a reader calls it, from shapes
    operations : its FLOPs by operation, from (d_model, n_heads, shapes, pass)
    """

    needs: tuple[str, ...]
    may: Mapping[str, object]
    params: Callable[[int, int, Mapping], int]
    state: Callable[[int, Mapping], dict]
    shards: Callable[[Mapping], int]
    words: Callable[[Mapping], str]
    operations: Callable
    grows: bool = True


def kind_of(layer: Mapping) -> Kind:
    """The row of `layer`."""
    return KINDS[layer["attention"]]


def params(d_model: int, n_heads: int, layer: Mapping) -> int:
    """Parameters of the attention of one layer."""
    kind = kind_of(layer)
    return kind.params(d_model, n_heads, {**kind.may, **layer})


def operations(d_model: int, n_heads: int, layer: Mapping, step: layer_operations.Pass) -> dict:
    """FLOPs of the attention of one layer by operation."""
    kind = kind_of(layer)
    return kind.operations(d_model, n_heads, {**kind.may, **layer}, step)


def state(n_heads: int, layer: Mapping) -> dict:
    """What one layer adds to `SUMS`, and the `LIMITS` that it has."""
    kind = kind_of(layer)
    return kind.state(n_heads, {**kind.may, **layer})


def name(n_heads: int, layer: Mapping) -> str:
    """What the field calls the layer, as in "GQA in a window"."""
    shared = layer.get("n_kv_heads")
    sharing = "MHA" if shared == n_heads else "MQA" if shared == 1 else "GQA"
    return {"full": sharing, "sliding": f"{sharing} in a window", "chunked": f"{sharing} in chunks",
            "sparse": f"sparse {sharing}", "mla": "sparse MLA" if is_sparse(layer) else "MLA",
            "compressed": "sparse compressed entries" if is_sparse(layer) else "compressed entries",
            "shared_window": "MQA in a window", "linear": "linear", "gated_delta": "gated delta rule",
            "kda": "Kimi delta attention"}[layer["attention"]]


def words(layer: Mapping) -> str:
    """The layer in words, as in "8 KV heads of 128, window 4,096"."""
    kind = kind_of(layer)
    return kind.words({**kind.may, **layer})


# --- softmax over keys and values of their own --------------------------------------------------

SOFTMAX_MAY = {"qkv_bias": False, "output_bias": False, "qk_norm": "none", "sinks": False, "output_gate": False}
QK_NORMS = ("none", "head", "projection")


def _softmax_params(d_model, n_heads, s):
    width = n_heads * s["d_head"]
    count = transformer.attention_params(d_model, n_heads, s["n_kv_heads"], s["d_head"])
    count += s["qkv_bias"] * transformer.attention_bias_params(n_heads, s["n_kv_heads"], s["d_head"])
    count += s["output_bias"] * d_model + s["sinks"] * n_heads + s["output_gate"] * d_model * width
    norm = {"none": 0, "head": 2 * s["d_head"], "projection": width + s["n_kv_heads"] * s["d_head"]}
    return count + norm[s["qk_norm"]]


def _softmax_state(growth):
    """State of a layer with keys and values whose entries grow as `growth` says."""
    def state(n_heads, s):
        flops = attention_work.attention_flops(n_heads, s["d_head"])
        found = {f"{growth}_elements_per_token": attention.kv_elements(s["n_kv_heads"], s["d_head"]),
                 f"{growth}_attention_flops": flops,
                 f"{growth}_elementwise_flops": attention_work.score_elementwise_flops(n_heads)}
        if growth == "full":
            found["full_prefill_flops"] = flops
        limit = {"sliding": "window", "chunked": "chunk"}.get(growth)
        return {**found, limit: s[limit]} if limit else found
    return state


def _heads(s):
    return f"{s['n_kv_heads']} KV head{'s' * (s['n_kv_heads'] > 1)} of {s['d_head']}"


def _softmax(growth, limit=(), words=_heads):
    return Kind(("n_kv_heads", "d_head", *limit), SOFTMAX_MAY, _softmax_params, _softmax_state(growth),
                lambda s: s["n_kv_heads"], words, layer_operations.softmax_attention)


def _sparse_params(d_model, n_heads, s):
    return _softmax_params(d_model, n_heads, s) + transformer.block_indexer_params(d_model, s["n_index_heads"], s["d_index"])


def _sparse_state(n_heads, s):
    index = attention_work.block_indexer_flops(s["n_index_heads"], s["d_index"])
    return {"sparse_elements_per_token": attention.kv_elements(s["n_kv_heads"], s["d_head"]),
            "sparse_attention_flops": attention_work.attention_flops(n_heads, s["d_head"]),
            "sparse_elementwise_flops": attention_work.score_elementwise_flops(n_heads), **_index_state(s, index)}


# --- latent attention ---------------------------------------------------------------------------

INDEXER = ("n_index_heads", "d_index", "index_top_k", "index_bytes_per_element", "index_scale_bytes")
"""Shapes of a sparse-attention indexer, which MLA and compressed layers may have: all of them or none."""


def _mla_params(d_model, n_heads, s):
    query = (s["q_rank"],) if s["q_rank"] else ()
    shapes = s["kv_rank"], s["d_nope"], s["d_rope"], s["d_value"]
    count = (transformer.mla_params(d_model, n_heads, *query, *shapes) if query
             else transformer.mla_params_without_query_rank(d_model, n_heads, *shapes))
    count += s["output_gate"] * d_model * n_heads * s["d_value"]
    return count + transformer.indexer_params(d_model, s["q_rank"], s["n_index_heads"], s["d_index"]) * is_sparse(s)


def _index_state(s, flops):
    """What an indexer adds, given its FLOPs on one cached token."""
    key = attention.indexer_bytes_per_token(1, s["d_index"], s["index_bytes_per_element"], s["index_scale_bytes"])
    return {"index_top_k": s["index_top_k"], "index_bytes_per_token": key, "full_attention_flops": flops,
            "full_prefill_flops": flops, "full_elementwise_flops": s["n_index_heads"]}  # largest of the heads, or positive parts


def is_sparse(layer: Mapping) -> bool:
    """Whether the layer has an indexer that selects the entries it reads."""
    return bool(layer.get("n_index_heads"))


def _mla_state(n_heads, s):
    latent = s["kv_rank"], s["d_rope"]
    entries, flops = attention.mla_elements(*latent), attention_work.mla_attention_flops(n_heads, *latent)
    elementwise = attention_work.score_elementwise_flops(n_heads)
    if not is_sparse(s):
        return {"full_elements_per_token": entries, "full_attention_flops": flops, "full_elementwise_flops": elementwise,
                "full_prefill_flops": attention_work.mla_prefill_flops(n_heads, s["d_nope"], s["d_rope"], s["d_value"])}
    index = attention_work.indexer_flops(s["n_index_heads"], s["d_index"])
    return {"sparse_elements_per_token": entries, "sparse_attention_flops": flops, "sparse_elementwise_flops": elementwise,
            **_index_state(s, index)}


# --- compressed entries beside a window -----------------------------------------------------------

_COMPRESSED = ("d_head", "window", "compress_ratio", "n_overlaps", "q_rank", "n_output_groups", "output_rank")


def _shared_window_params(d_model, n_heads, s):
    return transformer.compressed_attention_params(d_model, n_heads, s["d_head"], s["q_rank"], s["n_output_groups"],
                                                   s["output_rank"])


def _shared_window_state(n_heads, s):
    return {"sliding_elements_per_token": s["d_head"], "window": s["window"],
            "sliding_attention_flops": attention_work.attention_flops(n_heads, s["d_head"]),
            "sliding_elementwise_flops": attention_work.score_elementwise_flops(n_heads)}


def _compressed_params(d_model, n_heads, s):
    count = _shared_window_params(d_model, n_heads, s)
    count += transformer.compressor_params(d_model, s["d_head"], s["compress_ratio"], s["n_overlaps"])
    if is_sparse(s):
        count += transformer.compressed_indexer_params(d_model, s["q_rank"], s["n_index_heads"], s["d_index"])
        count += transformer.compressor_params(d_model, s["d_index"], s["compress_ratio"], s["n_overlaps"])
    return count


def _compressed_state(n_heads, s):
    """Entries are keys and values in one; a compressed entry stands for `compress_ratio` tokens."""
    found = _shared_window_state(n_heads, s)
    ratio, flops, elementwise = s["compress_ratio"], found["sliding_attention_flops"], found["sliding_elementwise_flops"]
    widths = s["d_head"] + (s["d_index"] if is_sparse(s) else 0)
    # The compressor's unfinished windows: values and gates in FP32, `n_overlaps` windows each so many times as wide.
    # One row is written for each token, and all are read when a window is full.
    row = 2 * 4 * s["n_overlaps"] * widths
    found |= {"buffer_bytes": row * ratio * s["n_overlaps"], "buffer_traffic_bytes": row + row * s["n_overlaps"]}
    if not is_sparse(s):
        return {**found, "full_elements_per_token": s["d_head"] / ratio, "full_attention_flops": flops / ratio,
                "full_prefill_flops": flops / ratio, "full_elementwise_flops": elementwise / ratio}
    index = _index_state(s, attention_work.indexer_flops(s["n_index_heads"], s["d_index"]))
    per_token = {name: value / ratio for name, value in index.items() if name != "index_top_k"}
    return {**found, **per_token, "sparse_elements_per_token": s["d_head"] / ratio, "sparse_attention_flops": flops / ratio,
            "sparse_elementwise_flops": elementwise / ratio, "index_top_k": s["index_top_k"] * ratio}


# --- states that do not grow --------------------------------------------------------------------

def _linear_state(n_heads, s):
    shapes = s["n_state_heads"], s["d_key"], s["d_value"]
    return {"fixed_state_elements": attention.linear_state_elements(*shapes),
            "fixed_attention_flops": attention_work.linear_attention_flops(*shapes)}


def _delta_state(n_heads, s):
    shapes = s["n_state_heads"], s["d_key"], s["d_value"]
    conv = attention.conv_state_elements(s["n_key_heads"], s["d_key"], s["n_state_heads"], s["d_value"], s["conv_width"])
    return {"fixed_state_elements": attention.linear_state_elements(*shapes),
            "buffer_bytes": conv * CONV_BYTES_PER_ELEMENT, "buffer_traffic_bytes": 2 * conv * CONV_BYTES_PER_ELEMENT,
            "fixed_attention_flops": attention_work.delta_rule_flops(*shapes)}


def _state_words(rule):
    return lambda s: f"{rule}, {s['n_state_heads']} heads of {s['d_key']} × {s['d_value']}"


_DELTA = ("n_key_heads", "n_state_heads", "d_key", "d_value", "conv_width")

KINDS: dict[str, Kind] = {
    "full": _softmax("full"),
    "sliding": _softmax("sliding", ("window",), lambda s: f"{_heads(s)}, window {s['window']:,}"),
    "chunked": _softmax("chunked", ("chunk",), lambda s: f"{_heads(s)}, chunks of {s['chunk']:,}"),
    "sparse": Kind(("n_kv_heads", "d_head", *INDEXER), SOFTMAX_MAY, _sparse_params, _sparse_state,
                   lambda s: s["n_kv_heads"], lambda s: f"{_heads(s)}, {s['index_top_k']:,} selected",
                   layer_operations.softmax_attention),
    "mla": Kind(("kv_rank", "d_nope", "d_rope", "d_value"),
                {"q_rank": 0, "output_gate": False, "n_index_heads": 0, "d_index": 0},
                _mla_params, _mla_state, lambda s: 1,
                lambda s: f"MLA, latent {s['kv_rank']} + {s['d_rope']}" + (
                    f", {s['index_top_k']:,} selected" if is_sparse(s) else ""), layer_operations.latent_attention),
    "compressed": Kind(_COMPRESSED, {"n_index_heads": 0, "d_index": 0}, _compressed_params, _compressed_state, lambda s: 1,
                       lambda s: f"1 entry of {s['d_head']} for {s['compress_ratio']} tokens, window {s['window']:,}" + (
                           f", {s['index_top_k']:,} selected" if is_sparse(s) else ""), layer_operations.compressed_attention),
    "shared_window": Kind(("d_head", "window", "q_rank", "n_output_groups", "output_rank"), {}, _shared_window_params,
                          _shared_window_state, lambda s: 1,
                          lambda s: f"1 shared key and value of {s['d_head']}, window {s['window']:,}",
                          layer_operations.compressed_attention),
    "linear": Kind(("n_state_heads", "d_key", "d_value"), {},
                   lambda d, n_heads, s: transformer.linear_attention_params(d, s["n_state_heads"], s["d_key"], s["d_value"]),
                   _linear_state, lambda s: s["n_state_heads"], _state_words("linear"),
                   layer_operations.lightning_attention, grows=False),
    "gated_delta": Kind(_DELTA, {},
                        lambda d, n_heads, s: transformer.gated_delta_params(d, *(s[name] for name in _DELTA)),
                        _delta_state, lambda s: s["n_key_heads"], _state_words("gated delta rule"),
                        layer_operations.gated_delta, grows=False),
    "kda": Kind(_DELTA, {"full_rank_gate": False},
                lambda d, n_heads, s: transformer.kda_params(d, s["n_state_heads"], s["d_key"], s["d_value"],
                                                             s["conv_width"], int(s["full_rank_gate"])),
                _delta_state, lambda s: s["n_state_heads"], _state_words("Kimi delta attention"),
                layer_operations.kimi_delta, grows=False),
}
