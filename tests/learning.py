"""What tests of the recipes share."""

import jax

from rnnjax.train import begin, update


def learned(recipe, steps: int):
    """The params of a recipe after so many updates."""
    training, one_step = begin(recipe, recipe.optimizer, jax.random.key(0)), update(recipe.gradient, recipe.optimizer)
    for step in range(steps):
        training, _ = one_step(training, recipe.batch_at(step))
    return training.params
