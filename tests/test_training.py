"""Training in closed form against counts, gradients, published tables and published GPU hours."""

import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcost import training
from llmcost.catalog import GPUS, MODELS, read_csv
from llmcost.counting import Tally
from llmcost.faces import at
from llmcost.reference_model import Paths, build
from llmcost.reference_model.parts import EPSILON, merge_heads, rms_norm, rotate, softmax, split_heads, swiglu

MEMORY = read_csv("measurements/training_memory.csv")
FLOPS = read_csv("measurements/published_flops.csv")
RUNS = [run for run in read_csv("measurements/training_runs.csv") if run["stage"] != "all"]
ADAM = {"weight_bytes_per_param": 2, "gradient_bytes_per_param": 2, "optimizer_bytes_per_param": 12}


# --- FLOPs: counted -----------------------------------------------------------------------------------

def test_backward_of_a_linear_layer_is_twice_its_forward():
    """Two products for one: the gradient of what came in, and that of the weight."""
    rows, inner, columns = 7, 5, 3
    tally = Tally()
    x, w, dy = (tally.watch(numpy.ones(shape)) for shape in ((rows, inner), (inner, columns), (rows, columns)))
    _ = x @ w
    forward = sum(tally.flops.values())
    tally.clear()
    _, _ = dy @ w.T, x.T @ dy
    assert forward == training.serving_flops(inner * columns, rows)
    assert forward + sum(tally.flops.values()) == training.training_flops(inner * columns, rows)


@given(st.floats(1, 1e12), st.floats(1, 1e14))
def test_training_on_a_token_is_three_times_serving_it(params, tokens):
    assert training.training_flops(params, tokens) == pytest.approx(3 * training.serving_flops(params, tokens))


def test_recomputing_makes_eight_of_six():
    assert training.recomputing_flops(training.training_flops(1, 1), 1) == 8
    assert training.recomputing_flops(training.training_flops(1, 1), 0) == 6


@pytest.mark.parametrize("row", [row for row in FLOPS if row["quantity"] == "training FLOPs per token" and "deepseek" in row["model"]],
                         ids=lambda row: row["name"])
def test_published_training_flops_of_a_token(row):
    ours = at(training.training_token_flops, MODELS[row["model"]], prompt_tokens=float(row["context"]))
    assert ours == pytest.approx(float(row["value"]), rel=0.005)


def test_published_training_flops_of_llama_3_1_405b():
    row = next(row for row in FLOPS if row["model"] == "llama_3_1_405b" and row["quantity"] == "training FLOPs, whole run")
    ours = at(training.training_flops, MODELS["llama_3_1_405b"], training_tokens=15.6e12)
    assert f"{ours:.1e}" == f"{float(row['value']):.1e}"


# --- GPU time ------------------------------------------------------------------------------------------

TIMED = [(run, float(run["gpu_hours"] or float(run["gpu_hours_per_trillion_tokens"]) * float(run["training_tokens"]) / 1e12))
         for run in RUNS if run["model"] and run["gpu_key"] and run["training_tokens"]
         and (run["gpu_hours"] or run["gpu_hours_per_trillion_tokens"])]


@pytest.mark.parametrize("run, hours", TIMED, ids=[run["name"] for run, _ in TIMED])
def test_published_gpu_hours_are_those_of_a_possible_utilization(run, hours):
    gpu = GPUS[run["gpu_key"]].computing_in("bf16")
    least = at(training.training_gpu_seconds, MODELS[run["model"]], gpu, training_tokens=float(run["training_tokens"]),
               training_utilization=1)
    assert 0.1 < least / (hours * 3600) < 0.6


def test_published_utilization_of_deepseek_v3():
    """2048 H800, 272.8 billion tokens a day, 38.94 % with the causal half of attention."""
    rows = {row["quantity"]: float(row["value"]) for row in FLOPS if row["model"] == "deepseek_v3" and "causal" in row["counts"]}
    tokens = next(float(row["value"]) for row in FLOPS if row["quantity"] == "tokens per day of the cluster")
    flops = tokens * at(training.training_token_flops, MODELS["deepseek_v3"], prompt_tokens=4096)
    assert flops / (2048 * 86_400 * GPUS["h800_sxm"].peak_flops_bf16) == pytest.approx(rows["model FLOPs utilization"], rel=0.005)


