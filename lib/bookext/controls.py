"""The live controls: their files on the pages that have one, and their first drawing for readers without scripts.

The drawing is made by the same code that draws in the browser, run in QuickJS.
"""

import functools
import html
import json
import re
import shutil
from pathlib import Path

from sphinx.util import logging

logger = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
LIVE = re.compile(r"\bdata-(explore|steps|question)\b")
FIGURE = re.compile(r'<figure\b[^>]*\bdata-explore\b.*?</figure>', re.DOTALL)
SPEC = re.compile(r'<script type="application/json">(.*?)</script>', re.DOTALL)
EMPTY_VIEW = '<div class="explore-view"></div>'
EMPTY_CONTROLS = '<div class="explore-controls"></div>'
DRAWN_WIDTH = 640
PASTE_INPUTS, MOST_INPUTS = 4, 10  # a box to paste into is as tall as so many inputs; the style sheet counts no further


def formulas() -> str:
    """The script with every formula of the library in JavaScript."""
    from llmcost import faces

    return faces.javascript_module()


def place(app):
    """Put the front end where pages find it."""
    if app.builder.format != "html":
        return
    target = Path(app.outdir) / "_static" / "book"
    target.mkdir(parents=True, exist_ok=True)
    (target / "formulas.js").write_text(formulas(), "utf-8")
    for name in ("controls.js", "controls.css", "ledger.js"):
        shutil.copyfile(STATIC / name, target / name)


@functools.cache
def front_end():
    """A function from the JSON text of a control to the SVG of its first state, or the empty text without a plot."""
    import quickjs

    context = quickjs.Context()
    context.eval("var window = globalThis;")
    context.eval(formulas())
    context.eval((STATIC / "controls.js").read_text("utf-8"))
    context.eval(f"""
        function firstDrawing(text) {{
          const spec = JSON.parse(text);
          return spec.plot ? llmcost.draw(spec, llmcost.state(spec, {{}}), {DRAWN_WIDTH}) : "";
        }}""")
    return context.get("firstDrawing")


def draw(figure: str) -> str:
    """The HTML of a control with its first drawing in it, and the number of its inputs, which get their room before they come.

    Raises ValueError when it has no readable specification, or the front end cannot draw it.
    """
    import quickjs

    spec = SPEC.search(figure)
    if not spec:
        raise ValueError('it has no <script type="application/json">')
    try:
        drawing = front_end()(spec[1])
        given = json.loads(spec[1])
    except quickjs.JSException as error:
        raise ValueError(str(error).strip()) from error
    inputs = len(given.get("choices", [])) + sum(counts(slider, given) for slider in given.get("sliders", []))
    inputs = min(MOST_INPUTS, inputs + (PASTE_INPUTS if "paste" in given else 0))
    figure = figure.replace(EMPTY_CONTROLS, EMPTY_CONTROLS.replace("><", f' data-inputs="{inputs}"><'), 1)
    return figure.replace(EMPTY_VIEW, EMPTY_VIEW.replace("><", f">{drawing}<"), 1)


def counts(slider: dict, given: dict) -> bool:
    """True for a slider that is there in the first state of a control."""
    name, option = slider.get("when", (None, None))
    return not name or any(choice["name"] == name and choice["value"] == option for choice in given["choices"])


def fill(app, pagename, templatename, context, doctree):
    body = context.get("body", "")
    if "data-ledger" in body:
        app.add_js_file("book/ledger.js", loading_method="defer")
    if not LIVE.search(body):
        return

    def drawn(figure: re.Match) -> str:
        try:
            return draw(figure.group())
        except ValueError as error:
            name = re.search(r'id="([^"]*)"', figure.group())
            logger.warning("control %s: %s", name and html.unescape(name.group(1)), error, location=pagename,
                           type="book", subtype="control")
            return figure.group()

    context["body"] = FIGURE.sub(drawn, body)
    app.add_css_file("book/controls.css")
    for script in ("book/formulas.js", "book/controls.js"):
        app.add_js_file(script, loading_method="defer")


def setup(app):
    app.connect("builder-inited", place)
    app.connect("html-page-context", fill)
