"""What tensor, expert and pipeline parallelism add to a pass: messages, their time, and the time in which GPUs wait.

`n_gpus` is the size of one tensor-parallel group, as in `llmcost.phases`.
"""

from math import inf

from .collectives import ring_bytes, share_bytes, transfer_seconds
from .elementwise import maximum, real, where_above
from .units import (Bytes, BytesPerElement, BytesPerSecond, Count, Flop, FlopPerSecond, Fraction, Seconds, Sequences, Tokens,
                    TokensPerSecond)


# --- tensor parallelism --------------------------------------------------------------------------------

def stream_bytes(pass_tokens: Tokens, d_model: Count, activation_bytes_per_element: BytesPerElement) -> Bytes:
    """Bytes of the residual stream of a pass: the message of each all-reduce, and of each step between pipeline stages.

    >>> stream_bytes(pass_tokens=1, d_model=8192, activation_bytes_per_element=2)
    16384
    """
    return real(pass_tokens) * d_model * activation_bytes_per_element


def step_message_bytes(batch: Sequences, d_model: Count, activation_bytes_per_element: BytesPerElement) -> Bytes:
    """Message of each all-reduce of a decode step: one token of every sequence.

    >>> step_message_bytes(batch=64, d_model=8192, activation_bytes_per_element=2)
    1048576
    """
    return stream_bytes(batch, d_model, activation_bytes_per_element)


def tensor_all_reduces(n_layers: Count) -> Count:
    """All-reduces of one pass: one after attention and one after the MLP of each layer, whatever the batch.

    >>> tensor_all_reduces(n_layers=80)
    160
    """
    return 2 * n_layers


def tensor_sent_bytes(tensor_all_reduces: Count, ring_bytes: Bytes) -> Bytes:
    """Bytes that one GPU sends in one pass.

    >>> tensor_sent_bytes(tensor_all_reduces=160, ring_bytes=100)
    16000
    """
    return tensor_all_reduces * ring_bytes


def volume_seconds(tensor_all_reduces: Count, stream_bytes: Bytes, n_gpus: Count,
                   link_bandwidth_per_direction: BytesPerSecond) -> Seconds:
    """Time that the bytes of all all-reduces of one pass take at the full bandwidth of the link, without a hop.

    >>> volume_seconds(tensor_all_reduces=160, stream_bytes=100, n_gpus=4, link_bandwidth_per_direction=1e6)
    0.024
    """
    return tensor_all_reduces * ring_bytes(stream_bytes, n_gpus) / link_bandwidth_per_direction


def skew_seconds(n_gpus: Count, arrival_skew_seconds: Seconds) -> Seconds:
    """Waiting at each all-reduce for the last GPU to arrive; none for one GPU.

    >>> skew_seconds(n_gpus=4, arrival_skew_seconds=8e-6)
    8e-06
    """
    return where_above(n_gpus, 1, arrival_skew_seconds, 0 * arrival_skew_seconds)


def tensor_seconds(tensor_all_reduces: Count, all_reduce_seconds: Seconds, skew_seconds: Seconds) -> Seconds:
    """Time that the all-reduces of one pass take, with the waiting for the last GPU.

    >>> tensor_seconds(tensor_all_reduces=160, all_reduce_seconds=5e-6, skew_seconds=0)
    0.0008
    """
    return tensor_all_reduces * (all_reduce_seconds + skew_seconds)


def tensor_step_seconds(decode_step_seconds: Seconds, tensor_seconds: Seconds) -> Seconds:
    """Time of one decode step of a tensor-parallel group: communication waits for computing, and computing for it.

    >>> tensor_step_seconds(decode_step_seconds=0.02, tensor_seconds=0.001)
    0.021
    """
    return decode_step_seconds + tensor_seconds


def communication_share(tensor_seconds: Seconds, tensor_step_seconds: Seconds) -> Fraction:
    """Share of a step that is communication.

    >>> communication_share(tensor_seconds=0.005, tensor_step_seconds=0.02)
    0.25
    """
    return tensor_seconds / tensor_step_seconds


def kv_head_copies(n_gpus: Count, n_kv_heads: Count) -> Count:
    """GPUs that hold the same KV head: more than one where there are more GPUs than KV heads.

    >>> kv_head_copies(n_gpus=16, n_kv_heads=8), kv_head_copies(n_gpus=4, n_kv_heads=8)
    (2.0, 1)
    """
    return maximum(real(n_gpus) / n_kv_heads, 1)


def group_user_speed(tensor_step_seconds: Seconds) -> TokensPerSecond:
    """Tokens per second that each user of a tensor-parallel group sees.

    >>> group_user_speed(tensor_step_seconds=0.02)
    50.0
    """
    return 1 / tensor_step_seconds


def tokens_per_second_of_users(batch: Sequences, tokens_per_second: TokensPerSecond) -> TokensPerSecond:
    """Tokens per second of `batch` users who see `tokens_per_second` each.

    >>> tokens_per_second_of_users(batch=64, tokens_per_second=50)
    3200
    """
    return real(batch) * tokens_per_second


def tokens_per_second_of_replicas(replicas: Count, batch: Sequences, tensor_step_seconds: Seconds) -> TokensPerSecond:
    """Tokens each second of `replicas` groups, each with `batch` sequences.

    >>> tokens_per_second_of_replicas(replicas=2, batch=10, tensor_step_seconds=0.02)
    1000.0
    """
    return replicas * real(batch) / tensor_step_seconds


# --- where communication overtakes computing ---------------------------------------------------------------

