"""The site stands on its own: no page loads a script, style, image, font or frame from another host."""

import re
from html.parser import HTMLParser
from pathlib import Path

from sphinx.util import logging

logger = logging.getLogger(__name__)

FOREIGN = re.compile(r"\s*(https?:)?//", re.IGNORECASE)
CSS_LOADS = re.compile(r"""(?:url\(|@import)\s*["']?\s*((?:https?:)?//[^"')\s]+)""", re.IGNORECASE)
LOADING_LINKS = {"stylesheet", "preload", "modulepreload", "prefetch", "preconnect", "dns-prefetch", "icon",
                 "manifest", "apple-touch-icon"}
SOURCES = {"src", "srcset", "poster", "data"}


class Loads(HTMLParser):
    """Collects the addresses on other hosts that a browser would ask for while it shows a page."""

    def __init__(self):
        super().__init__()
        self.foreign: list[str] = []
        self.in_style = False

    def handle_starttag(self, tag, attributes):
        given = {name: value or "" for name, value in attributes}
        self.in_style = tag == "style"
        for name, value in given.items():
            loads = name in SOURCES or (tag == "link" and name == "href" and self.is_loading(given)) \
                or (tag in ("image", "use") and name in ("href", "xlink:href"))
            if loads and FOREIGN.match(value):
                self.foreign.append(value)
        self.foreign += CSS_LOADS.findall(given.get("style", ""))

    @staticmethod
    def is_loading(link):
        return not LOADING_LINKS.isdisjoint(link.get("rel", "").lower().split())

    def handle_data(self, text):
        if self.in_style:
            self.foreign += CSS_LOADS.findall(text)


def foreign_loads(path: Path) -> list[str]:
    """Addresses on other hosts that this page or style sheet loads."""
    text = path.read_text("utf-8")
    if path.suffix == ".css":
        return CSS_LOADS.findall(text)
    page = Loads()
    page.feed(text)
    return page.foreign


def report(app, exception):
    if exception or app.builder.format != "html":
        return
    site = Path(app.outdir)
    for path in sorted([*site.rglob("*.html"), *site.rglob("*.css")]):
        for address in foreign_loads(path):
            logger.warning("%s loads %s: put a copy into the book, or link to it",
                           path.relative_to(site), address, type="book", subtype="hosting")


def setup(app):
    app.connect("build-finished", report, priority=950)  # after the clean-up of pages
