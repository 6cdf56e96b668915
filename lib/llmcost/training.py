"""Training against serving: FLOPs, GPU time, dollars, the memory of a training step, and when serving has cost as much.

A forward pass takes 2 FLOPs for each parameter and token: a multiplication and an addition. The backward pass takes
as many for the gradient of what came in, and as many for the gradient of the weight. Source: Kaplan 2020, section 2.1.
"""

from .elementwise import ceil, real, where_above
from .units import (Bytes, BytesPerElement, BytesPerParam, Count, Flop, FlopPerSecond, Fraction, Seconds, Sequences, Tokens,
                    TokensPerSecond, Usd, UsdPerSecond, UsdPerToken)


# --- FLOPs -----------------------------------------------------------------------------------------

def multiplied_params(n_active_params: Count, n_lookup_params: Count) -> Count:
    """Parameters that a token is multiplied with: of a mixture the active ones, the embedding table left out.

    >>> multiplied_params(n_active_params=110, n_lookup_params=10)
    100
    """
    return n_active_params - n_lookup_params


def training_flops(multiplied_params: Count, training_tokens: Tokens) -> Flop:
    """FLOPs of a training run, attention left out: 2 forward and 4 backward for each parameter and token.

    Source: Kaplan 2020, section 2.1.

    >>> training_flops(multiplied_params=100, training_tokens=10)
    6000
    """
    return 6 * real(multiplied_params) * real(training_tokens)


def training_token_flops(multiplied_params: Count, prefill_attention_flops: Flop, prompt_tokens: Tokens) -> Flop:
    """FLOPs of one token of a training sequence of `prompt_tokens`, causal attention included, forward and backward.

    >>> training_token_flops(multiplied_params=100, prefill_attention_flops=50, prompt_tokens=10)
    615.0
    """
    return 6 * real(multiplied_params) + 3 * prefill_attention_flops / real(prompt_tokens)


def recomputing_flops(training_flops: Flop, recomputed: Count) -> Flop:
    """FLOPs that the GPUs do: a third more where the forward pass of each layer is done again.

    >>> recomputing_flops(training_flops=6000, recomputed=1)
    8000.0
    """
    return training_flops + recomputed * training_flops / 3


def serving_flops(multiplied_params: Count, served_tokens: Tokens) -> Flop:
    """FLOPs of serving, attention left out: 2 for each parameter and token, read or written.

    >>> serving_flops(multiplied_params=100, served_tokens=10)
    2000
    """
    return 2 * real(multiplied_params) * real(served_tokens)


# --- GPU time and dollars --------------------------------------------------------------------------

def training_gpu_seconds(training_flops: Flop, peak_flops: FlopPerSecond, training_utilization: Fraction) -> Seconds:
    """GPU time of a training run: seconds times GPUs.

    >>> training_gpu_seconds(training_flops=6000, peak_flops=100, training_utilization=0.4)
    150.0
    """
    return training_flops / (peak_flops * training_utilization)


def training_periods(training_gpu_seconds: Seconds, n_gpus: Count, period_seconds: Seconds) -> Count:
    """How many periods, such as days, `n_gpus` GPUs train; with one GPU and an hour it is the GPU hours.

    >>> training_periods(training_gpu_seconds=7200, n_gpus=2, period_seconds=3600)
    1.0
    """
    return training_gpu_seconds / (real(n_gpus) * period_seconds)


def training_usd(training_gpu_seconds: Seconds, gpu_price: UsdPerSecond) -> Usd:
    """Rent of a training run, and nothing but rent: no failed runs, experiments, storage, network or staff.

    >>> training_usd(training_gpu_seconds=3600, gpu_price=0.001)
    3.6
    """
    return training_gpu_seconds * gpu_price


def research_usd(training_usd: Usd, final_run_share: Fraction) -> Usd:
    """What all runs cost of which the final one is `final_run_share`.

    >>> research_usd(training_usd=5, final_run_share=0.1)
    50.0
    """
    return training_usd / final_run_share


