"""Running the programs in tests: quick compiles, shared between tests and with the subprocesses they start."""

import contextlib
import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

from rnnjax.train import begin, fit, update

ROOT = Path(__file__).parents[1]
USUAL = {
    "jax_compilation_cache_dir": None,
    "jax_persistent_cache_min_compile_time_secs": 1.0,
    "jax_persistent_cache_min_entry_size_bytes": 0,
    "jax_disable_most_optimizations": False,
}
OPTIONS = {
    "jax_compilation_cache_dir": None,  # one for all tests, see cache
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
    "jax_disable_most_optimizations": True,
}


@functools.cache
def cache():
    """A folder for compiled programs, for as long as this process lives."""
    folder = tempfile.TemporaryDirectory(prefix="rnnjax-tests-")
    cache.kept = folder
    return folder.name


@contextlib.contextmanager
def quick():
    """Compile without most optimizations, and each program once: what is tested is not how fast a step runs."""
    for options in OPTIONS | {"jax_compilation_cache_dir": cache()}, USUAL:
        compilation_cache.reset_cache()
        for name, value in options.items():
            jax.config.update(name, value)
        if options is not USUAL:
            yield


def command(*arguments):
    return [sys.executable, "-m", "rnnjax", *map(str, arguments)]


def environment(**extra):
    """That of a person who has only set up rnnjax, but for the quick compiles."""
    options = OPTIONS | {"jax_compilation_cache_dir": cache()}
    ours = {name.upper(): str(value) for name, value in options.items()}
    ours["TF_CPP_MIN_LOG_LEVEL"] = "3"  # XLA complains of a machine when it loads what the same machine has compiled
    ours |= {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "PYTHONWARNINGS": "default"}
    return os.environ | ours | extra


def start(*arguments, cwd, **extra):
    """A process of the command `rnnjax`, with pipes."""
    pipe = subprocess.PIPE
    return subprocess.Popen(command(*arguments), cwd=cwd, env=environment(**extra), stdout=pipe, stderr=pipe, text=True)


def run(*arguments, cwd, **extra):
    """`rnnjax` from start to end: its exit code, stdout and stderr."""
    process = start(*arguments, cwd=cwd, **extra)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def learned(recipe, steps):
    """The losses of `steps` updates of a task's recipe, and the params after them."""
    training, losses = begin(recipe, recipe.optimizer, jax.random.key(0)), []
    one_step = update(recipe.gradient, recipe.optimizer)
    for now, metrics in fit(one_step, training, lambda step: (recipe.batch_at(step),), steps):
        params = now.params
        losses.append(float(metrics.loss))
    return losses, params
