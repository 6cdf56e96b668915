"""Steps of an engine: the two phases with what an engine reaches of the peaks, and what it waits for.

The least times of `llmcost.phases` leave out three things that every engine pays for: kernels that reach a share of the peaks,
all-reduces, and a fixed time for each layer. Each stands here once, as a constant with a range or a formula.
"""

from .elementwise import maximum, positive_part, real
from .roofline import computing_seconds, reading_seconds
from .units import Bytes, BytesPerElement, BytesPerSecond, Count, Flop, FlopPerSecond, Fraction, Seconds, Sequences, Tokens


def prompt_message_bytes(prompts: Sequences, prompt_tokens: Tokens, d_model: Count,
                         activation_bytes_per_element: BytesPerElement) -> Bytes:
    """Message of each all-reduce of a prefill pass: every token of the prompts.

    >>> prompt_message_bytes(prompts=2, prompt_tokens=1000, d_model=8192, activation_bytes_per_element=2)
    32768000
    """
    return real(prompts) * real(prompt_tokens) * d_model * activation_bytes_per_element


def fixed_step_seconds(n_layers: Count, layer_overhead_seconds: Seconds) -> Seconds:
    """Time of a step that neither bytes nor FLOPs explain: kernels that start, wait for each other and end.

    >>> fixed_step_seconds(n_layers=80, layer_overhead_seconds=25e-6)
    0.002
    """
    return n_layers * layer_overhead_seconds


def reached_step_seconds(weight_reading_seconds: Seconds, state_reading_seconds: Seconds, decode_computing_seconds: Seconds,
                         bandwidth_efficiency: Fraction, compute_efficiency: Fraction, tensor_seconds: Seconds,
                         fixed_step_seconds: Seconds) -> Seconds:
    """Time of one decode step of an engine: reading or computing, the longer one, then all-reduces and the fixed time.

    >>> reached_step_seconds(0.25, 0.25, 0.125, bandwidth_efficiency=0.5, compute_efficiency=0.5, tensor_seconds=0.25,
    ...                      fixed_step_seconds=0.25)
    1.5
    """
    reading = (weight_reading_seconds + state_reading_seconds) / bandwidth_efficiency
    return maximum(reading, decode_computing_seconds / compute_efficiency) + tensor_seconds + fixed_step_seconds


def reached_prefill_seconds(prefill_flops: Flop, prefill_bytes: Bytes, n_gpus: Count, peak_flops: FlopPerSecond,
                            memory_bandwidth: BytesPerSecond, compute_efficiency: Fraction, bandwidth_efficiency: Fraction,
                            tensor_seconds: Seconds, fixed_step_seconds: Seconds) -> Seconds:
    """Time of one prefill pass of an engine.

    >>> reached_prefill_seconds(7e14, 16e9, n_gpus=1, peak_flops=1e15, memory_bandwidth=2e12, compute_efficiency=0.7,
    ...                         bandwidth_efficiency=0.8, tensor_seconds=0, fixed_step_seconds=0)
    1.0
    """
    work = maximum(computing_seconds(prefill_flops, n_gpus, peak_flops, compute_efficiency),
                   reading_seconds(prefill_bytes, n_gpus, memory_bandwidth, bandwidth_efficiency))
    return work + tensor_seconds + fixed_step_seconds


def weight_step_seconds(weight_reading_seconds: Seconds, bandwidth_efficiency: Fraction) -> Seconds:
    """Of a decode step, reading the weights.

    >>> weight_step_seconds(weight_reading_seconds=0.008, bandwidth_efficiency=0.8)
    0.01
    """
    return weight_reading_seconds / bandwidth_efficiency


def state_step_seconds(state_reading_seconds: Seconds, bandwidth_efficiency: Fraction) -> Seconds:
    """Of a decode step, reading the state of all sequences.

    >>> state_step_seconds(state_reading_seconds=0.008, bandwidth_efficiency=0.8)
    0.01
    """
    return state_reading_seconds / bandwidth_efficiency


def waiting_for_compute_seconds(weight_reading_seconds: Seconds, state_reading_seconds: Seconds,
                                decode_computing_seconds: Seconds, bandwidth_efficiency: Fraction,
                                compute_efficiency: Fraction) -> Seconds:
    """Of a decode step, what computing takes longer than reading; nothing where reading rules.

    >>> waiting_for_compute_seconds(0.004, 0, 0.007, bandwidth_efficiency=0.8, compute_efficiency=0.7)
    0.005
    """
    reading = (weight_reading_seconds + state_reading_seconds) / bandwidth_efficiency
    return positive_part(decode_computing_seconds / compute_efficiency - reading)


def shared_part_seconds(weight_step_seconds: Seconds, tensor_seconds: Seconds, fixed_step_seconds: Seconds) -> Seconds:
    """Of a decode step that reading rules, the part that all sequences share: weights, all-reduces, the fixed time.

    Weights of a mixture are those that one sequence touches when it is evaluated for a batch of one.

    >>> shared_part_seconds(weight_step_seconds=0.25, tensor_seconds=0.125, fixed_step_seconds=0.125)
    0.5
    """
    return weight_step_seconds + tensor_seconds + fixed_step_seconds
