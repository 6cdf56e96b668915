"""The front end of the live controls, run without a browser: formats, answers, state and drawing."""

import json
import random
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import quickjs

from llmcost.book.explore import python_line
from llmcost.formats import PRICED, format_value

CONTROLS = Path(__file__).parents[1] / "lib" / "bookext" / "static" / "controls.js"

FORMULAS = """
globalThis.llmcost.formulas = {
  kv_bytes_per_token: ({n_layers, n_kv_heads, d_head, kv_bytes_per_element}) =>
    2 * n_layers * n_kv_heads * d_head * kv_bytes_per_element,
  state_bytes: ({n_layers, n_kv_heads, d_head, kv_bytes_per_element, context, batch}) =>
    2 * n_layers * n_kv_heads * d_head * kv_bytes_per_element * context * batch,
  weight_bytes: ({n_params, weight_bytes_per_param}) => n_params * weight_bytes_per_param,
  partly_defined: ({context}) => (context > 100 && context < 10000 ? NaN : 1e9),
  decode_seconds: ({output_tokens}) => output_tokens * 0.02,
  prefill_seconds: ({context}) => context * 1e-4,
  cost: ({context, input_price, output_tokens}) => (context + 5 * output_tokens) * input_price,
  kv_head_of_query_head: ({query_head, n_heads, n_kv_heads}) => Math.floor(query_head * n_kv_heads / n_heads),
};
"""

BIG = {"n_layers": 80, "n_heads": 64, "n_kv_heads": 8, "d_head": 128, "n_params": 70.6e9}
SMALL = {"n_layers": 32, "n_heads": 32, "n_kv_heads": 8, "d_head": 128, "n_params": 8.03e9}

CURVES = {
    "kind": "curves",
    "x": {"name": "context", "label": "Context", "unit": "token", "scale": "log", "min": 1, "max": 131072},
    "y": {"label": "Memory", "unit": "byte", "scale": "linear", "min": 0, "max": None},
    "curves": [
        {"label": "KV cache", "formula": "state_bytes"},
        {"label": "KV cache, batch of 8", "formula": "state_bytes", "with": {"batch": 8}},
        {"label": "but <100 or >9,999", "formula": "partly_defined"},
        {"label": "measured", "points": [[1024, 3.4e8], [8192, 2.7e9]], "marks": True},
    ],
}
BARS = {
    "kind": "bars", "unit": "byte",
    "bars": [{"label": "two GPUs", "parts": [{"label": "Weights", "formula": "weight_bytes"},
                                             {"label": "KV cache", "formula": "state_bytes", "with": {"batch": 64}}]}],
    "limit": {"label": "memory the driver reports", "name": "memory_bytes"},
}
HEADS = {"kind": "heads", "query": "n_heads", "kv": "n_kv_heads"}
PLOTS = {"curves": CURVES, "bars": BARS, "heads": HEADS}


def control(plot=None):
    """A control with every kind of setting: a record, plain facts, an axis switch, GB or GiB, a slider."""
    return {
        "id": "kv-capacity", "title": "KV cache & weights", "plot": plot,
        "fixed": {"weight_bytes_per_param": 2, "batch": 1, "memory_bytes": 171e9},
        "choices": [
            {"name": "model", "label": "Model", "value": "big", "style": "select", "options": [
                {"key": "big", "label": "Llama 3.1 70B", "python": 'MODELS["big"]', "facts": BIG},
                {"key": "small", "label": "Llama 3.1 8B", "python": 'MODELS["small"]', "facts": SMALL}]},
            {"name": "cache", "label": "Cache format", "value": "bf16", "style": "radio", "options": [
                {"key": "bf16", "label": "BF16", "facts": {"kv_bytes_per_element": 2}},
                {"key": "fp8", "label": "FP8", "facts": {"kv_bytes_per_element": 1}}]},
            {"name": "axes", "label": "Axes", "value": "linear", "style": "radio", "options": [
                {"key": "linear", "label": "linear"},
                {"key": "log", "label": "log", "plot": {"y": {"scale": "log"}}}]},
            {"name": "bytes", "label": "Bytes", "value": "GB", "style": "radio", "options": [
                {"key": "GB", "label": "GB"}, {"key": "GiB", "label": "GiB", "format": {"binary": True}}]}],
        "sliders": [{"name": "context", "label": "Context", "unit": "token",
                     "values": [0, 1024, 4096, 16384, 131072], "value": 4096}],
        "outputs": [{"formula": "kv_bytes_per_token", "label": "KV cache per token", "unit": "byte/token"},
                    {"formula": "state_bytes", "label": "KV cache", "unit": "byte", "with": {"batch": 2}}],
        "python": {"call": "attention.kv_bytes_per_token",
                   "names": ["n_layers", "n_kv_heads", "d_head", "kv_bytes_per_element"]},
    }


