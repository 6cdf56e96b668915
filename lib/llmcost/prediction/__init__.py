"""Predictions for any public run: a physical model with twelve constants, one factor for each engine, and an interval.

    >>> row = {"row_id": "mine", "kind": "online-conc", "hw": "H100-SXM", "n_gpus": "4", "engine": "vllm", "engine_version": "0.19",
    ...        "model": "llama-3.1-70b", "weight_prec": "fp8", "tp": "4", "isl": "1000", "osl": "1000", "batch_or_conc": "64"}
    >>> found = predict(row)
    >>> round(found.outcome.tpot * 1e3)
    19
"""

from .cases import Case, Refused, RowError
from .constants import Constants, Engine
from .model import Prediction, constants, engines, outcome_of, predict, replica_of, run
from .regimes import Outcome

__all__ = ["Case", "Constants", "Engine", "Outcome", "Prediction", "Refused", "RowError", "constants", "engines", "outcome_of",
           "predict", "replica_of", "run"]
