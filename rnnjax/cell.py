"""The one type of the library: a recurrent network is a pure function of a step."""

import functools
import inspect
from collections.abc import Callable
from typing import NamedTuple, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from rnnjax.calls import alike, spelled
from rnnjax.types import Key, Params, State, Step

Arguments = ParamSpec("Arguments")
Made = TypeVar("Made")


class Cell(NamedTuple):
    """A recurrent network as three pure functions.

    - `init: key -> params`, a pytree of arrays and nothing else;
    - `start: params -> state`, the state before the first step, any pytree;
    - `step: params, state, x -> state, y`, one step, which returns the state with the structure, shapes and
      dtypes that it was given.

    Promises that a loop may use, each of them equal to `step` (`check` tests them):

    - `affine: params, x -> (a, b)` where `state' = a * state + b`, elementwise;
    - `whole: params, state, xs, *keep -> state, ys`, all steps at once, for a cell whose steps need no loop;
    - `chunk: params, state, xs, *keep -> state, ys`, t steps at once, by products that cost t².

    `each` tells the two kinds of cells apart. A cell of one step has None there. A cell over whole sequences
    (from `scan`, `bidirectional`, or a stack of these) takes time-leading `xs` (and `keep`, a mask over time,
    as an optional last argument of `step`), and has the cell of its single step in `each`. Either may also say in
    `remade: change -> cell` how it is made of its parts, each of them changed: `batch` then batches the parts, and a
    loop sees the batch. A batch of single steps has the cell of one stream in `one`.

    Example:
        >>> import jax, jax.numpy as jnp, rnnjax
        >>> def leaky(m):
        ...     def step(params, h, x):
        ...         h = params * h + x
        ...         return h, h
        ...     return rnnjax.Cell(lambda key: jnp.full(m, 0.5), lambda params: jnp.zeros(m), step)
        >>> cell = leaky(2)
        >>> params = cell.init(jax.random.key(0))
        >>> state, ys = rnnjax.scan(cell).step(params, cell.start(params), jnp.ones((3, 2)))
        >>> print(ys)
        [[1.   1.  ]
         [1.5  1.5 ]
         [1.75 1.75]]
    """

    init: Callable[[Key], Params]
    start: Callable[[Params], State]
    step: Step
    affine: Callable[[Params, PyTree], tuple[PyTree, PyTree]] | None = None
    whole: Step | None = None
    chunk: Step | None = None
    each: "Cell | None" = None
    one: "Cell | None" = None
    remade: "Callable[[Callable[[Cell], Cell]], Cell] | None" = None
    name: str = ""

    def __repr__(self) -> str:
        return self.name or f"Cell({self.step.__qualname__.split('.<locals>')[0]})"


def interned(build: Callable[Arguments, Made]) -> Callable[Arguments, Made]:
    """Decorate a constructor so that equal calls give back the same object.

    Cells built alike are then equal, hash alike and share every compiled program. A `Cell` is also named
    after its call, which is its repr. A `functools.partial` equals another of the same function and arguments. A call
    with an unhashable argument builds anew.

        >>> rnnjax.lstm(3, 4) is rnnjax.lstm(n=3, m=4)
        True
        >>> rnnjax.scan(rnnjax.lstm(3, 4), unroll=2)
        scan(lstm(3, 4), unroll=2)
    """
    signature = inspect.signature(build)

    def named(*args, **kwargs):
        made = build(*args, **kwargs)
        return made._replace(name=spelled(build, signature.bind(*args, **kwargs))) if isinstance(made, Cell) else made

    remembered = functools.lru_cache(maxsize=4096, typed=True)(named)

    @functools.wraps(build)
    def constructor(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        args = tuple(map(alike, bound.args))
        kwargs = {name: alike(value) for name, value in sorted(bound.kwargs.items())}
        try:
            hash((args, tuple(kwargs.values())))
        except TypeError:
            return named(*args, **kwargs)
        return remembered(*args, **kwargs)

    return constructor


def kind(x) -> str:
    """The dtype and shape of an array as errors print them: `float32[4]`."""
    aval = jax.typeof(x)
    return f"{aval.dtype}[{','.join(map(str, aval.shape))}]"


def wide(dtype):
    """The dtype in which to sum what is of this one: of at least 32 bits."""
    return dtype if dtype.itemsize >= 4 else jnp.dtype(jnp.float32)


def sizes(where, **named):
    """Refuse sizes that are not positive ints."""
    for name, value in named.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{where}: {name} must be a positive int, but {name} is {value!r}. Give a Python int.")


def one_step(where, cell):
    """Refuse a cell over whole sequences where a cell of one step is needed."""
    if cell.each is not None:
        raise TypeError(
            f"{where}: the cell must be of one step, but {cell} runs over whole sequences. Give the cell inside it."
        )


def single(cell):
    """The cell of one step inside a cell over whole sequences."""
    return cell if cell.each is None else cell.each


def features(where, x, n):
    """Refuse an `x` that is not one vector of `n` features."""
    if jnp.shape(x) != (n,):
        raise ValueError(
            f"{where}: x must be one step with {n} features, but x is {kind(x)}. "
            "Use scan for a time axis and batch (or apply) for a batch axis."
        )
