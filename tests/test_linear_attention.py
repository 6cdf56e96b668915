"""Linear, sparse and hybrid attention: forms that agree, forms that leak, crossovers, and what others measured."""

import json
from dataclasses import replace

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcost import attention, attention_work, capacity, configs, disaggregation, files, layer_operations, long_context, phases, shapes
from llmcost.catalog import ASSUMED, GPUS, MODELS, read_csv
from llmcost.faces import at
from llmcost.layouts import Layout
from llmcost.linear_attention import (KERNELS, chunked_form, depends_on, elu_plus_one, global_form, normalized, recall_error, recurrent_form,
                                      selected_attention, softmax_attention)
from llmcost.reference_model import recurrent_attention
from llmcost.serving import Service

FORMATS = {"weight_bytes_per_param": 1, "kv_bytes_per_element": 2, "state_bytes_per_element": 4}
MINIMAX = {"n_layers": 80, "linear_per_full": 7, "n_kv_heads": 8, "d_head": 128, "kv_bytes_per_element": 2, "n_state_heads": 64, "d_key": 128,
           "d_value": 128, "state_bytes_per_element": 4}
HYBRIDS = [key for key, model in MODELS.items() if model.fixed_state_elements]
SMOOTH = [key for key, model in MODELS.items() if not model.chunked_elements_per_token]


def drawn(seed, *shape_and_widths):
    """Queries, keys of length one, values, a decay for each channel and a write gate."""
    heads, tokens, d_key, d_value = shape_and_widths
    random = numpy.random.default_rng(seed)
    queries, keys = random.normal(size=(2, heads, tokens, d_key))
    keys /= numpy.linalg.norm(keys, axis=-1, keepdims=True)
    return (queries, keys, random.normal(size=(heads, tokens, d_value)), numpy.exp(-random.uniform(0.01, 2, size=(heads, tokens, d_key))),
            random.uniform(0, 1, size=(heads, tokens, 1)))


def switches(rule, decay, write):
    """The arguments of one of five rules."""
    return {"sum": {}, "lightning": {"decay": 0.9}, "gla": {"decay": decay}, "gated delta": {"decay": decay[..., :1], "write": write, "delta": True},
            "kda": {"decay": decay, "write": write, "delta": True}, "delta": {"write": write, "delta": True}}[rule]


RULES = st.sampled_from(["sum", "lightning", "gla", "delta", "gated delta", "kda"])


# --- forms that agree -----------------------------------------------------------------------------

@settings(deadline=None, max_examples=60)
@given(rule=RULES, seed=st.integers(0, 10**6), heads=st.integers(1, 3), tokens=st.integers(1, 40), d_key=st.integers(1, 9),
       d_value=st.integers(1, 9), chunk=st.integers(0, 45))
def test_recurrent_parallel_and_chunked_forms_agree(rule, seed, heads, tokens, d_key, d_value, chunk):
    queries, keys, values, decay, write = drawn(seed, heads, tokens, d_key, d_value)
    given_ = switches(rule, decay, write)
    one, last = recurrent_form(queries, keys, values, **given_)
    for size in (0, chunk):
        some, same = chunked_form(queries, keys, values, chunk=size, **given_)
        numpy.testing.assert_allclose(some, one, rtol=1e-9, atol=1e-9)
        numpy.testing.assert_allclose(same, last, rtol=1e-9, atol=1e-9)


@settings(deadline=None, max_examples=30)
@given(rule=RULES, seed=st.integers(0, 10**6), cut=st.integers(1, 19))
def test_a_state_takes_the_place_of_all_tokens_before_it(rule, seed, cut):
    queries, keys, values, decay, write = drawn(seed, 2, 20, 5, 4)
    given_ = switches(rule, decay, write)
    whole, _ = recurrent_form(queries, keys, values, **given_)

    def part(where):
        return {name: value[:, where] if name in ("decay", "write") and not isinstance(value, float) else value for name, value in given_.items()}

    for form in (recurrent_form, chunked_form):
        _, state = form(queries[:, :cut], keys[:, :cut], values[:, :cut], **part(slice(cut)))
        rest, _ = form(queries[:, cut:], keys[:, cut:], values[:, cut:], state=state, **part(slice(cut, None)))
        numpy.testing.assert_allclose(rest, whole[:, cut:], rtol=1e-9, atol=1e-9)


