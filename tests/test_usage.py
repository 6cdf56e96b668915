"""Usage records of APIs: what each kind counts, what is refused, and the same words on the page as in Python."""

import json
import random
from pathlib import Path

import pytest
import quickjs

from llmcost.usage import KINDS, LIMIT, UsageError, read

CONTROLS = Path(__file__).parents[1] / "lib" / "bookext" / "static" / "controls.js"

RECORDS = {  # one record of each kind, and its five counts
    "DeepSeek chat": ({"prompt_tokens": 1000, "completion_tokens": 300, "total_tokens": 1300, "prompt_cache_hit_tokens": 640,
                       "prompt_cache_miss_tokens": 360, "completion_tokens_details": {"reasoning_tokens": 200}}, (1000, 640, 0, 300, 200)),
    "OpenAI chat completions": ({"prompt_tokens": 2006, "completion_tokens": 300, "total_tokens": 2306,
                                 "prompt_tokens_details": {"cached_tokens": 1792, "cache_write_tokens": 128, "audio_tokens": 0},
                                 "completion_tokens_details": {"reasoning_tokens": 192}}, (2006, 1792, 128, 300, 192)),
    "xAI chat completions": ({"prompt_tokens": 1500, "completion_tokens": 210, "total_tokens": 2350,
                              "prompt_tokens_details": {"cached_tokens": 896},
                              "completion_tokens_details": {"reasoning_tokens": 640}}, (1500, 896, 0, 850, 640)),
    "OpenAI responses": ({"input_tokens": 9800, "input_tokens_details": {"cached_tokens": 4096, "cache_write_tokens": 5120},
                          "output_tokens": 2200, "output_tokens_details": {"reasoning_tokens": 1500}, "total_tokens": 12000},
                         (9800, 4096, 5120, 2200, 1500)),
    "Anthropic messages": ({"input_tokens": 320, "cache_creation_input_tokens": 2048, "cache_read_input_tokens": 18000,
                            "cache_creation": {"ephemeral_5m_input_tokens": 2048}, "output_tokens": 950,
                            "output_tokens_details": {"thinking_tokens": 610}, "service_tier": "standard"}, (20368, 18000, 2048, 950, 610)),
    "Gemini generateContent": ({"promptTokenCount": 500, "cachedContentTokenCount": 400, "toolUsePromptTokenCount": 50,
                                "candidatesTokenCount": 30, "thoughtsTokenCount": 120, "totalTokenCount": 700}, (550, 400, 0, 150, 120)),
}


def test_every_kind_has_a_record_here():
    assert set(RECORDS) == {kind["name"] for kind in KINDS}


@pytest.mark.parametrize("kind", RECORDS)
@pytest.mark.parametrize("answer", [lambda record: record, lambda record: {"id": "x", "model": "m", "usage": record},
                                    lambda record: {"candidates": [], "usageMetadata": record}], ids=["usage", "answer", "metadata"])
def test_each_kind_is_read(kind, answer):
    record, counts = RECORDS[kind]
    for given in (answer(record), json.dumps(answer(record), indent=1)):
        found = read(given)
        assert found.kind == kind and tuple(found.counts.values()) == counts


def test_what_is_absent_counts_nothing():
    assert read({"input_tokens": 5, "output_tokens": 0, "cache_read_input_tokens": None}).counts == {
        "input_tokens": 5, "cached_tokens": 0, "written_tokens": 0, "output_tokens": 0, "reasoning_tokens": 0}
    assert read({"prompt_tokens": 5, "completion_tokens": 0, "prompt_tokens_details": None}).cached_tokens == 0


CHAT = {"prompt_tokens": 10, "completion_tokens": 10}


