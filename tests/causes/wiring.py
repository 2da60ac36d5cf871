"""What is not connected as meant, and what lies in the data."""

from __future__ import annotations

from ._families import (
    autoencoder,
    bag,
    convolutions,
    dict_output,
    mlp,
    recurrent,
    regression,
    resnet,
    transformer,
)  # fmt: skip
from ._patient import Patient

_RATES = {"larger rate": {"rate": 1.0}, "smaller rate": {"rate": 0.003}}

PATIENTS = [
    # --- frozen --------------------------------------------------------------------------------
    Patient(
        name="all-frozen-but-the-stem",
        family=mlp,
        settings={
            "depth": 4,
            "act": "tanh",
            "gain": 0.8,
            "rate": 0.3,
            "frozen": ("hidden", "head"),
        },
        cures={"unfrozen": {"frozen": ()}, "larger start": {"gain": 1.0}, **_RATES},
    ),
    Patient(
        name="head-frozen-at-a-small-start",
        family=mlp,
        settings={"depth": 2, "frozen": ("head",), "head": 1e-3},
        cures={"unfrozen": {"frozen": ()}, **_RATES},
    ),
    Patient(
        name="optimizer-holds-the-last-bias-only",
        family=mlp,
        settings={"depth": 2, "hold_from": 7},
        cures={"all held": {"hold_from": 0}, **_RATES},
    ),
    Patient(
        name="everything-frozen",
        family=convolutions,
        settings={"depth": 2, "frozen_head": True, "batch": 32, "hold_from": 7},
        cures={"unfrozen": {"frozen_head": False, "hold_from": 0}, **_RATES},
        steps=120,
    ),
    Patient(
        name="frozen-layers-without-a-signal",
        family=mlp,
        settings={
            "depth": 10,
            "gain": None,
            "bias": None,
            "frozen": ("stem", "hidden"),
            "rate": 0.5,
        },
        cures={
            "unfrozen": {"frozen": ()},
            "spread-out start": {"gain": 2**0.5, "bias": 0.0},
            "larger rate": {"rate": 5.0},
            "smaller rate": {"rate": 0.01},
        },
        steps=400,
    ),
    # --- detached ------------------------------------------------------------------------------
    Patient(
        name="cut-before-the-last-hidden-layer",
        family=mlp,
        settings={"depth": 12, "act": "tanh", "gain": 0.8, "cut": 11},
        cures={"reattached": {"cut": -1}, **_RATES},
    ),
    Patient(
        name="regression-cut",
        family=regression,
        settings={"depth": 3, "cut": 2, "width": 8, "rate": 0.1},
        cures={"reattached": {"cut": -1, "width": 8}, **_RATES},
        goal=0.6,
        steps=400,
    ),
    # --- not finite ----------------------------------------------------------------------------
    Patient(
        name="root-of-zero",
        family=mlp,
        settings={"act": "sqrt"},
        cures={"finite": {"act": "relu"}, **_RATES},
    ),
    Patient(
        name="logarithm-of-less-than-zero",
        family=mlp,
        settings={"act": "log"},
        cures={"finite": {"act": "relu"}, **_RATES},
    ),
    Patient(
        name="overflow-on-the-way-forward",
        family=mlp,
        settings={"depth": 30, "gain": 1e3, "act": "none", "rate": 0.01},
        cures={"finite": {"gain": 1.0}, "smaller rate": {"rate": 1e-6}},
    ),
    # --- the labels ----------------------------------------------------------------------------
    Patient(
        name="labels-shuffled",
        family=mlp,
        settings={"optimizer": "adam", "rate": 1e-3, "labels": "shuffled", "batch": 128},
        cures={
            "true labels": {"labels": "true"},
            "larger rate": {"rate": 1e-2},
            "smaller rate": {"rate": 1e-5},
        },
    ),
    Patient(
        name="labels-shuffled-convolutions",
        family=convolutions,
        settings={
            "depth": 3,
            "optimizer": "adam",
            "rate": 3e-3,
            "labels": "shuffled",
            "batch": 128,
        },
        cures={
            "true labels": {"labels": "true"},
            "larger rate": {"rate": 3e-2},
            "smaller rate": {"rate": 3e-5},
        },
        steps=80,
    ),
    Patient(
        name="values-shuffled",
        family=regression,
        settings={"optimizer": "adam", "rate": 3e-3, "labels": "shuffled", "batch": 128},
        cures={
            "true labels": {"labels": "true"},
            "larger rate": {"rate": 3e-2},
            "smaller rate": {"rate": 3e-5},
        },
        goal=0.8,
    ),
    Patient(
        name="batches-of-one-class",
        family=mlp,
        settings={"rate": 0.1, "labels": "one class"},
        cures={"mixed batches": {"labels": "true"}, **_RATES},
    ),
    Patient(
        name="labels-shuffled-sgd",
        family=mlp,
        settings={"rate": 0.1, "labels": "shuffled", "batch": 96},
        cures={"true labels": {"labels": "true"}, **_RATES},
    ),
    # --- solved --------------------------------------------------------------------------------
    Patient(
        name="solved-text-of-next-to-no-noise",
        family=bag,
        settings={"optimizer": "adam", "rate": 1e-2},
        before=400,
        steps=450,
    ),
    Patient(
        name="solved-memory",
        family=recurrent,
        settings={"cell": "gru", "length": 6, "told": -1, "optimizer": "adam", "rate": 1e-2},
        before=300,
        steps=350,
    ),
    # --- nothing is wrong ----------------------------------------------------------------------
    Patient(
        name="frozen-stem",
        family=mlp,
        settings={"depth": 2, "frozen": ("stem",)},
    ),
    Patient(
        name="frozen-stem-of-a-deep-one",
        family=mlp,
        settings={"depth": 8, "frozen": ("stem",), "rate": 0.03},
    ),
    Patient(
        name="only-the-head-learns",
        family=mlp,
        settings={"depth": 2, "frozen": ("stem", "hidden"), "rate": 0.3},
    ),
    Patient(
        name="dict-output",
        family=dict_output,
        settings={"depth": 2},
    ),
    Patient(
        name="dropout",
        family=mlp,
        settings={"depth": 2, "dropout": 0.4},
    ),
    Patient(
        name="dropout-in-eval-mode",
        family=mlp,
        settings={"depth": 2, "dropout": 0.4},
        evaluating=True,
    ),
    Patient(
        name="batch-norm-in-eval-mode",
        family=resnet,
        settings={"blocks": 2, "rate": 0.1, "batch": 32},
        steps=100,
        before=20,
        evaluating=True,
    ),
    Patient(
        name="batch-norm-and-dropout",
        family=mlp,
        settings={"depth": 3, "norm": "batch", "dropout": 0.2},
    ),
    Patient(
        name="tied-embedding",
        family=transformer,
        settings={"tied": True, "outputs": 0, "embedding": 0.2},
        steps=120,
    ),
    Patient(
        name="layer-norm",
        family=regression,
        settings={"depth": 4, "norm": "layer", "rate": 0.05},
        goal=0.8,
    ),
    Patient(
        name="late-in-training",
        family=mlp,
        settings={"rate": 0.1},
        before=150,
        steps=300,
    ),
    Patient(
        name="autoencoder-late",
        family=autoencoder,
        settings={"optimizer": "adam", "rate": 3e-3},
        before=100,
    ),
]
