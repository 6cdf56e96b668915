"""The build refuses what a reader would stumble over, and follows what a page was computed from."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
INTRODUCTION = "# Introduction\n\nA book of two pages.\n"
COMPUTING = """\
from pathlib import Path
layers = int(Path("../data/layers.txt").read_text())
with Path("../runs.txt").open("a") as runs:
    print("run", file=runs)
"""
CONTROL = """\
from IPython.display import HTML
HTML('<figure class="explore" id="empty" data-explore><div class="explore-view"></div><figcaption></figcaption>'
     '<script type="application/json">{SPEC}</script></figure>')
"""
FAULTS = {  # page -> its text, a code cell, what the build says
    "misspelled_name": ("There are {eval}`leyers` layers.", "layers = 80", "leyers"),
    "failing_cell": ("A cell fails.", "1 / 0", "CellExecutionError"),
    "standard_error": ("A cell complains.", "import sys; print('careful', file=sys.stderr)", "stderr was found"),
    "broken_link": ("See [that](nowhere.md).", "", "nowhere.md"),
    "broken_reference": ("See {eq}`eq-nowhere`.", "", "eq-nowhere"),
    "bad_latex": (r"Half is $\frac{1$.", "", "LaTeX: "),
    "boxed_latex": (r"It is $\boxed{x}$.", "", "browsers do not draw"),
    "foreign_script": ('<script src="https://example.org/code.js"></script>', "", "loads https://example.org/code.js"),
    "foreign_style": ('<p style="background: url(//example.org/a.png)">Text</p>', "", "loads //example.org/a.png"),
    "broken_control": ("A control.", CONTROL.replace("{SPEC}", '{"plot": {"kind": "nothing"}}'), "control empty: "),
}


def write_book(folder: Path, pages: dict[str, tuple[str, str]]) -> Path:
    """A book with the real configuration: an introduction, and notebooks of one text and one code cell each."""
    (folder / "chapters").mkdir(parents=True)
    (folder / "data").mkdir()
    (folder / "data" / "references.bib").touch()
    (folder / "data" / "layers.txt").write_text("80")
    (folder / "chapters" / "intro.md").write_text(INTRODUCTION)
    shutil.copyfile(ROOT / "_config.yml", folder / "_config.yml")
    shutil.copytree(ROOT / "_static", folder / "_static")
    for name, (text, code) in pages.items():
        notebook = nbformat.v4.new_notebook(cells=[
            nbformat.v4.new_markdown_cell("# Page", id="title"), nbformat.v4.new_code_cell(code, id="code"),
            nbformat.v4.new_markdown_cell(text, id="text")])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(notebook, folder / "chapters" / f"{name}.ipynb")
    listed = "".join(f"\n  - file: chapters/{name}" for name in pages)
    (folder / "_toc.yml").write_text(f"format: jb-book\nroot: chapters/intro\nchapters:{listed}\n")
    return folder


def build(folder: Path) -> subprocess.CompletedProcess:
    """What `./book build` runs."""
    command = [Path(sys.executable).with_name("jupyter-book"), "build", folder, "-q", "-W", "-n", "--keep-going"]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"})


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """What the build says about a book in which every page but the first has one fault."""
    pages = {name: (text, code) for name, (text, code, _) in FAULTS.items()}
    done = build(write_book(tmp_path_factory.mktemp("faults") / "book", pages))
    assert done.returncode != 0
    return done.stderr


@pytest.mark.parametrize("page", FAULTS)
def test_fault_is_a_warning_that_names_the_page(refused, page):
    said = [line for line in refused.splitlines() if page in line and ("WARNING" in line or "ERROR" in line)]
    assert any(FAULTS[page][2] in line for line in said), said


def test_pages_follow_facts_and_nothing_else_executes(tmp_path):
    text = "There are {eval}`layers` layers.\n\n$$x + \\frac{1}{2}$$ (eq-x)\n\nSee {eq}`eq-x`."
    book = write_book(tmp_path / "book", {"facts": (text, COMPUTING), "others": ("Nothing.", COMPUTING)})
    page = book / "_build" / "html" / "chapters" / "facts.html"

    def built():
        done = build(book)
        assert done.returncode == 0, done.stderr
        return page.read_text(), len((book / "runs.txt").read_text().split())

    shown, runs = built()
    assert runs == 2
    assert "There are 80 layers." in shown
    assert shown.count("<math") == shown.count('id="equation-eq-x"') == 1
    assert shown.count('href="#equation-eq-x"') == 2, "a link to the equation, and one beside its number"
    scripts = " ".join(re.findall(r'<script[^>]*src="([^"]*)"', shown)).lower()
    assert not re.search("mathjax|katex|require|thebe|fontawesome|controls", scripts), scripts

    assert built() == (shown, 2), "an unchanged book executes nothing"

    (book / "data" / "layers.txt").write_text("81")
    shown, runs = built()
    assert runs == 4
    assert "There are 81 layers." in shown

    (book / "data" / "more.txt").write_text("a new fact")
    assert built() == (shown, 6), "a new file may hold facts, too"

    (book / "_static" / "book.css").write_text("/* another design */")
    assert built()[1] == 6, "a new design executes nothing"
