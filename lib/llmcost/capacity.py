"""What fits on the machine: weights, the engine's own part, and the state of conversations.

A parameter may carry the name of another formula: `state_bytes` here is the value of
`llmcost.attention.state_bytes`. Called by hand it is a number like any other;
`llmcost.faces.at` and the live controls compute it from the facts.

Weights split evenly over the GPUs of one tensor-parallel group. The cache of a conversation splits
by KV heads, a state that never grows by heads of its own: past `kv_shards` or `fixed_shards` GPUs it is
repeated, not divided.
"""

from .elementwise import ceil, floor, minimum, positive_part, real
from .units import Bytes, BytesPerElement, BytesPerToken, Count, Fraction, Sequences, Tokens


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
    """Share of one sequence's cached entries on the fullest GPU of a tensor-parallel group.

    KV heads stay whole: three GPUs share eight heads as 3, 3 and 2. Past `kv_shards` GPUs they are repeated.

    >>> state_share(n_gpus=4, kv_shards=8), state_share(n_gpus=16, kv_shards=8), state_share(n_gpus=3, kv_shards=8)
    (0.25, 0.125, 0.375)
    """
    return ceil(real(kv_shards) / n_gpus) / kv_shards


def fixed_share(n_gpus: Count, fixed_shards: Count) -> Fraction:
    """The same for the state that never grows, which splits by the heads of its own layers.

    >>> fixed_share(n_gpus=8, fixed_shards=96)
    0.125
    """
    return ceil(real(fixed_shards) / n_gpus) / fixed_shards


def state_bytes_per_gpu(cache_bytes: Bytes, state_share: Fraction, fixed_bytes: Bytes, fixed_share: Fraction) -> Bytes:
    """Bytes of one sequence's state on each GPU.

    >>> state_bytes_per_gpu(cache_bytes=40e9, state_share=0.125, fixed_bytes=0, fixed_share=1)
    5000000000.0
    """
    return cache_bytes * state_share + fixed_bytes * fixed_share


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