def test_stages_of_deepseek_v3_add_up_to_the_published_total():
    stages = [run for run in RUNS if run["name"] == "DeepSeek-V3"]
    total = next(run for run in read_csv("measurements/training_runs.csv") if run["stage"] == "all")
    assert sum(float(run["gpu_hours"]) for run in stages) == float(total["gpu_hours"])
    usd = training.training_usd(float(total["gpu_hours"]) * 3600, float(total["usd_per_gpu_hour"]) / 3600)
    assert usd == pytest.approx(float(total["published_usd"]))


@given(st.floats(1, 1e9), st.integers(1, 10_000))
def test_gpus_share_the_time(hours, n_gpus):
    assert n_gpus * training.training_periods(hours * 3600, n_gpus, 3600) == pytest.approx(hours)


# --- break-even -----------------------------------------------------------------------------------------

CASE = {"training_tokens": 15e12, "training_utilization": 0.4, "multiple": 1}


def test_with_equal_utilizations_it_is_three_times_the_training_tokens():
    assert at(training.break_even_tokens, CASE, serving_utilization=0.4) == pytest.approx(45e12)


@pytest.mark.parametrize("serving_utilization", [0.01, 0.1, 0.4])
@pytest.mark.parametrize("model", ["llama_3_1_70b", "deepseek_v3"])
def test_break_even_in_closed_form_is_where_bisection_finds_it(model, serving_utilization):
    model, gpu = MODELS[model], GPUS["h100_sxm"].computing_in("bf16")
    spent = at(training.training_gpu_seconds, model, gpu, training_tokens=15e12, training_utilization=0.4)
    served = lambda tokens: at(training.serving_flops, model, served_tokens=tokens) / (gpu.peak_flops * serving_utilization)
    low, high = 1.0, 1e18
    while high / low > 1 + 1e-12:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if served(middle) < spent else (low, middle)
    assert at(training.break_even_tokens, CASE, serving_utilization=serving_utilization) == pytest.approx(low)


@pytest.mark.parametrize("model", ["llama_3_1_8b", "deepseek_v3"])
def test_dollars_and_gpu_time_break_even_together(model):
    case = {**CASE, "multiple": 10, "serving_utilization": 0.1}
    by_cost = at(training.break_even_tokens_by_cost, MODELS[model], GPUS["h100_sxm"].computing_in("bf16"), case, gpu_price=1e-3)
    assert by_cost == pytest.approx(at(training.break_even_tokens, case))


def test_at_break_even_the_two_shares_are_equal():
    given = {"gpu_price": 1e-3, "daily_tokens": 1e12, "final_run_share": 1, "serving_utilization": 0.1, **CASE}
    records = MODELS["llama_3_1_8b"], GPUS["h100_sxm"].computing_in("bf16"), given
    days = at(training.break_even_days, *records)
    assert at(training.serving_share, *records, days=days) == pytest.approx(0.5)
    assert at(training.break_even_rate, *records, period_seconds=86_400 * days) == pytest.approx(1e12 / 86_400)


# --- memory: published tables ----------------------------------------------------------------------------

def test_zero_counts_16_bytes_a_parameter():
    rows = {row["quantity"]: float(row["value"]) for row in MEMORY if row["source"] == "rajbhandari2020zero" and "per parameter" in row["quantity"]}
    assert rows["bytes per parameter, all model states"] == sum(ADAM.values())


ZERO = [row for row in MEMORY if row["quantity"] == "model states per GPU"]


@pytest.mark.parametrize("row", ZERO, ids=[f"{row['name']}-{row['printed']}" for row in ZERO])
def test_zero_table_1(row):
    shape = dict(part.split("=") for part in row["shape"].split("; "))
    split = row["setup"].rpartition("GPUs: ")[2]
    stage = next(stage for stage, word in ((3, "weights"), (2, "gradients"), (1, "optimizer"), (0, "none")) if word in split)
    ours = at(training.model_state_bytes_per_gpu, ADAM, n_params=float(shape["n_params"]), n_gpus=int(shape["n_gpus"]), zero_stage=stage)
    assert ours == pytest.approx(float(row["value"]), rel=0.003)


