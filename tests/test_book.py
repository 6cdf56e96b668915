"""What notebooks call: controls that work, questions that recognize slips, numbers that print with their unit."""

import json
import math
import re
import subprocess
import sys

import pytest
import quickjs
from hypothesis import given
from hypothesis import strategies as st

from llmcost import attention, attention_work, capacity, faces, load, phases
from llmcost.book import (bars, check, choose, choose_format, choose_model, choose_price, computed, curve, explore, from_chain,
                          grade, heads, mark, output, part, plot, predict, ratio, reading, recorded, recorded_curve, say, slide,
                          smallest, steps, table, total, usage_paste, value_curve)
from llmcost.book.explore import python_line, standing_for
from llmcost.book.parts import ExploreError
from llmcost.book.runs import told_near
from llmcost.book.values import TAKES, evaluate, needed
from llmcost.book.frontend import static
from llmcost.book.prose import Shown
from llmcost.catalog import MODELS

KV = dict(n_layers=80, n_kv_heads=8, d_head=128, kv_bytes_per_element=2)


def control(**changes):
    parts = dict(id="c", title="t", caption="c", outputs=[output(attention.kv_cache_bytes, "cache")],
                 sliders=[slide("context", 1024, 8192, 4096)], batch=1, **KV)
    return explore(**{**parts, **changes})


def spec_in(markup: str) -> dict:
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', markup, re.DOTALL)[1])


def test_first_state_is_computed_in_python_and_printed():
    shown = control()._repr_html_()
    assert 'data-value="1342177280"' in shown and "1.34 GB" in shown


def test_static_outputs_hold_no_code():
    assert static()
    assert "<script>" not in control()._repr_html_() and "<style" not in control()._repr_html_()


def test_a_live_kernel_brings_the_front_end(monkeypatch):
    monkeypatch.delenv("LLMCOST_STATIC")
    shown = control()._repr_html_()
    assert "<style>" in shown and "kv_cache_bytes:" in shown


def test_a_slider_that_nothing_uses_is_refused():
    with pytest.raises(ExploreError, match="would be dead"):
        control(sliders=[slide("context", 1024, 8192, 4096), slide("n_gpus", 1, 8, 1, values=[1, 8])])
    with pytest.raises(ExploreError, match="would be dead"):
        control(outputs=[output(attention.kv_cache_bytes, "cache", context=4096)])


def test_a_fixed_value_that_nothing_uses_is_refused():
    with pytest.raises(ExploreError, match="no formula here uses n_gpsu"):
        control(n_gpsu=3)


def test_parts_can_serve_two_controls():
    models = choose_model(["llama_3_1_8b", "llama_3_1_70b"], "llama_3_1_70b")
    control(choices=[models])
    explore("c", "t", "c", [output(capacity.crossover_tokens)], choices=[models], weight_bytes_per_param=2, kv_bytes_per_element=2)


def test_a_name_that_could_break_out_of_the_page_is_refused():
    with pytest.raises(ValueError, match="cannot name a control"):
        control(id='a"><img>')


def test_the_front_end_needs_no_sphinx():
    """A reader's kernel has the library and no more."""
    code = ("import sys\nfor name in ('sphinx', 'docutils', 'quickjs', 'ziamath', 'jupyter_book'): sys.modules[name] = None\n"
            "from llmcost.book.frontend import _inline_front_end\nprint(len(_inline_front_end()) > 10_000)")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "True"


def test_a_formula_without_its_parameters_is_refused():
    with pytest.raises(ExploreError, match="kv_cache_bytes needs context"):
        control(sliders=[])


@pytest.mark.parametrize("part, message", [(lambda: slide("context", 1024, 8192, 5000), "not one of its stops"),
                                           (lambda: choose_format("kv_bytes_per_element", ["bf16"], "fp8"), "starts at 'fp8'"),
                                           (lambda: choose("x", "X", {"a": {}}, "b"), "starts at 'b'"),
                                           (lambda: steps("s", [], "c"), "at least one frame")], ids=range(4))
