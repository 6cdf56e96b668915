"""A conclusion stands where the facts put it, and a new fact turns over just what rests on it."""

import json
import re
from pathlib import Path

import pytest
import yaml
from bookext import conclusions
from llmcost import claims, files, standing, takeaways
from llmcost.__main__ import main
from llmcost.evaluation import SCALES, StatementError
from llmcost.records import FactError

ROOT = Path(__file__).parents[1]
TAKEAWAYS = takeaways.load()
SOURCE = {"source": "nvidia_h100_datasheet", "where": "a planted fact"}
DAY = "2026-11-21"


def cells(chapter):
    return json.loads((ROOT / "chapters" / f"{chapter}.ipynb").read_text("utf-8"))["cells"]


def chapters():
    """File names of the chapters that draw a conclusion."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    files = [Path(chapter["file"]).name for part in toc["parts"] for chapter in part["chapters"]]
    return [name for name in files if (ROOT / "chapters" / f"{name}.ipynb").exists() and any(":class: takeaway" in "".join(cell["source"]) for cell in cells(name))]


@pytest.mark.parametrize("takeaway", TAKEAWAYS, ids=lambda one: one.id)
def test_recorded_standing_is_the_derived_one(takeaway):
    found = takeaways.evaluate(takeaway)
    assert found.standing == takeaway.standing, f"{found.value} against {found.threshold}"


@pytest.mark.parametrize("chapter", chapters())
def test_every_chapter_says_where_its_conclusion_flips(chapter):
    assert [one.id for one in TAKEAWAYS if one.chapter == chapter]
    shown = [i for i, cell in enumerate(cells(chapter)) if f'flip_points("{chapter}")' in "".join(cell["source"])]
    told = [i for i, cell in enumerate(cells(chapter)) if ":class: takeaway" in "".join(cell["source"])]
    assert shown == [told[0] + 1]


@pytest.mark.parametrize("takeaway", [one for one in TAKEAWAYS if one.quoted], ids=lambda one: one.id)
def test_the_chapter_quotes_the_value_that_is_compared(takeaway):
    text = "".join("".join(output.get("text", "")) for output in cells(takeaway.chapter)[-1]["outputs"])
    [quoted] = re.findall(rf"^{takeaway.quoted} = .*?\(?([-\d.e+]+)\)?$", text, re.MULTILINE)
    assert takeaways.evaluate(takeaway).value * SCALES[takeaway.unit] == pytest.approx(float(quoted), rel=1e-9)


@pytest.mark.parametrize("takeaway", TAKEAWAYS, ids=lambda one: one.id)
def test_past_its_threshold_a_takeaway_flips(takeaway):
    found = takeaways.evaluate(takeaway)
    assert takeaways.Evaluated(takeaway, found.threshold * 1.001, found.threshold).standing == ("holds" if takeaway.side == "above" else "flipped")
    assert takeaways.Evaluated(takeaway, found.threshold / 1.001, found.threshold).standing == ("flipped" if takeaway.side == "above" else "holds")
    assert found.value * found.distance == pytest.approx(found.threshold)


# --- planted facts ------------------------------------------------------------------------------------------

def turned(changes):
    return {one.what: (one.before, one.after) for one in standing.turned_by(changes)}


def test_a_cheaper_gpu_turns_over_what_rests_on_rent():
    assert turned(standing.with_rent("h100_sxm", DAY, "1.2", **SOURCE)) == {"takeaway own-service-under-a-host": ("holds", "flipped")}


def test_a_dearer_output_turns_over_the_bill():
    price = standing.with_price("gpt_6_1_terra", DAY, input="1", output="100", **SOURCE)
    assert turned(price) == {"takeaway output-is-the-smaller-part": ("holds", "flipped")}


def test_a_faster_memory_turns_over_the_claims_about_it():
    changed = turned(standing.with_specification("h100_sxm", "memory_bandwidth", "8e12", date=DAY, **SOURCE))
    assert {"claim 000-h100-bandwidth", "claim 000-step-42-ms", "claim 001-h100-3350-gb-s", "claim 004-ridge-295"} <= set(changed)
    assert all(before != after for before, after in changed.values())
    by_id = {claim.id: claim for claim in claims.load()}
    for what in changed:
        kind, _, key = what.partition(" ")
        assert kind == "takeaway" or "h100_sxm" in repr((by_id[key].given, by_id[key].against)), f"{what} does not rest on that fact"


def test_another_width_turns_over_the_claims_about_it():
    config = json.loads(files.read_text("configs/llama_3_1_70b.json")) | {"num_key_value_heads": 16}
    models = re.sub(r'(\[llama_3_1_70b\][^\[]*?published_params = \{ value = ")[^"]*', r"\g<1>71.9B", files.read_text("models.toml"))
    changed = turned({"configs/llama_3_1_70b.json": json.dumps(config), "models.toml": models})
    assert changed["claim 000-kv-heads-70b"] == ("exact", "wrong")
    assert not any("8b" in what or "405b" in what for what in changed)


def test_the_same_fact_again_turns_nothing_over():
    assert turned(standing.with_specification("h100_sxm", "memory_bandwidth", "3.35e12", date=DAY, **SOURCE)) == {}


# --- hostile input -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("make, message", [
    (lambda: standing.with_price("gpt_6_1_terra", "2020-01-01", input="1", **SOURCE), "a new one begins later"),
    (lambda: standing.with_price("gpt_6_1_terra", "soon", input="1", **SOURCE), "a day is written 2026-11-21"),
    (lambda: standing.with_price("nobody_1", DAY, input="1", **SOURCE), "give its vendor, model, reasoning too"),
    (lambda: standing.with_price("gpt_6_1_terra", DAY, inptu="1", **SOURCE), "a price has no inptu"),
    (lambda: standing.with_specification("h100_sxm", "n_wheels", "4", date=DAY, **SOURCE), "no fact 'n_wheels'"),
    (lambda: standing.with_specification("h100_sxm", "memory_bandwidth", "4e12", date="x", **SOURCE), "a day is written"),
    (lambda: standing.turned_by(standing.with_rent("h100_sxm", DAY, "cheap", **SOURCE)), "must be a positive number"),
    (lambda: standing.turned_by(standing.with_rent("h10", DAY, "2", **SOURCE)), "needs a GPU of the catalog"),
    (lambda: standing.turned_by(standing.with_specification("h100_sxm", "memory_bandwidth", "-1", date=DAY, **SOURCE)), "memory_bandwidth"),
], ids=range(9))
def test_a_bad_fact_is_refused(make, message):
    with pytest.raises(FactError, match=message):
        make()


def test_a_dry_run_writes_nothing(monkeypatch, capsys):
    monkeypatch.setattr(files, "write_text", None)
    arguments = ["add", "--dry-run", "rent", "h100_sxm", f"date={DAY}", "usd_per_hour=1.2", "source=nvidia_h100_datasheet", "where=planted"]
    assert main(arguments) == 1
    assert "own-service-under-a-host: holds -> flipped" in capsys.readouterr().out


def test_a_command_says_what_it_lacks(capsys):
    assert main(["add", "rent", "h100_sxm", "usd_per_hour=2"]) == 2
    assert "missing a required argument: 'date'; it takes date, usd_per_hour" in capsys.readouterr().err
    assert main(["add", "specification", "h10", "name=power_w", "value=3", f"date={DAY}", "source=x", "where=y"]) == 2
    assert "nearest: h100" in capsys.readouterr().err


GOOD = {"id": "x", "chapter": "kv_cache", "statement": "s", "flipped": "f", "value": {"formula": "conclusions.measured_seats"}, "threshold": 1, "side": "above"}


@pytest.mark.parametrize("changes, message", [
    ({"side": "beside"}, "side 'beside'; it is one of above, below"), ({"unit": "furlong"}, "unit 'furlong'"), ({"statement": None}, "has no statement"),
    ({"colour": "red"}, "has colour"), ({"standing": "maybe"}, "one of holds, flipped"),
], ids=str)
def test_an_incomplete_takeaway_is_refused(changes, message, monkeypatch):
    monkeypatch.setattr(files, "read_takeaways", lambda: [{key: value for key, value in {**GOOD, **changes}.items() if value is not None}])
    with pytest.raises(StatementError, match=message):
        takeaways.load()


@pytest.mark.parametrize("formula, given, message", [
    ("conclusions.nothing", {}, "llmcost.conclusions does not have"), ("conclusions.at", {}, "does not have"), ("capacity.magic", {}, "the library does not have"),
    ("conclusions.measured_seats", {"x": 1}, "calls measured_seats with x"),
], ids=str)
def test_a_takeaway_that_cannot_be_computed_is_refused(formula, given, message):
    one = takeaways.Takeaway(**{**GOOD, "value": {"formula": formula, "given": given}})
    with pytest.raises(StatementError, match=message):
        takeaways.evaluate(one)


def test_the_build_names_what_has_flipped(monkeypatch):
    said = []
    monkeypatch.setattr(conclusions.logger, "warning", lambda text, *values, **_: said.append(text % values))
    conclusions.report(None)
    assert said == []
    flipped = {**GOOD, "id": "seats", "threshold": 1e9, "statement": "More than a billion sequences."}
    monkeypatch.setattr(files, "read_takeaways", lambda: [flipped])
    conclusions.report(None)
    assert len(said) == 1 and "takeaway seats of chapters/kv_cache: flipped" in said[0] and "the threshold 1e+09" in said[0]
    monkeypatch.setattr(files, "read_takeaways", lambda: [{**flipped, "standing": "flipped"}])
    conclusions.report(None)
    assert len(said) == 1
    monkeypatch.setattr(files, "read_takeaways", lambda: [{**flipped, "side": "beside"}])
    conclusions.report(None)
    assert "side 'beside'" in said[1]