def serving_token_usd(multiplied_params: Count, peak_flops: FlopPerSecond, serving_utilization: Fraction,
                      gpu_price: UsdPerSecond) -> UsdPerToken:
    """Rent of serving one token when the GPUs reach `serving_utilization` of their peak, idle time included.

    >>> serving_token_usd(multiplied_params=100, peak_flops=100, serving_utilization=0.1, gpu_price=0.001)
    0.02
    """
    return 2 * real(multiplied_params) / (peak_flops * serving_utilization) * gpu_price


def serving_usd(days: Count, daily_tokens: Tokens, serving_token_usd: UsdPerToken) -> Usd:
    """Rent of serving `daily_tokens` on each of `days`.

    >>> serving_usd(days=10, daily_tokens=100, serving_token_usd=0.5)
    500.0
    """
    return real(days) * real(daily_tokens) * serving_token_usd


def serving_share(serving_usd: Usd, research_usd: Usd) -> Fraction:
    """Share of serving in all that was spent on a model so far.

    >>> serving_share(serving_usd=30, research_usd=10)
    0.75
    """
    return serving_usd / (serving_usd + research_usd)


# --- when serving has cost as much ------------------------------------------------------------------

def break_even_tokens(multiple: Count, training_tokens: Tokens, training_utilization: Fraction,
                      serving_utilization: Fraction) -> Tokens:
    """Tokens served until serving has taken `multiple` times the GPU time of training.

    The size of the model is not in it. GPUs of one kind, at one rent.

    >>> break_even_tokens(multiple=1, training_tokens=10, training_utilization=0.4, serving_utilization=0.4)
    30.0
    """
    return 3 * multiple * real(training_tokens) * serving_utilization / training_utilization


def break_even_tokens_by_cost(multiple: Count, training_usd: Usd, serving_token_usd: UsdPerToken) -> Tokens:
    """The same from dollars, for whatever training and a served token cost.

    >>> break_even_tokens_by_cost(multiple=10, training_usd=5, serving_token_usd=0.5)
    100.0
    """
    return multiple * training_usd / serving_token_usd


def break_even_days(break_even_tokens: Tokens, daily_tokens: Tokens) -> Count:
    """Days until then.

    >>> break_even_days(break_even_tokens=30, daily_tokens=10)
    3.0
    """
    return break_even_tokens / real(daily_tokens)


def break_even_rate(break_even_tokens: Tokens, period_seconds: Seconds) -> TokensPerSecond:
    """Tokens per second, day and night, that get there within `period_seconds`.

    >>> break_even_rate(break_even_tokens=30, period_seconds=10)
    3.0
    """
    return break_even_tokens / period_seconds


# --- memory of a training step -----------------------------------------------------------------------

def gradient_bytes(n_params: Count, gradient_bytes_per_param: BytesPerParam) -> Bytes:
    """Bytes of the gradients: one number for each parameter.

    >>> gradient_bytes(n_params=100, gradient_bytes_per_param=2)
    200
    """
    return real(n_params) * gradient_bytes_per_param


def optimizer_bytes(n_params: Count, optimizer_bytes_per_param: BytesPerParam) -> Bytes:
    """Bytes of the optimizer's state. Adam in mixed precision has 12: a copy in FP32, momentum, variance.

    Source: Rajbhandari 2020, section 3.1.

    >>> optimizer_bytes(n_params=100, optimizer_bytes_per_param=12)
    1200
    """
    return real(n_params) * optimizer_bytes_per_param


def model_state_bytes_per_gpu(weight_bytes: Bytes, gradient_bytes: Bytes, optimizer_bytes: Bytes, n_gpus: Count,
                              zero_stage: Count) -> Bytes:
    """Bytes of weights, gradients and optimizer on each of `n_gpus` that train on different data.

    Stage 1 splits the optimizer over them, stage 2 the gradients too, stage 3 also the weights; at stage 0 each GPU
    holds all. Source: Rajbhandari 2020, table 1.

    >>> [model_state_bytes_per_gpu(200, 200, 1200, n_gpus=4, zero_stage=stage) for stage in range(4)]
    [1600.0, 700.0, 550.0, 400.0]
    """
    def split(stage):
        return where_above(zero_stage, stage - 1, real(n_gpus), 1)

    return weight_bytes / split(3) + gradient_bytes / split(2) + optimizer_bytes / split(1)


