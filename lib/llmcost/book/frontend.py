"""How a control reaches the reader: as plain HTML for the built page, with its script for a live kernel."""

import html
import json
import os
from functools import cache
from importlib.resources import files

from .. import faces

STATIC = "LLMCOST_STATIC"


def static() -> bool:
    """True while notebooks are built, refreshed or tested: outputs then hold no script and no widget."""
    return bool(os.environ.get(STATIC))


def page_html(markup: str) -> str:
    """`markup`, in a live kernel followed by the front end.

    The built page links the front end as a file. A notebook has no page of its own to link from, and
    any cell may be run again or alone, so each output brings it; the script leaves at once where
    it has run before.
    """
    return markup if static() else markup + _inline_front_end()


@cache
def _inline_front_end() -> str:
    folder = files("bookext") / "static"
    script = faces.javascript_module() + (folder / "controls.js").read_text(encoding="utf-8")
    style = (folder / "controls.css").read_text(encoding="utf-8")
    guarded = f"if (!(globalThis.llmcost && globalThis.llmcost.mount)) {{\n{script}\n}}"
    return f"<style>{style}</style><script>{guarded}</script>"


def data_block(spec: dict) -> str:
    """`spec` as the JSON block of a control; `</` cannot end the block early."""
    text = json.dumps(spec, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return f'<script type="application/json">{text.replace("</", chr(60) + chr(92) + "/")}</script>'


def escape(text: str) -> str:
    """`text` with the characters that HTML reads as markup replaced, for content and attributes."""
    return html.escape(str(text), quote=True)
