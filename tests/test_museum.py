"""The museum: each wrong formula fails where ours passes, what threads print is recomputed, and anyone's function can be tried."""

import copy
import csv
import datetime
import inspect
import json
import math
import re

import pytest

from llmcost import attention, catalog, claims, configs, faces, layers, museum
from llmcost.__main__ import main
from llmcost.book import museum_room, truth_table
from llmcost.catalog import MODELS
from llmcost.files import read_text, read_toml
from llmcost.museum import exhibits, forms, trial, truth
from test_faces import dimension_of, unit_registry  # noqa: F401 (a fixture)

EXHIBITS = museum.load()
FORMS = [form for form in vars(forms).values() if inspect.isfunction(form) and form.__module__ == forms.__name__]
every_exhibit = pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: exhibit.id)
every_form = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
TABLES = {table["id"]: table for table in read_toml("museum.toml")["exhibit"]}


# --- the exhibits ----------------------------------------------------------------------------

@every_exhibit
def test_ours_passes_and_the_wrong_form_fails(exhibit):
    museum.check(exhibit, exhibit.right)
    with pytest.raises(AssertionError, match=exhibit.title[:20]):
        museum.check(exhibit, exhibit.wrong)


@every_exhibit
def test_the_wrong_form_is_wrong_on_each_of_its_cases(exhibit):
    """By more than five percent, so that no case is there for show."""
    assert all(abs(math.log(exhibit.factor(case))) > 0.05 for case in exhibit.cases)


@pytest.mark.parametrize("printed", [(one.id, number, digits) for one in EXHIBITS for number, digits in enumerate(one.printed, 1)],
                         ids=lambda printed: f"{printed[0]}-{printed[1]}")
def test_what_a_thread_prints_has_the_verdict_of_its_digits(printed):
    digits = printed[2]
    assert claims.verdict(digits.digits, digits.ours()) == digits.verdict, f"{digits.ours():.6g} {digits.unit} against {digits.digits}"


def test_nearly_all_of_what_threads_print_is_reproduced():
    verdicts = [digits.verdict for exhibit in EXHIBITS for digits in exhibit.printed]
    assert len(verdicts) >= 50 and verdicts.count("exact") >= 0.85 * len(verdicts)


def test_there_are_enough_and_every_room_has_some():
    assert len(EXHIBITS) >= 15 and all(found for _, found in museum.rooms().values())
    assert sum(len(found) for _, found in museum.rooms().values()) == len(EXHIBITS)


@every_exhibit
def test_threads_were_looked_at_and_name_projects(exhibit):
    for thread in exhibit.threads:
        assert datetime.date(2026, 11, 21) <= thread.seen <= datetime.date.today()
        assert "/" in thread.name or thread.what == "page", thread.url
        assert thread.told.endswith("."), thread.told
    assert exhibit.symptom.endswith(".") and exhibit.natural.endswith(".") and exhibit.kinds <= set(layers.KINDS)


@every_form
def test_a_form_is_no_formula_and_is_shown(form):
    assert form.__name__ not in faces.formulas()
    assert form.__name__ in {table["wrong"] for table in TABLES.values()}
    assert faces.latex(form)


SEEN_BY_UNITS = {"share_of_an_a100", "share_of_one_terabyte"}


@every_form
def test_a_unit_check_sees_few_of_them(form, unit_registry):  # noqa: F811
    """Heads, layers, tokens, bytes and factors of two are counts: only a peak or a bandwidth that is typed as a number is seen."""
    got, want = dimension_of(form, unit_registry)
    assert (got != want) == (form.__name__ in SEEN_BY_UNITS)


# --- the right numbers, counted one by one -----------------------------------------------------

