"""rnnjax: recurrent networks in JAX. A recurrent network is one pure function of a step.

Four words make the library: a *cell* (`Cell`, `rnn`, `lstm`, `gru`, ... and the combinators that make cells of
cells), a *loop* over time (`deferred`, `rolled`, `checkpointed`, `associative`, `newton`, ...), a *gradient* (`bptt`,
`tbptt`, `rtrl`, ...), a *task* (`rnnjax.data`, `rnnjax.train`, `rnnjax.tasks`, the command `rnnjax`);
`rnnjax.diagnostics` looks into them.
"""

from rnnjax.apply import apply
from rnnjax.cell import Cell, interned
from rnnjax.cells.attention import GLAParams, gla
from rnnjax.cells.cfc import CfCParams, cfc
from rnnjax.cells.clockwork import ClockworkParams, ClockworkState, clockwork
from rnnjax.cells.conv import conv_lstm
from rnnjax.cells.coupled import coupled_lstm
from rnnjax.cells.elman import RNNParams, rnn
from rnnjax.cells.gru import GRUParams, gru, reset_first_gru
from rnnjax.cells.independent import IndRNNParams, JordanParams, indrnn, irnn, jordan
from rnnjax.cells.layer_norm import LayerNormParams, layer_norm, rms_norm
from rnnjax.cells.lru import LRUParams, lru
from rnnjax.cells.lstm import LSTMParams, LSTMState, lstm
from rnnjax.cells.mingru import MinGRUParams, MinLSTMParams, mingru, minlstm
from rnnjax.cells.mlstm import MLSTMParams, MLSTMState, mlstm
from rnnjax.cells.norm import NormGRUParams, NormLSTMParams, norm_gru, norm_lstm
from rnnjax.cells.ntm import NTMParams, NTMState, ntm
from rnnjax.cells.orthogonal import ExpRNNParams, exprnn
from rnnjax.cells.oscillators import CoRNNParams, CoRNNState, LEMParams, LEMState, cornn, lem
from rnnjax.cells.peephole import PeepholeParams, peephole_lstm
from rnnjax.cells.projected import ProjectedParams, projected_lstm
from rnnjax.cells.qrnn import QRNNParams, SRUParams, qrnn, sru, window
from rnnjax.cells.rglru import RGLRUParams, rglru
from rnnjax.cells.single import janet, mgu, ugrnn
from rnnjax.cells.slstm import SLSTMParams, SLSTMState, slstm
from rnnjax.cells.ssm import S5Params, s5
from rnnjax.cells.stable import AntisymmetricParams, LipschitzParams, antisymmetric, lipschitz
from rnnjax.cells.stack_rnn import StackRNNParams, StackRNNState, stack_rnn
from rnnjax.cells.stateless import DenseParams, dense, embed, lift
from rnnjax.compose.around import residual, skip
from rnnjax.compose.attend import AttendParams, AttendState, bahdanau, luong
from rnnjax.compose.batch import batch
from rnnjax.compose.bidirectional import average, bidirectional
from rnnjax.compose.deep import deep
from rnnjax.compose.dilated import dilated
from rnnjax.compose.dropout import Lasting, Noise, Noisy, Shared, dropout, seed
from rnnjax.compose.fed_back import fed_back
from rnnjax.compose.frozen import frozen
from rnnjax.compose.highway import HighwayParams, highway
from rnnjax.compose.memory import Memory, attend_to
from rnnjax.compose.resettable import resettable
from rnnjax.compose.scores import additive, dot, general
from rnnjax.compose.stack import stack
from rnnjax.compose.variational import recurrent_dropout, variational
from rnnjax.compose.weight_drop import weight_drop
from rnnjax.compose.with_loss import with_loss
from rnnjax.compose.zoneout import zoneout
from rnnjax.contract import check
from rnnjax.gradients.bptt import bptt
from rnnjax.gradients.eprop import eprop
from rnnjax.gradients.forward import forward_gradient
from rnnjax.gradients.kf_rtrl import kf_rtrl
from rnnjax.gradients.online import Credited
from rnnjax.gradients.rflo import rflo
from rnnjax.gradients.rtrl import rtrl
from rnnjax.gradients.snap import snap
from rnnjax.gradients.tbptt import tbptt
from rnnjax.gradients.uoro import uoro
from rnnjax.loops.associative import associative
from rnnjax.loops.checkpointed import checkpointed
from rnnjax.loops.chunked import chunked
from rnnjax.loops.deferred import deferred
from rnnjax.loops.masked import masked
from rnnjax.loops.newton.jacobian import diagonal_jacobian, full_jacobian
from rnnjax.loops.newton.solve import newton, solve
from rnnjax.loops.newton.streams import Solution
from rnnjax.loops.python import python
from rnnjax.loops.rolled import rolled
from rnnjax.loops.scan import scan

__version__ = "0.1.0"

__all__ = [
    "Cell", "check", "interned",
    "rnn", "lstm", "gru", "dense", "embed", "lift", "layer_norm", "rms_norm",
    "peephole_lstm", "projected_lstm", "coupled_lstm", "norm_lstm", "conv_lstm", "slstm", "mlstm", "janet",
    "reset_first_gru", "norm_gru", "mgu", "ugrnn",
    "mingru", "minlstm", "qrnn", "window", "sru", "lru", "s5", "rglru", "gla",
    "antisymmetric", "lipschitz", "exprnn", "cornn", "lem", "cfc",
    "stack_rnn", "ntm", "StackRNNParams", "StackRNNState", "NTMParams", "NTMState",
    "irnn", "indrnn", "jordan", "clockwork", "dilated",
    "RNNParams", "LSTMParams", "LSTMState", "GRUParams", "DenseParams", "LayerNormParams", "HighwayParams",
    "Noise", "Lasting", "Shared", "Noisy",
    "PeepholeParams", "ProjectedParams", "NormLSTMParams", "NormGRUParams",
    "SLSTMParams", "SLSTMState", "MLSTMParams", "MLSTMState",
    "MinGRUParams", "MinLSTMParams", "QRNNParams", "SRUParams", "LRUParams", "S5Params", "RGLRUParams", "GLAParams",
    "AntisymmetricParams", "LipschitzParams", "ExpRNNParams", "CoRNNParams", "CoRNNState", "LEMParams", "LEMState",
    "CfCParams", "IndRNNParams", "JordanParams", "ClockworkParams", "ClockworkState",
    "scan", "deferred", "rolled", "checkpointed", "associative", "chunked", "newton", "python", "masked",
    "solve", "Solution", "full_jacobian", "diagonal_jacobian",
    "bahdanau", "luong", "attend_to", "additive", "general", "dot", "fed_back", "AttendParams", "AttendState", "Memory",
    "batch", "stack", "residual", "skip", "highway", "bidirectional", "average", "deep", "resettable", "frozen",
    "dropout", "seed", "with_loss", "apply",
    "variational", "recurrent_dropout", "weight_drop", "zoneout",
    "bptt", "tbptt", "rtrl", "snap", "uoro", "kf_rtrl", "eprop", "rflo", "forward_gradient", "Credited",
]  # fmt: skip
