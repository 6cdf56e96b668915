"""Imports point one way, formula modules stand alone, and only one module opens files."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

LIB = Path(__file__).parents[1] / "lib" / "llmcost"
FORMULAS = {"units", "elementwise", "attention", "attention_work", "moe", "transformer", "capacity", "roofline", "phases",
            "economics", "engine_steps", "load", "quantization", "bills", "operations", "collectives", "parallelism", "expert_parallelism",
            "speculation", "disaggregation", "long_context", "precision", "training", "notation", "formats",
            "energy", "ownership", "chips", "self_hosting", "tasks"}
MAY_IMPORT = {
    "__init__": set(), "units": set(), "elementwise": set(), "notation": set(), "formats": set(), "config_fields": set(),
    "usage": set(),
    "attention": {"units", "elementwise"},
    "attention_work": {"units", "elementwise", "attention"},
    "moe": {"units", "elementwise"},
    "transformer": {"units"},
    "precision": {"units", "elementwise"},
    "capacity": {"units", "elementwise"},
    "roofline": {"units", "elementwise"},
    "phases": {"units", "elementwise", "roofline"},
    "engine_steps": {"units", "elementwise", "roofline"},
    "load": {"units", "elementwise"},
    "quantization": {"units", "elementwise"},
    "bills": {"units", "elementwise", "phases"},
    "economics": {"units", "elementwise"},
    "training": {"units", "elementwise"},
    "energy": {"units", "elementwise"}, "ownership": {"units"}, "chips": {"units", "elementwise"}, "self_hosting": {"units", "elementwise"},
    "tasks": {"units", "elementwise"}, "traffic": {"load"},
    "operations": {"units", "elementwise", "attention_work", "roofline"},
    "collectives": {"units", "elementwise"},
    "parallelism": {"units", "elementwise", "collectives"},
    "expert_parallelism": {"units", "elementwise", "capacity", "moe", "parallelism"},
    "speculation": {"units", "elementwise", "moe", "phases", "roofline"},
    "disaggregation": {"units", "elementwise"},
    "long_context": {"units", "elementwise", "attention"},
    "linear_attention": set(),
    "layer_operations": {"attention_work", "operations", "roofline"},
    "layers": {"attention", "attention_work", "layer_operations", "transformer"},
    "ledger": {"layer_operations", "layers", "operations", "roofline"},
    "shapes": {"layers", "ledger", "moe", "transformer"},
    "counting": set(),
    "workload": set(), "prefix_cache": set(), "engine": {"workload"},
    "scheduling": {"engine", "prefix_cache", "workload"},
    "reference_model": set(),  # no formula: what it does is counted and held against them
    "config_layers": {"config_fields"},
    "config_experts": {"config_fields", "config_layers"},
    "architectures": {"config_experts", "config_fields", "config_layers"},
    "configs": {"architectures", "config_fields", "config_layers"},
    "vision": {"config_fields"},
    "records": {"shapes"},
    "files": {"records"},
    "catalog": {"files", "configs", "notation", "precision", "records"},
    "prices": {"catalog", "files", "records"},
    "faces": {"attention", "attention_work", "moe", "transformer", "precision", "capacity", "roofline", "phases",
              "bills", "economics", "engine_steps", "load", "quantization", "operations", "collectives", "parallelism", "training", "notation",
              "energy", "ownership", "chips", "self_hosting", "tasks",
              "expert_parallelism", "speculation", "disaggregation", "long_context"},
    "recomputed": {"arrivals", "bills", "catalog", "counting", "engine", "expert_serving", "faces", "layer_operations", "layouts", "ledger", "moe", "phases", "precision", "prediction",
                   "prices", "records", "reference_model", "routing", "scheduling", "serving", "step_costs", "training", "workload"},
    "conclusions": {"arrivals", "bills", "catalog", "energy", "ownership", "engine", "engine_steps", "expert_serving", "faces", "layer_operations", "layouts", "ledger", "operations", "phases", "prediction",
                    "prices", "quantization", "roofline", "scheduling", "serving", "step_costs", "training", "workload"},
    "served": {"arrivals", "catalog", "engine", "expert_serving", "layouts", "precision", "scheduling", "serving", "step_costs"},
    "evaluation": {"catalog", "conclusions", "faces", "prices", "recomputed", "served"},
    "claims": {"evaluation", "files"}, "numerals": {"claims", "files"}, "takeaways": {"evaluation", "files"},
    "coverage": {"files"}, "standing": {"catalog", "claims", "files", "records", "takeaways"},
    "museum": {"attention", "catalog", "claims", "configs", "elementwise", "faces", "files", "units"},
    "layouts": {"capacity", "collectives", "faces", "parallelism", "phases", "transformer"},
    "queueing": set(), "quantizing": set(), "measuring": set(), "measure_cuda": set(),
    "serving": {"capacity", "collectives", "engine_steps", "faces", "layouts", "load", "parallelism", "phases", "queueing"},
    "prediction": {"attention_work", "catalog", "files", "precision", "shapes"}, "__main__": {"coverage", "files", "museum", "numerals", "prediction", "records", "standing"},
    "routing": set(),
    "expert_serving": {"capacity", "engine_steps", "expert_parallelism", "layouts", "parallelism", "serving"},
    "split_fleet": {"attention", "disaggregation", "phases", "serving"}, "price_cards": set(),
    "step_costs": {"attention_work", "engine_steps", "layouts", "moe", "parallelism", "phases", "roofline", "serving"},
    "arrivals": {"workload"}, "traces": {"workload"}, "fleet": {"engine", "scheduling", "workload"},
    "accounting": {"economics", "phases", "serving", "workload"},
    "book": {"catalog", "claims", "faces", "formats", "layers", "museum", "notation", "numerals", "precision", "prices", "queueing", "records", "takeaways", "usage"},
}
MAY_IMPORT_FROM_OUTSIDE = {"faces": {"sympy"}, "counting": {"numpy"}, "reference_model": {"numpy"}, "queueing": {"numpy"}, "quantizing": {"numpy"}, "measuring": {"numpy"}, "measure_cuda": {"torch"}, "serving": {"numpy"}, "routing": {"numpy"}, "linear_attention": {"numpy"}, "prediction": {"numpy"}, "expert_serving": {"numpy"}, "split_fleet": {"numpy"}, "step_costs": {"numpy"}, "arrivals": {"numpy"},
                           "fleet": {"numpy"}, "accounting": {"numpy"}, "recomputed": {"numpy"}, "served": {"numpy"}, "conclusions": {"numpy"},
                           "scheduling": {"numpy"}, "workload": {"numpy"},
                           "book": {"IPython", "ipywidgets", "matplotlib", "cycler", "numpy"}}
STANDARD = set(sys.stdlib_module_names)


def modules():
    return sorted(LIB.rglob("*.py"))


def owner(path: Path) -> str:
    """The module that `path` belongs to: the package `book` counts as one."""
    return path.relative_to(LIB).parts[0].removesuffix(".py")


def imports(path: Path) -> tuple[set[str], set[str]]:
    """Modules of ours, and top-level packages of others, that the file names in an import."""
    ours, others = set(), set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            up = node.level - (1 if owner(path) == path.stem or owner(path) == "__init__" else 2)
            if up == 0 and path.parent != LIB and node.level == 1:
                continue  # a neighbor inside the package
            ours |= {node.module.split(".")[0]} if node.module else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            others.add(node.module.split(".")[0])
        elif isinstance(node, ast.Import):
            others |= {alias.name.split(".")[0] for alias in node.names}
    return ours - {owner(path)} if path.parent != LIB else ours, others


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(LIB)))
def test_imports_point_one_way(path):
    ours, others = imports(path)
    if path.parent != LIB:
        ours = {name for name in ours if (LIB / f"{name}.py").exists() or (LIB / name).is_dir()}
    assert ours <= MAY_IMPORT[owner(path)]
    assert others - STANDARD <= MAY_IMPORT_FROM_OUTSIDE.get(owner(path), set())


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(LIB)))
def test_only_one_module_opens_data(path):
    text = path.read_text(encoding="utf-8")
    if owner(path) != "files":
        assert "open(" not in text and "DATA" not in text.replace("data_block", "")


def test_formulas_import_nothing_from_outside():
    """They run wherever Python runs: no NumPy, no SymPy, no IPython is loaded by importing them."""
    code = ("import sys\nfrom llmcost import attention, moe, transformer, phases, notation, formats\n"
            "print([m for m in ('numpy', 'sympy', 'IPython', 'ipywidgets', 'matplotlib') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(LIB)))
def test_public_functions_say_what_they_do(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_") and node.col_offset == 0:
            assert ast.get_docstring(node), f"{node.name} has no docstring"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(LIB)))
def test_modules_hold_one_subject(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 330
