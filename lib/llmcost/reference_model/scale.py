"""A model of the catalog made small: every kind of layer and every option kept, every number reduced."""

from collections.abc import Mapping
from math import gcd

WHOLE = ("tied_embeddings mlp_gated mlp_bias norms_per_layer norm_bias head_bias router_bias expert_bias shared_gate "
         "n_shared_experts n_residual_streams").split()
SMALL = {"d_head": 8, "d_nope": 6, "d_rope": 4, "d_value": 8, "kv_rank": 10, "q_rank": 12, "d_key": 6, "window": 5, "chunk": 4,
         "n_index_heads": 2, "d_index": 6, "index_top_k": 3, "n_output_groups": 2, "output_rank": 6, "compress_ratio": 2}
KEPT = ("attention qkv_bias output_bias qk_norm sinks output_gate full_rank_gate conv_width n_overlaps index_bytes_per_element "
        "index_scale_bytes").split()
D_MODEL, VOCAB, MOST_EXPERTS = 48, 256, 8


def scaled(facts: Mapping, d_model: int = D_MODEL, layers_of_each: int = 1) -> dict:
    """Shapes of a small model like the one of `facts`: `layers_of_each` layers for each of its groups of equal layers.

    Query heads stay a multiple of KV heads, with two KV heads where there are more. Widths of the MLPs keep
    their ratio to the model width.

    >>> small = scaled({"d_model": 8192, "n_layers": 80, "n_heads": 64, "d_ff": 28_672, "vocab_size": 128_256,
    ...                 "layers": [{"attention": "full", "n_kv_heads": 8, "d_head": 128, "n": 80}]})
    >>> small["n_heads"], small["layers"][0]["n_kv_heads"], small["d_ff"]
    (16, 2, 168)
    """
    def share(name):
        return max(8, round(facts[name] * d_model / facts["d_model"]))

    heads = [facts["n_heads"], *(group["n_kv_heads"] for group in facts["layers"] if "n_kv_heads" in group)]
    factor = max(1, gcd(*heads) // 2)
    groups = [_scaled_layer(group, factor, layers_of_each) for group in facts["layers"]]
    small = {"d_model": d_model, "vocab_size": VOCAB, "n_heads": facts["n_heads"] // factor, "layers": groups,
             "n_layers": sum(group["n"] for group in groups), **{name: facts[name] for name in WHOLE if name in facts}}
    small |= {name: share(name) for name in ("d_ff", "d_expert_in", "d_shared") if facts.get(name)}
    if facts.get("n_experts", 1) > 1:
        dense = min(1, facts["n_dense_layers"], small["n_layers"] - 1)
        small |= {"n_experts": min(facts["n_experts"], MOST_EXPERTS), "n_active_experts": min(facts["n_active_experts"], 3),
                  "n_shared_experts": facts["n_shared_experts"], "d_expert": share("d_expert"), "n_dense_layers": dense}
        small |= {"n_hash_layers": 1} if facts.get("n_hash_layers") else {}
    if facts.get("n_residual_vectors"):  # two for each sublayer and for the last read, as in the large model
        small |= {"n_residual_vectors": 4 * small["n_layers"] + 2, "residual_block": 2}
    return small


def _scaled_layer(group: Mapping, factor: int, count: int) -> dict:
    small = {"n": count, **{name: group[name] for name in KEPT if name in group}}
    small |= {name: size if group[name] else 0 for name, size in SMALL.items() if name in group}
    if "n_kv_heads" in group:
        small["n_kv_heads"] = group["n_kv_heads"] // factor
    if "n_state_heads" in group:
        common = gcd(group["n_state_heads"], group.get("n_key_heads", group["n_state_heads"]))
        by = max(1, common // 2)
        small |= {name: group[name] // by for name in ("n_state_heads", "n_key_heads") if name in group}
    return small