class FrontEnd:
    """`llmcost` of controls.js; arguments and results travel as JSON."""

    def __init__(self):
        self.context = quickjs.Context()
        self.context.eval(CONTROLS.read_text(encoding="utf-8"))
        self.context.eval(FORMULAS)

    def run(self, expression, **values):
        names = ", ".join(values)
        given = ", ".join(json.dumps(value) for value in values.values())
        result = self.context.eval(f"JSON.stringify((({names}) => {expression})({given}))")
        return None if result is None else json.loads(result)

    def draw(self, spec, picks, width):
        return self.run("llmcost.draw(spec, llmcost.state(spec, picks), width)", spec=spec, picks=picks, width=width)


@pytest.fixture(scope="module")
def js():
    return FrontEnd()


# --- formats ---------------------------------------------------------------------------------

FORMATS = [
    (0, "byte", False, "0 B"), (512, "byte", False, "512 B"), (327_680, "byte", False, "328 kB"),
    (1.34e9, "byte", False, "1.34 GB"), (42_949_672_960, "byte", True, "40.0 GiB"), (999_950, "byte", False, "1.00 MB"),
    (1023, "byte", True, "1023 B"), (1024, "byte", True, "1.00 KiB"), (1010 * 1024, "byte", True, "1,010 KiB"),
    (327_680, "byte/token", False, "328 kB/token"), (3.35e12, "byte/second", False, "3.35 TB/s"),
    (0, "second", False, "0 s"), (0.0421, "second", False, "42.1 ms"), (3e-6, "second", False, "3.00 µs"),
    (9.9996e-4, "second", False, "1.00 ms"), (12.5, "second", False, "12.5 s"), (1234, "second", False, "1,234 s"),
    (291e12, "flop", False, "291 TFLOP"), (989e12, "flop/second", False, "989 TFLOP/s"), (295.2, "flop/byte", False, "295 FLOP/byte"),
    (430_626, "token", False, "430,626 tokens"), (1, "token", False, "1 token"), (0, "token", False, "0 tokens"),
    (70.6e9, "1", False, "70.6 G"), (0.906, "1", False, "0.906"), (8, "head", False, "8 heads"), (1.125, "1", False, "1.13"),
    (23.71, "token/second", False, "23.7 tokens/s"), (4.2, "request/second", False, "4.20 requests/s"), (0.883, "fraction", False, "88.3 %"),
    (1.71, "usd", False, "$1.71"), (3e-6, "usd/token", False, "$3.00 per M tokens"), (1e-9, "usd/token", False, "$0.00100 per M tokens"),
    (2.5 / 3600, "usd/second", False, "$2.50/h"), (0, "usd/token", False, "$0 per M tokens"), (-1500, "byte", False, "−1.50 kB"),
    (700, "watt", False, "700 W"), (10_200, "watt", False, "10.2 kW"), (1.2e6, "joule", False, "1.20 MJ"), (0.373, "joule/token", False, "0.373 J/token"),
    (0.18 / 3.6e6, "usd/joule", False, "$0.180/kWh"), (1.7e-16, "usd/byte", False, "$0.170 per PB"), (5.6e-19, "usd/flop", False, "$0.560 per EFLOP"),
]


@pytest.mark.parametrize("value, unit, binary, text", FORMATS)
def test_format_of_the_table(js, value, unit, binary, text):
    assert js.run("llmcost.format(value, unit, binary)", value=value, unit=unit, binary=binary) == text


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "undefined"])
def test_a_value_that_is_not_finite_is_a_dash(js, value):
    assert js.run(f"llmcost.format({value}, 'byte')") == "–"


