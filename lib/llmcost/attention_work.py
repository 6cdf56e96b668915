"""What attention computes: FLOPs of one layer, of one new token, of a prompt, and the work that a cache saves."""

from .attention import linear_state_elements, mla_elements, tokens_in_chunk
from .elementwise import floor, minimum, real
from .units import BytesPerElement, Count, Flop, FlopPerByte, Tokens


# --- one layer ------------------------------------------------------------------------------------

def attention_flops(n_heads: Count, d_head: Count) -> Flop:
    """FLOPs that one layer spends on one cached token when one new token attends to it.

    One dot product and one weighted sum of width `d_head` for each query head, 2 FLOPs a
    multiply-add. How many KV heads there are changes the bytes, not these FLOPs.

    >>> attention_flops(n_heads=64, d_head=128)
    32768
    """
    return 4 * n_heads * d_head


def mla_attention_flops(n_heads: Count, kv_rank: Count, d_rope: Count) -> Flop:
    """The same for MLA in its absorbed form, where heads score and sum the latent itself.

    Scores have width `kv_rank` + `d_rope`, sums have width `kv_rank`. Source: DeepSeek-V2, section 2.1.

    >>> mla_attention_flops(n_heads=128, kv_rank=512, d_rope=64)
    278528
    """
    return 2 * n_heads * (2 * kv_rank + d_rope)


def mla_prefill_flops(n_heads: Count, d_nope: Count, d_rope: Count, d_value: Count) -> Flop:
    """FLOPs that one MLA layer spends on one pair of tokens in prefill, keys and values rebuilt for each head.

    Rebuilding them is a matrix product over the tokens, counted with the parameters.
    Source: DeepSeek-V2, section 2.1; the absorbed form of decode costs more FLOPs a pair and fewer bytes.

    >>> mla_prefill_flops(n_heads=128, d_nope=128, d_rope=64, d_value=128)
    81920
    """
    return 2 * n_heads * (d_nope + d_rope + d_value)


def score_elementwise_flops(n_heads: Count) -> Flop:
    """FLOPs that one layer spends on one score of each query head besides the products: scale it, and its softmax.

    Softmax is the maximum, a subtraction, an exponential, the sum and a division.

    >>> score_elementwise_flops(n_heads=64)
    384
    """
    return 6 * n_heads


def indexer_flops(n_index_heads: Count, d_index: Count) -> Flop:
    """FLOPs that the indexer of one layer spends on one cached token: a dot product and a weighted sum per head.

    Source: DeepSeek-V3.2, section on DeepSeek Sparse Attention.

    >>> indexer_flops(n_index_heads=64, d_index=128)
    16512
    """
    return 2 * n_index_heads * (d_index + 1)


def block_indexer_flops(n_index_heads: Count, d_index: Count) -> Flop:
    """The same for an indexer that takes the largest score of each block, without weights: a dot product per head.

    >>> block_indexer_flops(n_index_heads=4, d_index=128)
    1024
    """
    return 2 * n_index_heads * d_index


def linear_attention_flops(n_state_heads: Count, d_key: Count, d_value: Count) -> Flop:
    """FLOPs of one linear-attention layer for one token: decay, add the outer product, read.

    >>> linear_attention_flops(1, 2, 3)
    30
    """
    return 5 * linear_state_elements(n_state_heads, d_key, d_value)


def delta_rule_flops(n_state_heads: Count, d_key: Count, d_value: Count) -> Flop:
    """FLOPs of one delta-rule layer for one token: decay, look up the key, correct its value, read.

    Four passes over the state of two FLOPs each, but the decay, which takes one. Source: Yang 2024, section 3.1.

    >>> delta_rule_flops(1, 2, 3)
    42
    """
    return 7 * linear_state_elements(n_state_heads, d_key, d_value)


def attention_intensity(n_heads: Count, n_kv_heads: Count, kv_bytes_per_element: BytesPerElement) -> FlopPerByte:
    """FLOPs per byte of KV cache read in decode: the heads that share an entry do the reuse.

    It is `attention_flops` over the bytes of `kv_elements`; width and context cancel.

    >>> attention_intensity(n_heads=64, n_kv_heads=8, kv_bytes_per_element=2)
    8.0
    """
    return 2 * n_heads / (n_kv_heads * kv_bytes_per_element)


def mla_attention_intensity(n_heads: Count, kv_rank: Count, d_rope: Count,
                            kv_bytes_per_element: BytesPerElement) -> FlopPerByte:
    """FLOPs per byte of latent cache read in decode, absorbed form.

    >>> round(mla_attention_intensity(n_heads=128, kv_rank=512, d_rope=64, kv_bytes_per_element=2), 1)
    241.8
    """
    return mla_attention_flops(n_heads, kv_rank, d_rope) / (mla_elements(kv_rank, d_rope) * kv_bytes_per_element)


# --- one model ------------------------------------------------------------------------------------