def test_the_state_does_not_know_how_long_the_context_is():
    for tokens in (1, 10, 1000):
        queries, keys, values, *_ = drawn(1, 2, tokens, 5, 4)
        assert recurrent_form(queries, keys, values)[1].shape == (2, 5, 4)
    for key in HYBRIDS:
        model = MODELS[key]
        fixed = [at(attention.state_bytes, model, context=n, **{k: FORMATS[k] for k in ("kv_bytes_per_element", "state_bytes_per_element")})
                 - at(attention.cache_bytes, model, context=n, kv_bytes_per_element=2) for n in (1, 10**4, 10**7)]
        assert min(fixed) > 0 and max(fixed) == pytest.approx(min(fixed), rel=1e-6)


def test_the_rules_are_those_of_the_reference_model():
    queries, keys, values, decay, write = drawn(3, 4, 17, 6, 5)
    theirs, state = recurrent_attention.recurrence(queries[None], keys[None], values[None], 0.9, numpy.zeros((1, 4, 6, 5)))
    ours, mine = recurrent_form(queries, keys, values, decay=0.9)
    numpy.testing.assert_allclose(theirs[0], ours, rtol=1e-12)
    numpy.testing.assert_allclose(state[0], mine, rtol=1e-12)
    for fading in (decay, decay[..., :1]):
        theirs, state = recurrent_attention.delta_recurrence(queries[None], keys[None], values[None], fading.swapaxes(0, 1)[None],
                                                             write[..., 0].T[None], numpy.zeros((1, 4, 6, 5)))
        ours, mine = chunked_form(queries, keys, values, decay=fading, write=write, delta=True, chunk=4)
        numpy.testing.assert_allclose(theirs[0], ours, rtol=1e-9)
        numpy.testing.assert_allclose(state[0], mine, rtol=1e-9)


def test_a_normalized_output_is_the_masked_product_over_its_rows():
    queries, keys, values, *_ = drawn(5, 1, 12, 4, 3)
    q, k, v = elu_plus_one(queries[0]), elu_plus_one(keys[0]), values[0]
    weights = numpy.tril(q @ k.T)
    want = weights @ v / weights.sum(axis=1, keepdims=True)
    for form in (recurrent_form, chunked_form):
        numpy.testing.assert_allclose(normalized(q, k, v, form), want, rtol=1e-10)


def test_weights_of_a_positive_map_are_means_and_those_of_others_need_not_be():
    queries, keys, values, *_ = drawn(6, 1, 400, 4, 3)
    bounds = numpy.abs(values).max()
    found = {name: normalized(kernel(queries), kernel(keys), values, recurrent_form, eps=1e-9) for name, kernel in KERNELS.items()}
    assert numpy.abs(found["elu + 1"]).max() <= bounds
    assert numpy.abs(found["none"]).max() > 3 * bounds


# --- what may be known ------------------------------------------------------------------------------

@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6), tokens=st.integers(2, 9))
def test_the_global_form_leaks_and_the_others_do_not(seed, tokens):
    queries, keys, values, *_ = (x[0] for x in drawn(seed, 1, tokens, 3, 3))
    phi, triangle = elu_plus_one, numpy.tri(tokens, dtype=bool)
    leaking = depends_on(lambda a, b, c: global_form(phi(a), phi(b), c), queries, keys, values)
    assert leaking.all()
    for form in (lambda a, b, c: normalized(phi(a), phi(b), c, recurrent_form), lambda a, b, c: normalized(phi(a), phi(b), c, chunked_form, chunk=2),
                 softmax_attention):
        assert (depends_on(form, queries, keys, values) == triangle).all()
    band = depends_on(lambda a, b, c: softmax_attention(a, b, c, window=2), queries, keys, values)
    assert (band == (triangle & ~numpy.tri(tokens, k=-2, dtype=bool))).all()


def test_the_global_form_is_right_for_the_last_token_only():
    queries, keys, values, *_ = (elu_plus_one(x[0]) for x in drawn(8, 1, 7, 3, 3))
    wrong, right = global_form(queries, keys, values), normalized(queries, keys, values, recurrent_form)
    numpy.testing.assert_allclose(wrong[-1], right[-1], rtol=1e-12)
    assert (numpy.abs(wrong[:-1] - right[:-1]).max(axis=1) > 1e-6).all()


@pytest.mark.parametrize("kept", [1, 3, 6, 20])
def test_window_and_selection_by_hand(kept):
    queries, keys, values, *_ = (x[0] for x in drawn(9, 1, 12, 4, 3))
    index = numpy.random.default_rng(2).normal(size=(12, 12))
    windowed, selected = softmax_attention(queries, keys, values, window=kept), selected_attention(queries, keys, values, index, kept)
    for row in range(12):
        for found, seen in ((windowed[row], range(max(0, row - kept + 1), row + 1)),
                            (selected[row], sorted(range(row + 1), key=lambda j: -index[row, j])[:kept])):
            weights = numpy.exp([queries[row] @ keys[j] / 2 for j in seen])
            numpy.testing.assert_allclose(found, weights @ values[list(seen)] / weights.sum(), rtol=1e-10)


