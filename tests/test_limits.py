"""Limits where two formulas must coincide, and independent counts by brute force."""

import itertools

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcost import attention, attention_work, bills, capacity, layers, moe, phases, roofline
from llmcost.catalog import MODELS
from llmcost.faces import at
from llmcost.prices import API_PRICES, price_history

small = st.integers(1, 12)
contexts = st.integers(1, 10_000_000)
every_model = pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.key)


def state(model, context, kv=2, linear=4):
    return at(attention.state_bytes, model, context=context, kv_bytes_per_element=kv, state_bytes_per_element=linear)


@given(small, small, small)
def test_kv_elements_are_counted(n_layers, n_kv_heads, d_head):
    """Lay the cache of one token out as arrays and count what is there."""
    keys = numpy.zeros((n_layers, n_kv_heads, d_head))
    values = numpy.zeros_like(keys)
    assert attention.kv_bytes_per_token(n_layers, n_kv_heads, d_head, 8) == keys.nbytes + values.nbytes


@given(small, small)
def test_gqa_with_all_heads_is_mha_and_with_one_is_mqa(n_heads, d_head):
    assert attention.kv_elements(n_heads, d_head) == n_heads * attention.kv_elements(1, d_head)


@given(st.integers(1, 32), st.integers(1, 8))
def test_query_heads_share_kv_heads_in_equal_runs(n_kv_heads, group):
    n_heads = n_kv_heads * group
    readers = [attention.kv_head_of_query_head(j, n_heads, n_kv_heads) for j in range(n_heads)]
    assert readers == [i for i in range(n_kv_heads) for _ in range(group)]


@given(contexts, small, small, small)
def test_window_as_wide_as_the_context_is_full_attention(context, n_layers, n_kv_heads, d_head):
    full = attention.kv_cache_bytes(1, context, n_layers, n_kv_heads, d_head, 2)
    assert attention.sliding_cache_bytes(context, context, n_layers, n_kv_heads, d_head, 2) == full


def live_bytes(layer, context, kv=2, linear=4) -> float:
    """Bytes that one layer must keep after `context` tokens, entry by entry, in words of its own."""
    kind = layer["attention"]
    if kind in ("full", "sparse", "sliding", "chunked"):
        seen = [position for position in range(context)
                if kind in ("full", "sparse") or (kind == "sliding" and position >= context - layer["window"])]
        if kind == "chunked":
            seen = range(min(context, layer["chunk"]))  # room for the fullest chunk so far
        index = layer["d_index"] * 2 * context if kind == "sparse" else 0
        return len(seen) * (layer["d_head"] + layer["d_head"]) * layer["n_kv_heads"] * kv + index
    if kind == "mla":
        index = (layer["d_index"] + 4) * context if layer.get("n_index_heads") else 0
        return context * (layer["kv_rank"] + layer["d_rope"]) * kv + index
    if kind in ("compressed", "shared_window"):
        window = min(context, layer["window"]) * layer["d_head"] * kv
        if kind == "shared_window":
            return window
        ratio, halves = layer["compress_ratio"], layer["n_overlaps"]
        widths = [layer["d_head"]] + ([layer["d_index"]] if layer.get("n_index_heads") else [])
        unfinished = sum(2 * (halves * ratio) * (halves * width) * 4 for width in widths)
        index = context / ratio * (layer["d_index"] + 4) if len(widths) == 2 else 0
        return window + context / ratio * layer["d_head"] * kv + index + unfinished
    state = layer["n_state_heads"] * layer["d_key"] * layer["d_value"] * linear
    if kind == "linear":
        return state
    channels = 2 * layer["n_key_heads"] * layer["d_key"] + layer["n_state_heads"] * layer["d_value"]
    return state + (layer["conv_width"] - 1) * channels * 2


@every_model
@pytest.mark.parametrize("context", [1, 127, 4_096, 4_097, 20_000])
def test_state_is_the_sum_of_what_each_layer_keeps(model, context):
    total = sum(group["n"] * live_bytes(group, context) for group in model.layers)
    assert state(model, context) == pytest.approx(total, rel=1e-12)


def test_every_kind_of_layer_has_a_model():
    assert {group["attention"] for model in MODELS.values() for group in model.layers} == set(layers.KINDS)


