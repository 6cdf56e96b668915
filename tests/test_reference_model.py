"""Three ways to the same number: the closed form equals what the reference model really does, to the last FLOP and byte."""

import copy
import math
import pickle

import numpy
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from llmcost import attention, ledger, operations, phases, shapes
from llmcost.catalog import MODELS
from llmcost.counting import Tally
from llmcost.faces import at
from llmcost.layer_operations import Pass
from llmcost.reference_model import KINDS, Paths, ReferenceError, build, generate, greedy, mixture, probabilities, sample, scaled

every_model = pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.key)
PATHS = {"rows": (Paths(), {}), "square": (Paths(causal="square"), {"square": True}),
         "rebuilt": (Paths(mla="rebuilt"), {"rebuilt": True}), "chunks": (Paths(chunk=3), {"chunk": 3}),
         "all at once": (Paths("square", "rebuilt", 0), {"square": True, "rebuilt": True, "chunk": 0})}
every_path = pytest.mark.parametrize("path", PATHS)
BYTES = 8  # everything is float64
DENSE = {"d_model": 24, "n_layers": 2, "n_heads": 4, "vocab_size": 40, "d_ff": 32,
         "layers": [{"attention": "full", "n_kv_heads": 2, "d_head": 6, "n": 2}]}


def arrays(tree):
    for value in tree.values() if isinstance(tree, dict) else tree:
        yield from arrays(value) if isinstance(value, (dict, list)) else [value]


def tokens(count, sequences=2, seed=0):
    return numpy.random.default_rng(seed).integers(0, 40, (sequences, count))


def counted(decoder, cache, some, paths=Paths(), every=False):
    """The tally of one pass, and the cache after it."""
    tally = Tally()
    cache = tally.watch(cache, "cache")
    logits = tally.watch(decoder).forward(some, cache, paths, every)
    return tally, cache, numpy.asarray(logits)


# --- random shapes -----------------------------------------------------------------------------------

@st.composite
def layer(draw, n_heads, kind):
    def size(low, high, step=1):
        return step * draw(st.integers(low, high))

    if kind in ("full", "sliding", "chunked", "sparse"):
        group = {"n_kv_heads": draw(st.sampled_from([n for n in range(1, n_heads + 1) if n_heads % n == 0])),
                 "d_head": size(1, 4, 2), "qkv_bias": draw(st.booleans()), "output_bias": draw(st.booleans()),
                 "sinks": draw(st.booleans()), "output_gate": draw(st.booleans()),
                 "qk_norm": draw(st.sampled_from(["none", "head", "projection"]))}
        limit = {"sliding": "window", "chunked": "chunk"}.get(kind)
        group |= {limit: size(1, 9)} if limit else {}
    elif kind == "mla":
        group = {"kv_rank": size(1, 7), "d_nope": size(1, 5), "d_rope": size(1, 3, 2), "d_value": size(1, 6),
                 "q_rank": size(0, 6), "output_gate": draw(st.booleans())}
    elif kind in ("compressed", "shared_window"):
        group = {"d_head": size(1, 4, 2), "window": size(1, 7), "q_rank": size(1, 6), "output_rank": size(1, 5),
                 "n_output_groups": draw(st.sampled_from([n for n in range(1, n_heads + 1) if n_heads % n == 0]))}
        group |= {"compress_ratio": size(1, 4), "n_overlaps": size(1, 2)} if kind == "compressed" else {}
    else:
        keys = size(1, 3)
        group = {"n_state_heads": keys * (draw(st.integers(1, 2)) if kind == "gated_delta" else 1),
                 "d_key": size(1, 5), "d_value": size(1, 5)}
        group |= {"n_key_heads": keys, "conv_width": size(1, 4)} if kind != "linear" else {}
        group |= {"full_rank_gate": draw(st.booleans())} if kind == "kda" else {}
    indexed = kind == "sparse" or (kind in ("mla", "compressed") and group["q_rank"] and draw(st.booleans()))
    index = {"n_index_heads": size(1, 3), "d_index": size(1, 3, 2), "index_top_k": size(1, 9), "index_bytes_per_element": BYTES,
             "index_scale_bytes": 0}
    return {"attention": kind, "n": draw(st.integers(1, 2)), **group, **(index if indexed else {})}


