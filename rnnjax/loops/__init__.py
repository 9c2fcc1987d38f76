"""How time is run: `scan`, and one file a loop `(cell, params, state, xs) -> (state, ys)`, which is a `Loop`."""

from collections.abc import Callable
from typing import Concatenate, TypeAlias

from rnnjax.cell import Cell
from rnnjax.types import Params, State, Steps

Loop: TypeAlias = Callable[Concatenate[Cell, Params, State, Steps, ...], tuple[State, Steps]]
