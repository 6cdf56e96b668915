"""Symbols of bills and prices."""

from .quantity import Quantity

_ = Quantity

ROWS: dict[str, Quantity] = {
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
    "paid_share": _(r"\sigma_p", "fraction", "share of the tokens that anyone pays for", 0.01, 1, "linear", False),
    "paid_hours_used": _(r"\psi_u", "fraction", "share of the paid hours in which GPUs work", 0.01, 1, "linear", False),
    "prefill_tokens_per_second": _("v_p", "token/second", "prompt tokens per second of one GPU", 10, 1e6, whole=False),
    "decode_gpu_tokens_per_second": _("v_d", "token/second", "output tokens per second of one GPU", 1, 1e5, whole=False),
    "phase_tokens_per_second": _("v_{ph}", "token/second", "tokens per second of one GPU in one phase", 1, 1e6, whole=False),
    "gpu_price": _(r"\rho", "usd/second", "rent of one GPU", 1e-5, 1e-1, whole=False),
    "tokens_per_second": _("v", "token/second", "tokens per second", 0.1, 1e7, whole=False),
}