def counted(config: dict, context: int) -> int:
    """Bytes of state, entry by entry: each token of each layer that is still kept, and what never grows."""
    total = 0
    for layer in configs.shapes_from_config(config)["layers"]:
        kept = range(context)
        if "window" in layer:
            kept = [token for token in kept if context - token <= layer["window"]]
        if "chunk" in layer:
            kept = [token for token in kept if token < layer["chunk"]]  # room for the fullest chunk
        one = {"full": lambda s: 2 * s["n_kv_heads"] * s["d_head"] * 2, "sliding": lambda s: 2 * s["n_kv_heads"] * s["d_head"] * 2,
               "chunked": lambda s: 2 * s["n_kv_heads"] * s["d_head"] * 2, "sparse": lambda s: 2 * s["n_kv_heads"] * s["d_head"] * 2,
               "mla": lambda s: (s["kv_rank"] + s["d_rope"]) * 2}.get(layer["attention"], lambda s: 0)(layer)
        index = layer.get("d_index", 0) * layer.get("index_bytes_per_element", 0) + layer.get("index_scale_bytes", 0)
        fixed = layer["n_state_heads"] * layer["d_key"] * layer["d_value"] * 4 if "n_state_heads" in layer else 0
        if "conv_width" in layer:
            inputs = 2 * layer["n_key_heads"] * layer["d_key"] + layer["n_state_heads"] * layer["d_value"]
            fixed += sum(2 * inputs for _ in range(layer["conv_width"] - 1))
        total += layer["n"] * (sum(one + index for _ in kept) + fixed)
    return total


COUNTED = [key for key in MODELS if not {group["attention"] for group in MODELS[key].layers} & {"compressed", "shared_window"}]


@pytest.mark.parametrize("context", [1, 130, 9_000])
@pytest.mark.parametrize("key", COUNTED)
def test_the_right_bytes_are_those_counted_one_by_one(key, context):
    assert truth.state_bytes(key, context) == counted(exhibits.published_config(key), context)


@pytest.mark.parametrize("key", read_toml("museum.toml")["config"])
def test_models_outside_the_catalog_are_counted_too_and_say_where_they_are_from(key):
    config = read_toml("museum.toml")["config"][key]
    catalog.source_of(f"data/museum.toml, [config.{key}]", config)
    assert museum.value(attention.state_bytes, {"config": key, "context": 3_000}) == counted(config, 3_000)


def test_ten_users_of_a_wrong_formula_are_right_by_luck():
    """Multi-head models forgive query heads; models without windows forgive the whole context."""
    by_luck = {exhibit.id: museum.right_by_luck(exhibit) for exhibit in EXHIBITS}
    assert by_luck["query-heads"] == ["Llama 2 7B", "GPT-J 6B"]
    assert "Llama 3.1 70B" in by_luck["sliding-as-full"] and "gpt-oss-120b" not in by_luck["sliding-as-full"]
    assert by_luck["gib-for-gb"] == [] and "Llama 3.1 8B" in by_luck["active-in-memory"]


@pytest.mark.parametrize("key, n_kv_heads, d_head, kv_rank", [
    ("falcon_180b", 8, 64, None), ("gpt_j_6b", 16, 256, None), ("gpt_oss_120b", 8, 64, None), ("deepseek_v3", 128, 56, 512), ("kimi_linear_48b_a3b", 32, 72, 512),
])
def test_a_config_is_taken_at_face_value(key, n_kv_heads, d_head, kv_rank):
    """Whatever its layers are: the fields of older and nested configs too, a missing width by division, a latent where one is printed."""
    found = exhibits.as_printed(exhibits.published_config(key))
    assert (found["n_kv_heads"], found["d_head"], found.get("kv_rank")) == (n_kv_heads, d_head, kv_rank)


def test_a_form_without_its_facts_has_no_value():
    assert exhibits.value_or_none(forms.latent_twice, {"model": "llama_3_1_8b", "context": 1}) is None
    with pytest.raises(TypeError, match="latent_twice needs kv_rank"):
        museum.value(forms.latent_twice, {"model": "llama_3_1_8b", "context": 1})


