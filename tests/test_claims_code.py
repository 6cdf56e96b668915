"""What the code in the source documents does, what it leaves out and what breaks it: small re-statements of our own, run.

Listings of the first document are steps in words, those of the second pseudo-code, a configuration and a plan for splitting.
The third has none, the fourth two functions of cost, a scheduler and a call of vLLM, the fifth linear attention and arithmetic intensity.
"""

import math

import numpy
import pytest

from llmcost import attention_work, claims, load, operations, phases, quantization, roofline, served, training
from llmcost.catalog import ASSUMED, GPUS, MODELS
from llmcost.counting import Tally
from llmcost.engine import Engine
from llmcost.faces import at
from llmcost.precision import BYTES_PER_ELEMENT
from llmcost.reference_model import build, generate
from llmcost.reference_model.parts import rms_norm, swiglu
from llmcost.scheduling import simulate
from llmcost.serving import CapacityError
from llmcost.workload import Request

TINY = build({"d_model": 48, "n_layers": 3, "n_heads": 4, "d_ff": 96, "vocab_size": 256,
              "layers": [{"attention": "full", "n_kv_heads": 2, "d_head": 8, "n": 3}]})
PROMPT = [[7, 3, 200, 41, 8]]
WORDS = " ".join(f"{claim.why} {claim.right}" for claim in claims.load())
"""What all claims say in words."""


def last_logits(tokens):
    """Logits after `tokens`, nothing cached before."""
    return TINY.forward(tokens, TINY.empty_cache(1))


# --- the first document: steps in words --------------------------------------------------------------------------

def test_one_pass_for_each_output_token_and_everything_again_without_a_cache():
    """Claims 000-decode-1000-passes and 000-recompute-history: passes and tokens are counted while a reply is written twice."""
    reply, sizes = list(PROMPT[0]), []
    for _ in range(6):
        sizes.append(len(reply))
        reply.append(int(last_logits([reply]).argmax()))
    assert reply[5:] == generate(TINY, PROMPT, 6)[0].tolist()
    assert sizes == [5, 6, 7, 8, 9, 10]  # six passes, the first of them prefill: five are decode
    assert sum(sizes) == attention_work.tokens_processed_without_cache(prompt_tokens=5, output_tokens=6)
    assert attention_work.tokens_processed_with_cache(prompt_tokens=5, output_tokens=6) == 5 + 5


def listed_steps(first_tokens, n_tokens):
    """A reply by the steps as the document lists them: the cache begins with the first token that is fed, the prompt is not in it."""
    cache, reply, token = TINY.empty_cache(1), [], first_tokens[0][-1]
    for _ in range(n_tokens):
        token = int(TINY.forward([[token]], cache).argmax())
        reply.append(token)
    return reply


def test_the_listed_steps_of_the_cache_forget_the_prompt():
    """Claim 000-kv-steps: right for a prompt of one token, wrong for a longer one."""
    assert listed_steps(PROMPT, 6) != generate(TINY, PROMPT, 6)[0].tolist()
    assert listed_steps([[8]], 6) == generate(TINY, [[8]], 6)[0].tolist()


def attend(queries, keys, values):
    """Attention of one query [width] for each user over caches of the user's own, [tokens, width]."""
    weights = [numpy.exp(kept @ query - (kept @ query).max()) for query, kept in zip(queries, keys)]
    return numpy.array([weight @ kept / weight.sum() for weight, kept in zip(weights, values)])


