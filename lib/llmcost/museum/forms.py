"""Wrong formulas, restated: what calculators and books computed, in the names of this book.

Each is a plain function of named scalars, like a formula, so that it has a number and an equation. None is one: they are not
in `llmcost.faces.FORMULA_MODULES`, and nothing outside the museum calls them. `data/museum.toml` says where each was seen,
why it is natural, and which formula is right.

Head counts and widths are those that a `config.json` prints (`llmcost.museum.exhibits.as_printed`), taken at face value.
"""

from ..elementwise import floor, maximum, minimum, real
from ..units import (Bytes, BytesPerElement, BytesPerParam, BytesPerSecond, BytesPerToken, Count, Flop, FlopPerSecond, Fraction, JoulesPerToken,
                     Seconds, Tokens, Usd, UsdPerToken, Watts)

# --- caches ----------------------------------------------------------------------------------


def every_query_head(context: Tokens, n_layers: Count, n_heads: Count, d_head: Count, kv_bytes_per_element: BytesPerElement) -> Bytes:
    """Keys and values of each query head.

    >>> every_query_head(context=1, n_layers=80, n_heads=64, d_head=128, kv_bytes_per_element=2)
    2621440
    """
    return 2 * n_layers * n_heads * d_head * kv_bytes_per_element * real(context)


def whole_width(context: Tokens, n_layers: Count, d_model: Count, kv_bytes_per_element: BytesPerElement) -> Bytes:
    """A key and a value as wide as the model, in each layer.

    >>> whole_width(context=1, n_layers=32, d_model=4096, kv_bytes_per_element=2)
    524288
    """
    return 2 * n_layers * d_model * kv_bytes_per_element * real(context)


def heads_times_width(context: Tokens, n_layers: Count, n_heads: Count, d_model: Count) -> Bytes:
    """Heads times the whole width, four bytes each, then bits to bytes though they are bytes.

    >>> heads_times_width(context=1, n_layers=32, n_heads=32, d_model=4096)
    4194304.0
    """
    return 2 * n_layers * n_heads * d_model * 4 / 8 * real(context)


def divided_width(context: Tokens, n_layers: Count, n_kv_heads: Count, d_model: Count, n_heads: Count,
                  kv_bytes_per_element: BytesPerElement) -> Bytes:
    """The width of a head as the model's width over its query heads, whatever `head_dim` says.

    >>> divided_width(context=1, n_layers=64, n_kv_heads=8, d_model=5120, n_heads=64, kv_bytes_per_element=2)
    163840
    """
    return 2 * n_layers * n_kv_heads * floor(d_model / n_heads) * kv_bytes_per_element * real(context)


def latent_twice(context: Tokens, n_layers: Count, kv_rank: Count, kv_bytes_per_element: BytesPerElement) -> Bytes:
    """The latent once as key and once as value, without the rotary key.

    >>> latent_twice(context=1, n_layers=61, kv_rank=512, kv_bytes_per_element=2)
    124928
    """
    return 2 * n_layers * kv_rank * kv_bytes_per_element * real(context)


def latent_as_one_head(context: Tokens, n_layers: Count, d_model: Count, n_heads: Count, kv_bytes_per_element: BytesPerElement) -> Bytes:
    """One ordinary KV head in place of the latent.

    >>> latent_as_one_head(context=1, n_layers=61, d_model=7168, n_heads=128, kv_bytes_per_element=2)
    13664
    """
    return 2 * n_layers * floor(d_model / n_heads) * kv_bytes_per_element * real(context)


def every_layer_grows(context: Tokens, n_layers: Count, n_kv_heads: Count, d_head: Count, kv_bytes_per_element: BytesPerElement) -> Bytes:
    """Keys and values of every token in every layer, windows and linear layers too.

    >>> every_layer_grows(context=1, n_layers=60, n_kv_heads=2, d_head=256, kv_bytes_per_element=2)
    122880
    """
    return 2 * n_layers * n_kv_heads * d_head * kv_bytes_per_element * real(context)


def latent_in_every_layer(context: Tokens, n_layers: Count, kv_rank: Count, d_rope: Count, kv_bytes_per_element: BytesPerElement) -> Bytes:
    """A latent and a rotary key in every layer, and nothing else.

    >>> latent_in_every_layer(context=1, n_layers=93, kv_rank=512, d_rope=64, kv_bytes_per_element=2)
    107136
    """
    return n_layers * (kv_rank + d_rope) * kv_bytes_per_element * real(context)