def test_an_unknown_exhibit_lists_those_there_are():
    assert museum.exhibit("query-heads").wrong is forms.every_query_head
    with pytest.raises(KeyError, match="no exhibit 'query'; there are query-heads, "):
        museum.exhibit("query")


@pytest.mark.parametrize("changes, message", [
    ({"symptom": ""}, "exhibit query-heads has no symptom"),
    ({"author": "someone"}, "has author; it may have"),
    ({"room": "attic"}, "is in the room 'attic'"),
    ({"wrong": "no_such_form"}, "names the form 'no_such_form'"),
    ({"right": "attention.no_such"}, "names the formula 'attention.no_such'"),
    ({"right": "capacity.state_bytes"}, "names the formula 'capacity.state_bytes'"),
    ({"thread": [{"url": "https://example.org", "what": "page", "state": "open", "seen": datetime.date(2026, 11, 21)}]}, "a thread without told"),
    ({"thread": [{**TABLES["query-heads"]["thread"][0], "state": "lost"}]}, "state 'lost'"),
    ({"printed": [{"digits": "80"}]}, "printed digits without of, case"),
    ({"printed": [{**TABLES["query-heads"]["printed"][0], "of": "half"}]}, "of 'half'"),
    ({"printed": [{**TABLES["query-heads"]["printed"][0], "thread": 9}]}, "in thread 9"),
    ({"printed": [{**TABLES["query-heads"]["printed"][0], "unit": "furlong"}]}, "furlong"),
], ids=str)
def test_an_exhibit_that_is_not_complete_is_refused(changes, message):
    with pytest.raises(museum.MuseumError, match=message):
        exhibits._exhibit({**copy.deepcopy(TABLES["query-heads"]), **changes})


# --- the page --------------------------------------------------------------------------------

def test_the_rooms_show_every_exhibit_with_its_equations_threads_and_digits():
    pages = [museum_room(key)._repr_markdown_() for key in museum.rooms()]
    shown = "\n".join(pages)
    assert [shown.count(f'id="{exhibit.id}"') for exhibit in EXHIBITS] == [1] * len(EXHIBITS)
    assert all(thread.url in shown for exhibit in EXHIBITS for thread in exhibit.threads)
    assert shown.count("\\begin{aligned}") == len(EXHIBITS) and all(page.count(" open>") == 1 for page in pages)
    assert sum(shown.count(f"| *{verdict}* |") for verdict in claims.FROM_DIGITS) == sum(len(exhibit.printed) for exhibit in EXHIBITS)


def test_constants_are_short_and_sizes_are_words():
    shown = "\n".join(museum_room(key)._repr_markdown_() for key in museum.rooms())
    equations = re.findall(r"\$\$(.*?)\$\$", shown)
    assert not [one for one in equations if re.search(r"\d{6,}|\d\.\d{5,}", one)]
    assert r"3.5 \cdot 10^{9}" in shown and r"\frac{Q_w}{10^{12} t_m N}" in shown and "0.9313 M" in shown
    assert "85.9 GB where 10.7 GB is right, 8 times too large (Llama 3.1 70B, 32,768 tokens)" in shown
    assert "36.9 kB where 73.7 kB is right, 2 times too small (gpt-oss-120b, 1 token)" in shown
    assert r"\text{right} &\quad 2 S L n_{kv} d_h b " in shown and r"b \left(S e_f + e_w \min\left(S, w\right)\right)" in shown
    assert "18.2 ms where 1.82 ms is right, 10 times too large (Qwen3 30B-A3B, a batch of 1)" in shown


def test_the_table_of_the_page_has_every_model():
    shown = truth_table()._repr_html_()
    assert shown.count("<tr>") == 1 + len(MODELS) and f"{truth.state_bytes('kimi_k3', 131_072):,}" in shown


# --- the truth table -------------------------------------------------------------------------

