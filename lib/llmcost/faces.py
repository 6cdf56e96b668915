"""One formula, four faces: number, equation, JavaScript and units.

A formula is a plain function of named scalars in one of `FORMULA_MODULES`. Called with numbers or
arrays it gives numbers or arrays; called with SymPy symbols, the equation, which prints as LaTeX
and as JavaScript.

A parameter is either a fact (`d_head`), a choice (`batch`), or the name of another formula
(`state_bytes`), whose value it then is.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import get_type_hints

import sympy
from sympy.printing.jscode import JavascriptCodePrinter

from . import (attention, attention_work, bills, capacity, chips, collectives, disaggregation, economics, energy, engine_steps, expert_parallelism,
               load, long_context, moe, operations, ownership, parallelism, phases, precision, quantization, roofline, self_hosting, speculation, tasks, training, transformer)
from .notation import NOTATION

FORMULA_MODULES = (attention, attention_work, moe, transformer, precision, capacity, roofline, operations, collectives,
                   parallelism, expert_parallelism, phases, engine_steps, load, speculation, disaggregation, long_context, quantization, bills, economics, energy, ownership, chips, self_hosting, tasks, training)


@cache
def formulas() -> dict[str, Callable]:
    """Every formula by name: the public functions whose parameters and result all carry units.

    Raises `NameError` when two modules have a formula of one name.
    """
    found = {}
    for module in FORMULA_MODULES:
        for name, function in vars(module).items():
            if inspect.isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_"):
                if all(hasattr(hint, "__metadata__") for hint in get_type_hints(function, include_extras=True).values()):
                    if name in found:
                        raise NameError(f"two formulas are called {name}: in {found[name].__module__} and in {module.__name__}")
                    found[name] = function
    return {name: function for name, function in found.items() if len(units(function)) > 1}


def parameters(formula: Callable) -> list[str]:
    """Names of the parameters of `formula`, in order."""
    return list(inspect.signature(formula).parameters)


def units(formula: Callable) -> dict[str, str]:
    """Unit of each parameter of `formula` by name, and of its result as "return".

    >>> units(attention.kv_bytes_per_token)["return"]
    'byte/token'
    """
    hints = get_type_hints(formula, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items()}


def leaves(formula: Callable) -> list[str]:
    """Names that `formula` needs in the end, after every parameter that is itself a formula is followed.

    >>> leaves(capacity.crossover_tokens)[:2]
    ['n_params', 'weight_bytes_per_param']
    """
    found: dict[str, None] = {}
    for name in parameters(formula):
        if name in formulas():
            found |= dict.fromkeys(leaves(formulas()[name]))
        else:
            found[name] = None
    return list(found)


# --- number ----------------------------------------------------------------------------------

def at(formula: Callable, *records, **given):
    """The value of `formula`, each parameter taken from the one place that has it.

    In this order: `given` by name; the only one of `records` that has the name (a record is a catalog
    entry, or a mapping from names to values); the formula of that name, followed in the same way.

    Raises `TypeError` that names what is missing, what was given but is not used, or the two records
    that disagree about one name; `ZeroDivisionError` that names the formula that has no value there.

    >>> at(attention.kv_bytes_per_token, {"n_layers": 80, "n_kv_heads": 8, "d_head": 128}, kv_bytes_per_element=2)
    327680
    """
    used: set[str] = set()
    missing: list[str] = []

    def value_of(name: str):
        if name in given:
            used.add(name)
            return given[name]
        holders = [record for record in records if name in _facts(record)]
        if holders:
            first = _facts(holders[0])[name]
            if any(_facts(record)[name] != first for record in holders[1:]):
                told = " and ".join(f"{_name(record)} says {_facts(record)[name]}" for record in holders)
                raise TypeError(f"{name} has two values: {told}; pass {name}=… to choose one")
            return first
        if name in formulas():
            return call(formulas()[name])
        missing.append(name)
        return None

    def call(function: Callable):
        values = {name: value_of(name) for name in parameters(function)}
        if missing:
            return None
        try:
            return function(**values)
        except ZeroDivisionError:
            told = ", ".join(f"{name} = {value}" for name, value in values.items())
            raise ZeroDivisionError(f"{function.__name__} has no value here: it divides by zero at {told}") from None

    result = call(formula)
    if missing:
        names = ", ".join(dict.fromkeys(missing))
        looked = f" and did not find in {', '.join(map(_name, records))}" if records else ""
        raise TypeError(f"{formula.__name__} needs {names}, which it was not given{looked}; "
                        f"pass it by name, as in {missing[0]}=…")
    if unused := set(given) - used:
        raise TypeError(f"{formula.__name__} has no use for {', '.join(sorted(unused))}; "
                        f"it takes {', '.join(leaves(formula))}")
    return result


def _facts(record) -> Mapping:
    facts = record if isinstance(record, Mapping) else getattr(record, "facts", None)
    if facts is None:
        raise TypeError(f"at takes records and values by name, as in n_layers=80; it was given {record!r}")
    return facts


def _name(record) -> str:
    return getattr(record, "name", "a mapping given")


# --- equation --------------------------------------------------------------------------------

def equation(formula: Callable, follow: bool = False) -> sympy.Expr:
    """`formula` as a SymPy expression of its parameters, or of its `leaves` when `follow` is true."""
    return formula(**{name: _symbolic(name, follow) for name in parameters(formula)})


def _symbolic(name: str, follow: bool) -> sympy.Expr:
    if follow and name in formulas():
        return equation(formulas()[name], follow)
    return _symbol(name)


def _symbol(name: str, printed: str | None = None) -> sympy.Symbol:
    """The symbol of a parameter, as positive as its range in the notation table allows."""
    low = NOTATION[name].low
    return sympy.Symbol(printed or name, real=True, positive=low > 0 or None, nonnegative=low >= 0 or None)


def latex(formula: Callable, follow: bool = False) -> str:
    """`formula` as LaTeX with the symbols of the notation table, factors in the author's order.

    >>> latex(attention.kv_bytes_per_token)
    '2 L n_{kv} d_h b'
    """
    order = leaves(formula) if follow else parameters(formula)
    # SymPy sorts factors by name: give the symbols names that sort like the signature.
    rename = {_symbol(name): _symbol(name, f"x{i:03d}") for i, name in enumerate(order)}
    names = {rename[_symbol(name)]: NOTATION[name].symbol for name in order}
    return sympy.latex(equation(formula, follow).xreplace(rename), symbol_names=names)


# --- JavaScript ------------------------------------------------------------------------------

class _JavaScript(JavascriptCodePrinter):
    """SymPy's printer, refusing what it would print wrongly without complaint."""

    def _print_Sum(self, expr):
        raise TypeError(f"a sum with a variable bound has no JavaScript face: {expr}")

    def _print_ImaginaryUnit(self, expr):
        raise TypeError("a complex number has no JavaScript face")

    def _print_Pow(self, expr):
        if expr.exp == -1:
            return f"1/({self._print(expr.base)})"
        return f"Math.pow({self._print(expr.base)}, {self._print(expr.exp)})"


def javascript(formula: Callable) -> str:
    """`formula` as one JavaScript arrow function of an object with its `leaves`.

    Raises `TypeError` when the equation has no closed JavaScript form.

    >>> javascript(attention.kv_bytes_per_token)
    '({n_layers, n_kv_heads, d_head, kv_bytes_per_element}) => 2*d_head*kv_bytes_per_element*n_kv_heads*n_layers'
    """
    expression = equation(formula, follow=True)
    body = _JavaScript({"strict": True}).doprint(expression)
    body = re.sub(r"\s*\n\s*", " ", body)
    return f"({{{', '.join(leaves(formula))}}}) => {body}"


@cache
def javascript_module() -> str:
    """Every formula as one classic script that fills `llmcost.formulas`, the same text each time."""
    lines = [f"  {name}: {javascript(function)}," for name, function in sorted(formulas().items())]
    return ("globalThis.llmcost = globalThis.llmcost || {};\nglobalThis.llmcost.formulas = {\n"
            + "\n".join(lines) + "\n};\n")
