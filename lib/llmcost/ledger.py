"""The ledger of a forward pass: FLOPs of every operation, for any shapes, in closed form.

It knows what `llmcost.reference_model` does from the papers, not from its code: the two are held against each other
by counting what the model really asks NumPy to do (`llmcost.counting`).
"""

from collections import Counter
from collections.abc import Mapping

from . import layers, operations
from .layer_operations import Pass, WithoutPairs
from .roofline import matmul_flops

OPTIONAL = {"tied_embeddings": False, "mlp_gated": True, "mlp_bias": False, "norms_per_layer": 2, "norm_bias": False,
            "head_bias": False, "router_bias": False, "expert_bias": False, "shared_gate": False, "n_hash_layers": 0,
            "n_residual_streams": 0, "d_shared": 0, "d_expert_in": 0, "d_ff": 0, "n_residual_vectors": 0, "residual_block": 0}
"""Shapes that most models do not state, with the value that then holds; 0 means absent, or the usual width.

`residual_block` is the number of layers between two streams of attention residuals, where there are `n_residual_vectors`.
"""
RECURRENCES = ("recurrence", "delta_recurrence")
SINKHORN_STEPS = 20
"""Source: DeepSeek-V4, released inference code, hc_sinkhorn_iters."""


def pass_flops(shapes: Mapping, step: Pass, sequences: int = 1, every_logit: bool = False) -> dict[str, float]:
    """FLOPs by operation of one pass over `sequences` equal sequences, for the facts of a model or `llmcost.shapes.facts_from`.

    Logits are those of the last token of each sequence; with `every_logit`, of every token.

    >>> from llmcost.catalog import MODELS
    >>> work = pass_flops(MODELS["llama_3_1_70b"].facts, Pass(tokens=2048))
    >>> work["head"], round(sum(work.values()) / 1e12, 2)
    (2101346304, 285.98)
    """
    shapes = {**OPTIONAL, **shapes}
    total = _body(shapes, step) + _head(shapes, step.tokens if every_logit else 1)
    return {name: sequences * flops for name, flops in sorted(total.items()) if flops}


def token_flops(shapes: Mapping) -> float:
    """FLOPs of one token whatever its context, logits and recurrences left out."""
    work = _body({**OPTIONAL, **shapes}, WithoutPairs(tokens=1))
    return sum(flops for name, flops in work.items() if name not in RECURRENCES)


def logit_flops(shapes: Mapping) -> float:
    """FLOPs of the logits of one token: the last norm and the LM head."""
    return sum(_head({**OPTIONAL, **shapes}, 1).values())


def _body(s: Mapping, step: Pass) -> Counter:
    total = _residuals(s, step.tokens) + _norm(s, step.tokens, s["norms_per_layer"] * s["n_layers"])
    for group in s["layers"]:
        total += _times(group["n"], layers.operations(s["d_model"], s["n_heads"], group, step))
    return (total + _times(s["n_dense_layers"], _mlp(s, step.tokens, s["d_ff"], gated=s["mlp_gated"], bias=s["mlp_bias"]))
            + _times(s["n_layers"] - s["n_dense_layers"] - s["n_hash_layers"], _mixture(s, step.tokens))
            + _times(s["n_hash_layers"], _mixture({**s, "router_bias": False}, step.tokens)))


def _head(s: Mapping, tokens: int) -> Counter:
    return (_norm(s, tokens, 1) + _last_residual(s, tokens)
            + Counter(head=matmul_flops(tokens, s["d_model"], s["vocab_size"]),
                      add_bias=tokens * s["vocab_size"] * s["head_bias"]))


