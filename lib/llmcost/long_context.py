"""Long contexts: where a state that does not grow pays, where weights still rule, what it costs to keep, move or rebuild a state.

A step reads the weights once and the state of each sequence. Softmax layers read a cache that grows with the context, linear layers
read and write a state that does not. Both are sums over layers, so that every crossover is a line that meets another.

Sources: Katharopoulos 2020, section 3.4; MiniMax-01, section 2.2.
"""

from math import inf

from .attention import kv_elements, linear_state_elements
from .elementwise import ceil, maximum, real, where_above
from .units import (Bytes, BytesPerElement, BytesPerSecond, BytesPerToken, Count, Flop, FlopPerByte, Fraction, Seconds, Sequences,
                    Tokens)

# --- one layer against another ------------------------------------------------------------------

def state_break_even_tokens(n_state_heads: Count, d_key: Count, d_value: Count, state_bytes_per_element: BytesPerElement,
                            n_kv_heads: Count, d_head: Count, kv_bytes_per_element: BytesPerElement) -> Tokens:
    """Context at which the cache of one softmax layer is as large as the state of one linear layer.

    Below it the linear layer takes more memory.

    >>> state_break_even_tokens(64, 128, 128, state_bytes_per_element=4, n_kv_heads=8, d_head=128, kv_bytes_per_element=2)
    1024.0
    """
    state = linear_state_elements(n_state_heads, d_key, d_value) * state_bytes_per_element
    return state / (kv_elements(n_kv_heads, d_head) * kv_bytes_per_element)


def traffic_break_even_tokens(state_break_even_tokens: Tokens) -> Tokens:
    """Context at which both layers move as many bytes in one step: a cache is read, a state is read and written.

    >>> traffic_break_even_tokens(state_break_even_tokens=1024)
    2048
    """
    return 2 * state_break_even_tokens


def chunked_token_flops(state_chunk: Tokens, d_key: Count, d_value: Count) -> Flop:
    """FLOPs of one head of linear attention for one token, when `state_chunk` tokens are taken at a time.

    Inside a chunk tokens meet through a masked product, as in softmax attention; what came before is read from the state,
    and the state takes in the chunk at its end. With a fixed decay, as in lightning attention.

    >>> chunked_token_flops(state_chunk=64, d_key=128, d_value=128)
    99264.0
    """
    pairs = real(state_chunk) * (2 * d_key + 2 * d_value + 1)
    state = real(d_key) * d_value * (4 + 2 / real(state_chunk))
    return pairs + state + 2 * d_key + d_value


def chunk_intensity(state_chunk: Tokens, d_key: Count, d_value: Count, activation_bytes_per_element: BytesPerElement,
                    state_bytes_per_element: BytesPerElement) -> FlopPerByte:
    """FLOPs for each byte of that work, where the state goes to memory and back once for each chunk.

    Queries, keys and values come in, outputs go out.

    >>> round(chunk_intensity(1, 128, 128, activation_bytes_per_element=2, state_bytes_per_element=4), 2)
    0.75
    """
    token_bytes = 2 * (d_key + d_value) * activation_bytes_per_element
    state_bytes = 2 * real(d_key) * d_value * state_bytes_per_element
    return chunked_token_flops(state_chunk, d_key, d_value) / (token_bytes + state_bytes / real(state_chunk))


def chunk_steps(prompt_tokens: Tokens, state_chunk: Tokens) -> Count:
    """Steps that have to wait for each other when a prompt is taken in chunks.

    >>> chunk_steps(prompt_tokens=1000, state_chunk=64)
    16
    """
    return ceil(real(prompt_tokens) / state_chunk)


# --- a stack of both ------------------------------------------------------------------------------

