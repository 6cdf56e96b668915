"""Attention over a window of tokens, and over entries of which each stands for a whole stretch of tokens before.

Follows the inference code that DeepSeek released with DeepSeek-V4. One vector for each token is key and value of all
heads. A compressor makes one entry of each `compress_ratio` tokens, a window of its own; an entry can be seen from
the last token of its window on. An indexer may choose which entries a token attends to.

What differs: the released code rotates the last 64 of the 512 elements of a vector, here all are rotated; it passes index
queries and keys through a Hadamard transform before they are rounded to 4 bits, which changes no dot product.
"""

import numpy

from .latent_attention import index_scores
from .parts import EPSILON, add_bias, merge_heads, rms_norm, rotate, softmax, split_heads
from .softmax_attention import append, attend, first_seen, scores, shares, top, weighted_values


def weights(draw, d_model, n_heads, s):
    """Weights of one layer; `draw(*shape)` gives random arrays. The output goes down to a latent by groups of heads."""
    d_head, groups, rank = s["d_head"], s["n_output_groups"], s["output_rank"]
    found = {"query_down": draw(d_model, s["q_rank"]), "query_norm": draw(s["q_rank"]),
             "query_up": draw(s["q_rank"], n_heads * d_head), "key_value": draw(d_model, d_head), "key_value_norm": draw(d_head),
             "sinks": draw(n_heads), "output_down": draw(groups, n_heads * d_head // groups, rank),
             "output_up": draw(groups * rank, d_model)}
    if s.get("n_index_heads"):
        found |= {"index_query": draw(s["q_rank"], s["n_index_heads"] * s["d_index"]),
                  "index_weights": draw(d_model, s["n_index_heads"])}
    for name, width in _compressors(s).items():
        wide = s["n_overlaps"] * width
        found |= {f"{name}_value": draw(d_model, wide), f"{name}_gate": draw(d_model, wide),
                  f"{name}_bias": draw(s["compress_ratio"], wide), f"{name}_norm": draw(width)}
    return found


def empty_cache(batch, s):
    """Vectors of the window and compressed entries [sequences, 1, entries, width], and what the compressors hold.

    A compressor holds values and gates of its unfinished window, and of the one before where windows overlap, in
    buffers of a fixed size. Gates begin at minus infinity: what is not there has no share.
    """
    found = {"window": numpy.zeros((batch, 1, 0, s["d_head"]))}
    for name, width in _compressors(s).items():
        buffer = batch, s["n_overlaps"] * s["compress_ratio"], s["n_overlaps"] * width
        found |= {f"{name}_entries": numpy.zeros((batch, 1, 0, width)), f"{name}_values": numpy.zeros(buffer),
                  f"{name}_gates": numpy.full(buffer, -numpy.inf)}
    return found


def _compressors(s):
    """Names of the compressors of the layer, and the widths of their entries."""
    if "compress_ratio" not in s:
        return {}
    return {"shared": s["d_head"], "index": s["d_index"]} if s.get("n_index_heads") else {"shared": s["d_head"]}


def attention(x, w, s, cache, step):
    """One layer, with compressed entries or with the window alone; what is new is appended to `cache`."""
    cosine, sine = step.angles(s["d_head"])
    narrow = rms_norm(x @ w["query_down"], w["query_norm"])
    queries = rotate(unit_norm(split_heads(narrow @ w["query_up"], step.n_heads)), cosine, sine)
    vectors = rotate(rms_norm(x @ w["key_value"], w["key_value_norm"]), cosine, sine)
    near = append(cache, "window", vectors[:, None], s["window"])
    sinks = w["sinks"][:, None, None]
    if "compress_ratio" in s:
        far = compress("shared", x, w, s, cache, step)
        chosen = _select(x, narrow, w, s, cache, step) if s.get("n_index_heads") else None
        mixed = _attend(queries, near, far, chosen, sinks, s, step)
    else:
        mixed = attend(queries, near, near, step, s["d_head"], first_seen(s), sinks)
    turned_back = rotate(mixed, cosine, -sine)  # values are rotated as keys are
    grouped = split_heads(merge_heads(turned_back), s["n_output_groups"])
    return merge_heads(grouped @ w["output_down"]) @ w["output_up"]


def unit_norm(x):
    """`x` [..., width] divided by the root of its mean square."""
    return x / numpy.sqrt((x * x).sum(axis=-1, keepdims=True) / x.shape[-1] + EPSILON)


def compress(name, x, w, s, cache, step):
    """All entries of finished windows [sequences, 1, entries, width], after the tokens `x` of the pass.

    An entry is a mean of the values of its window, weighted for each channel by a softmax of gates over the slots, then
    normed, and rotated by the window's first position. With two overlaps it has the slots of the window before, too:
    values and gates are twice as wide, the first half meant for the entry of the next window.
    """
    ratio, overlaps, width = s["compress_ratio"], s["n_overlaps"], _compressors(s)[name]
    first, opened = divmod(step.start, ratio)
    slots = (opened + numpy.arange(step.tokens)) % ratio
    held = (overlaps - 1) * ratio + opened
    gates = add_bias(x @ w[f"{name}_gate"], w[f"{name}_bias"][slots])
    values = _extend(cache, f"{name}_values", x @ w[f"{name}_value"], held, ratio)
    gates = _extend(cache, f"{name}_gates", gates, held, ratio)
    finished = (opened + step.tokens) // ratio

    def by_window(rows):
        """The slots of each finished window [sequences, windows, width, slots], the earlier window first."""
        parts = [rows[:, i * ratio:(i + finished) * ratio, i * width:(i + 1) * width] for i in range(overlaps)]
        parts = [part.reshape(len(x), finished, ratio, width) for part in parts]
        return numpy.concatenate(parts, axis=2).swapaxes(-1, -2)

    entries = rms_norm(pool(by_window(values), by_window(gates)), w[f"{name}_norm"])
    table = step.angles(width, ratio * (first + numpy.arange(finished)))
    return append(cache, f"{name}_entries", rotate(entries, *table)[:, None])


def _extend(cache, name, new, held, ratio):
    """The `held` rows of a compressor's buffer and the new ones [sequences, rows, width]; the buffer drops finished windows."""
    rows = numpy.concatenate([cache[name][:, :held], new], axis=1)
    size, unfinished = cache[name].shape[1], rows.shape[1] % ratio
    keeps = rows[:, rows.shape[1] - (size - ratio) - unfinished:]
    cache[name] = numpy.concatenate([keeps, cache[name][:, keeps.shape[1]:]], axis=1)
    return rows


def pool(values, gates):
    """Means of `values` [..., slots], weighted by a softmax of `gates`."""
    return (values * softmax(gates)).sum(axis=-1)


def _attend(queries, near, far, chosen, sinks, s, step):
    """Softmax attention of the new tokens over what they see: the window up to themselves, and the entries of finished windows.

    `near` and `far` are [sequences, 1, entries, width]. `chosen` lists entries of `far`, [sequences, entries] for each new token.
    """
    width, window, ratio = s["d_head"], s["window"], s["compress_ratio"]
    end, n_far = step.start + step.tokens, far.shape[-2]
    oldest = end - near.shape[-2]  # position of the first vector
    if chosen is None and step.paths.causal == "square":
        first = max(0, step.start - window + 1)
        at, position = numpy.arange(first, end), numpy.arange(step.start, end)[:, None]
        visible = numpy.concatenate([numpy.arange(n_far) < (position + 1) // ratio,
                                     (at > position - window) & (at <= position)], axis=-1)
        seen = numpy.concatenate([far, near[..., first - oldest:, :]], axis=-2)
        return weighted_values(shares(numpy.where(visible, scores(queries, seen, width), -numpy.inf), sinks), seen)
    both, rows = numpy.concatenate([far, near], axis=-2), []
    for row, position in enumerate(range(step.start, end)):
        entries = numpy.arange((position + 1) // ratio) if chosen is None else chosen[row]
        vectors = numpy.arange(max(0, position - window + 1), position + 1) - oldest + n_far
        picked = [numpy.broadcast_to(index, (len(queries), index.shape[-1])) for index in (entries, vectors)]
        seen = numpy.take_along_axis(both, numpy.concatenate(picked, axis=-1)[:, None, :, None], axis=-2)
        rows.append(weighted_values(shares(scores(queries[..., row:row + 1, :], seen, width), sinks), seen))
    return numpy.concatenate(rows, axis=-2)


def _select(x, narrow, w, s, cache, step):
    """Entries of the highest index score for each new token, among those of finished windows."""
    queries = rotate(split_heads(narrow @ w["index_query"], s["n_index_heads"]), *step.angles(s["d_index"]))
    keys = compress("index", x, w, s, cache, step)
    importance = x @ w["index_weights"]  # [sequences, tokens, index heads]
    finished = [(position + 1) // s["compress_ratio"] for position in range(step.start, step.start + step.tokens)]
    return [top(index_scores(queries[:, :, row:row + 1], keys[:, :, :count], importance[:, row]), s["index_top_k"])
            for row, count in enumerate(finished)]