def layers_without_a_window(context: Tokens, full_elements_per_token: Count, kv_bytes_per_element: BytesPerElement) -> Bytes:
    """The layers that see everything, without those that have a window.

    >>> layers_without_a_window(context=1, full_elements_per_token=18_432, kv_bytes_per_element=2)
    36864
    """
    return full_elements_per_token * kv_bytes_per_element * real(context)


def without_index_keys(context: Tokens, cache_bytes: Bytes, index_bytes_per_token: BytesPerToken, fixed_bytes: Bytes) -> Bytes:
    """The whole state but for the index keys of sparse attention.

    >>> without_index_keys(context=10, cache_bytes=1_000, index_bytes_per_token=20, fixed_bytes=5)
    805
    """
    return cache_bytes - real(context) * index_bytes_per_token + fixed_bytes


def linear_as_nothing(cache_bytes: Bytes) -> Bytes:
    """What grows, and nothing for the state that does not.

    >>> linear_as_nothing(cache_bytes=30_720)
    30720
    """
    return cache_bytes


def first_token_times_context(context: Tokens, full_elements_per_token: Count, sparse_elements_per_token: Count,
                              sliding_elements_per_token: Count, chunked_elements_per_token: Count,
                              kv_bytes_per_element: BytesPerElement, index_bytes_per_token: BytesPerToken, fixed_bytes: Bytes) -> Bytes:
    """The bytes of a conversation of one token, times its tokens.

    >>> first_token_times_context(context=10, full_elements_per_token=100, sparse_elements_per_token=0, sliding_elements_per_token=0,
    ...                           chunked_elements_per_token=0, kv_bytes_per_element=2, index_bytes_per_token=0, fixed_bytes=1_000)
    12000
    """
    elements = full_elements_per_token + sparse_elements_per_token + sliding_elements_per_token + chunked_elements_per_token
    return real(context) * (elements * kv_bytes_per_element + index_bytes_per_token + fixed_bytes)


def share_of_parameters(context: Tokens, n_params: Count) -> Bytes:
    """For 32,768 tokens 0.12 GB for each billion parameters, at least 0.35 GB and at most 3.5 GB.

    >>> share_of_parameters(context=32_768, n_params=8_000_000_000)
    960000000.0
    """
    return minimum(maximum(12 * n_params / 100, 350_000_000), 3_500_000_000) * real(context) / 32_768


def share_of_weights(context: Tokens, weight_bytes: Bytes) -> Bytes:
    """A fifth of the weights for each thousand tokens.

    >>> share_of_weights(context=8_192, weight_bytes=7_000_000_000)
    11468800000.0
    """
    return real(context) * weight_bytes * 0.2 / 1000


def bits_for_bytes(context: Tokens, n_layers: Count, d_model: Count, element_bits: Count) -> Bytes:
    """The model's width in each layer, times the bits of an element, called bytes.

    >>> bits_for_bytes(context=1, n_layers=28, d_model=3584, element_bits=8)
    1605632
    """
    return 2 * n_layers * d_model * element_bits * real(context)


def twice_the_entries(context: Tokens, n_layers: Count, n_kv_heads: Count, d_head: Count, kv_bytes_per_element: BytesPerElement) -> Bytes:
    """Twice the KV heads that the model has.

    >>> twice_the_entries(context=1, n_layers=126, n_kv_heads=8, d_head=128, kv_bytes_per_element=2)
    1032192
    """
    return 4 * n_layers * n_kv_heads * d_head * kv_bytes_per_element * real(context)


def divided_past_its_heads(cache_bytes: Bytes, fixed_bytes: Bytes, n_gpus: Count) -> Bytes:
    """The state over the number of GPUs, however few heads there are to divide.

    >>> divided_past_its_heads(cache_bytes=32e9, fixed_bytes=0, n_gpus=32)
    1000000000.0
    """
    return (cache_bytes + fixed_bytes) / n_gpus


# --- weights ---------------------------------------------------------------------------------

def active_in_memory(n_active_params: Count, weight_bytes_per_param: BytesPerParam) -> Bytes:
    """Memory for the parameters that one token uses.

    >>> active_in_memory(n_active_params=37e9, weight_bytes_per_param=0.5)
    18500000000.0
    """
    return n_active_params * weight_bytes_per_param