UNITS = ["1", "token", "sequence", "head", "layer", "byte", "byte/token", "byte/second", "byte/element", "byte/parameter",
         "second", "flop", "flop/second", "flop/byte", "token/second", "request/second", "fraction", "usd", "usd/token", "usd/second",
         "watt", "joule", "joule/token", "usd/joule", "usd/byte", "usd/flop"]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("binary", [False, True])
def test_format_equals_python(js, unit, binary):
    draw = random.Random(1)
    values = [draw.choice([1, 1, 1, -1]) * draw.uniform(1, 10) * 10 ** draw.randint(-15, 15) for _ in range(1400)]
    values += [float(draw.randint(0, 10 ** draw.randint(1, 15))) for _ in range(300)]
    values += [draw.randint(1, 9999) / 8 * 1000 ** draw.randint(0, 3) for _ in range(300)]  # ties such as 1.125
    values += [0.0, 999.5, 999_500.0, 1023.5, 1_048_064.0, 9_999_999.5, 1e7, 0.9995, 0.00995, 0.125, 2.675]
    values = [value / float(PRICED[unit][0]) if unit in PRICED else value for value in values]
    shown = js.run("values.map((value) => llmcost.format(value, unit, binary))", values=values, unit=unit, binary=binary)
    assert shown == [format_value(value, unit, binary) for value in values]


# --- answers ---------------------------------------------------------------------------------

NUMBERS = [
    ("328000", "byte", 328_000), ("328,000", "byte", 328_000), ("3.3e5", "byte", 330_000), ("328 kB", "byte", 328_000),
    ("328kb", "byte", 328_000), ("2.75 TB", "byte", 2.75e12), ("640 GiB", "byte", 640 * 2**30), ("640 Gi", "byte", 640 * 2**30),
    ("328 kB/token", "byte/token", 328_000), ("328 kB per token", "byte/token", 328_000), ("64", "head", 64), ("64 heads", "head", 64),
    ("42 ms", "second", 0.042), ("42m", "second", 0.042), ("3 µs", "second", 3e-6), ("290 TFLOP/s", "flop/second", 2.9e14),
    ("$1.50", "usd", 1.5), ("35 %", "fraction", 0.35), ("0.35", "fraction", 0.35), ("35", "fraction", 0.35), ("1.05", "fraction", 1.05), ("70B", "1", 70e9), (".5", "1", 0.5),
    ("$3", "usd/token", 3e-6), ("0.30 per million tokens", "usd/token", 3e-7), ("$15/Mtok", "usd/token", 15e-6),
    ("$2.50/h", "usd/second", 2.5 / 3600), ("2.5 USD per hour", "usd/second", 2.5 / 3600), ("−3", "1", -3), (" ~1_000_000 tokens ", "token", 1e6),
    ("450 W", "watt", 450), ("0.45 kW", "watt", 450), ("350 mJ", "joule", 0.35), ("0.35 J/token", "joule/token", 0.35), ("350 mJ per token", "joule/token", 0.35),
    ("$0.18/kWh", "usd/joule", 0.18 / 3.6e6), ("18", "usd/joule", 18 / 3.6e6), ("0.17 per PB", "usd/byte", 1.7e-16), ("$0.56 per EFLOP", "usd/flop", 5.6e-19),
]


@pytest.mark.parametrize("text, unit, value", NUMBERS)
def test_a_number_a_reader_types(js, text, unit, value):
    assert js.run("llmcost.parse(text, unit)", text=text, unit=unit) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("text, unit", [
    ("", "byte"), ("many", "byte"), ("12,34", "byte"), ("1.2.3", "byte"), ("5 bananas", "byte"), ("5 s", "byte"), ("5 min", "second"),
    ("3M", "usd/token"), ("3 per token", "usd/token"), ("3 per s", "usd/second"), ("1e999", "byte"), ("kB", "byte"), ("35 %", "byte"), ("--5", "1"), ("<b>5</b>", "1"),
])
def test_what_is_not_a_number_is_refused(js, text, unit):
    assert js.run("Number.isNaN(llmcost.parse(text, unit))", text=text, unit=unit) is True


QUESTION = {"kind": "check", "unit": "byte", "answer": 327_680, "within": 0.01,
            "slips": [{"value": 2_621_440, "text": "query heads used where KV heads belong"}]}


