"""Speculative decoding: a step that checks several tokens of each sequence at once, and what a draft of them costs.

A draft proposes `draft_tokens` tokens for each sequence, one after the other. One pass of the model checks them all, and yields
those that it accepts and one more of its own. The pass reads the state of a sequence once, whatever it checks, and multiplies
the weights with `draft_tokens` + 1 tokens of each sequence: where reading rules that is nearly free, where computing rules it
is not. A draft may be a model of its own or further layers of the same model (multi-token prediction, MTP).

The speed-up is `engine_steps.reached_step_seconds` over `speculative_tpot`, each with the message of its own pass: one token of each
sequence without a draft, `checked_tokens` with one.

Source: Leviathan 2023.
"""

from .elementwise import maximum, real, where_above
from .moe import experts_touched
from .phases import weight_bytes_read
from .roofline import computing_seconds, reading_seconds
from .units import (Bytes, BytesPerElement, BytesPerParam, BytesPerSecond, Count, Flop, FlopPerSecond, Fraction, Seconds, Sequences,
                    Tokens, TokensPerSecond)


def accepted_tokens(draft_tokens: Tokens, acceptance_rate: Fraction) -> Tokens:
    """Tokens that one pass yields for a sequence, on average: the draft up to the first that is not accepted, and one more.

    Each token of the draft is accepted with the same probability, whatever came before. Source: Leviathan 2023, equation 1.

    >>> accepted_tokens(draft_tokens=1, acceptance_rate=0.75), accepted_tokens(draft_tokens=3, acceptance_rate=0.5)
    (1.75, 1.875)
    """
    missed = 1 - acceptance_rate
    some = where_above(missed, 0, missed, 1)
    return where_above(missed, 0, (1 - acceptance_rate ** (real(draft_tokens) + 1)) / some, real(draft_tokens) + 1)


def checked_tokens(batch: Sequences, draft_tokens: Tokens) -> Sequences:
    """Tokens in one pass that checks: those of the draft and one more, for each sequence.

    >>> checked_tokens(batch=8, draft_tokens=3)
    32
    """
    return real(batch) * (draft_tokens + 1)


def check_message_bytes(checked_tokens: Sequences, d_model: Count, activation_bytes_per_element: BytesPerElement) -> Bytes:
    """Message of each all-reduce of a pass that checks.

    >>> check_message_bytes(checked_tokens=32, d_model=8192, activation_bytes_per_element=2)
    524288
    """
    return checked_tokens * d_model * activation_bytes_per_element


def check_weight_bytes_read(n_params: Count, n_lookup_params: Count, n_expert_params: Count, n_experts: Count,
                            n_active_experts: Count, checked_tokens: Sequences, weight_bytes_per_param: BytesPerParam) -> Bytes:
    """Bytes of weights that one pass reads that checks: of a mixture, the experts that all the tokens touch.

    >>> check_weight_bytes_read(n_params=110, n_lookup_params=10, n_expert_params=80, n_experts=8, n_active_experts=8,
    ...                         checked_tokens=4, weight_bytes_per_param=2)
    200.0
    """
    touched = experts_touched(n_experts, n_active_experts, checked_tokens)
    return weight_bytes_read(n_params, n_lookup_params, n_expert_params, n_experts, touched, weight_bytes_per_param)


def check_step_seconds(check_weight_bytes_read: Bytes, state_reading_seconds: Seconds, decode_flops: Flop, draft_tokens: Tokens,
                       n_gpus: Count, memory_bandwidth: BytesPerSecond, peak_flops: FlopPerSecond, bandwidth_efficiency: Fraction,
                       compute_efficiency: Fraction, tensor_seconds: Seconds, fixed_step_seconds: Seconds) -> Seconds:
    """Time of one pass that checks: state read once, work for each token; without a draft, a decode step.

    >>> check_step_seconds(16e9, 0.002, decode_flops=1e12, draft_tokens=0, n_gpus=1, memory_bandwidth=2e12, peak_flops=1e15,
    ...                    bandwidth_efficiency=0.5, compute_efficiency=0.5, tensor_seconds=0, fixed_step_seconds=0)
    0.02
    """
    weights = reading_seconds(check_weight_bytes_read, n_gpus, memory_bandwidth, bandwidth_efficiency)
    computing = computing_seconds(decode_flops * (real(draft_tokens) + 1), n_gpus, peak_flops, compute_efficiency)
    return maximum(weights + state_reading_seconds / bandwidth_efficiency, computing) + tensor_seconds + fixed_step_seconds


def draft_step_seconds(draft_params: Count, draft_layers: Count, batch: Sequences, n_gpus: Count, weight_bytes_per_param: BytesPerParam,
                       memory_bandwidth: BytesPerSecond, peak_flops: FlopPerSecond, bandwidth_efficiency: Fraction,
                       compute_efficiency: Fraction, layer_overhead_seconds: Seconds) -> Seconds:
    """Time in which a draft proposes one token for each sequence. Its cache and its all-reduces are left out.

    >>> draft_step_seconds(1e9, draft_layers=0, batch=1, n_gpus=1, weight_bytes_per_param=2, memory_bandwidth=2e12, peak_flops=1e15,
    ...                    bandwidth_efficiency=0.5, compute_efficiency=0.5, layer_overhead_seconds=3e-5)
    0.002
    """
    reading = reading_seconds(draft_params * weight_bytes_per_param, n_gpus, memory_bandwidth, bandwidth_efficiency)
    computing = computing_seconds(2 * draft_params * real(batch), n_gpus, peak_flops, compute_efficiency)
    return maximum(reading, computing) + draft_layers * layer_overhead_seconds


def speculative_tpot(check_step_seconds: Seconds, draft_step_seconds: Seconds, draft_tokens: Tokens, accepted_tokens: Tokens) -> Seconds:
    """Time per output token with a draft: the draft, token by token, and the pass that checks it, over what they yield.

    >>> speculative_tpot(check_step_seconds=0.02, draft_step_seconds=0.001, draft_tokens=4, accepted_tokens=3)
    0.008
    """
    return (check_step_seconds + draft_tokens * draft_step_seconds) / accepted_tokens


def speculative_tokens_per_second(batch: Sequences, speculative_tpot: Seconds) -> TokensPerSecond:
    """Tokens each second of all sequences with a draft.

    >>> speculative_tokens_per_second(batch=10, speculative_tpot=0.02)
    500.0
    """
    return real(batch) / speculative_tpot
