"""Execute notebooks in place: the same outputs each time, to be committed.

`python -m bookext.refresh chapters/kv_cache.ipynb ...`
"""

import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ADDRESS = re.compile(r"0x[0-9a-f]{6,16}")


def refresh(path: Path) -> bool:
    """Execute a notebook and store its outputs without times, addresses and widget state. True if it changed.

    Raises nbclient's CellExecutionError when a cell fails; the file then stays as it was.
    """
    before = path.read_text("utf-8")
    notebook = nbformat.reads(before, as_version=4)
    NotebookClient(notebook, timeout=120, kernel_name="python3", record_timing=False,
                   resources={"metadata": {"path": str(path.parent)}}).execute()
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                         "language_info": {"name": "python"}}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            steady(output)
    after = nbformat.writes(notebook) + "\n"
    if after != before:
        path.write_text(after, "utf-8")
    return after != before


def steady(output) -> None:
    """Mask in an output what changes from run to run."""
    if "text" in output:
        output["text"] = ADDRESS.sub("0xADDR", output["text"])
    data = output.get("data", {})
    for kind, value in data.items():
        if isinstance(value, str) and kind.startswith("text/"):
            data[kind] = ADDRESS.sub("0xADDR", value)
    widget = data.get("application/vnd.jupyter.widget-view+json")
    if widget:
        widget["model_id"] = "0" * 32


if __name__ == "__main__":
    for name in sys.argv[1:]:
        begun = time.monotonic()
        changed = refresh(Path(name))
        print(f"{name}: {'refreshed' if changed else 'as it was'} ({time.monotonic() - begun:.1f} s)")
