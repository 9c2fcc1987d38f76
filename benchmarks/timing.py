"""Contenders timed in turns, so that what disturbs the machine disturbs all of them."""

import contextlib
import itertools
import multiprocessing
import random
import time
from statistics import median


def own_process(build, *args, **kwargs):
    """Run `build(...) -> (facts, step)` in a process of its own: `facts`, and a `turn` of that step (see `turns`)."""
    spawn = multiprocessing.get_context("spawn")
    pipe, theirs = spawn.Pipe()
    spawn.Process(target=_serve, args=(theirs, build, args, kwargs), daemon=True).start()
    theirs.close()
    return pipe.recv(), lambda n: pipe.send(n) or pipe.recv()


def this_process(build, *args, **kwargs):
    """The same, here, beside whatever threads the others keep."""
    facts, step = build(*args, **kwargs)
    return facts, turns(step)


def _serve(pipe, build, args, kwargs):
    facts, turn = this_process(build, *args, **kwargs)
    pipe.send(facts)
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            pipe.send(turn(pipe.recv()))


def turns(step):
    """`turn(n)`, the seconds of each of n calls of `step`, after one more that fills the caches again."""

    def turn(n):
        step()
        times = [time.perf_counter()]
        for _ in range(n):
            step()
            times.append(time.perf_counter())
        return [after - before for before, after in itertools.pairwise(times)]

    return turn


def interleaved(turns, *, rounds, steps, warm=2):
    """{name: seconds of its steps, one list a round}: in every round each of {name: turn} once, in a random order."""
    times, order = {name: [] for name in turns}, random.Random(0)
    for k in range(warm + rounds):
        for name in order.sample(list(turns), len(turns)):
            took = turns[name](steps)
            if k >= warm:
                times[name].append(took)
    return times


def least(times):
    """The fastest step, which other programs disturbed least."""
    return min(map(min, times))


def typical(times):
    """The median step."""
    return median(second for took in times for second in took)


def ratio(times, reference):
    """How many times longer than the reference: the median over rounds, for a slow spell slows both alike."""
    return median(median(a) / median(b) for a, b in zip(times, reference, strict=True))
