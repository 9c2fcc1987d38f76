"""A recipe across the devices of a mesh: the same functions, of arrays that lie across them."""

import jax
import optax
from jax.sharding import Mesh

from rnnjax.tasks.recipe import Recipe
from rnnjax.train.layout import Layout


def placed(recipe: Recipe, mesh: Mesh, batch: int) -> Recipe:
    """The recipe whose params, optimizer, state and batches lie across `mesh` by the rules of `Layout`.

    It learns what the recipe learns on one device, but for the order of sums. What is measured, shown and drawn is
    so on one device of each process.
    """
    layout, show, draw = Layout(mesh, batch, recipe.batch_axis), recipe.show, recipe.draw

    def gradient(params, state, batch, keep=None):
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
            loss, gradients, state = recipe.gradient(layout.lay(layout.used, params), state, batch, keep)
        return loss, layout.lay(layout.param, gradients), layout.lay(layout.state, state)

    def change(updates, state, params=None):
        updates, state = recipe.optimizer.update(updates, state, params)
        return layout.lay(layout.param, updates), layout.lay(layout.param, state)

    @jax.jit
    def settled(state):
        return layout.lay(layout.state, state)

    def restart(step, training):
        training = recipe.restart(step, training)
        return training._replace(state=settled(training.state))

    return recipe._replace(
        init=lambda key: layout.lay(layout.param, recipe.init(key)),
        start=lambda params: layout.lay(layout.state, recipe.start(params)),
        gradient=gradient,
        optimizer=optax.GradientTransformation(
            lambda params: layout.lay(layout.param, recipe.optimizer.init(params)), change
        ),
        batch_at=lambda step: layout.spread(recipe.batch_at(step)),
        measure=lambda params, part: recipe.measure(layout.whole(params), part),
        restart=recipe.restart and restart,
        show=show and (lambda params: show(layout.whole(params))),
        draw=draw and (lambda params, folder: draw(layout.whole(params), folder)),
    )
