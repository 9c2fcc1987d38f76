"""Where credit flows: one file an algorithm, `cell with a loss -> ((params, state, xs) -> (loss, grads, state))`."""
