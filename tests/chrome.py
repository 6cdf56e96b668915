"""The browser of the tests, and the built site on a free port."""

import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import yaml
from bookext.serve import Quiet, server

ROOT = Path(__file__).parents[1]
SITE = ROOT / "_build" / "html"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]


def chrome() -> str:
    """The path of the browser that ./book found, or of the first one on PATH.

    Raises FileNotFoundError when there is none.
    """
    for name in (os.environ.get("CHROME"), "chromium", "google-chrome", "google-chrome-stable", "chromium-browser"):
        if name and shutil.which(name):
            return shutil.which(name)
    raise FileNotFoundError("no Chromium or Chrome on PATH: ./book test installs one, or name yours in CHROME")


def pages() -> list[str]:
    """The addresses of the chapters, in the order of the book."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    chapters = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    return [f"{name}.html" for name in (toc["root"], *chapters)]


def build() -> None:
    """Bring _build/html up to date when a source is newer than what `./book build` left there."""
    complete = ROOT / "_build" / "complete"
    sources = [ROOT / "_config.yml", ROOT / "_toc.yml"]
    for folder in ("chapters", "data", "lib", "_static"):
        sources += [path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    if complete.exists() and complete.stat().st_mtime >= max(path.stat().st_mtime for path in sources):
        return
    command = [Path(sys.executable).with_name("jupyter-book"), "build", ROOT, "-q", "-W", "-n", "--keep-going"]
    subprocess.run(command, check=True, env=os.environ | {"LLMCOST_STATIC": "1"})
    complete.touch()


@contextmanager
def serving(folder: Path = SITE, handler=Quiet):
    """The address at which the folder is served while this lasts."""
    site = server(str(folder), handler=handler)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{site.server_port}/"
    finally:
        site.shutdown()
        site.server_close()
