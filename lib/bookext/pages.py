"""What the theme and the default extensions put on every page, cleaned up.

Scripts that a page does not need go; names and roles that assistive technology needs come;
every page says in one sentence what it is about; facts show their age.
"""

import datetime
import html
import re
from pathlib import Path

import pydata_sphinx_theme
from docutils import nodes
from sphinx.util import logging

from . import fonts, styles

logger = logging.getLogger(__name__)
THEME = Path(pydata_sphinx_theme.__file__).parent / "theme" / "pydata_sphinx_theme" / "static"
UNUSED_SCRIPTS = ("sphinx-thebe", "THEBE_JS_URL", "thebe_selector", "mathjax", "require.js")

# (what the theme writes, what the page gets instead)
REPAIRS = [
    # half a megabyte of script that draws the icons which the style sheet draws already
    (re.compile(r"\s*<!-- So that users can add custom icons -->|\s*<script[^>]*scripts/fontawesome\.js[^>]*></script>"),
     ""),
    # the settings of a live kernel that no page starts
    (re.compile(r'\s*<script type="text/x-thebe-config">.*?</script>\s*<script>kernelName = [^<]*</script>', re.DOTALL), ""),
    # a name that says something else than the button shows
    (re.compile(r'(<button[^>]*search-button[^>]*?) aria-label="Search"'), r"\1"),
    (re.compile(r'<summary aria-label="Toggle hidden content">'), "<summary>"),
    # a list whose entries are no list items
    (re.compile(r'<div role="list" class="citation-list">'), '<div class="citation-list">'),
    (re.compile(r'(<div class="citation"[^>]*) role="doc-biblioentry"'), r"\1"),
    # one name for the content of every exercise
    (re.compile(r' id="(?:exercise|solution)-content"'), ""),
    # a landmark for what stands outside of the main text
    (re.compile(r'class="bd-sidebar-primary bd-sidebar"(?! role)'),
     'class="bd-sidebar-primary bd-sidebar" role="complementary" aria-label="Book navigation"'),
]
PICTURE = re.compile(r'<img (?![^>]*loading=)([^>]*src="[^"]*(_images/[^"]+\.png)")')
RETRIEVED = re.compile(r'<time class="retrieved" datetime="(\d{4}-\d\d-\d\d)">([^<]*)</time>')
OLD_AFTER_DAYS = 180
# The theme measures every box of code at once, each time the page changes: on a long page a second on a phone.
# Here a box can be reached by keyboard until it is in sight and seen to need no scrolling.
MEASURES_ALL = ("forEach((e=>{e.tabIndex=e.scrollWidth>e.clientWidth||e.scrollHeight>e.clientHeight?0:-1}))")
MEASURES_SEEN = ("forEach((e=>{const s=window.boxesInSight||=new IntersectionObserver((t=>{const r=t.filter((t=>t.isIntersecting))"
                 ".map((({target:t})=>[t,t.scrollWidth>t.clientWidth||t.scrollHeight>t.clientHeight?0:-1]));"
                 "for(const[t,n]of r)t.tabIndex!==n&&(t.tabIndex=n)}));e.hasAttribute('tabindex')||(e.tabIndex=0),s.unobserve(e),s.observe(e)}))")
BLOCKING = re.compile(r'<script (src="[^"]*/(?:doctools|sphinx_highlight|clipboard\.min|copybutton|togglebutton|'
                      r'sphinx-book-theme)\.js[^"]*">)')
ICON_RULE = re.compile(r'(?:\.fa-[a-z0-9-]+:before,?)+\{content:"\\([0-9a-f]+)"\}')
FONT_FACES = re.compile(r"@font-face\{[^}]*\}")


def describe(app, pagename, templatename, context, doctree):
    """The first paragraph is the description that search engines show."""
    for name in ("script_files", "css_files"):
        context[name] = [file for file in context.get(name, []) if not unused(file)]
    if doctree is None or "description" in (context.get("meta") or {}):
        return
    paragraph = next((p for p in doctree.findall(nodes.paragraph) if isinstance(p.parent, nodes.section)), None)
    if paragraph is not None:
        text = " ".join(paragraph.astext().split())
        text = text if len(text) <= 160 else text[:157].rsplit(" ", 1)[0] + " ..."
        context["metatags"] = f'{context.get("metatags", "")}\n<meta name="description" content="{html.escape(text)}"/>'