@pytest.mark.parametrize("record, said", [
    ("", "it ends before it is complete"), ('{"prompt_tokens": 10', "it ends before it is complete"),
    ('{"a": 1,\n "b": 2,}', "not JSON from line 2, character 9 on"), ("{'a': 1}", "not JSON from line 1, character 2 on"),
    ('{"a": NaN}', "line 1, character 7"), ('{"é😀": tru}', "line 1, character 8"), ("[1]", "no record"), ("12", "no record"),
    ({"tokens": 3, "id": "x"}, "it holds tokens, id. Known are DeepSeek chat (prompt_tokens, "),
    ({"a b": 3}, "no field that could be one"), ({"usage": None}, "it holds usage"),
    (CHAT | {"prompt_tokens": -1}, "prompt_tokens is negative"), (CHAT | {"prompt_tokens": 1.5}, "prompt_tokens is not a whole number"),
    (CHAT | {"prompt_tokens": True}, "prompt_tokens is not a number"), (CHAT | {"prompt_tokens": "10"}, "prompt_tokens is not a number"),
    (CHAT | {"prompt_tokens": LIMIT + 1}, "input_tokens is more than 1,000,000,000"),
    (CHAT | {"prompt_tokens_details": 4}, "prompt_tokens_details.cached_tokens cannot be read"),
    (CHAT | {"prompt_tokens_details": {"cached_tokens": 11}}, "11 cached and 0 written tokens in a prompt of 10"),
    (CHAT | {"total_tokens": 21}, "the total is not prompt_tokens + completion_tokens"),
    (CHAT | {"total_tokens": "20"}, "total_tokens is not a number"),
    (CHAT | {"completion_tokens_details": {"reasoning_tokens": 11}}, "11 reasoning tokens in an output of 10"),
])
def test_what_cannot_be_is_refused(record, said):
    with pytest.raises(UsageError) as refused:
        read(record)
    assert said in str(refused.value)


@pytest.fixture(scope="module")
def page():
    """The function of the page: the counts, or the words of the error."""
    context = quickjs.Context()
    context.eval(CONTROLS.read_text(encoding="utf-8"))
    context.eval(f"const paste = {json.dumps({'kinds': KINDS, 'limit': LIMIT})};")
    context.eval("function read(text) { try { return JSON.stringify(llmcost.readUsage(paste, text)); }"
                 " catch (error) { return JSON.stringify(error.message); } }")
    return lambda text: json.loads(context.get("read")(text))


def in_python(text: str):
    try:
        found = read(text)
    except UsageError as error:
        return str(error)
    return {"kind": found.kind, **found.counts}


def texts(draw: random.Random):
    """Records of every kind, as they come and with something wrong with them."""
    odd = [None, True, False, -1, -0.0, 0.5, 1e3, 10**9, 10**9 + 1, 10**30, 1e300, "12", "", [], [1], {}, {"cached_tokens": 3}]
    letters = ['"', "'", "{", "}", "[", "]", ",", ":", "\\", "\n", " ", "1", "-", ".", "e", "N", "é", "😀", "\u0007", "\\u00", "null"]

    def paths(value, way=()):
        for name in value:
            yield (*way, name)
            if isinstance(value[name], dict):
                yield from paths(value[name], (*way, name))

    for record, _ in RECORDS.values():
        for _ in range(80):
            changed = json.loads(json.dumps(record))
            for path in draw.sample(sorted(paths(changed)), draw.choice([0, 1, 1, 2, 3])):
                holder = changed
                for name in path[:-1]:
                    holder = holder[name] if isinstance(holder.get(name), dict) else {}
                holder.pop(path[-1], None) if draw.random() < 0.3 else holder.update({path[-1]: draw.choice([*odd, draw.randint(0, 5000)])})
            if draw.random() < 0.5:
                changed = {"id": "x", draw.choice(["usage", "usageMetadata", "7", "__proto__"]): changed}
            yield json.dumps(changed, indent=draw.choice([None, 2]), ensure_ascii=draw.random() < 0.5)
        whole = json.dumps({"usage": record, "é😀": ["a\\u0041", 1.5e3, True, None, {}, []]}, indent=2, ensure_ascii=False)
        for _ in range(60):
            at, to = sorted(draw.choices(range(len(whole) + 1), k=2))
            yield draw.choice([whole[:at], whole[at:], whole[:at] + whole[min(to, at + 1):],
                               whole[:at] + draw.choice(letters) + whole[at:], whole[:at] + draw.choice(letters) + whole[at + 1:]])
    yield from ("", " ", "null", "{}", "[]", "{", "}", "{,}", "[,]", "[1,]", '{"a"}', '{"a":}', '{"a":1,}', "[1 2]", "01", "1.", ".5", "+1", "-",
                "NaN", "Infinity", '{"a":-Infinity}', '"\\x"', '"\\ud800"', '"\t"', "\ufeff{}", "1 1", "tru", "9" * 5000, "1e999", "\u00a0{}", "]", "{]", "[}",
                "[" * 101 + "]" * 101, "[" * 102 + "]" * 102, "[" * 100_000)


def test_the_page_reads_as_python_does(page):
    tried = list(texts(random.Random(7)))
    outcomes = [in_python(text) for text in tried]
    assert len(tried) > 700 and sum(isinstance(outcome, dict) for outcome in outcomes) > 100
    assert len({outcome for outcome in outcomes if isinstance(outcome, str)}) > 60
    for text, outcome in zip(tried, outcomes):
        assert page(text) == outcome, text
