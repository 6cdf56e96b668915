"""The slow checks, for people who change how the site is made: `./book audit` prints one table.

Lighthouse (mobile and desktop), compressed kilobytes until a page has loaded, and how long a slider takes to repaint.
"""

import gzip
import io
import json
import statistics
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from bookext.serve import Quiet
from chrome import ARGUMENTS, SITE, chrome, serving
from playwright.sync_api import sync_playwright

LIGHTHOUSE = "lighthouse@12.8.2"
CATEGORIES = {"performance": "perf.", "accessibility": "access.", "best-practices": "practice", "seo": "search"}
PAGES = tuple(f"chapters/{name}.html" for name in ("intro", "token_billing", "training_and_inference", "prefill_and_decode", "transformer_flops",
                                                      "kv_cache", "batching", "tensor_parallelism", "latency_and_throughput",
                                                      "quantization", "your_machine", "expert_parallelism", "deepseek_economics", "throughput", "linear_attention", "choosing_hardware", "museum"))
COMPRESSIBLE = {".html", ".css", ".js", ".svg", ".json", ".txt"}
PRESSES = 60

# From a key press to the second frame after it, in milliseconds.
LATENCY = """async ([id, presses]) => {
  const slider = document.getElementById(id), times = [];
  const frame = () => new Promise(requestAnimationFrame);
  for (let i = 0; i < presses; i++) {
    const begun = performance.now();
    slider.value = i % 2 ? slider.min : slider.max;
    slider.dispatchEvent(new Event("input", {bubbles: true}));
    await frame(); await new Promise(done => setTimeout(done));
    times.push(performance.now() - begun);
  }
  return times;
}"""


class Compressing(Quiet):
    """Serves text as hosts of static sites do: compressed, over connections that stay open."""

    protocol_version = "HTTP/1.1"

    def send_head(self):
        path = Path(self.translate_path(self.path))
        if path.suffix not in COMPRESSIBLE or not path.is_file():
            return super().send_head()
        content = gzip.compress(path.read_bytes())
        self.send_response(200)
        for name, value in (("Content-Type", self.guess_type(path)), ("Content-Encoding", "gzip"),
                            ("Content-Length", str(len(content))), ("Cache-Control", "max-age=600")):
            self.send_header(name, value)
        self.end_headers()
        return io.BytesIO(content)


def lighthouse(address: str, desktop: bool) -> dict[str, int]:
    """Scores out of 100 by category, for a mobile phone or a desktop.

    Raises RuntimeError with what Lighthouse printed when it fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = ["npx", "--yes", LIGHTHOUSE, address, "--output=json", f"--output-path={report}", "--quiet",
                   f"--only-categories={','.join(CATEGORIES)}", f"--chrome-path={chrome()}",
                   f"--chrome-flags=--headless=new {' '.join(flag for flag in ARGUMENTS if ' ' not in flag)}"]
        done = subprocess.run([*command, "--preset=desktop"] if desktop else command, capture_output=True, text=True)
        if done.returncode or not report.exists():
            raise RuntimeError(f"Lighthouse failed on {address}:\n{done.stdout}{done.stderr}")
        scores = json.loads(report.read_text("utf-8"))["categories"]
    return {name: round(100 * scores[name]["score"]) for name in CATEGORIES}


def kilobytes(browser, site: str, address: str) -> float:
    """Kilobytes that a first visit transfers from a server that compresses text."""
    page = browser.new_context().new_page()
    loaded = set()
    page.on("response", lambda response: loaded.add(urlsplit(response.url).path.lstrip("/")))
    page.goto(site + address, wait_until="networkidle")
    page.context.close()
    files = [path for path in (SITE / name for name in loaded) if path.is_file()]
    return sum(len(gzip.compress(file.read_bytes()) if file.suffix in COMPRESSIBLE else file.read_bytes())
               for file in files) / 1000


def latency(browser, site: str, address: str) -> list[float]:
    """Milliseconds from moving a slider to the repainted page, for the first slider on it; empty without one."""
    page = browser.new_page()
    page.goto(site + address)
    page.wait_for_function("document.documentElement.dataset.controls === 'ready'")
    slider = page.locator('[data-explore] input[type="range"]').first
    times = page.evaluate(LATENCY, [slider.get_attribute("id"), PRESSES]) if slider.count() else []
    page.close()
    return sorted(times)


def main():
    columns = [*CATEGORIES.values(), "kB", "slider median", "slider 95 %"]
    print(f"{'page':<40}{'on':<9}" + "".join(f"{name:>14}" for name in columns))
    with serving(handler=Compressing) as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chrome(), args=ARGUMENTS)
        for address in PAGES:
            size, times = kilobytes(browser, site, address), latency(browser, site, address)
            spread = [f"{statistics.median(times):.1f} ms", f"{times[int(.95 * len(times))]:.1f} ms"] if times else ["", ""]
            for desktop in (False, True):
                scores = lighthouse(site + address, desktop)
                cells = [*map(str, scores.values()), f"{size:.0f}", *spread]
                print(f"{address:<40}{'desktop' if desktop else 'mobile':<9}" + "".join(f"{cell:>14}" for cell in cells))
        browser.close()


if __name__ == "__main__":
    main()
