"""A task's recipe as it was asked for."""

import importlib

import jax.numpy as jnp

from rnnjax.tasks import TASKS
from rnnjax.tasks.options import Options
from rnnjax.tasks.recipe import Recipe
from rnnjax.train import accumulate, mixed


def module(name: str):
    """The file of a task, with its `Config`, `SMOKE` and `recipe`."""
    if name not in TASKS:
        raise ValueError(f"train: the task must be one of {', '.join(TASKS)}, but it is {name}. Choose one.")
    return importlib.import_module(f"rnnjax.tasks.{name}")


def asked(name: str, options: Options) -> Recipe:
    """The recipe of a task, its gradient in as many parts and as many bits as the options say."""
    recipe = module(name).recipe(options)
    gradient = accumulate(recipe.gradient, options.accumulate, streams=recipe.batch_axis == 1)
    if options.precision == "bfloat16":
        gradient = mixed(gradient, jnp.bfloat16)
    return recipe._replace(gradient=gradient)