def test_one_pass_makes_the_15th_token_of_one_user_and_the_42nd_of_another():
    """Claim 000-positions-differ: the weights meet all users at once, each cache its own; padding that is not masked breaks it."""
    rng = numpy.random.default_rng(0)
    x, w = rng.normal(size=(3, 16)), rng.normal(size=(16, 16)) / 16
    keys, values = ([rng.normal(size=(length, 16)) for length in (15, 8, 42)] for _ in range(2))
    together = attend(x @ w, keys, values)
    alone = [attend(x[i:i + 1] @ w, keys[i:i + 1], values[i:i + 1])[0] for i in range(3)]
    assert numpy.allclose(together, alone)
    padded = [[numpy.pad(kept, ((0, 42 - len(kept)), (0, 0))) for kept in caches] for caches in (keys, values)]
    found = attend(x @ w, *padded)
    assert not numpy.allclose(found[:2], alone[:2]) and numpy.allclose(found[2], alone[2])


# --- the second document: pseudo-code, a configuration, a plan ----------------------------------------------------

def test_the_loop_over_squares_is_a_quarter_of_a_norm():
    """Claims 001-rms-norm-code and 001-rms-norm-code-stops: what it counts, and what it leaves out."""
    tally, tokens, width = Tally(), 6, 40
    x = tally.watch(numpy.ones((tokens, width)))
    _ = x * x
    assert sum(tally.flops.values()) == tokens * width
    tally.clear()
    rms_norm(x, tally.watch(numpy.ones(width)))
    assert sum(tally.flops.values()) == operations.rms_norm_flops(tokens, width) == 4 * tokens * width + 3 * tokens


@pytest.mark.parametrize("element, finite", [(255, True), (256, False)])
def test_squares_overflow_in_fp16(element, finite):
    """Claim 001-rms-norm-code-stops: the listing says nothing of the format in which it squares."""
    with numpy.errstate(over="ignore"):
        assert numpy.isfinite(numpy.float16(element) * numpy.float16(element)) == finite


def test_a_norm_without_its_epsilon_divides_zeros_by_zero():
    """Claim 001-rms-norm-code-stops."""
    zeros = numpy.zeros((1, 8))
    with numpy.errstate(invalid="ignore"):
        assert numpy.isnan(zeros / numpy.sqrt((zeros * zeros).mean(axis=-1, keepdims=True))).all()
    assert (rms_norm(zeros, numpy.ones(8)) == 0).all()


def params_from_width(model):
    """Parameters as the document counts them: all of a block from the model's width alone, keys and values an eighth, the MLP 3.5 times as wide."""
    facts = MODELS[model].facts
    return 2 * facts["vocab_size"] * facts["d_model"] + facts["n_layers"] * (12.75 * facts["d_model"] ** 2 + 2 * facts["d_model"]) + facts["d_model"]


@pytest.mark.parametrize("model, right", [("llama_3_1_70b", True), ("llama_3_1_8b", False), ("llama_3_1_405b", False), ("qwen3_32b", False)])
def test_the_count_from_the_configuration_holds_for_one_shape(model, right):
    """Claims 001-total-params, 001-wq-square, 001-wk-wv and 001-mlp-3.5-times: what the configuration prints is used for 70B only."""
    assert (params_from_width(model) == MODELS[model].n_params) == right


# columns: an entry of the plan that splits outputs; rows: one that splits inputs, so that partial sums come out
PLAN = {"wq": "columns", "wk": "columns", "wv": "columns", "wo": "rows", "w1": "columns", "w2": "rows", "w3": "columns"}


def split_mlp(x, weights, plan, n_gpus):
    """The MLP on `n_gpus` GPUs by a plan, what they hold added up once at the end; gate and up are w1 and w3, down is w2."""
    cut = {name: numpy.split(w, n_gpus, axis=1 if plan[name] == "columns" else 0) for name, w in weights.items()}
    return sum(swiglu(x @ cut["w1"][i], x @ cut["w3"][i]) @ cut["w2"][i] for i in range(n_gpus))


