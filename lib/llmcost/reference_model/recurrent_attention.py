"""Attention with a state that does not grow: lightning attention, the gated delta rule, Kimi delta attention.

The state of a head is a matrix [d_key, d_value]. A token makes it decay, writes an outer product into it and reads
one row out of it. A delta rule writes only the difference between the value and what the state already says.
"""

import numpy

from .parts import gate_output, l2_norm, merge_heads, rms_norm, sigmoid, silu, split_heads

# --- lightning attention --------------------------------------------------------------------------

def linear_weights(draw, d_model, n_heads, s):
    """Weights of one lightning-attention layer. Source: MiniMax-01, released code."""
    keys, values = s["n_state_heads"] * s["d_key"], s["n_state_heads"] * s["d_value"]
    return {"query": draw(d_model, keys), "key": draw(d_model, keys), "value": draw(d_model, values),
            "output_gate": draw(d_model, values), "output": draw(values, d_model), "head_norm": draw(values)}


def linear_cache(batch, s):
    """The state [sequences, heads, d_key, d_value]."""
    return {"state": numpy.zeros((batch, s["n_state_heads"], s["d_key"], s["d_value"]))}


def linear_attention(x, w, s, cache, step):
    """One lightning-attention layer: token by token, or in chunks that are computed in parallel."""
    queries, keys, values = (split_heads(silu(x @ w[name]), s["n_state_heads"]) for name in ("query", "key", "value"))
    decay = numpy.exp(-(2.0 ** (-8 * (numpy.arange(s["n_state_heads"]) + 1) / s["n_state_heads"])))[:, None, None]
    if step.paths.chunk == 1:
        mixed, cache["state"] = recurrence(queries, keys, values, decay, cache["state"])
    else:
        mixed, cache["state"] = chunked_recurrence(queries, keys, values, decay, cache["state"], step.paths.chunk)
    mixed = rms_norm(merge_heads(mixed), w["head_norm"])
    return gate_output(mixed, x @ w["output_gate"]) @ w["output"]


def recurrence(queries, keys, values, decay, state):
    """Token by token: the state decays, takes in key times value, and is read by the query."""
    rows = []
    for row in range(queries.shape[2]):
        key, value = keys[:, :, row, :, None], values[:, :, row, None, :]
        state = state * decay + key * value
        rows.append(queries[:, :, row:row + 1] @ state)
    return numpy.concatenate(rows, axis=2), state


def chunked_recurrence(queries, keys, values, decay, state, chunk):
    """The same in chunks of `chunk` tokens, all tokens of a chunk at once; one chunk is the masked form.

    A token reads the state from before its chunk, and the tokens of its chunk through a masked product.
    """
    rows = []
    for begin in range(0, queries.shape[2], chunk or queries.shape[2]):
        q, k, v = (x[:, :, begin:begin + (chunk or queries.shape[2])] for x in (queries, keys, values))
        index = numpy.arange(q.shape[2])
        mask = numpy.where(index[:, None] >= index, decay ** (index[:, None] - index), 0)  # decay since the key was written
        within = (q @ k.swapaxes(-1, -2)) * mask @ v
        rows.append((q * decay ** (index[:, None] + 1)) @ state + within)
        state = state * decay ** len(index) + (k * decay ** (len(index) - 1 - index[:, None])).swapaxes(-1, -2) @ v
    return numpy.concatenate(rows, axis=2), state


# --- delta rules ----------------------------------------------------------------------------------

def gated_delta_weights(draw, d_model, n_heads, s):
    """Weights of one Gated DeltaNet layer. Source: Yang 2024, section 3.3, with the names of the released code."""
    keys, values, heads = s["n_key_heads"] * s["d_key"], s["n_state_heads"] * s["d_value"], s["n_state_heads"]
    return {"query": draw(d_model, keys), "key": draw(d_model, keys), "value": draw(d_model, values),
            "output_gate": draw(d_model, values), "write_gate": draw(d_model, heads), "decay_gate": draw(d_model, heads),
            "convolution": draw(s["conv_width"], 2 * keys + values), "decay_rate": abs(draw(heads)), "decay_bias": draw(heads),
            "head_norm": draw(s["d_value"]), "output": draw(values, d_model)}