@pytest.mark.parametrize("stage", range(4))
def test_one_gpu_has_nothing_to_split(stage):
    assert training.model_state_bytes_per_gpu(2, 3, 5, n_gpus=1, zero_stage=stage) == 10


GPT = [row for row in MEMORY if row["source"] == "korthikanti2022reducing" and "n_layers" in row["shape"] and "FLOPs" not in row["quantity"]]


@pytest.mark.parametrize("row", GPT, ids=[f"{row['name']}-{row['printed']}" for row in GPT])
def test_korthikanti_section_5(row):
    shape = {name: int(value) for name, value in (part.split("=") for part in row["shape"].split("; "))}
    h, a, s = shape["d_model"], shape["n_heads"], 2048
    whole = training.gelu_block_activation_bytes(1, s, h, 4 * h, a, 2, 1) / (s * h)
    square = whole - 34
    assert whole == pytest.approx(34 + 5 * a * s / h)
    assert {"B": square, "share": square / whole}[row["unit"]] == pytest.approx(float(row["value"]), rel=0.01)


# --- memory: the arrays that a backward pass needs ------------------------------------------------------

SHAPES = {"d_model": 12, "n_layers": 1, "n_heads": 4, "d_ff": 20, "vocab_size": 9,
          "layers": [{"attention": "full", "n_kv_heads": 2, "d_head": 6, "n": 1}]}


def block(x, w, table, kept):
    """One block of the reference model; `kept` receives what `block_backward` reads."""
    a, heads = w["attention"], SHAPES["n_heads"]
    h = rms_norm(x, w["attention_norm"]["weight"])
    q, k, v = (split_heads(h @ a[name], count) for name, count in (("query", heads), ("key", 2), ("value", 2)))
    q, k = rotate(q, *table), rotate(k, *table)
    scores = q.reshape(len(x), 2, 2, *q.shape[2:]) @ k[:, :, None].swapaxes(-1, -2) * 6 ** -0.5
    share = softmax(numpy.where(numpy.tri(x.shape[1], dtype=bool), scores, -numpy.inf))
    mixed = merge_heads((share @ v[:, :, None]).reshape(q.shape))
    y = x + mixed @ a["output"]
    h2 = rms_norm(y, w["mlp_norm"]["weight"])
    gate, up = h2 @ w["mlp"]["gate"], h2 @ w["mlp"]["up"]
    product = swiglu(gate, up)
    kept.update(x=x, h=h, q=q, k=k, v=v, share=share, mixed=mixed, y=y, h2=h2, gate=gate, up=up, product=product)
    return y + product @ w["mlp"]["down"]


def norm_backward(dy, x, weight):
    scale = 1 / numpy.sqrt((x * x).mean(-1, keepdims=True) + EPSILON)
    along = x * scale
    return scale * (dy * weight - along * (dy * weight * along).mean(-1, keepdims=True)), (dy * along).sum((0, 1))


