"""How time is run: `scan`, and one file a loop `(cell, params, state, xs) -> (state, ys)`."""
