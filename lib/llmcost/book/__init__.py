"""What a notebook of the book uses: live controls, questions, tables and quoted numbers.

The only part of the library that knows Jupyter.
"""

from .equations import equation
from .explore import explore, steps
from .figures import style
from .parts import (bars, choose, choose_format, choose_gpu, choose_model, choose_price, computed, curve, from_chain, heads, mark, output,
                    part, plot, points, ratio, reading, recorded_curve, slide, smallest, switch_axes, switch_units, total, usage_paste, value_curve)
from .prose import quoted, say
from .questions import check, grade, predict
from .recompute import recompute
from .rooms import museum_room, truth_table
from .runs import recorded
from .tables import (assumptions_table, fabrics_table, flip_points, formats_table, formulas_table, gpus_table, inline, models_table,
                     notation_table, prices_table, rents_table, table)
from .verdicts import claims_list, ledger, lessons, numerals_table, reasons_table, unsupported_table, verdicts_table

__all__ = [name for name in dir() if not name.startswith("_")]
