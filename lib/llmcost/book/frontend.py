"""How a control reaches the reader: as plain HTML for the built page, with its script for a live kernel."""

import html
import json
import os
import re
from functools import cache
from importlib.resources import files

from .. import faces

STATIC = "LLMCOST_STATIC"


def static() -> bool:
    """True while notebooks are built, refreshed or tested: outputs then hold no script and no widget."""
    return bool(os.environ.get(STATIC))


class Markup:
    """Something that shows itself as HTML."""

    def __init__(self, markup: str):
        self._markup = markup

    def _repr_html_(self) -> str:
        return self._markup

    def __repr__(self) -> str:
        return ""


class Interactive(Markup):
    """Markup that the front end brings to life.

    The built page links the front end as a file. A notebook has no page of its own to link from, and any
    cell may be run again or alone, so in a live kernel each output brings it.
    """

    def _repr_html_(self) -> str:
        return self._markup if static() else self._markup + _inline_front_end()


@cache
def _inline_front_end() -> str:
    folder = files("bookext") / "static"
    script = faces.javascript_module() + (folder / "controls.js").read_text(encoding="utf-8")
    style = (folder / "controls.css").read_text(encoding="utf-8")
    return f"<style>{style}</style><script>{script}</script>"


def data_block(spec: dict) -> str:
    """`spec` as the JSON block of a control; no text in it can end the block early."""
    text = json.dumps(spec, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return f'<script type="application/json">{text.replace("<", chr(92) + "u003c")}</script>'


def identifier(text: str) -> str:
    """`text` if it can name an element and stand in an address; else `ValueError`."""
    if not re.fullmatch(r"[a-z][a-z0-9-]*", text):
        raise ValueError(f"{text!r} cannot name a control; use small letters, digits and hyphens, as in kv-capacity")
    return text


def escape(text: str) -> str:
    """`text` with the characters that HTML reads as markup replaced, for content and attributes."""
    return html.escape(str(text), quote=True)