def moved_bytes(layer, context, kv=2, linear=4) -> float:
    """Bytes of state that one layer moves for one token at this length, walking through the entries it looks at."""
    kind = layer["attention"]
    if kind in ("full", "sliding", "chunked"):
        looked = sum(kind == "full" or (kind == "sliding" and context - 1 - key < layer["window"])
                     or (kind == "chunked" and key // layer["chunk"] == (context - 1) // layer["chunk"]) for key in range(context))
        return looked * 2 * layer["d_head"] * layer["n_kv_heads"] * kv
    if kind in ("sparse", "mla"):
        entry = 2 * layer["d_head"] * layer["n_kv_heads"] if kind == "sparse" else layer["kv_rank"] + layer["d_rope"]
        if "n_index_heads" not in layer:
            return context * entry * kv
        key = layer["d_index"] * layer["index_bytes_per_element"] + layer["index_scale_bytes"]
        return min(context, layer["index_top_k"]) * entry * kv + context * key
    if kind in ("compressed", "shared_window"):
        near = min(context, layer["window"]) * layer["d_head"] * kv
        if kind == "shared_window":
            return near
        ratio, far, key, widths = layer["compress_ratio"], context / layer["compress_ratio"], 0, layer["d_head"]
        if "n_index_heads" in layer:
            key, far, widths = far * (layer["d_index"] + 4), min(far, layer["index_top_k"]), widths + layer["d_index"]
        row = 2 * layer["n_overlaps"] * widths * 4
        rows_read_when_full = layer["n_overlaps"] * ratio
        return near + far * layer["d_head"] * kv + key + row + row * rows_read_when_full / ratio
    sums = layer["n_state_heads"] * layer["d_key"] * layer["d_value"] * linear
    if kind == "linear":
        return 2 * sums
    channels = 2 * layer["n_key_heads"] * layer["d_key"] + layer["n_state_heads"] * layer["d_value"]
    return 2 * sums + 2 * (layer["conv_width"] - 1) * channels * 2


@every_model
@pytest.mark.parametrize("context", [1, 127, 4_097, 20_000])
def test_reading_is_the_sum_of_what_each_layer_moves(model, context):
    total = sum(group["n"] * moved_bytes(group, context) for group in model.layers)
    ours = at(attention.state_read_bytes, model, context=context, kv_bytes_per_element=2, state_bytes_per_element=4)
    assert ours == pytest.approx(total, rel=1e-12)


def test_a_fixed_state_splits_by_its_own_heads():
    """Kimi K3 on 8 GPUs: the MLA cache is repeated on each, the delta states of 96 heads are divided."""
    kimi = MODELS["kimi_k3"]
    given_ = {"context": 4096, "kv_bytes_per_element": 2, "state_bytes_per_element": 4}
    cache, fixed = at(attention.cache_bytes, kimi, context=4096, kv_bytes_per_element=2), at(
        attention.fixed_bytes, kimi, state_bytes_per_element=4)
    assert at(capacity.state_bytes_per_gpu, kimi, n_gpus=8, **given_) == cache + fixed / 8


@given(st.integers(1, 60), st.integers(1, 12))
def test_pairs_are_counted(context, limit):
    """Walk through the queries and count the keys that each may see."""
    seen = {"full": 0, "window": 0, "chunk": 0}
    for query in range(context):
        for key in range(query + 1):
            seen["full"] += 1
            seen["window"] += query - key < limit
            seen["chunk"] += query // limit == key // limit
    assert attention_work.causal_pairs(context) == seen["full"]
    assert attention_work.window_pairs(context, limit) == seen["window"]
    assert attention_work.chunk_pairs(context, limit) == seen["chunk"]
    assert attention.tokens_in_chunk(context, limit) == (context - 1) % limit + 1


@every_model
@pytest.mark.parametrize("prompt", [1, 7, 300])
def test_prefill_attends_as_decode_would_token_by_token(model, prompt):
    """Summed over the prompt, one token at a time, attention costs the same; MLA differs by its absorbed form."""
    steps = sum(at(attention_work.state_attention_flops, model, context=i) for i in range(1, prompt + 1))
    absorbed = model.full_attention_flops
    assert at(attention_work.prefill_attention_flops, model, prompt_tokens=prompt,
              full_prefill_flops=absorbed) == pytest.approx(steps, rel=1e-12)
    assert model.full_prefill_flops <= absorbed


@every_model
def test_a_prompt_of_one_token_is_a_decode_step_of_one_sequence(model):
    given_ = {"batch": 1, "weight_bytes_per_param": 2}
    prefill = at(phases.prefill_flops, model, prompts=1, prompt_tokens=1, full_prefill_flops=model.full_attention_flops)
    assert prefill == pytest.approx(at(phases.decode_flops, model, batch=1, context=1), rel=1e-12)
    assert at(phases.prefill_bytes, model, prompts=1, prompt_tokens=1, weight_bytes_per_param=2) == at(
        phases.weight_bytes_read, model, **given_)


@given(st.integers(16, 4096), st.integers(16, 4096))
def test_the_critical_rows_are_where_computing_takes_as_long_as_moving(inner, columns):
    ridge = 20.0
    rows = roofline.critical_rows(inner, columns, ridge, 2, 2)
    most = roofline.matmul_flops(1e12, inner, columns) / roofline.matmul_bytes(1e12, inner, columns, 2, 2)
    if most <= ridge:  # activations alone keep the memory busy
        assert rows > 1e6
    else:
        flops = roofline.matmul_flops(rows, inner, columns)
        assert flops / roofline.matmul_bytes(rows, inner, columns, 2, 2) == pytest.approx(ridge, rel=1e-6)


def test_seats_are_the_critical_rows_of_a_very_wide_matrix():
    assert roofline.critical_rows(10**9, 10**9, 295, 2, 2) == pytest.approx(roofline.seats(295, 2), rel=1e-5)


@every_model
def test_output_tokens_cost_at_least_as_much_as_input_tokens_at_the_same_batch(model):
    """The weights are read once for each pass; more tokens in it never make a token dearer."""
    h100 = {"peak_flops": 989e12, "memory_bandwidth": 3.35e12, "n_gpus": 8}
    costs = [at(phases.input_token_gpu_seconds, model, h100, prompts=1, prompt_tokens=2**i, weight_bytes_per_param=2)
             - at(attention_work.prefill_attention_flops, model, prompt_tokens=2**i) / 2**i / h100["peak_flops"]
             for i in range(0, 11)]
    assert all(later <= earlier * (1 + 1e-9) for earlier, later in itertools.pairwise(costs))


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_bill_without_discounts_is_tokens_times_price(fresh, cached, written):
    usd = bills.input_usd(fresh + cached + written, cached, written, 3e-6, 3e-6, 3e-6, 10**9, 1, 1, 1)
    assert usd == pytest.approx((fresh + cached + written) * 3e-6)


@every_model
def test_state_never_shrinks_with_context(model):
    sizes = [state(model, 2**power) for power in range(0, 24)]
    assert sizes == sorted(sizes)


@every_model
def test_marginal_byte_of_a_long_context_is_the_growing_part(model):
    context = 5_000_000
    growth = at(capacity.growing_bytes_per_token, model, kv_bytes_per_element=2)
    assert state(model, context + 1) - state(model, context) == growth


@given(st.integers(1, 40), st.integers(1, 40))
def test_work_with_and_without_cache_is_counted(prompt, output):
    """Walk through the steps of a reply and add up."""
    passes = pairs = 0
    for step in range(output):
        length = prompt + step
        passes += length
        pairs += sum(position + 1 for position in range(length))
    assert attention_work.tokens_processed_without_cache(prompt, output) == passes
    assert attention_work.scores_without_cache(prompt, output) == pytest.approx(pairs, rel=1e-14)
    fed = prompt + output - 1
    assert attention_work.tokens_processed_with_cache(prompt, output) == fed
    assert attention_work.scores_with_cache(prompt, output) == sum(range(1, fed + 1))


@given(st.integers(1, 10**6))
def test_one_new_token_needs_no_cache(prompt):
    assert attention_work.tokens_processed_with_cache(prompt, 1) == attention_work.tokens_processed_without_cache(prompt, 1) == prompt
    assert attention_work.scores_with_cache(prompt, 1) == pytest.approx(attention_work.scores_without_cache(prompt, 1), rel=1e-14)


def test_absorbed_mla_scores_are_those_of_rebuilt_keys_and_values(rng):
    """MLA computed on the latent itself equals attention over keys and values rebuilt for each head."""
    n_heads, r, d_rope, d_nope, d_value, context = 3, 8, 4, 5, 6, 7
    latent, rope = rng.normal(size=(context, r)), rng.normal(size=(context, d_rope))
    up_key, up_value = rng.normal(size=(n_heads, r, d_nope)), rng.normal(size=(n_heads, r, d_value))
    q_nope, q_rope = rng.normal(size=(n_heads, d_nope)), rng.normal(size=(n_heads, d_rope))

    def softmax(x):
        e = numpy.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    keys, values = numpy.einsum("sr,hrd->hsd", latent, up_key), numpy.einsum("sr,hrd->hsd", latent, up_value)
    rebuilt = numpy.einsum("hs,hsd->hd", softmax(numpy.einsum("hd,hsd->hs", q_nope, keys) + q_rope @ rope.T), values)
    q_latent = numpy.einsum("hd,hrd->hr", q_nope, up_key)
    absorbed_latent = softmax(q_latent @ latent.T + q_rope @ rope.T) @ latent
    absorbed = numpy.einsum("hr,hrd->hd", absorbed_latent, up_value)
    numpy.testing.assert_allclose(absorbed, rebuilt, rtol=1e-12)
    multiply_adds = q_latent.size * context + q_rope.size * context + absorbed_latent.size * context
    assert attention_work.mla_attention_flops(n_heads, r, d_rope) * context == 2 * multiply_adds
    assert attention.mla_elements(r, d_rope) * context == latent.size + rope.size


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 4))
def test_expected_experts_are_enumerated(n_experts, n_active, batch):
    """Average over every way that a small batch can choose its experts."""
    n_active = min(n_active, n_experts)
    choices = list(itertools.combinations(range(n_experts), n_active))
    if len(choices) ** batch > 50_000:
        return
    sizes = [len(set().union(*drawn)) for drawn in itertools.product(choices, repeat=batch)]
    assert moe.experts_touched(n_experts, n_active, batch) == pytest.approx(sum(sizes) / len(sizes))