def test_the_plan_of_seven_matrices():
    """Claims 001-tp-plan, 001-tp-plan-left-out and 001-w2-w3-exchanged."""
    rng = numpy.random.default_rng(0)
    x = rng.normal(size=(5, 8))
    weights = {"w1": rng.normal(size=(8, 24)), "w3": rng.normal(size=(8, 24)), "w2": rng.normal(size=(24, 8))}
    whole = swiglu(x @ weights["w1"], x @ weights["w3"]) @ weights["w2"]
    assert list(PLAN.values()).count("rows") == 2 and len(PLAN) == 7
    for n_gpus in (1, 2, 4):
        assert numpy.allclose(split_mlp(x, weights, PLAN, n_gpus), whole)
    with pytest.raises(ValueError, match="equal division"):
        split_mlp(x, weights, PLAN, 5)
    exchanged = {**PLAN, "w3": "rows", "w2": "columns"}  # as the document's section on the structure names them
    with pytest.raises(ValueError, match="mismatch"):  # the up projection would need a part of x that no other matrix has
        split_mlp(x, weights, exchanged, 2)


def test_what_the_plan_leaves_whole():
    """Claim 001-tp-plan-left-out: two tables of 2.1 GB, and 28,672 columns that do not go over three GPUs."""
    facts = MODELS["llama_3_1_70b"].facts
    assert round(2 * facts["vocab_size"] * facts["d_model"] / 1e9, 1) == 2.1
    assert [n for n in range(2, 17) if facts["d_ff"] % n == 0 and facts["n_heads"] % n == 0] == [2, 4, 8, 16]


# --- the fourth document: two functions of cost, a scheduler, a call of vLLM ----------------------------------------

def rent_of_training(params, tokens, gpus, hourly_price, days):
    """What the first function asks for and what it uses: two of five arguments play no part."""
    return 24 * days * gpus * hourly_price


def gpus_for_requests(weight_gb, context, daily_requests, batch, latency_target):
    """GPUs by the second function: a wish for the latency is taken for what the machine does; size and context play no part."""
    return math.ceil(daily_requests / (86_400 * batch / latency_target))


def test_the_cost_of_training_does_not_know_the_model():
    """Claims 003-training-cost, 003-training-cost-ignores-model and 003-training-days-given."""
    assert rent_of_training(7e10, 15e12, 1000, 2.5, 10) == rent_of_training(7e13, 1.5e12, 1000, 2.5, 10) == 600_000
    hours = 7.0e6
    assert rent_of_training(7e10, 15e12, 1, 2.5, hours / 24) == training.training_usd(hours * 3600, 2.5 / 3600) == pytest.approx(17.5e6)
    work = at(training.training_flops, MODELS["llama_3_1_70b"], training_tokens=15e12)
    at_share = [at(training.training_gpu_seconds, GPUS["h100_sxm"].computing_in("bf16"), training_flops=work, training_utilization=share) / 3600 / 1e6
                for share in (1, 0.4, 0.25)]
    assert [round(at_share[0], 2), round(at_share[1], 1), round(at_share[2], 1)] == [1.76, 4.4, 7.0]
    for sentence in (f"{work:.1e} FLOP of Llama 3.1 70B are 1.76 million H100 hours at the peak, 4.4 million at 40 %".replace("e+24", "e24"),
                     f"take {at_share[1] * 1e6 / 16_000 / 24:.1f} days", f"7.0 million hours are {hours / 16_000 / 24:.1f} days"):
        assert sentence in WORDS, sentence


def test_a_whole_number_of_trillions_has_no_small_model():
    """Claims 003-params-in-trillions and 003-data-in-trillions."""
    sizes = [MODELS[key].n_params / 1e12 for key in ("llama_3_1_70b", "deepseek_v3", "kimi_k2")]
    assert [int(size) for size in sizes] == [0, 0, 1] and f"{MODELS['llama_3_1_70b'].n_params:,}" in WORDS