def state_attention_flops(context: Tokens, full_attention_flops: Flop, sparse_attention_flops: Flop,
                          index_top_k: Tokens, window: Tokens, sliding_attention_flops: Flop, chunk: Tokens,
                          chunked_attention_flops: Flop, fixed_attention_flops: Flop) -> Flop:
    """FLOPs that one new token spends attending to its own context, all layers of a model together.

    The arguments are sums over the model's layers, like those of `state_read_bytes`.

    >>> state_attention_flops(4096, full_attention_flops=2_621_440, sparse_attention_flops=0, index_top_k=1,
    ...                       window=1, sliding_attention_flops=0, chunk=1, chunked_attention_flops=0,
    ...                       fixed_attention_flops=0)
    10737418240
    """
    context = real(context)
    return (context * full_attention_flops + minimum(context, index_top_k) * sparse_attention_flops
            + minimum(context, window) * sliding_attention_flops
            + tokens_in_chunk(context, chunk) * chunked_attention_flops + fixed_attention_flops)


def causal_pairs(context: Tokens) -> Count:
    """Pairs of a query and a key not after it, among `context` tokens.

    >>> causal_pairs(context=4)
    10.0
    """
    return real(context) * (real(context) + 1) / 2


def window_pairs(context: Tokens, window: Tokens) -> Count:
    """The same when a query sees itself and the `window` - 1 tokens before it.

    >>> window_pairs(context=4, window=2)
    7.0
    """
    seen = minimum(real(context), window)
    return causal_pairs(seen) + (real(context) - seen) * seen


def chunk_pairs(context: Tokens, chunk: Tokens) -> Count:
    """The same when a query sees its own chunk of `chunk` tokens only.

    >>> chunk_pairs(context=5, chunk=2)
    7.0
    """
    chunks = floor(real(context) / chunk)
    return chunks * causal_pairs(chunk) + causal_pairs(real(context) - chunks * chunk)


def prefill_attention_flops(prompt_tokens: Tokens, full_prefill_flops: Flop, sparse_attention_flops: Flop,
                            index_top_k: Tokens, window: Tokens, sliding_attention_flops: Flop, chunk: Tokens,
                            chunked_attention_flops: Flop, fixed_attention_flops: Flop) -> Flop:
    """FLOPs that a prompt spends on attention, all layers of a model together, each causal pair once.

    A kernel that computes masked pairs too spends up to twice as many on full layers. Linear layers are
    counted token by token; engines work in chunks and spend somewhat more.

    >>> prefill_attention_flops(2, full_prefill_flops=10, sparse_attention_flops=0, index_top_k=1, window=1,
    ...                         sliding_attention_flops=0, chunk=1, chunked_attention_flops=0, fixed_attention_flops=1)
    32.0
    """
    return (causal_pairs(prompt_tokens) * full_prefill_flops
            + window_pairs(prompt_tokens, index_top_k) * sparse_attention_flops
            + window_pairs(prompt_tokens, window) * sliding_attention_flops
            + chunk_pairs(prompt_tokens, chunk) * chunked_attention_flops
            + real(prompt_tokens) * fixed_attention_flops)


# --- with and without a cache ---------------------------------------------------------------------

def tokens_processed_with_cache(prompt_tokens: Tokens, output_tokens: Tokens) -> Tokens:
    """Tokens that pass through the layers in one reply: the prompt, then each new token but the last.

    The last token is only printed: nothing follows from it.

    >>> tokens_processed_with_cache(prompt_tokens=4, output_tokens=3)
    6
    """
    return real(prompt_tokens) + output_tokens - 1


def tokens_processed_without_cache(prompt_tokens: Tokens, output_tokens: Tokens) -> Tokens:
    """The same when every step starts again from the first token.

    >>> tokens_processed_without_cache(prompt_tokens=4, output_tokens=3)
    15.0
    """
    prompt_tokens, output_tokens = real(prompt_tokens), real(output_tokens)
    return output_tokens * prompt_tokens + output_tokens * (output_tokens - 1) / 2


def scores_with_cache(prompt_tokens: Tokens, output_tokens: Tokens) -> Count:
    """Query-key pairs that one head scores in one reply, causal: each pair once.

    >>> scores_with_cache(prompt_tokens=4, output_tokens=3)
    21.0
    """
    last = tokens_processed_with_cache(prompt_tokens, output_tokens)
    return last * (last + 1) / 2


def scores_without_cache(prompt_tokens: Tokens, output_tokens: Tokens) -> Count:
    """The same when every step starts again: a sum of triangles, cubic in the length.

    >>> scores_without_cache(prompt_tokens=4, output_tokens=3)
    46.0
    """
    prompt_tokens, output_tokens = real(prompt_tokens), real(output_tokens)
    return output_tokens * (3 * prompt_tokens * (prompt_tokens + output_tokens) + output_tokens**2 - 1) / 6