def test_a_part_that_could_not_start_is_refused(part, message):
    with pytest.raises(ExploreError, match=message):
        part()


def test_the_page_carries_only_the_facts_it_uses():
    shown = control(choices=[choose_model(["llama_3_1_8b", "llama_3_1_70b"], "llama_3_1_70b")])
    facts = shown.spec["choices"][0]["options"][0]["facts"]
    assert set(facts) <= set(faces.leaves(attention.kv_cache_bytes))


def test_the_python_line_gives_the_first_output():
    from llmcost.book.explore import python_line
    from llmcost.catalog import GPUS, MODELS  # the names in the line
    shown = explore("c", "t", "c", outputs=[output(capacity.crossover_tokens, "tokens")],
                    choices=[choose_model(["llama_3_1_8b", "llama_3_1_70b"], "llama_3_1_70b"),
                             choose_format("kv_bytes_per_element", ["bf16", "fp8"], "fp8")], weight_bytes_per_param=2)
    line = python_line(shown.spec)
    assert eval(line, {"at": faces.at, "capacity": capacity, "MODELS": MODELS, "GPUS": GPUS}) == shown.values[0]


def test_a_choice_that_overrides_a_record_is_written_out():
    from llmcost.book.explore import python_line
    shown = explore("c", "t", "c", [output(attention.kv_elements)], choices=[
        choose_model(["llama_3_1_8b", "llama_3_1_70b"], "llama_3_1_8b"),
        choose("heads", "Heads", {"MHA": {"n_kv_heads": 32}, "MQA": {"n_kv_heads": 1}}, "MHA")])
    assert shown.values == [8192]
    assert python_line(shown.spec) == 'at(attention.kv_elements, MODELS["llama_3_1_8b"], n_kv_heads=32)'


def test_the_data_block_cannot_end_early():
    shown = control(caption="</script><!-- <script><b>")._repr_html_()
    assert spec_in(shown)["caption"] == "</script><!-- <script><b>"


def test_drawings_name_what_they_evaluate():
    drawn = control(drawing=plot("context", 1024, 8192, "bytes", [curve(attention.kv_cache_bytes, "cache")])).spec["plot"]
    assert drawn["y"]["unit"] == "byte" and drawn["curves"][0]["formula"] == "kv_cache_bytes"
    assert control(drawing=bars({"one": [curve(attention.kv_cache_bytes, "cache")]})).spec["plot"]["unit"] == "byte"
    assert explore("h", "t", "c", [output(attention.kv_elements, "n")], sliders=[slide("n_kv_heads", 1, 8, 8, values=[1, 8])], drawing=heads(),
                   n_heads=8, d_head=4).spec["plot"]["kind"] == "heads"


REPLY = {name: MODELS["llama_3_1_8b"].facts[name] for name in (
    "full_elements_per_token", "sparse_elements_per_token", "window", "sliding_elements_per_token", "chunk", "chunked_elements_per_token",
    "fixed_state_elements", "buffer_bytes", "index_bytes_per_token")}


def bound_control():
    """A state at the mean context of a reply: one parameter is the value of a formula of others."""
    return explore("b", "t", "c", [output(attention.state_bytes, "state", context=phases.mean_context)], state_bytes_per_element=4,
                   sliders=[slide("prompt_tokens", 1024, 8192, 4096), slide("output_tokens", 64, 1024, 512)], kv_bytes_per_element=2,
                   **REPLY)


def test_a_parameter_on_top_may_be_a_formula_or_the_name_of_another():
    control_ = bound_control()
    assert control_.values == [131_072 * (4096 + 512 / 2)]
    assert "context=4352" in control_._repr_html_(), "the line of Python has its value"
    named = explore("n", "t", "c", [output(attention.kv_cache_bytes, "cache", context="batch")], sliders=[slide("batch", 1, 64, 8)], **KV)
    assert named.values == [8 * 8 * 327_680]


