"""The other half of a block: an MLP, or a mixture of MLPs of which each token uses a few."""

import numpy

from .parts import add_bias, gate_output, gelu, rms_norm, swiglu


def mlp_weights(draw, d_model, d_ff, gated=True, bias=False, prefix=""):
    """Weights of one MLP. Llama's code calls gate, down and up w1, w2 and w3."""
    found = {f"{prefix}up": draw(d_model, d_ff), f"{prefix}down": draw(d_ff, d_model)}
    if gated:
        found[f"{prefix}gate"] = draw(d_model, d_ff)
    if bias:
        found |= {f"{prefix}{name}_bias": draw(array.shape[-1]) for name, array in
                  [(name.removeprefix(prefix), array) for name, array in found.items()]}
    return found


def mlp(x, w, prefix=""):
    """One MLP: SwiGLU where it has a gate, else GELU. `x` [..., d_model]."""
    wide = _projected(x, w, f"{prefix}up")
    hidden = swiglu(_projected(x, w, f"{prefix}gate"), wide) if f"{prefix}gate" in w else gelu(wide)
    return _projected(hidden, w, f"{prefix}down")


def _projected(x, w, name):
    return add_bias(x @ w[name], w[f"{name}_bias"]) if f"{name}_bias" in w else x @ w[name]


def mixture_weights(draw, s):
    """Weights of one mixture: the router, the experts as stacks [n_experts, ...], and what all tokens use."""
    d_model, inner = s["d_model"], s["d_expert_in"] or s["d_model"]
    found = {"router": draw(d_model, s["n_experts"])}
    if s["router_bias"]:
        found["router_bias"] = draw(s["n_experts"])
    experts = [mlp_weights(draw, inner, s["d_expert"], bias=s["expert_bias"], prefix="expert_") for _ in range(s["n_experts"])]
    found |= {name: numpy.stack([expert[name] for expert in experts]) for name in experts[0]}
    if s["n_shared_experts"]:
        found |= mlp_weights(draw, d_model, s["n_shared_experts"] * (s["d_shared"] or s["d_expert"]), prefix="shared_")
    if s["shared_gate"]:
        found["shared_weight"] = draw(d_model, 1)
    if s["d_expert_in"]:
        found |= {"expert_in": draw(d_model, inner), "expert_in_norm": draw(inner), "expert_out": draw(inner, d_model)}
    return found


def mixture(x, w, s, tokens=None):
    """One mixture: each token passes through its experts, weighted, and through what is shared. `x` [sequences, tokens, d_model].

    The numbers of the `tokens` are given where they choose the experts.
    """
    rows = x.reshape(-1, x.shape[-1])
    fixed = None if tokens is None else experts_of(tokens, s["n_active_experts"], s["n_experts"])
    chosen, weight = route(rows @ w["router"], s["n_active_experts"], w.get("router_bias"), fixed)
    entering = rms_norm(rows @ w["expert_in"], w["expert_in_norm"]) if "expert_in" in w else rows
    found = numpy.zeros_like(entering)
    for expert in numpy.unique(numpy.asarray(chosen)):
        sent, slot = numpy.nonzero(numpy.asarray(chosen) == expert)
        one = {name: w[name][expert] for name in w if name.startswith(("expert_gate", "expert_up", "expert_down"))}
        found[sent] = combine(found[sent], mlp(entering[sent], one, "expert_"), weight[sent, slot])
    if "expert_out" in w:
        found = found @ w["expert_out"]
    if "shared_up" in w:
        shared = mlp(rows, w, "shared_")
        found = add_shared(found, gate_output(shared, rows @ w["shared_weight"]) if "shared_weight" in w else shared)
    return found.reshape(x.shape)


def experts_of(tokens, n_active, n_experts):
    """Experts [tokens, n_active] that depend on nothing but the number of a token.

    DeepSeek-V4 has a table of them in its first layers; here they follow one another.
    """
    return (tokens.reshape(-1, 1) * n_active + numpy.arange(n_active)) % n_experts


def route(logits, n_active, bias=None, chosen=None):
    """The `n_active` experts of each token with the highest logits, or those `chosen`, and their weights, which add up to 1.

    A bias counts when experts are chosen, not when they are weighted. Source: DeepSeek-V3, section 2.1.2. Experts
    that are chosen otherwise are weighted by their logits, too. Source: DeepSeek-V4, released inference code.
    """
    if chosen is None:
        ranked = logits if bias is None else logits + bias
        chosen = numpy.argpartition(ranked, ranked.shape[-1] - n_active, axis=-1)[:, ranked.shape[-1] - n_active:]
    found = numpy.take_along_axis(logits, chosen, axis=-1)
    exponentials = numpy.exp(found - found.max(axis=-1, keepdims=True))
    return chosen, exponentials / exponentials.sum(axis=-1, keepdims=True)


def combine(total, output, weight):
    """`total` plus one expert's output for each of its tokens, times the token's weight for it."""
    return total + output * weight[:, None]


def add_shared(x, shared):
    """The experts' output plus that of the shared ones."""
    return x + shared
