"""How a call reads, and when two are alike."""

import functools


class Partial(functools.partial):
    """A `functools.partial` that equals those of the same function and arguments, and reads as it was called."""

    def __eq__(self, other):
        return isinstance(other, Partial) and self._whole == other._whole

    def __hash__(self):
        return hash(self._whole)

    @property
    def __name__(self):
        given = [shown(a) for a in self.args] + [f"{k}={shown(v)}" for k, v in self.keywords.items()]
        return f"partial({', '.join([shown(self.func), *given])})"

    @property
    def _whole(self):
        named = sorted(self.keywords.items())
        return self.func, self.args, *named, *map(type, self.args), *(type(value) for _, value in named)


def alike(value):
    """The value, or of a `functools.partial`, which equals only itself, a `Partial`."""
    if type(value) is functools.partial:
        return Partial(value.func, *value.args, **value.keywords)
    return value


def shown(value):
    """A value as it reads in a call: what has a name by its name."""
    return getattr(value, "__name__", None) or repr(value)


def spelled(function, bound):
    """A call with the arguments that were given and are not their defaults: `scan(lstm(3, 4), unroll=2)`."""
    parts = []
    for parameter in bound.signature.parameters.values():
        value = bound.arguments.get(parameter.name, parameter.default)
        if parameter.kind is parameter.VAR_POSITIONAL:
            parts += [shown(v) for v in bound.arguments.get(parameter.name, ())]
        elif parameter.kind is parameter.VAR_KEYWORD:
            parts += [f"{k}={shown(v)}" for k, v in bound.arguments.get(parameter.name, {}).items()]
        elif parameter.default is parameter.empty:
            parts.append(shown(value))
        elif type(value) is not type(parameter.default) or value != parameter.default:
            parts.append(f"{parameter.name}={shown(value)}")
    return f"{function.__name__}({', '.join(parts)})"