def test_a_state_forgets_as_the_square_root_says():
    for pairs, width in ((16, 32), (64, 32), (128, 64)):
        errors = [recall_error(pairs, width, False, seed) for seed in range(20)]
        assert numpy.mean(errors) == pytest.approx(numpy.sqrt((pairs - 1) / width), rel=0.1)
        assert numpy.mean([recall_error(pairs, width, True, seed) for seed in range(20)]) < numpy.mean(errors)
    assert recall_error(1, 8, False) == pytest.approx(0, abs=1e-12)


# --- crossovers ---------------------------------------------------------------------------------------

def bisected(rises, high=1e13):
    """The place where `rises` turns from below zero to above."""
    low = 1e-9
    for _ in range(300):
        middle = (low + high) / 2
        low, high = (middle, high) if rises(middle) < 0 else (low, middle)
    return low


@pytest.mark.parametrize("key", SMOOTH)
@pytest.mark.parametrize("batch", [1, 16, 500])
def test_weights_rule_up_to_where_bisection_says(key, batch):
    model = MODELS[key]
    weights = at(phases.weight_bytes_read, model, batch=batch, weight_bytes_per_param=1)
    formula = at(long_context.weights_rule_tokens, model, batch=batch, **FORMATS)
    state = {name: FORMATS[name] for name in ("kv_bytes_per_element", "state_bytes_per_element")}
    found = bisected(lambda n: at(phases.batch_state_read_bytes, model, batch=batch, context=n, **state) - weights)
    assert formula == pytest.approx(found, rel=1e-9, abs=1e-6) or (numpy.isinf(formula) and found > 9e12)


def test_weights_always_rule_where_the_window_ends_first():
    assert at(long_context.weights_rule_tokens, MODELS["mistral_7b"], batch=1, **FORMATS) == numpy.inf
    assert at(long_context.weights_rule_tokens, MODELS["mistral_7b"], batch=64, **FORMATS) < 4096


@settings(deadline=None, max_examples=60)
@given(speedup=st.floats(1, 7.9), batch=st.integers(1, 1000), weights=st.floats(1e6, 1e12), ratio=st.integers(1, 31))
def test_a_gain_is_reached_where_bisection_says(speedup, batch, weights, ratio):
    known = {**MINIMAX, "linear_per_full": ratio}
    formula = long_context.context_for_speedup(speedup, weights, batch, **known)
    if speedup >= 1 + ratio:
        assert formula == numpy.inf
    else:
        assert long_context.hybrid_speedup(weights, batch, formula, **known) == pytest.approx(speedup, rel=1e-9)
        found = bisected(lambda n: long_context.hybrid_speedup(weights, batch, n, **known) - speedup, high=1e18)
        assert formula == pytest.approx(found, rel=1e-6)


@pytest.mark.parametrize("context", [1, 5_000, 10**7])
def test_a_stack_of_seven_to_one_is_minimax(context):
    model = MODELS["minimax_text_01"]
    state = {name: FORMATS[name] for name in ("kv_bytes_per_element", "state_bytes_per_element")}
    assert long_context.hybrid_state_bytes(context, **MINIMAX) == pytest.approx(at(attention.state_bytes, model, context=context, **state))
    assert long_context.hybrid_read_bytes(context, **MINIMAX) == pytest.approx(at(attention.state_read_bytes, model, context=context, **state))
    softmax = {**MINIMAX, "linear_per_full": 0}
    full = attention.kv_cache_bytes(1, context, 80, 8, 128, 2)
    assert long_context.hybrid_state_bytes(context, **softmax) == long_context.hybrid_read_bytes(context, **softmax) == full


def test_limits_of_the_gain():
    weights = at(phases.weight_bytes_read, MODELS["minimax_text_01"], batch=1, weight_bytes_per_param=1)
    assert long_context.hybrid_speedup(weights, 1, 1e15, **MINIMAX) == pytest.approx(8, rel=1e-4)
    assert long_context.hybrid_speedup(weights, 1, 100, **MINIMAX) < 1
    assert long_context.hybrid_speedup(weights, 1, 10**6, **{**MINIMAX, "linear_per_full": 0}) == 1


