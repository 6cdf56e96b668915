"""The two phases of serving as forward passes: what prefill and decode compute and read, and how long they take.

A pass reads the weights once, whatever the number of tokens in it. Prefill is one pass with every
token of the prompt in it; decode is one pass for each new token, with one token of every sequence.

The times are the least that a machine with these peaks can do: no communication, no launch and
no scheduling is in them. Weights and work split evenly over the GPUs of one tensor-parallel group.
"""

from .elementwise import ceil, maximum, real
from .roofline import computing_seconds, memory_bandwidth_utilization, model_flops_utilization, reading_seconds
from .units import (Bytes, BytesPerElement, BytesPerParam, BytesPerSecond, Count, Flop, FlopPerByte, FlopPerSecond,
                    Fraction, Seconds, Sequences, Tokens, TokensPerSecond)

# --- prefill ---------------------------------------------------------------------------------

def prefill_flops(prompts: Sequences, prompt_tokens: Tokens, n_active_params: Count, n_lookup_params: Count,
                  n_head_params: Count, prefill_attention_flops: Flop) -> Flop:
    """FLOPs of one prefill pass over `prompts` prompts: 2 for each parameter and token, and attention.

    The LM head is applied to the last token of each prompt only.

    >>> prefill_flops(prompts=1, prompt_tokens=10, n_active_params=130, n_lookup_params=10, n_head_params=20,
    ...               prefill_attention_flops=7)
    2047
    """
    body = real(prompt_tokens) * (n_active_params - n_lookup_params - n_head_params)
    return real(prompts) * (2 * (body + n_head_params) + prefill_attention_flops)


def prefill_bytes(n_params: Count, n_lookup_params: Count, n_expert_params: Count, n_experts: Count,
                  experts_touched_in_prefill: Count, weight_bytes_per_param: BytesPerParam) -> Bytes:
    """Bytes of weights that one prefill pass reads: each once, of a mixture the touched experts.

    The state that it writes is left out: it is small beside the weights until prompts are very long,
    and by then the FLOPs rule.

    >>> prefill_bytes(n_params=110, n_lookup_params=10, n_expert_params=80, n_experts=8,
    ...               experts_touched_in_prefill=8, weight_bytes_per_param=2)
    200.0
    """
    return weight_bytes_read(n_params, n_lookup_params, n_expert_params, n_experts, experts_touched_in_prefill,
                             weight_bytes_per_param)


def prefill_intensity(prefill_flops: Flop, prefill_bytes: Bytes) -> FlopPerByte:
    """FLOPs for each byte of weights read in one prefill pass.

    >>> prefill_intensity(prefill_flops=480, prefill_bytes=240)
    2.0
    """
    return prefill_flops / prefill_bytes


def prefill_seconds(prefill_flops: Flop, prefill_bytes: Bytes, n_gpus: Count, peak_flops: FlopPerSecond,
                    memory_bandwidth: BytesPerSecond) -> Seconds:
    """Least time of one prefill pass: computing at full speed or reading at full bandwidth, the longer one.

    >>> prefill_seconds(prefill_flops=2e14, prefill_bytes=16e9, n_gpus=1, peak_flops=1e15, memory_bandwidth=2e12)
    0.2
    """
    return maximum(computing_seconds(prefill_flops, n_gpus, peak_flops, 1),
                   reading_seconds(prefill_bytes, n_gpus, memory_bandwidth, 1))


def prefill_mfu(prefill_flops: Flop, prefill_seconds: Seconds, n_gpus: Count, peak_flops: FlopPerSecond) -> Fraction:
    """Share of the peak FLOP/s that a prefill pass uses.

    >>> prefill_mfu(prefill_flops=1e15, prefill_seconds=2, n_gpus=1, peak_flops=1e15)
    0.5
    """
    return model_flops_utilization(prefill_flops, prefill_seconds, n_gpus, peak_flops)


def prefill_mbu(prefill_bytes: Bytes, prefill_seconds: Seconds, n_gpus: Count,
                memory_bandwidth: BytesPerSecond) -> Fraction:
    """Share of the memory bandwidth that a prefill pass uses, for its weights.

    >>> prefill_mbu(prefill_bytes=1e12, prefill_seconds=2, n_gpus=1, memory_bandwidth=2e12)
    0.25
    """
    return memory_bandwidth_utilization(prefill_bytes, prefill_seconds, n_gpus, memory_bandwidth)


# --- one decode step -------------------------------------------------------------------------

def weight_bytes_read(n_params: Count, n_lookup_params: Count, n_expert_params: Count, n_experts: Count,
                      experts_touched: Count, weight_bytes_per_param: BytesPerParam) -> Bytes:
    """Bytes of weights that one decode step reads: all of a dense model, of a mixture the touched experts.

    An embedding table that is not also the LM head is looked up row by row; it is left out.

    >>> weight_bytes_read(n_params=110, n_lookup_params=10, n_expert_params=80, n_experts=8, experts_touched=2,
    ...                   weight_bytes_per_param=2)
    80.0
    """
    untouched = 1 - experts_touched / n_experts
    return (n_params - n_lookup_params - n_expert_params * untouched) * weight_bytes_per_param