def every_expert_read(n_params: Count, weight_bytes_per_param: BytesPerParam, n_gpus: Count, memory_bandwidth: BytesPerSecond) -> Seconds:
    """Time to read all of the weights for one token.

    >>> every_expert_read(n_params=30e9, weight_bytes_per_param=2, n_gpus=2, memory_bandwidth=3e12)
    0.01
    """
    return n_params * weight_bytes_per_param / (n_gpus * memory_bandwidth)


def gib_for_gb(memory_bytes: Bytes, memory_utilization: Fraction, overhead_bytes: Bytes, weight_bytes_per_gpu: Bytes) -> Bytes:
    """Room for caches where the GPU's memory is a count of GiB read as GB.

    >>> round(gib_for_gb(memory_bytes=2**30 * 80, memory_utilization=1, overhead_bytes=0, weight_bytes_per_gpu=0))
    80000000000
    """
    return memory_bytes / 2**30 * 1e9 * memory_utilization - overhead_bytes - weight_bytes_per_gpu


# --- work and machines -----------------------------------------------------------------------

def whole_square(prompt_tokens: Tokens, n_layers: Count, n_heads: Count, d_head: Count) -> Flop:
    """Attention of a prompt over all pairs of tokens, those behind the mask too.

    >>> whole_square(prompt_tokens=10, n_layers=1, n_heads=1, d_head=1)
    400
    """
    return 4 * n_layers * n_heads * d_head * real(prompt_tokens) * real(prompt_tokens)


def doubled_twice(n_heads: Count, d_head: Count) -> Flop:
    """A factor two for multiply and add, in a coefficient that has it already.

    >>> doubled_twice(n_heads=64, d_head=128)
    65536
    """
    return 2 * (4 * n_heads * d_head)


def share_of_sparse_peak(work_flops: Flop, measured_seconds: Seconds, n_gpus: Count, peak_flops: FlopPerSecond) -> Fraction:
    """Utilization of the peak that a datasheet prints for matrices of which half is zero.

    >>> share_of_sparse_peak(work_flops=5e14, measured_seconds=1, n_gpus=1, peak_flops=1e15)
    0.25
    """
    return work_flops / (measured_seconds * n_gpus * 2 * peak_flops)


def share_of_an_a100(work_flops: Flop, measured_seconds: Seconds, n_gpus: Count) -> Fraction:
    """Utilization of an A100's peak, on whatever GPU.

    >>> share_of_an_a100(work_flops=312e12, measured_seconds=1, n_gpus=1)
    1.0
    """
    return work_flops / (312 * 10**12 * measured_seconds * n_gpus)


def share_of_one_terabyte(moved_bytes: Bytes, measured_seconds: Seconds, n_gpus: Count) -> Fraction:
    """Bandwidth utilization against one terabyte a second, on whatever GPU.

    >>> share_of_one_terabyte(moved_bytes=700e9, measured_seconds=1, n_gpus=1)
    0.7
    """
    return moved_bytes / (10**12 * measured_seconds * n_gpus)


def both_directions_at_once(message_bytes: Bytes, link_bandwidth_per_direction: BytesPerSecond, link_efficiency: Fraction) -> Seconds:
    """Time of a message over a link whose two directions are added.

    >>> both_directions_at_once(message_bytes=900e9, link_bandwidth_per_direction=450e9, link_efficiency=1)
    1.0
    """
    return message_bytes / (2 * link_bandwidth_per_direction * link_efficiency)


def thousandth_of_the_energy(drawn_watts: Watts, token_gpu_seconds: Seconds) -> JoulesPerToken:
    """A counter of millijoules, read as one of microjoules.

    >>> thousandth_of_the_energy(drawn_watts=280, token_gpu_seconds=60)
    16.8
    """
    return drawn_watts * token_gpu_seconds / 1000


# --- money -----------------------------------------------------------------------------------

def million_forgotten(calls: Count, prompt_tokens: Tokens, input_price: UsdPerToken) -> Usd:
    """A price for a million tokens, paid for each.

    >>> million_forgotten(calls=1, prompt_tokens=1_000, input_price=1e-6)
    1000.0
    """
    return 10**6 * calls * prompt_tokens * input_price
