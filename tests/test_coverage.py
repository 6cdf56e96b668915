"""Every topic of the source documents is done on a page, where the checklist says so."""

import re

import pytest
from chrome import pages
from llmcost import coverage, files
from llmcost.__main__ import main
from states import controls
from test_chapters import NOTEBOOKS, prose

TOPICS = coverage.load()
CELLS = [{"cell_type": "markdown", "source": "# A page\n## One part\nIt is {eval}`big`."}, {"cell_type": "code", "source": 'explore("turn", "T")\nsteps(\n    "walk", f)'},
         {"cell_type": "markdown", "source": "### Below\n"}, {"cell_type": "code", "source": "recompute(f, n=1)", "metadata": {"mystnb": {"image": {"alt": "Bars: a and b"}}}},
         {"cell_type": "code", "source": 'table(("a",), rows, f"Rows of {n}")\ngpus_table()\nanswer.predict(row)\ncheck(name, "T")\nrecompute(lambda: 0)\ntable(("a",), rows)'},
         {"cell_type": "markdown", "source": "## Another\n:::{container} map\n:::\n```{bibliography}\n```"}]
ROW = {"id": "S0-T01", "source": "000", "topic": "t", "must": "m", "chapter": "page", "anchor": "one-part", "by": "control", "name": "turn"}


def test_the_book_does_every_topic(capsys):
    assert main(["coverage"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "153 of 153"


def test_the_checklist_has_each_topic_once():
    assert len({topic.id for topic in TOPICS}) == len(TOPICS) == 153
    assert {topic.source for topic in TOPICS} == {"000", "001", "002", "003", "004"}


def test_what_is_on_a_page():
    part, below = ("a-page", "one-part"), ("a-page", "one-part", "below")
    assert list(coverage.parts(CELLS)) == [(part, "number", "big"), (part, "control", "turn"), (part, "stepper", "walk"), (below, "widget", "f"), (below, "figure", "Bars: a and b"),
                                          (below, "table", "Rows of "), (below, "table", "gpus_table"), (("a-page", "another"), "figure", "map"), (("a-page", "another"), "table", "bibliography")]


def test_a_page_in_markdown_is_one_cell():
    (cell,) = files.read_chapter("references")
    assert cell["source"].startswith("# References") and cell["cell_type"] == "markdown"


def test_every_node_of_the_map_is_a_link_to_a_heading():
    text = "\n".join("".join(cell["source"]) for cell in files.read_chapter("intro") if cell["cell_type"] == "markdown")
    (tree,) = re.findall(r"^:::\{container\} map\n(.*?)^:::$", text, re.MULTILINE | re.DOTALL)
    nodes = [re.fullmatch(r" *- \[([^\]]+)\]\((\w+)\.ipynb#([\w-]+)\)", line) for line in tree.splitlines()]
    assert all(nodes), "a line of the map is no link to a heading"
    assert "PagedAttention" in {node[1] for node in nodes}
    for chapter in {node[2] for node in nodes}:
        headings = {coverage.slug(heading) for cell in files.read_chapter(chapter) if cell["cell_type"] == "markdown"
                    for heading in re.findall(r"^#{2,3} (.+)$", "".join(cell["source"]), re.MULTILINE)}
        assert {node[3] for node in nodes if node[2] == chapter} <= headings, chapter
    assert {path.stem for path in NOTEBOOKS if "## Exercises" in prose(path)} <= {node[2] for node in nodes}, "a chapter is not on the map"


@pytest.mark.parametrize("changes, told", [
    ({}, []), ({"by": "number", "name": "big"}, []), ({"by": "figure", "name": "Bars"}, []), ({"by": "table", "name": "Rows"}, []), ({"by": "table", "name": "of"}, ["S0-T01: page#one-part has no table of"]), ({"by": "widget", "name": "f", "anchor": "a-page"}, []),
    ({"name": "run"}, ["S0-T01: page#one-part has no control run"]), ({"by": "stepper"}, ["S0-T01: page#one-part has no stepper turn"]),
    ({"anchor": "below"}, ["S0-T01: page#below has no control turn"]), ({"anchor": "gone"}, ["S0-T01: page has no heading #gone"]),
    ({"chapter": "gone"}, ["S0-T01: there is no chapter gone"]),
], ids=str)
def test_a_topic_that_is_not_done_is_named(changes, told, monkeypatch):
    def read(name):
        if name != "page":
            raise FileNotFoundError(name)
        return CELLS
    monkeypatch.setattr(files, "read_chapter", read)
    assert coverage.missing([coverage.Topic(**{**ROW, **changes})]) == told


@pytest.mark.parametrize("changes, message", [({"anchor": ""}, "S0-T01 of data/coverage.csv has no anchor"), ({"by": "magic"}, "done by a 'magic'; it is one of control")], ids=str)
def test_an_incomplete_row_is_refused(changes, message, monkeypatch):
    monkeypatch.setattr(files, "read_csv", lambda name: [{**ROW, **changes}])
    with pytest.raises(coverage.CoverageError, match=message):
        coverage.load()


@pytest.mark.parametrize("address", [page for page in pages() if any(page.endswith(f"/{topic.chapter}.html") for topic in TOPICS)])
def test_what_does_a_topic_is_on_the_built_page(open_page, address):
    """The tests of controls, steppers and questions drive all that a page has; here each that the checklist names is among them."""
    page = open_page(address)
    there = {"control": {spec["id"] for spec in controls(page)}}
    for kind, mark in (("stepper", "data-steps"), ("question", "data-question")):
        there[kind] = {found.get_attribute("id") for found in page.locator(f"[{mark}]").all()}
    there["figure"] = {found.get_attribute("alt") for found in page.locator("article img[alt]").all()} | {"map" for _ in page.locator(".map").all()}
    there["table"] = {found.text_content() for found in page.locator("article caption").all()} | {"bibliography" for _ in page.locator(".citation-list").all()}
    links = set(page.locator("section[id], span[id]").evaluate_all("found => found.map(one => one.id)"))
    for topic in TOPICS:
        if address.endswith(f"/{topic.chapter}.html"):
            assert topic.anchor in links, f"{topic.id}: no #{topic.anchor}"
            assert topic.by not in there or any(name.startswith(topic.name) for name in there[topic.by]), f"{topic.id}: no {topic.by} {topic.name}"
