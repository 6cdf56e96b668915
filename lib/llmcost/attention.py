"""What attention keeps and reads: shapes to elements and bytes.

Three things can happen to the state of a conversation when it grows by one token:
an entry that stays (full attention, MLA), an entry that pushes out old ones
(sliding window, chunks), or nothing new at all (linear attention and the delta rule).
`state_bytes` holds all three, so one formula serves every model.
"""

from .elementwise import ceil, floor, minimum, real
from .units import Bytes, BytesPerElement, BytesPerToken, Count, Sequences, Tokens


# --- one layer, one token ------------------------------------------------------------------

def kv_elements(n_kv_heads: Count, d_head: Count) -> Count:
    """Elements that one layer caches for one token: a key and a value for each KV head.

    Multi-head attention (MHA) has `n_kv_heads` = `n_heads`, multi-query attention (MQA) has 1,
    grouped-query attention (GQA) anything between. Source: Ainslie 2023.

    >>> kv_elements(n_kv_heads=8, d_head=128)
    2048
    """
    return 2 * n_kv_heads * d_head


def mla_elements(kv_rank: Count, d_rope: Count) -> Count:
    """Elements that one layer of multi-head latent attention (MLA) caches for one token.

    One latent vector, from which keys and values of all heads are rebuilt, and one rotary key.
    It is cached once: there is no factor 2. Source: DeepSeek-V2, section 2.1.

    >>> mla_elements(kv_rank=512, d_rope=64)
    576
    """
    return kv_rank + d_rope


def linear_state_elements(n_state_heads: Count, d_key: Count, d_value: Count) -> Count:
    """Elements of the state of one linear-attention layer: one matrix for each head.

    Each head keeps the running sum of outer products of keys [d_key] and values [d_value].
    The context does not appear. Source: Katharopoulos 2020, section 3.4.

    >>> linear_state_elements(n_state_heads=64, d_key=128, d_value=128)
    1048576
    """
    return n_state_heads * d_key * d_value


def conv_state_elements(n_key_heads: Count, d_key: Count, n_state_heads: Count, d_value: Count,
                        conv_width: Tokens) -> Count:
    """Elements that the short convolutions of one delta-rule layer keep: their last inputs.

    Queries, keys and values pass through a causal convolution over `conv_width` tokens each.
    Source: Yang 2024 (Gated DeltaNet), section 3.

    >>> conv_state_elements(n_key_heads=16, d_key=128, n_state_heads=64, d_value=128, conv_width=4)
    36864
    """
    return (conv_width - 1) * (2 * n_key_heads * d_key + n_state_heads * d_value)


def indexer_bytes_per_token(n_layers: Count, d_index: Count, index_bytes_per_element: BytesPerElement,
                            index_scale_bytes: Bytes) -> BytesPerToken:
    """Bytes of index keys that sparse attention (DSA) adds to the cache for one token.

    The indexer decides which entries are read. It removes none: they all stay stored.

    >>> indexer_bytes_per_token(n_layers=61, d_index=128, index_bytes_per_element=1, index_scale_bytes=4)
    8052
    """
    return n_layers * (d_index * index_bytes_per_element + index_scale_bytes)


def kv_head_of_query_head(query_head: Count, n_heads: Count, n_kv_heads: Count) -> Count:
    """Number of the KV head that query head `query_head` reads, both counted from 0.

    >>> kv_head_of_query_head(query_head=9, n_heads=64, n_kv_heads=8)
    1
    """
    return floor(query_head * n_kv_heads / n_heads)


# --- one model ------------------------------------------------------------------------------

def kv_bytes_per_token(n_layers: Count, n_kv_heads: Count, d_head: Count,
                       kv_bytes_per_element: BytesPerElement) -> BytesPerToken:
    """Bytes of KV cache that one token adds, for a model whose layers all keep keys and values.

    >>> kv_bytes_per_token(n_layers=80, n_kv_heads=8, d_head=128, kv_bytes_per_element=2)
    327680
    """
    return n_layers * kv_elements(n_kv_heads, d_head) * kv_bytes_per_element


