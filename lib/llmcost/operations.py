"""FLOPs of the operations of one forward pass, one formula each, and of the whole pass.

The convention: a matrix product [m, n] x [n, o] is 2mno, a sum of n numbers is n additions, any other elementwise
operation is 1, a root and an exponential too. Looking rows up, masking, moving and sorting are none.
`llmcost.ledger` puts the operations together for any shapes; `llmcost.counting` counts them as they run.
"""

from math import inf

from .attention_work import causal_pairs, chunk_pairs, window_pairs
from .elementwise import real, where_above
from .roofline import matmul_flops
from .units import Count, Flop, Fraction, Sequences, Tokens

# --- a product, to the last addition ----------------------------------------------------------------

def matmul_exact_flops(rows: Tokens, inner: Count, columns: Count) -> Flop:
    """FLOPs of a product of [rows, inner] and [inner, columns] when the first of `inner` products is not added to anything.

    >>> matmul_exact_flops(rows=2, inner=3, columns=4)
    40
    """
    return (2 * real(inner) - 1) * real(rows) * real(columns)


# --- a dense block, operation by operation ---------------------------------------------------------

def rms_norm_flops(pass_tokens: Tokens, d_model: Count) -> Flop:
    """FLOPs of one RMSNorm: square, add up, divide by the root, scale, and three for each token.

    The three are the division of the sum, the epsilon and the root. Source: Zhang and Sennrich 2019.

    >>> rms_norm_flops(pass_tokens=2, d_model=10)
    86
    """
    return real(pass_tokens) * (4 * d_model + 3)


def layer_norm_flops(pass_tokens: Tokens, d_model: Count) -> Flop:
    """FLOPs of one LayerNorm with a bias: it also centers and shifts. Source: Ba 2016.

    >>> layer_norm_flops(pass_tokens=2, d_model=10)
    148
    """
    return real(pass_tokens) * (7 * d_model + 4)


def query_flops(pass_tokens: Tokens, d_model: Count, n_heads: Count, d_head: Count) -> Flop:
    """FLOPs of the query projection of one layer; the output projection has as many.

    >>> query_flops(pass_tokens=2, d_model=8, n_heads=4, d_head=2)
    256
    """
    return matmul_flops(pass_tokens, d_model, n_heads * d_head)


def key_value_flops(pass_tokens: Tokens, d_model: Count, n_kv_heads: Count, d_head: Count) -> Flop:
    """FLOPs of the key and the value projection of one layer together.

    >>> key_value_flops(pass_tokens=2, d_model=8, n_kv_heads=1, d_head=2)
    128
    """
    return 2 * matmul_flops(pass_tokens, d_model, n_kv_heads * d_head)


def rotation_flops(pass_tokens: Tokens, n_heads: Count, n_kv_heads: Count, d_head: Count) -> Flop:
    """FLOPs of the rotary embedding of one layer: six for each pair of elements of queries and keys.

    Four multiplications, an addition and a subtraction turn a pair. The whole head is turned; sines and cosines
    are looked up. Source: Su 2021.

    >>> rotation_flops(pass_tokens=2, n_heads=4, n_kv_heads=1, d_head=2)
    60
    """
    return 3 * real(pass_tokens) * (n_heads + n_kv_heads) * d_head


def attended_pairs(pass_tokens: Tokens, masked_too: Count) -> Count:
    """Pairs of a query and a key that a prompt computes: those with the key not after the query, or all.

    `masked_too` is 1 where a kernel computes the whole square and hides half of it, 0 where it leaves that half out.

    >>> attended_pairs(pass_tokens=4, masked_too=0), attended_pairs(pass_tokens=4, masked_too=1)
    (10.0, 16.0)
    """
    return masked_too * real(pass_tokens) * real(pass_tokens) + (1 - masked_too) * causal_pairs(pass_tokens)


def score_flops(attended_pairs: Count, n_heads: Count, d_head: Count) -> Flop:
    """FLOPs of the scores of one layer: a dot product for each pair and query head, and one to scale it.

    >>> score_flops(attended_pairs=10, n_heads=4, d_head=2)
    200
    """
    return attended_pairs * n_heads * (2 * d_head + 1)