def test_the_page_binds_as_python_does(front_end):
    spec = spec_in(bound_control()._repr_html_())
    picks = {"prompt_tokens": 8192, "output_tokens": 64}
    front_end.eval(faces.javascript_module())
    front_end.eval(f"globalThis.spec = {json.dumps(spec)}; globalThis.picks = {json.dumps(picks)};")
    shown = json.loads(front_end.eval("JSON.stringify(llmcost.evaluate(spec, picks))"))
    assert shown["outputs"][0]["value"] == 131_072 * (8192 + 32) and "context=8224" in shown["python"]


def test_a_parameter_on_top_that_nothing_takes_is_refused():
    with pytest.raises(ExploreError, match="kv_cache_bytes does not take window"):
        control(outputs=[output(attention.kv_cache_bytes, "cache", window=4)])


def test_a_line_may_be_that_of_one_model_whatever_is_chosen():
    line = curve(attention.state_bytes, "Mistral", of=MODELS["mistral_7b"])
    assert line["with"]["window"] == 4096 and "n_layers" not in line["with"]


def test_dated_price_lists_are_a_choice_and_one_s_own_is_one_more():
    own = {"input_price": 1e-6, "cached_price": 1e-7, "write_price": 1e-6, "output_price": 2e-6}
    choice = choose_price([("gpt_4o", ""), ("gpt_4o", "2024-06-01")], "gpt_4o", own)
    newest, older, mine = choice["options"]
    assert (newest["python"], older["python"]) == ('API_PRICES["gpt_4o"]', 'API_PRICES["gpt_4o", "2024-06-01"]')
    assert newest["facts"]["input_price"] < older["facts"]["input_price"]
    assert mine["facts"]["tier_output_price"] == 2e-6 and set(mine["facts"]) >= {name for name in newest["facts"] if "price" in name}


HEADS = choose("heads", "Heads", {"MHA": {"n_kv_heads": 64}, "GQA": {"n_kv_heads": 8}, "own": {}}, "GQA")
OWN = slide("n_kv_heads", 1, 64, 16, values=[1, 16, 64], when=("heads", "own"))


def test_a_slider_that_waits_for_an_option_leaves_the_others_their_facts():
    facts = {name: value for name, value in KV.items() if name != "n_kv_heads"}
    shown = explore("c", "t", "c", [output(attention.kv_elements)], choices=[HEADS], sliders=[OWN], d_head=facts["d_head"])
    assert shown.state["n_kv_heads"] == 8 and shown.spec["sliders"][0]["when"] == ["heads", "own"]
    own = explore("c", "t", "c", [output(attention.kv_elements)], choices=[HEADS | {"value": "own"}], sliders=[OWN], d_head=128)
    assert own.state["n_kv_heads"] == 16


def test_a_slider_that_waits_for_nothing_on_offer_is_refused():
    with pytest.raises(ExploreError, match="waits for heads = mine; there is {'heads': "):
        explore("c", "t", "c", [output(attention.kv_elements)], choices=[HEADS], sliders=[OWN | {"when": ["heads", "mine"]}], d_head=128)


def test_an_option_that_leaves_a_formula_without_a_value_is_refused():
    with pytest.raises(ExploreError, match="kv_elements needs n_kv_heads when heads is own"):
        explore("c", "t", "c", [output(attention.kv_elements)], choices=[HEADS], d_head=128)


def test_stops_of_a_price_are_easy_to_read_where_people_read_them(monkeypatch):
    from llmcost.notation import NOTATION, Quantity
    monkeypatch.setitem(NOTATION, "rent", Quantity("r", "usd/second", "rent", 0, 1))
    monkeypatch.setitem(NOTATION, "price", Quantity("p", "usd/token", "price", 0, 1))
    assert slide("rent", 1 / 3600, 20 / 3600, 2 / 3600)["values"] == [stop / 3600 for stop in (1, 2, 5, 10, 20)]
    assert slide("price", 0.1e-6, 10e-6, 1e-6)["values"] == [stop / 1e6 for stop in (0.1, 0.2, 0.5, 1, 2, 5, 10)]


RECORD = {"prompt_tokens": 900, "completion_tokens": 100}


