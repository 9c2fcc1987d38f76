"""With jaxtyping's checks on: a user's program, examples of the modules that are named, and calls that must be refused.

Run by `test_types`, in a process of its own: `python runtime_types.py rnnjax.apply ...`
"""

import doctest
import importlib
import runpy
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from beartype import BeartypeConf, beartype
from jaxtyping import TypeCheckError, install_import_hook

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int will do for a float
jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_disable_most_optimizations", True)

with install_import_hook("rnnjax", f"{__name__}.checked"):
    import rnnjax
    from rnnjax import data, diagnostics, train

    modules = [importlib.import_module(name) for name in sys.argv[1:]]


def refused(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except TypeCheckError:
        return True
    return False


key, ones = jax.random.key(0), jnp.ones((2, 5, 3))
cell = rnnjax.gru(3, 4)
params = cell.init(key)
model = rnnjax.with_loss(cell, lambda y, target: ((y - target) ** 2).sum())
start, xs = cell.start(params), (jnp.ones((7, 3)), jnp.ones((7, 4)))
wrong = {
    "a size that is no int": refused(rnnjax.lstm, 3, 4.0),
    "an initialiser that is none": refused(rnnjax.lstm, 3, 4, weight=3),
    "a cell that is none": refused(rnnjax.batch, params, 3),
    "a loop that is none": refused(rnnjax.scan, cell, loop=3),
    "no axis of time": refused(rnnjax.apply, cell, params, jnp.ones(5)),
    "more lengths than streams": refused(rnnjax.apply, cell, params, ones, lengths=np.array([5, 2, 1])),
    "lengths that are no integers": refused(rnnjax.apply, cell, params, ones, lengths=np.array([5.0, 2.0])),
    "a key that is none": refused(rnnjax.apply, cell, params, ones, key=jnp.ones(3)),
    "a state of other streams": refused(rnnjax.apply, cell, params, ones, state=jnp.ones((3, 4))),
    "inputs of different lengths": refused(rnnjax.deferred, cell, params, start, (ones[0], ones[0, :4])),
    "a mask of other steps": refused(rnnjax.rtrl(model), params, start, xs, jnp.ones(6, bool)),
    "a mask that is no bool": refused(rnnjax.rtrl(model), params, start, xs, jnp.ones(7)),
    "lengths of two axes": refused(data.keep, np.ones((2, 2), int), 3),
    "ids of two axes": refused(data.windows, np.ones((3, 3), int), batch=1, length=1),
    "a flow that is none": refused(diagnostics.memory_length, 3),
    "an optimizer that is none": refused(train.update, rnnjax.bptt(model), 0.1),
}
names = dict(jax=jax, jnp=jnp, rnnjax=rnnjax)
failed = [module.__name__ for module in modules if doctest.testmod(module, extraglobs=names).failed]
runpy.run_path(str(Path(__file__).with_name("typed_use.py")))
print([what for what, was_refused in wrong.items() if not was_refused], failed)
