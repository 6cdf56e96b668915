"""The checklist of the book: every topic of the source documents, and the place on a page where a reader sees or does it.

Each row of `data/coverage.csv` names a chapter, a heading in it, and what below that heading does it: a control, a stepper,
a question, a widget, a figure, a table, or a number quoted in the text. `missing` looks for each of them on the pages.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from . import files

KINDS = ("control", "stepper", "question", "widget", "figure", "table", "number")
"""What can do a topic: `explore`, `steps`, `check` or `predict`, `recompute`, a picture, a table, a name quoted in the text."""
_CALLS = {"explore": "control", "steps": "stepper", "check": "question", "predict": "question", "recompute": "widget", "table": "table"}
_CAPTION = 2
"""The argument of `table` that is its caption."""
_HEADING = re.compile(r"^#{1,4} (.+)$", re.MULTILINE)
_QUOTED = re.compile(r"\{eval\}`(\w+)`")
_BLOCK = re.compile(r"^(?:```\{(bibliography)\}|:::\{container\} (\w+))")


class CoverageError(ValueError):
    """A row of the checklist that cannot be read: the message says which, and what it needs."""


@dataclass(frozen=True)
class Topic:
    """One topic of a source document.

    Attributes
    ----------
    id : such as "S1-T09"
    source : the document, such as "001"
    topic, must : what the source has, and what a reader must be able to see or do
    chapter, anchor : the page, and the heading on it as its link has it
    by, name : one of `KINDS`, and the id of a control, stepper or question, the function of a widget, the beginning of the
        description of a figure or of the caption of a table, or the name of a number; of a picture or a list that is written
        in Markdown the name of its block, of a table that the library prints that of its function
    """

    id: str
    source: str
    topic: str
    must: str
    chapter: str
    anchor: str
    by: str
    name: str


def load() -> list[Topic]:
    """Every row of the checklist. Raises `CoverageError` for one that is not complete."""
    found = []
    for row in files.read_csv("coverage.csv"):
        if empty := [part for part in Topic.__dataclass_fields__ if not row.get(part)]:
            raise CoverageError(f"row {row.get('id')} of data/coverage.csv has no {', '.join(empty)}")
        topic = Topic(**row)
        if topic.by not in KINDS:
            raise CoverageError(f"row {topic.id} of data/coverage.csv is done by a {topic.by!r}; it is one of {', '.join(KINDS)}")
        found.append(topic)
    return found


def slug(heading: str) -> str:
    """The link of a heading.

    >>> slug("What \\"maximum concurrency\\" means")
    'what-maximum-concurrency-means'
    """
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"[`*$]", "", heading).lower()).strip("-")


def parts(cells: Sequence[Mapping]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """What is on a page, from the cells of its notebook: the links of the headings that it stands below, its kind and its name."""
    above: list[tuple[int, str]] = []
    for cell in cells:
        text = "".join(cell["source"])
        if cell["cell_type"] == "code":
            links = tuple(link for _, link in above)
            yield from ((links, *called) for called in _called(text))
            if image := cell.get("metadata", {}).get("mystnb", {}).get("image"):
                yield links, "figure", image["alt"]
            continue
        for line in text.splitlines():
            if heading := _HEADING.match(line):
                depth = len(line) - len(line.lstrip("#"))
                above = [one for one in above if one[0] < depth] + [(depth, slug(heading[1]))]
            links = tuple(link for _, link in above)
            if block := _BLOCK.match(line):
                yield links, "table" if block[1] else "figure", block[1] or block[2]
            yield from ((links, "number", name) for name in _QUOTED.findall(line))


def _called(code: str) -> Iterator[tuple[str, str]]:
    """Kind and name of what the calls in a cell put on the page, in their order."""
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
        called, place = call.func.id, _CAPTION if call.func.id == "table" else 0
        if called.endswith("_table"):
            yield "table", called
        elif called in _CALLS and len(call.args) > place:
            match call.args[place]:
                case ast.Constant(str(name)) | ast.JoinedStr([ast.Constant(str(name)), *_]):
                    yield _CALLS[called], name
                case ast.Name(name) if called == "recompute":
                    yield _CALLS[called], name


def missing(topics: Sequence[Topic]) -> list[str]:
    """One line for each topic that the pages do not do where the checklist says so."""
    pages: dict[str, list] = {}
    wrong = []
    for topic in topics:
        try:
            found = pages.setdefault(topic.chapter, list(parts(files.read_chapter(topic.chapter))))
        except OSError:
            wrong.append(f"{topic.id}: there is no chapter {topic.chapter}")
            continue
        if not any(topic.anchor in above for above, _, _ in found):
            wrong.append(f"{topic.id}: {topic.chapter} has no heading #{topic.anchor}")
        elif not any(topic.anchor in above and topic.by == kind and (name.startswith(topic.name) if kind in ("figure", "table") else name == topic.name)
                     for above, kind, name in found):
            wrong.append(f"{topic.id}: {topic.chapter}#{topic.anchor} has no {topic.by} {topic.name}")
    return wrong
