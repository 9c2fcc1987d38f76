"""Every error of the algebra: raised at trace time, saying the rule, what was found, and what to do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnjax as r
from conftest import B, T, inputs, m, n, params_of, squared
from rnnjax import diagnostics
from rnnjax.train.run import Run


def traced(function, *args):
    """Trace only, as under the user's jit: no error may wait until the program runs."""
    return jax.eval_shape(jax.jit(function), *args)


def step_of(cell, x, state=None):
    params = params_of(cell)
    return traced(cell.step, params, cell.start(params) if state is None else state, x)


def changed(change):
    """A cell whose step changes the type of its state."""
    return r.Cell(
        lambda key: jnp.zeros(()),
        lambda params: r.LSTMState(jnp.zeros(4), jnp.zeros(4)),
        lambda params, state, x: (change(state), x),
    )


LOST = changed(lambda s: s.h)
CAST = changed(lambda s: s._replace(c=s.c.astype(jnp.bfloat16)))
GROWN = changed(lambda s: s._replace(h=jnp.zeros(5)))
WAYS = r.bidirectional(r.gru(n, m), r.gru(n, m))
DEEP = r.deep(r.lstm, n, m, layers=2)
NO_LOSS = r.scan(r.gru(n, m))
PAIRED = r.scan(r.stack(r.gru(n, m), r.lift(lambda y: (y.sum(), y.sum()))))
COUNTED = r.scan(r.stack(r.gru(n, m), r.lift(lambda y: jnp.int32(1))))
LOSS = r.with_loss(r.scan(r.gru(n, m)), squared)
XS = inputs(T, n)
PAIR = XS, inputs(T, m)


def gradient_of(gradient, cell, xs, *keep):
    params = params_of(cell)
    return traced(gradient, params, cell.start(params), xs, *keep)


def diagnosed(act, cell, xs, **options):
    params = params_of(cell)
    return act(cell, params, cell.start(params), xs, **options)


def applied(model, xs, **options):
    return traced(lambda xs: r.apply(model, params_of(model), xs, **options), xs)


def shortened(**options):
    return lambda: applied(r.gru(n, m), inputs(B, T, n), **options)


