"""Shapes that the reference model can run, checked before anything is built."""

from collections.abc import Mapping


class ReferenceError(ValueError):
    """Something that the reference model cannot run: the message says what was given and what it needs."""


NEEDED = "d_model n_layers n_heads vocab_size layers".split()
DEFAULTS = {"n_experts": 1, "n_active_experts": 0, "n_dense_layers": 0, "tied_embeddings": False, "mlp_gated": True,
            "mlp_bias": False, "norms_per_layer": 2, "norm_bias": False, "head_bias": False, "router_bias": False,
            "expert_bias": False, "shared_gate": False, "d_ff": 0, "d_shared": 0, "d_expert_in": 0, "d_expert": 0,
            "n_shared_experts": 0, "n_hash_layers": 0, "n_residual_streams": 0, "n_residual_vectors": 0, "residual_block": 0}
"""Further shapes of a model, with the value that holds where they are absent; of a model with one expert all layers are dense."""
INDEXER = {"n_index_heads": 0, "d_index": 0, "index_top_k": 0, "index_bytes_per_element": 0, "index_scale_bytes": 0}
SOFTMAX = {"qkv_bias": False, "output_bias": False, "qk_norm": "none", "sinks": False, "output_gate": False}
SHARED = "d_head window q_rank n_output_groups output_rank"
DELTA = "n_key_heads n_state_heads d_key d_value conv_width"
LAYERS = {
    "full": ("n_kv_heads d_head", SOFTMAX), "sliding": ("n_kv_heads d_head window", SOFTMAX),
    "chunked": ("n_kv_heads d_head chunk", SOFTMAX),
    "sparse": ("n_kv_heads d_head n_index_heads d_index index_top_k", {**SOFTMAX, **INDEXER}),
    "mla": ("kv_rank d_nope d_rope d_value", {"q_rank": 0, "output_gate": False, **INDEXER}),
    "compressed": (f"{SHARED} compress_ratio n_overlaps", INDEXER), "shared_window": (SHARED, {}),
    "linear": ("n_state_heads d_key d_value", {}), "gated_delta": (DELTA, {}), "kda": (DELTA, {"full_rank_gate": False}),
}
"""Shapes that each kind of layer needs, and those it may have, with the value that holds where they are absent."""
MULTIPLES = (("n_heads", "n_kv_heads"), ("n_heads", "n_output_groups"), ("n_state_heads", "n_key_heads"))