def softmax_flops(attended_pairs: Count, n_heads: Count) -> Flop:
    """FLOPs of the softmax of one layer: maximum, subtraction, exponential, sum and division for each score.

    >>> softmax_flops(attended_pairs=10, n_heads=4)
    200
    """
    return 5 * attended_pairs * n_heads


def weighting_flops(attended_pairs: Count, n_heads: Count, d_head: Count) -> Flop:
    """FLOPs of the weighted sums of values of one layer.

    >>> weighting_flops(attended_pairs=10, n_heads=4, d_head=2)
    160
    """
    return 2 * attended_pairs * n_heads * d_head


def mlp_flops(pass_tokens: Tokens, d_model: Count, d_ff: Count) -> Flop:
    """FLOPs of the three products of one SwiGLU MLP: gate, up and down.

    >>> mlp_flops(pass_tokens=2, d_model=8, d_ff=20)
    1920
    """
    return 3 * matmul_flops(pass_tokens, d_model, d_ff)


def swiglu_flops(pass_tokens: Tokens, d_ff: Count) -> Flop:
    """FLOPs between the products: negate, exponential, add one, divide, and times the up projection.

    >>> swiglu_flops(pass_tokens=2, d_ff=20)
    200
    """
    return 5 * real(pass_tokens) * d_ff


def residual_flops(pass_tokens: Tokens, d_model: Count) -> Flop:
    """FLOPs of the two additions to the residual stream in one block.

    >>> residual_flops(pass_tokens=2, d_model=8)
    32
    """
    return 2 * real(pass_tokens) * d_model


def block_flops(rms_norm_flops: Flop, query_flops: Flop, key_value_flops: Flop, rotation_flops: Flop, score_flops: Flop,
                softmax_flops: Flop, weighting_flops: Flop, mlp_flops: Flop, swiglu_flops: Flop, residual_flops: Flop) -> Flop:
    """FLOPs of one dense block with two norms: attention with a softmax over shared KV heads, and a SwiGLU MLP.

    The output projection counts like the query projection.

    >>> block_flops(1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    1026
    """
    attention = 2 * query_flops + key_value_flops + rotation_flops + score_flops + softmax_flops + weighting_flops
    return 2 * rms_norm_flops + attention + mlp_flops + swiglu_flops + residual_flops


def logit_tokens(pass_tokens: Tokens, every_logit: Count) -> Tokens:
    """Tokens whose logits are computed: all of the pass where `every_logit` is 1, as in training; the last where it is 0.

    >>> logit_tokens(pass_tokens=100, every_logit=0), logit_tokens(pass_tokens=100, every_logit=1)
    (1, 100)
    """
    return every_logit * real(pass_tokens) + (1 - every_logit)


def head_flops(logit_tokens: Tokens, d_model: Count, vocab_size: Count) -> Flop:
    """FLOPs of the LM head and the norm before it.

    >>> head_flops(logit_tokens=1, d_model=8, vocab_size=100)
    1635
    """
    return matmul_flops(logit_tokens, d_model, vocab_size) + rms_norm_flops(logit_tokens, d_model)


def dense_pass_flops(n_layers: Count, block_flops: Flop, head_flops: Flop) -> Flop:
    """FLOPs of one pass over a prompt, every operation counted, for a model whose blocks are all as in `block_flops`.

    >>> dense_pass_flops(n_layers=80, block_flops=10, head_flops=5)
    805
    """
    return n_layers * block_flops + head_flops


# --- any model -------------------------------------------------------------------------------------

def prompt_elementwise_flops(prompt_tokens: Tokens, full_elementwise_flops: Flop, sparse_elementwise_flops: Flop,
                             index_top_k: Tokens, window: Tokens, sliding_elementwise_flops: Flop, chunk: Tokens,
                             chunked_elementwise_flops: Flop) -> Flop:
    """FLOPs of scale and softmax over a prompt, all layers of a model together, each causal pair once.

    The arguments are sums over the model's layers, like those of `prefill_attention_flops`.

    >>> prompt_elementwise_flops(2, full_elementwise_flops=10, sparse_elementwise_flops=0, index_top_k=1, window=1,
    ...                          sliding_elementwise_flops=0, chunk=1, chunked_elementwise_flops=0)
    30.0
    """
    return (causal_pairs(prompt_tokens) * full_elementwise_flops
            + window_pairs(prompt_tokens, index_top_k) * sparse_elementwise_flops
            + window_pairs(prompt_tokens, window) * sliding_elementwise_flops
            + chunk_pairs(prompt_tokens, chunk) * chunked_elementwise_flops)