ERRORS = {
    # sizes
    "rnn(0, 4)": (
        ValueError,
        r"^rnn: n must be a positive int, but n is 0\. Give a Python int\.$",
        lambda: r.rnn(0, 4),
    ),
    "lstm(3, 4.0)": (ValueError, r"^lstm: m must be a positive int, but m is 4\.0\.", lambda: r.lstm(3, 4.0)),
    "lstm(3, int64)": (
        ValueError,
        r"^lstm: m .* is np\.int64\(4\)\. Give a Python int",
        lambda: r.lstm(3, np.int64(4)),
    ),
    "gru(True, 4)": (ValueError, r"^gru: n must be a positive int, but n is True", lambda: r.gru(True, 4)),
    "dense(3, -1)": (ValueError, r"^dense: m must be a positive int, but m is -1", lambda: r.dense(3, -1)),
    "embed(0, 4)": (ValueError, r"^embed: v must be a positive int, but v is 0", lambda: r.embed(0, 4)),
    "batch(cell, 0)": (ValueError, r"^batch: B must be a positive int, but B is 0", lambda: r.batch(r.gru(n, m), 0)),
    "deep(layers=0)": (ValueError, r"^deep: layers must be a positive int", lambda: r.deep(r.gru, n, m, layers=0)),
    "segments=0": (
        ValueError,
        r"^checkpointed: segments must be a positive int, but segments is 0",
        lambda: step_of(r.scan(r.gru(n, m), r.checkpointed, segments=0), XS),
    ),
    "segments=8": (
        ValueError,
        r"^checkpointed: segments must be at most the 7 steps, but segments is 8\. Give fewer",
        lambda: step_of(r.scan(r.gru(n, m), r.checkpointed, segments=8), XS),
    ),
    "snapshots=0": (
        ValueError,
        r"^checkpointed: snapshots must be a positive int, but snapshots is 0\. Give a Python int",
        lambda: step_of(r.scan(r.gru(n, m), r.checkpointed, snapshots=0), XS),
    ),
    "snapshots=2.5": (
        ValueError,
        r"^checkpointed: snapshots must be a positive int, but snapshots is 2\.5",
        lambda: step_of(r.scan(r.gru(n, m), r.checkpointed, segments=3, snapshots=2.5), XS),
    ),
    "window=0": (ValueError, r"^tbptt: window must be a positive int", lambda: r.tbptt(LOSS, window=0)),
    "stride=0": (ValueError, r"^tbptt: stride must be a positive int", lambda: r.tbptt(LOSS, window=4, stride=0)),
    "stride=5": (
        ValueError,
        r"^tbptt: stride must be at most window, but stride is 5 and window is 4\..* longer window or a shorter stride",
        lambda: r.tbptt(LOSS, window=4, stride=5),
    ),
    "stack()": (
        ValueError,
        r"^stack: there must be at least one cell, but there is none\. Give cells",
        lambda: r.stack(),
    ),
    "dropout(1)": (
        ValueError,
        r"^dropout: rate must be in \[0, 1\), but rate is 1\. Give the share",
        lambda: r.dropout(1),
    ),
    # a cell of the other kind
    "scan(scan)": (
        TypeError,
        r"^scan: the cell must be of one step, but scan\(gru\(3, 4\)\) runs over whole sequences\. Give the cell",
        lambda: r.scan(NO_LOSS),
    ),
    "scan(deep)": (TypeError, r"^scan: .* but deep\(lstm, 3, 4, layers=2\) runs over", lambda: r.scan(DEEP)),
    "masked(scan)": (TypeError, r"^masked: the cell must be of one step", lambda: r.masked(NO_LOSS)),
    "check(scan)": (TypeError, r"^check: the cell must be of one step", lambda: r.check(NO_LOSS, jnp.zeros(n))),
    "resettable(scan)": (TypeError, r"^resettable: the cell must be of one step", lambda: r.resettable(NO_LOSS)),
    "bidirectional(scan, cell)": (
        TypeError,
        r"^bidirectional: the cell must be of one step, but scan\(gru",
        lambda: r.bidirectional(NO_LOSS, r.gru(n, m)),
    ),
    "bidirectional(cell, scan)": (
        TypeError,
        r"^bidirectional: the cell must be of one step, but scan\(gru",
        lambda: r.bidirectional(r.gru(n, m), NO_LOSS),
    ),
    # inputs
    **{
        f"{cell} on a sequence": (
            ValueError,
            rf"^{str(cell)[: str(cell).index('(')]}: x must be one step with 3 features, but x is float64\[7,3\]\. "
            r"Use scan for a time axis and batch \(or apply\) for a batch axis",
            lambda cell=cell: step_of(cell, XS),
        )
        for cell in (r.rnn(n, m), r.lstm(n, m), r.gru(n, m), r.dense(n, m), r.layer_norm(n), r.rms_norm(n))
    },
    "features": (
        ValueError,
        r"x must be one step with 3 features, but x is float64\[2\]",
        lambda: step_of(DEEP, XS[:, :2]),
    ),
    "embed of floats": (
        TypeError,
        r"^embed: x must be one integer symbol, but x is float64\[\]\..* encode text with a vocabulary",
        lambda: step_of(r.embed(6, m), jnp.zeros(())),
    ),
    "embed of a sequence": (
        TypeError,
        r"^embed: x must be one integer symbol, but x is int64\[7\]\. Use scan for a time axis",
        lambda: step_of(r.embed(6, m), jnp.zeros(7, int)),
    ),
    **{
        f"{name} on uneven xs": (
            ValueError,
            rf"^{name}: every array in xs must have the same leading time axis, but xs is .*\[7,3\].*\[6\]"
            r".*\. Stack the steps along axis 0",
            lambda loop=loop: step_of(r.scan(r.stack(r.lift(lambda x: x[0]), r.gru(n, m)), loop), (XS, jnp.zeros(6))),
        )
        for name, loop in {f.__name__: f for f in (r.deferred, r.rolled, r.checkpointed, r.python)}.items()
    },
    "a loop over a scalar": (ValueError, r"^deferred: every array in xs must", lambda: step_of(NO_LOSS, jnp.zeros(()))),
    "tbptt on uneven xs": (
        ValueError,
        r"^tbptt: every array in xs must have the same leading time axis",
        lambda: gradient_of(r.tbptt(LOSS, window=3), LOSS, (XS, inputs(T + 1, m))),
    ),
    "a run whose checkpoints would be lost": (
        ValueError,
        r"^Run: path must have none of \* \? \[ \], but .*a \[b\] has \[ \], .*\. Choose another --name",
        lambda: Run.create("a [b]", {}),
    ),
    "a mask of another length": (
        ValueError,
        r"^deferred: every array in xs must have the same leading time axis, but xs is .*bool\[6\]",
        lambda: gradient_of(r.bptt(LOSS), LOSS, PAIR, jnp.ones(6, bool)),
    ),
    "python on no steps": (
        ValueError,
        r"^python: xs must have at least one step, but xs has 0\. Use rolled",
        lambda: step_of(r.scan(r.gru(n, m), r.python), XS[:0]),
    ),
    "bptt on no steps": (
        ValueError,
        r"^bptt: xs must have at least one step, but xs has none\. Leave empty sequences out",
        lambda: gradient_of(r.bptt(LOSS), LOSS, (XS[:0], PAIR[1][:0])),
    ),
    "tbptt on no steps": (
        ValueError,
        r"^tbptt: xs must have at least one step, but xs has none\. Leave empty sequences out",
        lambda: gradient_of(r.tbptt(LOSS, window=3), LOSS, (XS[:0], PAIR[1][:0])),
    ),
    "residual": (
        ValueError,
        r"^residual: y must be of the type of x, but x is float64\[3\] and y is float64\[4\]\. Use a cell with as many",
        lambda: step_of(r.residual(r.gru(n, m)), XS[0]),
    ),
    "highway": (
        ValueError,
        r"^highway: y must be of the type of x, but x is float64\[3\] and y is float64\[4\]\. Use a cell with as many",
        lambda: step_of(r.highway(r.gru(n, m), n), XS[0]),
    ),
    "highway of another n": (
        ValueError,
        r"^highway: x must have 4 features, but x is float64\[7,3\]\. Give the n of the cell's input",
        lambda: step_of(r.highway(NO_LOSS, m), XS),
    ),
    "highway(cell, 0)": (ValueError, r"^highway: n must be a positive int", lambda: r.highway(r.gru(n, n), 0)),
    "layer_norm(0)": (ValueError, r"^layer_norm: n must be a positive int", lambda: r.layer_norm(0)),
    "rms_norm(0)": (ValueError, r"^rms_norm: n must be a positive int", lambda: r.rms_norm(0)),
    **{
        f"skip of {what}": (
            ValueError,
            rf"^skip: y must be of the type of x but for its last axis, but x is {found}\. Put what makes x such",
            lambda cell=cell, x=x: step_of(r.skip(cell), x),
        )
        for what, cell, x, found in (
            ("symbols", r.embed(6, m), np.array(3), r"int64\[\] and y is float64\[4\]"),
            ("numbers", r.lift(jnp.tanh), np.array(3.0), r"float64\[\] and y is float64\[\]"),
            ("matrices", r.lift(lambda x: jnp.outer(x, x)), XS[0], r"float64\[3\] and y is float64\[3,3\]"),
            ("a pair", r.lift(lambda x: (x, x)), XS[0], r"float64\[3\] and y is \('float64\[3\]', 'float64\[3\]'\)"),
        )
    },
    **{
        f"deep of {what}": (
            TypeError,
            rf"^deep: a layer must give the next one array of features, but y is {found}\. Choose what the next",
            lambda out=out, both=both: r.deep(lambda n, m: r.stack(r.gru(n, m), r.lift(out)), n, m, layers=2, **both),
        )
        for what, out, both, found in (
            ("pairs", lambda h: (h, h), {}, r"\('float64\[4\]', 'float64\[4\]'\)"),
            ("numbers", jnp.sum, {}, r"float64\[\]"),
            ("joined numbers", lambda h: h, dict(bidirectional=True, join=jnp.vdot), r"float64\[\]"),
        )
    },
    **{
        f"resettable of {what}": (
            TypeError,
            rf"^resettable: x must be a pair \(x, reset\) with one boolean reset, but x is {found}\. Use scan for a",
            lambda x=x: step_of(r.resettable(r.gru(n, m)), x),
        )
        for what, x, found in (
            ("x alone", XS[0], r"float64\[3\]"),
            ("x of two", XS[0, :2], r"float64\[2\]"),
            ("a number", (XS[0], np.array(1)), r"\('float64\[3\]', 'int64\[\]'\)"),
            ("a sequence", (XS, jnp.zeros(T, bool)), r"\('float64\[7,3\]', 'bool\[7\]'\)"),
            ("three", (XS[0], jnp.array(True), XS[0]), r"\('float64\[3\]', 'bool\[\]', 'float64\[3\]'\)"),
        )
    },
    # states
    **{
        f"{where}, {fault}": (
            TypeError,
            rf"^({where}|deferred): step must return the state it was given, but state{found}",
            lambda cell=cell, loop=loop: (
                traced(lambda x: r.check(cell, x), jnp.zeros(2))
                if loop is None
                else step_of(r.scan(cell, loop), jnp.zeros((T, 2)))
            ),
        )
        for where, loop in {
            "deferred": r.deferred,
            "rolled": r.rolled,
            "checkpointed": r.checkpointed,
            "python": r.python,
            "check": None,
        }.items()
        for fault, cell, found in (
            (
                "structure",
                LOST,
                r" went in as .*LSTMState.* and came out as PyTreeDef\(\*\)\. Return the same structure",
            ),
            ("dtype", CAST, r"\.c went in as float64\[4\] and came out as bfloat16\[4\]\. Cast it inside step"),
            ("shape", GROWN, r"\.h went in as float64\[4\] and came out as float64\[5\]\. Keep its shape inside step"),
        )
    },
    "batch of another size": (
        ValueError,
        r"^batch: axis 1 of xs must have size 5, but xs is float64\[7,4,3\]\. Give 5 streams, or build batch\(",
        lambda: step_of(r.batch(NO_LOSS, B), inputs(T, 4, n)),
    ),
    "batch of steps": (
        ValueError,
        r"^batch: axis 0 of xs must have size 5, but xs is float64\[3\]",
        lambda: step_of(r.batch(r.gru(n, m), B), XS[0]),
    ),
    "state without a batch": (
        ValueError,
        r"^batch: axis 0 of state must have size 5, but state is float64\[4\]",
        lambda: step_of(r.batch(NO_LOSS, B), inputs(T, B, n), jnp.zeros(4)),
    ),
    "mask without a batch": (
        ValueError,
        r"^batch: axis 1 of keep must have size 5, but keep is bool\[7\]",
        lambda: gradient_of(
            r.bptt(r.batch(LOSS, B)), r.batch(LOSS, B), (inputs(T, B, n), inputs(T, B, m)), jnp.ones(T, bool)
        ),
    ),
    # the door
    "apply without a batch": (
        ValueError,
        r"^apply: xs must be batch-major \(B, T, \.\.\.\), but xs is float64\[7\]\. Add a batch axis with xs\[None\]",
        lambda: applied(r.lift(jnp.sin), jnp.zeros(7)),
    ),
    "apply on uneven xs": (
        ValueError,
        r"^apply: xs must be batch-major .*float64\[5,7\].*float64\[5,6\]",
        lambda: applied(r.lift(lambda x: x), (jnp.zeros((B, T)), jnp.zeros((B, T - 1)))),
    ),
    "lengths of floats": (
        ValueError,
        r"^apply: lengths must be 5 integers, one a sequence, but lengths is float64\[5\]\. Count (the )?real steps",
        shortened(lengths=np.ones(B)),
    ),
    "too few lengths": (ValueError, r"^apply: lengths must be 5 integers.*int64\[4\]", shortened(lengths=np.arange(4))),
    "long lengths": (
        ValueError,
        r"^apply: lengths must be in 0 \.\.\. 7, but lengths goes from 1 to 8\. Pad xs to the longest sequence",
        shortened(lengths=[1, 2, 8, 3, 4]),
    ),
    "negative lengths": (
        ValueError,
        r"^apply: lengths must be in 0 \.\.\. 7, but lengths goes from -1 to 4",
        shortened(lengths=jnp.array([1, 2, -1, 3, 4])),
    ),
    "state of another batch": (
        ValueError,
        r"^batch: axis 0 of state must have size 5, but state is float64\[4,4\]",
        shortened(state=np.zeros((4, m))),
    ),
    # losses
    **{
        f"{where} of {what}": (
            TypeError,
            rf"^{where}: the cell must give one loss a step, but y is {found}\. Use with_loss\(cell, loss\)",
            lambda gradient=gradient, cell=cell: gradient_of(gradient(cell), cell, XS),
        )
        for where, gradient in {
            "bptt": r.bptt,
            "tbptt": lambda cell: r.tbptt(cell, window=3, stride=2),
        }.items()
        for what, cell, found in (
            ("vectors", r.scan(r.lift(lambda x: jnp.outer(x, x))), r"float64\[7,3,3\]"),
            ("pairs", PAIRED, r"\('float64\[7\]', 'float64\[7\]'\)"),
            ("integers", COUNTED, r"int32\[7\]"),
        )
    },
    # diagnostics
    "lags beyond": (
        ValueError,
        r"^gradient_flow: lags must be from 0 to the 7 steps, but lags is \[2 8\]\. Give others\.$",
        lambda: diagnosed(diagnostics.gradient_flow, r.gru(n, m), XS, lags=[8, 2]),
    ),
    "negative lags": (
        ValueError,
        r"^gradient_flow: lags must be from 0 to the 7 steps, but lags is \[-1\]",
        lambda: diagnosed(diagnostics.gradient_flow, r.gru(n, m), XS, lags=[-1]),
    ),
    "exponents beyond": (
        ValueError,
        r"^lyapunov: count must be from 1 to the state's 4 floats, but it is 5\. Give less\.$",
        lambda: diagnosed(diagnostics.lyapunov, r.gru(n, m), XS, count=5),
    ),
    **{
        f"{act.__name__} of {what}": (
            kind,
            rf"^{act.__name__}: {message}",
            lambda act=act, make=make: diagnosed(act, *make),
        )
        for act in (diagnostics.gradient_flow, diagnostics.lyapunov)
        for what, make, kind, message in (
            (
                "no floats",
                (r.scan(r.embed(6, m)), np.zeros(T, int)),
                ValueError,
                r"the state must hold floats, but it holds none\. Give a cell with a state\.$",
            ),
            (
                "no steps",
                (r.gru(n, m), XS[:0]),
                ValueError,
                r"xs must have at least one step, but xs has none\. Give some\.$",
            ),
            (
                "a complex state",
                (r.Cell(lambda key: (), lambda params: jnp.zeros(m, complex), lambda params, h, x: (h, x)), XS),
                TypeError,
                r"the state must be real, but it is complex\. Keep two real parts in its place\.$",
            ),
            ("another state", (LOST, XS), TypeError, r"step must return the state it was given, but state"),
            (
                "uneven xs",
                (r.gru(n, m), (XS, XS[:3])),
                ValueError,
                r"every array in xs must have the same leading time",
            ),
        )
    },
    **{
        f"{act.__name__} both ways": (
            TypeError,
            r"^bidirectional: there must be a single step, .* has none",
            lambda act=act: diagnosed(act, r.stack(WAYS, r.dense(2 * m, m)), XS),
        )
        for act in (diagnostics.gradient_flow, diagnostics.lyapunov, diagnostics.activations)
    },
    "tbptt both ways": (
        TypeError,
        r"^bidirectional: there must be a single step, but bidirectional\(gru\(3, 4\), gru\(3, 4\)\) has none.*Use",
        lambda: gradient_of(r.tbptt(r.with_loss(WAYS, lambda y, t: y.sum()), window=3), WAYS, PAIR),
    ),
    "deep tbptt both ways": (
        TypeError,
        r"^bidirectional: there must be a single step, .* needs the whole sequence",
        lambda: gradient_of(
            r.tbptt(r.batch(r.with_loss(r.stack(WAYS, r.dense(2 * m, m)), squared), B), window=3),
            r.batch(r.stack(WAYS, r.dense(2 * m, m)), B),
            (inputs(T, B, n), inputs(T, B, m)),
        ),
    ),
    "bidirectional.each": (
        TypeError,
        r"^bidirectional: there must be a single step",
        lambda: step_of(WAYS.each, XS[0]),
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error(name):
    kind, message, act = ERRORS[name]
    with pytest.raises(kind, match=message):
        act()
