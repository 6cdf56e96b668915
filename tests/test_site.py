"""The built pages in a browser: quiet, self-contained, narrow enough, accessible, readable without scripts."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from chrome import SITE, pages
from states import specification

PAGES = pages()
THEMES = ("light", "dark")
WIDTHS = (1280, 390)

# What a reader sees outside of code.
PROSE = """() => {
  const main = document.querySelector("main").cloneNode(true);
  for (const code of main.querySelectorAll("pre, code, script")) code.remove();
  return main.textContent;
}"""


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("address", [*PAGES, "search.html"])
def test_page_is_quiet_narrow_and_accessible(open_page, address, theme, width):
    page = open_page(address, theme, width)
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "the body scrolls sideways"
    assert page.complaints == []
    assert re.findall(r"\$\$|\\(?:begin|frac|text)\b|\{[a-z:]+\}`", page.evaluate(PROSE)) == [], "markup that was not set"
    options = {"preload": False, "resultTypes": ["violations"],
               "rules": {"color-contrast": {"enabled": width == max(WIDTHS)}}}  # slow, and the same at each width
    results = Axe().run(page, options=options).response
    assert [f"{found['id']}: {node['target']} {node['failureSummary']}" for found in results["violations"]
            if found["impact"] in ("serious", "critical") for node in found["nodes"]] == []


@pytest.mark.parametrize("address", PAGES)
def test_names_on_a_page_are_told_apart(address):
    names = re.findall(r'<[a-z][^>]* id="([^"]+)"', (SITE / address).read_text("utf-8"))
    assert sorted({name for name in names if names.count(name) > 1}) == []


@pytest.mark.parametrize("address", PAGES)
def test_page_reads_without_scripts(reader, site, address):
    with reader.browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(site + address)
        assert page.locator("article h1").count() == 1
        assert page.locator('meta[name="description"]').count() == 1
        assert page.locator(".explore :is(input, select, textarea), .question input").count() == 0, "a dead control"
        for figure in page.locator("[data-explore]").all():
            assert not specification(figure)["plot"] or figure.locator(".explore-view svg").count() == 1


def test_the_address_alone_leads_to_the_introduction(reader, site):
    page = reader.new_page()
    page.goto(site)
    page.wait_for_url(site + PAGES[0])


def test_the_numbers_to_know_are_one_printed_sheet(open_page):
    page = open_page("chapters/numbers_to_know.html")
    for size in ("A4", "Letter"):
        sheets = re.findall(rb"/Type\s*/Page\b", page.pdf(format=size))
        assert len(sheets) == 1, size