def batch_state_read_bytes(batch: Sequences, state_read_bytes: Bytes) -> Bytes:
    """Bytes of state that one decode step reads, all sequences together.

    >>> batch_state_read_bytes(batch=8, state_read_bytes=1e9)
    8000000000.0
    """
    return real(batch) * state_read_bytes


def residual_bytes(batch: Sequences, n_layers: Count, d_model: Count,
                   activation_bytes_per_element: BytesPerElement) -> Bytes:
    """Bytes of the residual stream that one decode step reads and writes: once for attention, once for the MLP.

    >>> residual_bytes(batch=1, n_layers=80, d_model=8192, activation_bytes_per_element=2)
    5242880
    """
    return 4 * real(batch) * n_layers * d_model * activation_bytes_per_element


def decode_read_bytes(weight_bytes_read: Bytes, batch_state_read_bytes: Bytes) -> Bytes:
    """Bytes that one decode step reads from memory: weights once, the state of each sequence once.

    >>> decode_read_bytes(weight_bytes_read=16e9, batch_state_read_bytes=8e9)
    24000000000.0
    """
    return weight_bytes_read + batch_state_read_bytes


def decode_flops(batch: Sequences, n_active_params: Count, n_lookup_params: Count, state_attention_flops: Flop) -> Flop:
    """FLOPs of one decode step: 2 for each parameter that is multiplied, and attention over the cached tokens.

    >>> decode_flops(batch=2, n_active_params=110, n_lookup_params=10, state_attention_flops=40)
    480
    """
    return real(batch) * (2 * (n_active_params - n_lookup_params) + state_attention_flops)


def decode_intensity(decode_flops: Flop, decode_read_bytes: Bytes) -> FlopPerByte:
    """FLOPs for each byte read in one decode step, weights and state together.

    >>> decode_intensity(decode_flops=480, decode_read_bytes=240)
    2.0
    """
    return decode_flops / decode_read_bytes


def weight_reading_seconds(weight_bytes_read: Bytes, n_gpus: Count, memory_bandwidth: BytesPerSecond) -> Seconds:
    """Time that one decode step takes to read the weights.

    >>> weight_reading_seconds(weight_bytes_read=16e9, n_gpus=2, memory_bandwidth=2e12)
    0.004
    """
    return reading_seconds(weight_bytes_read, n_gpus, memory_bandwidth, 1)


def state_reading_seconds(batch: Sequences, cache_read_bytes: Bytes, state_share: Fraction, fixed_traffic_bytes: Bytes,
                          fixed_share: Fraction, memory_bandwidth: BytesPerSecond) -> Seconds:
    """Time that one decode step takes to read the state of all sequences, on the fullest GPU.

    >>> state_reading_seconds(batch=8, cache_read_bytes=1e9, state_share=0.5, fixed_traffic_bytes=0, fixed_share=1,
    ...                       memory_bandwidth=2e12)
    0.002
    """
    return real(batch) * (cache_read_bytes * state_share + fixed_traffic_bytes * fixed_share) / memory_bandwidth


def decode_computing_seconds(decode_flops: Flop, n_gpus: Count, peak_flops: FlopPerSecond) -> Seconds:
    """Time that one decode step takes to compute, at full speed.

    >>> decode_computing_seconds(decode_flops=1e12, n_gpus=1, peak_flops=1e15)
    0.001
    """
    return computing_seconds(decode_flops, n_gpus, peak_flops, 1)


def decode_step_seconds(weight_reading_seconds: Seconds, state_reading_seconds: Seconds,
                        decode_computing_seconds: Seconds) -> Seconds:
    """Least time of one decode step: reading at full bandwidth or computing at full speed, the longer one.

    No engine reaches it: there is no communication, no launch and no scheduling in it.

    >>> decode_step_seconds(weight_reading_seconds=0.004, state_reading_seconds=0.002, decode_computing_seconds=0.003)
    0.006
    """
    return maximum(weight_reading_seconds + state_reading_seconds, decode_computing_seconds)


def decode_mfu(decode_flops: Flop, decode_step_seconds: Seconds, n_gpus: Count, peak_flops: FlopPerSecond) -> Fraction:
    """Share of the peak FLOP/s that a decode step uses.

    >>> decode_mfu(decode_flops=1e12, decode_step_seconds=0.02, n_gpus=1, peak_flops=1e15)
    0.05
    """
    return model_flops_utilization(decode_flops, decode_step_seconds, n_gpus, peak_flops)