def kda_weights(draw, d_model, n_heads, s):
    """Weights of one layer of Kimi delta attention. Source: Kimi Team 2025, section 3, and the released code."""
    keys, values, heads = s["n_state_heads"] * s["d_key"], s["n_state_heads"] * s["d_value"], s["n_state_heads"]
    gate = ({"output_gate": draw(d_model, values)} if s.get("full_rank_gate") else
            {"gate_down": draw(d_model, s["d_value"]), "gate_up": draw(s["d_value"], values)})
    return {"query": draw(d_model, keys), "key": draw(d_model, keys), "value": draw(d_model, values),
            "write_gate": draw(d_model, heads), "decay_down": draw(d_model, s["d_key"]), "decay_up": draw(s["d_key"], keys),
            "convolution": draw(s["conv_width"], 2 * keys + values), "decay_rate": abs(draw(heads)), "decay_bias": draw(keys),
            "head_norm": draw(s["d_value"]), "output": draw(values, d_model), **gate}


def delta_cache(batch, s):
    """The state [sequences, heads, d_key, d_value], and the last inputs of the short convolution."""
    width = 2 * s["n_key_heads"] * s["d_key"] + s["n_state_heads"] * s["d_value"]
    return {**linear_cache(batch, s), "inputs": numpy.zeros((batch, s["conv_width"] - 1, width))}


def delta_attention(x, w, s, cache, step):
    """One layer of either delta rule: short convolution, gates, the recurrence, norm and gate of the output."""
    heads, key_width = s["n_state_heads"], s["n_key_heads"] * s["d_key"]
    passed = numpy.concatenate([x @ w["query"], x @ w["key"], x @ w["value"]], axis=-1)
    extended = numpy.concatenate([cache["inputs"], passed], axis=1)
    cache["inputs"] = extended[:, extended.shape[1] - s["conv_width"] + 1:]
    mixed = silu(short_convolution(extended, w["convolution"], step.tokens))
    queries, keys = (l2_norm(split_heads(mixed[..., i * key_width:(i + 1) * key_width], s["n_key_heads"])) for i in (0, 1))
    queries, keys = (numpy.repeat(found, heads // s["n_key_heads"], axis=1) for found in (queries, keys))
    values = split_heads(mixed[..., 2 * key_width:], heads)
    gates = (x @ w["decay_down"]) @ w["decay_up"] if "decay_up" in w else x @ w["decay_gate"]
    decay = decays(gates, w["decay_bias"], w["decay_rate"])
    read, cache["state"] = delta_recurrence(queries, keys, values, decay, sigmoid(x @ w["write_gate"]), cache["state"])
    read = merge_heads(rms_norm(read, w["head_norm"]))
    gate = x @ w["output_gate"] if "output_gate" in w else (x @ w["gate_down"]) @ w["gate_up"]
    return gate_output(read, gate) @ w["output"]


def short_convolution(extended, weight, tokens):
    """Each channel of each token as a weighted sum of its last inputs: [sequences, tokens, channels]."""
    found = extended[:, :tokens] * weight[0]
    for i in range(1, len(weight)):
        found = found + extended[:, i:i + tokens] * weight[i]
    return found


def decays(gates, bias, rates):
    """Factors by which the state decays, exp(-rate softplus(gate)): [sequences, tokens, heads, 1 or d_key]."""
    softplus = numpy.log(numpy.exp(gates + bias) + 1)
    return numpy.exp(-(softplus.reshape(*gates.shape[:2], len(rates), -1) * rates[:, None]))


def delta_recurrence(queries, keys, values, decay, write, state):
    """Token by token: decay, look the key up, write the correction of its value, read.

    `decay` is [sequences, tokens, heads, d_key or 1], `write` [sequences, tokens, heads].
    """
    rows = []
    for row in range(queries.shape[2]):
        key = keys[:, :, row:row + 1]
        state = state * decay[:, row, :, :, None]
        change = correction(values[:, :, row:row + 1], key @ state, write[:, row, :, None, None])
        state = state + key.swapaxes(-1, -2) * change
        rows.append(queries[:, :, row:row + 1] @ state)
    return numpy.concatenate(rows, axis=2), state


def correction(value, known, write):
    """What the state is to take in: the value less what it says of the key already, times how much to write."""
    return (value - known) * write
