"""Attention with keys and values of their own: MHA, GQA and MQA, full, in a window, in chunks, or sparse.

`x` is [sequences, tokens, d_model], `w` the weights of the layer, `s` its shapes, `cache` its cached arrays,
which each function replaces by longer ones, and `step` the pass that is under way.
"""

import numpy

from .parts import add_bias, gate_output, merge_heads, rms_norm, rotate, softmax, split_heads


def weights(draw, d_model, n_heads, s):
    """Weights of one layer; `draw(*shape)` gives random arrays."""
    width, narrow = n_heads * s["d_head"], s["n_kv_heads"] * s["d_head"]
    found = {"query": draw(d_model, width), "key": draw(d_model, narrow), "value": draw(d_model, narrow),
             "output": draw(width, d_model)}
    if s.get("qkv_bias"):
        found |= {"query_bias": draw(width), "key_bias": draw(narrow), "value_bias": draw(narrow)}
    if s.get("output_bias"):
        found["output_bias"] = draw(d_model)
    if s.get("qk_norm", "none") != "none":
        heads = s["qk_norm"] == "head"
        found |= {"query_norm": draw(s["d_head"] if heads else width), "key_norm": draw(s["d_head"] if heads else narrow)}
    if s.get("sinks"):
        found["sinks"] = draw(n_heads)
    if s.get("output_gate"):
        found["output_gate"] = draw(d_model, width)
    if "n_index_heads" in s:
        found |= {"index_query": draw(d_model, s["n_index_heads"] * s["d_index"]), "index_key": draw(d_model, s["d_index"]),
                  "index_query_norm": draw(s["d_index"]), "index_key_norm": draw(s["d_index"])}
    return found


def empty_cache(batch, s):
    """Cached keys and values [sequences, KV heads, tokens, width], and index keys where the layer has an indexer."""
    found = {name: numpy.zeros((batch, s["n_kv_heads"], 0, s["d_head"])) for name in ("keys", "values")}
    if "n_index_heads" in s:
        found["index_keys"] = numpy.zeros((batch, 1, 0, s["d_index"]))
    return found


def attention(x, w, s, cache, step):
    """One attention layer, its new keys and values appended to `cache`."""
    n_kv_heads, d_head = s["n_kv_heads"], s["d_head"]
    queries, keys, values = x @ w["query"], x @ w["key"], x @ w["value"]
    if s.get("qkv_bias"):
        queries, keys, values = (add_bias(queries, w["query_bias"]), add_bias(keys, w["key_bias"]),
                                 add_bias(values, w["value_bias"]))
    if s.get("qk_norm") == "projection":
        queries, keys = rms_norm(queries, w["query_norm"]), rms_norm(keys, w["key_norm"])
    queries, keys, values = split_heads(queries, step.n_heads), split_heads(keys, n_kv_heads), split_heads(values, n_kv_heads)
    if s.get("qk_norm") == "head":
        queries, keys = rms_norm(queries, w["query_norm"]), rms_norm(keys, w["key_norm"])
    table = step.angles(d_head)
    keys = append(cache, "keys", rotate(keys, *table), keeps(s))
    values = append(cache, "values", values, keeps(s))
    # Query heads that share a KV head stand behind one another: [sequences, KV heads, group, tokens, width].
    grouped = rotate(queries, *table).reshape(len(x), n_kv_heads, -1, step.tokens, d_head)
    sinks = w["sinks"].reshape(n_kv_heads, -1, 1, 1) if s.get("sinks") else None
    chosen = _select(x, w, s, cache, step) if "n_index_heads" in s else None
    mixed = attend(grouped, keys[:, :, None], values[:, :, None], step, d_head, first_seen(s), sinks, chosen)
    mixed = merge_heads(mixed.reshape(len(x), step.n_heads, step.tokens, d_head))
    if s.get("output_gate"):
        mixed = gate_output(mixed, x @ w["output_gate"])
    out = mixed @ w["output"]
    return add_bias(out, w["output_bias"]) if s.get("output_bias") else out


def keeps(s):
    """Entries that the cache of the layer holds at most; None where it holds all."""
    return s.get("window", s.get("chunk"))