@pytest.mark.parametrize("end", truth.FORMATS)
def test_the_committed_table_is_what_the_library_computes(end):
    assert read_text(f"truth_table{end}") == truth.FORMATS[end](truth.rows()), f"run python -m llmcost museum truth data/truth_table{end}"


def test_the_table_has_every_model_in_whole_numbers():
    rows = list(csv.DictReader(read_text("truth_table.csv").splitlines()))
    assert list(dict.fromkeys(row["model"] for row in rows)) == list(MODELS)
    assert [{name: str(one) for name, one in row.items()} for row in json.loads(read_text("truth_table.json"))["rows"]] == rows
    assert all(row[name].isdigit() for row in rows for name in truth.COLUMNS[2:])
    longest = {key: max(int(row["context"]) for row in rows if row["model"] == key) for key in MODELS}
    assert all(longest[key] == min(131_072, model.facts.get("max_context", 131_072)) for key, model in MODELS.items())


def test_the_table_is_written_as_the_name_ends(tmp_path, capsys):
    assert main(["museum", "truth", str(tmp_path / "a.csv")]) == 0
    assert (tmp_path / "a.csv").read_text() == read_text("truth_table.csv") and "rows in" in capsys.readouterr().out
    assert main(["museum", "truth", str(tmp_path / "a.xml")]) == 2
    assert "written as .csv or .json" in capsys.readouterr().err


# --- anyone's function -----------------------------------------------------------------------

def right(config, context):
    key = next(key for key in MODELS if exhibits.published_config(key) == config)
    return truth.state_bytes(key, context)