@every_model
def test_a_large_batch_reads_every_weight_and_a_single_token_the_active_ones(model):
    def read(batch):
        return at(phases.weight_bytes_read, model, batch=batch, weight_bytes_per_param=2)

    assert read(1) == pytest.approx(2 * (model.n_active_params - model.n_lookup_params))
    assert read(10**6) == pytest.approx(2 * (model.n_params - model.n_lookup_params))


@given(st.integers(1, 64), st.integers(1, 64))
def test_tensor_parallelism_over_one_gpu_changes_nothing(kv_shards, n_gpus):
    """And over several, the fullest holds whole heads, dealt out one by one."""
    assert capacity.state_share(1, kv_shards) == 1
    heads = [0] * n_gpus
    for head in range(max(kv_shards, n_gpus)):
        heads[head % n_gpus] += 1
    assert capacity.state_share(n_gpus, kv_shards) == pytest.approx(max(heads) / kv_shards)


@every_model
def test_weights_and_cache_are_equal_at_the_crossover(model):
    if model.full_elements_per_token + model.sparse_elements_per_token == 0:
        with pytest.raises(ZeroDivisionError):
            at(capacity.crossover_tokens, model, weight_bytes_per_param=2, kv_bytes_per_element=2)
        return
    tokens = at(capacity.crossover_tokens, model, weight_bytes_per_param=2, kv_bytes_per_element=2)
    growth = at(capacity.growing_bytes_per_token, model, kv_bytes_per_element=2)
    assert tokens * growth == pytest.approx(2 * model.n_params)