def first_seen(s):
    """The first position that a token at a given position sees, as a function."""
    if "window" in s:
        return lambda position: max(0, position - s["window"] + 1)
    if "chunk" in s:
        return lambda position: position // s["chunk"] * s["chunk"]
    return lambda position: 0


def append(cache, name, new, limit=None):
    """Old and new entries together [..., tokens, width]; the cache keeps the last `limit` of them."""
    entries = numpy.concatenate([cache[name], new], axis=-2)
    cache[name] = entries if limit is None else entries[..., max(0, entries.shape[-2] - limit):, :]
    return entries


def attend(queries, keys, values, step, width, first, sinks=None, chosen=None):
    """Softmax attention of the new tokens over all entries, each row seeing the entries from `first` of its position on.

    `queries` are [..., tokens, width], `keys` and `values` [..., entries, width]. The pass says whether rows meet
    only what they see, or everything, with the rest masked after its scores are computed.
    Scores are divided by the root of `width`. `chosen` lists entries instead, [sequences, entries] for each new token.
    """
    oldest = step.start + step.tokens - keys.shape[-2]  # position of the first entry
    begins = [first(step.start + row) - oldest for row in range(step.tokens)]
    ends = [step.start + row + 1 - oldest for row in range(step.tokens)]
    if chosen is None and step.paths.causal == "square":
        begin = max(0, begins[0])
        seen = keys[..., begin:, :]
        found = scores(queries, seen, width)
        index = numpy.arange(begin, keys.shape[-2])
        visible = (index >= numpy.array(begins)[:, None]) & (index < numpy.array(ends)[:, None])
        return weighted_values(shares(numpy.where(visible, found, -numpy.inf), sinks), values[..., begin:, :])
    rows = []
    for row in range(step.tokens):
        seen_keys, seen_values = keys[..., begins[row]:ends[row], :], values[..., begins[row]:ends[row], :]
        if chosen is not None:
            picked = chosen[row].reshape(chosen[row].shape[0], *(1,) * (keys.ndim - 3), -1, 1)
            seen_keys, seen_values = (numpy.take_along_axis(seen, picked, axis=-2) for seen in (seen_keys, seen_values))
        weight = shares(scores(queries[..., row:row + 1, :], seen_keys, width), sinks)
        rows.append(weighted_values(weight, seen_values))
    return numpy.concatenate(rows, axis=-2)


def shares(found, sinks):
    """Softmax of the scores; a sink is one more score of each row, whose share goes to no value. Source: Xiao 2023."""
    if sinks is None:
        return softmax(found)
    column = numpy.broadcast_to(sinks, (*found.shape[:-1], 1))
    return softmax(numpy.concatenate([found, column], axis=-1))[..., :-1]


def scores(queries, keys, width):
    """Dot products of queries [..., rows, w] and keys [..., entries, w], over the root of `width`."""
    return queries @ keys.swapaxes(-1, -2) * width ** -0.5


def weighted_values(weight, values):
    """The values [..., entries, width], weighted [..., rows, entries]."""
    return weight @ values


def _select(x, w, s, cache, step):
    """Entries that each new token attends to: those of the highest index score, the largest of the index heads."""
    queries = rms_norm(split_heads(x @ w["index_query"], s["n_index_heads"]), w["index_query_norm"])
    keys = append(cache, "index_keys", rms_norm((x @ w["index_key"])[:, None], w["index_key_norm"]))
    return [top(index_scores(queries[:, :, row:row + 1], keys[:, :, :step.start + row + 1]), s["index_top_k"])
            for row in range(step.tokens)]


def index_scores(queries, keys):
    """The largest over heads of the dot products of index queries and keys: [sequences, entries].

    `queries` are [sequences, heads, 1, width], `keys` [sequences, 1, entries, width].
    """
    return (queries @ keys.swapaxes(-1, -2)).max(axis=1)[:, 0]


def top(found, count):
    """Indices of the `count` largest of each row of `found` [sequences, entries], or of all where there are fewer."""
    count = min(count, found.shape[-1])
    return numpy.argpartition(found, found.shape[-1] - count, axis=-1)[..., found.shape[-1] - count:]