@pytest.mark.parametrize("answer, text", [
    (327_680, "Right."), (330_000, "Right."), (2_621_440, "8x too large: query heads used where KV heads belong."),
    (163_840, "2x too small."), (409_600, "1.25x too large."), (327_680_000_000, "1,000,000x too large."), (0, "Too small."),
    (-5, "Too small."), (331_100, "1.01x too large."),
])
def test_grade(js, answer, text):
    assert js.run("llmcost.grade(answer, question)", answer=answer, question=QUESTION) == text


@pytest.mark.parametrize("answer, text", [
    (41_000, "You said 41.0 kB; it is 328 kB: 7.99x too small."),
    (2_621_440, "You said 2.62 MB; it is 328 kB: 8x too large (query heads used where KV heads belong)."),
    (327_680, "You said 328 kB; it is 328 kB: right."),
])
def test_verdict_on_a_prediction(js, answer, text):
    assert js.run("llmcost.verdict(answer, question)", answer=answer, question={**QUESTION, "kind": "predict"}) == text


# --- state -----------------------------------------------------------------------------------

def test_the_default_state(js):
    result = js.run("llmcost.evaluate(spec)", spec=control())
    assert {name: result["state"][name] for name in ("n_layers", "context", "kv_bytes_per_element", "batch")} == {
        "n_layers": 80, "context": 4096, "kv_bytes_per_element": 2, "batch": 1}
    assert result["outputs"] == [{"value": 327_680, "text": "328 kB/token"}, {"value": 2 * 4096 * 327_680, "text": "2.68 GB"}]
    assert result["python"] == 'at(attention.kv_bytes_per_token, MODELS["big"], kv_bytes_per_element=2)'


def test_picks_change_the_outputs_and_the_line_of_python(js):
    picks = {"model": "small", "cache": "fp8", "bytes": "GiB", "context": 131072}
    result = js.run("llmcost.evaluate(spec, picks)", spec=control(), picks=picks)
    assert [output["text"] for output in result["outputs"]] == ["64.0 KiB/token", "16.0 GiB"]
    assert result["python"] == 'at(attention.kv_bytes_per_token, MODELS["small"], kv_bytes_per_element=1)'


def test_the_line_of_python_names_sliders_fixed_facts_and_overrides(js):
    spec = control()
    spec["python"] = {"call": "attention.state_bytes", "names": ["n_layers", "n_kv_heads", "context", "batch", "huge"]}
    spec["fixed"]["huge"] = 1e21
    spec["outputs"][0] = {"formula": "state_bytes", "label": "KV cache", "unit": "byte", "with": {"batch": 0.5, "n_kv_heads": 1}}
    line = js.run("llmcost.evaluate(spec).python", spec=spec)
    assert line == 'at(attention.state_bytes, MODELS["big"], n_kv_heads=1, context=4096, batch=0.5, huge=1e21)'


def test_picks_that_are_not_on_offer_fall_back_to_the_default(js):
    state = js.run("llmcost.state(spec, picks)", spec=control(), picks={"model": "banana", "context": 5000, "colour": 1})
    assert state["n_layers"] == 80
    assert state["picks"] == {"model": "big", "cache": "bf16", "axes": "linear", "bytes": "GB", "context": 4096}


def test_an_address_sets_what_it_can_and_tells_the_rest(js):
    found = js.run("llmcost.picksFromQuery(spec, query)", spec=control(),
                   query="model=small&context=banana&cache=fp8&context=&colour=%E0%A4%A&cache=")
    assert found["picks"] == {"model": "small", "cache": "fp8"}
    assert found["ignored"] == ["context=banana", "context=", "colour=%E0%A4%A", "cache="]


def test_an_address_round_trips(js):
    picks = {"model": "small", "cache": "fp8", "axes": "log", "bytes": "GiB", "context": 16384}
    assert js.run("llmcost.picksFromQuery(spec, llmcost.queryFromPicks(spec, picks))", spec=control(), picks=picks) == {"picks": picks, "ignored": []}


def test_a_value_that_is_not_defined_says_so(js):
    spec = control()
    spec["outputs"] = [{"formula": "partly_defined", "label": "Partly", "unit": "byte"}]
    assert js.run("llmcost.evaluate(spec, {context: 4096}).outputs[0].text", spec=spec) == "– not defined here"


