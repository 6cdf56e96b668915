"""The notation table: one row for each parameter name of the formulas.

A name is the contract. It is the Python argument, the key in the data files, the JavaScript
argument, the label of a slider and the row of the notation page. Some names are results: a formula
of that name computes them, and another formula takes them. Slider ranges, random samples
of the tests, LaTeX symbols and the unit check of the loader all come from here.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Quantity:
    """What a parameter name means.

    Attributes
    ----------
    symbol : LaTeX
    unit : as in `llmcost.units`
    label : words for a slider or a table, first letter small
    low, high : the range that occurs in practice, ends included
    scale : "linear" or "log", how a slider moves
    whole : only whole numbers make sense
    """

    symbol: str
    unit: str
    label: str
    low: float
    high: float
    scale: str = "log"
    whole: bool = True


_ = Quantity

NOTATION: dict[str, Quantity] = {
    # shapes of a model
    "n_layers": _("L", "1", "layers", 1, 200),
    "d_model": _("d", "1", "model width", 64, 32_768),
    "n_heads": _("n_h", "1", "query heads", 1, 256),
    "n_kv_heads": _(r"n_{kv}", "1", "KV heads", 1, 256),
    "d_head": _("d_h", "1", "head width", 16, 576),
    "d_ff": _(r"d_{ff}", "1", "MLP width", 64, 131_072),
    "vocab_size": _("V", "1", "vocabulary", 1_000, 300_000),
    "window": _("w", "token", "attention window", 128, 10_000_000),
    "q_rank": _("r_q", "1", "query latent width", 128, 4_096),
    "kv_rank": _("r_{kv}", "1", "KV latent width", 64, 2_048),
    "d_nope": _(r"d_{nope}", "1", "head width without position", 32, 512),
    "d_rope": _(r"d_{rope}", "1", "rotary key width", 16, 256),
    "d_value": _("d_v", "1", "value width", 16, 576),
    "d_key": _("d_k", "1", "key width of a linear state", 16, 576),
    "n_state_heads": _("n_s", "1", "heads with a linear state", 1, 256),
    "d_index": _("d_i", "1", "index key width", 32, 512),
    "n_index_heads": _("n_i", "1", "index heads", 1, 128),
    "query_head": _("j", "1", "number of a query head", 0, 255, "linear"),
    # mixtures of experts
    "n_experts": _("E", "1", "routed experts", 1, 1_024),
    "n_active_experts": _("k", "1", "routed experts per token", 1, 32),
    "d_expert": _("d_e", "1", "expert width", 64, 32_768),
    # parameters and precisions
    "n_params": _("P", "1", "parameters", 1e6, 2e12),
    "n_active_params": _("P_a", "1", "parameters a token passes through", 1e6, 2e12),
    "n_lookup_params": _("P_l", "1", "parameters that are looked up, not multiplied", 0, 5e9, "linear"),
    "n_expert_params": _("P_e", "1", "parameters in routed experts", 0, 2e12, "linear"),
    "weight_bytes_per_param": _("b_w", "byte/parameter", "bytes per weight", 0.25, 4, whole=False),
    "kv_bytes_per_element": _("b", "byte/element", "bytes per KV element", 0.25, 4, whole=False),
    "state_bytes_per_element": _("b_s", "byte/element", "bytes per state element", 1, 4, whole=False),
    "activation_bytes_per_element": _("b_a", "byte/element", "bytes per activation", 1, 4, whole=False),
    "score_bytes_per_element": _("b_q", "byte/element", "bytes per attention score", 1, 4, whole=False),
    "index_bytes_per_element": _("b_i", "byte/element", "bytes per index element", 1, 2, whole=False),
    "index_scale_bytes": _("c_i", "byte", "bytes of the index key's scale", 0, 8, "linear", False),
    # the state of a conversation, by how it grows
    "full_elements_per_token": _("e_f", "1", "cached elements per token that stay", 0, 1e7, "linear"),
    "sparse_elements_per_token": _("e_s", "1", "cached elements per token of which few are read", 0, 1e7, "linear"),
    "sliding_elements_per_token": _("e_w", "1", "cached elements per token in the window", 0, 1e7, "linear"),
    "fixed_state_elements": _("e_0", "1", "state elements that never grow", 0, 1e9, "linear"),
    "index_bytes_per_token": _("c", "byte/token", "bytes of index keys per token", 0, 1e5, "linear", False),
    "full_attention_flops": _("f_f", "flop", "attention FLOPs per cached token", 0, 1e8, "linear"),
    "sparse_attention_flops": _("f_s", "flop", "attention FLOPs per selected token", 0, 1e8, "linear"),
    "index_top_k": _("k_i", "token", "tokens that sparse attention selects", 1, 10_000_000),
    "sliding_attention_flops": _("f_w", "flop", "attention FLOPs per token in the window", 0, 1e8, "linear"),
    "fixed_attention_flops": _("f_0", "flop", "attention FLOPs that never grow", 0, 1e9, "linear"),
    "kv_shards": _("n_{tp}", "1", "ways the cache splits over GPUs", 1, 256),
    # load
    "context": _("S", "token", "context", 1, 1e7),
    "prompt_tokens": _("p", "token", "prompt", 1, 1e6),
    "output_tokens": _("n", "token", "output", 1, 1e5),
    "batch": _("B", "sequence", "sequences in the batch", 1, 1e4),
    "block_tokens": _("t", "token", "tokens per block", 1, 256),
    "shared_tokens": _("s", "token", "shared prefix", 0, 1e6, "linear"),
    # machines
    "n_gpus": _("N", "1", "GPUs", 1, 512),
    "memory_bytes": _("M", "byte", "memory of one GPU", 1e9, 1e12),
    "memory_utilization": _("u", "fraction", "share of the memory the engine takes", 0.5, 1, "linear", False),
    "overhead_bytes": _("O", "byte", "activations, runtime and graphs on one GPU", 0, 2e10, "linear"),
    "memory_bandwidth": _(r"\beta", "byte/second", "memory bandwidth of one GPU", 1e10, 1e14),
    "peak_flops": _("C", "flop/second", "peak dense FLOP/s of one GPU", 1e12, 1e17),
    # results that other formulas take
    "weight_bytes": _("W", "byte", "weights", 1e6, 8e12, whole=False),
    "weight_bytes_per_gpu": _("W_g", "byte", "weights on one GPU", 1e6, 8e12, whole=False),
    "weight_bytes_read": _("W_r", "byte", "weights read in one step", 1e6, 8e12, whole=False),
    "experts_touched": _("E_t", "1", "experts touched by a batch", 1, 1_024, whole=False),
    "state_bytes": _("K", "byte", "state of one sequence", 1, 1e14, whole=False),
    "state_read_bytes": _("K_r", "byte", "state read for one sequence", 1, 1e14, whole=False),
    "state_share": _(r"\sigma", "fraction", "share of a sequence's state on one GPU", 1 / 512, 1, whole=False),
    "state_bytes_per_gpu": _("K_g", "byte", "state of one sequence on one GPU", 1, 1e14, whole=False),
    "state_attention_flops": _("A", "flop", "attention FLOPs of one token", 1, 1e15, whole=False),
    "growing_bytes_per_token": _("g", "byte/token", "bytes that one more token adds", 1, 1e8, whole=False),
    "kv_room_bytes": _("R", "byte", "room for the cache on one GPU", -1e12, 1e12, "linear", False),
    "batch_state_read_bytes": _("Q_s", "byte", "state read in one step", 1, 1e17, whole=False),
    "decode_flops": _("F", "flop", "FLOPs of one decode step", 1e6, 1e17, whole=False),
    "decode_read_bytes": _("Q", "byte", "bytes read in one decode step", 1e6, 1e15, whole=False),
    "decode_step_seconds": _(r"\tau", "second", "time of one decode step", 1e-6, 1e3, whole=False),
}
