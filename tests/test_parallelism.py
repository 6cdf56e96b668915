"""Many ranks: what is split and put together again is what was whole, and every byte on the wire is in the formula."""

import itertools

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcost import capacity, collectives, parallelism, phases, transformer
from llmcost.catalog import ASSUMED, GPUS, MODELS, read_csv
from llmcost.faces import at
from llmcost.layouts import Layout, LayoutError, memory_per_gpu, problems, step_seconds, wire_bytes
from llmcost.reference_model import ReferenceError, build
from llmcost.reference_model.ranks import TENSOR_PLAN, ExpertParallel, Pipeline, TensorParallel, run, shard
from llmcost.reference_model.wire import Wire

every_model = pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.key)
FORMATS = {"weight_bytes_per_param": 2, "kv_bytes_per_element": 2, "state_bytes_per_element": 4}


def tokens(sequences, count, seed=0):
    return numpy.random.default_rng(seed).integers(0, 64, (sequences, count))


@st.composite
def splittable(draw, experts=None):
    """Shapes that 8 ranks can share: GQA or MLA, dense or a mixture, with the options that do not span heads."""
    kind = draw(st.sampled_from(["full", "sliding", "chunked", "mla"]))
    if kind == "mla":
        group = {"kv_rank": draw(st.integers(1, 5)), "d_nope": draw(st.integers(1, 4)), "d_rope": 2, "d_value": draw(st.integers(1, 4)),
                 "q_rank": draw(st.integers(0, 4)), "output_gate": draw(st.booleans())}
    else:
        group = {"n_kv_heads": draw(st.sampled_from([1, 2, 4, 8])), "d_head": 4, "qkv_bias": draw(st.booleans()),
                 "output_bias": draw(st.booleans()), "sinks": draw(st.booleans()), "qk_norm": draw(st.sampled_from(["none", "head"])),
                 **({"window": 3} if kind == "sliding" else {"chunk": 3} if kind == "chunked" else {})}
    n_layers = draw(st.integers(1, 3))
    shapes = {"d_model": draw(st.integers(3, 12)), "n_heads": 8, "vocab_size": 64, "d_ff": 8 * draw(st.integers(1, 2)), "n_layers": n_layers,
              "mlp_bias": draw(st.booleans()), "tied_embeddings": draw(st.booleans()), "norms_per_layer": 2,
              "layers": [{"attention": kind, "n": n_layers, **group}]}
    if experts or (experts is None and draw(st.booleans())):
        shapes |= {"n_experts": 8, "n_active_experts": draw(st.integers(1, 4)), "d_expert": 8, "n_shared_experts": draw(st.integers(0, 1)),
                   "n_dense_layers": draw(st.integers(0, n_layers - 1)), "router_bias": draw(st.booleans()), "expert_bias": draw(st.booleans())}
    return shapes


@settings(max_examples=120, deadline=None, derandomize=True)
@given(splittable(), st.sampled_from([1, 2, 4, 8]), st.sampled_from(["ring", "one-shot"]))
def test_tensor_parallel_is_the_whole_model_and_sends_what_the_formula_says(shapes, n_ranks, algorithm):
    decoder, some = build(shapes), tokens(2, 5)
    whole = decoder.forward(some, decoder.empty_cache(2), every=True)
    group = TensorParallel(decoder, n_ranks, batch=2, algorithm=algorithm)
    for begin, end in ((0, 3), (3, 4), (4, 5)):  # a prompt, and two tokens one by one
        before = sum(group.wire.sent)
        logits = group.forward(some[:, begin:end], every=True)
        numpy.testing.assert_allclose(logits, whole[:, begin:end], rtol=1e-9, atol=1e-10)
        stream, scores = (2 * (end - begin) * width * 8 for width in (shapes["d_model"], shapes["vocab_size"]))
        one = {"ring": collectives.ring_bytes, "one-shot": collectives.one_shot_bytes}[algorithm](stream, n_ranks)
        a_rank = (parallelism.tensor_all_reduces(shapes["n_layers"]) + 1) * one + collectives.share_bytes(scores, n_ranks)
        assert sum(group.wire.sent) - before == pytest.approx(n_ranks * a_rank, rel=1e-12)
    # Two for each block, one for the embedding, whose rows are shared out.
    assert group.wire.calls == {"all-reduce": 3 * (2 * shapes["n_layers"] + 1), "all-gather": 3}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(splittable(experts=True), st.sampled_from([1, 2, 4, 8]))
