"""Shared by all tests: the outputs of notebooks are static, random numbers repeat, and there is one browser."""

import os

import numpy
import pytest

os.environ["LLMCOST_STATIC"] = "1"


@pytest.fixture
def rng():
    return numpy.random.default_rng(20261121)


@pytest.fixture(scope="module")
def site():
    """The address of the built book."""
    from chrome import build, serving

    build()
    with serving() as address:
        yield address


@pytest.fixture(scope="module")
def reader():
    """One browser with one cache for all tests, as a reader has."""
    from chrome import ARGUMENTS, chrome
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chrome(), args=ARGUMENTS)
        yield chromium.new_context()
        chromium.close()


@pytest.fixture
def open_page(reader, site):
    """Open a page; what goes wrong while it is open ends up in `page.complaints`."""
    def visit(address: str, theme: str = "light", width: int = 1280):
        page = reader.new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=theme)
        page.complaints = complaints = []
        page.on("console", lambda message: message.type == "error" and complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"script: {error}"))
        page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
        page.on("response", lambda answer: answer.status >= 400 and complaints.append(f"{answer.status}: {answer.url}"))
        page.on("request", lambda request: request.url.startswith((site, "data:", "blob:"))
                or complaints.append(f"another host: {request.url}"))
        page.goto(site + address)
        page.evaluate("document.fonts.ready")
        page.wait_for_function("!document.querySelector('[data-explore], [data-steps], [data-question]')"
                               " || document.documentElement.dataset.controls === 'ready'")
        return page

    yield visit
    for page in reader.pages:
        page.close()
