"""The weights in a file of Keras, `.weights.h5` or `.keras`, without Keras."""

import io
import json
import re
import zipfile
from collections import Counter

import jax.numpy as jnp


def read(path, layers) -> list[list[tuple]]:
    """The weights of each direction of each of a model's `layers`, as (where, array).

    A file holds the groups `layers/lstm`, `layers/lstm_1`, `layers/bidirectional`, ..., numbered within a class and in
    no other order: the model's kinds say which is next. A `.keras` has a config too, to whose order the model is held.
    """
    wanted = _numbered("bidirectional" if len(ways) > 1 else ways[0].group for ways in layers)
    found, configs = _contents(path)
    held = [name for name in configs or wanted if name in found]
    held += sorted(found.keys() - set(held))
    if held != wanted:
        raise ValueError(
            f"keras.load: {path} must hold the layers {', '.join(wanted)}, but it holds {', '.join(held) or 'none'}. "
            "Build the model that was trained."
        )
    for name, ways in zip(wanted, layers):
        for one, config in zip(ways, _directions(configs.get(name, {}))):
            _as_here(f"layers/{name} of {path}", one, config)
    weights = [(one, *part) for name, ways in zip(wanted, layers) for one, part in zip(ways, found[name], strict=True)]
    for one, where, arrays in weights:
        if not len(one.shapes) - ("bias" in one.shapes) <= len(arrays) <= len(one.shapes):
            raise ValueError(
                f"keras.load: {where} must hold {', '.join(one.shapes)} of {one.name}, but it holds {len(arrays)} "
                "weights. Give model.get_weights()."
            )
    return [[(f"{where}/{i}", w) for i, w in enumerate(arrays)] for _, where, arrays in weights]


def _contents(path):
    """The layers with weights of a file, and the config of each of its layers, in order, if it has any."""
    with open(path, "rb") as stream:
        if not zipfile.is_zipfile(stream):
            return _groups(path, stream), {}
        with zipfile.ZipFile(stream) as archive:
            if missing := {"config.json", "model.weights.h5"} - set(archive.namelist()):
                raise ValueError(
                    f"keras.load: {path} must be a .weights.h5 or a .keras, but it is an archive without "
                    f"{min(missing)}. Save with model.save."
                )
            made = json.loads(archive.read("config.json"))["config"].get("layers", [])
            names = _numbered(_snake(layer["class_name"]) for layer in made)
            configs = {name: layer["config"] for name, layer in zip(names, made)}
            return _groups(path, io.BytesIO(archive.read("model.weights.h5"))), configs


def _groups(path, stream):
    """The layers with weights: of each direction, (where, arrays)."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            "keras.load: a file must be read by h5py, but h5py is not installed. "
            "pip install 'rnnjax[keras]', or give model.get_weights()."
        ) from error
    try:
        file = h5py.File(stream, "r")
    except OSError as error:
        raise ValueError(
            f"keras.load: {path} must be a .weights.h5 or a .keras, but it is no HDF5 ({error}). "
            "Save with model.save_weights."
        ) from error
    with file:
        if "layers" not in file:
            raise ValueError(
                f"keras.load: {path} must hold the group layers, as that of a Sequential or Functional of Keras 3 "
                f"does, but it holds {', '.join(file) or 'none'}. Give model.get_weights()."
            )
        read = {name: [_weights(way) for way in _ways(group)] for name, group in file["layers"].items()}
        known = {f"{where}/{i}" for parts in read.values() for where, arrays in parts for i in range(len(arrays))}
        _nothing_else(file, known)
        return {name: parts for name, parts in read.items() if any(arrays for _, arrays in parts)}


def _ways(group):
    ways = [group[way] for way in ("forward_layer", "backward_layer") if way in group]
    return [way.get("cell", way) for way in ways or [group]]


def _weights(group):
    arrays = group.get("vars", {})
    return f"{group.name[1:]}/vars", [_array(arrays[str(i)]) for i in range(len(arrays))]


def _array(dataset):
    """An array of a file, to which bfloat16 is only bytes."""
    return dataset[()].view(jnp.bfloat16) if dataset.attrs.get("dtype") == "bfloat16" else dataset[()]


def _nothing_else(file, known):
    """Refuse weights in a layer that is made of others; what seeds noise is no weight."""

    def look(name, thing):
        if hasattr(thing, "shape") and f"layers/{name}" not in known and "seed_generator" not in name:
            raise ValueError(
                "keras.load: layers must be SimpleRNN, LSTM, GRU, Bidirectional of these, Dense or Embedding, "
                f"but layers/{name} is the weight of another, of shape {thing.shape}. Give model.get_weights()."
            )

    file["layers"].visititems(look)


def _directions(config):
    """The config of a layer, or those of its two directions, of which the second always goes backwards."""
    ways = [config[way]["config"] for way in ("layer", "backward_layer") if way in config] or [config]
    return ways[0], {option: value for option, value in ways[-1].items() if option != "go_backwards"}


def _as_here(where, one, config):
    for option, here in one.options.items():
        if config.get(option, here) != here:
            raise ValueError(
                f"keras.load: {where} must be made with {option}={here!r}, as {one.name} of the model is, but it was "
                f"made with {config[option]!r}. Build a model of cells that compute so, or scan(cell, reverse=True) "
                "with get_weights()."
            )


def _numbered(names):
    """The names, those that came before with a number: lstm, lstm_1, ..."""
    names, times = list(names), Counter()
    for i, name in enumerate(names):
        names[i] = f"{name}_{times[name]}" if times[name] else name
        times[name] += 1
    return names


def _snake(name):
    """The name of a class as a file's groups have it: simple_rnn of SimpleRNN."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
