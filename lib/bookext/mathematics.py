"""LaTeX becomes MathML when the book is built: no page needs a script or a style sheet to show it.

KaTeX parses the LaTeX, inside QuickJS; browsers draw MathML themselves, in STIX Two Math.
KaTeX is read from the wheel of sphinxcontrib-katex, the font from that of ziamath.
"""

import functools
import hashlib
import html
import json
import re
import string
from importlib.util import find_spec
from pathlib import Path

from docutils import nodes
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

from . import fonts, mathml

HERE = Path(__file__).parent
FONT = Path(find_spec("ziamath").origin).parent / "fonts" / "STIXTwoMath-Regular.ttf"
KATEX = Path(find_spec("sphinxcontrib.katex").origin).with_name("katex.min.js")
STYLE = "book/math.css"
MATH = re.compile(r"<math\b.*?</math>", re.DOTALL)

logger = logging.getLogger(__name__)

# Environments that KaTeX numbers by itself; Sphinx numbers ours.
NUMBERED = re.compile(r"\\(begin|end)\{(equation|align|gather|alignat)\}")


class LaTeXError(ValueError):
    """LaTeX that KaTeX cannot parse."""


@functools.cache
def katex():
    """A function (LaTeX, display) -> KaTeX's own MathML, as text."""
    import quickjs

    context = quickjs.Context()
    context.eval(KATEX.read_text("utf-8"))
    context.eval("""
        function render(tex, displayMode) {
          return katex.renderToString(tex, {output: "mathml", displayMode, throwOnError: true, strict: "error"});
        }""")
    return context.get("render")


@functools.lru_cache(maxsize=None)
def render(latex: str, display: bool = False) -> str:
    """MathML of a formula.

    Raises LaTeXError with KaTeX's message when it is not valid LaTeX or has no MathML that browsers draw.
    """
    import quickjs

    try:
        return mathml.clean(katex()(NUMBERED.sub(r"\\\1{\2*}", latex), display))
    except (quickjs.JSException, mathml.Undrawable) as error:
        raise LaTeXError(str(error).strip().splitlines()[0]) from error


def displayed(node: nodes.math_block) -> str:
    """The LaTeX of a displayed formula: paragraphs are lines, and a line break needs an environment."""
    parts = [part.strip() for part in node.astext().split("\n\n") if part.strip()]
    if node.get("nowrap"):
        return node.astext()
    if len(parts) > 1:
        return r"\begin{gathered}" + r"\\".join(parts) + r"\end{gathered}"
    return parts[0] if parts else ""


def drawn(node: nodes.Node, latex: str, display: bool) -> str:
    """MathML, or the LaTeX itself with a warning that says where it stands."""
    try:
        return render(latex, display)
    except LaTeXError as error:
        logger.warning("LaTeX: %s in %s", error, json.dumps(latex), location=node, type="book", subtype="math")
        return f'<code class="math-error">{html.escape(latex)}</code>'


def visit_math(translator, node):
    translator.body.append(translator.starttag(node, "span", "", CLASS="math"))
    translator.body.append(drawn(node, node.astext(), False) + "</span>")
    raise nodes.SkipNode


def visit_math_block(translator, node):
    # The theme makes what scrolls in this class reachable by keyboard.
    translator.body.append(translator.starttag(node, "div", CLASS="math"))
    translator.body.append(f'<div class="math-formula pst-scrollable-table-container">'
                           f'{drawn(node, displayed(node), True)}</div>')
    if node.get("number"):
        translator.body.append(f'<span class="eqno">({get_node_equation_number(translator, node)})')
        translator.add_permalink_ref(node, "Link to this equation")
        translator.body.append("</span>")
    translator.body.append("</div>\n")
    raise nodes.SkipNode


def link(app, pagename, templatename, context, doctree):
    if "<math" in context.get("body", ""):
        app.add_css_file(STYLE)


def typeset(app, exception):
    """The style sheet of formulas, and its font with the characters that the pages show."""
    if exception or app.builder.format != "html":
        return
    site = Path(app.outdir)
    pages = {path: path.read_text("utf-8") for path in site.rglob("*.html")}
    shown = "".join(text for page in pages.values() for text in MATH.findall(page))
    font = fonts.subset(FONT, characters(shown), site / "_static" / "book" / "math.woff2", features=("ssty",))
    style = (f'@font-face {{ font-family: "STIX Two Math"; src: url("{font.name}") format("woff2");'
             f' font-display: swap; }}\n{(HERE / "static" / "math.css").read_text("utf-8")}')
    (site / "_static" / STYLE).write_text(style, "utf-8")
    linked = f"{STYLE}?v={hashlib.sha256(style.encode()).hexdigest()[:8]}"
    for path, page in pages.items():
        current = re.sub(re.escape(STYLE) + r"(\?v=\w*)?", linked, page)
        if current != page:
            path.write_text(current, "utf-8")


def characters(shown: str) -> set[int]:
    """Code points that draw these formulas: a single letter in <mi> is drawn as the italic letter of Unicode."""
    used = set(html.unescape(re.sub(r"<[^>]*>", "", shown))) | set(string.digits + "+-−=()[]{}|,./·×√ℎ")
    return {ord(c) for letter in used for c in (letter, mathml.letter(letter, "italic"))}


def setup(app):
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.connect("html-page-context", link, priority=900)
    app.connect("build-finished", typeset, priority=910)