def hybrid_state_bytes(context: Tokens, n_layers: Count, linear_per_full: Count, n_kv_heads: Count, d_head: Count,
                       kv_bytes_per_element: BytesPerElement, n_state_heads: Count, d_key: Count, d_value: Count,
                       state_bytes_per_element: BytesPerElement) -> Bytes:
    """Bytes that one sequence keeps in a stack with `linear_per_full` linear layers for each softmax layer; 0 is softmax alone.

    >>> hybrid_state_bytes(1000, n_layers=8, linear_per_full=7, n_kv_heads=1, d_head=1, kv_bytes_per_element=2,
    ...                    n_state_heads=1, d_key=10, d_value=10, state_bytes_per_element=4)
    6800.0
    """
    cache = real(context) * kv_elements(n_kv_heads, d_head) * kv_bytes_per_element
    state = linear_state_elements(n_state_heads, d_key, d_value) * state_bytes_per_element
    return n_layers * (cache + linear_per_full * state) / (1 + linear_per_full)


def hybrid_read_bytes(context: Tokens, n_layers: Count, linear_per_full: Count, n_kv_heads: Count, d_head: Count,
                      kv_bytes_per_element: BytesPerElement, n_state_heads: Count, d_key: Count, d_value: Count,
                      state_bytes_per_element: BytesPerElement) -> Bytes:
    """Bytes of state that one token of such a stack moves: caches are read, states read and written.

    >>> hybrid_read_bytes(1000, n_layers=8, linear_per_full=7, n_kv_heads=1, d_head=1, kv_bytes_per_element=2,
    ...                   n_state_heads=1, d_key=10, d_value=10, state_bytes_per_element=4)
    9600.0
    """
    cache = real(context) * kv_elements(n_kv_heads, d_head) * kv_bytes_per_element
    state = linear_state_elements(n_state_heads, d_key, d_value) * state_bytes_per_element
    return n_layers * (cache + 2 * linear_per_full * state) / (1 + linear_per_full)


def hybrid_speedup(weight_bytes_read: Bytes, batch: Sequences, context: Tokens, n_layers: Count, linear_per_full: Count,
                   n_kv_heads: Count, d_head: Count, kv_bytes_per_element: BytesPerElement, n_state_heads: Count, d_key: Count,
                   d_value: Count, state_bytes_per_element: BytesPerElement) -> Count:
    """Bytes of a decode step with softmax layers alone, over those of the stack: how many times as fast it is, where bytes rule.

    Tends to 1 + `linear_per_full` for long contexts, and to less than 1 for short ones.

    >>> hybrid_speedup(weight_bytes_read=0, batch=1, context=10**7, n_layers=8, linear_per_full=7, n_kv_heads=1, d_head=1,
    ...                kv_bytes_per_element=2, n_state_heads=1, d_key=1, d_value=1, state_bytes_per_element=4) > 7.99
    True
    """
    shapes = n_kv_heads, d_head, kv_bytes_per_element, n_state_heads, d_key, d_value, state_bytes_per_element
    softmax = weight_bytes_read + real(batch) * hybrid_read_bytes(context, n_layers, 0, *shapes)
    return softmax / (weight_bytes_read + real(batch) * hybrid_read_bytes(context, n_layers, linear_per_full, *shapes))


def context_for_speedup(speedup: Count, weight_bytes_read: Bytes, batch: Sequences, n_layers: Count, linear_per_full: Count,
                        n_kv_heads: Count, d_head: Count, kv_bytes_per_element: BytesPerElement, n_state_heads: Count,
                        d_key: Count, d_value: Count, state_bytes_per_element: BytesPerElement) -> Tokens:
    """Context from which a step of the stack is `speedup` times as fast as one with softmax layers alone.

    It is `hybrid_speedup` = `speedup`, solved for the context; infinite from 1 + `linear_per_full` on.

    >>> context_for_speedup(2, weight_bytes_read=2400, batch=1, n_layers=8, linear_per_full=7, n_kv_heads=1, d_head=1,
    ...                     kv_bytes_per_element=2, n_state_heads=1, d_key=10, d_value=10, state_bytes_per_element=4)
    566.6666666666666
    """
    token_bytes = n_layers * kv_elements(n_kv_heads, d_head) * kv_bytes_per_element
    state = linear_state_elements(n_state_heads, d_key, d_value) * state_bytes_per_element
    moved = 2 * n_layers * linear_per_full * state / (1 + linear_per_full)
    kept = 1 - speedup / (1 + linear_per_full)
    needed = (speedup - 1) * weight_bytes_read / real(batch) + speedup * moved
    return where_above(kept, 0, needed / (token_bytes * where_above(kept, 0, kept, 1)), inf)