def test_a_formula_that_is_missing_is_named(js):
    spec = control()
    spec["outputs"][0]["formula"] = "nowhere"
    with pytest.raises(quickjs.JSException, match="formula nowhere is not on this page"):
        js.run("llmcost.evaluate(spec)", spec=spec)


def own_price():
    """A control whose slider is there for one option only, and whose counts are pasted."""
    return {
        "id": "bill", "title": "A bill", "plot": None, "fixed": {},
        "choices": [{"name": "price", "label": "Price", "value": "list", "style": "radio", "options": [
            {"key": "list", "label": "list", "python": 'PRICES["a"]', "facts": {"input_price": 3e-6}},
            {"key": "own", "label": "own", "facts": {}}]}],
        "sliders": [{"name": "input_price", "label": "Price", "unit": "usd/token", "values": [1e-6, 2.5e-6, 0.3e-6, 1e-6 / 3],
                     "value": 2.5e-6, "when": ["price", "own"]}],
        "outputs": [{"formula": "cost", "label": "Cost", "unit": "usd", "with": {}}],
        "python": {"call": "economics.cost", "names": ["context", "input_price", "output_tokens"], "scales": {"input_price": "1e6"}},
        "paste": {"label": "Usage", "example": "", "kinds": [], "limit": 1_000_000_000, "counts": {"context": 2000, "output_tokens": 100}},
    }


def test_a_slider_counts_only_while_its_option_is_chosen(js):
    spec = own_price()
    listed, own = (js.run("llmcost.evaluate(spec, picks)", spec=spec, picks={"price": key, "input_price": 1e-6}) for key in ("list", "own"))
    assert [listed["state"]["input_price"], own["state"]["input_price"]] == [3e-6, 1e-6]
    assert listed["python"] == 'at(economics.cost, PRICES["a"], context=2000, output_tokens=100)'
    assert own["python"] == "at(economics.cost, context=2000, input_price=1/1e6, output_tokens=100)"
    for key, price in (("list", ""), ("own", "input_price=0.000001&")):
        query = f"price={key}&{price}context=2000&output_tokens=100"
        assert js.run("llmcost.queryFromPicks(spec, picks)", spec=spec, picks=listed["state"]["picks"] | {"price": key}) == query
        assert js.run("llmcost.picksFromQuery(spec, query).ignored", spec=spec, query=query) == []
    found = js.run("llmcost.picksFromQuery(spec, query)", spec=spec, query="input_price=0.000001&price=list")
    assert found == {"picks": {"price": "list"}, "ignored": ["input_price=0.000001"]}


def test_pasted_counts_are_in_the_address_as_whole_numbers(js):
    query = "context=123457&output_tokens=1000000000"
    assert js.run("llmcost.picksFromQuery(spec, query)", spec=own_price(), query=query)["picks"] == {"context": 123_457, "output_tokens": 10**9}
    for wrong in ("context=-1", "context=1.5", "context=1e3", "context=1000000001", "context=", "context=0x10", "context=%20"):
        assert js.run("llmcost.picksFromQuery(spec, query)", spec=own_price(), query=wrong)["picks"] == {}
    state = js.run("llmcost.state(spec, picks)", spec=own_price(), picks={"context": 7.5, "output_tokens": 0})
    assert (state["context"], state["output_tokens"]) == (2000, 0)


def test_a_pasted_count_comes_before_the_slider_of_its_name(js):
    spec = own_price()
    spec["sliders"].append({"name": "context", "label": "Context", "unit": "token", "values": [1024, 4096], "value": 4096})
    for picks, context in (({}, 2000), ({"context": 4096}, 4096), ({"context": 5}, 5)):
        assert js.run("llmcost.state(spec, picks).context", spec=spec, picks=picks) == context


@pytest.mark.parametrize("unit, scale", [(unit, scale) for unit, (scale, _) in PRICED.items()])
def test_prices_are_written_as_people_say_them(js, unit, scale):
    """The twins of the shown line of Python give the same text, and the text the same number."""
    draw = random.Random(3)
    said = [0.0, 3.0, 0.3, 2.5, 15.0, 0.075, 1e-4] + [round(draw.uniform(0, 50), draw.randint(0, 4)) for _ in range(200)]
    values = [price / float(scale) for price in said] + [draw.uniform(1e-9, 1e-3) for _ in range(100)]
    spec = own_price()
    spec["python"]["scales"] = {"input_price": scale}
    spec["choices"] = []
    for i, value in enumerate(values):
        spec["sliders"] = [{"name": "input_price", "label": "", "unit": unit, "values": [value], "value": value}]
        line = js.run("llmcost.evaluate(spec).python", spec=spec)
        assert line == python_line(spec)
        written = re.search(r"input_price=([^,]*),", line)[1]
        assert eval(written) == pytest.approx(value, rel=1e-14)
        assert i >= len(said) or written.endswith(f"/{scale}")


