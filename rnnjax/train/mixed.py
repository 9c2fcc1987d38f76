"""Mixed precision: products of matrices in few bits, all else as it was."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr  # pyright: ignore[reportPrivateImportUsage]

from rnnjax.loops.equations import bind, run

PRODUCTS = "dot_general", "conv_general_dilated"


def mixed(function: Callable, dtype=jnp.bfloat16) -> Callable:
    """`function`, with its float32 products of matrices and convolutions taken in `dtype`, and summed in float32.

    Made for a gradient, as `update(mixed(tbptt(cell, window=20)), optimizer)`: whatever is multiplied, forward and
    back, is rounded to `dtype`; sums, gates, states, params and the optimizer's averages stay in float32, so that no
    loss has to be scaled. It reads the equations that JAX traced, those of loops too; a product within `shard_map` or
    a kernel of one's own is left as it is. On a CPU, which has no such products, numbers are rounded all the same and
    multiplied in float32: the same results, and no gain in time.

    Micikevicius et al. 2018, Mixed precision training, https://arxiv.org/abs/1710.03740

    Example:
        >>> x, W = jnp.full((1, 3), 1.001), jnp.ones((3, 1))
        >>> product = rnnjax.train.mixed(jnp.matmul)(x, W)
        >>> print(product, product.dtype)
        [[3.]] float32
    """

    def in_few_bits(*arguments):
        leaves, tree = jax.tree.flatten(arguments)
        closed, kinds = jax.make_jaxpr(lambda *leaves: function(*jax.tree.unflatten(tree, leaves)), return_shape=True)(
            *leaves
        )
        out = run(closed.jaxpr, closed.consts, leaves, functools.partial(_bind, dtype))
        return jax.tree.unflatten(jax.tree.structure(kinds), out)

    return in_few_bits


def _bind(dtype, eqn, values):
    """The results of one equation, a product in `dtype`."""
    if eqn.primitive.name in PRODUCTS and all(v.dtype == jnp.float32 for v in values):
        params, bits = eqn.params | {"preferred_element_type": jnp.dtype("float32")}, jnp.finfo(dtype)

        def few(*values):
            return eqn.primitive.bind(*(v.astype(dtype) for v in values), **params)

        def rounded(*values):
            return eqn.primitive.bind(*(jax.lax.reduce_precision(v, bits.nexp, bits.nmant) for v in values), **params)

        return [jax.lax.platform_dependent(*values, cpu=rounded, default=few)]
    if eqn.primitive.name == "shard_map":
        return bind(eqn, values)
    inside = {name: _rewritten(dtype, p) for name, p in eqn.params.items() if _has_products(p)}
    return bind(eqn.replace(params=eqn.params | inside) if inside else eqn, values)


def _has_products(p):
    """Whether a param of an equation is equations, or a tuple of them (the branches of a `cond`), with products."""
    if isinstance(p, tuple):
        return any(map(_has_products, p))
    eqns = p.eqns if isinstance(p, ClosedJaxpr | Jaxpr) else ()
    return any(eqn.primitive.name in PRODUCTS or any(map(_has_products, eqn.params.values())) for eqn in eqns)


def _rewritten(dtype, p):
    """The same equations with products in `dtype`, closed if they were."""
    if isinstance(p, tuple):
        return tuple(_rewritten(dtype, each) for each in p)
    closed = p if isinstance(p, ClosedJaxpr) else ClosedJaxpr(p, ())
    again = functools.partial(run, closed.jaxpr, closed.consts, bind=functools.partial(_bind, dtype))
    rewritten = jax.make_jaxpr(lambda *leaves: again(leaves))(*closed.in_avals)
    return rewritten if closed is p else rewritten.jaxpr
