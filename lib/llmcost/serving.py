"""What fits on the machine and what one decode step reads.

A parameter may carry the name of another formula: `state_bytes` here is the value of
`llmcost.attention.state_bytes`. Called by hand it is a number like any other;
`llmcost.faces.at` and the live controls compute it from the facts.

Weights split evenly over the GPUs of one tensor-parallel group. The state of a conversation splits
by KV heads: past `kv_shards` GPUs it is repeated, not divided.
"""

from .elementwise import ceil, floor, maximum, minimum, positive_part, real
from .units import (Bytes, BytesPerParam, BytesPerSecond, BytesPerToken, BytesPerElement, Count, Flop, FlopPerByte,
                    FlopPerSecond, Fraction, Seconds, Sequences, Tokens, TokensPerSecond)


# --- capacity --------------------------------------------------------------------------------

def weight_bytes_per_gpu(weight_bytes: Bytes, n_gpus: Count) -> Bytes:
    """Bytes of weights on each GPU of a tensor-parallel group.

    >>> weight_bytes_per_gpu(weight_bytes=141_107_412_992, n_gpus=2)
    70553706496.0
    """
    return weight_bytes / n_gpus


def kv_room_bytes(memory_bytes: Bytes, memory_utilization: Fraction, overhead_bytes: Bytes,
                  weight_bytes_per_gpu: Bytes) -> Bytes:
    """Bytes left on each GPU for the cache; negative when the weights do not fit.

    >>> kv_room_bytes(memory_bytes=80e9, memory_utilization=0.9, overhead_bytes=2e9, weight_bytes_per_gpu=16e9)
    54000000000.0
    """
    return memory_bytes * memory_utilization - overhead_bytes - weight_bytes_per_gpu


def held_back_bytes(memory_bytes: Bytes, memory_utilization: Fraction, overhead_bytes: Bytes) -> Bytes:
    """Bytes of each GPU that neither weights nor caches get: the engine's own, and the share it leaves free.

    >>> held_back_bytes(memory_bytes=80e9, memory_utilization=0.75, overhead_bytes=2e9)
    22000000000.0
    """
    return memory_bytes * (1 - memory_utilization) + overhead_bytes


def state_share(n_gpus: Count, kv_shards: Count) -> Fraction:
    """Share of one sequence's state on the fullest GPU of a tensor-parallel group.

    KV heads stay whole: three GPUs share eight heads as 3, 3 and 2. Past `kv_shards` GPUs they are repeated.
    For a model whose kinds of layers split differently it is an upper bound.

    >>> state_share(n_gpus=4, kv_shards=8), state_share(n_gpus=16, kv_shards=8), state_share(n_gpus=3, kv_shards=8)
    (0.25, 0.125, 0.375)
    """
    return ceil(real(kv_shards) / n_gpus) / kv_shards


def state_bytes_per_gpu(state_bytes: Bytes, state_share: Fraction) -> Bytes:
    """Bytes of one sequence's state on each GPU.

    >>> state_bytes_per_gpu(state_bytes=40e9, state_share=0.125)
    5000000000.0
    """
    return state_bytes * state_share


def batch_state_bytes_per_gpu(batch: Sequences, state_bytes_per_gpu: Bytes) -> Bytes:
    """Bytes of the state of all sequences on each GPU.

    >>> batch_state_bytes_per_gpu(batch=8, state_bytes_per_gpu=5e9)
    40000000000.0
    """
    return real(batch) * state_bytes_per_gpu


def sequences_that_fit(kv_room_bytes: Bytes, state_bytes_per_gpu: Bytes) -> Sequences:
    """Whole sequences whose state fits beside the weights; 0 when there is no room.

    >>> sequences_that_fit(kv_room_bytes=54e9, state_bytes_per_gpu=4e9)
    13
    """
    return floor(positive_part(kv_room_bytes) / state_bytes_per_gpu)