def block_backward(dout, w, table, kept):
    """Gradients of the input and of the weights, from weights and kept arrays alone."""
    def weight(x, dy):
        return numpy.einsum("bti,bto->io", x, dy)

    a, mlp, (cosine, sine) = w["attention"], w["mlp"], table
    dproduct, sigmoid = dout @ mlp["down"].T, 1 / (1 + numpy.exp(-kept["gate"]))
    dup, dgate = dproduct * kept["gate"] * sigmoid, dproduct * kept["up"] * sigmoid * (1 + kept["gate"] * (1 - sigmoid))
    dy, dmlp_norm = norm_backward(dup @ mlp["up"].T + dgate @ mlp["gate"].T, kept["y"], w["mlp_norm"]["weight"])
    dy = dy + dout
    q, k, v, share = kept["q"], kept["k"], kept["v"], kept["share"]
    dmixed = split_heads(dy @ a["output"].T, SHAPES["n_heads"]).reshape(len(dy), 2, 2, *q.shape[2:])
    dshare = dmixed @ v[:, :, None].swapaxes(-1, -2)
    dscores = share * (dshare - (dshare * share).sum(-1, keepdims=True)) * 6 ** -0.5
    dq = merge_heads(rotate((dscores @ k[:, :, None]).reshape(q.shape), cosine, -sine))
    dk = merge_heads(rotate((dscores.swapaxes(-1, -2) @ q.reshape(dmixed.shape)).sum(2), cosine, -sine))
    dv = merge_heads((share.swapaxes(-1, -2) @ dmixed).sum(2))
    dx, dattention_norm = norm_backward(dq @ a["query"].T + dk @ a["key"].T + dv @ a["value"].T, kept["x"], w["attention_norm"]["weight"])
    found = {("attention", "query"): weight(kept["h"], dq), ("attention", "key"): weight(kept["h"], dk),
             ("attention", "value"): weight(kept["h"], dv), ("attention", "output"): weight(kept["mixed"], dy),
             ("mlp", "up"): weight(kept["h2"], dup), ("mlp", "gate"): weight(kept["h2"], dgate),
             ("mlp", "down"): weight(kept["product"], dout), ("mlp_norm", "weight"): dmlp_norm,
             ("attention_norm", "weight"): dattention_norm}
    return dx + dy, found


@pytest.fixture
def one_block(rng):
    decoder = build(SHAPES, seed=3)
    turns = numpy.arange(5)[:, None] * 10_000.0 ** (-numpy.arange(3) * 2 / 6)
    return decoder, decoder.weights["layers"][0], (numpy.cos(turns), numpy.sin(turns))


def test_the_block_here_is_that_of_the_reference_model(one_block, rng):
    decoder, w, table = one_block
    tokens = rng.integers(9, size=(3, 5))
    out = block(decoder.weights["embedding"][tokens], w, table, {})
    logits = rms_norm(out, decoder.weights["norm"]["weight"]) @ decoder.weights["head"]
    numpy.testing.assert_allclose(logits, decoder.forward(tokens, decoder.empty_cache(3), Paths(causal="square"), every=True))


def test_the_kept_arrays_suffice_for_every_gradient(one_block, rng):
    _, w, table = one_block
    x, dout, kept = rng.normal(size=(3, 5, 12)), rng.normal(size=(3, 5, 12)), {}
    block(x, w, table, kept)
    dx, found = block_backward(dout, w, table, kept)
    targets = [(x, dx)] + [(w[part][name], gradient) for (part, name), gradient in found.items()]
    assert len(targets) == 1 + sum(len(part) for part in w.values() if part)
    for array, gradient in targets:
        place = numpy.unravel_index(numpy.abs(gradient).argmax(), gradient.shape)
        loss = []
        for step in (1e-6, -1e-6):
            array[place] += step
            loss.append((block(x, w, table, {}) * dout).sum())
            array[place] -= step
        assert (loss[0] - loss[1]) / 2e-6 == pytest.approx(gradient[place], rel=1e-5)


def test_their_elements_are_those_of_the_closed_form(one_block, rng):
    _, w, table = one_block
    kept = {}
    block(rng.normal(size=(3, 5, 12)), w, table, kept)
    for square_kept in (0, 1):
        arrays = [array for name, array in kept.items() if square_kept or name != "share"]
        assert sum(array.nbytes for array in arrays) == at(training.block_activation_bytes, SHAPES, n_kv_heads=2, d_head=6, batch=3,
                                                           context=5, square_kept=square_kept, activation_bytes_per_element=8)


def test_of_recomputed_layers_the_inputs_stay():
    """Korthikanti's last row, 2 sbh a layer, and the arrays of the one layer that is at work."""
    given = {"batch": 2, "context": 64, "activation_bytes_per_element": 2, "square_kept": 0, "recomputed": 1}
    model = MODELS["llama_3_1_8b"]
    one = at(training.block_activation_bytes, model, {name: value for name, value in given.items() if name != "recomputed"})
    head = 2 * 64 * (2 * model.d_model + model.vocab_size) * 2
    assert at(training.activation_bytes, model, given) == 32 * 2 * 2 * 64 * model.d_model + one + head


def test_gpus_that_hold_it_are_whole():
    assert training.gpus_to_hold_training(160.1, 80) == 3