def complete_prefill_flops(prompts: Sequences, prompt_tokens: Tokens, token_flops: Flop, logit_flops: Flop,
                           prefill_attention_flops: Flop, prompt_elementwise_flops: Flop) -> Flop:
    """FLOPs of one prefill pass, every operation counted: what `prefill_flops` has, and all that is elementwise.

    `token_flops` is what a token needs whatever its context, `logit_flops` what the logits of one token need.

    >>> complete_prefill_flops(prompts=2, prompt_tokens=10, token_flops=3, logit_flops=5, prefill_attention_flops=7,
    ...                        prompt_elementwise_flops=1)
    86
    """
    return real(prompts) * (real(prompt_tokens) * token_flops + logit_flops + prefill_attention_flops + prompt_elementwise_flops)


def napkin_flops(pass_tokens: Tokens, n_active_params: Count) -> Flop:
    """The napkin: 2 FLOPs for each parameter that a token passes through. Source: Kaplan 2020, section 2.1.

    >>> napkin_flops(pass_tokens=10, n_active_params=100)
    2000
    """
    return 2 * real(pass_tokens) * n_active_params


def napkin_error(napkin_flops: Flop, complete_prefill_flops: Flop) -> Fraction:
    """How far the napkin is from the complete count, as a share of the complete count.

    >>> napkin_error(napkin_flops=90, complete_prefill_flops=100)
    -0.1
    """
    return (napkin_flops - complete_prefill_flops) / complete_prefill_flops


def linear_token_flops(token_flops: Flop, fixed_attention_flops: Flop, index_top_k: Tokens, sparse_attention_flops: Flop,
                       sparse_elementwise_flops: Flop, window: Tokens, sliding_attention_flops: Flop,
                       sliding_elementwise_flops: Flop, chunk: Tokens, chunked_attention_flops: Flop,
                       chunked_elementwise_flops: Flop) -> Flop:
    """FLOPs of one more token in a long prompt, but for the pairs that grow with the prompt.

    Windows are full, an indexer has chosen all that it may, and a chunk is on average half full.

    >>> linear_token_flops(100, 5, index_top_k=2, sparse_attention_flops=1, sparse_elementwise_flops=1, window=3,
    ...                    sliding_attention_flops=1, sliding_elementwise_flops=1, chunk=3, chunked_attention_flops=1,
    ...                    chunked_elementwise_flops=1)
    119.0
    """
    return (token_flops + fixed_attention_flops + index_top_k * (sparse_attention_flops + sparse_elementwise_flops)
            + window * (sliding_attention_flops + sliding_elementwise_flops)
            + (chunk + 1) / 2 * (chunked_attention_flops + chunked_elementwise_flops))


def quadratic_tokens(linear_token_flops: Flop, full_prefill_flops: Flop, full_elementwise_flops: Flop) -> Tokens:
    """Length of the prompt at which its pairs cost as much as all else, so that cost turns from linear to quadratic.

    Infinite where no layer sees the whole context.

    >>> quadratic_tokens(linear_token_flops=1000, full_prefill_flops=9, full_elementwise_flops=1)
    199.0
    """
    pair = full_prefill_flops + full_elementwise_flops
    return where_above(pair, 0, 2 * linear_token_flops / where_above(pair, 0, pair, 1) - 1, inf)


def excess_of_every_logit(pass_tokens: Tokens, logit_flops: Flop) -> Flop:
    """FLOPs that a pass spends more when every token gets logits, and not the last alone.

    >>> excess_of_every_logit(pass_tokens=11, logit_flops=5)
    50
    """
    return (real(pass_tokens) - 1) * logit_flops


# --- what follows ------------------------------------------------------------------------------------

def step_saving(prefill_flops: Flop, decode_flops: Flop) -> Count:
    """How many times the FLOPs of one more token a pass over the whole context takes: what a cache saves in that step.

    >>> step_saving(prefill_flops=2e14, decode_flops=1e11)
    2000.0
    """
    return prefill_flops / decode_flops
