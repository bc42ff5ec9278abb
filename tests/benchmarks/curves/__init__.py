"""The questions about growth: of what is stored, of what is told, and of memory."""

from tests.benchmarks.curves.memory import OF_MEMORY
from tests.benchmarks.curves.stored import OF_STORE
from tests.benchmarks.curves.told import OF_TELLING

__all__ = ["CURVES"]

CURVES = (*OF_STORE, *OF_TELLING, *OF_MEMORY)
