"""`python -m llmcost`: predictions for runs of one's own, and what the book's facts, claims and conclusions come to."""

import argparse
import inspect
import json
import sys
from collections.abc import Callable

from . import coverage, numerals, prediction, standing
from .files import read_source, write_text
from .museum import trial, truth
from .prediction import calibrating, fitting, table
from .records import FactError, UnknownName

FACTS = {"price": standing.with_price, "rent": standing.with_rent, "specification": standing.with_specification}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code is 0 where all went well, 1 where something is not as it should be, 2 where nothing could be done."""
    parser = argparse.ArgumentParser(prog="python -m llmcost", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Callable, told: str, *taken: tuple, description: str = ""):
        one = commands.add_parser(name, help=told, description=description or told)
        for flags, given in taken:
            one.add_argument(flags, **given)
        one.set_defaults(run=run)

    command("predict", _predict, "predict every row of a table of runs", ("source", {"metavar": "IN.csv"}), ("target", {"metavar": "OUT.csv"}),
            description="Columns: data/measurements/runs.csv; measured ones may be empty.")
    command("calibrate", _calibrate, "what a few runs on your own server change, and what they cannot tell", ("source", {"metavar": "RUNS.csv"}),
            description="Rows of a table of runs with tp and measured values.")
    command("fit", _fit, "estimate constants and intervals from data/measurements/runs.csv, and write data/fitted.toml")
    command("numerals", _numerals, "count the numerals of the source documents: in claims, exempt; with texts, hold the record against them",
            ("texts", {"metavar": "TEXT", "nargs": "*", "help": "a source document, its file name beginning with 000 to 004"}))
    command("coverage", _coverage, "whether the book does every topic of the source documents where data/coverage.csv says so")
    command("standings", _standings, "where every conclusion and every verdict stands, as JSON")
    command("museum", _museum, "the table of right numbers, and your own function against it", ("what", {"choices": ("truth", "check")}),
            ("target", {"metavar": "OUT.csv|OUT.json|MODULE:FUNCTION"}),
            ("--of", {"choices": trial.ASKED, "default": "state", "help": "what the function counts"}),
            description="truth OUT.csv or OUT.json: parameters and bytes of state of every model. check MODULE:FUNCTION: f(config, context) in bytes, or with "
                        "--of parameters or active f(config), model by model, with the likely slip; the exit code is 1 where any number differs.")
    command("add", _add, "add a dated price, rent or specification, and list what it turns over", ("kind", {"choices": FACTS}),
            ("key", {"help": "of the model in data/prices/api.csv, or of the accelerator"}), ("facts", {"metavar": "NAME=VALUE", "nargs": "+"}),
            ("--dry-run", {"action": "store_true", "help": "list what it would turn over, and write nothing"}),
            description="price KEY start= input= output= …, USD for a million tokens; rent GPU date= usd_per_hour=; specification GPU name= value= date=, in "
                        "base units; all with source=, a key of data/references.bib, and where=, the place in it.")
    given = parser.parse_args(arguments)
    try:
        return given.run(given) or 0
    except (OSError, ValueError, UnknownName) as error:
        print(f"column {error.column}: {error}" if isinstance(error, prediction.RowError) else error, file=sys.stderr)
        return 2


def _predict(given):
    return 1 if table.predict_file(given.source, given.target) else 0


def _calibrate(given):
    print(calibrating.told(calibrating.calibrate(table.read_rows(given.source))))


def _fit(given):
    write_text("fitted.toml", fitting.fitted(prediction.constants(), prediction.engines()))


def _numerals(given):
    for text in given.texts:
        name, content = read_source(text)
        numerals.compare(name, content)
    print(numerals.told())


def _coverage(given):
    topics = coverage.load()
    wrong = coverage.missing(topics)
    print("\n".join([*wrong, f"{len(topics) - len(wrong)} of {len(topics)}"]))
    return 1 if wrong else 0


def _standings(given):
    print(json.dumps(standing.standings()))


def _museum(given):
    if given.what == "truth":
        print(f"{truth.write(given.target)} rows in {given.target}")
        return 0
    answers = trial.try_function(trial.function_named(given.target, given.of), given.of)
    print(trial.told(answers, given.of))
    return 0 if all(answer.correct for answer in answers) else 1


def _add(given):
    pairs = dict(pair.partition("=")[::2] for pair in given.facts)
    change = FACTS[given.kind]
    try:
        inspect.signature(change).bind(given.key, **pairs)
    except TypeError as error:
        raise FactError(f"{given.kind} {given.key}: {error}; it takes {', '.join(list(inspect.signature(change).parameters)[1:])}") from None
    changes = change(given.key, **pairs)
    turned = standing.turned_by(changes)
    for name, text in {} if given.dry_run else changes.items():
        write_text(name, text)
    print(standing.told(turned))
    return 1 if turned else 0


if __name__ == "__main__":
    sys.exit(main())
