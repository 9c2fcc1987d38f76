"""Contenders timed in turns, so that what disturbs the machine disturbs all of them."""

import contextlib
import itertools
import multiprocessing
import random
import time
from statistics import median


def own_process():
    """A process of its own in which to place contenders, one after another, as `this_process` does here."""
    spawn = multiprocessing.get_context("spawn")
    pipe, theirs = spawn.Pipe()
    spawn.Process(target=_serve, args=(theirs,), daemon=True).start()
    theirs.close()

    def ask(what):
        pipe.send(what)
        return pipe.recv()

    return lambda build, *args, **kwargs: (ask((build, args, kwargs)), ask)


def this_process(build, *args, **kwargs):
    """Run `build(...) -> (facts, step)`: `facts`, and a `turn` of that step (see `turns`)."""
    facts, step = build(*args, **kwargs)
    return facts, turns(step)


def _serve(pipe):
    """Build what is sent as (build, args, kwargs), and take a turn of it where a number is."""
    turn = None
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            what = pipe.recv()
            if isinstance(what, int):
                pipe.send(turn(what))
            else:
                build, args, kwargs = what
                turn = None  # frees the last one's memory before the next
                facts, turn = this_process(build, *args, **kwargs)
                pipe.send(facts)


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


def paced(turn, seconds):
    """A turn of as many steps, 1 to 50, as fill about so many seconds, whatever number it is asked for."""
    steps = max(1, min(50, round(seconds / least([turn(2)]))))
    return lambda _: turn(steps)


def interleaved(turns, *, rounds, steps, warm=2, pause=0.0):
    """{name: seconds of its steps, one list a round}: in every round each of {name: turn} once, in a random order.

    Before each, `pause` seconds for the threads of the one before to fall asleep."""
    times, order = {name: [] for name in turns}, random.Random(0)
    for k in range(warm + rounds):
        for name in order.sample(list(turns), len(turns)):
            time.sleep(pause)
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
