"""The theme's style sheet, cut down to the rules that some page of the site can use.

The theme brings every utility class of Bootstrap: three hundred kilobytes that a phone has to read before it
shows anything. A rule goes when each of its selectors names a class that stands in no page and no script.
"""

import re
from collections.abc import Iterator
from pathlib import Path

CLASS = re.compile(r"\.(-?[_a-zA-Z][\w-]*)")
GROUPS = ("@media", "@supports", "@layer", "@container")


def prune(site: Path) -> None:
    """Rewrite the theme's style sheet in `site` for the pages that are there."""
    words = set()
    for path in (*site.rglob("*.html"), *(site / "_static").rglob("*.js")):
        words.update(re.findall(r"[\w-]+", path.read_text("utf-8")))
    theme = site / "_static" / "styles" / "pydata-sphinx-theme.css"
    theme.write_text(pruned(theme.read_text("utf-8"), words), "utf-8")


def pruned(css: str, words: set[str]) -> str:
    """`css` without the rules whose classes are not among `words`.

    >>> pruned(".a{x:1}.b,.c .a{x:2}@media print{.b{x:3}}p{x:4}", {"a"})
    '.a{x:1}p{x:4}'
    """
    kept = []
    for head, body in rules(css):
        if body is None:
            kept.append(head + ";")
        elif head.startswith(GROUPS):
            inner = pruned(body, words)
            kept.append(f"{head}{{{inner}}}" if inner else "")
        elif head.startswith("@"):
            kept.append(f"{head}{{{body}}}")
        else:
            selectors = [one for one in split(head) if set(CLASS.findall(without_negations(one))) <= words]
            kept.append(f"{','.join(selectors)}{{{body}}}" if selectors else "")
    return "".join(kept)


def without_negations(selector: str) -> str:
    """`selector` without what it only excludes, or offers as one of several."""
    return re.sub(r":(?:not|is|where|has)\((?:[^()]|\([^()]*\))*\)", "", selector)


def split(selectors: str) -> list[str]:
    """The selectors of a list; commas inside parentheses and brackets do not part them."""
    return re.findall(r"(?:[^,(\[]|\((?:[^()]|\([^()]*\))*\)|\[[^\]]*\])+", selectors)


def rules(css: str) -> Iterator[tuple[str, str | None]]:
    """What stands before each brace and between it and its partner; None for a statement without braces."""
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    start = place = 0
    quote = ""
    while place < len(css):
        sign = css[place]
        if quote:
            place += sign == "\\"
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign == ";":
            yield css[start:place].strip(), None
            start = place + 1
        elif sign == "{":
            end = partner(css, place)
            yield css[start:place].strip(), css[place + 1:end]
            place, start = end, end + 1
        place += 1


def partner(css: str, place: int) -> int:
    """Where the brace at `place` closes; braces in strings do not count."""
    depth = 0
    for sign in re.finditer(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|[{}]', css[place:]):
        depth += {"{": 1, "}": -1}.get(sign.group(), 0)
        if not depth:
            return place + sign.start()
    raise ValueError(f"a brace that never closes: {css[place:place + 80]}")