def check_count(name: str, value, least: int = 1) -> None:
    """Raise `ReferenceError` unless `value` is a whole number, `least` or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ReferenceError(f"{name} = {value!r}; it must be a whole number, {least} or more")


def check(shapes: Mapping) -> dict:
    """`shapes` with what they leave out. Raises `ReferenceError` for those that cannot be built."""
    _check_named("the model", shapes, NEEDED, DEFAULTS)
    s = {**DEFAULTS, **shapes}
    if "n_dense_layers" not in shapes and s["n_experts"] == 1:
        s["n_dense_layers"] = s["n_layers"]
    dense, mixed = s["n_dense_layers"], s["n_layers"] - s["n_dense_layers"]
    check_count("n_experts", s["n_experts"])
    if s["n_active_experts"] > s["n_experts"]:
        raise ReferenceError(f"n_active_experts = {s['n_active_experts']} of n_experts = {s['n_experts']}; a token can use each "
                             f"once")
    for name in (*(["d_ff"] if dense else []), *(["n_active_experts", "d_expert"] if mixed > 0 else [])):
        check_count(name, s[name])
    if mixed < 0 or s["n_hash_layers"] > mixed:
        raise ReferenceError(f"n_dense_layers = {dense} and n_hash_layers = {s['n_hash_layers']} of n_layers = {s['n_layers']}; "
                             f"the first layers are dense, the next route by hash, and together they are at most all")
    if s["shared_gate"] and not s["n_shared_experts"]:
        raise ReferenceError("shared_gate = True with n_shared_experts = 0; there is nothing to gate")
    for group in s["layers"]:
        _check_layer(s["n_heads"], group)
    if (count := sum(group["n"] for group in s["layers"])) != s["n_layers"]:
        raise ReferenceError(f"n_layers = {s['n_layers']}, but the n of its layers add up to {count}")
    _check_residuals(s)
    return s


def _check_named(place, shapes, needed, may) -> None:
    """All of `needed`, nothing that is in neither, every number a count and every switch true or false."""
    if missing := [name for name in needed if name not in shapes]:
        raise ReferenceError(f"{place} has no {', '.join(missing)}; it needs {', '.join(needed)}")
    if unknown := sorted(set(shapes) - {*needed, *may}):
        raise ReferenceError(f"{place} has {', '.join(unknown)}, which it cannot have; it may have "
                             f"{', '.join(may) or 'nothing more'}")
    for name, value in shapes.items():
        if isinstance(may.get(name), bool) and name not in needed:
            if not isinstance(value, bool):
                raise ReferenceError(f"{place} has {name} = {value!r}; it must be True or False")
        elif name not in ("layers", "attention", "qk_norm", "index_bytes_per_element"):
            check_count(f"{name} of {place}", value, least=int(name in needed))


def _check_layer(n_heads, group) -> None:
    kind = group.get("attention") if isinstance(group, Mapping) else group
    if not isinstance(group, Mapping) or kind not in LAYERS:
        raise ReferenceError(f"layers of kind {kind}; the reference model runs {', '.join(LAYERS)}")
    needed, may = LAYERS[kind]
    _check_named(f"a {kind} layer", group, ["attention", "n", *needed.split()], may)
    if group.get("qk_norm", "none") not in ("none", "head", "projection"):
        raise ReferenceError(f"qk_norm = {group['qk_norm']!r}; it is none, head or projection")
    s = {"n_heads": n_heads, **group}
    for whole, part in MULTIPLES:
        if part in s and s[whole] % s[part]:
            raise ReferenceError(f"{s[whole]} heads for {part} = {s[part]}; the first must be a multiple of the second")
    if kind == "kda" and s["n_key_heads"] != s["n_state_heads"]:
        raise ReferenceError(f"n_key_heads = {s['n_key_heads']} of a kda layer with n_state_heads = {s['n_state_heads']}; its "
                             f"heads have keys of their own, so the two must be equal")
    if s.get("n_index_heads"):
        for name in ("d_index", "index_top_k", *(["q_rank"] if kind != "sparse" else [])):
            check_count(f"{name} of a {kind} layer with an indexer", s.get(name, 0))
    for name in ("d_rope", "d_head", *(["d_index"] if kind == "compressed" else [])):
        if s.get(name, 0) % 2:
            raise ReferenceError(f"{name} = {s[name]}, a width of {s[name]} to rotate; rotary pairs need an even one")


def _check_residuals(s) -> None:
    streams, vectors, block = s["n_residual_streams"], s["n_residual_vectors"], s["residual_block"]
    if s["norms_per_layer"] not in (1, 2):
        raise ReferenceError(f"norms_per_layer = {s['norms_per_layer']}; the reference model has 1 or 2")
    if s["norms_per_layer"] == 1 and (streams or vectors):
        raise ReferenceError(f"norms_per_layer = 1 with n_residual_streams = {streams} and n_residual_vectors = {vectors}; each "
                             f"half of a block reads such streams itself, which needs 2 norms")
    if vectors not in (0, 4 * s["n_layers"] + 2):
        raise ReferenceError(f"n_residual_vectors = {vectors} with n_layers = {s['n_layers']}; each sublayer and the last read "
                             f"have two, {4 * s['n_layers'] + 2} in all, or there are none, 0")
    if bool(vectors) != bool(block):
        raise ReferenceError(f"n_residual_vectors = {vectors} and residual_block = {block}; attention residuals need both, and "
                             f"neither stands alone")
    if streams and vectors:
        raise ReferenceError(f"n_residual_streams = {streams}, n_residual_vectors = {vectors}; a model has streams side by side "
                             f"or attends to earlier ones, so one of the two must be 0")