def decode_mbu(weight_reading_seconds: Seconds, state_reading_seconds: Seconds,
               decode_step_seconds: Seconds) -> Fraction:
    """Share of the memory bandwidth that a decode step uses, for weights and state.

    >>> decode_mbu(weight_reading_seconds=0.004, state_reading_seconds=0.002, decode_step_seconds=0.008)
    0.75
    """
    return (weight_reading_seconds + state_reading_seconds) / decode_step_seconds


def decode_tokens_per_second(batch: Sequences, decode_step_seconds: Seconds) -> TokensPerSecond:
    """Most tokens per second that decode can produce, all sequences together: one each per step.

    >>> decode_tokens_per_second(batch=8, decode_step_seconds=0.008)
    1000.0
    """
    return batch / decode_step_seconds


# --- one request ------------------------------------------------------------------------------

def mean_context(prompt_tokens: Tokens, output_tokens: Tokens) -> Tokens:
    """Tokens in the context of the decode steps of one reply, on average.

    The first step sees the prompt and one token, the last all but the token that it writes.

    >>> mean_context(prompt_tokens=1000, output_tokens=3)
    1001.5
    """
    return real(prompt_tokens) + real(output_tokens) / 2


def time_to_first_token(queue_seconds: Seconds, prefill_seconds: Seconds) -> Seconds:
    """TTFT: from the arrival of a request to its first token, which prefill itself yields.

    >>> time_to_first_token(queue_seconds=0.5, prefill_seconds=0.25)
    0.75
    """
    return queue_seconds + prefill_seconds


def decode_passes(output_tokens: Tokens, tokens_per_pass: Tokens) -> Count:
    """Passes that a reply takes after prefill, when each yields `tokens_per_pass` tokens of it.

    That is 1, or more where a draft is checked and part of it accepted.

    >>> decode_passes(output_tokens=1000, tokens_per_pass=1), decode_passes(output_tokens=1000, tokens_per_pass=3)
    (999, 333)
    """
    return ceil((real(output_tokens) - 1) / tokens_per_pass)


def decode_seconds(output_tokens: Tokens, decode_step_seconds: Seconds) -> Seconds:
    """Time of the decode steps of one reply: one for each token but the first.

    >>> decode_seconds(output_tokens=1001, decode_step_seconds=0.04)
    40.0
    """
    return (real(output_tokens) - 1) * decode_step_seconds


def request_seconds(time_to_first_token: Seconds, decode_seconds: Seconds) -> Seconds:
    """End-to-end time of one request, from its arrival to its last token.

    >>> request_seconds(time_to_first_token=0.75, decode_seconds=40)
    40.75
    """
    return time_to_first_token + decode_seconds


def prefill_share(prefill_seconds: Seconds, decode_seconds: Seconds) -> Fraction:
    """Share of the prompt in the time of one request that does not queue.

    >>> prefill_share(prefill_seconds=1, decode_seconds=3)
    0.25
    """
    return prefill_seconds / (prefill_seconds + decode_seconds)


def needed_tpot(patience_seconds: Seconds, output_tokens: Tokens) -> Seconds:
    """Time per output token (TPOT) at which `output_tokens` take `patience_seconds`.

    >>> needed_tpot(patience_seconds=60, output_tokens=1000)
    0.06
    """
    return patience_seconds / output_tokens


def tokens_per_second_per_user(decode_step_seconds: Seconds) -> TokensPerSecond:
    """Tokens per second that each user sees: the inverse of the time per output token.

    >>> tokens_per_second_per_user(decode_step_seconds=0.05)
    20.0
    """
    return 1 / decode_step_seconds


# --- what a token occupies --------------------------------------------------------------------

def input_token_gpu_seconds(prefill_seconds: Seconds, n_gpus: Count, prompts: Sequences,
                            prompt_tokens: Tokens) -> Seconds:
    """GPU-seconds that one input token occupies: the pass, shared by every token in it.

    >>> input_token_gpu_seconds(prefill_seconds=0.1, n_gpus=4, prompts=1, prompt_tokens=1000)
    0.0004
    """
    return prefill_seconds * n_gpus / (real(prompts) * real(prompt_tokens))


def output_token_gpu_seconds(decode_step_seconds: Seconds, n_gpus: Count, batch: Sequences) -> Seconds:
    """GPU-seconds that one output token occupies: the step, shared by the sequences in it.

    >>> output_token_gpu_seconds(decode_step_seconds=0.02, n_gpus=4, batch=16)
    0.005
    """
    return decode_step_seconds * n_gpus / real(batch)


def output_input_ratio(output_token_gpu_seconds: Seconds, input_token_gpu_seconds: Seconds) -> Count:
    """How many input tokens cost as much GPU time as one output token.

    >>> output_input_ratio(output_token_gpu_seconds=0.005, input_token_gpu_seconds=0.0005)
    10.0
    """
    return output_token_gpu_seconds / input_token_gpu_seconds
