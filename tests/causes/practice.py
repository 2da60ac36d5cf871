"""A fourth set of patients, as practitioners meet them, written before any of them was diagnosed.

What the diagnosis said of them at first sight was reported once, as it was (docs/causes.md).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from torch import nn

from skipway import Case

from . import _data as data
from . import _networks as networks
from . import _objectives as objectives
from . import _practice_networks as practised
from . import _sequences as sequences
from . import _strange_networks as strange
from ._builder import PAIRS, build, in_units, patient
from ._optimizers import Stepper, Tuned

OWN_PAIRS = {"early": lambda: data.memory(48, 2), "late": lambda: data.memory(40, 34)}


def practice(
    network: Callable[..., nn.Module],
    optimizer: Any,
    pairs: str = "digits",
    batch: int = 64,
    kind: str = "classes",
    factor: float = 1.0,
    objective: Any = None,
    inputs_by: float = 1.0,
    targets_by: float = 1.0,
    **settings: Any,
) -> Case:
    """Return a case; inputs and targets may be in other units."""
    both = in_units({**PAIRS, **OWN_PAIRS}[pairs](), inputs_by, targets_by)
    return build(network, both, optimizer, batch, kind, objective, factor, **settings)


_patient = functools.partial(patient, practice, steps=300)
_SGD, _ADAM = Stepper(rate=0.1), Stepper("adam", 3e-3)
N, P, S, Q, O = networks, practised, strange, sequences, objectives  # noqa: E741

PATIENTS = [
    # --- what trains ---------------------------------------------------------------------------
    _patient("adapters-of-a-frozen-body", P.Adapted, Stepper("adam", 1e-2)),
    _patient("straight-through", P.Quantised, _ADAM),
    _patient("rezero-50", P.ReZero, _ADAM),
    _patient("routed-to-one-expert", P.Routed, _ADAM),
    _patient("branch-without-a-gradient", P.Bridge, Stepper("adam", 1e-2), how="branch", width=16),
    _patient("autocast", P.Mixed, _ADAM),
    _patient("pre-norm-12", Q.Transformer, Stepper("adam", 1e-3), pairs="tokens", blocks=12,
             batch=32, steps=200),
    _patient("post-norm-12", Q.Transformer, Stepper("adam", 3e-3), pairs="tokens", blocks=12,
             pre=False, batch=32, steps=200),
    _patient("gru-that-need-not-look-far", Q.Steps, Stepper("adam", 1e-2), pairs="late",
             cell="gru", whole=True),
    _patient("graph-2", P.Graph, Stepper("adam", 1e-2), pairs="nodes", steps=100),
    _patient("one-in-a-hundred", N.MLP, _ADAM, pairs="rare", kind="binary", inputs=16, outputs=1),
    _patient("focal", N.MLP, Stepper("adam", 1e-3), kind="focal"),
    _patient("labels-smoothed", N.MLP, Stepper("adam", 1e-3), kind="smoothed", goal=0.8),
    _patient("margin", N.MLP, _SGD, kind="margin"),
    _patient("summed-loss", N.MLP, Stepper(rate=1e-3), kind="summed"),
    _patient("denoising", N.MLP, Stepper("adam", 3e-3), objective=O.Denoising(), inputs=65,
             outputs=64, width=96, act="silu", gain=None, steps=500),
    _patient("differential-equation", N.MLP, Stepper("adam", 3e-3), objective=O.Decay(),
             pairs="decay", inputs=1, outputs=1, act="tanh", gain=None),
    _patient("policy", N.MLP, Stepper("adam", 3e-3), objective=O.Reward(), steps=500),
    _patient("agreement", P.Twins, Stepper(rate=0.05), objective=O.Agreement(), goal=0.8),
    _patient("triplets", N.MLP, _ADAM, objective=O.Triplets(), outputs=16),
    _patient("generator", P.Adversaries, _ADAM, objective=O.Adversarial(), pairs="noise"),
    _patient("two-tasks-in-two-units", N.MLP, _ADAM, objective=O.TwoTasks(), outputs=11),
    _patient("first-step-of-a-warm-up", N.MLP, Tuned("adam", 3e-3, plan="warm-up", length=100)),
    _patient("end-of-a-cosine", N.MLP, Tuned("adam", 1e-3, plan="cosine", length=160),
             before=158, steps=160),
    _patient("adam-at-3e-5", N.MLP, Stepper("adam", 3e-5), width=256, steps=400, goal=0.8),
    # --- what does not, and why ----------------------------------------------------------------
    _patient("softmax-before-cross-entropy", S.Plain, _ADAM, {"raw answers": {"soft": False}},
             soft=True, goal=0.5),
    _patient("sigmoid-before-its-loss", P.Masks, Stepper("adam", 1e-2),
             {"raw answers": {"squashed": False}}, squashed=True, pairs="masks", kind="binary"),
    _patient("contrast-at-temperature-50", S.Plain, _ADAM,
             {"sharper answers": {"objective": O.Contrast()}}, objective=O.Contrast(50.0),
             outputs=16),
    _patient("generator-that-a-sharp-judge-sees-through", P.Adversaries, _ADAM,
             {"loss off its flat end": {"objective": O.Adversarial()}},
             objective=O.Adversarial(driving=False), pairs="noise", sharp=300.0),
    _patient("column-against-vector", P.OneNumber, _ADAM, {"same shapes": {"flat": True}},
             flat=False, pairs="one wave", kind="square"),
    _patient("inputs-to-255", N.MLP, _SGD,
             {"inputs scaled": {"inputs_by": 1.0},
              "even smaller rate": {"optimizer": Stepper(rate=1e-5)}},
             inputs_by=255.0, rates=100.0),
    _patient("targets-to-ten-thousand", N.MLP, _SGD,
             {"targets scaled": {"targets_by": 1.0},
              "even smaller rate": {"optimizer": Stepper(rate=1e-6)}},
             pairs="waves", kind="square", inputs=16, outputs=2, targets_by=1e4, rates=1000.0),
    _patient("lstm-told-long-ago", Q.Steps, Stepper("adam", 1e-2), {"gates": {"remember": 4.0}},
             pairs="early", cell="lstm"),
    _patient("graph-24", P.Graph, Stepper("adam", 1e-3), {"skips": {"skips": True}}, pairs="nodes",
             depth=24, steps=100),
    _patient("gelu-24-as-pytorch-starts-it", N.MLP, _SGD, {"skips": {"skips": True}}, depth=24,
             act="gelu", gain=None, bias=None),
    _patient("silu-20-adam-as-pytorch-starts-it", N.MLP, Stepper("adam", 1e-3),
             {"skips": {"skips": True}}, depth=20, act="silu", gain=None, bias=None),
    _patient("softplus-16", N.MLP, Stepper(rate=0.03), {"skips": {"skips": True}}, depth=16,
             act="softplus", gain=None, bias=None),
    _patient("adapters-that-all-start-at-zero", P.Adapted, Stepper("adam", 1e-2),
             {"larger start": {"start": 0.1}}, start=0.0),
    _patient("tanh-started-at-one", S.Plain, _SGD, {"start off the flat ends": {"gain": 1.1}},
             act="tanh", gain=40.0, depth=5),
    _patient("relu-started-at-one", S.Plain, _SGD, {"smaller start": {"gain": 1.4}}, gain=8.0,
             depth=6, rates=1000.0),
    _patient("all-weights-one-tenth", S.Plain, Stepper(rate=0.05),
             {"spread-out start": {"constant": None}}, constant=0.1, depth=3),
    _patient("momentum-0.99", N.MLP, Tuned("sgd", 0.3, momentum=0.99),
             {"usual momentum": {"optimizer": Tuned("sgd", 0.1, momentum=0.9)}}, rates=100.0,
             depth=4),
    _patient("betas-exchanged", N.MLP, Tuned("adam", 1e-2, betas=(0.999, 0.9)),
             {"usual betas": {"optimizer": Tuned("adam", 1e-2)}}, rates=30.0, depth=4),
    _patient("summed-loss-at-the-usual-rate", N.MLP, Stepper(rate=0.3), {}, kind="summed",
             rates=300.0, depth=3),
    _patient("two-samples-a-batch", N.MLP, Stepper("adam", 3e-2),
             {"larger batch": {"batch": 64, "optimizer": Stepper("adam", 3e-3)}}, batch=2,
             norm="batch", depth=3, rates=30.0),
    _patient("schedule-that-ended-early", N.MLP,
             Tuned("adam", 1e-3, plan="cosine", length=20),
             {"larger rate": {"optimizer": Stepper("adam", 3e-3)}}, before=30),
    _patient("warm-up-of-a-million-steps", N.MLP,
             Tuned("adam", 1e-2, plan="warm-up", length=1_000_000),
             {"larger rate": {"optimizer": Tuned("adam", 1e-2, plan="warm-up", length=20)}},
             before=20),
    _patient("adam-clipped-below-its-epsilon", N.MLP, Tuned("adam", 1e-3, clip=1e-11),
             {"clip off": {"optimizer": Tuned("adam", 1e-3)}}),
    _patient("adam-with-decay-of-one", Q.Transformer, Tuned("adam", 3e-3, decay=1.0),
             {"decay off": {"optimizer": Tuned("adam", 3e-3)}}, pairs="tokens"),
    _patient("dropout-0.95", N.MLP, _ADAM, {"less dropout": {"dropout": 0.2}}, dropout=0.95,
             depth=4),
    _patient("optimizer-of-a-copy", N.MLP, Tuned("adam", 3e-3, of_a_copy=True),
             {"all held": {"optimizer": Tuned("adam", 3e-3)}}),
    _patient("by-way-of-data", P.Bridge, Stepper("adam", 1e-2), {"reattached": {"how": "whole"}},
             how="data", goal=0.35),
    _patient("index-of-the-largest", P.Bridge, Stepper("adam", 1e-2),
             {"reattached": {"how": "whole"}}, how="choice", goal=0.5),
    _patient("half-precision-without-scaling", P.Mixed, _ADAM,
             {"float32": {"dtype": "float32"}}, dtype="float16", by_hand=True, factor=1e-6),
    _patient("distance-of-equals", N.MLP, _ADAM,
             {"finite": {"objective": O.Triplets()}}, objective=O.Triplets(safe=False), outputs=16),
    _patient("numbers-missing", N.MLP, _ADAM, {"finite": {"pairs": "digits"}}, pairs="missing"),
    _patient("collapsed-posterior", S.Variational, _ADAM,
             {"lighter prior": {"objective": O.Evidence()}}, objective=O.Evidence(10.0),
             before=150, steps=550, goal=0.75),
    _patient("agreement-without-a-stop", P.Twins, Stepper(rate=0.05),
             {"views stopped": {"stop": True}}, stop=False, objective=O.Agreement(), before=20,
             goal=0.8, steps=400),
]  # fmt: skip