def test_a_stricter_wish_makes_the_fleet_smaller():
    """Claims 003-latency-target-cuts-cost, 003-inference-cost-ignores-model and 003-fleet-single-gpus."""
    fleet = [gpus_for_requests(141, 4096, 1_000_000, 32, target) for target in (10, 5, 1)]
    assert fleet == [4, 2, 1] and "batch 32 need 4 for 10 s, 2 for 5 s and 1 for 1 s" in WORDS
    assert gpus_for_requests(1, 128, 1_000_000, 32, 10) == gpus_for_requests(141, 100_000, 1_000_000, 32, 10)
    assert gpus_for_requests(141, 4096, 86_400, 1, 4.8) == 5 and 4 * load.replicas_for_rate(1.2, 1) == 8
    with pytest.raises(CapacityError):  # the one GPU that it finds for Llama 3.1 70B in BF16
        served.places("llama_3_1_70b", "h100_sxm", 1, 4608)


def test_a_function_that_needs_a_module_nobody_imports():
    """Claim 003-no-import: defining it is no error, calling it is."""
    space = {}
    exec("def rounded_up(x):\n    return math.ceil(x)", space)
    with pytest.raises(NameError, match="math"):
        space["rounded_up"](1.5)
    space["math"] = math
    assert space["rounded_up"](1.5) == 2


class ListedScheduler:
    """The fragment's rules on joining: a limit on requests, a limit on characters and written tokens together, first come first."""

    def __init__(self, most_requests, most_tokens):
        self.most_requests, self.most_tokens, self.waiting, self.running, self.swapped = most_requests, most_tokens, [], [], []

    def add(self, *prompts):
        self.waiting += [{"prompt": prompt, "written": 0} for prompt in prompts]

    def counted(self, requests):
        return sum(len(request["prompt"]) + request["written"] for request in requests)

    def let_in(self):
        while self.waiting and len(self.running) < self.most_requests and self.counted(self.running + self.waiting[:1]) <= self.most_tokens:
            self.running.append(self.waiting.pop(0))

    def step(self):
        self.let_in()
        self.run_model()  # named in the listing, and nowhere defined


def test_the_scheduler_cannot_make_a_step():
    """Claims 003-scheduler-lacks-methods, 003-scheduler-between-steps and 003-scheduler-swapped."""
    scheduler = ListedScheduler(8, 100)
    scheduler.add("a")
    with pytest.raises(AttributeError):
        scheduler.step()
    assert len(scheduler.running) == 1 and scheduler.swapped == []  # who waits is let in before the model would run


def test_the_scheduler_counts_characters():
    """Claim 003-scheduler-counts-characters: a text is as long as its characters."""
    sentence = "The capital of France is"
    assert (len(sentence), len(sentence.split())) == (24, 5) and "has 24 characters and 5 words" in WORDS
    scheduler = ListedScheduler(8, 30)
    scheduler.add(sentence, sentence)
    scheduler.let_in()
    assert len(scheduler.running) == 1 and scheduler.waiting  # ten words would fit into thirty


def test_the_scheduler_counts_contexts_against_a_budget_of_a_step():
    """Claims 003-scheduler-budget-is-context, 003-scheduler-budget-kept and 003-scheduler-max-num-seqs; a request is as long as its list here."""
    scheduler = ListedScheduler(256, 8192)
    scheduler.add(*([0] * 4096 for _ in range(101)))
    scheduler.let_in()
    assert len(scheduler.running) == 2 and served.places("llama_3_1_70b", "h100_sxm", 4, 4608) == 101
    for request in scheduler.running:
        request["written"] = 512
    scheduler.let_in()
    assert scheduler.counted(scheduler.running) == 9216 > scheduler.most_tokens and "count 9,216" in WORDS
    few = ListedScheduler(1, 8192)
    few.add([0], [0])
    few.let_in()
    assert len(few.running) == 1


