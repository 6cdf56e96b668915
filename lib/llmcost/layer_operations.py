"""FLOPs of one attention layer by operation: one function for each way that a layer works.

Operations are called as in `llmcost.reference_model`: a projection by its weight, the rest by its function. Each
function takes `d_model`, `n_heads`, the shapes `s` of the layer, as in `llmcost.layers`, and the pass.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from . import operations
from .attention_work import causal_pairs, chunk_pairs, window_pairs
from .roofline import matmul_flops


@dataclass(frozen=True)
class Pass:
    """One sequence's part of a pass: `tokens` new tokens after `start` cached ones, and the paths taken.

    Attributes
    ----------
    square : compute the pairs that the mask hides, too
    rebuilt : MLA with keys and values rebuilt for each head, in place of attention over latents
    chunk : tokens that lightning attention takes at a time; 1 is the recurrence, 0 the whole pass

    Raises `ValueError` for a pass without tokens, or a length that is no whole number.
    """

    tokens: int
    start: int = 0
    square: bool = False
    rebuilt: bool = False
    chunk: int = 1

    def __post_init__(self):
        for name, least in (("tokens", 1), ("start", 0), ("chunk", 0)):
            value = getattr(self, name)
            if value != int(value) or value < least:
                raise ValueError(f"a pass with {name} = {value}; it must be a whole number, {least} or more")

    def pairs(self, s: Mapping) -> float:
        """Pairs of a new token and an entry whose score a layer of shapes `s` computes."""
        end = self.start + self.tokens
        if self.square and "index_top_k" not in s:
            return self.tokens * (end - self._first(s))
        if "window" in s:
            return window_pairs(end, s["window"]) - window_pairs(self.start, s["window"])
        if "chunk" in s:
            return chunk_pairs(end, s["chunk"]) - chunk_pairs(self.start, s["chunk"])
        return causal_pairs(end) - causal_pairs(self.start)

    def chosen_pairs(self, s: Mapping) -> float:
        """Those that are left when a token attends to the `index_top_k` entries that an indexer chose."""
        return window_pairs(self.start + self.tokens, s["index_top_k"]) - window_pairs(self.start, s["index_top_k"])

    def windows(self, s: Mapping) -> float:
        """Windows of `compress_ratio` tokens that the pass finishes."""
        return (self.start + self.tokens) // s["compress_ratio"] - self.start // s["compress_ratio"]

    def compressed_pairs(self, s: Mapping, most: float = inf) -> float:
        """Pairs of a new token and the entry of a window finished by then, of which each token meets at most `most`."""
        end, ratio = self.start + self.tokens, s["compress_ratio"]
        if self.square and "index_top_k" not in s:
            return self.tokens * (end // ratio)
        return finished_pairs(end, ratio, most) - finished_pairs(self.start, ratio, most)

    def _first(self, s: Mapping) -> int:
        """The first position that the first new token sees."""
        if "window" in s:
            return max(0, self.start - s["window"] + 1)
        return self.start // s["chunk"] * s["chunk"] if "chunk" in s else 0


@dataclass(frozen=True)
class WithoutPairs(Pass):
    """A pass whose tokens meet no other token: what is left does not depend on the context.

    A window that is finished now and then counts in parts, one for each of its tokens.
    """

    def pairs(self, s, most=inf):
        """None."""
        return 0

    chosen_pairs = compressed_pairs = pairs

    def windows(self, s):
        """Finished windows on average."""
        return self.tokens / s["compress_ratio"]


def finished_pairs(context: float, ratio: float, most: float = inf) -> float:
    """Pairs of one of `context` tokens and a window of `ratio` tokens finished by then, at most `most` for each token.

    >>> finished_pairs(context=9, ratio=4)  # none for three tokens, 1 for four, 2 for two
    8
    """
    limit = ratio * (most + 1) - 1  # the last token that does not meet more than `most`
    begun = min(context, limit)
    windows = begun // ratio
    within = ratio * windows * (windows - 1) // 2 + windows * (begun - ratio * windows + 1)
    return within + most * (context - limit) if context > limit else within


def softmax_attention(d_model, n_heads, s, step: Pass) -> Counter:
    """Attention with keys and values of their own, with or without an indexer."""
    t, d_head, n_kv_heads = step.tokens, s["d_head"], s["n_kv_heads"]
    query, narrow = operations.query_flops(t, d_model, n_heads, d_head), matmul_flops(t, d_model, n_kv_heads * d_head)
    work = Counter(query=query, key=narrow, value=narrow, output=query,
                   rotate=operations.rotation_flops(t, n_heads, n_kv_heads, d_head))
    work["add_bias"] = t * d_head * (n_heads + 2 * n_kv_heads) * s["qkv_bias"] + t * d_model * s["output_bias"]
    if s["qk_norm"] == "head":
        work["rms_norm"] = operations.rms_norm_flops(t, d_head) * (n_heads + n_kv_heads)
    elif s["qk_norm"] == "projection":
        work["rms_norm"] = operations.rms_norm_flops(t, n_heads * d_head) + operations.rms_norm_flops(t, n_kv_heads * d_head)
    if s["output_gate"]:
        work += Counter(output_gate=query, gate_output=gate_flops(t * n_heads * d_head))
    pairs = step.pairs(s)
    if "n_index_heads" in s:
        heads, width = s["n_index_heads"], s["d_index"]
        work += Counter(index_query=matmul_flops(t, d_model, heads * width), index_key=matmul_flops(t, d_model, width),
                        rms_norm=operations.rms_norm_flops(t, width) * (heads + 1),
                        index_scores=pairs * heads * (2 * width + 1))  # dot products, and the largest of the heads
        pairs = step.chosen_pairs(s)
    return work + Counter(scores=operations.score_flops(pairs, n_heads, d_head),
                          softmax=operations.softmax_flops(pairs + t * s["sinks"], n_heads),
                          weighted_values=operations.weighting_flops(pairs, n_heads, d_head))


def latent_attention(d_model, n_heads, s, step: Pass) -> Counter:
    """MLA in either form, with or without an indexer."""
    t, rank, d_nope, d_rope, d_value = step.tokens, s["kv_rank"], s["d_nope"], s["d_rope"], s["d_value"]
    wide = n_heads * (d_nope + d_rope)
    work = Counter(kv_down=matmul_flops(t, d_model, rank + d_rope), rms_norm=operations.rms_norm_flops(t, rank),
                   rotate=operations.rotation_flops(t, n_heads, 1, d_rope), output=matmul_flops(t, n_heads * d_value, d_model))
    if s["q_rank"]:
        work += Counter(query_down=matmul_flops(t, d_model, s["q_rank"]), rms_norm=operations.rms_norm_flops(t, s["q_rank"]),
                        query_up=matmul_flops(t, s["q_rank"], wide))
    else:
        work["query"] = matmul_flops(t, d_model, wide)
    if s["output_gate"]:
        work += Counter(output_gate=matmul_flops(t, d_model, n_heads * d_value), gate_output=gate_flops(t * n_heads * d_value))
    pairs = step.pairs(s)
    if s["n_index_heads"]:
        heads, width = s["n_index_heads"], s["d_index"]
        work += Counter(index_query=matmul_flops(t, s["q_rank"], heads * width), index_key=matmul_flops(t, d_model, width),
                        layer_norm=operations.layer_norm_flops(t, width), index_weights=matmul_flops(t, d_model, heads),
                        index_scores=pairs * heads * (2 * width + 3))  # dot products, positive parts, weighted sum
        pairs = step.chosen_pairs(s)
    # Rebuilt, the up projections meet every latent and heads have keys of their own; absorbed, they meet the new tokens.
    rows, key_width, value_width = (step.start + t, d_nope + d_rope, d_value) if step.rebuilt else (t, rank + d_rope, rank)
    return work + Counter(key_up=n_heads * matmul_flops(rows, rank, d_nope), value_up=n_heads * matmul_flops(rows, rank, d_value),
                          scores=operations.score_flops(pairs, n_heads, key_width),
                          softmax=operations.softmax_flops(pairs, n_heads),
                          weighted_values=operations.weighting_flops(pairs, n_heads, value_width))


def compressed_attention(d_model, n_heads, s, step: Pass) -> Counter:
    """A window of shared keys and values, with or without compressed entries beside it, with or without an indexer."""
    t, d_head, rank, groups = step.tokens, s["d_head"], s["q_rank"], s["n_output_groups"]
    latents = groups * s["output_rank"]
    work = Counter(query_down=matmul_flops(t, d_model, rank), query_up=matmul_flops(t, rank, n_heads * d_head),
                   key_value=matmul_flops(t, d_model, d_head), unit_norm=t * n_heads * (3 * d_head + 3),
                   rms_norm=operations.rms_norm_flops(t, rank) + operations.rms_norm_flops(t, d_head),
                   rotate=operations.rotation_flops(t, 2 * n_heads, 1, d_head),  # what comes out is turned back
                   output_down=matmul_flops(t, n_heads * d_head // groups, latents), output_up=matmul_flops(t, latents, d_model))
    pairs = step.pairs(s)
    if "compress_ratio" in s:
        work += _compressor("shared", d_model, d_head, s, step)
        entries = step.compressed_pairs(s)
        if s["n_index_heads"]:
            heads, width = s["n_index_heads"], s["d_index"]
            work += _compressor("index", d_model, width, s, step)
            work += Counter(index_query=matmul_flops(t, rank, heads * width), index_weights=matmul_flops(t, d_model, heads),
                            rotate=operations.rotation_flops(t, heads, 0, width),
                            index_scores=entries * heads * (2 * width + 3))  # dot products, positive parts, weighted sum
            entries = step.compressed_pairs(s, s["index_top_k"])
        pairs += entries
    return work + Counter(scores=operations.score_flops(pairs, n_heads, d_head),
                          softmax=operations.softmax_flops(pairs + t, n_heads),  # one more score for each head, the sink
                          weighted_values=operations.weighting_flops(pairs, n_heads, d_head))


def _compressor(name, d_model, width, s, step):
    """Values and gates for each token; for each finished window a softmax over its slots, a mean, a norm, a rotation."""
    t, wide, windows = step.tokens, s["n_overlaps"] * width, step.windows(s)
    slots = windows * s["compress_ratio"] * wide  # of all channels
    product = matmul_flops(t, d_model, wide)
    return Counter({f"{name}_value": product, f"{name}_gate": product, "add_bias": t * wide,
                    "softmax": operations.softmax_flops(slots, 1), "pool": 2 * slots,
                    "rms_norm": operations.rms_norm_flops(windows, width),
                    "rotate": operations.rotation_flops(windows, 0, 1, width)})


def lightning_attention(d_model, n_heads, s, step: Pass) -> Counter:
    """Linear attention with a fixed decay, token by token or in chunks."""
    t, heads, d_key, d_value = step.tokens, s["n_state_heads"], s["d_key"], s["d_value"]
    keys, values = heads * d_key, heads * d_value
    work = Counter(query=matmul_flops(t, d_model, keys), key=matmul_flops(t, d_model, keys),
                   value=matmul_flops(t, d_model, values), output_gate=matmul_flops(t, d_model, values),
                   output=matmul_flops(t, values, d_model), silu=silu_flops(t * (2 * keys + values)),
                   rms_norm=operations.rms_norm_flops(t, values), gate_output=gate_flops(t * values))
    if step.chunk == 1:
        return work + Counter(recurrence=t * heads * 5 * d_key * d_value)
    size = step.chunk or t
    whole = t // size * _chunk_flops(size, d_key, d_value) + (_chunk_flops(t % size, d_key, d_value) if t % size else 0)
    return work + Counter(chunked_recurrence=heads * whole)


def _chunk_flops(size, d_key, d_value):
    """One head and chunk: the masked product inside it, the read of the state before it, the state after it."""
    within = matmul_flops(size, d_key, size) + size * size + matmul_flops(size, size, d_value)
    read = size * d_key + matmul_flops(size, d_key, d_value) + size * d_value
    return within + read + size * d_key + matmul_flops(d_key, size, d_value) + 2 * d_key * d_value


def gated_delta(d_model, n_heads, s, step: Pass) -> Counter:
    """Gated DeltaNet: one decay for each head."""
    t, heads = step.tokens, s["n_state_heads"]
    work = _delta_rule(d_model, s, step, decays=heads)
    return work + Counter(decay_gate=matmul_flops(t, d_model, heads),
                          output_gate=matmul_flops(t, d_model, heads * s["d_value"]))


def kimi_delta(d_model, n_heads, s, step: Pass) -> Counter:
    """Kimi delta attention: one decay for each key channel, from a bottleneck."""
    t, keys, values = step.tokens, s["n_state_heads"] * s["d_key"], s["n_state_heads"] * s["d_value"]
    work = _delta_rule(d_model, s, step, decays=keys)
    work += Counter(decay_down=matmul_flops(t, d_model, s["d_key"]), decay_up=matmul_flops(t, s["d_key"], keys))
    if s["full_rank_gate"]:
        return work + Counter(output_gate=matmul_flops(t, d_model, values))
    return work + Counter(gate_down=matmul_flops(t, d_model, s["d_value"]), gate_up=matmul_flops(t, s["d_value"], values))


def _delta_rule(d_model, s, step, decays):
    """What both delta rules do, with `decays` decay factors for each token."""
    t, heads, d_key, d_value = step.tokens, s["n_state_heads"], s["d_key"], s["d_value"]
    keys, values = s["n_key_heads"] * d_key, heads * d_value
    channels = 2 * keys + values
    return Counter(query=matmul_flops(t, d_model, keys), key=matmul_flops(t, d_model, keys),
                   value=matmul_flops(t, d_model, values), output=matmul_flops(t, values, d_model),
                   write_gate=matmul_flops(t, d_model, heads), short_convolution=t * (2 * s["conv_width"] - 1) * channels,
                   silu=silu_flops(t * channels), l2_norm=2 * t * s["n_key_heads"] * (3 * d_key + 2),
                   sigmoid=silu_flops(t * heads), decays=7 * t * decays,
                   delta_recurrence=t * heads * 7 * d_key * d_value, correction=2 * t * heads * d_value,
                   rms_norm=heads * operations.rms_norm_flops(t, d_value), gate_output=gate_flops(t * values))


def gate_flops(elements):
    """FLOPs of `elements` divided by one plus an exponential."""
    return 4 * elements


silu_flops = gate_flops