# --- where weights still rule ---------------------------------------------------------------------

def weights_rule_tokens(weight_bytes_read: Bytes, batch: Sequences, fixed_traffic_bytes: Bytes, full_elements_per_token: Count,
                        sparse_elements_per_token: Count, index_top_k: Tokens, window: Tokens, sliding_elements_per_token: Count,
                        kv_bytes_per_element: BytesPerElement, index_bytes_per_token: BytesPerToken) -> Tokens:
    """Context at which a step moves as many bytes of state as of weights; below it the weights rule.

    What a step reads is a sum of lines that end in plateaus, at the window and at the entries that an indexer selects. Each choice of
    plateaus gives one crossing, and the last one counts. Infinite where the state stops growing before; 0 where it outweighs
    the weights from the first token. Layers with chunks, whose reading rises and falls, are left out.

    >>> weights_rule_tokens(weight_bytes_read=1000, batch=2, fixed_traffic_bytes=100, full_elements_per_token=1,
    ...                     sparse_elements_per_token=0, index_top_k=1, window=50, sliding_elements_per_token=3,
    ...                     kv_bytes_per_element=2, index_bytes_per_token=0)
    50.0
    """
    room = weight_bytes_read / real(batch) - fixed_traffic_bytes
    always = full_elements_per_token * kv_bytes_per_element + index_bytes_per_token
    sliding, sparse = sliding_elements_per_token * kv_bytes_per_element, sparse_elements_per_token * kv_bytes_per_element
    return maximum(maximum(_crossing(room, always + sliding + sparse), _crossing(room - window * sliding, always + sparse)),
                   maximum(_crossing(room - index_top_k * sparse, always + sliding),
                           _crossing(room - window * sliding - index_top_k * sparse, always)))


def _crossing(room, slope):
    """Where a line through 0 with this slope fills the room: never where it is flat, at once where there is no room."""
    filled = where_above(slope, 0, room / where_above(slope, 0, slope, 1), inf)
    return where_above(room, 0, filled, 0)


# --- keep, move or compute again --------------------------------------------------------------------

def break_even_bandwidth(state_bytes: Bytes, prefill_seconds: Seconds, link_efficiency: Fraction) -> BytesPerSecond:
    """Bandwidth of the link above which it is faster to load the state of a prompt than to compute the prompt again.

    `state_bytes` is that of a context of the prompt.

    >>> break_even_bandwidth(state_bytes=1e9, prefill_seconds=0.5, link_efficiency=0.8)
    2500000000.0
    """
    return state_bytes / (prefill_seconds * link_efficiency)


def reload_gain(prefill_seconds: Seconds, kv_transfer_seconds: Seconds) -> Count:
    """Time to compute a prompt again, over the time to load its state; below 1, computing is faster.

    >>> reload_gain(prefill_seconds=0.5, kv_transfer_seconds=0.025)
    20.0
    """
    return prefill_seconds / kv_transfer_seconds


def state_worth_tokens(fixed_bytes: Bytes, growing_bytes_per_token: BytesPerToken) -> Tokens:
    """Tokens of cache that take as many bytes as one copy of the state that never grows.

    >>> state_worth_tokens(fixed_bytes=4_000_000, growing_bytes_per_token=1000)
    4000.0
    """
    return fixed_bytes / growing_bytes_per_token


def checkpoint_bytes_per_token(growing_bytes_per_token: BytesPerToken, fixed_bytes: Bytes, checkpoint_tokens: Tokens) -> BytesPerToken:
    """Bytes that a prefix cache keeps for each token, with a copy of the state that never grows every `checkpoint_tokens` tokens.

    A prompt can be taken up again only where such a copy stands.

    >>> checkpoint_bytes_per_token(growing_bytes_per_token=1000, fixed_bytes=4_000_000, checkpoint_tokens=4000)
    2000.0
    """
    return growing_bytes_per_token + fixed_bytes / real(checkpoint_tokens)
