"""Shapes of a decoder, checked, and what follows from them: parameters by component, state by how it grows.

Shapes are a mapping from names to values, with `layers` a list of groups of equal attention layers
(`llmcost.layers`). They come from `data/` or from a reader's own `config.json` (`llmcost.configs`).

The parameter count includes everything that one forward pass holds: embeddings, attention, MLPs, experts,
routers, norms and the LM head. It leaves out what is not part of that pass: multi-token-prediction
modules, vision towers, quantization scales.
"""

from collections.abc import Mapping

from . import layers, ledger, moe, transformer
from .ledger import OPTIONAL


class ShapeError(ValueError):
    """Shapes that no model can have: the message says what was given and what is needed."""


NEEDED = ("d_model", "n_layers", "n_heads", "vocab_size")
MIXTURE = ("n_experts", "n_active_experts", "d_expert", "n_shared_experts", "n_dense_layers")
MAY_BE_ZERO = {"n_shared_experts", "n_dense_layers", "index_scale_bytes", "q_rank", *(
    name for name, value in OPTIONAL.items() if value == 0 and not isinstance(value, bool))}
LARGEST = 10**9  # no width, count or length of any model is near it


def facts_from(place: str, shapes: Mapping) -> dict:
    """`shapes` and what is computed from them: parameter counts, and the sums over layers that formulas take.

    A dense model is a mixture whose layers are all dense. A shape of the attention layers is a fact of the
    model where every layer has it, with the same value; not so `n_kv_heads` and `d_head` of layers
    that do not cache every token, so that a formula for full attention cannot take them.

    Raises `ShapeError`, beginning with `place`, for a shape that is missing, unknown, out of range or in
    contradiction with another.
    """
    check(place, shapes)
    dense = {"n_experts": 1, "n_active_experts": 1, "n_shared_experts": 0, "n_dense_layers": shapes["n_layers"],
             "d_expert": 0}
    full = {**OPTIONAL, **dense, **shapes}
    parts = parameters(full)
    routed = parts["routed experts"]
    idle = routed // full["n_experts"] * (full["n_experts"] - full["n_active_experts"])
    table = transformer.embedding_params(full["vocab_size"], full["d_model"])
    counts = {"n_params": sum(parts.values()), "n_active_params": sum(parts.values()) - idle, "n_expert_params": routed,
              "n_lookup_params": 0 if full["tied_embeddings"] else table, "n_head_params": table}
    work = {"token_flops": ledger.token_flops(full), "logit_flops": ledger.logit_flops(full)}
    return {**dense, **shapes, **_shared_by_all(shapes["layers"]), **_state_sums(place, shapes), **counts, **work}


def parameters(shapes: Mapping) -> dict[str, int]:
    """Parameters by component; their sum is the model's size. `shapes` is complete, as `facts_from` makes it."""
    s = {**OPTIONAL, **shapes}
    d, mixtures = s["d_model"], s["n_layers"] - s["n_dense_layers"]
    expert_in = s["d_expert_in"] or d
    expert = moe.expert_params(expert_in, s["d_expert"]) + s["expert_bias"] * (2 * s["d_expert"] + expert_in)
    router_bias = s["router_bias"] * (mixtures - s["n_hash_layers"]) * s["n_experts"]
    return {
        "embedding": transformer.embedding_params(s["vocab_size"], d),
        "attention": sum(group["n"] * layers.params(d, s["n_heads"], group) for group in s["layers"]),
        "mlp": s["n_dense_layers"] * _mlp_params(s),
        "shared experts": mixtures * (s["n_shared_experts"] * moe.expert_params(d, s["d_shared"] or s["d_expert"])
                                      + s["shared_gate"] * d),
        "routed experts": mixtures * s["n_experts"] * expert,
        "router": mixtures * moe.router_params(d, s["n_experts"]) + router_bias,
        "expert latents": mixtures * (2 * d * expert_in + expert_in) if s["d_expert_in"] else 0,
        "norms": (1 + s["norm_bias"]) * d * (s["norms_per_layer"] * s["n_layers"] + 1),
        "residual mixing": _residual_params(s),
        "LM head": (0 if s["tied_embeddings"] else transformer.embedding_params(s["vocab_size"], d))
        + s["head_bias"] * s["vocab_size"],
    }