# --- drawing ---------------------------------------------------------------------------------

SVG = "{http://www.w3.org/2000/svg}"


def parts(svg):
    root = ElementTree.fromstring(svg)
    return root, [text.text for text in root.iter(f"{SVG}text")]


@pytest.mark.parametrize("width", [320, 640])
@pytest.mark.parametrize("kind", PLOTS)
@pytest.mark.parametrize("picks", [{}, {"axes": "log", "bytes": "GiB", "model": "small", "context": 131072}])
def test_a_drawing_is_well_formed_named_and_described(js, kind, width, picks):
    root, texts = parts(js.draw(control(PLOTS[kind]), picks, width))
    title, desc = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert root.get("role") == "img" and float(root.get("width")) == width
    assert root.get("aria-labelledby").split() == [title.get("id"), desc.get("id")]
    assert title.text == "KV cache & weights"
    assert ("Model: Llama 3.1 8B" if picks else "KV cache per token: 328 kB/token") in desc.text
    assert texts and all(texts)


@pytest.mark.parametrize("width", [320, 640])
@pytest.mark.parametrize("kind", PLOTS)
def test_a_drawing_holds_no_style_no_handler_and_no_broken_number(js, kind, width):
    svg = js.draw(control(PLOTS[kind]), {}, width)
    assert not re.search(r'\s(style|on\w+)="|<script|NaN|Infinity|undefined', svg)


@pytest.mark.parametrize("width", [320, 640])
@pytest.mark.parametrize("kind", PLOTS)
def test_nothing_is_drawn_beyond_the_width(js, kind, width):
    root, _ = parts(js.draw(control(PLOTS[kind]), {}, width))
    for element in root.iter():
        for name in ("x", "cx"):
            assert 0 <= float(element.get(name, 0)) <= width


def test_a_curve_has_a_gap_where_it_is_not_defined(js):
    root, _ = parts(js.draw(control(CURVES), {}, 640))
    whole, gap = (root.find(f"{SVG}g").findall(f"{SVG}path")[i].get("d") for i in (0, 2))
    assert whole.count("M") == 1 and whole.count("L") > 15
    assert gap.count("M") == 2


@pytest.mark.parametrize("scales", [("log", "log"), ("linear", "linear"), ("log", "linear"), ("linear", "log")])
def test_a_curve_is_drawn_where_its_values_are(js, scales):
    """Read the axes and a path of the picture back: each point has the value that the formula gives there."""
    x_scale, y_scale = scales
    plot = {"kind": "curves", "x": {"name": "n_params", "label": "x", "unit": "1", "scale": x_scale, "min": 1, "max": 1000},
            "y": {"label": "y", "unit": "1", "scale": y_scale, "min": 1, "max": 5000},
            "curves": [{"label": "four times", "formula": "weight_bytes", "with": {"weight_bytes_per_param": 4}}]}
    root, _ = parts(js.draw(control(plot), {}, 640))
    ticks = {"x": [], "y": []}
    for text in root.iter(f"{SVG}text"):
        if text.text and re.fullmatch(r"[\d,]+", text.text) and float(text.text.replace(",", "")) > 0:
            side = "y" if text.get("text-anchor") == "end" else "x"
            ticks[side].append((float(text.get(side)), float(text.text.replace(",", ""))))

    def value(side, scale, pixel):
        (p0, v0), (p1, v1) = ticks[side][0], ticks[side][-1]
        share = (pixel - p0) / (p1 - p0)
        return v0 * (v1 / v0) ** share if scale == "log" else v0 + (v1 - v0) * share

    centering = 4  # pixels between the middle of a tick's text and its baseline
    path = root.find(f"{SVG}g").find(f"{SVG}path").get("d")
    points = [tuple(map(float, pair)) for pair in re.findall(r"([-\d.]+) ([-\d.]+)", path)]
    assert len(points) >= 2
    for left, top in points:
        got, right = value("y", y_scale, top + centering), 4 * value("x", x_scale, left)
        assert abs(got - right) < (0.12 * right if y_scale == "log" else 0.03 * right + 25)