def test_expert_parallel_is_the_whole_model_with_two_all_to_alls_for_each_mixture(shapes, n_ranks):
    decoder, some = build(shapes), tokens(8, 4)
    group = ExpertParallel(decoder, n_ranks, batch=8)
    whole = decoder.forward(some, decoder.empty_cache(8), every=True)
    numpy.testing.assert_allclose(group.forward(some, every=True), whole, rtol=1e-9, atol=1e-10)
    mixtures = shapes["n_layers"] - shapes["n_dense_layers"]
    assert group.wire.calls == {"all-to-all": 2 * mixtures}
    # No token leaves a rank but for its experts: at most each of them, there and back.
    # The number of the expert goes along, as one more column, on the way there.
    k, d_model = shapes["n_active_experts"], shapes["d_model"]
    most = mixtures * sum(parallelism.expert_exchange_bytes(8 * 4, k, width, 8) for width in (d_model + 1, d_model))
    assert sum(group.wire.sent) <= most and (sum(group.wire.sent) == 0) == (n_ranks == 1)


def test_dispatch_sends_the_expected_bytes_when_experts_are_chosen_evenly():
    """Every token of a batch that covers all choices once: the all-to-all formula, to the byte."""
    shapes = {"d_model": 6, "n_heads": 4, "n_layers": 1, "vocab_size": 64, "d_ff": 8, "n_experts": 8, "n_active_experts": 8,
              "d_expert": 8, "n_shared_experts": 0, "n_dense_layers": 0, "layers": [{"attention": "full", "n": 1, "n_kv_heads": 2, "d_head": 4}]}
    group = ExpertParallel(build(shapes), 4, batch=8)
    group.forward(tokens(8, 3))
    there, back = (parallelism.expert_exchange_bytes(2 * 3, 8, width, 8) for width in (6 + 1, 6))
    assert group.wire.sent == [collectives.share_bytes(there + back, 4)] * 4


@settings(max_examples=40, deadline=None, derandomize=True)
@given(splittable(), st.integers(1, 3), st.sampled_from([1, 2, 4]))
def test_pipeline_is_the_whole_model_and_sends_one_stream_between_stages(shapes, n_stages, micro_batches):
    n_stages = min(n_stages, shapes["n_layers"])
    decoder, some = build(shapes), tokens(4, 3)
    pipeline = Pipeline(decoder, n_stages, batch=4, micro_batches=micro_batches)
    numpy.testing.assert_allclose(pipeline.forward(some), decoder.forward(some, decoder.empty_cache(4)), rtol=1e-9, atol=1e-10)
    stream = parallelism.stream_bytes(4 * 3, shapes["d_model"], 8)
    assert sum(pipeline.wire.sent) == parallelism.stage_bytes_sent(n_stages, stream)
    assert pipeline.wire.calls["send"] == micro_batches * (n_stages - 1)


DENSE = {"d_model": 6, "n_heads": 8, "vocab_size": 64, "d_ff": 16, "n_layers": 2,
         "layers": [{"attention": "full", "n": 2, "n_kv_heads": 4, "d_head": 4}]}