def mla_bytes_per_token(n_layers: Count, kv_rank: Count, d_rope: Count,
                        kv_bytes_per_element: BytesPerElement) -> BytesPerToken:
    """Bytes of cache that one token adds, for a model whose layers are all MLA.

    >>> mla_bytes_per_token(n_layers=61, kv_rank=512, d_rope=64, kv_bytes_per_element=2)
    70272
    """
    return n_layers * mla_elements(kv_rank, d_rope) * kv_bytes_per_element


def kv_cache_bytes(batch: Sequences, context: Tokens, n_layers: Count, n_kv_heads: Count, d_head: Count,
                   kv_bytes_per_element: BytesPerElement) -> Bytes:
    """Bytes of KV cache of `batch` sequences of `context` tokens each, full attention.

    >>> kv_cache_bytes(1, 4096, 80, 8, 128, 2)
    1342177280
    """
    return real(batch) * real(context) * kv_bytes_per_token(n_layers, n_kv_heads, d_head, kv_bytes_per_element)


def sliding_cache_bytes(context: Tokens, window: Tokens, n_layers: Count, n_kv_heads: Count, d_head: Count,
                        kv_bytes_per_element: BytesPerElement) -> Bytes:
    """Bytes of KV cache of one sequence when every layer sees the last `window` tokens only.

    The window counts the token itself. Source: Jiang 2023 (rolling buffer), Beltagy 2020.

    >>> sliding_cache_bytes(32_768, 4_096, 32, 8, 128, 2) == sliding_cache_bytes(4_096, 4_096, 32, 8, 128, 2)
    True
    """
    return minimum(real(context), window) * kv_bytes_per_token(n_layers, n_kv_heads, d_head, kv_bytes_per_element)


def linear_state_bytes(n_layers: Count, n_state_heads: Count, d_key: Count, d_value: Count,
                       state_bytes_per_element: BytesPerElement) -> Bytes:
    """Bytes of state of one sequence when every layer is linear attention, at any context.

    >>> linear_state_bytes(70, 64, 128, 128, 4)
    293601280
    """
    return n_layers * linear_state_elements(n_state_heads, d_key, d_value) * state_bytes_per_element


def tokens_in_chunk(context: Tokens, chunk: Tokens) -> Tokens:
    """Tokens that the newest of `context` tokens sees when attention stays inside chunks of `chunk` tokens.

    >>> tokens_in_chunk(context=8_192, chunk=8_192), tokens_in_chunk(context=8_193, chunk=8_192)
    (8192, 1)
    """
    context = real(context)
    return minimum(context, context - chunk * (ceil(context / chunk) - 1))


def cache_bytes(context: Tokens, full_elements_per_token: Count, sparse_elements_per_token: Count, window: Tokens,
                sliding_elements_per_token: Count, chunk: Tokens, chunked_elements_per_token: Count,
                index_bytes_per_token: BytesPerToken, kv_bytes_per_element: BytesPerElement) -> Bytes:
    """Bytes of cached entries that one sequence of `context` tokens keeps, for a model with any mix of layers.

    The element counts are sums over the model's layers; a kind of layer that the model
    does not have counts 0. Sparse attention stores every entry, and an index key besides.
    A chunked layer needs room for the fullest chunk so far.
    A model without a window or chunks may pass any `window` and `chunk`.

    >>> cache_bytes(context=4096, full_elements_per_token=163_840, sparse_elements_per_token=0, window=1,
    ...             sliding_elements_per_token=0, chunk=1, chunked_elements_per_token=0, index_bytes_per_token=0,
    ...             kv_bytes_per_element=2)
    1342177280
    """
    context = real(context)
    entries = (context * (full_elements_per_token + sparse_elements_per_token)
               + minimum(context, window) * sliding_elements_per_token
               + minimum(context, chunk) * chunked_elements_per_token)
    return entries * kv_bytes_per_element + context * index_bytes_per_token