def test_a_long_prompt_blocks_the_scheduler_for_ever():
    """Claims 003-scheduler-blocked-forever and 003-scheduler-first-come; a simulated engine with chunks takes it in."""
    scheduler = ListedScheduler(8, 2048)
    scheduler.add([0] * 9000, [0])
    scheduler.let_in()
    assert scheduler.running == [] and len(scheduler.waiting) == 2
    engine = Engine(max_batched_tokens=2048, kv_blocks=1000)
    run = simulate([Request(0, 9000, 2), Request(0, 1, 2)], engine, lambda prompt, pairs, sequences, contexts: numpy.ones_like(contexts))
    assert numpy.isfinite(run.end).all()


def test_the_call_of_vllm_does_not_fit_on_one_gpu():
    """Claims 003-vllm-awq-one-gpu and 003-vllm-utilization-0.9: weights of 16 bits, 0.9 of the memory, one GPU."""
    facts = MODELS["llama_3_1_70b"].facts
    assert 2 * facts["n_params"] > 0.9 * GPUS["h100_sxm"].memory_bytes
    packed = at(quantization.checkpoint_bytes, MODELS["llama_3_1_70b"], weight_bytes_per_param=BYTES_PER_ELEMENT["int4_g128"], edge_bytes_per_param=2)
    assert f"In INT4 it is {packed / 1e9:.1f} GB" in WORDS and packed < 0.9 * GPUS["h100_sxm"].memory_bytes


# --- the fifth document: linear attention, arithmetic intensity ----------------------------------------------------------

def mixed(queries, keys, values, seen):
    """Weighted means of values under a mask [tokens, tokens]; the weights are products of queries and keys with what is negative cut off."""
    weights = numpy.where(seen, numpy.maximum(queries, 0) @ numpy.maximum(keys, 0).T, 0)
    with numpy.errstate(invalid="ignore"):
        return weights @ values / weights.sum(axis=1, keepdims=True)


def listed_numbers(tokens=5, width=2, seed=42, centered=False):
    """Queries, keys and values of the listing, drawn from 0 to 1; `centered` draws them from a normal distribution."""
    random = numpy.random.RandomState(seed)
    return [random.randn(tokens, width) if centered else random.rand(tokens, width) for _ in range(3)]


def test_the_two_forms_of_linear_attention():
    """Claims 004-linear-code-runs, -every-row and -difference: the wrong form differs in all rows but the last, and not by something added."""
    q, k, v = listed_numbers()
    wrong, right = mixed(q, k, v, numpy.ones((5, 5), dtype=bool)), mixed(q, k, v, numpy.tri(5, dtype=bool))
    assert f"the wrong form gives {wrong[0, 0]:.3f} and {wrong[0, 1]:.3f}, the right one {right[0, 0]:.3f} and {right[0, 1]:.3f}" in WORDS
    assert f"for the last token both give {right[-1, 0]:.3f} and {right[-1, 1]:.3f}" in WORDS
    assert numpy.allclose(right[0], v[0]) and numpy.allclose(wrong[-1], right[-1])
    assert (abs(wrong - right)[:-1].max(axis=1) > 0.01).all()
    assert f"{wrong[0, 0] - right[0, 0]:.3f} and {wrong[0, 1] - right[0, 1]:.3f} in the first row" in WORDS
    for row in range(4):  # the future takes weight from the past
        weights = q[row] @ k.T
        later = weights[row + 1:].sum() / weights.sum()
        mean = weights[row + 1:] @ v[row + 1:] / weights[row + 1:].sum()
        assert numpy.allclose(wrong[row] - right[row], later * (mean - right[row]))


def test_the_prefix_form_token_by_token():
    """Claims 004-linear-code-shapes and 004-linear-prefix: a state of d x d and a normalizer of d give the masked form, and ReLU changes nothing here."""
    q, k, v = listed_numbers()
    state, sums, rows = numpy.zeros((2, 2)), numpy.zeros(2), []
    for query, key, value in zip(q, k, v):
        state, sums = state + numpy.outer(key, value), sums + key
        rows.append(query @ state / (query @ sums))
    assert numpy.allclose(rows, mixed(q, k, v, numpy.tri(5, dtype=bool))) and rows[0].shape == sums.shape == (2,)
    assert all((numbers >= 0).all() for numbers in (q, k))  # where a ReLU is the identity


