"""Experts and MLPs, from the fields of a `config.json`."""

from collections.abc import Callable

from .config_fields import ConfigError, Fields
from .config_layers import n_layers


def dense(fields: Fields) -> dict:
    """No experts: an MLP in every layer, with biases where the config says so."""
    return {"d_ff": fields.whole("intermediate_size"), "mlp_bias": fields.flag("mlp_bias", False)}


def four_times_wide(fields: Fields) -> dict:
    """GPT-J and Falcon: no experts, and MLPs of four times the model's width unless the config says otherwise."""
    return {"d_ff": fields.whole("n_inner", "ffn_hidden_size", usual=4 * fields.whole("hidden_size", "n_embd"))}


def _experts(fields: Fields, n_experts: str, d_expert: str, shared: int = 0, n_dense: int = 0,
             active: str = "num_experts_per_tok", d_ff: str = "intermediate_size", **more) -> dict:
    width = {"d_ff": fields.whole(d_ff)} if n_dense else {}
    fields.get(d_ff)
    return {"n_experts": fields.whole(n_experts), "n_active_experts": fields.whole(active),
            "d_expert": fields.whole(d_expert), "n_shared_experts": shared, "n_dense_layers": n_dense, **width, **more}


def mixtral(fields: Fields) -> dict:
    """Mixtral: experts in every layer."""
    return _experts(fields, "num_local_experts", "intermediate_size")


def gpt_oss(fields: Fields) -> dict:
    """gpt-oss: experts with biases in every layer."""
    return _experts(fields, "num_local_experts", "intermediate_size", expert_bias=True)


def qwen(fields: Fields) -> dict:
    """A layer is dense where `mlp_only_layers` names it or `decoder_sparse_step` skips it."""
    n, step, only = n_layers(fields), fields.whole("decoder_sparse_step", usual=1), fields.get("mlp_only_layers") or []
    if not isinstance(only, list):
        raise ConfigError(f"{fields.place} has mlp_only_layers = {only!r}; it must be a list of layer numbers")
    n_dense = sum(i in only or (i + 1) % step != 0 for i in range(n))
    shared = fields.whole("shared_expert_intermediate_size", usual=0, least=0)
    more = {"d_shared": shared, "shared_gate": True} if shared else {}
    return _experts(fields, "num_experts", "moe_intermediate_size", shared=int(shared > 0), n_dense=n_dense, **more)


def _in_every_layer(fields: Fields) -> None:
    if fields.whole("moe_layer_freq", usual=1) != 1:
        raise ConfigError(f"{fields.place} has moe_layer_freq = {fields.get('moe_layer_freq')}; the book knows 1 only")


def deepseek(router_bias: bool) -> Callable[[Fields], dict]:
    """DeepSeek and those after it: dense layers first, then experts with shared ones beside them.

    A routing method of the name noaux_tc has a bias for each expert, whatever is usual.
    """
    def mixture(fields: Fields) -> dict:
        _in_every_layer(fields)
        biased = fields.get("topk_method") == "noaux_tc" if fields.has("topk_method") else router_bias
        return _experts(fields, "n_routed_experts", "moe_intermediate_size",
                        shared=fields.whole("n_shared_experts", usual=0, least=0),
                        n_dense=fields.whole("first_k_dense_replace", usual=0, least=0), router_bias=biased)
    return mixture


def deepseek_v4(fields: Fields) -> dict:
    """Experts in every layer; the first few choose them by token number and have no routing bias."""
    return _experts(fields, "n_routed_experts", "moe_intermediate_size", router_bias=True,
                    shared=fields.whole("n_shared_experts", usual=0, least=0),
                    n_hash_layers=fields.whole("num_hash_layers", usual=0, least=0),
                    n_residual_streams=fields.whole("hc_mult", usual=0, least=0))


def kimi_linear(fields: Fields) -> dict:
    """Kimi Linear and Kimi K3: the latter's experts work in a latent, and its layers attend to earlier ones."""
    _in_every_layer(fields)
    latent, n = fields.whole("routed_expert_hidden_size", usual=0, least=0), n_layers(fields)
    block = fields.whole("attn_res_block_size", usual=0, least=0)
    return _experts(fields, "num_experts", "moe_intermediate_size", active="num_experts_per_token", router_bias=True,
                    shared=fields.whole("num_shared_experts", usual=0, least=0),
                    n_dense=fields.whole("first_k_dense_replace", usual=0, least=0), d_expert_in=latent,
                    n_residual_vectors=4 * n + 2 if block else 0, residual_block=block)


def llama4(fields: Fields) -> dict:
    """Llama 4: experts in the layers of `moe_layers`, or in each `interleave_moe_layer_step`-th; one shared."""
    n, step = n_layers(fields), fields.whole("interleave_moe_layer_step", usual=1)
    experts = fields.get("moe_layers") or [i for i in range(n) if (i + 1) % step == 0]
    if not isinstance(experts, list) or not all(type(i) is int and 0 <= i < n for i in experts) or len(set(experts)) < len(experts):
        raise ConfigError(f"{fields.place} has moe_layers = {experts!r}; it must be a list of different layers from 0 to {n - 1}")
    return _experts(fields, "num_local_experts", "intermediate_size", shared=1, d_ff="intermediate_size_mlp",
                    n_dense=n - len(experts))


def minimax(fields: Fields) -> dict:
    """MiniMax: experts in every layer, or where `moe_layer_freq` says."""
    shared = fields.whole("shared_intermediate_size", usual=0, least=0)
    if fields.whole("n_shared_experts", usual=1, least=0) > 1:
        raise ConfigError(f"{fields.place} has n_shared_experts = {fields.get('n_shared_experts')}; the book knows 0 and 1")
    biased = fields.flag("use_routing_bias", False)
    more = {"d_shared": shared} if shared else {}
    sparse = fields.series("moe_layer_freq", n_layers(fields)) if fields.has("moe_layer_freq") else []
    width = "moe_intermediate_size" if fields.has("moe_intermediate_size") else "intermediate_size"
    return _experts(fields, "num_local_experts", width, shared=int(shared > 0), router_bias=biased,
                    n_dense=sum(not has for has in sparse), d_ff="dense_intermediate_size", **more)
