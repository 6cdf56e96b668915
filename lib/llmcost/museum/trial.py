"""Anyone's function against the truth table: model by model what it says, what is right, and whose slip it is.

The function takes the published config.json as a dictionary and, where it counts bytes of state, the tokens of one conversation:
`f(config, context)` for bytes, `f(config)` for parameters. A float is as good as an int.
"""

import importlib
import inspect
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from .. import catalog
from . import truth
from .exhibits import Exhibit, load, model_facts, published_config, value_or_none

WITHIN = 1e-6
ASKED = {"state": "bytes of state of one conversation", "parameters": "parameters", "active": "parameters that one token uses"}
SCALES = {1e9: "in GB", 2**30: "in GiB", 1e6: "in MB", 2**20: "in MiB", 1e3: "in kB", 2**10: "in KiB"}
"""What a function may have divided its bytes by, and the words for it."""


class TrialError(ValueError):
    """A function that cannot be tried: the message says which, and what is needed."""


@dataclass(frozen=True)
class Answer:
    """What a function said of one model: a number, or in `failed` why there is none; `slip` is the likely one.

    `exhibit` is the exhibit that gives the same number, if one does.
    """

    model: str
    context: int | None
    said: float
    right: int
    failed: str = ""
    slip: str = ""
    exhibit: Exhibit | None = None

    @property
    def correct(self) -> bool:
        """Whether the number is the right one, to the sixth digit."""
        return not self.failed and math.isclose(self.said, self.right, rel_tol=WITHIN)


def function_named(name: str, of: str = "state") -> Callable:
    """The function that `name`, as in "package.module:function", says. Raises `TrialError` where there is none that could be asked."""
    module_name, _, path = name.partition(":")
    if not module_name or not path:
        raise TrialError(f"{name!r} names no function; write module:function, as in mymodule:kv_bytes")
    try:
        found = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise TrialError(f"the module {module_name!r} cannot be imported: {type(error).__name__}: {error}; it is looked for in this folder "
                         f"and among what is installed") from error
    for part in path.split("."):
        if not hasattr(found, part):
            functions = [key for key, one in vars(found).items() if callable(one) and getattr(one, "__module__", "") == module_name]
            raise TrialError(f"{module_name} has no {path}; it has {', '.join(functions) or 'no function'}")
        found = getattr(found, part)
    if not callable(found):
        raise TrialError(f"{name} is {type(found).__name__}, not a function")
    _check_signature(name, found, of)
    return found


def _check_signature(name: str, function: Callable, of: str) -> None:
    asked = ({}, 1) if of == "state" else ({},)
    try:
        signature = inspect.signature(function)
    except ValueError:
        return  # written in C, with nothing to look at: it is asked
    try:
        signature.bind(*asked)
    except TypeError as error:
        form = "f(config, context)" if of == "state" else "f(config)"
        raise TrialError(f"{name} takes {signature}, and is asked as {form}: {error}. Wrap it in a function of this form") from None


def try_function(function: Callable, of: str = "state") -> list[Answer]:
    """What `function` says of every model of the catalog, at the contexts of the truth table where it counts bytes of state."""
    if of not in ASKED:
        raise TrialError(f"a function is asked for {', '.join(ASKED)}, not {of!r}")
    return [_ask(function, of, key, context) for key in catalog.MODELS
            for context in (truth.contexts(key) if of == "state" else (None,))]


def _right(of: str, key: str, context: int | None) -> int:
    model = catalog.MODELS[key]
    return {"parameters": model.n_params, "active": model.n_active_params}[of] if context is None else truth.state_bytes(key, context)


def _ask(function: Callable, of: str, key: str, context: int | None) -> Answer:
    name, right = catalog.MODELS[key].name, _right(of, key, context)
    try:
        answer = function(published_config(key), *(() if context is None else (context,)))
    except Exception as error:  # whatever it raises is its answer
        return Answer(name, context, math.nan, right, f"raised {type(error).__name__}: {error}")
    try:
        said = math.nan if isinstance(answer, (bool, str)) else float(answer)
    except (TypeError, ValueError, OverflowError):
        said = math.nan
    if not math.isfinite(said) or said < 0:
        return Answer(name, context, math.nan, right, f"returned {_short(answer)}; a number from 0 up is needed")
    return Answer(name, context, said, right, "", *_slip(of, key, context, said, right))


def _short(answer) -> str:
    text = repr(answer)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _slip(of: str, key: str, context: int | None, said: float, right: int) -> tuple[str, Exhibit | None]:
    """The words for a number that is not right, and the exhibit that gives it; nothing where none does."""
    if math.isclose(said, right, rel_tol=WITHIN):
        return "", None
    wrong = _wrong(of, key, context)
    for exhibit, number in wrong:
        if math.isclose(said, number, rel_tol=WITHIN):
            return exhibit.title, exhibit
    for exhibit, number in [(None, right), *wrong]:  # what is returned in GB is often rounded
        for scale, words in SCALES.items():
            if math.isclose(said * scale, number, rel_tol=0.005) and said:
                return f"{exhibit.title if exhibit else 'Right, but'} {words}", exhibit
    return "", None


def _wrong(of: str, key: str, context: int | None) -> list[tuple[Exhibit, float]]:
    """What the wrong forms say in the place of the function, those of the model's own kinds of layers first."""
    if context is None:
        facts, other = model_facts(key), {"parameters": ("active-in-memory", "n_active_params"), "active": ("every-expert-read", "n_params")}[of]
        return [(one, facts[other[1]]) for one in load() if one.id == other[0]]
    kinds = {group["attention"] for group in catalog.MODELS[key].layers}
    fitting = [one for one in load() if one.right is truth.attention.state_bytes and (not one.kinds or one.kinds & kinds)]
    case = {"model": key, "context": context, "element_bits": 8}
    found = [(one, value_or_none(one.wrong, case)) for one in sorted(fitting, key=lambda one: not one.kinds)]
    return [(one, number) for one, number in found if number is not None]


def told(answers: list[Answer], of: str = "state") -> str:
    """The answers as text, one line each, and what they come to."""
    lines = [f"{'model':24}{'context':>8}{'says':>20}{'right':>20}{'factor':>11}  likely slip"]
    for one in answers:
        said = "-" if one.failed else f"{one.said:,.0f}" if one.said >= 1000 or one.said == int(one.said) else f"{one.said:.6g}"
        factor = "-" if one.failed else f"{one.said / one.right:.4g}"
        slip = one.failed or ("" if one.correct else one.slip + (f" ({one.exhibit.id})" if one.exhibit else "") or "none that the museum has")
        lines.append(f"{one.model:24}{one.context or '':>8}{said:>20}{one.right:>20,}{factor:>11}  {slip}".rstrip())
    right, slips = sum(one.correct for one in answers), Counter(one.exhibit for one in answers if one.exhibit)
    lines.append(f"\n{right} of {len(answers)} right: {ASKED[of]}.")
    lines += [f"{count} as in {exhibit.id}: {exhibit.title[0].lower()}{exhibit.title[1:]}." for exhibit, count in slips.most_common()]
    return "\n".join(lines)