def test_log_axis_of_tokens_has_powers_of_two(js):
    _, texts = parts(js.draw(control(CURVES), {}, 640))
    ticks = [int(text.replace(",", "")) for text in texts if re.fullmatch(r"[\d,]+", text)]
    assert ticks[-1] == 131072 and len(ticks) >= 4 and all(tick & (tick - 1) == 0 for tick in ticks)


def test_the_slider_on_the_x_axis_is_marked(js):
    root, texts = parts(js.draw(control(CURVES), {"context": 1024}, 640))
    assert "1,024 tokens" in texts
    assert len([dot for dot in root.iter(f"{SVG}circle") if dot.get("class").startswith("dot")]) == 2  # the third has no value here


def test_every_curve_is_labeled_at_any_width(js):
    for width in (320, 640):
        _, texts = parts(js.draw(control(CURVES), {}, width))
        assert {curve["label"] for curve in CURVES["curves"]} <= set(texts)


@pytest.mark.parametrize("context, fits", [(4096, False), (1024, True)])
def test_bars_hatch_what_does_not_fit(js, context, fits):
    root, texts = parts(js.draw(control(BARS), {"context": context}, 640))
    hatched = [box for box in root.iter(f"{SVG}rect") if box.get("class") == "overflow"]
    assert len(hatched) == (0 if fits else 1)
    assert any("does not fit" in text for text in texts) is not fits
    assert "Weights 141 GB" in texts and "memory the driver reports: 171 GB" in texts


def ticks_of(svg):
    return [text.text for text in ElementTree.fromstring(svg).iter(f"{SVG}text") if text.get("class") == "tick"]


def curves_in(unit, scale, low, high):
    return CURVES | {"y": {"label": "Y", "unit": unit, "scale": scale, "min": low, "max": high}, "curves": []}


@pytest.mark.parametrize("unit, scale, low, high, shown", [
    ("usd/token", "log", 1e-8, 1e-4, ["0.01", "0.10", "1", "10", "100"]),
    ("usd/token", "linear", 0, 5e-6, ["0", "1", "2", "3", "4", "5"]),
    ("usd/second", "log", 0.1 / 3600, 10 / 3600, ["0.10", "1", "10"]),
    ("usd/second", "linear", 0, 2 / 3600, ["0", "0.50", "1", "1.50", "2"]),
    ("usd", "log", 1e-3, 1e7, ["$0.001", "$0.10", "$10", "$1,000", "$100,000", "$10 M"]),
    ("usd", "linear", 0, 0.15, ["$0", "$0.025", "$0.05", "$0.075", "$0.10", "$0.125", "$0.15"]),
    ("second", "log", 1e-3, 1e3, ["1 ms", "100 ms", "10 s", "1,000 s"]),
    ("second", "linear", 0, 1.5, ["0 s", "0.25 s", "0.5 s", "0.75 s", "1 s"]),
    ("second", "linear", 0, 2e-4, ["0 µs", "50 µs", "100 µs", "150 µs", "200 µs"]),
    ("fraction", "log", 1e-3, 1, ["0.1 %", "1 %", "10 %", "100 %"]),
])
def test_ticks_are_short_and_alike(js, unit, scale, low, high, shown):
    assert ticks_of(js.draw(control(curves_in(unit, scale, low, high)), {}, 640))[:len(shown)] == shown


def test_a_price_axis_says_its_unit_once(js):
    _, texts = parts(js.draw(control(curves_in("usd/token", "log", 1e-8, 1e-4)), {}, 640))
    assert "Y ($ per M tokens)" in texts


TIMELINE = {"kind": "bars", "unit": "second", "bars": [{"label": "one request", "parts": [
    {"label": "Prefill", "formula": "prefill_seconds", "with": {}},
    {"label": "Decode", "formula": "decode_seconds", "with": {}, "repeats": {"name": "output_tokens"}}]}]}


