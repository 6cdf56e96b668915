"""The files around the book: what they say is true, and they speak of nothing but the book."""

import doctest
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

import llmcost
from llmcost.__main__ import main

ROOT = Path(__file__).parents[1]
README, CONTRIBUTING = ((ROOT / name).read_text("utf-8") for name in ("README.md", "CONTRIBUTING.md"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
LIBRARY = tomllib.loads((ROOT / "lib" / "pyproject.toml").read_text("utf-8"))["project"]

PROMISES = {  # name that the notebook quotes -> how the README says it
    "n_lines": "| {} published lines",
    "worst_line": "| {} at worst",
    "assumed_overhead": "assuming {} on each GPU",
    "n_itemized": "the {} of them that itemize it",
    "n_calibration": "the median of {} lines of other models",
    "median_gap": "| {} at the median",
    "worst_gap": ", {} at worst",
}
NOT_CONSTRAINED = {"llmcost", "pip", "setuptools", "uv"}  # ours, and what installs
FOREIGN = re.compile(
    r"(?<![\w.])/(?:work|root|tmp|home)/[\w.]"                                # a place on one machine
    r"|\b(?:pypi\.org|pythonhosted\.org|registry\.npmjs\.org|yarnpkg\.com|conda\.anaconda\.org)"
    r"|\b(?:T[O]DO|F[I]XME)\b")


def section(text: str, title: str) -> str:
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)[1]


def pins(path: Path) -> dict[str, str]:
    """Name -> version. Raises AssertionError for a line that is no exact version of one package."""
    found = {}
    for line in path.read_text("utf-8").splitlines():
        if line and not line.startswith(("#", "-")):
            pin = re.fullmatch(r"([a-z0-9][a-z0-9-]*)==(\d[\w.]*)", line)
            assert pin, f"{path.name}: {line!r} is not an exact pin"
            assert pin[1] not in found, f"{path.name} pins {pin[1]} twice"
            found[pin[1]] = pin[2]
    return found


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def repository() -> list[Path]:
    """The files under version control or about to be; in a plain copy, all but what a run leaves behind."""
    if shutil.which("git") and (ROOT / ".git").exists():
        command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
        return [ROOT / name for name in listed if name and (ROOT / name).is_file()]
    found, left_behind = [], {".git", *re.findall(r"^([\w.]+)/$", (ROOT / ".gitignore").read_text("utf-8"), re.MULTILINE)}
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in left_behind and not name.endswith(".egg-info")]
        found += [Path(folder, name) for name in files]
    return found


# --- the README ----------------------------------------------------------------------------------

def test_readme_promises_what_the_chapter_found():
    """The figures of the README are those that kv_cache prints; there are no others beside them."""
    cell = json.loads((ROOT / "chapters" / "kv_cache.ipynb").read_text("utf-8"))["cells"][-1]
    printed = "".join("".join(output["text"]) for output in cell["outputs"])
    quoted = dict(re.findall(r"^(\w+) = (.+) \(\S+\)$", printed, re.MULTILINE))
    promises = section(README, "What is promised")
    for name, phrase in PROMISES.items():
        assert phrase.format(quoted[name]) in promises, f"{name} is {quoted[name]} in kv_cache"
        promises = promises.replace(phrase.format(quoted[name]), "")
    assert re.findall(r"\d[\d.,]*", promises) == []


def test_readme_names_each_command_and_no_other():
    usage = subprocess.run([ROOT / "book", "help"], capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"\./book (\w+)", README)) == set(re.findall(r"^  (\w+) ", usage, re.MULTILINE))


def test_readme_names_commands_of_the_library_that_exist(capsys):
    named = set(re.findall(r"python -m llmcost (\w+)", README))
    with pytest.raises(SystemExit):
        main(["--help"])
    assert named <= set(re.findall(r"^    (\w+)\b", capsys.readouterr().out, re.MULTILINE)) and named


def test_readme_example_gives_what_it_shows():
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    example = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "README.md", "README.md", 0)
    assert example.examples
    results = doctest.DocTestRunner().run(example)
    assert results.failed == 0, "run the example of the README to see what it gives"


def test_readme_layout_is_the_layout():
    paths = re.findall(r"`([^`]+)`", "\n".join(row.split("|")[1] for row in section(README, "Layout").splitlines() if row[:2] == "| "))
    assert paths
    assert [path for path in paths if not (ROOT / path).exists() or path.endswith("/") != (ROOT / path).is_dir()] == []