def test_throughput_tends_to_its_ceiling_as_the_batch_grows():
    """With a cache, tokens per second tend to bandwidth over the bytes of one sequence, or to the compute limit."""
    model = MODELS["llama_3_1_70b"]
    common = dict(weight_bytes_per_param=2, kv_bytes_per_element=2, state_bytes_per_element=4, n_gpus=4,
                  memory_bandwidth=3.35e12, peak_flops=1e30, context=8192)
    rate = at(phases.decode_tokens_per_second, model, batch=10**9, **common)
    assert rate == pytest.approx(4 * 3.35e12 / state(model, 8192), rel=1e-3)


def test_sparse_attention_that_selects_everything_reads_as_full_attention_and_its_index():
    model = MODELS["deepseek_v3_2"]
    reading = dict(context=1000, kv_bytes_per_element=2, state_bytes_per_element=4)
    index = 1000 * model.index_bytes_per_token
    assert at(attention.state_read_bytes, model, **reading) == state(model, 1000)
    full = at(attention.state_read_bytes, MODELS["deepseek_v3"], **reading)
    assert at(attention.state_read_bytes, model, **reading) == full + index


def test_sparse_attention_stores_everything_but_reads_what_it_selects():
    model = MODELS["deepseek_v3_2"]
    reading = dict(kv_bytes_per_element=2, state_bytes_per_element=4)
    once, twice = (at(attention.state_read_bytes, model, context=c, **reading) for c in (100_000, 200_000))
    assert twice - once == 100_000 * model.index_bytes_per_token
    assert state(model, 200_000) == 2 * state(model, 100_000)