@pytest.mark.parametrize("output_tokens, width, ticks, note", [
    (20, 640, 19, ""), (1, 640, 0, ""), (61, 640, 30, ", a tick every 2 of 61 steps"), (1000, 640, 49, ", a tick every 20 of 1,000 steps"),
    (60, 300, 59, "")])
def test_a_part_of_a_bar_is_cut_into_its_steps(js, output_tokens, width, ticks, note):
    spec = control(TIMELINE)
    spec["fixed"]["output_tokens"] = output_tokens
    root, texts = parts(js.draw(spec, {"context": 1024}, width))
    cuts = [path.get("d") for path in root.iter(f"{SVG}path") if path.get("class", "").startswith("cut")]
    assert sum(d.count("M") for d in cuts) == ticks
    assert f"Decode {format_value(output_tokens * 0.02, 'second')}{note}" in texts
    assert "0 s" in texts or "0 ms" in texts


def test_a_part_too_narrow_for_its_steps_has_no_ticks(js):
    spec = control(TIMELINE)
    spec["fixed"]["output_tokens"] = 40
    assert 'class="cut' not in js.draw(spec, {"context": 131072}, 320)


ROOFLINE = {
    "kind": "curves", "x": {"name": "intensity", "label": "Intensity", "unit": "flop/byte", "scale": "log", "min": 1, "max": 1000},
    "y": {"label": "Speed", "unit": "byte", "scale": "log", "min": 1e9, "max": 1e12},
    "curves": [{"label": "roof", "formula": "partly_defined", "with": {"context": 0}}],
    "marks": [{"label": "decode", "x": {"formula": "prefill_seconds", "with": {"context": 30_000}}, "y": {"formula": "state_bytes", "with": {}}},
              {"label": "prefill", "x": {"formula": "prefill_seconds", "with": {}}, "y": {"formula": "state_bytes", "with": {"context": 1e5}}},
              {"label": "nowhere", "x": {"formula": "partly_defined", "with": {"context": 200}}, "y": {"formula": "state_bytes", "with": {}}}]}


@pytest.mark.parametrize("width", [320, 640])
def test_marks_stand_at_their_formulas_and_at_the_end_of_an_axis(js, width):
    root, texts = parts(js.draw(control(ROOFLINE), {"context": 4096}, width))
    pins = [shape for shape in root.iter() if shape.get("class", "").startswith("pin")]
    assert len(pins) == 2, "a mark without a value is not drawn"
    assert "decode" in texts and "prefill, 0.410 FLOP/byte" in texts
    assert pins[1].get("transform").endswith("rotate(180)") and not pins[0].get("transform")
    assert "decode at 3.00 FLOP/byte and 1.34 GB" in root.find(f"{SVG}desc").text
    moved, _ = parts(js.draw(control(ROOFLINE), {"context": 131072}, width))
    assert [shape.attrib for shape in moved.iter() if shape.get("class", "").startswith("pin")] != [pin.attrib for pin in pins]


def test_labels_of_marks_keep_off_each_other(js):
    plot = ROOFLINE | {"marks": [{"label": f"point {i}", "x": {"formula": "prefill_seconds", "with": {"context": 3e5 * 1.02**i}},
                                  "y": {"formula": "state_bytes", "with": {"context": 3e4}}} for i in range(3)]}
    root, _ = parts(js.draw(control(plot), {}, 640))
    places = [(float(text.get("x")), float(text.get("y"))) for text in root.iter(f"{SVG}text") if (text.text or "").startswith("point")]
    assert all(abs(a[1] - b[1]) > 12 or abs(a[0] - b[0]) > 50 for i, a in enumerate(places) for b in places[:i])


def test_each_query_head_has_one_line_to_its_kv_head(js):
    root, texts = parts(js.draw(control(HEADS), {}, 320))
    lines = [path.get("d") for path in root.iter(f"{SVG}path")]
    assert len(lines) == 64 and len({line.split("L")[1] for line in lines}) == 8
    assert "64 query heads" in texts and "8 KV heads: one for every 8 query heads" in texts


def test_an_unknown_kind_of_plot_is_named(js):
    with pytest.raises(quickjs.JSException, match="plot kind pie is not one of curves, bars, heads"):
        js.draw(control({"kind": "pie"}), {}, 640)


def test_a_control_without_a_plot_draws_nothing(js):
    assert js.draw(control(), {}, 640) == ""
