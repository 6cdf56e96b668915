"""Every operation of the reference model is in the closed form: leave one out, or do it twice, and the two part.

The sources of the model are compiled anew with every arithmetic operation passed through a switch. Then the model runs
once for each operation and mutation.
"""

import ast
import copy
import importlib
import importlib.machinery
import importlib.util
import operator
import sys
import types
from pathlib import Path

import numpy
import pytest
from llmcost import ledger, reference_model, shapes
from llmcost.catalog import MODELS
from llmcost.counting import Tally, Watched
from llmcost.layer_operations import Pass

FOLDER, PACKAGE = Path(reference_model.__file__).parent, "switched_model"
OPERATORS = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "truediv", ast.MatMult: "matmul"}
ARRAY_CALLS = {"exp", "sqrt", "log", "tanh", "maximum", "sum", "max"}


class Through(ast.NodeTransformer):
    """Turns each operation that may work on arrays into `_switch(site, function, operands…)`."""

    def __init__(self, part: str):
        self.part = part

    def _call(self, node, text, function, operands, keywords=()):
        site = ast.Constant(f"{self.part}, line {node.lineno}, column {node.col_offset}: {text}")
        return ast.copy_location(ast.Call(ast.Name("_switch", ast.Load()), [site, function, *operands], list(keywords)), node)

    def _operator(self, name):
        return ast.Attribute(ast.Name("_operator", ast.Load()), name, ast.Load())

    def visit_BinOp(self, node):
        text = ast.unparse(node)
        self.generic_visit(node)
        name = OPERATORS.get(type(node.op))
        return self._call(node, text, self._operator(name), [node.left, node.right]) if name else node

    def visit_UnaryOp(self, node):
        text = ast.unparse(node)
        self.generic_visit(node)
        return self._call(node, text, self._operator("neg"), [node.operand]) if isinstance(node.op, ast.USub) else node

    def visit_Call(self, node):
        text = ast.unparse(node)
        self.generic_visit(node)
        counted = isinstance(node.func, ast.Attribute) and node.func.attr in ARRAY_CALLS
        return self._call(node, text, node.func, node.args, node.keywords) if counted else node


class Switch:
    """Runs every operation; the one at `site` a second time, or unheard. Notes which operations work on watched arrays."""

    site = mutation = None

    def __init__(self):
        self.heard: dict[str, str] = {}
        self.model = ""

    def run(self, site, function, *operands, **options):
        """The result of `function`, after the mutation."""
        watched = [x for x in (*operands, getattr(function, "__self__", None)) if isinstance(x, Watched)]
        if not watched:
            return function(*operands, **options)
        self.heard.setdefault(site, self.model)
        before = copy.deepcopy(watched[0].tally.work) if site == self.site else None
        result = function(*operands, **options)
        if site == self.site and self.mutation == "done twice":
            function(*operands, **options)
        elif site == self.site:
            watched[0].tally.work.clear()
            watched[0].tally.work.update(before)
        return result


class Switching(importlib.machinery.SourceFileLoader):
    """Loads a module of the reference model with its operations passed through `switch`."""

    switch = None

    def get_code(self, fullname):
        tree = Through(Path(self.path).stem).visit(ast.parse(self.get_data(self.path)))
        return compile(ast.fix_missing_locations(tree), self.path, "exec")

    def exec_module(self, module):
        module.__dict__.update(_switch=self.switch, _operator=operator)
        super().exec_module(module)


class Finder:
    """Finds the modules of the package of that name among the sources of the reference model."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        """The specification of one module, or none for other packages."""
        package, _, part = name.partition(".")
        if package != PACKAGE:
            return None
        file = FOLDER / (f"{part}.py" if part else "__init__.py")
        folders = None if part else [str(FOLDER)]
        loader = Switching(name, str(file))
        return importlib.util.spec_from_file_location(name, file, loader=loader, submodule_search_locations=folders)


@pytest.fixture(scope="module")
def model():
    """The package with its operations passed through a switch, and the switch."""
    switch = Switch()
    # The tally calls an operation like the function that asked for it, and looks past what is of NumPy: so the switch is.
    past = types.FunctionType(Switch.run.__code__, {**globals(), "__name__": "numpy"})
    Switching.switch = types.MethodType(past, switch)
    sys.meta_path.insert(0, Finder)
    try:
        yield importlib.import_module(PACKAGE), switch
    finally:
        sys.meta_path.remove(Finder)
        for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
            del sys.modules[name]


def run(package, small, facts):
    """What is counted and what the ledger says, for a prompt of two sequences and a token after it."""
    tally = Tally()
    decoder = tally.watch(package.build(small))
    cache, found = decoder.empty_cache(2), []
    for count, paths, taken in ((6, package.Paths(), {}), (1, package.Paths(mla="rebuilt"), {"rebuilt": True}),
                                (5, package.Paths("square", chunk=2), {"square": True, "chunk": 2})):
        start = cache.length
        tally.clear()
        cache = tally.watch(cache, "cache")
        decoder.forward(numpy.arange(2 * count).reshape(2, count), cache, paths, every=True)
        found.append((tally.flops, ledger.pass_flops(facts, Pass(count, start, **taken), 2, every_logit=True)))
    return found


def test_leaving_out_or_doubling_any_operation_is_seen(model):
    package, switch = model
    smalls = {model.key: package.scaled(model.facts) for model in MODELS.values()}
    facts = {key: shapes.facts_from(key, small) for key, small in smalls.items()}
    for key, small in smalls.items():
        switch.model = key
        assert all(counted == closed for counted, closed in run(package, small, facts[key])), key
    parts = {site.partition(",")[0] for site in switch.heard}
    assert parts >= {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "checks", "sampling", "scale", "wire", "ranks"}
    unseen = []
    for site, key in switch.heard.items():
        for switch.mutation in ("left out", "done twice"):
            switch.site = site
            if all(counted == closed for counted, closed in run(package, smalls[key], facts[key])):
                unseen.append(f"{site}, {switch.mutation}")
    assert unseen == []