def gelu_block_activation_bytes(batch: Sequences, context: Tokens, d_model: Count, d_ff: Count, n_heads: Count,
                                activation_bytes_per_element: BytesPerElement, mask_bytes_per_element: BytesPerElement) -> Bytes:
    """Bytes that the backward pass of one block with GELU, MHA, biases and dropout needs.

    For each token: inputs of two norms, of the projections and the MLP, queries, keys, values, attention output, and the MLP
    before and after GELU, and two masks of dropout. For each pair and head: the weights of attention before and
    after dropout, and its mask. With d_ff = 4 d, two bytes and masks of one it is sbh (34 + 5 a s / h).
    Source: Korthikanti 2022, section 4.1.

    >>> gelu_block_activation_bytes(1, 8, 8, 32, 1, activation_bytes_per_element=2, mask_bytes_per_element=1) / 64
    39.0
    """
    tokens = real(batch) * real(context)
    kept = tokens * (8 * d_model + 2 * d_ff) + 2 * n_heads * tokens * context
    masks = 2 * tokens * d_model + n_heads * tokens * context
    return kept * activation_bytes_per_element + masks * mask_bytes_per_element


def block_activation_bytes(batch: Sequences, context: Tokens, d_model: Count, d_ff: Count, n_heads: Count, n_kv_heads: Count,
                           d_head: Count, square_kept: Count, activation_bytes_per_element: BytesPerElement) -> Bytes:
    """Bytes that the backward pass of one block with RMSNorm, GQA and SwiGLU needs, no dropout.

    For each token: what enters each of the two norms and what leaves it, 4 widths; rotated queries and what enters the output
    projection, 2 of all heads; rotated keys, and values, 2 of all KV heads; gate, up, and their product, 3 of the
    MLP. For each pair and query head the weight of attention, unless a kernel computes it again (`square_kept` 0).
    Sums along a row (of a norm, of a softmax) are one number for a token or a head, and left out. Latents (MLA) and
    mixtures of experts keep other arrays and are not covered.

    >>> block_activation_bytes(1, 8, 8, 20, 2, 1, 4, square_kept=0, activation_bytes_per_element=2) / 64
    29.0
    """
    tokens = real(batch) * real(context)
    kept = 4 * d_model + 2 * (n_heads + n_kv_heads) * d_head + 3 * d_ff
    return tokens * (kept + square_kept * n_heads * context) * activation_bytes_per_element


def activation_bytes(n_layers: Count, block_activation_bytes: Bytes, batch: Sequences, context: Tokens, d_model: Count,
                     vocab_size: Count, activation_bytes_per_element: BytesPerElement, recomputed: Count) -> Bytes:
    """Bytes of all activations of a training step, those of the LM head included, its logits in the same format.

    Where layers are `recomputed`, the input of each is kept and the arrays of one at a time are built again.

    >>> [activation_bytes(10, 1000, 1, 8, 8, 20, 2, recomputed) for recomputed in (0, 1)]
    [10576, 2856]
    """
    tokens = real(batch) * real(context)
    head = tokens * (2 * d_model + vocab_size) * activation_bytes_per_element
    inputs = n_layers * tokens * d_model * activation_bytes_per_element
    return (1 - recomputed) * n_layers * block_activation_bytes + recomputed * (inputs + block_activation_bytes) + head


def training_memory_bytes(weight_bytes: Bytes, gradient_bytes: Bytes, optimizer_bytes: Bytes, activation_bytes: Bytes) -> Bytes:
    """The four parts of the memory of a training step together.

    >>> training_memory_bytes(200, 200, 1200, 400)
    2000
    """
    return weight_bytes + gradient_bytes + optimizer_bytes + activation_bytes


def gpus_to_hold_training(training_memory_bytes: Bytes, memory_bytes: Bytes) -> Count:
    """GPUs that have room for it at least, everything split evenly and nothing held back.

    >>> gpus_to_hold_training(training_memory_bytes=2000, memory_bytes=800)
    3
    """
    return ceil(training_memory_bytes / memory_bytes)
