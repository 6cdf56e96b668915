"""Parameters of the parts of a decoder, and the bytes of its weights.

`llmcost.shapes` adds the parts up for a model.
"""

from .units import Bytes, BytesPerParam, Count, Fraction, Tokens


def embedding_params(vocab_size: Count, d_model: Count) -> Count:
    """Entries of the embedding table; an LM head that is not tied to it has as many again.

    >>> embedding_params(vocab_size=128_256, d_model=8192)
    1050673152
    """
    return vocab_size * d_model


def attention_params(d_model: Count, n_heads: Count, n_kv_heads: Count, d_head: Count) -> Count:
    """Weights of one attention layer: query, key, value and output projection, no biases.

    >>> attention_params(d_model=8192, n_heads=64, n_kv_heads=8, d_head=128)
    150994944
    """
    return 2 * d_model * d_head * (n_heads + n_kv_heads)


def attention_bias_params(n_heads: Count, n_kv_heads: Count, d_head: Count) -> Count:
    """Biases on the query, key and value projection of one layer, where a model has them.

    >>> attention_bias_params(n_heads=28, n_kv_heads=4, d_head=128)
    4608
    """
    return d_head * (n_heads + 2 * n_kv_heads)


def mla_params(d_model: Count, n_heads: Count, q_rank: Count, kv_rank: Count, d_nope: Count, d_rope: Count,
               d_value: Count) -> Count:
    """Weights of one MLA layer: both projections down to the latents and up again, output, latent norms.

    >>> mla_params(d_model=7168, n_heads=128, q_rank=1536, kv_rank=512, d_nope=128, d_rope=64, d_value=128)
    187107328
    """
    query = d_model * q_rank + q_rank * n_heads * (d_nope + d_rope) + q_rank
    return query + _mla_without_query(d_model, n_heads, kv_rank, d_nope, d_rope, d_value)


def mla_params_without_query_rank(d_model: Count, n_heads: Count, kv_rank: Count, d_nope: Count, d_rope: Count,
                                  d_value: Count) -> Count:
    """The same where queries come straight from the residual stream, without a latent of their own.

    >>> mla_params_without_query_rank(d_model=2048, n_heads=16, kv_rank=512, d_nope=128, d_rope=64, d_value=128)
    13763072
    """
    query = d_model * n_heads * (d_nope + d_rope)
    return query + _mla_without_query(d_model, n_heads, kv_rank, d_nope, d_rope, d_value)


def _mla_without_query(d_model, n_heads, kv_rank, d_nope, d_rope, d_value):
    key_value = d_model * (kv_rank + d_rope) + kv_rank * n_heads * (d_nope + d_value) + kv_rank
    return key_value + n_heads * d_value * d_model


def indexer_params(d_model: Count, q_rank: Count, n_index_heads: Count, d_index: Count) -> Count:
    """Weights of one sparse-attention indexer: index queries, one index key and its norm, head weights.

    >>> indexer_params(d_model=7168, q_rank=1536, n_index_heads=64, d_index=128)
    13959424
    """
    return q_rank * n_index_heads * d_index + d_model * d_index + 2 * d_index + d_model * n_index_heads


def block_indexer_params(d_model: Count, n_index_heads: Count, d_index: Count) -> Count:
    """Weights of an indexer over the keys of grouped-query layers: index queries, one index key, a norm of each.

    >>> block_indexer_params(d_model=6144, n_index_heads=4, d_index=128)
    3932416
    """
    return d_model * d_index * (n_index_heads + 1) + 2 * d_index


def linear_attention_params(d_model: Count, n_state_heads: Count, d_key: Count, d_value: Count) -> Count:
    """Weights of one lightning-attention layer: query, key, value, output gate, output, norm of the heads.

    >>> linear_attention_params(d_model=6144, n_state_heads=64, d_key=128, d_value=128)
    251666432
    """
    inner = n_state_heads * d_value
    return d_model * (2 * n_state_heads * d_key + inner) + 2 * d_model * inner + inner


def gated_delta_params(d_model: Count, n_key_heads: Count, n_state_heads: Count, d_key: Count, d_value: Count,
                       conv_width: Tokens) -> Count:
    """Weights of one Gated DeltaNet layer: query, key, value, output gate, write and decay gates, convolution, output.

    The decay has two parameters a head; the norm is shared by the heads. Source: Yang 2024, section 3.3.

    >>> gated_delta_params(d_model=4096, n_key_heads=16, n_state_heads=64, d_key=128, d_value=128, conv_width=4)
    118014208
    """
    keys, values = n_key_heads * d_key, n_state_heads * d_value
    projections = d_model * (2 * keys + 2 * values + 2 * n_state_heads) + values * d_model
    return projections + conv_width * (2 * keys + values) + 2 * n_state_heads + d_value