def growing_bytes_per_token(full_elements_per_token: Count, sparse_elements_per_token: Count,
                            kv_bytes_per_element: BytesPerElement,
                            index_bytes_per_token: BytesPerToken) -> BytesPerToken:
    """Bytes that one more token adds to a long conversation, past every window.

    >>> growing_bytes_per_token(full_elements_per_token=163_840, sparse_elements_per_token=0, kv_bytes_per_element=2,
    ...                         index_bytes_per_token=0)
    327680
    """
    return (full_elements_per_token + sparse_elements_per_token) * kv_bytes_per_element + index_bytes_per_token


def tokens_that_fit(kv_room_bytes: Bytes, growing_bytes_per_token: BytesPerToken, state_share: Fraction,
                    block_tokens: Tokens) -> Tokens:
    """Tokens of cache in the room of each GPU, handed out in whole blocks.

    This is the number an engine prints when it starts. It holds for a cache that grows with every token.

    >>> tokens_that_fit(9_446_293_504, growing_bytes_per_token=327_680, state_share=1 / 2, block_tokens=16)
    57648
    """
    block_bytes = block_tokens * growing_bytes_per_token * state_share
    return block_tokens * floor(positive_part(kv_room_bytes) / block_bytes)


def paged_tokens(context: Tokens, block_tokens: Tokens) -> Tokens:
    """Tokens of memory that one sequence holds when memory is handed out in whole blocks.

    >>> paged_tokens(context=17, block_tokens=16)
    32
    """
    return ceil(real(context) / block_tokens) * block_tokens


def shared_prefix_tokens(batch: Sequences, context: Tokens, shared_tokens: Tokens) -> Tokens:
    """Cached tokens of `batch` sequences of `context` tokens whose first `shared_tokens` are the same.

    >>> shared_prefix_tokens(batch=10, context=100, shared_tokens=90)
    190
    """
    shared = minimum(real(shared_tokens), real(context))
    return shared + real(batch) * (context - shared)


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


def crossover_tokens(weight_bytes: Bytes, growing_bytes_per_token: BytesPerToken) -> Tokens:
    """Cached tokens, over all sequences together, whose bytes equal those of the weights.

    It has no value for a model whose cache stops growing: there the weights may rule for ever.

    >>> round(crossover_tokens(weight_bytes=141_107_412_992, growing_bytes_per_token=327_680))
    430626
    """
    return weight_bytes / growing_bytes_per_token


def crossover_sequences(weight_bytes_per_gpu: Bytes, state_bytes_per_gpu: Bytes) -> Sequences:
    """Sequences whose state takes as many bytes on each GPU as the weights there.

    >>> crossover_sequences(weight_bytes_per_gpu=16e9, state_bytes_per_gpu=1e9)
    16.0
    """
    return weight_bytes_per_gpu / state_bytes_per_gpu


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


def decode_step_seconds(weight_bytes_read: Bytes, n_gpus: Count, batch_state_read_bytes: Bytes, state_share: Fraction,
                        memory_bandwidth: BytesPerSecond, decode_flops: Flop, peak_flops: FlopPerSecond) -> Seconds:
    """Least time of one decode step: reading at full bandwidth or computing at full speed, the longer one.

    No engine reaches it: there is no communication, no launch and no scheduling in it.

    >>> decode_step_seconds(weight_bytes_read=16e9, n_gpus=1, batch_state_read_bytes=8e9, state_share=1,
    ...                     memory_bandwidth=3e12, decode_flops=128e9, peak_flops=1e15)
    0.008
    """
    reading = (weight_bytes_read / n_gpus + batch_state_read_bytes * state_share) / memory_bandwidth
    return maximum(reading, decode_flops / (n_gpus * peak_flops))


def decode_tokens_per_second(batch: Sequences, decode_step_seconds: Seconds) -> TokensPerSecond:
    """Most tokens per second that decode can produce, all sequences together: one each per step.

    >>> decode_tokens_per_second(batch=8, decode_step_seconds=0.008)
    1000.0
    """
    return batch / decode_step_seconds
