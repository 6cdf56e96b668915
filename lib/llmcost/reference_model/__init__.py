"""A real decoder in NumPy, small enough to read in one sitting.

It has no knowledge of cost: no formula is imported here and nothing is counted. `llmcost.counting` counts what
NumPy is asked to do when it runs.
"""

from .checks import ReferenceError
from .decoder import KINDS, Cache, Decoder, Paths, build
from .sampling import generate, greedy, probabilities, sample
from .scale import scaled

__all__ = ["KINDS", "Cache", "Decoder", "Paths", "ReferenceError", "build", "generate", "greedy", "probabilities", "sample",
           "scaled"]
