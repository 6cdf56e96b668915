"""Wrong formulas seen in public, beside the right ones; a table of right numbers; anyone's function against it."""

from .exhibits import Exhibit, MuseumError, Printed, Thread, case_name, check, exhibit, load, right_by_luck, rooms, value
from .trial import Answer, TrialError, function_named, told, try_function

__all__ = ["Answer", "Exhibit", "MuseumError", "Printed", "Thread", "TrialError", "case_name", "check", "exhibit", "function_named", "load",
           "right_by_luck", "rooms", "told", "try_function", "value"]