def test_pasted_counts_give_the_first_state(monkeypatch):
    paste = usage_paste(RECORD)
    shown = explore("c", "t", "c", [output(attention_work.tokens_processed_with_cache)], paste=paste, sliders=[slide("prompt_tokens", 1, 1024, 512)])
    assert shown.spec["paste"]["counts"] == {"output_tokens": 100} and shown.values == [512 + 100 - 1]
    assert json.loads(paste["example"]) == RECORD
    over = explore("c", "t", "c", [output(attention_work.tokens_processed_with_cache)], paste=paste, prompt_tokens=1,
                   sliders=[slide("output_tokens", 1, 1024, 512)])
    assert over.values == [100]
    with pytest.raises(ExploreError, match="listens to a count that is pasted"):
        control(paste=paste)
    with pytest.raises(ValueError, match="No known usage record"):
        usage_paste({})


def test_a_mark_listens_and_has_the_units_of_its_axes():
    line = curve(attention.kv_cache_bytes, "cache")
    here = mark("here", x=(attention_work.tokens_processed_with_cache, {}), y=(attention.kv_cache_bytes, {"batch": 2}))
    shown = control(drawing=plot("context", 1024, 8192, "bytes", [line], marks=[here]), sliders=[
        slide("context", 1024, 8192, 4096), slide("output_tokens", 1, 1024, 512)], prompt_tokens=100)
    assert shown.spec["plot"]["marks"][0]["y"] == {"formula": "kv_cache_bytes", "with": {"batch": 2}}
    with pytest.raises(ExploreError, match="tokens_processed_with_cache needs output_tokens"):
        control(drawing=plot("context", 1024, 8192, "bytes", [line], marks=[here]), prompt_tokens=100)
    with pytest.raises(ExploreError, match="the mark here has byte for x; the axis is in token"):
        plot("context", 1024, 8192, "bytes", [line], marks=[mark("here", x=(attention.kv_cache_bytes, {}), y=(attention.kv_cache_bytes, {}))])


def test_a_part_that_repeats_listens_to_how_often():
    def timeline(**more):
        return control(drawing=bars({"one": [part(attention.kv_cache_bytes, "cache", repeats="output_tokens", **more)]}),
                       sliders=[slide("context", 1024, 8192, 4096), *([] if more else [slide("output_tokens", 1, 1024, 512)])])

    assert timeline().spec["plot"]["bars"][0]["parts"][0]["repeats"] == {"name": "output_tokens"}
    with pytest.raises(ExploreError, match="no formula|drawing needs output_tokens"):
        control(drawing=bars({"one": [part(attention.kv_cache_bytes, "cache", repeats="output_tokens")]}))
    by_formula = part(attention.kv_cache_bytes, "cache", repeats="kv_elements")
    assert by_formula["repeats"] == {"formula": "kv_elements"} and control(drawing=bars({"one": [by_formula]})).values


SLIPS = {"query heads used where KV heads belong": 2_621_440}


@pytest.mark.parametrize("answer, verdict", [
    (327_680, "Right."), (328_000, "Right."), (2_621_440, "8x too large: query heads used where KV heads belong."),
    (163_840, "2x too small."), (-5, "Too small."), (0, "Too small."), (327_680e6, "1,000,000x too large."),
    (335_000, "1.02x too large."),
])
def test_grade(answer, verdict):
    assert grade(answer, 327_680, SLIPS) == verdict


@pytest.fixture(scope="module")
def front_end():
    from importlib.resources import files
    context = quickjs.Context()
    context.eval((files("bookext") / "static" / "controls.js").read_text(encoding="utf-8"))
    return context


@given(answer=st.floats(-1e12, -1e-6) | st.just(0.0) | st.floats(1e-6, 1e12), right=st.floats(1, 1e9))
def test_the_page_says_the_same_as_python(front_end, answer, right):
    question = {"answer": right, "within": 0.01, "slips": [{"value": 2 * right, "text": "twice"}]}
    said = front_end.eval(f"llmcost.grade({json.dumps(answer)}, {json.dumps(question)})")
    assert said == grade(answer, right, {"twice": 2 * right})


