"""Parameters of a decoder, by what they do.

The count includes everything one forward pass of the published model holds: embeddings, attention,
MLPs, experts, routers, norms and the LM head. It leaves out what is not part of that pass:
multi-token-prediction modules, vision towers, quantization scales.
"""

from .moe import expert_params, router_params
from .units import Bytes, BytesPerParam, Count


def embedding_params(vocab_size: Count, d_model: Count) -> Count:
    """Entries of the embedding table; an LM head that is not tied to it has as many again.

    >>> embedding_params(vocab_size=128_256, d_model=8192)
    1050673152
    """
    return vocab_size * d_model


def attention_params(d_model: Count, n_heads: Count, n_kv_heads: Count, d_head: Count) -> Count:
    """Weights of one attention layer: query, key, value and output projection, no biases.

    >>> attention_params(d_model=8192, n_heads=64, n_kv_heads=8, d_head=128)
    150994944
    """
    return 2 * d_model * d_head * (n_heads + n_kv_heads)


def attention_bias_params(n_heads: Count, n_kv_heads: Count, d_head: Count) -> Count:
    """Biases on the query, key and value projection of one layer, where a model has them.

    >>> attention_bias_params(n_heads=28, n_kv_heads=4, d_head=128)
    4608
    """
    return d_head * (n_heads + 2 * n_kv_heads)


def mla_params(d_model: Count, n_heads: Count, q_rank: Count, kv_rank: Count, d_nope: Count, d_rope: Count,
               d_value: Count) -> Count:
    """Weights of one MLA layer: both projections down to the latents and up again, output, latent norms.

    >>> mla_params(d_model=7168, n_heads=128, q_rank=1536, kv_rank=512, d_nope=128, d_rope=64, d_value=128)
    187107328
    """
    query = d_model * q_rank + q_rank * n_heads * (d_nope + d_rope) + q_rank
    key_value = d_model * (kv_rank + d_rope) + kv_rank * n_heads * (d_nope + d_value) + kv_rank
    return query + key_value + n_heads * d_value * d_model


def indexer_params(d_model: Count, q_rank: Count, n_index_heads: Count, d_index: Count) -> Count:
    """Weights of one sparse-attention indexer: index queries, one index key and its norm, head weights.

    >>> indexer_params(d_model=7168, q_rank=1536, n_index_heads=64, d_index=128)
    13959424
    """
    return q_rank * n_index_heads * d_index + d_model * d_index + 2 * d_index + d_model * n_index_heads


def linear_attention_params(d_model: Count, n_state_heads: Count, d_key: Count, d_value: Count) -> Count:
    """Weights of one lightning-attention layer: query, key, value, output gate, output, norm of the heads.

    >>> linear_attention_params(d_model=6144, n_state_heads=64, d_key=128, d_value=128)
    251666432
    """
    inner = n_state_heads * d_value
    return d_model * (2 * n_state_heads * d_key + inner) + 2 * d_model * inner + inner


def mlp_params(d_model: Count, d_ff: Count) -> Count:
    """Weights of one SwiGLU MLP: gate, up and down projection.

    >>> mlp_params(d_model=8192, d_ff=28672)
    704643072
    """
    return 3 * d_model * d_ff


def weight_bytes(n_params: Count, weight_bytes_per_param: BytesPerParam) -> Bytes:
    """Bytes of the weights, all in one format.

    >>> weight_bytes(n_params=70_553_706_496, weight_bytes_per_param=2)
    141107412992
    """
    return n_params * weight_bytes_per_param


def parameters(model) -> dict[str, int]:
    """Parameters of `model` by component; their sum is the model's size.

    `model` is anything with the shapes of a catalog record: `d_model`, `n_layers`, `n_heads`, `d_ff`,
    `vocab_size`, `tied_embeddings`, `attention_bias`, `layers`, `n_experts`, `d_expert`,
    `n_shared_experts`, `n_dense_layers`, `router_bias`. A dense model has only dense layers.
    """
    d = model.d_model
    moe_layers = model.n_layers - model.n_dense_layers
    return {
        "embedding": embedding_params(model.vocab_size, d),
        "attention": sum(group["n"] * _layer_attention_params(model, group) for group in model.layers),
        "mlp": (model.n_layers - moe_layers) * mlp_params(d, model.d_ff),
        "shared experts": moe_layers * model.n_shared_experts * expert_params(d, model.d_expert),
        "routed experts": moe_layers * model.n_experts * expert_params(d, model.d_expert),
        "router": moe_layers * (router_params(d, model.n_experts) + model.router_bias * model.n_experts),
        "norms": 2 * d * model.n_layers + d,
        "LM head": 0 if model.tied_embeddings else embedding_params(model.vocab_size, d),
    }


def prediction_module_params(model) -> int:
    """Parameters of one multi-token-prediction module of `model`, which `parameters` leaves out.

    One more mixture layer, a projection of two vectors to one, three norms, and its own embedding and LM head.
    Source: DeepSeek-V3, section 2.2, with the copies that the weight files hold.
    """
    d, layer = model.d_model, model.layers[-1]
    experts = (model.n_experts + model.n_shared_experts) * expert_params(d, model.d_expert)
    router = router_params(d, model.n_experts) + model.router_bias * model.n_experts
    return (_layer_attention_params(model, layer) + experts + router + 2 * d + 2 * d * d + 3 * d
            + 2 * embedding_params(model.vocab_size, d))


def _layer_attention_params(model, group: dict) -> int:
    """Attention parameters of one layer of `group`, by its kind."""
    d, shape = model.d_model, group
    if group["attention"] == "mla":
        params = mla_params(d, model.n_heads, shape["q_rank"], shape["kv_rank"], shape["d_nope"], shape["d_rope"],
                            shape["d_value"])
        if "n_index_heads" in shape:
            params += indexer_params(d, shape["q_rank"], shape["n_index_heads"], shape["d_index"])
        return params
    if group["attention"] == "linear":
        return linear_attention_params(d, shape["n_state_heads"], shape["d_key"], shape["d_value"])
    params = attention_params(d, model.n_heads, shape["n_kv_heads"], shape["d_head"])
    if model.attention_bias:
        params += attention_bias_params(model.n_heads, shape["n_kv_heads"], shape["d_head"])
    return params
