"""Multi-head latent attention: one latent for each token stands for keys and values of all heads. Source: DeepSeek-V2, 2.1.

The two forms give the same result. *Rebuilt*: keys and values of each head are computed from the latents, then
attention is that of many heads. *Absorbed*: queries go into the latent space instead, and attention runs
over the latents themselves.
"""

import numpy

from .parts import gate_output, layer_norm, merge_heads, rms_norm, rotate, split_heads
from .softmax_attention import append, attend, top


def weights(draw, d_model, n_heads, s):
    """Weights of one layer; `draw(*shape)` gives random arrays. The up projections of keys and values are by head."""
    rank, width = s["kv_rank"], s["d_nope"] + s["d_rope"]
    found = {"kv_down": draw(d_model, rank + s["d_rope"]), "kv_norm": draw(rank), "key_up": draw(n_heads, rank, s["d_nope"]),
             "value_up": draw(n_heads, rank, s["d_value"]), "output": draw(n_heads * s["d_value"], d_model)}
    if s.get("q_rank"):
        found |= {"query_down": draw(d_model, s["q_rank"]), "query_norm": draw(s["q_rank"]),
                  "query_up": draw(s["q_rank"], n_heads * width)}
    else:
        found["query"] = draw(d_model, n_heads * width)
    if s.get("output_gate"):
        found["output_gate"] = draw(d_model, n_heads * s["d_value"])
    if s.get("n_index_heads"):
        found |= {"index_query": draw(s["q_rank"], s["n_index_heads"] * s["d_index"]), "index_key": draw(d_model, s["d_index"]),
                  "index_key_norm": draw(s["d_index"]), "index_key_norm_bias": draw(s["d_index"]),
                  "index_weights": draw(d_model, s["n_index_heads"])}
    return found


def empty_cache(batch, s):
    """Cached latents [sequences, 1, tokens, kv_rank + d_rope], and index keys where the layer has an indexer."""
    found = {"latents": numpy.zeros((batch, 1, 0, s["kv_rank"] + s["d_rope"]))}
    if s.get("n_index_heads"):
        found["index_keys"] = numpy.zeros((batch, 1, 0, s["d_index"]))
    return found


def attention(x, w, s, cache, step):
    """One MLA layer, its new latents appended to `cache`."""
    rank, d_nope = s["kv_rank"], s["d_nope"]
    table = step.angles(s["d_rope"])
    narrow = rms_norm(x @ w["query_down"], w["query_norm"]) if s.get("q_rank") else x
    queries = split_heads(narrow @ w["query_up" if s.get("q_rank") else "query"], step.n_heads)
    turned = rotate(queries[..., d_nope:], *table)
    down = x @ w["kv_down"]
    latent = numpy.concatenate([rms_norm(down[..., :rank], w["kv_norm"]), rotate(down[..., rank:], *table)], axis=-1)
    latents = append(cache, "latents", latent[:, None])
    chosen = _select(x, narrow, w, s, cache, step) if s.get("n_index_heads") else None
    form = _absorbed if step.paths.mla == "absorbed" else _rebuilt
    mixed = merge_heads(form(queries[..., :d_nope], turned, latents, rank, w, step, chosen))
    if s.get("output_gate"):
        mixed = gate_output(mixed, x @ w["output_gate"])
    return mixed @ w["output"]


def _absorbed(straight, turned, latents, rank, w, step, chosen):
    """Queries times the keys' up projection meet the latents; what comes out passes the values' up projection."""
    queries = numpy.concatenate([straight @ w["key_up"].swapaxes(-1, -2), turned], axis=-1)
    width = straight.shape[-1] + turned.shape[-1]
    return attend(queries, latents, latents[..., :rank], step, width, lambda position: 0, chosen=chosen) @ w["value_up"]


def _rebuilt(straight, turned, latents, rank, w, step, chosen):
    """Keys and values of each head, from the latents; the rotated part of the key is common to all heads."""
    content = latents[..., :rank]
    shared = numpy.broadcast_to(latents[..., rank:], (*straight.shape[:2], latents.shape[2], turned.shape[-1]))
    keys = numpy.concatenate([content @ w["key_up"], shared], axis=-1)
    queries = numpy.concatenate([straight, turned], axis=-1)
    return attend(queries, keys, content @ w["value_up"], step, queries.shape[-1], lambda position: 0, chosen=chosen)


def _select(x, narrow, w, s, cache, step):
    """Entries of the highest index score, a weighted sum over index heads. Source: DeepSeek-V3.2, section 2.1."""
    queries = split_heads(narrow @ w["index_query"], s["n_index_heads"])
    new = layer_norm(x @ w["index_key"], w["index_key_norm"], w["index_key_norm_bias"])
    keys = append(cache, "index_keys", new[:, None])
    importance = x @ w["index_weights"]  # [sequences, tokens, index heads]
    return [top(index_scores(queries[:, :, row:row + 1], keys[:, :, :step.start + row + 1], importance[:, row]), s["index_top_k"])
            for row in range(step.tokens)]


def index_scores(queries, keys, importance):
    """Positive parts of the dot products of index queries and keys, weighted by head: [sequences, entries]."""
    products = numpy.maximum(queries @ keys.swapaxes(-1, -2), 0)  # [sequences, heads, 1, entries]
    return (importance[:, None] @ products[:, :, 0])[:, 0]