def _mlp_params(s: Mapping) -> int:
    params = transformer.mlp_params if s["mlp_gated"] else transformer.plain_mlp_params
    biases = (1 + s["mlp_gated"]) * s["d_ff"] + s["d_model"]
    return params(s["d_model"], s["d_ff"]) + s["mlp_bias"] * biases


def _residual_params(s: Mapping) -> int:
    d, streams = s["d_model"], s["n_residual_streams"]
    mixing = 2 * s["n_layers"] * transformer.residual_mixing_params(d, streams) + streams * (streams * d + 1) + 1
    return (mixing if streams else 0) + s["n_residual_vectors"] * d


def prediction_module_params(shapes: Mapping) -> int:
    """Parameters of one multi-token-prediction module in the manner of DeepSeek-V3, which `parameters` leaves out.

    One more mixture layer, a projection of two vectors to one, three norms, and its own embedding and LM head.
    Source: DeepSeek-V3, section 2.2, with the copies that the weight files hold.
    """
    one = {**shapes, "n_layers": 1, "n_dense_layers": 0, "layers": [{**shapes["layers"][-1], "n": 1}]}
    return sum(parameters(one).values()) + 2 * shapes["d_model"] ** 2 + 2 * shapes["d_model"]


# --- sums over layers ----------------------------------------------------------------------------

def _shared_by_all(groups: list[Mapping]) -> dict:
    """Shapes that every layer has with the same value: those may stand for the model."""
    first, *rest = groups
    caches_all = {group["attention"] for group in groups} <= {"full", "mla"}
    withheld = {"n", "attention", "window", "chunk", "index_top_k", *(() if caches_all else ("n_kv_heads", "d_head"))}
    return {name: value for name, value in first.items()
            if name not in withheld and all(group.get(name) == value for group in rest)}


def _state_sums(place: str, shapes: Mapping) -> dict:
    """Sums over the layers, and the limits that all of them share."""
    sums: dict = dict.fromkeys(layers.SUMS, 0)
    limits: dict[str, set] = {name: set() for name in layers.LIMITS}
    for group in shapes["layers"]:
        for name, value in layers.state(shapes["n_heads"], group).items():
            if name in limits:
                limits[name].add(value)
            else:
                sums[name] += group["n"] * value
    for name, found in limits.items():
        if len(found) > 1:
            raise ShapeError(f"{place} has layers with different {name}, {sorted(found)}; one formula holds one of them")
    whole = {name: int(value) if value == int(value) else value for name, value in sums.items()}
    return {**whole, **{name: found.pop() if found else layers.LONGEST for name, found in limits.items()},
            "kv_shards": _shards(shapes["layers"], grows=True), "fixed_shards": _shards(shapes["layers"], grows=False)}


def _shards(groups: list[Mapping], grows: bool) -> int:
    """Ways the state of the layers that grow, or of the others, splits over GPUs: those of the least divisible kind."""
    kinds = [(layers.kind_of(group), group) for group in groups]
    return min((kind.shards(group) for kind, group in kinds if kind.grows == grows), default=1)


# --- checks --------------------------------------------------------------------------------------