def test_a_slip_that_cannot_be_told_from_the_answer_is_refused():
    with pytest.raises(ValueError, match="cannot be told from the answer"):
        check("q", "?", 100, "1", "", slips={"nearly": 101})


def test_a_question_answers_in_the_notebook_too():
    question = predict("q", "?", 327_680, "byte", "", slips=SLIPS)
    assert question(327_680) == "Right."
    assert "query heads" in question(2_621_440)


def test_a_shown_number_computes_and_prints():
    shown = say(671_088_640, "byte")
    assert repr(shown) == "671 MB" and shown * 2 == 1_342_177_280 and isinstance(shown, Shown)
    assert repr(say(671_088_640, "byte", binary=True)) == "640 MiB"
    with pytest.raises(ValueError, match="no format for the unit 'parsec'"):
        say(1, "parsec")


def test_a_table_escapes_text_and_sets_numbers():
    shown = table(("a", "b"), [("<b>", 1)], numbers=[1])._repr_html_()
    assert "&lt;b&gt;" in shown and '<td class="number">1</td>' in shown


# --- chains, searches and recorded runs ------------------------------------------------------------------

def on_page(front_end, expression, **given):
    """What the front end makes of `expression`, with `given` by name and every formula there."""
    front_end.eval(faces.javascript_module())
    front_end.eval("".join(f"globalThis.{name} = {json.dumps(value)};" for name, value in given.items()))
    return json.loads(front_end.eval(f"JSON.stringify({expression})"))


def loaded(take, at=0.0, **given):
    """A control with one number from a chain of batches."""
    resident = computed(load.resident_seconds, step_seconds=computed(load.request_work_seconds, output_tokens=2, prompt_seconds=0.01,
                                                                      sequence_step_seconds="sequence_step_seconds"))
    chain = from_chain(take, resident, "max_sequences", "arrival_rate", at)
    return explore("load", "t", "c", [output(load.requests_in_flight, "in flight", stay_seconds=chain), reading(chain, "taken", "1")],
                   sliders=[slide("arrival_rate", 0.1, 100, 1)], output_tokens=100, prompt_seconds=0.05, sequence_step_seconds=0.001,
                   max_sequences=8, **given)


@pytest.mark.parametrize("take", TAKES)
def test_a_chain_is_the_same_on_the_page_and_in_python(front_end, take):
    shown = loaded(take, at=0.9)
    for rate in shown.spec["sliders"][0]["values"]:
        got = on_page(front_end, "llmcost.evaluate(spec, picks)", spec=shown.spec, picks={"arrival_rate": rate})["outputs"]
        want = [float(evaluate(standing_for(line), {**shown.state, "arrival_rate": rate})) for line in shown.spec["outputs"]]
        assert [line["value"] if line["value"] is not None else math.nan for line in got] == pytest.approx(want, rel=1e-9, nan_ok=True)
    assert math.isnan(want[0])  # at the highest rate nothing is steady


def test_a_search_is_the_same_on_the_page_and_in_python(front_end):
    needs = smallest("replicas", 1000, computed(load.load_share, arrival_rate="replicas"), "compute_efficiency")
    found = smallest("n_gpus", 500, computed(load.replicas_for_rate, total_rate="total_rate", arrival_rate="n_gpus"), "most")
    shown = explore("search", "t", "c", [reading(found, "a", "1")], sliders=[slide("total_rate", 1, 1e5, 1)], most=40, code="{total_rate}")
    for rate in shown.spec["sliders"][0]["values"]:
        got = on_page(front_end, "llmcost.evaluate(spec, picks)", spec=shown.spec, picks={"total_rate": rate})["outputs"][0]["value"]
        right = math.ceil(rate / 40)
        assert (got, evaluate(found, {"total_rate": rate, "most": 40})) == ((right, right) if right <= 500 else (None, math.inf))
    assert needed(needs) == {"output_tokens", "prompt_seconds", "sequence_step_seconds", "compute_efficiency"}


