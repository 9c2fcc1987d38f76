"""How many bytes do devices exchange in a step of training, and from which size on is that worth it?

    python -m benchmarks.collectives [--record]

The gradient of an LSTM, n = m, is compiled for 8 virtual CPU devices in each layout of `rnnjax.train.layout`, and the
collectives in its HLO are counted, those in loops as often as they run. Beside them stands the formula on paper.
"""

import math
import re
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
import tyro

import rnnjax
from benchmarks.report import RESULTS, heading, table
from rnnjax.train.layout import Layout
from rnnjax.train.mesh import mesh_of

T = 16
SHAPES = (32, 256), (64, 256), (32, 512)
MESHES = "data=8", "fsdp=8", "model=2", "model=4", "data=4,model=2"
WIDTHS = dict(f32=4, s32=4, u32=4, bf16=2, f64=8, s64=8, u64=8, pred=1)
KINDS = "all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute"


class Chip(NamedTuple):
    """Peak bf16 FLOP/s, bytes/s of memory, and bytes/s that a chip sends to the others."""

    flops: float
    memory: float
    link: float


# H100 SXM: 900 GB/s both ways, https://www.nvidia.com/en-us/data-center/h100/;
# v5e: 1600 Gbit/s, https://cloud.google.com/tpu/docs/v5e
CHIPS = {"H100 node": Chip(989e12, 3.35e12, 450e9), "TPU v5e": Chip(197e12, 819e9, 200e9)}


class Counted(NamedTuple):
    """Bytes that a device sends, by kind, in loops and outside them; and how many collectives it waits for."""

    inside: dict[str, float]
    outside: dict[str, float]
    waits: int


def sent(kind, size, group):
    """Bytes that each device of a group sends in a ring, where a collective's result on one device has `size`."""
    share = (group - 1) / group
    return {
        "all-reduce": 2 * share * size,
        "all-gather": share * size,
        "reduce-scatter": (group - 1) * size,
        "all-to-all": share * size,
        "collective-permute": size,
    }[kind]


def counted(text: str) -> Counted:
    """The collectives of a compiled program, from its HLO."""
    bodies, name = {}, None
    for line in text.splitlines():
        if begin := re.match(r"(ENTRY )?%?([\w.\-]+) .*\{$", line):
            name = "entry" if begin[1] else begin[2]
        bodies.setdefault(name, []).append(line)
    found = Counted({}, {}, 0)

    def visit(name, times, inside):
        waits = 0
        for line in bodies.get(name, ()):
            if one := re.search(rf"= (.*?) ({'|'.join(KINDS)})(?:-start)?\(", line):
                by = found.inside if inside else found.outside
                by[one[2]] = by.get(one[2], 0) + times * sent(one[2], _size(one[1]), _group(line))
                waits += times
            trips = re.search(r'known_trip_count":\{"n":"(\d+)"', line)
            for kind, called in re.findall(r"(body|calls|to_apply|condition)=%?([\w.\-]+)", line):
                loop = kind == "body"
                waits += visit(called, times * (int(trips[1]) if loop else 1), inside or loop)
        return waits

    return found._replace(waits=visit("entry", 1, False))


def _size(shapes):
    return sum(
        WIDTHS[kind] * math.prod(int(d) for d in dims.split(",") if d)
        for kind, dims in re.findall(r"(\w+)\[([\d,]*)\]", shapes)
    )


def _group(line):
    if listed := re.search(r"replica_groups=\{\{([\d,]*)\}", line):
        return len(listed[1].split(","))
    if named := re.search(r"replica_groups=mesh\[(.*?)\] \{(.*?)\}", line):
        axes = dict(part.split("=") for part in named[1].split(","))
        return math.prod(int(axes[name]) for name in named[2].split(","))
    tiled = re.search(r"replica_groups=\[(\d+),(\d+)\]", line)
    return int(tiled[2]) if tiled else 2


