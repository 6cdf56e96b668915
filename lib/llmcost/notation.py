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
    "chunk": _("h", "token", "chunk of attention", 128, 10_000_000),
    "q_rank": _("r_q", "1", "query latent width", 128, 4_096),
    "kv_rank": _("r_{kv}", "1", "KV latent width", 64, 2_048),
    "d_nope": _(r"d_{nope}", "1", "head width without position", 32, 512),
    "d_rope": _(r"d_{rope}", "1", "rotary key width", 16, 256),
    "d_value": _("d_v", "1", "value width", 16, 576),
    "d_key": _("d_k", "1", "key width of a linear state", 16, 576),
    "n_state_heads": _("n_s", "1", "heads with a linear state", 1, 256),
    "n_key_heads": _("n_k", "1", "key heads of a delta rule", 1, 256),
    "conv_width": _("m", "token", "width of the short convolution", 1, 16),
    "full_rank_gate": _(r"\gamma", "1", "one where the output gate is a full projection", 0, 1, "linear"),
    "n_output_groups": _("g_o", "1", "blocks of the output projection", 1, 64),
    "output_rank": _("r_o", "1", "output latent width", 128, 4_096),
    "compress_ratio": _("z", "token", "tokens that one entry stands for", 1, 1_024),
    "n_overlaps": _("o", "1", "windows that overlap", 1, 2, "linear"),
    "n_residual_streams": _("n_r", "1", "residual streams", 1, 16),
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
    "n_head_params": _("P_h", "1", "parameters of the LM head", 1e5, 5e9),
    "element_bits": _("q", "1", "bits of one element", 1, 32),
    "scale_bytes": _("c_s", "byte", "bytes of one scale", 0, 8, "linear", False),
    "group_elements": _("G", "1", "elements that share a scale", 1, 65_536),
    "weight_bytes_per_param": _("b_w", "byte/parameter", "bytes per weight", 0.25, 4, whole=False),
    "expert_bytes_per_param": _("b_e", "byte/parameter", "bytes per weight of an expert", 0.25, 4, whole=False),
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
    "chunked_elements_per_token": _("e_h", "1", "cached elements per token in the chunk", 0, 1e7, "linear"),
    "fixed_state_elements": _("e_0", "1", "state elements that never grow", 0, 1e9, "linear"),
    "buffer_bytes": _("c_0", "byte", "bytes of buffers that never grow", 0, 1e8, "linear"),
    "buffer_traffic_bytes": _("c_1", "byte", "bytes of them that one token moves", 0, 1e8, "linear"),
    "index_bytes_per_token": _("c", "byte/token", "bytes of index keys per token", 0, 1e5, "linear", False),
    "full_attention_flops": _("f_f", "flop", "attention FLOPs per cached token", 0, 1e8, "linear"),
    "sparse_attention_flops": _("f_s", "flop", "attention FLOPs per selected token", 0, 1e8, "linear"),
    "index_top_k": _("k_i", "token", "tokens that sparse attention selects", 1, 10_000_000),
    "sliding_attention_flops": _("f_w", "flop", "attention FLOPs per token in the window", 0, 1e8, "linear"),
    "chunked_attention_flops": _("f_h", "flop", "attention FLOPs per token in the chunk", 0, 1e8, "linear"),
    "full_prefill_flops": _("f_p", "flop", "attention FLOPs per pair of tokens in prefill", 0, 1e8, "linear"),
    "fixed_attention_flops": _("f_0", "flop", "attention FLOPs that never grow", 0, 1e9, "linear"),
    "full_elementwise_flops": _("g_f", "flop", "scale and softmax FLOPs per cached token", 0, 1e6, "linear"),
    "sparse_elementwise_flops": _("g_s", "flop", "scale and softmax FLOPs per selected token", 0, 1e6, "linear"),
    "sliding_elementwise_flops": _("g_w", "flop", "scale and softmax FLOPs per token in the window", 0, 1e6, "linear"),
    "chunked_elementwise_flops": _("g_h", "flop", "scale and softmax FLOPs per token in the chunk", 0, 1e6, "linear"),
    "token_flops": _("f_t", "flop", "FLOPs of a token whatever its context", 1e6, 1e12),
    "logit_flops": _("f_l", "flop", "FLOPs of the logits of one token", 1e5, 1e10),
    "kv_shards": _("n_{tp}", "1", "ways the cache splits over GPUs", 1, 256),
    "fixed_shards": _("n_{fp}", "1", "ways the state that never grows splits over GPUs", 1, 256),
    # load
    "context": _("S", "token", "context", 1, 1e7),
    "prompt_tokens": _("p", "token", "prompt", 1, 1e6),
    "output_tokens": _("n", "token", "output", 1, 1e5),
    "pass_tokens": _("m_t", "token", "tokens in the pass", 1, 1e6),
    "masked_too": _(r"\mu_m", "1", "one where masked pairs are computed too", 0, 1, "linear"),
    "every_logit": _(r"\mu_l", "1", "one where every token gets logits", 0, 1, "linear"),
    "prompts": _("B_p", "sequence", "prompts in one prefill pass", 1, 1e4),
    "batch": _("B", "sequence", "sequences in the batch", 1, 1e4),
    "block_tokens": _("t", "token", "tokens per block", 1, 256),
    "shared_tokens": _("s", "token", "shared prefix", 0, 1e6, "linear"),
    "queue_seconds": _("t_q", "second", "time in the queue", 0, 1e3, "linear", False),
    "tokens_per_pass": _("t_p", "token", "tokens that one pass yields for a sequence", 1, 16, "linear", False),
    "patience_seconds": _("t_u", "second", "time the user waits", 0.1, 1e4, whole=False),
    "passengers": _("b_p", "token", "tokens in one pass", 1, 1e6),
    # one matrix product, one measurement
    "rows": _("B_m", "token", "rows: tokens in one pass", 1, 1e6),
    "inner": _("D", "1", "inner width", 16, 65_536),
    "columns": _("F_m", "1", "columns", 16, 262_144),
    "intensity": _("I", "flop/byte", "arithmetic intensity", 0.1, 1e5, whole=False),
    "work_flops": _("F_w", "flop", "FLOPs of the work", 1, 1e18, whole=False),
    "moved_bytes": _("Q_w", "byte", "bytes moved", 1, 1e15, whole=False),
    "measured_seconds": _("t_m", "second", "measured time", 1e-6, 1e4, whole=False),
    # money
    "input_tokens": _("n_{in}", "token", "input tokens", 1, 1e7),
    "cached_tokens": _("n_{c}", "token", "of these read from a cache", 0, 1e7, "linear"),
    "written_tokens": _("n_{w}", "token", "of these written to a cache", 0, 1e7, "linear"),
    "cached_share": _(r"\chi_c", "fraction", "share of the prompt read from a cache", 0, 1, "linear", False),
    "written_share": _(r"\chi_w", "fraction", "of the rest, share written to a cache", 0, 1, "linear", False),
    "answer_tokens": _("n_a", "token", "tokens of the answer", 1, 1e5),
    "thinking_multiple": _(r"\mu", "1", "thinking tokens for each token of the answer", 0, 100, "linear", False),
    "reasoning_tokens": _("n_{re}", "token", "of the output, reasoning", 0, 1e6, "linear"),
    "turns": _("T", "1", "turns of the conversation", 1, 1_000),
    "instruction_tokens": _("n_0", "token", "instruction sent with each call", 1, 1e6),
    "question_tokens": _("n_u", "token", "tokens of the question", 1, 1e5),
    "hit_share": _(r"\eta", "fraction", "share of the calls that find the prefix", 0, 1, "linear", False),
    "calls": _("n_q", "1", "calls of this kind", 1, 1e9),
    "input_price": _(r"\pi_{in}", "usd/token", "input price", 1e-9, 1e-3, whole=False),
    "cached_price": _(r"\pi_c", "usd/token", "cached input price", 1e-10, 5e-4, whole=False),
    "write_price": _(r"\pi_w", "usd/token", "cache write price", 1e-9, 1e-3, whole=False),
    "output_price": _(r"\pi_{out}", "usd/token", "output price", 1e-9, 1e-3, whole=False),
    "tier_tokens": _(r"\theta", "token", "prompt from which the higher tier holds", 1e3, 1e9),
    "tier_input_price": _(r"\pi'_{in}", "usd/token", "input price of the tier", 1e-9, 1e-3, whole=False),
    "tier_cached_price": _(r"\pi'_c", "usd/token", "cached input price of the tier", 1e-10, 1e-3, whole=False),
    "tier_write_price": _(r"\pi'_w", "usd/token", "cache write price of the tier", 1e-9, 1e-3, whole=False),
    "tier_output_price": _(r"\pi'_{out}", "usd/token", "output price of the tier", 1e-9, 1e-3, whole=False),
    "batched": _(r"\beta_w", "fraction", "share of the calls that may wait", 0, 1, "linear", False),
    "batch_multiplier": _(r"\delta", "fraction", "share of the price for work that may wait", 0.1, 1, "linear", False),
    "text_units": _("n_t", "1", "words or characters", 1, 1e9),
    "tokens_per_unit": _("t_w", "1", "tokens for each of them", 0.1, 20, whole=False),
    "gpu_price": _(r"\rho", "usd/second", "rent of one GPU", 1e-5, 1e-1, whole=False),
    "tokens_per_second": _("v", "token/second", "tokens per second", 0.1, 1e7, whole=False),
    # machines
    "n_gpus": _("N", "1", "GPUs", 1, 512),
    "memory_bytes": _("M", "byte", "memory of one GPU", 1e9, 1e12),
    "memory_utilization": _("u", "fraction", "share of the memory the engine takes", 0.5, 1, "linear", False),
    "overhead_bytes": _("O", "byte", "activations, runtime and graphs on one GPU", 0, 2e10, "linear"),
    "memory_bandwidth": _(r"\beta", "byte/second", "memory bandwidth of one GPU", 1e10, 1e14),
    "peak_flops": _("C", "flop/second", "peak dense FLOP/s of one GPU", 1e12, 1e17),
    # results that other formulas take
    "weight_bytes": _("W", "byte", "weights", 1e6, 8e12, whole=False),
    "attention_params": _("P_{at}", "1", "parameters of one attention layer", 1e3, 1e10),
    "mlp_params": _("P_{mlp}", "1", "parameters of one MLP", 1e3, 1e11),
    "weight_bytes_per_gpu": _("W_g", "byte", "weights on one GPU", 1e6, 8e12, whole=False),
    "weight_bytes_read": _("W_r", "byte", "weights read in one step", 1e6, 8e12, whole=False),
    "experts_touched": _("E_t", "1", "experts touched by a batch", 1, 1_024, whole=False),
    "cache_bytes": _("K_c", "byte", "cached entries of one sequence", 1, 1e14, whole=False),
    "fixed_bytes": _("K_0", "byte", "state of one sequence that never grows", 0, 1e10, "linear"),
    "cache_read_bytes": _("R_c", "byte", "cached entries read for one sequence", 1, 1e14, whole=False),
    "fixed_traffic_bytes": _("R_0", "byte", "fixed state read and written for one sequence", 0, 1e10, "linear"),
    "fixed_share": _(r"\sigma_0", "fraction", "share of the fixed state on one GPU", 1 / 512, 1, whole=False),
    "state_read_bytes": _("K_r", "byte", "state read for one sequence", 1, 1e14, whole=False),
    "state_share": _(r"\sigma", "fraction", "share of a sequence's state on one GPU", 1 / 512, 1, whole=False),
    "state_bytes_per_gpu": _("K_g", "byte", "state of one sequence on one GPU", 1, 1e14, whole=False),
    "state_attention_flops": _("A", "flop", "attention FLOPs of one token", 1, 1e15, whole=False),
    "growing_bytes_per_token": _("g", "byte/token", "bytes that one more token adds", 1, 1e8, whole=False),
    "kv_room_bytes": _("R", "byte", "room for the cache on one GPU", -1e12, 1e12, "linear", False),
    "batch_state_read_bytes": _("Q_s", "byte", "state read in one step", 1, 1e17, whole=False),
    "decode_flops": _("F", "flop", "FLOPs of one decode step", 1e6, 1e17, whole=False),
    "decode_read_bytes": _("Q", "byte", "bytes read in one decode step", 1e6, 1e15, whole=False),
    "weight_reading_seconds": _(r"\tau_w", "second", "time to read the weights", 1e-6, 1e3, whole=False),
    "state_reading_seconds": _(r"\tau_s", "second", "time to read the state", 1e-9, 1e3, whole=False),
    "decode_computing_seconds": _(r"\tau_c", "second", "time to compute a step", 1e-9, 1e3, whole=False),
    "decode_step_seconds": _(r"\tau", "second", "time of one decode step", 1e-6, 1e3, whole=False),
    "ridge_point": _("I_r", "flop/byte", "ridge point", 10, 2_000, whole=False),
    "seats": _("B_s", "token", "seats: tokens that one read of the weights can carry", 1, 4_000, whole=False),
    "matmul_flops": _("F_B", "flop", "FLOPs of the product", 1, 1e18, whole=False),
    "matmul_bytes": _("Q_B", "byte", "bytes of the product", 1, 1e15, whole=False),
    "attended_pairs": _(r"\Pi", "1", "pairs of a query and a key", 1, 1e12),
    "logit_tokens": _("m_l", "token", "tokens that get logits", 1, 1e6),
    "rms_norm_flops": _("F_n", "flop", "FLOPs of one norm", 1, 1e12, whole=False),
    "query_flops": _("F_q", "flop", "FLOPs of the query projection", 1, 1e16, whole=False),
    "key_value_flops": _(r"F_{kv}", "flop", "FLOPs of the key and value projections", 1, 1e16, whole=False),
    "rotation_flops": _("F_r", "flop", "FLOPs of the rotary embedding", 1, 1e12, whole=False),
    "score_flops": _("F_s", "flop", "FLOPs of the scores", 1, 1e18, whole=False),
    "softmax_flops": _(r"F_\sigma", "flop", "FLOPs of the softmax", 1, 1e16, whole=False),
    "weighting_flops": _("F_v", "flop", "FLOPs of the weighted sums of values", 1, 1e18, whole=False),
    "mlp_flops": _("F_{mlp}", "flop", "FLOPs of the products of the MLP", 1, 1e17, whole=False),
    "swiglu_flops": _("F_a", "flop", "FLOPs of the activation", 1, 1e12, whole=False),
    "residual_flops": _("F_+", "flop", "FLOPs of the residual additions", 1, 1e12, whole=False),
    "block_flops": _("F_b", "flop", "FLOPs of one block", 1, 1e19, whole=False),
    "head_flops": _("F_h", "flop", "FLOPs of the LM head", 1, 1e16, whole=False),
    "linear_token_flops": _("f_L", "flop", "FLOPs of a token in a long prompt, its quadratic part left out", 1e6, 1e12, whole=False),
    "napkin_flops": _("F_{2P}", "flop", "FLOPs of the napkin", 1, 1e20, whole=False),
    "prompt_elementwise_flops": _("G_p", "flop", "scale and softmax FLOPs of a prompt", 1, 1e20, whole=False),
    "complete_prefill_flops": _("F_c", "flop", "FLOPs of one prefill pass, every operation", 1e6, 1e20, whole=False),
    "prefill_attention_flops": _("A_p", "flop", "attention FLOPs of a prompt", 1, 1e20, whole=False),
    "experts_touched_in_prefill": _("E_p", "1", "experts touched by a prompt", 1, 1_024, whole=False),
    "prefill_flops": _("F_p", "flop", "FLOPs of one prefill pass", 1e6, 1e20, whole=False),
    "prefill_bytes": _("Q_p", "byte", "bytes read in one prefill pass", 1e6, 1e15, whole=False),
    "prefill_seconds": _(r"\tau_p", "second", "time of one prefill pass", 1e-6, 1e4, whole=False),
    "time_to_first_token": _(r"\tau_1", "second", "time to first token", 1e-6, 1e4, whole=False),
    "decode_seconds": _(r"\tau_n", "second", "time of the decode steps", 1e-6, 1e5, whole=False),
    "input_token_gpu_seconds": _("s_{in}", "second", "GPU time of one input token", 1e-9, 1e2, whole=False),
    "output_token_gpu_seconds": _("s_{out}", "second", "GPU time of one output token", 1e-9, 1e2, whole=False),
    "thinking_tokens": _("n_{th}", "token", "thinking tokens", 0, 1e6, "linear", False),
    "billed_output_tokens": _("n_b", "token", "output tokens on the bill", 1, 1e6, whole=False),
    "conversation_input_tokens": _("N_{in}", "token", "input tokens of all calls", 1, 1e9, whole=False),
    "conversation_new_tokens": _("N_0", "token", "of these, sent for the first time", 1, 1e7, whole=False),
    "conversation_output_usd": _("D_{out}", "usd", "cost of all answers", 1e-9, 1e4, whole=False),
    "prompt_usd": _("d_p", "usd", "cost of the prompts", 1e-9, 1e3, whole=False),
    "reply_usd": _("d_r", "usd", "cost of the replies", 1e-9, 1e3, whole=False),
    "prefix_price": _(r"\pi_p", "usd/token", "price of a prefix token", 1e-10, 1e-3, whole=False),
    "input_usd": _("d_{in}", "usd", "cost of the input", 1e-9, 1e3, whole=False),
    "output_usd": _("d_{out}", "usd", "cost of the output", 1e-9, 1e3, whole=False),
    "bill_usd": _("d_b", "usd", "bill of one request", 1e-9, 1e3, whole=False),
    "hardware_price": _("R_h", "usd/second", "rent of the hardware", 1e-5, 1e2, whole=False),
}
