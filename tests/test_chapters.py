"""Every chapter: its parts, its quoted numbers, its stored outputs."""

import ast
import json
import re
from pathlib import Path

import pytest

from llmcost import claims

CHAPTERS = Path(__file__).parents[1] / "chapters"
NOTEBOOKS = sorted(CHAPTERS.glob("*.ipynb"))
REFERENCE = {"intro", "notation", "facts", "prices", "claims", "numbers_to_know"}
TAUGHT = [path for path in NOTEBOOKS if path.stem not in REFERENCE]
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
every_chapter = pytest.mark.parametrize("path", TAUGHT, ids=lambda path: path.stem)

QUANTITY = re.compile(r"(?<![A-Za-z\d.,])\d[\d,.]*\s?(?:%|(?:percent|[kMGTP]i?B|bytes?|tokens?|[munµ]?s|seconds?|hours?|billion|GPUs?|W|T?FLOPs?|tok/s|times|x)\b)|\$\s?\d")
TYPED_ON_PURPOSE = {
    "1e9 bytes": "the definition of GB",
    "80 GB": "the marketing name of a GPU",
}


def cells(path: Path, kind: str) -> list[dict]:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [{**cell, "source": "".join(cell["source"])} for cell in notebook["cells"] if cell["cell_type"] == kind]


def prose(path: Path) -> str:
    """The Markdown of a notebook without code, mathematics, links and quoted values."""
    text = "\n".join(cell["source"] for cell in cells(path, "markdown"))
    for pattern in (r"```.*?```", r"\{[\w:]+\}`[^`]*`", r"`[^`]*`", r"\$\$.*?\$\$", r"\$[^$\n]+\$", r"\]\([^)]*\)"):
        text = re.sub(pattern, " ", text, flags=re.DOTALL)
    return text


def quoted_names(path: Path) -> set[str]:
    return set(re.findall(r"\{eval\}`([^`]*)`", "\n".join(cell["source"] for cell in cells(path, "markdown"))))


def assignments(path: Path) -> list[str]:
    """Names assigned at the top level of the notebook, as often as they are."""
    found = []
    for cell in cells(path, "code"):
        for node in ast.parse(cell["source"]).body:
            if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
                for target in ast.walk(node):
                    if isinstance(target, ast.Name) and isinstance(target.ctx, ast.Store):
                        found.append(target.id)
    return found


def stored_text(cell: dict) -> str:
    return "".join("".join(output.get("text", [])) for output in cell["outputs"])


@every_notebook
def test_every_cell_was_run_in_order(path):
    counts = [cell["execution_count"] for cell in cells(path, "code")]
    assert counts == list(range(1, len(counts) + 1)), "run ./book refresh"


@every_notebook
def test_stored_outputs_hold_no_script_and_stay_small(path):
    for cell in cells(path, "code"):
        for output in cell["outputs"]:
            html = "".join(output.get("data", {}).get("text/html", ""))
            assert "<script" not in html.replace('<script type="application/json">', "")
            assert len(html) < max(40_000, 900 * html.count('<div class="claim" id='))  # a ledger is as long as its statements
    assert path.stat().st_size < 600_000


@every_notebook
def test_a_quoted_number_is_one_name_assigned_once(path):
    names, assigned = quoted_names(path), assignments(path)
    assert all(name.isidentifier() for name in names), "quote a name; compute in a cell"
    assert {name: assigned.count(name) for name in names} == dict.fromkeys(names, 1)


@every_notebook
def test_the_last_cell_prints_what_is_quoted(path):
    last = cells(path, "code")[-1]
    assert last["source"].strip() == "quoted()"
    printed = {line.split(" = ")[0] for line in stored_text(last).splitlines()}
    assert quoted_names(path) <= printed


@every_notebook
def test_no_quantity_is_typed_in_prose(path):
    text = prose(path)
    for allowed in TYPED_ON_PURPOSE:
        text = text.replace(allowed, "")
    assert QUANTITY.findall(text) == []


@pytest.mark.parametrize("typed", ["it takes 42 ms", "about 3.35 TB of it", "costs $3 per", "12 % more", "8x faster", "1,024 tokens"])
def test_a_typed_quantity_would_be_seen(typed):
    assert QUANTITY.search(typed)


@every_notebook
def test_one_sentence_per_line(path):
    for cell in cells(path, "markdown"):
        for line in cell["source"].splitlines():
            plain = re.sub(r"`[^`]*`|\$[^$]*\$|\([^)]*\)|\*[^*]*\*", "", line)
            if not line.lstrip().startswith(("|", "-", ":", "#", "**")) and not re.match(r"\s*\d\.", line):
                assert not re.search(r"[a-z]{2}[.?!] [A-Z]", plain), line


@every_chapter
def test_anatomy(path):
    text = "\n".join(cell["source"] for cell in cells(path, "markdown"))
    code = "\n".join(cell["source"] for cell in cells(path, "code"))
    for part in ("Before you start", "**You will be able to**", "warm up", "## The question", "## Against the evidence",
                 ":class: takeaway", "## Exercises", "### Small", "### Medium", "### Large", "## Further reading"):
        assert part in text, f"{path.stem} lacks {part!r}, or has it out of order"
        text = text[text.index(part):]
    has_claims = path.stem in {claim.chapter for claim in claims.load()}
    for call in ("predict(", "explore(", "check(", *(["claims_list("] if has_claims else [])):
        assert call in code, f"{path.stem} has no {call}…)"
    prose = "\n".join(cell["source"] for cell in cells(path, "markdown"))
    assert prose.count(":::{exercise}") == prose.count(":::{solution}"), "an exercise without a solution"


@every_notebook
def test_controls_have_their_own_names(path):
    names = re.findall(r"(?:explore|steps|predict|check)\(\s*\"([\w-]+)\"", "\n".join(cell["source"] for cell in cells(path, "code")))
    assert len(names) == len(set(names))


@every_notebook
def test_figures_say_what_they_show(path):
    for cell in cells(path, "code"):
        if any("image/png" in output.get("data", {}) for output in cell["outputs"]):
            assert cell["metadata"].get("mystnb", {}).get("image", {}).get("alt"), cell["source"][:80]


@every_notebook
def test_no_address_outside_the_book_is_opened(path):
    for cell in cells(path, "code"):
        assert not re.search(r"https?://|urllib|import requests|requests\.(get|post|Session)|socket|subprocess", cell["source"])