def test_a_layer_breaks_even_where_both_take_as_much():
    layer = {name: MINIMAX[name] for name in ("n_state_heads", "d_key", "d_value", "state_bytes_per_element", "n_kv_heads", "d_head", "kv_bytes_per_element")}
    even = long_context.state_break_even_tokens(**layer)
    assert attention.kv_cache_bytes(1, even, 1, 8, 128, 2) == attention.linear_state_bytes(1, 64, 128, 128, 4)
    twice = long_context.traffic_break_even_tokens(even)
    assert attention.kv_cache_bytes(1, twice, 1, 8, 128, 2) == attention.fixed_traffic_bytes(64 * 128 * 128, 4, 0)


@pytest.mark.parametrize("chunk", [2, 16, 64])
def test_flops_of_a_chunk_are_those_counted_on_the_reference_model(chunk):
    shape = {"n_state_heads": 3, "d_key": 8, "d_value": 6}
    counted = layer_operations.lightning_attention(16, 3, shape, layer_operations.Pass(tokens=4 * chunk, chunk=chunk))["chunked_recurrence"]
    assert 3 * 4 * chunk * long_context.chunked_token_flops(chunk, 8, 6) == pytest.approx(counted)
    assert long_context.chunk_steps(4 * chunk + 1, chunk) == 5


def test_intensity_of_chunks_tends_to_that_of_softmax_and_of_the_recurrence():
    assert long_context.chunk_intensity(1, 128, 128, 2, 4) < 1
    bare = 2 * (2 * 128 + 2 * 128 + 1) / (2 * 2 * (128 + 128))  # two more tokens of chunk, over the bytes of a token
    assert (long_context.chunk_intensity(60_000, 128, 128, 2, 4) - long_context.chunk_intensity(59_998, 128, 128, 2, 4)) == pytest.approx(bare, rel=1e-3)


@pytest.mark.parametrize("key", ["llama_3_1_8b", "minimax_text_01", "deepseek_v3"])
def test_at_the_break_even_bandwidth_loading_takes_as_long_as_computing(key):
    model, gpu = MODELS[key], GPUS["h100_sxm"].computing_in("bf16")
    state = at(attention.state_bytes, model, context=10_000, kv_bytes_per_element=2, state_bytes_per_element=4)
    compute = at(phases.prefill_seconds, model, gpu, prompts=1, prompt_tokens=10_000, n_gpus=8, weight_bytes_per_param=1)
    even = long_context.break_even_bandwidth(state, compute, 0.8)
    assert disaggregation.kv_transfer_seconds(state, even, 0.8) == pytest.approx(compute)
    found = bisected(lambda bandwidth: compute - disaggregation.kv_transfer_seconds(state, bandwidth, 0.8), high=1e15)
    assert even == pytest.approx(found, rel=1e-9)
    assert long_context.reload_gain(compute, disaggregation.kv_transfer_seconds(state, 3 * even, 0.8)) == pytest.approx(3)


@pytest.mark.parametrize("key", HYBRIDS)
def test_copies_of_a_state_as_far_apart_as_it_weighs_double_what_is_kept(key):
    held = {"kv_bytes_per_element": 2, "state_bytes_per_element": 4}
    worth = at(long_context.state_worth_tokens, MODELS[key], **held)
    growth = at(capacity.growing_bytes_per_token, MODELS[key], kv_bytes_per_element=2)
    assert at(long_context.checkpoint_bytes_per_token, MODELS[key], checkpoint_tokens=worth, **held) == pytest.approx(2 * growth)
    state = at(attention.state_bytes, MODELS[key], context=worth, **held)
    assert state == pytest.approx(2 * at(attention.fixed_bytes, MODELS[key], state_bytes_per_element=4), rel=1e-3)


def test_on_a_full_machine_a_hybrid_pays_long_before_it_does_for_a_lone_user():
    """With the batch that fits, the smaller state lets more sequences in: cheaper from about where both kinds of layer move as many bytes."""
    model, gpu = MODELS["minimax_text_01"], GPUS["h200_sxm"].computing_in("fp8")
    twin = {**model.facts, "full_elements_per_token": 8 * model.full_elements_per_token, "full_attention_flops": 8 * model.full_attention_flops,
            "fixed_state_elements": 0, "fixed_attention_flops": 0}
    busy = {"n_gpus": 8, "weight_bytes_per_param": 1, "kv_bytes_per_element": 2}

    def each(one, context):
        """Time of the machine for a token of each sequence that fits."""
        fits = at(capacity.sequences_that_fit, one, gpu, ASSUMED, context=context, **busy)
        return at(phases.decode_step_seconds, one, gpu, ASSUMED, context=context, batch=fits, **busy) / fits

    assert each(model, 1024) > each(twin, 1024)
    assert each(model, 2048) < each(twin, 2048)
    assert each(twin, 8192) / each(model, 8192) > 3


