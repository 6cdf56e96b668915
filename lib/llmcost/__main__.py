"""`python -m llmcost`: predictions for a table of runs, what one's own server changes, and the fit behind both."""

import argparse
import sys

from . import prediction
from .catalog import write_fitted
from .prediction import calibrating, fitting, table


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code is 0 where all went well, 1 where rows could not be read, 2 where nothing could be done."""
    parser = argparse.ArgumentParser(prog="python -m llmcost", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("predict", help="predict every row of a table of runs", description="Columns: data/measurements/runs.csv; measured ones may be empty.")
    command.add_argument("source", metavar="IN.csv")
    command.add_argument("target", metavar="OUT.csv")
    own = commands.add_parser("calibrate", help="what a few runs on your own server change, and what they cannot tell",
                              description="Rows of a table of runs with tp and measured values.")
    own.add_argument("source", metavar="RUNS.csv")
    commands.add_parser("fit", help="estimate constants and intervals from data/measurements/runs.csv, and write data/fitted.toml")
    given = parser.parse_args(arguments)
    try:
        if given.command == "predict":
            return 1 if table.predict_file(given.source, given.target) else 0
        if given.command == "calibrate":
            print(calibrating.told(calibrating.calibrate(table.read_rows(given.source))))
            return 0
        write_fitted(fitting.fitted(prediction.constants(), prediction.engines()))
        return 0
    except (OSError, ValueError) as error:
        print(f"column {error.column}: {error}" if isinstance(error, prediction.RowError) else error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