RANDOM_KINDS = ("full", "sliding", "chunked", "sparse", "mla", "linear", "gated_delta", "kda",
                "shared_window", "compressed")


@st.composite
def decoders(draw):
    """Shapes of a small decoder with one or two kinds of layers, dense or a mixture, with any of the options."""
    n_heads = draw(st.integers(1, 6))
    kinds = draw(st.lists(st.sampled_from(RANDOM_KINDS), min_size=1, max_size=2, unique=True))
    groups = [draw(layer(n_heads, kind)) for kind in kinds]
    found = {"d_model": draw(st.integers(2, 20)), "n_heads": n_heads, "vocab_size": 40, "d_ff": draw(st.integers(1, 20)),
             "n_layers": sum(group["n"] for group in groups), "layers": groups}
    for name in ("tied_embeddings", "mlp_gated", "mlp_bias", "norm_bias", "head_bias"):
        found[name] = draw(st.booleans())
    found["norms_per_layer"] = draw(st.integers(1, 2))
    if draw(st.booleans()):
        n_experts = draw(st.integers(1, 6))
        found |= {"n_experts": n_experts, "n_active_experts": draw(st.integers(1, n_experts)),
                  "d_expert": draw(st.integers(1, 8)), "n_shared_experts": draw(st.integers(0, 2)),
                  "n_dense_layers": draw(st.integers(0, found["n_layers"])),
                  "router_bias": draw(st.booleans()), "expert_bias": draw(st.booleans()),
                  "d_expert_in": draw(st.integers(0, 7)), "d_shared": draw(st.integers(0, 6))}
        found["shared_gate"] = bool(found["n_shared_experts"]) and draw(st.booleans())
    return found


@settings(max_examples=300, deadline=None, derandomize=True)
@given(decoders(), st.integers(1, 3), st.lists(st.integers(1, 8), min_size=1, max_size=3), st.sampled_from(sorted(PATHS)),
       st.booleans())
def test_counted_flops_and_bytes_equal_the_closed_form(small, sequences, lengths, path, every):
    """Any mix of layers, dense or with experts, prefill and decode, any batch: each operation to the last FLOP, each byte."""
    assume(all(len({group[limit] for group in small["layers"] if limit in group}) < 2
               for limit in ("window", "chunk", "index_top_k")))
    decoder, facts = build(small), shapes.facts_from("random shapes", small)
    # Entries for several tokens come in steps, and a position bias is read by rows: bytes of those have a test of their own.
    smooth = not any("compress_ratio" in group for group in small["layers"])
    assert sum(array.size for array in arrays(decoder.weights)) - tied(decoder) == facts["n_params"]
    cache, (paths, taken) = decoder.empty_cache(sequences), PATHS[path]
    for i, count in enumerate(lengths):
        routed, start = [], cache.length
        with watching_routes(routed):
            tally, cache, _ = counted(decoder, cache, tokens(count, sequences, i), paths, every)
        assert tally.flops == ledger.pass_flops(facts, Pass(count, start, **taken), sequences, every)
        if smooth:
            assert weights_read(tally) == expected_weights(facts, routed)
            assert cache.nbytes == sequences * expected_state(facts, cache.length)
    if smooth and lengths[-1] == 1 and path in ("rows", "chunks"):
        assert state_read(tally) == sequences * expected_read(facts, cache.length)


def tied(decoder):
    """Entries of an LM head that is the embedding table seen from the other side."""
    return decoder.weights["head"].size if decoder.shapes["tied_embeddings"] else 0


def weights_read(tally):
    return sum(size for name, size in tally.touched.items() if name.startswith("weights.") and name != "weights.embedding")


class watching_routes:
    """Write down how many experts each mixture of a pass sends tokens to."""

    def __init__(self, found):
        self.found = found

    def __enter__(self):
        self.route = mixture.route

        def told(*given):
            chosen, weight = self.route(*given)
            self.found.append(len(set(numpy.asarray(chosen).ravel().tolist())))
            return chosen, weight

        mixture.route = told

    def __exit__(self, *_):
        mixture.route = self.route


def expected_weights(facts, routed):
    mean = sum(routed) / len(routed) if routed else 0
    return round(at(phases.weight_bytes_read, facts, experts_touched=mean, weight_bytes_per_param=BYTES))