def flag_age(app, pagename, templatename, context, doctree):
    """A fact that nobody looked up for half a year says so, counted on the day of the build."""
    def flagged(fact: re.Match) -> str:
        days = (datetime.date.today() - datetime.date.fromisoformat(fact[1])).days
        if days <= OLD_AFTER_DAYS:
            return fact[0]
        return f'<time class="retrieved aged" datetime="{fact[1]}">{fact[2]} ({days} days ago)</time>'

    if "body" in context:
        context["body"] = RETRIEVED.sub(flagged, context["body"])


def unused(file) -> bool:
    text = f'{getattr(file, "filename", file)} {getattr(file, "attributes", {}).get("body", "")}'
    return any(name in text for name in UNUSED_SCRIPTS)


def repair(app, exception):
    if exception or app.builder.format != "html":
        return
    site = Path(app.outdir)
    for page in site.rglob("*.html"):
        before = after = page.read_text("utf-8")
        for found, instead in REPAIRS:
            after = found.sub(instead, after)
        after = PICTURE.sub(lambda picture: patient(site, picture), after)
        if "searchtools.js" not in after:  # which wants doctools.js at once
            after = BLOCKING.sub(r"<script defer \1", after)
        if after != before:
            page.write_text(after, "utf-8")
    keep_used_icons(site)
    styles.prune(site)
    measure_what_is_seen(site / "_static" / "scripts" / "pydata-sphinx-theme.js")


def patient(site: Path, picture: re.Match) -> str:
    """A picture that loads when the reader comes near, and keeps its room until then."""
    header = (site / picture[2]).read_bytes()[16:24]  # of a PNG: width and height
    width, height = (int.from_bytes(header[i:i + 4], "big") for i in (0, 4))
    return f'<img loading="lazy" width="{width}" height="{height}" {picture[1]}'


def measure_what_is_seen(script: Path) -> None:
    text = script.read_text("utf-8")
    if MEASURES_ALL not in text and MEASURES_SEEN not in text:
        logger.warning("the theme's script has changed: look again at how it measures boxes of code", type="book", subtype="page")
    script.write_text(text.replace(MEASURES_ALL, MEASURES_SEEN), "utf-8")


def keep_used_icons(site: Path) -> None:
    """Of Font Awesome's 1,900 icons, the theme's style sheet and font keep those that a page shows."""
    static = site / "_static"
    css = (THEME / "styles" / "pydata-sphinx-theme.css").read_text("utf-8")
    for unneeded in (*static.glob("scripts/fontawesome.js*"), *static.glob("vendor/fontawesome/webfonts/*")):
        unneeded.unlink()

    shown = set()
    for path in (*site.rglob("*.html"), *static.glob("scripts/*.js")):
        shown.update(re.findall(r"\bfa-[a-z0-9-]+", path.read_text("utf-8")))
    drawn = {ord(icon) for icon in re.findall("[\ue000-\uf8ff]", css)}  # those in the theme's own rules

    def used(rule: re.Match) -> str:
        if shown.isdisjoint(re.findall(r"fa-[a-z0-9-]+", rule.group())):
            return ""
        drawn.add(int(rule.group(1), 16))
        return rule.group()

    css = ICON_RULE.sub(used, css)
    icons = fonts.subset(THEME / "vendor/fontawesome/webfonts/fa-solid-900.woff2", drawn, static / "book" / "icons.woff2")
    face = ('@font-face{font-family:"Font Awesome 6 Free";font-style:normal;font-weight:900;font-display:block;'
            f'src:url(../book/{icons.name}) format("woff2")}}')
    css = FONT_FACES.sub("", css) + face
    (static / "styles" / "pydata-sphinx-theme.css").write_text(css, "utf-8")


def setup(app):
    app.connect("html-page-context", describe, priority=900)
    app.connect("html-page-context", flag_age)
    app.connect("build-finished", repair, priority=900)