def test_between_recorded_runs_the_nearest_one_is_told(front_end):
    runs = recorded(lambda arrival_rate, policy: {"ttft": 10 * arrival_rate + policy if arrival_rate < 8 else math.inf},
                    arrival_rate=(1, 2, 4, 8), policy=(0, 1))
    shown = explore("runs", "t", "c", [reading("ttft", "TTFT", "second")], runs=runs, code="{arrival_rate}",
                    choices=[choose("policy", "Policy", {"a": {"policy": 0}, "b": {"policy": 1}}, "b")],
                    sliders=[slide("arrival_rate", 1, 10, 2)],
                    drawing=plot("arrival_rate", 1, 8, "TTFT", [recorded_curve("ttft", "a", policy=0)], y_unit="second"))
    assert shown.values == [21] and "This very run was made: arrival rate 2.00 requests/s." in shown._repr_html_()
    got = on_page(front_end, "[llmcost.evaluate(spec, {arrival_rate: 5}), llmcost.evaluate(spec, {arrival_rate: 10}), "
                        "llmcost.toldNear(spec, llmcost.state(spec, {arrival_rate: 5}))]", spec=shown.spec)
    assert (got[0]["outputs"][0]["value"], got[1]["outputs"][0]["text"]) == (41, "– not defined here")
    assert got[2] == "Nearest run: arrival rate 4.00 requests/s."
    assert got[2] == told_near(shown.spec, {**shown.state, "arrival_rate": 5})


def test_ratios_and_sums_are_the_same_on_the_page_and_in_python(front_end):
    share = ratio(total("prompt_tokens", computed(load.reply_tokens_per_second), 1), "most")
    shown = explore("share", "t", "c", [reading(share, "a", "fraction"), reading(ratio(1, "nothing"), "b", "1")], code="{prompt_tokens}",
                    sliders=[slide("prompt_tokens", 1, 1024, 8)], most=50, arrival_rate=2, output_tokens=3, nothing=0,
                    drawing=plot("prompt_tokens", 1, 1024, "share", [value_curve(share, "share", "fraction")]))
    got = on_page(front_end, "llmcost.evaluate(spec, {prompt_tokens: 64})", spec=shown.spec)["outputs"]
    assert shown.values == [(8 + 6 + 1) / 50, math.inf] and (got[0]["value"], got[1]["value"]) == ((64 + 7) / 50, None)
    assert "share" in on_page(front_end, "[llmcost.draw(spec, llmcost.state(spec, {}), 640)]", spec=shown.spec)[0]


def test_a_chain_has_no_other_names():
    with pytest.raises(ExploreError, match="no 'median'; it has batch"):
        from_chain("median", computed(load.resident_seconds, step_seconds=1), 8, "arrival_rate")


def rated(chain):
    return explore("chain", "t", "c", [reading(chain, "taken", "1"), output(load.requests_in_flight, stay_seconds=1)], code="{arrival_rate}",
                   sliders=[slide("arrival_rate", 0.1, 100, 1)])


RESIDENT = computed(load.resident_seconds, step_seconds=0.01, prompt_seconds=0.05, output_tokens=100)
BY_BATCH = computed(load.resident_seconds, step_seconds=ratio(total("batch", 3), "batch"), prompt_seconds=0.01, output_tokens=5)


@pytest.mark.parametrize("resident, most, rate, right", [
    (RESIDENT, 0.5, "arrival_rate", math.nan), (RESIDENT, 0, "arrival_rate", math.nan), (RESIDENT, ratio(1, 0), "arrival_rate", math.nan),
    (RESIDENT, 8, 0, math.nan), (RESIDENT, 8, -1, math.nan), (RESIDENT, 8, ratio(1, 0), math.nan), (0, 8, "arrival_rate", math.nan),
    (ratio(1, 0), 8, "arrival_rate", math.nan), (0.5, 3.9, "arrival_rate", 0.5), (BY_BATCH, 8, "arrival_rate", 5.996260982)])
def test_a_chain_at_its_edges_is_the_same_on_the_page_and_in_python(front_end, resident, most, rate, right):
    shown = rated(from_chain("batch", resident, most, rate))
    got = on_page(front_end, "llmcost.evaluate(spec, {})", spec=shown.spec)["outputs"][0]["value"]
    assert shown.values == pytest.approx([right, 1], nan_ok=True) and (math.nan if got is None else got) == pytest.approx(right, nan_ok=True)