def compiled(text: str, B: int, m: int, T: int = T) -> str:
    """The HLO of a gradient of an LSTM on a mesh: params, states and batch laid out as in training."""
    layer = rnnjax.with_loss(rnnjax.scan(rnnjax.lstm(m, m)), lambda y, target: optax.l2_loss(y, target).sum())
    cell = rnnjax.batch(layer, B)
    lay = Layout(mesh_of(text, batch=B), B, 1)

    def gradient(params, state, xs):
        with jax.sharding.use_abstract_mesh(lay.mesh.abstract_mesh):
            loss, grads, state = rnnjax.bptt(cell)(lay.lay(lay.used, params), state, xs)
        return loss, lay.lay(lay.param, grads), lay.lay(lay.state, state)

    def typed(rule, tree):
        return jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=jax.NamedSharding(lay.mesh, rule(x.shape))), tree
        )

    params = jax.eval_shape(cell.init, jax.random.key(0))
    state = jax.eval_shape(cell.start, params)
    x = jax.ShapeDtypeStruct((T, B, m), jnp.float32)
    given = typed(lay.param, params), typed(lay.state, state), typed(lay.given, (x, x))
    return jax.jit(gradient).lower(*given).compile().as_text()


def paper(text: str, B: int, m: int, T: int = T) -> tuple[float, float]:
    """Bytes that a device should send in loops and outside them, of float32.

    Of each step and stream the state goes out once ahead, (k - 1) / k of its m numbers, and its gradient once back, as
    an all-reduce, which is twice that. After the loop all states go out once more, for the gradient of U. W and U, 8m²
    numbers, go from where they are kept to where the units are, and their gradient back. What is left is the sum of
    the gradients, and of fsdp the params.
    """
    size = mesh_of(text, batch=B).shape
    fsdp, k, devices = size["fsdp"], size["model"], size["data"] * size["fsdp"]
    state = T * B / devices * m * (k - 1) / k
    weights = 8 * m**2 / k
    sums = 2 * (devices - 1) / devices * (weights + 4 * m / k)
    return 4 * 3 * state, 4 * (state + 2 * (k - 1) / k * weights + sums + (fsdp - 1) / fsdp * weights)


def worth(chip: Chip, devices: int, latency: float = 1e-5):
    """From which sizes on a layout takes less time for what it sends than for what it computes, at peak rates.

    - rows a device and update (streams x steps) for data: 48 m² FLOPs a row, of which m drops out, float32 gradients;
    - the streams below which a step of the loop waits for U from memory, in bf16;
    - m for model where the products count: the share saved of 48 m² FLOPs a row, against 4m numbers of bf16;
    - m for model with few streams, where to read U from memory and two latencies a step and way count.
    """
    share = (devices - 1) / devices
    return (
        share * 2 * 8 * 4 / 48 * chip.flops / chip.link,
        chip.flops / chip.memory,
        2 * 4 / 48 * chip.flops / chip.link,
        math.sqrt(2 * latency * chip.memory / (share * 8 * 2)),
    )


def main(record: bool = False):
    """Count the bytes of every layout and shape.

    Args:
        record: write the tables to benchmarks/results/collectives-cpu.md.
    """
    rows = []
    for B, m in SHAPES:
        for text in MESHES:
            found = counted(compiled(text, B, m))
            kinds = ", ".join(sorted({*found.inside, *found.outside}))
            inside, outside = (f"{sum(part.values()):,.0f}" for part in (found.inside, found.outside))
            rows.append([text, B, m, inside, *(f"{p:,.0f}" for p in paper(text, B, m)), outside, found.waits, kinds])
    order = (0, 1, 2, 3, 4, 6, 5, 7, 8)
    columns = "mesh", "B", "m", "in loops", "on paper", "outside", "on paper", "collectives", "kinds"
    text = heading("What devices exchange") + f"\nBytes that one device sends in one update; T = {T}, float32.\n\n"
    text += table(columns, [[row[i] for i in order] for row in rows])
    text += "\nFrom which sizes on it is worth it, at peak rates and 10 µs a collective:\n\n"
    names = "", "data: rows a device", "streams below which U is waited for", "model: m", "model, few streams: m"
    found = [(name, worth(chip, 256 if "TPU" in name else 8)) for name, chip in CHIPS.items()]
    text += table(names, [[name, *(f"{x:,.0f}" for x in sizes)] for name, sizes in found])
    print(text)
    if record:  # nothing here is timed, so the machine need not be quiet
        (RESULTS / "collectives-cpu.md").write_text(text)


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", 8)
    tyro.cli(main)