def check(place: str, shapes: Mapping) -> None:
    """Raise `ShapeError` unless every shape is there, known, a whole number in range, and consistent with the others."""
    known = {*NEEDED, *MIXTURE, *OPTIONAL, "layers"}
    if unknown := sorted(set(shapes) - known):
        raise ShapeError(f"{place} has {', '.join(unknown)}, which no model has; it may have {', '.join(sorted(known))}")
    if bool(shapes.get("n_residual_vectors")) != bool(shapes.get("residual_block")):
        raise ShapeError(f"{place} has n_residual_vectors = {shapes.get('n_residual_vectors', 0)} and residual_block = "
                         f"{shapes.get('residual_block', 0)}; attention residuals need both, and neither stands alone")
    is_mixture = "n_experts" in shapes
    dense_layers = shapes.get("n_dense_layers", 0) if is_mixture else 1
    _check_whole(place, shapes, NEEDED + (MIXTURE if is_mixture else ()) + (("d_ff",) if dense_layers else ()))
    for name, usual in OPTIONAL.items():
        if isinstance(usual, bool) and not isinstance(shapes.get(name, usual), bool):
            raise ShapeError(f"{place} has {name} = {shapes[name]!r}; it must be true or false")
        if not isinstance(usual, bool) and name in shapes:
            _check_whole(place, shapes, (name,))
    if dense_layers and not shapes["d_ff"]:
        raise ShapeError(f"{place} has d_ff = 0 but has dense layers; it must be 1 or more")
    if is_mixture:
        _check_mixture(place, shapes)
    groups = shapes.get("layers")
    if not isinstance(groups, list) or not groups or not all(isinstance(group, Mapping) for group in groups):
        raise ShapeError(f"{place} has no layers; it needs a list of groups of layers, each with attention and n")
    for group in groups:
        _check_group(place, shapes["n_heads"], group)
    if (total := sum(group["n"] for group in groups)) != shapes["n_layers"]:
        raise ShapeError(f"{place} has n_layers = {shapes['n_layers']} but its layers add up to {total}")


def _check_mixture(place: str, shapes: Mapping) -> None:
    if shapes["n_active_experts"] > shapes["n_experts"]:
        raise ShapeError(f"{place} uses {shapes['n_active_experts']} experts per token but has {shapes['n_experts']}")
    if shapes["n_dense_layers"] > shapes["n_layers"]:
        raise ShapeError(f"{place} has {shapes['n_dense_layers']} dense layers among {shapes['n_layers']} layers")
    if shapes.get("n_hash_layers", 0) > shapes["n_layers"] - shapes["n_dense_layers"]:
        raise ShapeError(f"{place} routes {shapes['n_hash_layers']} layers by hash, more than it has with experts")


def _check_group(place: str, n_heads: int, group: Mapping) -> None:
    name = group.get("attention")
    if not isinstance(name, str) or name not in layers.KINDS:
        raise ShapeError(f"{place} has a layer with attention = {name!r}; it is one of {', '.join(layers.KINDS)}")
    kind, where = layers.KINDS[name], f"{place}, {name} layers"
    indexer = layers.INDEXER if "n_index_heads" in kind.may and "n_index_heads" in group else ()
    if unknown := sorted(set(group) - {"attention", "n", *kind.needs, *kind.may, *indexer}):
        raise ShapeError(f"{where} have {', '.join(unknown)}; they may have {', '.join((*kind.needs, *kind.may))}")
    counts = [shape for shape, usual in kind.may.items() if shape in group and type(usual) is int]
    _check_whole(where, group, ("n", *kind.needs, *indexer, *counts))
    for shape, usual in kind.may.items():
        if isinstance(usual, bool) and not isinstance(group.get(shape, usual), bool):
            raise ShapeError(f"{where} have {shape} = {group[shape]!r}; it must be true or false")
    if group.get("qk_norm", "none") not in layers.QK_NORMS:
        raise ShapeError(f"{where} have qk_norm = {group['qk_norm']!r}; it is one of {', '.join(layers.QK_NORMS)}")
    if "n_kv_heads" in group and n_heads % group["n_kv_heads"]:
        raise ShapeError(f"{place} has {n_heads} query heads for {group['n_kv_heads']} KV heads; query heads share KV "
                         f"heads in equal groups, so the first must be a multiple of the second")
    if indexer and name == "mla" and not group.get("q_rank"):
        raise ShapeError(f"{where} have an indexer but no q_rank; the indexer's queries come from the query latent")


def _check_whole(place: str, shapes: Mapping, names: tuple[str, ...]) -> None:
    for name in names:
        if name not in shapes:
            raise ShapeError(f"{place} has no {name}; it needs {', '.join(names)}")
        value, least = shapes[name], 0 if name in MAY_BE_ZERO else 1
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= LARGEST:
            raise ShapeError(f"{place} has {name} = {value!r}; it must be a whole number from {least} to {LARGEST:,}")
