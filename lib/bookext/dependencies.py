"""Pages follow what they were computed from.

Sphinx reads a page again when its source changes, and knows nothing of the facts and formulas behind it.
Two digests, kept in the environment, tell it: one of what a notebook computes with (a change executes every
notebook again), one of what only the pages link (a change writes every page again).
"""

import hashlib
from pathlib import Path

import llmcost

HERE = Path(__file__).parent


def digest(*roots: Path, suffixes: tuple[str, ...] = ()) -> str:
    """Of the names and contents of all files below the roots (a root may be a file, or not exist)."""
    seen = hashlib.sha256()
    for root in roots:
        for path in sorted([root, *root.rglob("*")]):
            if path.is_file() and "__pycache__" not in path.parts and (not suffixes or path.suffix in suffixes):
                seen.update(f"{path.relative_to(root.parent)}\0{path.stat().st_size}\0".encode())
                seen.update(path.read_bytes())
    return seen.hexdigest()


def outdated(app, env, added, changed, removed):
    """Every page, when a fact, a formula, this extension or the environment is not what it was."""
    book = Path(app.srcdir)
    current = digest(book / "data", book / "requirements.txt", book / "constraints.txt",
                     Path(llmcost.__file__).parent, *HERE.glob("*.py"))
    before, env.book_computed_from = getattr(env, "book_computed_from", current), current
    return [] if before == current else list(env.found_docs)


def rewritten(app, env):
    """Every page, when a style sheet or the front end of the controls is not what it was."""
    current = digest(Path(app.srcdir) / "_static", HERE / "static")
    before, env.book_linked = getattr(env, "book_linked", current), current
    return [] if before == current else list(env.found_docs)


def setup(app):
    app.connect("env-get-outdated", outdated)
    app.connect("env-updated", rewritten)
