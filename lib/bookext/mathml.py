"""KaTeX's MathML in the dialect that browsers draw (MathML Core).

Core has no `mathvariant` but "normal", no alignment or spacing attributes on tables, and no space after
the name of a function. Letters become the mathematical letters of Unicode, spaces become elements, and
what a table asks for becomes classes, which `static/math.css` draws.
"""

import re
import unicodedata
from xml.etree import ElementTree

ROWS = {"math", "mrow", "mstyle", "mtd", "msqrt"}
SCRIPTED = {"msub", "msup", "msubsup", "munder", "mover", "munderover"}
TALL = {"mfrac", "munder", "mover", "munderover", "mtable", "msqrt", "mroot"}
UNDRAWN = {"menclose", "mglyph"}
FUNCTION_APPLICATION = "\u2061"


class Undrawable(ValueError):
    """MathML that no browser draws."""


def clean(katex: str) -> str:
    """The `<math>` element alone, in MathML Core.

    Raises Undrawable for what Core does not have.
    """
    katex = re.sub(r"<annotation.*?</annotation>| xmlns=\"[^\"]*\"", "", katex, flags=re.DOTALL)
    math = ElementTree.fromstring(katex).find("math")
    math[:] = list(math.find("semantics"))
    for element in list(math.iter()):
        if element.tag in UNDRAWN:
            raise Undrawable(f"browsers do not draw <{element.tag}>: write it without a box or stroke")
        if element.tag == "mtable":
            set_table(element)
        if element.tag in ROWS:
            space_functions(element)
            calm_fences(element)
        if element.get("mathvariant", "normal") != "normal":
            style = element.attrib.pop("mathvariant")
            element.text = "".join(letter(character, style) for character in element.text or "")
    return ElementTree.tostring(math, encoding="unicode", short_empty_elements=False)


def letter(character: str, style: str) -> str:
    """A mathematical letter of Unicode: ("x", "bold-italic") -> U+1D499. Without one, the character itself."""
    name = re.sub("LATIN |GREEK |LUNATE | LETTER", "", unicodedata.name(character, ""))
    style = style.upper().replace("BOLD-", "BOLD ")
    for full_name in (f"MATHEMATICAL {style} {name}", f"{style} {name}"):
        try:
            return unicodedata.lookup(full_name)
        except KeyError:
            continue
    return character


def set_table(table: ElementTree.Element) -> None:
    """Columns aligned, spaced and ruled by classes of their cells."""
    aligned = table.attrib.pop("columnalign", "center").split()
    gaps = table.attrib.pop("columnspacing", "1em").split()
    columns = table.attrib.pop("columnlines", "none").split()
    rows = table.attrib.pop("rowlines", "none").split()
    spacing = float(table.attrib.pop("rowspacing", "0em").removesuffix("em"))
    table.set("class", "open" if spacing > 0.2 else "close")
    for r, row in enumerate(table):
        row[:] = [cell for cell in row if cell.get("class") not in ("mtr-glue", "mml-eqn-num")]
        for c, cell in enumerate(row):
            classes = [repeating(aligned, c)]
            if c and repeating(gaps, c - 1) == "0em":
                classes.append("joined")
            if c and repeating(columns, c - 1) != "none":
                classes.append("ruled-left")
            if r and repeating(rows, r - 1) != "none":
                classes.append("ruled-above")
            cell.set("class", " ".join(classes))


def repeating(values: list[str], index: int) -> str:
    """An entry of a MathML list attribute, whose last value repeats."""
    return values[min(index, len(values) - 1)]


def space_functions(row: ElementTree.Element) -> None:
    """A thin space between a function and an argument without parentheses: log x, not logx."""
    for index in reversed(range(1, len(row))):
        if is_function(row[index - 1]) and first(row[index]).tag != "mo":
            row.insert(index, ElementTree.Element("mspace", width="0.1667em"))


def calm_fences(row: ElementTree.Element) -> None:
    r"""Parentheses of \left and \right around a plain line of text keep the size of that line."""
    if not any(element.tag in TALL for element in row.iter()):
        for element in row:
            if element.get("fence") == "true":
                element.set("stretchy", "false")


def is_function(element: ElementTree.Element) -> bool:
    """Whether it is the invisible mark after a function's name, or the name and its mark with an index or power."""
    if element.tag in SCRIPTED:
        return is_function(element[0])
    if element.tag == "mrow" and len(element):
        return is_function(element[-1])
    return element.text == FUNCTION_APPLICATION


def first(element: ElementTree.Element) -> ElementTree.Element:
    """The first element drawn in it."""
    return first(element[0]) if len(element) else element