def kda_params(d_model: Count, n_state_heads: Count, d_key: Count, d_value: Count, conv_width: Tokens,
               full_rank_gate: Count) -> Count:
    """Weights of one layer of Kimi delta attention: like Gated DeltaNet, with a decay for each key channel.

    The decay passes through a bottleneck of one head's width; so does the output gate, unless
    `full_rank_gate` is 1, where it is one full projection. Source: Kimi Team 2025, section 3, and the released code.

    >>> kda_params(d_model=2304, n_state_heads=32, d_key=128, d_value=128, conv_width=4, full_rank_gate=0)
    39514272
    """
    keys, values = n_state_heads * d_key, n_state_heads * d_value
    projections = d_model * (2 * keys + values + n_state_heads) + values * d_model
    decay = d_model * d_key + d_key * keys + keys + n_state_heads
    gate = full_rank_gate * d_model * values + (1 - full_rank_gate) * (d_model * d_value + d_value * values)
    return projections + decay + gate + conv_width * (2 * keys + values) + d_value


def compressed_attention_params(d_model: Count, n_heads: Count, d_head: Count, q_rank: Count, n_output_groups: Count,
                                output_rank: Count) -> Count:
    """Weights of one layer of compressed attention, its compressor and indexer left out.

    Queries pass through a latent. One vector a token is key and value of all heads. The output
    projection is block-diagonal down to a latent, `n_output_groups` blocks, then full. One sink a head.
    Source: DeepSeek-V4, released inference code.

    >>> compressed_attention_params(7168, 128, 512, 1536, 16, 1024)
    299894912
    """
    query = d_model * q_rank + q_rank + q_rank * n_heads * d_head
    key_value = d_model * d_head + d_head
    output = n_heads * d_head * output_rank + n_output_groups * output_rank * d_model
    return query + key_value + output + n_heads


def compressor_params(d_model: Count, d_head: Count, compress_ratio: Tokens, n_overlaps: Count) -> Count:
    """Weights of the compressor that turns `compress_ratio` tokens into one entry of width `d_head`.

    A value and a gate projection, a position bias for each slot, a norm. With `n_overlaps` = 2 windows overlap
    and everything but the norm is twice as wide.

    >>> compressor_params(d_model=7168, d_head=512, compress_ratio=128, n_overlaps=1)
    7406080
    """
    return n_overlaps * d_head * (2 * d_model + compress_ratio) + d_head


def compressed_indexer_params(d_model: Count, q_rank: Count, n_index_heads: Count, d_index: Count) -> Count:
    """Weights of the indexer over compressed entries: index queries and head weights; its keys have a compressor.

    >>> compressed_indexer_params(d_model=7168, q_rank=1536, n_index_heads=64, d_index=128)
    13041664
    """
    return q_rank * n_index_heads * d_index + d_model * n_index_heads


def residual_mixing_params(d_model: Count, n_residual_streams: Count) -> Count:
    """Weights that mix several residual streams around one sublayer (hyper-connections).

    >>> residual_mixing_params(d_model=7168, n_residual_streams=4)
    688155
    """
    n = n_residual_streams
    return (2 + n) * n * (n * d_model + 1) + 3


def mlp_params(d_model: Count, d_ff: Count) -> Count:
    """Weights of one SwiGLU MLP: gate, up and down projection.

    >>> mlp_params(d_model=8192, d_ff=28672)
    704643072
    """
    return 3 * d_model * d_ff


def plain_mlp_params(d_model: Count, d_ff: Count) -> Count:
    """Weights of one MLP without a gate: up and down projection.

    >>> plain_mlp_params(d_model=4096, d_ff=16384)
    134217728
    """
    return 2 * d_model * d_ff


def block_params(attention_params: Count, mlp_params: Count) -> Count:
    """Weights of one dense block without its norms: attention and MLP.

    >>> block_params(attention_params=150_994_944, mlp_params=704_643_072)
    855638016
    """
    return attention_params + mlp_params


def dense_params(n_layers: Count, d_model: Count, block_params: Count, embedding_params: Count) -> Count:
    """Parameters of a dense decoder: two tables, blocks with two norms each, and the last norm.

    >>> dense_params(n_layers=80, d_model=8192, block_params=855_638_016, embedding_params=1_050_673_152)
    70553706496
    """
    return 2 * embedding_params + n_layers * (block_params + 2 * d_model) + d_model


def component_share(n_copies: Count, component_params: Count, n_params: Count) -> Fraction:
    """Share of `n_copies` equal components in the parameters.

    >>> component_share(n_copies=80, component_params=704_643_072, n_params=70_553_706_496)
    0.7989863121251602
    """
    return n_copies * component_params / n_params


def weight_bytes(n_params: Count, weight_bytes_per_param: BytesPerParam) -> Bytes:
    """Bytes of the weights, all in one format.

    >>> weight_bytes(n_params=70_553_706_496, weight_bytes_per_param=2)
    141107412992
    """
    return n_params * weight_bytes_per_param


def mixed_weight_bytes(n_params: Count, n_expert_params: Count, weight_bytes_per_param: BytesPerParam,
                       expert_bytes_per_param: BytesPerParam) -> Bytes:
    """Bytes of the weights when routed experts are stored in a format of their own.

    >>> mixed_weight_bytes(n_params=110, n_expert_params=100, weight_bytes_per_param=2, expert_bytes_per_param=0.5)
    70.0
    """
    return (n_params - n_expert_params) * weight_bytes_per_param + n_expert_params * expert_bytes_per_param