def naive(config, context):
    """What most calculators do, from the fields of most configs."""
    fields = config.get("text_config", config)
    heads = fields["num_attention_heads"]
    return 2 * fields["num_hidden_layers"] * heads * (fields.get("head_dim") or fields["hidden_size"] // heads) * 2 * context


def test_a_right_function_is_right_everywhere():
    assert all(answer.correct and not answer.slip for answer in trial.try_function(right))


def test_a_naive_function_is_told_its_slip():
    answers = {(answer.model, answer.context): answer for answer in trial.try_function(naive)}
    assert answers["Llama 2 7B", 4096].correct
    llama = answers["Llama 3.1 70B", 4096]
    assert llama.exhibit.id == "query-heads" and llama.said == 8 * llama.right
    assert answers["GPT-J 6B", 1].failed == "raised KeyError: 'num_attention_heads'"
    text = trial.told(list(answers.values()))
    assert " as in query-heads: query heads where KV heads are stored." in text and "raised KeyError" in text


@pytest.mark.parametrize("of_id", [one.id for one in EXHIBITS if one.right is attention.state_bytes])
def test_each_wrong_cache_is_recognized_as_its_own(of_id):
    """Where two exhibits give the same number for a model, one with layers of that kind is named; the number is the exhibit's."""
    exhibit = museum.exhibit(of_id)
    case = next(case for case in exhibit.cases if "model" in case)

    def slipping(config, context):
        return museum.value(exhibit.wrong, {**case, "context": context}) if config == exhibits.published_config(case["model"]) else 0

    answer = next(answer for answer in trial.try_function(slipping) if answer.model == MODELS[case["model"]].name and not answer.correct)
    assert answer.exhibit is exhibit or math.isclose(museum.value(answer.exhibit.wrong, {**case, "context": answer.context}), answer.said)
    if exhibit.kinds:
        assert answer.exhibit.kinds & {group["attention"] for group in MODELS[case["model"]].layers}


@pytest.mark.parametrize("scale, words", [(1e9, "in GB"), (2**30, "in GiB"), (2**20, "in MiB")])
def test_bytes_in_another_unit_are_recognized(scale, words):
    answers = [answer for answer in trial.try_function(lambda config, context: right(config, context) / scale) if answer.context == 4096]
    assert {answer.slip for answer in answers} == {f"Right, but {words}"} and not any(answer.correct for answer in answers)
    both = trial.try_function(lambda config, context: museum.value(forms.every_query_head, {"model": "llama_3_1_70b", "context": context}) / scale
                              if config == exhibits.published_config("llama_3_1_70b") else 0)
    assert [answer.slip for answer in both if answer.model == "Llama 3.1 70B"][1] == f"Query heads where KV heads are stored {words}"


def test_parameters_can_be_asked_for():
    total = {json.dumps(exhibits.published_config(key)): model.n_params for key, model in MODELS.items()}
    active = {json.dumps(exhibits.published_config(key)): model.n_active_params for key, model in MODELS.items()}
    assert all(answer.correct for answer in trial.try_function(lambda config: total[json.dumps(config)], "parameters"))
    slips = [answer for answer in trial.try_function(lambda config: active[json.dumps(config)], "parameters") if not answer.correct]
    assert slips and {answer.exhibit.id for answer in slips} == {"active-in-memory"}
    slips = [answer for answer in trial.try_function(lambda config: total[json.dumps(config)], "active") if not answer.correct]
    assert slips and {answer.exhibit.id for answer in slips} == {"every-expert-read"}


@pytest.mark.parametrize("answer, told", [
    (None, "returned None"), ("12", "returned '12'"), (True, "returned True"), (math.nan, "returned nan"), (math.inf, "returned inf"), (-1, "returned -1"),
    ([1], "returned [1]"), ({"kv": "x" * 99}, "returned {'kv': 'xxx"), (10**400, "returned 1000"),
], ids=str)
def test_what_is_no_number_of_bytes_is_told(answer, told):
    answers = trial.try_function(lambda config, context: answer)
    assert all(one.failed.startswith(told) and "a number from 0 up is needed" in one.failed and not one.correct for one in answers)
    assert "0 of" in trial.told(answers)


def test_a_function_may_change_its_config_and_spoils_nothing():
    def greedy(config, context):
        found = right(config, context)
        config.clear()
        return found
    assert all(answer.correct for answer in trial.try_function(greedy))
    assert exhibits.published_config("llama_3_1_8b")["num_hidden_layers"] == 32


MODULE = '''
import llmcost.museum.truth as truth
from llmcost.catalog import MODELS
from llmcost.museum.exhibits import published_config
def good(config, context):
    return truth.state_bytes(next(key for key in MODELS if published_config(key) == config), context)
def short(config): return 1
def bad(config, context): return 0
class Inner:
    number = 3
    @staticmethod
    def good(config, context): return good(config, context)
'''


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "tried.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("import nowhere_at_all")
    (tmp_path / "leaves.py").write_text("raise SystemExit(3)")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("name, of, code", [("tried:good", "state", 0), ("tried:Inner.good", "state", 0), ("tried:bad", "state", 1), ("tried:short", "active", 1)])
def test_the_command_says_whether_all_is_right(module, capsys, name, of, code):
    assert main(["museum", "check", name, "--of", of]) == code
    assert f" right: {trial.ASKED[of]}." in capsys.readouterr().out


@pytest.mark.parametrize("name, message", [
    ("tried", "names no function; write module:function"), (":f", "names no function"), ("tried:", "names no function"),
    ("nowhere_at_all:f", "'nowhere_at_all' cannot be imported: ModuleNotFoundError"), ("broken:f", "'broken' cannot be imported"),
    ("leaves:f", "'leaves' cannot be imported: SystemExit"), ("tried:nothing", "tried has no nothing; it has good, short, bad, Inner"),
    ("tried:Inner.number", "tried:Inner.number is int, not a function"), ("tried:short", "tried:short takes (config), and is asked as f(config, context)"),
])
def test_the_command_says_why_it_cannot_ask(module, capsys, name, message):
    assert main(["museum", "check", name]) == 2
    assert message in capsys.readouterr().err


def test_a_function_is_asked_only_for_what_there_is():
    with pytest.raises(museum.TrialError, match="asked for state, parameters, active, not 'speed'"):
        trial.try_function(right, "speed")