def compute_communication_ratio(n_gpus: Count, token_flops: Flop, n_layers: Count, d_model: Count,
                                activation_bytes_per_element: BytesPerElement, peak_flops: FlopPerSecond,
                                usable_link_bandwidth: BytesPerSecond, link_efficiency: Fraction) -> Count:
    """Time to compute a token over the time to pass it around, for passes so large that latencies do not matter.

    Below 1 communication takes longer; infinite for one GPU. The tokens cancel: the ratio depends on model, chip and group only.

    >>> compute_communication_ratio(2, token_flops=1e9, n_layers=10, d_model=1000, activation_bytes_per_element=2,
    ...                             peak_flops=1e12, usable_link_bandwidth=1e9, link_efficiency=0.5)
    6.25
    """
    computing = token_flops / (real(n_gpus) * peak_flops)
    message = ring_bytes(stream_bytes(1, d_model, activation_bytes_per_element), maximum(real(n_gpus), 2))
    passing = tensor_all_reduces(n_layers) * message / (link_efficiency * usable_link_bandwidth)
    return where_above(n_gpus, 1, computing / passing, inf)


# --- pipeline parallelism ------------------------------------------------------------------------------------

def pipeline_bubble(n_stages: Count, micro_batches: Count) -> Fraction:
    """Share of the time that a stage waits while a batch passes: it fills and drains. Source: Huang 2019 (GPipe).

    >>> pipeline_bubble(n_stages=4, micro_batches=4)
    0.42857142857142855
    """
    return (n_stages - 1) / (real(micro_batches) + n_stages - 1)


def stage_bytes_sent(n_stages: Count, stream_bytes: Bytes) -> Bytes:
    """Bytes that pass between stages in one pass, all together.

    >>> stage_bytes_sent(n_stages=4, stream_bytes=100)
    300
    """
    return (n_stages - 1) * stream_bytes


def pipeline_seconds(whole_pass_seconds: Seconds, n_stages: Count, micro_batches: Count,
                     point_to_point_seconds: Seconds) -> Seconds:
    """Time until a batch, cut into micro-batches, has passed all stages.

    `whole_pass_seconds` is the time of one micro-batch through all layers, one GPU or group after the other.

    >>> pipeline_seconds(whole_pass_seconds=0.5, n_stages=4, micro_batches=5, point_to_point_seconds=0)
    1.0
    """
    slots = real(micro_batches) + n_stages - 1
    return slots * whole_pass_seconds / n_stages + (n_stages - 1) * point_to_point_seconds


def stage_weight_bytes(weight_bytes_per_gpu: Bytes, n_stages: Count) -> Bytes:
    """Bytes of weights on each GPU when the layers are cut into stages too.

    >>> stage_weight_bytes(weight_bytes_per_gpu=70e9, n_stages=2)
    35000000000.0
    """
    return weight_bytes_per_gpu / n_stages


def stage_state_bytes(batch: Sequences, state_bytes_per_gpu: Bytes, n_stages: Count) -> Bytes:
    """Bytes of the state of all sequences on each GPU when the layers are cut into stages too.

    >>> stage_state_bytes(batch=8, state_bytes_per_gpu=5e9, n_stages=4)
    10000000000.0
    """
    return real(batch) * state_bytes_per_gpu / n_stages


def between_stages_seconds(n_stages: Count, point_to_point_seconds: Seconds) -> Seconds:
    """Time that one pass is on its way between stages.

    >>> between_stages_seconds(n_stages=3, point_to_point_seconds=1e-5)
    2e-05
    """
    return (n_stages - 1) * point_to_point_seconds


def layout_step_seconds(tensor_step_seconds: Seconds, n_stages: Count, point_to_point_seconds: Seconds) -> Seconds:
    """Time of one decode step through stages that are tensor-parallel groups: they work one after the other.

    >>> layout_step_seconds(tensor_step_seconds=0.02, n_stages=1, point_to_point_seconds=1e-5)
    0.02
    """
    return tensor_step_seconds + between_stages_seconds(n_stages, point_to_point_seconds)


# --- context parallelism --------------------------------------------------------------------------------

def context_merge_bytes(pass_tokens: Tokens, n_heads: Count, d_head: Count, activation_bytes_per_element: BytesPerElement) -> Bytes:
    """Bytes of one layer that GPUs which share a context put together: of each head an output, a maximum and a sum.

    Each GPU attends to its part of the cache; the partial softmaxes are then merged. Source: Liu 2023 (ring attention).

    >>> context_merge_bytes(pass_tokens=1, n_heads=64, d_head=128, activation_bytes_per_element=2)
    16640
    """
    return real(pass_tokens) * n_heads * (d_head + 2) * activation_bytes_per_element


# --- expert parallelism ---------------------------------------------------------------------------------------

def expert_exchange_bytes(pass_tokens: Tokens, n_active_experts: Count, d_model: Count,
                          dispatch_bytes_per_element: BytesPerElement) -> Bytes:
    """Bytes of one dispatch or combine of one GPU's tokens: each token once for each of its experts.

    >>> expert_exchange_bytes(pass_tokens=128, n_active_experts=8, d_model=7168, dispatch_bytes_per_element=1)
    7340032
    """
    return real(pass_tokens) * n_active_experts * d_model * dispatch_bytes_per_element


def expert_exchange_seconds(expert_exchange_bytes: Bytes, n_gpus: Count, usable_link_bandwidth: BytesPerSecond,
                            hop_seconds: Seconds, link_efficiency: Fraction, expert_hops: Count) -> Seconds:
    """Time of one dispatch or combine, experts spread evenly over the GPUs.

    >>> expert_exchange_seconds(200, 2, 100, hop_seconds=1, link_efficiency=0.5, expert_hops=16)
    18.0
    """
    moved = share_bytes(expert_exchange_bytes, n_gpus)
    return where_above(n_gpus, 1, transfer_seconds(expert_hops, hop_seconds, moved, usable_link_bandwidth, link_efficiency), 0)
