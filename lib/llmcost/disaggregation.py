"""Prefill and decode on machines of their own: how many of each, what they pass on, and what is gained.

A request takes `prompt_seconds` of an instance that prefills, and a place in the batch of an instance that decodes, for
`output_tokens` - 1 steps. On one machine a prompt stops every sequence in the batch; on two, its keys and values travel.
An instance is whatever serves a phase together: one GPU, a tensor-parallel group, or a unit of many nodes.

Sources: Patel 2023 (Splitwise); Zhong 2024 (DistServe).
"""

from math import inf

from .elementwise import minimum, positive_part, real, where_above
from .units import (Bytes, BytesPerSecond, Count, Fraction, RequestsPerSecond, Seconds, Sequences, Tokens)


# --- what each phase can take ----------------------------------------------------------------------------

def prefill_rate(prompt_seconds: Seconds, prefill_busy: Fraction) -> RequestsPerSecond:
    """Requests each second that one instance prefills while it is busy for this share of the time; the rest keeps waits short.

    >>> prefill_rate(prompt_seconds=0.25, prefill_busy=0.75)
    3.0
    """
    return prefill_busy / prompt_seconds


def decode_rate(batch: Sequences, output_tokens: Tokens, step_seconds: Seconds) -> RequestsPerSecond:
    """Requests each second that one instance decodes in a batch that stays `batch` large; prefill gives the first token.

    Infinite for replies of that one token.

    >>> decode_rate(batch=50, output_tokens=101, step_seconds=0.05)
    10.0
    """
    steps = real(output_tokens) - 1
    return where_above(steps, 0, real(batch) / (where_above(steps, 0, steps, 1) * step_seconds), inf / step_seconds)


def prefill_per_decode(decode_rate: RequestsPerSecond, prefill_rate: RequestsPerSecond) -> Count:
    """Instances that prefill for each that decodes, so that neither waits for the other.

    >>> prefill_per_decode(decode_rate=10, prefill_rate=2.5)
    4.0
    """
    return decode_rate / prefill_rate


def split_rate(n_prefill: Count, prefill_rate: RequestsPerSecond, n_decode: Count, decode_rate: RequestsPerSecond) -> RequestsPerSecond:
    """Requests each second that both phases can take: the slower one decides.

    >>> split_rate(n_prefill=3, prefill_rate=2, n_decode=1, decode_rate=10)
    6
    """
    return minimum(n_prefill * prefill_rate, n_decode * decode_rate)


def phase_use(split_rate: RequestsPerSecond, instances: Count, instance_rate: RequestsPerSecond) -> Fraction:
    """Share of what the instances of one phase can take that is asked of them when the slower phase decides.

    >>> phase_use(split_rate=6, instances=1, instance_rate=8)
    0.75
    """
    return split_rate / (instances * instance_rate)


# --- what passes between them ------------------------------------------------------------------------------

def kv_transfer_seconds(state_bytes: Bytes, transfer_bandwidth: BytesPerSecond, link_efficiency: Fraction) -> Seconds:
    """Time in which the state of one prompt travels; `state_bytes` is that of a context of the prompt.

    >>> kv_transfer_seconds(state_bytes=1e9, transfer_bandwidth=50e9, link_efficiency=0.8)
    0.025
    """
    return state_bytes / (transfer_bandwidth * link_efficiency)


def transfer_share(arrival_rate: RequestsPerSecond, kv_transfer_seconds: Seconds) -> Fraction:
    """Share of the time in which a link is busy with the state of prompts; above 1 it cannot carry them.

    >>> transfer_share(arrival_rate=10, kv_transfer_seconds=0.025)
    0.25
    """
    return arrival_rate * kv_transfer_seconds


# --- against one machine for both ------------------------------------------------------------------------------

def shared_batch(tpot_limit: Seconds, shared_step_seconds: Seconds, sequence_step_seconds: Seconds, prompt_seconds: Seconds,
                 output_tokens: Tokens, places: Sequences) -> Sequences:
    """Batch of an instance that does both, under a limit of the time per output token and of places in memory.

    Below 1, one sequence is too many.

    Between two steps of a sequence come the prompts of the others who take a place meanwhile, as in `llmcost.load.loaded_tpot`.

    >>> round(shared_batch(0.05, 0.02, sequence_step_seconds=0.001, prompt_seconds=0.05, output_tokens=101, places=100))
    20
    """
    steps = real(output_tokens) - 1
    prompt = prompt_seconds / where_above(steps, 0, steps, 1)
    return minimum(positive_part(tpot_limit - shared_step_seconds + prompt) / (sequence_step_seconds + prompt), places)


def split_batch(tpot_limit: Seconds, shared_step_seconds: Seconds, sequence_step_seconds: Seconds, places: Sequences) -> Sequences:
    """Batch of an instance that decodes only, under the same limits; below 1, one sequence is too many.

    >>> round(split_batch(0.05, shared_step_seconds=0.02, sequence_step_seconds=0.001, places=100))
    30
    """
    return minimum(positive_part(tpot_limit - shared_step_seconds) / sequence_step_seconds, places)


def shared_request_seconds(shared_batch: Sequences, shared_step_seconds: Seconds, sequence_step_seconds: Seconds,
                           prompt_seconds: Seconds, output_tokens: Tokens) -> Seconds:
    """Time of one instance that a request takes where it does both: its share of the steps, and its prompt.

    Infinite for an empty batch.

    >>> shared_request_seconds(20, 0.02, sequence_step_seconds=0.001, prompt_seconds=0.05, output_tokens=101)
    0.25
    """
    return _steps(shared_batch, shared_step_seconds, sequence_step_seconds, output_tokens) + prompt_seconds


def split_request_seconds(split_batch: Sequences, shared_step_seconds: Seconds, sequence_step_seconds: Seconds,
                          prompt_seconds: Seconds, output_tokens: Tokens, prefill_busy: Fraction) -> Seconds:
    """Time of instances that a request takes where each does one: its share of the steps, its prompt, and the slack of prefill.

    Infinite for an empty batch.

    >>> split_request_seconds(30, 0.03, sequence_step_seconds=0.001, prompt_seconds=0.04, output_tokens=101, prefill_busy=0.8)
    0.25
    """
    return _steps(split_batch, shared_step_seconds, sequence_step_seconds, output_tokens) + prompt_seconds / prefill_busy


def _steps(batch, shared_step_seconds, sequence_step_seconds, output_tokens):
    shared = where_above(batch, 0, shared_step_seconds / where_above(batch, 0, batch, 1), inf * shared_step_seconds)
    return (real(output_tokens) - 1) * (shared + sequence_step_seconds)


def split_gain(shared_request_seconds: Seconds, split_request_seconds: Seconds) -> Count:
    """Requests of a number of GPUs apart over those of as many that do both; 1 is no gain.

    It means something where both batches are 1 or more.

    >>> split_gain(shared_request_seconds=0.25, split_request_seconds=0.2)
    1.25
    """
    return shared_request_seconds / split_request_seconds
