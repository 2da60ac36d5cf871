"""A fifth set of patients, after what people report, written before any of them was diagnosed.

A third of them trains: networks, losses and an optimizer of kinds that the other sets do not have.
The others have what public threads ask about; where one thread stands for many, it is named beside
the patient. What the diagnosis said of them at first sight was reported once, as it was
(docs/causes.md).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from torch import nn

from skipway import Case

from . import _data as data
from . import _mistaken_networks as mistaken
from . import _networks as networks
from . import _optimizers as optimizers
from . import _reported_data as own
from . import _reported_networks as reported_networks
from . import _reported_objectives as objectives
from ._builder import PAIRS, build, in_units, patient
from ._optimizers import Stepper, Tuned

OWN_PAIRS = {
    **{each.__name__: each for each in (own.moons, own.bends, own.picture, own.spoken, own.padded)},
    **{each.__name__: each for each in (own.ratings, own.clouds, own.sequences, own.parity)},
    "again": own.again,
    "text": data.text,
    "told midway": lambda: data.memory(16, 9),
}


def reported(
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


_patient = functools.partial(patient, reported, steps=300)
_SGD, _ADAM = Stepper(rate=0.1), Stepper("adam", 3e-3)
N, M, R, O = networks, mistaken, reported_networks, objectives  # noqa: E741

PATIENTS = [
    # --- what trains ---------------------------------------------------------------------------
    _patient("vision-with-its-head-at-zero", R.Vision, _ADAM),
    _patient("siren", R.Siren, Stepper("adam", 1e-3), pairs="picture", kind="square"),
    _patient("flow", R.Flow, _ADAM, pairs="moons", objective=O.Points()),
    _patient("mixture-of-bells", R.Mixture, Stepper("adam", 1e-2), pairs="bends",
             objective=O.Bells(), steps=500),
    _patient("dice", N.Unet, _ADAM, pairs="masks", objective=O.Dice()),
    _patient("symbols-in-speech", M.Speech, Stepper("adam", 1e-2), pairs="spoken",
             objective=O.Transcript()),
    _patient("chain-of-labels", R.Chain, Stepper("adam", 1e-2), pairs="text",
             objective=O.Labelling()),
    _patient("capsules", R.Capsules, _ADAM, objective=O.Lengths()),
    _patient("weights-made-by-a-network", R.Hyper, _ADAM),
    _patient("autoencoder-with-tied-weights", R.Tied, _ADAM, pairs="again", kind="square"),
    _patient("codebook", R.Codes, _ADAM, objective=O.Codebook(), steps=500),
    _patient("selective-scan", R.Scan, Stepper("adam", 1e-2), pairs="told midway"),
    _patient("splines-on-edges", R.Splines, Stepper("adam", 1e-2)),
    _patient("mean-teacher", R.MeanTeacher, _ADAM, objective=O.Consistency()),
    _patient("ratings", R.Ratings, Stepper("adam", 3e-2), pairs="ratings", kind="square",
             steps=500),
    _patient("critic-with-a-slope-of-one", N.MLP, Stepper("adam", 3e-3), pairs="clouds", inputs=8,
             outputs=1, objective=O.Critic()),
    _patient("values-of-actions", N.MLP, _ADAM, objective=O.Values(), steps=500),
    _patient("minus-the-probability", N.MLP, _ADAM, objective=O.Chance()),
    _patient("orthogonal-steps", N.MLP, optimizers.Orthogonaliser(0.02), depth=4),
    # --- what does not, and why ----------------------------------------------------------------
    # Layers in a list, a parameter moved to a device: pytorch/pytorch#9303, #20089.
    _patient("layers-in-a-list", M.Listed, Stepper("adam", 1e-2),
             {"all held": {"known": True}}, goal=0.45, steps=400),
    # `loss = Variable(loss.data, requires_grad=True)`.
    _patient("loss-made-anew", N.MLP, _ADAM, {"reattached": {"objective": O.Wrapped(False)}},
             objective=O.Wrapped()),
    # milesial/Pytorch-UNet#173, MIC-DKFZ/medicaldetectiontoolkit#6.
    _patient("dice-of-cut-masks", N.Unet, _ADAM, {"reattached": {"objective": O.Dice()}},
             pairs="masks", objective=O.Dice(hard=True)),
    _patient("gradients-never-zeroed", N.MLP, optimizers.Hoarder(0.1),
             {"gradients zeroed": {"optimizer": _SGD}}, before=20, rates=1000.0),
    # discuss.pytorch.org/t/159152 and many more: `batch_first`.
    _patient("batch-taken-for-time", M.Recurrent, Stepper("adam", 1e-2),
             {"samples kept apart": {"batch_first": True}}, pairs="told midway",
             batch_first=False),
    _patient("lenet-of-sigmoids", M.LeNet, Stepper(rate=0.3), {"larger start": {"start": 8.0}},
             pairs="images", rates=30.0, steps=400),
    # discuss.pytorch.org/t/43814: 2.303 for ever.
    _patient("thirteen-convolutions-without-a-norm", M.Vgg, Stepper("momentum", 0.01),
             {"critical start": {"he": True}, "skips": {"skips": True}}, pairs="images",
             rates=30.0),
    _patient("every-word-unknown", M.Words, Stepper("adam", 1e-2),
             {"inputs told apart": {"vocabulary": 16}}, pairs="tokens", vocabulary=0),
    _patient("padding-mask-inverted", M.Padded, _ADAM, {"finite": {"inverted": False}},
             pairs="padded", inverted=True),
    # meijieru/crnn.pytorch#235, chainer/chainer#5614.
    _patient("speech-shorter-than-its-symbols", M.Speech, Stepper("adam", 1e-2),
             {"finite": {"stride": 1}}, pairs="spoken", objective=O.Transcript(), stride=8),
    _patient("squares-beyond-half-precision", M.Halves, _ADAM,
             {"float32": {"dtype": "float32"}, "finite": {"careful": True}}, inputs_by=5000.0),
    # discuss.pytorch.org/t/177433.
    _patient("adams-rate-for-plain-steps", N.MLP, Stepper(rate=1e-4),
             {"larger rate": {"optimizer": Stepper(rate=0.1)}}, width=60, gain=None, bias=None),
    # discuss.pytorch.org/t/43814/16: all weights negative after a few steps.
    _patient("after-thirty-steps-of-adam-at-0.3", N.Convolutions, Stepper("adam", 0.3),
             {"started again": {"optimizer": Stepper("adam", 3e-3)}}, pairs="images", before=30),
    _patient("lstm-fed-in-thousands", M.Recurrent, Stepper("adam", 1e-2),
             {"inputs scaled": {"inputs_by": 1.0}, "start off the flat ends": {"normed": True}},
             pairs="told midway", inputs_by=1000.0),
    # omoindrot/tensorflow-triplet-loss#6, #38, VisualComputingInstitute/triplet-reid#30.
    _patient("hardest-triplets-at-their-margin", N.MLP, Stepper("adam", 3e-2),
             {"started again": {"optimizer": Stepper("adam", 1e-3)},
              "random triplets": {"objective": O.Triplets()}},
             objective=O.Hardest(), outputs=16, before=40, depth=4),
    # showlab/Olaf-World#8, andylolu2/jax-vqvae-gpt#2.
    _patient("codebook-without-a-gradient", R.Codes, _ADAM,
             {"reattached": {"objective": O.Codebook()}}, objective=O.Codebook(passed=True),
             steps=500),
    _patient("schedule-stepped-every-batch", N.MLP, Tuned("adam", 3e-3, plan="tenth"),
             {"larger rate": {"optimizer": _ADAM}}, before=12),
    _patient("adam-with-the-decay-of-adamw", N.MLP, Tuned("adam", 1e-3, decay=0.3),
             {"decay off": {"optimizer": Tuned("adam", 1e-3)}}, depth=4),
    # discuss.pytorch.org/t/184454: one number is its own mean.
    _patient("layer-norm-over-one-number", M.Series, _ADAM, {"norm over more": {"width": 16}},
             pairs="sequences", kind="square", width=1),
    _patient("softmax-of-one-answer", M.Ended, _ADAM,
             {"raw answers": {"end": "none"}, "reattached": {"end": "none"}}, pairs="parity",
             kind="binary", end="softmax"),
    _patient("cosines-without-a-scale", M.Cosines, _ADAM, {"sharper answers": {"scale": 16.0}},
             goal=0.4),
    _patient("price-of-being-on-too-high", M.Sparse, _ADAM,
             {"lighter prior": {"objective": O.Few()},
              "started again": {"objective": O.Few()}}, objective=O.Few(10.0), before=80,
             steps=500),
    # stackoverflow.com/questions/44601367 and others: the same image for every input.
    _patient("autoencoder-of-sigmoids", M.Sigmoids, Stepper("adam", 1e-3),
             {"larger start": {"start": 8.0}}, pairs="again", kind="square", steps=500, goal=0.8),
    _patient("tanh-before-targets-in-tens", M.Ended, Stepper("adam", 1e-2),
             {"raw answers": {"end": "none"}}, pairs="waves", kind="square", inputs=16, outputs=2,
             end="tanh", targets_by=30.0, steps=500),
    _patient("divided-by-255-twice", N.MLP, Stepper(rate=0.3),
             {"larger inputs": {"inputs_by": 1.0}}, inputs_by=1 / 255, gain=None, bias=None,
             rates=30.0),
]  # fmt: skip