def test_a_rank_holds_its_part_only():
    """Matrices are cut; KV heads are copied when there are more ranks than heads; norms stay whole."""
    for n_ranks, copies in ((2, 1), (4, 1), (8, 2)):
        ranks = shard(build(DENSE), n_ranks)
        w = ranks[0].weights["layers"][0]
        assert w["attention"]["query"].shape == (6, 32 // n_ranks) and w["attention"]["output"].shape == (32 // n_ranks, 6)
        assert w["attention"]["key"].shape == (6, 16 * copies // n_ranks)
        assert copies == at(parallelism.kv_head_copies, n_gpus=n_ranks, n_kv_heads=4)
        assert w["mlp"]["up"].shape == (6, 16 // n_ranks) and w["attention_norm"]["weight"].shape == (6,)
        assert ranks[0].empty_cache(1).layers[0]["keys"].shape[1] == max(1, 4 // n_ranks)
        numpy.testing.assert_array_equal(numpy.concatenate([rank.weights["layers"][1]["mlp"]["down"] for rank in ranks]),
                                         build(DENSE).weights["layers"][1]["mlp"]["down"])


@pytest.mark.parametrize("change, n_ranks, told", [
    ({}, 3, "n_heads = 8 does not divide over 3"),
    ({"d_ff": 12}, 8, "d_ff = 12 does not divide over 8"),
    ({"layers": [{"attention": "full", "n": 2, "n_kv_heads": 8, "d_head": 4, "qk_norm": "projection"}]}, 2, "qk_norm projection"),
    ({"layers": [{"attention": "linear", "n": 2, "n_state_heads": 2, "d_key": 4, "d_value": 4}]}, 2, "layer of kind linear"),
    ({"n_heads": 12, "layers": [{"attention": "full", "n": 2, "n_kv_heads": 4, "d_head": 4}]}, 6, "d_ff = 16 does not divide over 6"),
    ({"n_heads": 12, "d_ff": 12, "vocab_size": 60, "layers": [{"attention": "full", "n": 2, "n_kv_heads": 4, "d_head": 4}]}, 6,
     "4 KV heads on 6 ranks"),
])
def test_what_does_not_divide_is_refused_with_the_reason(change, n_ranks, told):
    with pytest.raises(ReferenceError, match=told):
        TensorParallel(build({**DENSE, **change}), n_ranks, batch=1)


def test_groups_that_cannot_be_are_refused():
    with pytest.raises(ReferenceError, match="3 stages for 2 layers"):
        Pipeline(build(DENSE), 3, 1)
    with pytest.raises(ReferenceError, match="3 sequences do not divide into 2 micro-batches"):
        Pipeline(build(DENSE), 2, 3, 2)
    with pytest.raises(ReferenceError, match="5 sequences do not divide over 2 ranks"):
        ExpertParallel(build({**DENSE, "n_experts": 2, "n_active_experts": 1, "n_shared_experts": 0, "n_dense_layers": 0, "d_expert": 4}), 2, 5)


def test_bad_tokens_ranks_and_algorithms_are_refused():
    for group in (TensorParallel(build(DENSE), 2, 2), Pipeline(build(DENSE), 2, 2)):
        with pytest.raises(ReferenceError, match="-1 to -1"):
            group.forward([[-1], [-1]])
        with pytest.raises(ReferenceError, match="1 sequences"):
            group.forward([[1]])
    for n_ranks in (0, -1, 1.5):
        with pytest.raises(ReferenceError, match="n_ranks"):
            shard(build(DENSE), n_ranks)
    with pytest.raises(ReferenceError, match="one_shot.*ring, one-shot"):
        Wire(2, "one_shot")
    hashed = {**DENSE, "n_experts": 2, "n_active_experts": 1, "d_expert": 4, "n_dense_layers": 0, "n_hash_layers": 1}
    for group in (TensorParallel, Pipeline, ExpertParallel):
        with pytest.raises(ReferenceError, match="n_hash_layers|chosen by token"):
            group(build(hashed), 2, 2)


def test_a_copy_of_the_plan_is_the_plan():
    cut, same = shard(build(DENSE), 2, dict(TENSOR_PLAN))[1], shard(build(DENSE), 2)[1]
    assert cut.shapes == same.shapes and cut.weights["head"].shape == same.weights["head"].shape == (6, 32)


def test_ranks_that_ask_for_different_things_are_told():
    def program(name):
        yield name, numpy.ones(2)

    with pytest.raises(ReferenceError, match="all_gather.*all_reduce"):
        run([program("all_reduce"), program("all_gather")], Wire(2))


# --- collectives ---------------------------------------------------------------------------------------

@given(st.integers(1, 9), st.integers(1, 40), st.sampled_from(["ring", "one-shot"]))
def test_collectives_do_what_they_say_and_count_what_they_send(n_ranks, size, algorithm):
    parts, wire = [numpy.random.default_rng(i).standard_normal(size) for i in range(n_ranks)], Wire(n_ranks, algorithm)
    for found in wire.all_reduce(parts):
        numpy.testing.assert_allclose(found, sum(parts), rtol=1e-12, atol=1e-13)
    formula = collectives.ring_bytes if algorithm == "ring" else collectives.one_shot_bytes
    assert sum(wire.sent) == pytest.approx(n_ranks * formula(8 * size, n_ranks))
    assert wire.steps == (0 if n_ranks == 1 else 1 if algorithm == "one-shot" else 2 * (n_ranks - 1))

    wire = Wire(n_ranks)
    numpy.testing.assert_allclose(numpy.concatenate(wire.reduce_scatter(parts)), sum(parts), rtol=1e-12, atol=1e-13)
    assert sum(wire.sent) == pytest.approx(n_ranks * collectives.share_bytes(8 * size, n_ranks))

    wire = Wire(n_ranks)
    assert all(numpy.array_equal(found, numpy.concatenate(parts)) for found in wire.all_gather(parts))
    assert sum(wire.sent) == n_ranks * collectives.share_bytes(8 * size * n_ranks, n_ranks)

    wire = Wire(n_ranks)
    parcels = [[numpy.full(size, 10 * i + j) for j in range(n_ranks)] for i in range(n_ranks)]
    arrived = wire.all_to_all(parcels)
    assert all(arrived[j][i][0] == 10 * i + j for i, j in itertools.product(range(n_ranks), repeat=2))
    assert sum(wire.sent) == n_ranks * collectives.share_bytes(8 * size * n_ranks, n_ranks)


def all_reduce(gpu, n_gpus, message_bytes):
    return at(collectives.all_reduce_seconds, gpu, ASSUMED, n_gpus=n_gpus, message_bytes=message_bytes)


@pytest.mark.parametrize("key", ["a100_sxm_80gb", "h100_sxm", "b200_sxm", "mi300x"])
def test_one_gpu_has_nobody_to_talk_to(key):
    gpu = GPUS[key]
    assert all_reduce(gpu, 1, 1e6) == 0
    assert at(parallelism.tensor_seconds, gpu, ASSUMED, n_layers=80, n_gpus=1, message_bytes=1e6) == 0
    assert collectives.ring_bytes(1e6, 1) == collectives.one_shot_bytes(1e6, 1) == collectives.share_bytes(1e6, 1) == 0
    assert parallelism.pipeline_bubble(1, 4) == 0 and parallelism.stage_bytes_sent(1, 1e6) == 0
    assert parallelism.pipeline_seconds(0.5, 1, 1, 1e-5) == 0.5


@pytest.mark.parametrize("key", ["a100_sxm_80gb", "h100_sxm", "h200_sxm", "b200_sxm", "mi300x", "l40s"])
def test_larger_messages_take_longer_and_tend_to_the_bandwidth(key):
    gpu = GPUS[key]
    sizes = numpy.logspace(2, 11, 60)
    found = numpy.array([all_reduce(gpu, 8, size) for size in sizes])
    assert (numpy.diff(found) > 0).all()
    best = max(collectives.ring_bytes(1e11, 8) / gpu.link_efficiency, collectives.in_switch_bytes(1e11, 8) / gpu.switch_efficiency)
    assert found[-1] <= best / gpu.link_bandwidth_per_direction * 1.01


MEASURED = read_csv("measurements/collectives.csv")


def predicted(row):
    """Seconds of one row by the formula for its software: engines' kernels in a graph, or the library."""
    gpu, n, size = GPUS[row["system"]], int(row["n_gpus"]), float(row["message_bytes"])
    library = row["library"].startswith(("NCCL", "RCCL"))
    given_ = {"n_gpus": n, "message_bytes": size}
    if row["collective"] == "all_reduce":
        formula = collectives.nccl_all_reduce_seconds if library else collectives.all_reduce_seconds
        return at(formula, gpu, ASSUMED, given_, **({"rounds": 2} if library else {}))
    if row["collective"] == "all_to_all":
        return at(collectives.all_to_all_seconds, gpu, ASSUMED, given_)
    return at(collectives.ring_seconds, gpu, ASSUMED, given_, rounds=1)


@pytest.mark.parametrize("system", ["h100_sxm", "h200_sxm", "b200_sxm"])
def test_measured_all_reduces_are_met(system):
    """Typed rows on 8 GPUs that no constant was fitted on, in a graph or by the library: half of them within 15 %."""
    errors = [abs(predicted(row) / float(row["seconds"]) - 1) for row in MEASURED
              if row["system"] == system and row["collective"] == "all_reduce" and row["split"] == "judged" and row["seconds"]
              and row["mode"] != "eager"]
    assert len(errors) >= 3 and numpy.median(errors) < 0.15


@pytest.mark.parametrize("least, most", [(0, 65_536), (65_537, 4e6), (4e6, 1e12)], ids=["one exchange", "two exchanges", "large"])
def test_each_way_to_add_up_is_met_where_it_is_the_fastest(least, most):
    """The same rows of engines' kernels by size of the message, over all three systems, so that each algorithm is judged."""
    errors = [abs(predicted(row) / float(row["seconds"]) - 1) for row in MEASURED
              if row["system"] in ("h100_sxm", "h200_sxm", "b200_sxm") and row["collective"] == "all_reduce" and row["seconds"]
              and row["split"] == "judged" and row["mode"] == "graph" and not row["library"].startswith("NCCL")
              and least <= float(row["message_bytes"]) <= most]
    assert len(errors) >= 3 and numpy.median(errors) < 0.15


# --- layouts ---------------------------------------------------------------------------------------------

@every_model
def test_a_layout_of_one_gpu_is_the_model(model):
    found = memory_per_gpu(Layout(), model, batch=3, context=5000, **FORMATS)
    assert found["weights"] + found["experts"] == pytest.approx(at(transformer.weight_bytes, model, weight_bytes_per_param=2))
    assert found["state"] == pytest.approx(at(capacity.batch_state_bytes_per_gpu, model, n_gpus=1, batch=3, context=5000,
                                              kv_bytes_per_element=2, state_bytes_per_element=4))
    assert not any(wire_bytes(Layout(), model, 10, 2).values())


@every_model
def test_a_split_halves_what_it_splits(model):
    one, two = (memory_per_gpu(Layout(stages=n), model, batch=2, context=1000, **FORMATS) for n in (1, 2))
    assert all(two[item] == pytest.approx(one[item] / 2) for item in one)
    if not problems(Layout(tensor=2), model):
        two = memory_per_gpu(Layout(tensor=2), model, batch=2, context=1000, **FORMATS)
        assert two["weights"] == pytest.approx(one["weights"] / 2) and two["state"] >= one["state"] / 2 * (1 - 1e-12)


def test_step_of_a_layout_is_the_step_of_its_group_and_the_talk():
    model, gpu = MODELS["llama_3_1_70b"], GPUS["h100_sxm"].computing_in("bf16")
    given_ = {**FORMATS, "activation_bytes_per_element": 2}
    found = step_seconds(Layout(tensor=4), model, gpu, ASSUMED.facts, batch=16, context=2048, **given_)
    alone = at(phases.decode_step_seconds, model, gpu, n_gpus=4, batch=16, context=2048, **FORMATS)
    assert found["step"] == pytest.approx(alone + found["all-reduces"])
    message = 16 * 8192 * 2
    assert found["all-reduces"] == pytest.approx(160 * (all_reduce(gpu, 4, message) + ASSUMED.arrival_skew_seconds))
    assert step_seconds(Layout(), model, gpu, ASSUMED.facts, batch=16, context=2048, **given_)["all-reduces"] == 0


@pytest.mark.parametrize("layout, key, told", [
    (Layout(tensor=3), "llama_3_1_70b", "64 query heads do not divide over 3"),
    (Layout(tensor=0), "llama_3_1_70b", "tensor must be a whole number from 1 on"),
    (Layout(replicas=2.5), "llama_3_1_70b", "replicas must be a whole number from 1 on"),
    (Layout(stages=81), "llama_3_1_70b", "81 stages for 80 layers"),
    (Layout(experts=8), "llama_3_1_70b", "no experts to spread"),
    (Layout(experts=7), "deepseek_v3", "256 experts and 0 copies do not spread evenly over 7"),
    (Layout(tensor=16, experts=8), "deepseek_v3", "experts on 8 GPUs, attention on groups of 16"),
])
def test_impossible_layouts_are_refused_with_every_reason(layout, key, told):
    assert any(told in reason for reason in problems(layout, MODELS[key]))
    with pytest.raises(LayoutError, match=told):
        memory_per_gpu(layout, MODELS[key], 1, 1000, **FORMATS)