@pytest.mark.parametrize("text", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_links_of_the_repository_lead_somewhere(text):
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_picture_is_small():
    picture = (ROOT / ".github" / "live-page.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) < 150_000
    assert re.search(r"!\[[^\]]{40,}\]\(\.github/live-page\.png\)", README), "the picture needs a description"


# --- contributing --------------------------------------------------------------------------------

RULES = re.findall(r"^(\d+)\. (.*)$", CONTRIBUTING, re.MULTILINE)


def test_rules_are_numbered_in_order():
    assert [int(number) for number, _ in RULES] == list(range(1, len(RULES) + 1)) and RULES


@pytest.mark.parametrize("number, rule", RULES, ids=[number for number, _ in RULES])
def test_each_rule_names_a_test_that_exists(number, rule):
    named = re.findall(r"`(tests/[^`]+)`", rule)
    assert named, f"rule {number} names no test"
    assert all(re.fullmatch(r"tests/test_\w+\.py", name) and (ROOT / name).is_file() for name in named), named


def test_versions_are_renewed_for_the_oldest_python():
    oldest = LIBRARY["requires-python"].removeprefix(">=")
    assert re.findall(r"--python-version (\d+\.\d+)", CONTRIBUTING) == [oldest]
    assert f"Python {oldest} or newer" in README
    assert (ROOT / "binder" / "runtime.txt").read_text("utf-8") == f"python-{oldest}\n"


# --- versions ------------------------------------------------------------------------------------

def test_requirements_are_exact_and_among_the_constraints():
    requirements, constraints = pins(ROOT / "requirements.txt"), pins(ROOT / "constraints.txt")
    assert requirements and requirements.items() <= constraints.items()


def test_what_the_library_needs_is_required():
    assert set(LIBRARY["dependencies"]) <= set(pins(ROOT / "requirements.txt"))


def test_every_installed_package_has_the_constrained_version():
    constraints = pins(ROOT / "constraints.txt")
    installed = {canonical(found.name): found.version for found in importlib.metadata.distributions()}
    differ = {name: version for name, version in installed.items()
              if name not in NOT_CONSTRAINED and constraints.get(name) != version}
    assert differ == {}, "renew constraints.txt (see CONTRIBUTING.md), or make .venv anew"


def test_binder_installs_the_library_and_constrained_packages():
    """repo2docker runs `pip install -r binder/requirements.txt` in the root of the repository."""
    lines = [line for line in (ROOT / "binder" / "requirements.txt").read_text("utf-8").splitlines() if line[:1] != "#"]
    options = dict(line.split() for line in lines if line.startswith("-"))
    assert (ROOT / "binder" / options["-c"]).samefile(ROOT / "constraints.txt")
    assert (ROOT / options["-e"] / "pyproject.toml").is_file()
    packages = {line for line in lines if not line.startswith("-")}
    assert packages <= set(pins(ROOT / "requirements.txt"))


# --- scripts, workflows, citation ------------------------------------------------------------------

@pytest.mark.parametrize("name", ["book", ".ci/run"])
def test_scripts_are_posix_sh_and_executable(name):
    assert (ROOT / name).read_text("utf-8").startswith("#!/bin/sh\n")
    assert os.access(ROOT / name, os.X_OK)
    checked = subprocess.run(["sh", "-n", ROOT / name], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow_is_pinned_and_modest(path):
    workflow = yaml.safe_load(path.read_text("utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            assert re.fullmatch(r"actions/[\w-]+@v\d+", step.get("uses", "actions/none@v0"))
            assert step.get("run", "./book build").startswith(("./book ", "page=_build/html/"))


def test_only_the_deployment_may_write():
    jobs = [job for path in WORKFLOWS for job in yaml.safe_load(path.read_text("utf-8"))["jobs"].values()]
    assert [job["permissions"] for job in jobs if "permissions" in job] == [{"pages": "write", "id-token": "write"}]


def test_weekly_tries_every_supported_python_and_finds_aged_facts():
    text = (ROOT / ".github" / "workflows" / "weekly.yml").read_text("utf-8")
    tried = yaml.safe_load(text)["jobs"]["test"]["strategy"]["matrix"]["python-version"]
    found = (ROOT / "book").read_text("utf-8")
    assert sorted(tried) == sorted(set(re.findall(r"python(3\.\d+)", found)))
    assert 'class="retrieved aged"' in text and 'class="retrieved aged"' in (ROOT / "lib/bookext/pages.py").read_text("utf-8")


def test_citation_is_complete_and_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    configured = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    assert citation["cff-version"] == "1.2.0" and citation["message"] and citation["license"] == ["MIT", "CC-BY-4.0"]
    assert citation["title"] == configured["title"]
    assert citation["authors"] == [{"name": configured["author"]}]
    assert citation["version"] == llmcost.__version__ == LIBRARY["version"]
    said = f"{configured['author']}. *{citation['title']}*, version {citation['version']}, {citation['date-released'].year}."
    assert said in README
    assert f"Copyright (c) {configured['copyright']} {configured['author']}" in (ROOT / "LICENSE").read_text("utf-8")


# --- every file ------------------------------------------------------------------------------------

def test_files_speak_of_the_book_alone():
    found = []
    for path in repository():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue  # a picture
        found += [f"{path.relative_to(ROOT)}: {text[max(0, hit.start() - 30):hit.end() + 30]!r}" for hit in FOREIGN.finditer(text)]
    assert found == []


@pytest.mark.parametrize("text", ["see /wo" + "rk/a", '"/ro' + 'ot/.cache"', "(/t" + "mp/x.png)", "https://py" + "pi.org/simple",
                                  "# TO" + "DO: later", "FIX" + "ME"])
def test_a_foreign_word_would_be_seen(text):
    assert FOREIGN.search(text)


@pytest.mark.parametrize("text", ["https://example.org/root/page", "data/work/a", "../tmp/a", "tmp_path", "a todo list"])
def test_an_innocent_word_passes(text):
    assert not FOREIGN.search(text)


@pytest.mark.parametrize("path", [path for path in repository() if path.suffix == ".ipynb"], ids=lambda path: path.stem)
def test_notebooks_hold_no_widget_state(path):
    notebook = json.loads(path.read_text("utf-8"))
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}, "run ./book refresh"
    kinds = {kind for cell in notebook["cells"] for output in cell.get("outputs", []) for kind in output.get("data", {})}
    assert not any("widget" in kind for kind in kinds), "run ./book refresh"