def fixed_bytes(fixed_state_elements: Count, state_bytes_per_element: BytesPerElement, buffer_bytes: Bytes) -> Bytes:
    """Bytes of one sequence's state that never grow: running sums, and the buffers of convolutions and compressors.

    >>> fixed_bytes(fixed_state_elements=1_048_576, state_bytes_per_element=4, buffer_bytes=73_728)
    4268032
    """
    return fixed_state_elements * state_bytes_per_element + buffer_bytes


def state_bytes(cache_bytes: Bytes, fixed_bytes: Bytes) -> Bytes:
    """Bytes of memory that one sequence needs: cached entries, and state that never grows.

    >>> state_bytes(cache_bytes=1_342_177_280, fixed_bytes=0)
    1342177280
    """
    return cache_bytes + fixed_bytes


def cache_read_bytes(context: Tokens, full_elements_per_token: Count, sparse_elements_per_token: Count,
                     index_top_k: Tokens, window: Tokens, sliding_elements_per_token: Count, chunk: Tokens,
                     chunked_elements_per_token: Count, index_bytes_per_token: BytesPerToken,
                     kv_bytes_per_element: BytesPerElement) -> Bytes:
    """Bytes of cached entries that attention reads to produce one token, each entry once.

    Sparse attention reads every index key and the `index_top_k` entries that it selects.
    A chunked layer reads its own chunk.

    >>> cache_read_bytes(context=1000, full_elements_per_token=0, sparse_elements_per_token=10, index_top_k=100,
    ...                  window=1, sliding_elements_per_token=0, chunk=1, chunked_elements_per_token=0,
    ...                  index_bytes_per_token=3, kv_bytes_per_element=2)
    5000
    """
    context = real(context)
    entries = (context * full_elements_per_token + minimum(context, index_top_k) * sparse_elements_per_token
               + minimum(context, window) * sliding_elements_per_token
               + tokens_in_chunk(context, chunk) * chunked_elements_per_token)
    return entries * kv_bytes_per_element + context * index_bytes_per_token


def fixed_traffic_bytes(fixed_state_elements: Count, state_bytes_per_element: BytesPerElement,
                        buffer_traffic_bytes: Bytes) -> Bytes:
    """Bytes of the state that never grows that one token reads and writes: running sums both, buffers as they need.

    >>> fixed_traffic_bytes(fixed_state_elements=100, state_bytes_per_element=4, buffer_traffic_bytes=10)
    810
    """
    return 2 * fixed_state_elements * state_bytes_per_element + buffer_traffic_bytes


def state_read_bytes(cache_read_bytes: Bytes, fixed_traffic_bytes: Bytes) -> Bytes:
    """Bytes of state that move to produce one token.

    >>> state_read_bytes(cache_read_bytes=5000, fixed_traffic_bytes=810)
    5810
    """
    return cache_read_bytes + fixed_traffic_bytes


# --- scores ----------------------------------------------------------------------------------

def score_matrix_bytes(context: Tokens, n_heads: Count, score_bytes_per_element: BytesPerElement) -> Bytes:
    """Bytes of the scores of one layer in prefill, were they written out: a square for each query head.

    >>> score_matrix_bytes(context=2048, n_heads=64, score_bytes_per_element=2)
    536870912
    """
    return real(context) * real(context) * n_heads * score_bytes_per_element


def running_softmax_bytes(context: Tokens, n_heads: Count, d_head: Count,
                          score_bytes_per_element: BytesPerElement) -> Bytes:
    """Bytes that one layer keeps instead in prefill: for each query a maximum, a sum and an output vector.

    The block of scores at work is left out: its size is fixed and stays on the chip. Source: Dao 2022.

    >>> running_softmax_bytes(context=2048, n_heads=64, d_head=128, score_bytes_per_element=2)
    34078720
    """
    return real(context) * n_heads * (d_head + 2) * score_bytes_per_element
