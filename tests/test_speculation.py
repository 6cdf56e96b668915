"""A draft that is checked: tokens that a pass yields, what it costs, and where it loses."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcost import engine_steps, parallelism, speculation
from llmcost.catalog import ASSUMED, FABRICS, GPUS, MODELS
from llmcost.expert_serving import ExpertService
from llmcost.faces import at
from llmcost.layouts import Layout
from llmcost.reference_model import build, generate

H100 = GPUS["h100_sxm"].computing_in("bf16")
FORMATS = {"weight_bytes_per_param": 1, "kv_bytes_per_element": 2, "state_bytes_per_element": 4, "activation_bytes_per_element": 2}
DENSE = {"d_model": 8, "n_heads": 2, "vocab_size": 32, "d_ff": 16, "n_layers": 2,
         "layers": [{"attention": "full", "n": 2, "n_kv_heads": 2, "d_head": 4}]}
every_model = pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.key)


def speculated(decoder, prompt, n_tokens, propose, draft_tokens):
    """A greedy reply in passes that each check a draft, and the number of passes: what speculative decoding does, without a cache."""
    reply, passes = list(prompt), 0
    while len(reply) - len(prompt) < n_tokens:
        draft = propose(reply, draft_tokens)
        some = numpy.array([reply + draft])
        answers = decoder.forward(some, decoder.empty_cache(1), every=True)[0].argmax(axis=-1)[len(reply) - 1:]
        right = next((i for i, token in enumerate(draft) if token != answers[i]), draft_tokens)
        reply += [*draft[:right], int(answers[right])]
        passes += 1
    return reply[len(prompt):], passes


@pytest.mark.parametrize("draft_tokens", [1, 3])
def test_a_draft_changes_the_number_of_passes_and_not_the_reply(rng, draft_tokens):
    """On the reference model, with a draft that is right with a known probability: the reply, and the mean of a pass."""
    decoder, prompt, rate, n = build(DENSE), [3, 1, 4, 1], 0.7, 160
    reply = generate(decoder, numpy.array([prompt]), n + 8)[0].tolist()

    def propose(so_far, count):
        at_ = len(so_far) - len(prompt)
        return [token if rng.uniform() < rate else (token + 1) % 32 for token in reply[at_:at_ + count]]

    found, passes = speculated(decoder, prompt, n, propose, draft_tokens)
    assert found[:n] == reply[:n]
    mean = speculation.accepted_tokens(draft_tokens, rate)
    assert len(found) / passes == pytest.approx(mean, rel=0.15)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 8), st.floats(0, 1))
def test_accepted_tokens_are_the_mean_of_a_run_of_luck(draft_tokens, rate):
    luck = numpy.random.default_rng(7).uniform(size=(20_000, max(draft_tokens, 1))) < rate
    runs = numpy.cumprod(luck[:, :draft_tokens], axis=1).sum(axis=1) + 1
    assert speculation.accepted_tokens(draft_tokens, rate) == pytest.approx(runs.mean(), abs=6 * runs.std() / 141 + 1e-9)


def known(model, batch, context, draft_tokens, **given_):
    given_ = {**FORMATS, "n_gpus": 1, "batch": batch, "context": context, "draft_tokens": draft_tokens, "acceptance_rate": 0.8, **given_}
    message = speculation.check_message_bytes(speculation.checked_tokens(batch, draft_tokens), model.d_model, 2)
    return {**ASSUMED.facts, **model.facts, **H100.facts, "message_bytes": message, **given_}


def speedup(here, **given_):
    """Time per output token without a draft over that with one, each pass with its own message."""
    plain = at(engine_steps.reached_step_seconds, {**here, "message_bytes": at(parallelism.step_message_bytes, here)})
    return plain / at(speculation.speculative_tpot, here, **given_)


@every_model
def test_a_pass_without_a_draft_is_a_decode_step(model):
    for batch in (1, 9, 300):
        here = known(model, batch, 3000, 0)
        assert at(speculation.check_step_seconds, here) == pytest.approx(at(engine_steps.reached_step_seconds, here), rel=1e-12)
        assert here["message_bytes"] == at(parallelism.step_message_bytes, here)


@every_model
def test_a_free_draft_is_worth_its_tokens_at_most(model):
    """Where reading rules the pass costs no more than a step, but for experts; where computing rules it costs each token."""
    small, large = known(model, 1, 100, 3), known(model, 100_000, 100, 3)
    tokens = speculation.accepted_tokens(3, 0.8)
    free = [speedup(here, draft_step_seconds=0) for here in (small, large)]
    assert max(free) <= tokens * (1 + 1e-12)
    assert (free[0] == pytest.approx(tokens)) == (model.n_experts == 1)
    computing = at(engine_steps.waiting_for_compute_seconds, large) > 0
    assert not computing or free[1] == pytest.approx(tokens / 4, rel=0.02)
    assert free[1] < 1 or not computing


def test_more_checked_tokens_touch_more_experts():
    here = [known(MODELS["deepseek_v3"], 1, 100, draft) for draft in (0, 1, 3)]
    read = [at(speculation.check_weight_bytes_read, one) for one in here]
    assert read[0] < read[1] < read[2]


def test_a_draft_that_is_never_right_only_costs():
    here = known(MODELS["llama_3_1_8b"], 4, 1000, 2, acceptance_rate=0, draft_params=1e8, draft_layers=1)
    assert at(speculation.accepted_tokens, here) == 1
    assert speedup(here) < 1


def test_spread_experts_with_a_draft_yield_its_tokens():
    v3, h800 = MODELS["deepseek_v3"], GPUS["h800_sxm"].computing_in("fp8")
    units = [ExpertService(v3, h800, ASSUMED, Layout(experts=64), weight_bytes_per_param=1, fabric=FABRICS["infiniband_400"], draft_tokens=draft)
             for draft in (0, 1)]
    alone, drafted = (one.step(64, 2000)["step"] for one in units)
    passes = [one.one_pass(64, 2000)["step"] for one in units]
    assert drafted == pytest.approx(passes[1] * (1 + ASSUMED.draft_share) / (1 + ASSUMED.acceptance_rate))
    assert drafted < alone and passes[1] > passes[0]