# --- facts ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("key", MODELS)
def test_the_order_of_layers_holds_as_many_of_each_kind(key):
    order = configs.layer_order(json.loads(files.read_text(f"configs/{key}.json")))
    groups = MODELS[key].layers
    assert {name: order.count(name) for name in set(order)} == {
        name: sum(group["n"] for group in groups if group["attention"] == name) for name in {group["attention"] for group in groups}}


def test_minimax_has_a_full_layer_after_each_seven_linear_ones():
    order = configs.layer_order(json.loads(files.read_text("configs/minimax_text_01.json")))
    assert order == (["linear"] * 7 + ["full"]) * 10


def test_counts_of_layers_in_the_history_are_those_of_the_catalog():
    for row in read_csv("history/attention.csv"):
        if row["model"] and " of " in row["what"] and "layers" in row["what"]:
            words = row["what"].split()
            kind, total = (int(words[words.index("of") + step]) for step in (-1, 1))
            model = MODELS[row["model"]]
            assert total == model.n_layers and kind in {group["n"] for group in model.layers}


# --- what others measured -------------------------------------------------------------------------------

MEASURED = {row["row_id"]: row for row in read_csv("measurements/long_context.csv")}
OFFLOAD = {row["row_id"]: row for row in read_csv("measurements/kv_offload.csv")}


def kimi_stacks():
    """Kimi Linear and the same stack with latent attention throughout, on eight H800s."""
    model = MODELS["kimi_linear_48b_a3b"]
    latent = next(group for group in model.layers if group["attention"] == "mla")
    names = [name for name in (*shapes.NEEDED, *shapes.MIXTURE, *shapes.OPTIONAL, "d_ff") if name in model.facts]
    twin = shapes.facts_from("twin", {**{name: model.facts[name] for name in names}, "layers": [{**latent, "n": model.n_layers}]})
    gpu = GPUS["h800_sxm"].computing_in("bf16")
    return {name: Service(one, gpu, ASSUMED, Layout(tensor=8)) for name, one in (("hybrid", model), ("full", replace(model, facts={**model.facts, **twin})))}


def test_what_context_adds_to_a_step_of_kimi_linear_is_what_its_makers_measured():
    for variant, service in kimi_stacks().items():
        near, far = (float(MEASURED[f"kimi_linear_decode_{variant}_{n}"]["value"]) for n in (4096, 1_048_576))
        ours = float(service.step(1, 1_048_576)["step"] - service.step(1, 4096)["step"])
        assert ours == pytest.approx(far - near, rel=0.08)


def test_the_break_in_the_cost_of_a_token_stands_where_the_selection_is_full():
    (row,) = [row for name, row in MEASURED.items() if name.startswith("deepseek_decode_sparse_") and row["context"] not in ("1", "131072")]
    assert float(row["context"]) == pytest.approx(MODELS["deepseek_v3_2"].index_top_k, rel=0.05)


def test_loading_and_computing_are_as_measured():
    model, link = MODELS["llama_3_1_8b"], float(OFFLOAD["vllm_h100_dma"]["value"])
    service = Service(model, GPUS["h100_sxm"].computing_in("bf16"), ASSUMED)
    for thousands in (20, 50, 100):
        n = 1000 * thousands
        load = at(disaggregation.kv_transfer_seconds, model, context=n, kv_bytes_per_element=2, state_bytes_per_element=4, transfer_bandwidth=link, link_efficiency=1)
        assert float(service.prefill_seconds(n)) == pytest.approx(float(OFFLOAD[f"vllm_h100_recompute_{thousands}k"]["value"]), rel=0.2)
        assert load + float(service.prefill_seconds(1)) == pytest.approx(float(OFFLOAD[f"vllm_h100_load_{thousands}k"]["value"]), rel=0.2)


def test_published_flops_of_a_generation_lie_near_ours():
    for key in ("minimax_text_01", "deepseek_v3", "qwen3_235b_a22b"):
        for n in (65_536, 100_000, 131_072):
            model = MODELS[key]
            ours = 2 * n * (model.n_active_params - model.n_lookup_params) + at(attention_work.prefill_attention_flops, model, prompt_tokens=n)
            assert ours == pytest.approx(float(MEASURED[f"m1_flops_{key}_{n}"]["value"]), rel=0.35)