def test_a_normalizer_over_all_keys_leaks():
    """Claim 004-linear-code-normalizer-global: values summed over prefixes, keys over everything."""
    q, k, v = listed_numbers()
    first = lambda keys: (q @ keys.T * numpy.tri(5) @ v / (q @ keys.sum(axis=0))[:, None])[0]
    later = k.copy()
    later[-1] += 1
    assert not numpy.allclose(first(k), first(later))


def test_centered_numbers_break_the_normalizer():
    """Claim 004-linear-code-normalizer: ReLU leaves queries and keys without a positive element, and 0 / 0; elu + 1 does not."""
    q, k, v = listed_numbers(centered=True)
    broken = numpy.isnan(mixed(q, k, v, numpy.tri(5, dtype=bool))).any(axis=1)
    assert f"{broken.sum()} of {len(broken)} outputs are 0 / 0" in WORDS
    positive = [numpy.where(x > 0, x + 1, numpy.exp(numpy.minimum(x, 0))) for x in (q, k)]
    assert numpy.isfinite(mixed(*positive, v, numpy.tri(5, dtype=bool))).all()


def test_relu_is_no_softmax():
    """Claim 004-linear-relu: on the numbers of the listing the two forms of attention differ in the second decimal."""
    q, k, v = listed_numbers()
    weights = numpy.exp(q @ k.T / numpy.sqrt(2)) * numpy.tri(5)
    assert abs(weights @ v / weights.sum(axis=1, keepdims=True) - mixed(q, k, v, numpy.tri(5, dtype=bool))).max() > 0.05


def listed_intensity(rows, inner=4096, columns=11008, width=2):
    """FLOPs for each byte of one product, by the listing: one width for weights and activations."""
    return 2 * rows * inner * columns / (width * (rows * inner + inner * columns + rows * columns))


def test_the_intensity_of_one_product():
    """Claims 004-2bdf to 004-b-512 and 004-code-one-width: what it prints, and formats of their own for weights and activations."""
    product = {"inner": 4096, "columns": 11008}
    for rows in (1, 16, 64, 256, 512):
        assert listed_intensity(rows) == pytest.approx(at(roofline.matmul_intensity, rows=rows, **product, weight_bytes_per_param=2, activation_bytes_per_element=2))
    narrow = at(roofline.matmul_intensity, rows=1, **product, weight_bytes_per_param=1, activation_bytes_per_element=2)
    assert f"reaches {narrow:.1f} FLOPs per byte at B = 1, where 16 bits for both reach {listed_intensity(1):.1f}" in WORDS


def test_a_threshold_that_does_not_follow_the_format():
    """Claim 004-code-fixed-ridge: in one byte the listing calls a product limited by computing that waits for memory."""
    in_bf16, in_fp8 = (at(roofline.ridge_point, GPUS["h100_sxm"].computing_in(form)) for form in ("bf16", "fp8"))
    found = listed_intensity(256, width=1)
    assert in_bf16 < found < in_fp8
    assert f"with one byte and B = 256 the code finds {found:.0f} FLOPs per byte".lower() in WORDS.lower() and f"{in_fp8:.0f} FLOPs per byte are needed" in WORDS
    with pytest.raises(ZeroDivisionError):
        listed_intensity(1, width=0)


def test_a_step_is_not_its_products():
    """Claim 004-code-product-alone: the caches keep a step from the intensity of its products."""
    step = at(phases.decode_intensity, MODELS["llama_3_1_70b"], ASSUMED, batch=512, context=8192, weight_bytes_per_param=2, kv_bytes_per_element=2)
    assert f"finds {listed_intensity(512):.0f} FLOPs per byte, past the 295 of an H100" in WORDS and f"does {step:.0f} at that batch" in WORDS
