"""A recurrent network with stacks that it pushes and pops by degrees."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import sigmoid
from jaxtyping import Array, Float

from rnnjax.cell import Cell, features, interned, sizes
from rnnjax.types import Initializer
from rnnjax.weights import glorot, orthogonal, per_gate

EMPTY = -1.0


class StackRNNParams(NamedTuple):
    W: Float[Array, "n m"]
    U: Float[Array, "m m"]
    P: Float[Array, "tops m"]
    A: Float[Array, "m 3*stacks"]
    D: Float[Array, "m stacks"]


class StackRNNState(NamedTuple):
    h: Float[Array, "*B m"]
    stack: Float[Array, "*B depth stacks"]


@interned
def stack_rnn(
    n: int,
    m: int,
    stacks: int = 1,
    *,
    depth: int = 20,
    read: int = 2,
    weight: Initializer = glorot,
    recurrent: Initializer = orthogonal,
) -> Cell:
    """The stack-augmented RNN: stacks of numbers, each with actions of its own, in the order push, pop, stay.

        h' = σ(x W + h U + tops P),   tops: the `read` topmost numbers of each stack
        push, pop, stay = softmax(h' A) of each stack
        stack'[0] = push σ(h' D) + pop stack[1]     + stay stack[0]
        stack'[i] = push stack[i-1] + pop stack[i+1] + stay stack[i]

    Below its last number a stack holds -1, as all of it does at the start; what is pushed beyond its depth is lost. As
    in the paper, nothing has a bias.

    Args:
        n, m: sizes of the input and of h.
        stacks: how many.
        depth: how many numbers a stack holds; a run of T steps needs no more than T + read.
        read: how many of them h' sees, 2 in the paper.
        weight: initialiser of W (n, m), P (read · stacks, m), each action's block of A (m, 3 · stacks), D (m, stacks).
        recurrent: initialiser of U (m, m).

    State: `StackRNNState(h, stack)`, h (m,), which is 0 at the start, and stack (depth, stacks), top first. Input:
    x (n,). Output: h' (m,). Raises `ValueError` if x has another shape, or read is more than depth.

    Example:
        >>> cell = rnnjax.stack_rnn(3, 4, 2, depth=5)
        >>> params = cell.init(jax.random.key(0))
        >>> state, y = cell.step(params, cell.start(params), jnp.ones(3))
        >>> state.stack.shape, bool((state.stack[0] > -1).all()), bool((state.stack[1:] == -1).all())
        ((5, 2), True, True)

    Joulin & Mikolov 2015, https://arxiv.org/abs/1503.01007
    """
    sizes("stack_rnn", n=n, m=m, stacks=stacks, depth=depth, read=read)
    if read > depth:
        raise ValueError(
            f"stack_rnn: no more can be read than a stack holds, but read is {read} and depth is {depth}. Read less."
        )

    def init(key):
        W, U, P, A, D = jax.random.split(key, 5)
        return StackRNNParams(
            weight(W, (n, m)),
            recurrent(U, (m, m)),
            weight(P, (read * stacks, m)),
            per_gate(weight, 3)(A, (m, 3 * stacks)),
            weight(D, (m, stacks)),
        )

    def start(params):
        dtype = params.U.dtype
        return StackRNNState(jnp.zeros(m, dtype), jnp.full((depth, stacks), EMPTY, dtype))

    def step(params, state, x):
        features("stack_rnn", x, n)
        W, U, P, A, D = params
        h, stack = state
        h = sigmoid(x @ W + h @ U + stack[:read].ravel() @ P)
        push, pop, stay = jax.nn.softmax((h @ A).reshape(3, 1, stacks), axis=0)
        below = jnp.concatenate([stack[1:], jnp.full((1, stacks), EMPTY, stack.dtype)])
        above = jnp.concatenate([sigmoid(h @ D)[None], stack[:-1]])
        return StackRNNState(h, push * above + pop * below + stay * stack), h

    return Cell(init, start, step)