def test_a_quantile_of_a_chain_needs_its_share():
    for at in ((), (1,), (99,)):
        with pytest.raises(ExploreError, match="_quantile at .*: give the share"):
            from_chain("batch_quantile", RESIDENT, 8, "arrival_rate", *at)


def test_values_on_top_and_limits_ask_the_state_for_what_they_lack_alone():
    held = computed(load.requests_in_flight, arrival_rate=2, stay_seconds="arrival_rate")
    assert needed(held) == needed({"value": held, "with": {}}) == needed({"value": "stay_seconds", "with": {"arrival_rate": 2, "stay_seconds": "arrival_rate"}}) == set()
    assert needed(smallest("replicas", 9, held, "replicas")) == {"replicas"}


RUNS = recorded(lambda arrival_rate, policy: {"ttft": math.inf, "stay_seconds": math.nan}, arrival_rate=(1, 3), policy=(0, 1))


def with_runs(outputs=(reading("ttft", "TTFT", "second"),), x="arrival_rate", shown=None, **given):
    lines = {"drawing": plot(x, 1, 3, "y", [shown], y_unit="second")} if shown else {}
    return explore("runs", "t", "c", list(outputs), sliders=[slide("arrival_rate", 1, 4, 2, values=[1, 2, 3, 4])], **lines, **given)


@pytest.mark.parametrize("given, told", [
    ({"runs": RUNS, "code": "1"}, "recorded along policy; add a slider"),
    ({"runs": RUNS, "policy": 0}, "TTFT has no formula to show as a line of Python; give code="),
    ({"runs": RUNS, "policy": 0, "code": "{users}"}, "the line of Python needs users"),
    ({"runs": RUNS, "policy": 0, "code": "1", "shown": recorded_curve("tpot", "a")}, "shows tpot along arrival_rate; the runs have ttft, stay"),
    ({"runs": RUNS, "policy": 0, "code": "1", "x": "batch", "shown": recorded_curve("ttft", "a")}, "shows ttft along batch; the runs"),
    ({"runs": RUNS, "policy": 0, "code": "1", "shown": recorded_curve("ttft", "a", batch=1)}, "along arrival_rate, batch; the runs"),
    ({"outputs": [reading("arrival_rate", "a", "1")], "code": "1", "shown": recorded_curve("ttft", "a")}, "the runs have no results")])
def test_what_recorded_runs_lack_is_named(given, told):
    with pytest.raises(ExploreError, match=told):
        with_runs(**given)
    with pytest.raises(ExploreError, match="each of policy needs at least one value"):
        recorded(lambda policy: {}, policy=())


def test_a_line_of_python_takes_what_is_fixed_and_what_no_run_found(front_end):
    shown = with_runs(runs=RUNS, policy=0, users=7, code="{users} * {arrival_rate}")
    assert "7 * 2" in shown._repr_html_()
    nothing = with_runs([output(load.requests_in_flight)], runs=RUNS, policy=0)
    said = on_page(front_end, "llmcost.evaluate(spec, {})", spec=nothing.spec)["python"]
    assert said == python_line(nothing.spec) == 'at(load.requests_in_flight, arrival_rate=2, stay_seconds=float("nan"))'


def test_runs_that_no_slider_moves_are_told_without_a_place(front_end):
    runs = recorded(lambda policy: {"ttft": policy}, policy=(0, 1))
    shown = explore("runs", "t", "c", [reading("ttft", "TTFT", "second")], runs=runs, code="{policy}",
                    choices=[choose("policy", "Policy", {"a": {"policy": 0}, "b": {"policy": 1}}, "b")])
    assert on_page(front_end, "[llmcost.toldNear(spec, llmcost.state(spec, {}))]", spec=shown.spec) == [told_near(shown.spec, shown.state)]
    assert told_near(shown.spec, shown.state) == "This very run was made."