@every_model
def test_caches_outweigh_weights_from_the_crossover_on(model):
    load = dict(context=8192, n_gpus=8, weight_bytes_per_param=2, kv_bytes_per_element=2, state_bytes_per_element=4)
    sequences = at(capacity.crossover_sequences, model, **load)
    caches = at(capacity.batch_state_bytes_per_gpu, model, batch=sequences, **{k: v for k, v in load.items()
                                                                               if k != "weight_bytes_per_param"})
    assert caches == pytest.approx(at(capacity.weight_bytes_per_gpu, model, n_gpus=8, weight_bytes_per_param=2))


def test_a_prefix_shared_by_all_is_stored_once_and_one_shared_by_none_for_each():
    assert capacity.shared_prefix_tokens(batch=50, context=1000, shared_tokens=1000) == 1000
    assert capacity.shared_prefix_tokens(batch=50, context=1000, shared_tokens=0) == 50_000


# --- bills ------------------------------------------------------------------------------------------

TALK = dict(instruction_tokens=1000, question_tokens=100, answer_tokens=300)


@given(st.integers(1, 60), st.integers(1, 5000), st.integers(1, 500), st.integers(1, 500))
def test_a_conversation_sends_what_its_calls_send(turns, instruction, question, answer):
    prompt, sent = instruction + question, 0
    for _ in range(turns):
        sent += prompt
        prompt += answer + question
    load = dict(turns=turns, instruction_tokens=instruction, question_tokens=question, answer_tokens=answer)
    assert bills.conversation_input_tokens(**load) == sent
    assert bills.conversation_new_tokens(**load) == prompt - answer - question


def test_a_conversation_of_one_turn_is_one_call():
    price = API_PRICES["gpt_5"]
    one = at(bills.plain_usd, price, calls=1, prompt_tokens=1100, output_tokens=300)
    assert at(bills.conversation_usd, price, turns=1, **TALK) == pytest.approx(one)
    assert at(bills.cached_conversation_usd, price, turns=1, **TALK) == pytest.approx(one)  # it writes for free


@pytest.mark.parametrize("key", price_history())
def test_plain_calls_cost_what_the_bill_says(key):
    price = price_history()[key][-1]
    plain = at(bills.plain_usd, price, calls=7, prompt_tokens=900, output_tokens=50)
    bill = at(bills.bill_usd, price, input_tokens=900, cached_tokens=0, written_tokens=0, output_tokens=50, batched=0)
    assert plain == pytest.approx(bills.traffic_usd(7, bill))


def test_no_thought_costs_nothing():
    price = API_PRICES["gpt_5"]
    load = dict(calls=3, prompt_tokens=900)
    assert at(bills.reasoned_usd, price, answer_tokens=50, thinking_multiple=0, **load) == pytest.approx(
        at(bills.plain_usd, price, output_tokens=50, **load))


def test_at_its_break_even_a_cache_costs_what_none_does():
    price = API_PRICES["claude_sonnet_5_5"]
    hits = at(bills.break_even_hit_share, price)
    assert at(bills.prefix_price, price, hit_share=hits) == pytest.approx(price.input_price)
    reads = at(bills.break_even_reads, price)
    assert reads / (1 + reads) == pytest.approx(hits)  # reads for one write, as a share of the calls


def test_parts_larger_than_the_prompt_leave_nothing_at_the_full_price():
    assert bills.fresh_tokens(input_tokens=100, cached_tokens=90, written_tokens=20) == 0