def _residuals(s, tokens):
    """What happens to the residual stream, or streams, around all sublayers."""
    n, d_model, n_layers = s["n_residual_streams"], s["d_model"], s["n_layers"]
    if n:
        connections, halves = (2 + n) * n, 2 * n_layers * tokens
        stochastic = n * n + (2 * SINKHORN_STEPS - 1) * (2 * n * n + n)
        return _stream_products(s, halves, connections) + Counter(
            connections=halves * (2 * connections + 2 * n), sigmoid=8 * halves * n, softmax=5 * halves * n * n,
            doubly_stochastic=halves * stochastic, join_streams=2 * halves * n * d_model,
            mix_streams=2 * halves * n * d_model * (n + 1))
    if s["n_residual_vectors"]:
        begun = [layer // s["residual_block"] + 1 for layer in range(n_layers)]  # streams, the one of the layer included
        before = [0, *begun[:-1]]
        read = sum(earlier + 1 for earlier in before if earlier) + sum(earlier + 1 for earlier in begun)
        return _stream_attention(s, read * tokens) + Counter(add_residual=(2 * n_layers - begun[-1]) * tokens * d_model)
    return Counter(add_residual=2 * n_layers * tokens * d_model)


def _last_residual(s, tokens):
    """What joins the streams before the logits."""
    n = s["n_residual_streams"]
    if n:
        return _stream_products(s, tokens, n) + Counter(last_connections=3 * tokens * n, sigmoid=4 * tokens * n,
                                                        join_streams=2 * tokens * n * s["d_model"])
    return _stream_attention(s, (-(-s["n_layers"] // s["residual_block"]) + 1) * tokens) if s["n_residual_vectors"] else Counter()


def _stream_products(s, reads, outputs):
    """All streams side by side times a matrix, over the root of their mean square."""
    width = s["n_residual_streams"] * s["d_model"]
    return Counter(connect=matmul_flops(reads, width, outputs), root_mean_square=reads * (2 * width + 3),
                   stream_products=reads * outputs)


def _stream_attention(s, streams):
    """Attention to that many streams, over all tokens: norm, dot product, softmax, weighted sum."""
    return Counter(rms_norm=operations.rms_norm_flops(streams, s["d_model"]), stream_query=matmul_flops(streams, s["d_model"], 1),
                   softmax=operations.softmax_flops(streams, 1), join_streams=2 * streams * s["d_model"])


def _norm(s, tokens, count):
    if s["norm_bias"]:
        return Counter(layer_norm=count * operations.layer_norm_flops(tokens, s["d_model"]))
    return Counter(rms_norm=count * operations.rms_norm_flops(tokens, s["d_model"]))


def _times(count, work: Counter) -> Counter:
    return Counter({name: count * flops for name, flops in work.items()})


def _mlp(s, rows, width, gated=True, bias=False, d_model=None, prefix=""):
    """One MLP over `rows` tokens."""
    d_model = d_model or s["d_model"]
    product = matmul_flops(rows, d_model, width)
    work = Counter({f"{prefix}up": product, f"{prefix}down": product})
    if gated:
        work += Counter({f"{prefix}gate": product, "swiglu": operations.swiglu_flops(rows, width)})
    else:
        work["gelu"] = 9 * rows * width
    return work + Counter(add_bias=bias * rows * ((1 + gated) * width + d_model))


def _mixture(s, tokens):
    """One mixture over `tokens` tokens, whichever experts they go to."""
    d_model, inner, sent = s["d_model"], s["d_expert_in"] or s["d_model"], tokens * s["n_active_experts"]
    work = _mlp(s, sent, s["d_expert"], bias=s["expert_bias"], d_model=inner, prefix="expert_")
    work += Counter(router=matmul_flops(tokens, d_model, s["n_experts"]), combine=2 * sent * inner,
                    route=5 * sent + tokens * s["n_experts"] * s["router_bias"])
    if s["d_expert_in"]:
        work += Counter(expert_in=matmul_flops(tokens, d_model, inner), expert_out=matmul_flops(tokens, inner, d_model),
                        rms_norm=operations.rms_norm_flops(tokens, inner))
    if s["n_shared_experts"]:
        work += _mlp(s, tokens, s["n_shared_experts"] * (s["d_shared"] or s["d_expert"]), prefix="shared_")
        work["add_shared"] = tokens * d_model
    if s["shared_gate"]:
        work += Counter(shared_weight=matmul_flops(tokens, d_model, 1), gate_output=tokens * (d_model + 3))
    return work