def expected_state(facts, context):
    """The formula takes the buffers of convolutions in two bytes an element; here they have eight like the rest."""
    wide = {**facts, "buffer_bytes": facts["buffer_bytes"] * BYTES // 2}
    return at(attention.state_bytes, wide, context=context, kv_bytes_per_element=BYTES, state_bytes_per_element=BYTES)


def state_read(tally):
    """Distinct bytes of the cache that a pass read, the inputs of convolutions left out."""
    return sum(size for name, size in tally.touched.items() if name.startswith("cache.") and not name.endswith(".inputs"))


@pytest.mark.parametrize("key", ["deepseek_v4_flash", "deepseek_v4_pro"])
def test_compressed_entries_take_the_bytes_of_the_formula_whenever_a_window_is_full(key):
    small = scaled(MODELS[key].facts)
    small["layers"] = [{**group, **({"index_bytes_per_element": BYTES, "index_scale_bytes": 0} if "d_index" in group else {})}
                       for group in small["layers"]]
    decoder, facts = build(small), shapes.facts_from(key, small)
    cache = decoder.empty_cache(2)
    for count in (8, 4, 2):  # every ratio here is 2
        decoder.forward(tokens(count), cache)
        wide = {**facts, "buffer_bytes": facts["buffer_bytes"] * BYTES // 4}  # the formula has buffers in FP32
        assert cache.nbytes == 2 * at(attention.state_bytes, wide, context=cache.length, kv_bytes_per_element=BYTES,
                                      state_bytes_per_element=BYTES)


def expected_read(facts, context):
    """Entries are read once; running sums are too, and written once, which is the other half of their traffic."""
    return (at(attention.cache_read_bytes, facts, context=context, kv_bytes_per_element=BYTES)
            + at(attention.fixed_traffic_bytes, facts, state_bytes_per_element=BYTES, buffer_traffic_bytes=0) / 2)


# --- every model of the catalog, small -----------------------------------------------------------------

@every_model
def test_catalog_model_is_built_to_its_parameter_count(model):
    """Two counts of the parameters: arrays that were made, and the formulas of the shapes."""
    small = scaled(model.facts)
    decoder = build(small)
    built = sum(array.size for array in arrays(decoder.weights)) - tied(decoder)
    assert built == shapes.facts_from(model.name, small)["n_params"]


@every_model
@every_path
def test_catalog_model_is_counted_to_the_last_flop(model, path):
    small = scaled(model.facts, layers_of_each=2)
    decoder, facts, (paths, taken) = build(small), shapes.facts_from(model.name, small), PATHS[path]
    cache = decoder.empty_cache(2)
    for count in (7, 1, 5):
        start = cache.length
        tally, cache, _ = counted(decoder, cache, tokens(count), paths)
        assert tally.flops == ledger.pass_flops(facts, Pass(count, start, **taken), 2)


@every_model
def test_the_ways_to_compute_agree(model):
    """Cached decode = full forward; masked square = rows; MLA absorbed = rebuilt; recurrence = chunks = one masked product."""
    decoder, some = build(scaled(model.facts, layers_of_each=2)), tokens(11)
    full = decoder.forward(some, decoder.empty_cache(2), every=True)
    for paths, _ in PATHS.values():
        whole = decoder.forward(some, decoder.empty_cache(2), paths, every=True)
        numpy.testing.assert_allclose(whole, full, rtol=1e-9, atol=1e-10)
        cache = decoder.empty_cache(2)
        parts = [decoder.forward(some[:, :6], cache, paths, every=True)]
        parts += [decoder.forward(some[:, i:i + 1], cache, paths, every=True) for i in range(6, 11)]
        numpy.testing.assert_allclose(numpy.concatenate(parts, axis=1), full, rtol=1e-9, atol=1e-10)


@every_model
def test_complete_count_of_a_prompt_is_the_sum_of_its_operations(model):
    """At full size: the formula over a model's facts, and the ledger added up."""
    sparse = any("index_top_k" in group for group in model.layers)  # which attends to latents in prefill, too
    # One entry for several tokens: the formula has the mean growth of the cache, the ledger its steps.
    within = 2e-4 if any("compress_ratio" in group for group in model.layers) else 1e-12
    for prompt in (1, 1000, 20_000):
        total = at(operations.complete_prefill_flops, model, prompts=1, prompt_tokens=prompt)
        assert total == pytest.approx(sum(ledger.pass_flops(model.facts, Pass(prompt, rebuilt=not sparse)).values()), rel=within)


# --- limits ------------------------------------------------------------------------------------------

def logits_of(decoder, count=9):
    return decoder.forward(tokens(count), decoder.empty_cache(2), every=True)


def test_gqa_with_all_heads_is_mha():
    """Heads that share keys and values give what separate heads with equal keys and values give."""
    shared = build(DENSE)
    own = build({**DENSE, "layers": [{**DENSE["layers"][0], "n_kv_heads": 4}]})
    for mine, theirs in zip(own.weights["layers"], shared.weights["layers"]):
        for name in ("query", "output"):
            mine["attention"][name] = theirs["attention"][name]
        for name in ("key", "value"):
            mine["attention"][name] = numpy.repeat(theirs["attention"][name].reshape(24, 2, 6), 2, axis=1).reshape(24, 24)
        mine |= {name: theirs[name] for name in ("attention_norm", "mlp_norm", "mlp")}
    own.weights.update({name: shared.weights[name] for name in ("embedding", "norm", "head")})
    numpy.testing.assert_allclose(logits_of(own), logits_of(shared), rtol=1e-12, atol=1e-13)


def test_equal_experts_are_one_dense_mlp():
    dense = build({**DENSE, "d_ff": 10})
    mixed = build({**DENSE, "n_experts": 5, "n_active_experts": 2, "n_shared_experts": 0, "n_dense_layers": 0, "d_expert": 10})
    for mine, theirs in zip(mixed.weights["layers"], dense.weights["layers"]):
        mine |= {name: theirs[name] for name in ("attention_norm", "mlp_norm", "attention")}
        for name in ("gate", "up", "down"):
            mine["mlp"][f"expert_{name}"] = numpy.stack([theirs["mlp"][name]] * 5)
    mixed.weights.update({name: dense.weights[name] for name in ("embedding", "norm", "head")})
    numpy.testing.assert_allclose(logits_of(mixed), logits_of(dense), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("kind, limit", [("sliding", "window"), ("chunked", "chunk")])
def test_a_limit_past_the_context_is_no_limit(kind, limit):
    wide = build({**DENSE, "layers": [{**DENSE["layers"][0], "attention": kind, limit: 9}]})
    narrow = build({**DENSE, "layers": [{**DENSE["layers"][0], "attention": kind, limit: 3}]})
    numpy.testing.assert_array_equal(logits_of(wide), logits_of(build(DENSE)))
    assert not numpy.allclose(logits_of(narrow), logits_of(build(DENSE)))


def test_a_later_token_changes_nothing_before_it():
    decoder = build(DENSE)
    some = tokens(9)
    other = some.copy()
    other[:, -1] = (other[:, -1] + 1) % 40
    first, second = (decoder.forward(x, decoder.empty_cache(2), every=True) for x in (some, other))
    numpy.testing.assert_array_equal(first[:, :-1], second[:, :-1])
    assert not numpy.allclose(first[:, -1], second[:, -1])


# --- sampling ------------------------------------------------------------------------------------------

def test_a_cold_sample_is_the_greedy_token(rng):
    logits = rng.standard_normal((3, 40))
    assert sample(logits, rng, temperature=1e-3).tolist() == greedy(logits).tolist()
    assert sample(logits, rng, top_p=1e-9).tolist() == greedy(logits).tolist()


@given(st.floats(0.05, 20), st.floats(0.01, 1))
def test_probabilities_add_up_and_keep_the_order(temperature, top_p):
    logits = numpy.random.default_rng(3).standard_normal((2, 30))
    found = probabilities(logits, temperature, top_p)
    numpy.testing.assert_allclose(found.sum(axis=-1), 1)
    full = probabilities(logits, temperature)
    for row, all_of in zip(found, full):
        kept = row > 0
        assert all_of[kept].min() >= all_of[~kept].max(initial=0)
        assert all_of[kept].sum() >= top_p - 1e-12 and all_of[kept].sum() - all_of[kept].min() < top_p + 1e-12
        numpy.testing.assert_allclose(row[kept] / row[kept].sum(), all_of[kept] / all_of[kept].sum())


def test_draws_follow_the_probabilities(rng):
    logits = numpy.log([[0.6, 0.3, 0.1]])
    drawn = sample(numpy.repeat(logits, 20_000, axis=0), rng)
    numpy.testing.assert_allclose(numpy.bincount(drawn) / 20_000, [0.6, 0.3, 0.1], atol=0.015)


def test_generation_with_a_cache_is_generation_without():
    decoder, prompt = build(DENSE), tokens(4)
    reply = generate(decoder, prompt, 6)
    so_far = prompt
    for column in reply.T:
        following = greedy(decoder.forward(so_far, decoder.empty_cache(2)))
        assert following.tolist() == column.tolist()
        so_far = numpy.concatenate([so_far, following[:, None]], axis=1)


# --- bad input -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("change, told", [
    ({"layers": [{"attention": "full", "n_kv_heads": 3, "d_head": 6, "n": 2}]}, "4 heads for n_kv_heads = 3"),
    ({"layers": [{"attention": "full", "n_kv_heads": 2, "d_head": 5, "n": 2}]}, "width of 5"),
    ({"layers": [{"attention": "wave", "n": 2}]}, "layers of kind wave"),
    ({"n_experts": 2, "n_active_experts": 3}, "n_active_experts = 3 of n_experts = 2"),
    ({"norms_per_layer": 4}, "norms_per_layer = 4"),
    ({"n_heads": 0}, "n_heads of the model = 0"),
    ({"n_heads": 4.0}, "n_heads of the model = 4.0"),
    ({"n_expertss": 2}, "the model has n_expertss"),
    ({"mlp_gated": 1}, "mlp_gated = 1; it must be True or False"),
    ({"d_ff": 0}, "d_ff = 0"),
    ({"n_layers": 3}, "n_layers = 3, but the n of its layers add up to 2"),
    ({"layers": ["full"]}, "layers of kind full"),
    ({"layers": [{"attention": "full", "n_kv_heads": 0, "d_head": 6, "n": 2}]}, "n_kv_heads of a full layer = 0"),
    ({"layers": [{"attention": "sliding", "n_kv_heads": 2, "d_head": 6, "n": 2}]}, "a sliding layer has no window"),
    ({"layers": [{"attention": "full", "n_kv_heads": 2, "d_head": 6, "n": 2, "sink": True}]}, "a full layer has sink"),
    ({"layers": [{"attention": "full", "n_kv_heads": 2, "d_head": 6, "n": 2, "qk_norm": "all"}]}, "qk_norm = 'all'"),
    ({"layers": [{"attention": "kda", "n_key_heads": 1, "n_state_heads": 2, "d_key": 2, "d_value": 2, "conv_width": 2, "n": 2}]},
     "n_key_heads = 1 of a kda layer with n_state_heads = 2"),
    ({"layers": [{"attention": "mla", "kv_rank": 4, "d_nope": 4, "d_rope": 2, "d_value": 4, "n": 2, "n_index_heads": 2,
                  "d_index": 2, "index_top_k": 2}]}, "q_rank of a mla layer with an indexer = 0"),
    ({"n_experts": 4, "n_active_experts": 2}, "d_expert = 0"),
    ({"n_experts": 4, "d_expert": 3}, "n_active_experts = 0"),
    ({"n_experts": 4, "n_active_experts": 2, "d_expert": 3, "n_dense_layers": 3}, "n_dense_layers = 3"),
    ({"n_experts": 4, "n_active_experts": 2, "d_expert": 3, "shared_gate": True}, "nothing to gate"),
    ({"norms_per_layer": 1, "n_residual_streams": 2}, "which needs 2 norms"),
    ({"n_residual_vectors": 9, "residual_block": 1}, "10 in all"),
    ({"n_residual_vectors": 10}, "residual_block = 0"),
    ({"n_residual_vectors": 10, "residual_block": 1, "n_residual_streams": 2}, "one of the two must be 0"),
])
def test_shapes_that_cannot_be_built_are_refused(change, told):
    with pytest.raises(ReferenceError, match=told):
        build({**DENSE, **change})


@pytest.mark.parametrize("some, told", [([[0, 40]], "0 to 40; the vocabulary has 40"), ([[-1]], "-1 to -1"), ([[0.5]], "float64"),
                                        ([[]], "at least one"), ([[True]], "bool"), ([[1], [1, 2]], "different lengths"),
                                        ([[1] * 13], "0 tokens so far and 13 more.*max_context = 12"),
                                        ([[1], [2]], "2 sequences, but a cache of \\[1\\]")])
def test_tokens_that_cannot_be_run_are_refused_and_leave_the_cache_alone(some, told):
    decoder = build(DENSE, max_context=12)
    cache = decoder.empty_cache(1)
    with pytest.raises(ReferenceError, match=told):
        decoder.forward(some, cache)
    assert cache.length == 0 and cache.nbytes == 0


@pytest.mark.parametrize("change", [{"n_layers": 1, "layers": [{**DENSE["layers"][0], "n": 1}]},
                                    {"layers": [{**DENSE["layers"][0], "n_kv_heads": 4}]}])
def test_a_cache_of_another_model_is_refused(change):
    with pytest.raises(ReferenceError, match="a cache of another model"):
        build(DENSE).forward([[1]], build({**DENSE, **change}).empty_cache(1))


@pytest.mark.parametrize("logits", [[[]], [[numpy.nan, 1]], [[numpy.inf, 1]], [[-numpy.inf, -numpy.inf]]])
def test_logits_without_a_largest_are_refused(logits):
    with pytest.raises(ReferenceError, match="must be finite numbers"):
        probabilities(logits)


def test_logits_of_one_token_are_not_taken_for_those_of_a_batch(rng):
    with pytest.raises(ReferenceError, match="must be \\[sequences, vocabulary\\]"):
        sample([1.0, 2.0], rng)


@pytest.mark.filterwarnings("error")
def test_extreme_temperatures_give_their_limits():
    """Nearly 0 is greedy, however far the logits are apart; huge is even."""
    assert probabilities([[0.0, 1.0, 300.0, -numpy.inf]], temperature=1e-320).tolist() == [[0, 0, 1, 0]]
    assert probabilities([[1e308, -1e308]]).tolist() == [[1, 0]]
    numpy.testing.assert_allclose(probabilities([[0.0, 1.0]], temperature=1e308), 0.5)


@pytest.mark.parametrize("given_", [{"temperature": 0}, {"temperature": -1}, {"temperature": float("nan")}, {"top_p": 0},
                                    {"top_p": 1.1}])
def test_impossible_sampling_is_refused(given_):
    with pytest.raises(ReferenceError, match=next(iter(given_))):
        probabilities([[0.0, 1.0]], **given_)


def test_paths_and_lengths_are_checked():
    with pytest.raises(ReferenceError, match="causal is rows or square"):
        Paths(causal="columns")
    with pytest.raises(ReferenceError, match="n_tokens = 0"):
        generate(build(DENSE), [[1]], 0)
    with pytest.raises(ReferenceError, match="n_tokens = 1.5"):
        generate(build(DENSE), [[1]], 1.5)
    with pytest.raises(ReferenceError, match="different lengths"):
        generate(build(DENSE), [[1], [1, 2]], 1)
    with pytest.raises(ReferenceError, match="batch = 0"):
        build(DENSE).empty_cache(0)
    with pytest.raises(ReferenceError, match="max_context = 0"):
        build(DENSE, max_context=0)


@pytest.mark.parametrize("given_", [{"tokens": 0}, {"tokens": 1, "start": -1}, {"tokens": 1.5}, {"tokens": 1, "chunk": -1}])
def test_a_pass_of_the_ledger_has_tokens(given_):
    with pytest.raises(ValueError, match="must be a whole number"):
        Pass(**given_)


# --- the counting array ----------------------------------------------------------------------------------

@pytest.mark.parametrize("uncounted", [lambda x: numpy.einsum("ij,kj", x, x), lambda x: numpy.dot(x, x.T), lambda x: x.dot(x.T),
                                       lambda x: numpy.sin(x), lambda x: numpy.add.accumulate(x), lambda x: numpy.linalg.norm(x),
                                       lambda x: numpy.mean(x), lambda x: x.cumsum(), lambda x: x.prod(), lambda x: x ** 3,
                                       lambda x: divmod(x, 2), lambda x: x < 2, lambda x: x.min(), lambda x: numpy.vdot(x, x),
                                       lambda x: x.trace(), lambda x: float(x[0, 0]) * 3, lambda x: math.exp(x[0, 0]),
                                       lambda x: x[0, 0].item(), lambda x: sum(x.tolist()[0]), lambda x: sum(x.flat),
                                       pickle.dumps,
                                       lambda x: numpy.add(x, x, out=numpy.zeros((3, 3))),
                                       lambda x: numpy.matmul(x, x, out=numpy.zeros((3, 3))),
                                       lambda x: numpy.zeros((3, 3)).__iadd__(x),
                                       lambda x: numpy.concatenate([x, x], out=numpy.zeros((6, 3))),
                                       lambda x: numpy.add(x, x, where=numpy.eye(3, dtype=bool)), lambda x: x.sum(initial=1),
                                       lambda x: numpy.matmul(x, x, axes=[(1, 0), (0, 1), (0, 1)])])
def test_nothing_escapes_the_count(uncounted):
    x = Tally().watch(numpy.full((3, 3), 2.0))
    with pytest.raises(TypeError, match="not counted"):
        uncounted(x)
    assert x.tally.work == {}


def test_what_is_refused_is_not_done():
    x = Tally().watch(numpy.full(3, 2.0))
    with pytest.raises(TypeError, match="power"):
        x **= 3
    assert numpy.asarray(x).tolist() == [2, 2, 2]


@pytest.mark.parametrize("flops, counted_", [
    (10, lambda x: x.mean()), (9, lambda x: x.__iadd__(x)), (54, lambda x: numpy.ones((3, 3)) @ x), (18, lambda x: [1, 1, 1] @ x),
    (18, lambda x: x @ [1, 1, 1]), (9, lambda x: x.sum()), (1, lambda x: x[0, 0] * 3),
    (9, lambda x: numpy.add(numpy.ones((3, 3)), 1, out=x)), (9, lambda x: copy.deepcopy(x) + 1),
    (9, lambda x: x.astype("f4") + 1)])
def test_what_is_counted_is_watched_on(flops, counted_):
    tally = Tally()
    result = counted_(tally.watch(numpy.ones((3, 3))))
    assert sum(tally.flops.values()) == flops and result.tally is tally


def test_arrays_of_two_tallies_do_not_meet():
    """Else the work would go to one of them, and miss in the other."""
    x, y = (Tally().watch(numpy.ones(3)) for _ in range(2))
    with pytest.raises(TypeError, match="different tallies"):
        x + y


def test_a_watched_array_prints_like_any_other():
    x = Tally().watch(numpy.ones(2))
    assert (repr(x), str(x), f"{x[0]:.2f}") == ("array([1., 1.])", "[1. 1.]", "1.00")


@pytest.mark.parametrize("elements, read", [
    (12, lambda w: [w[0:2] * 2, w[1:3] * 2]), (12, lambda w: [w[:, :2] * 2, w[:, 1:3] * 2, w.T[:2] * 2]),
    (8, lambda w: w[[1, 1, 3]]), (12, lambda w: [w[[0, 1]], w[[1, 2]]]), (1, lambda w: [w[0, 0], w[0, 0]]),
    (4, lambda w: [numpy.take_along_axis(w, numpy.array([[0], [2], [2], [0]]), axis=-1) for _ in range(2)]),
    (0, lambda w: w[:0] * 2)])
def test_bytes_touched_are_distinct(elements, read):
    """Windows that overlap, rows that are chosen twice, a transposed view: each byte once."""
    tally = Tally()
    read(tally.watch(numpy.ones((4, 4)), "w"))
    assert tally.touched == {"w": 8 * elements}


def test_bytes_of_an_operation_are_those_of_its_arrays():
    tally = Tally()
    x, w = tally.watch(numpy.ones((2, 3))), tally.watch(numpy.ones((3, 4)), "weights.query")
    x @ w
    x @ w
    assert (tally.work["query"].read, tally.work["query"].written) == (2 * (6 + 12) * 8, 2 * 8 * 8)
    assert tally.touched == {"weights.query": 96}  # read twice, one matrix


def test_every_kind_of_layer_is_run_by_some_model_of_the_catalog():
    assert {group["attention"] for model in MODELS.values() for group in model.layers} <= set(KINDS)
