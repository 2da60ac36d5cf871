"""Deep networks: some lose the gradient on the way back, some only look as if they did."""

from __future__ import annotations

from ._families import convolutions, mlp, recurrent, regression, resnet, transformer
from ._patient import Patient

_RATES = {"larger rate": {"rate": 1.0}, "smaller rate": {"rate": 0.003}}
_ADAM_RATES = {"larger rate": {"rate": 1e-2}, "smaller rate": {"rate": 3e-5}}

PATIENTS = [
    # --- the gradient dies ---------------------------------------------------------------------
    Patient(
        name="relu-30-as-pytorch-starts-it",
        family=mlp,
        settings={"depth": 30, "gain": None, "bias": None, "rate": 0.05},
        cures={"skips": {"skips": True}, "critical start": {"gain": 2**0.5, "bias": 0.0}, **_RATES},
    ),
    Patient(
        name="relu-16-as-pytorch-starts-it",
        family=mlp,
        settings={"depth": 16, "gain": None, "bias": None, "rate": 0.05},
        cures={"skips": {"skips": True}, "critical start": {"gain": 2**0.5, "bias": 0.0}, **_RATES},
    ),
    Patient(
        name="tanh-30-small-start",
        family=mlp,
        settings={"depth": 30, "act": "tanh", "gain": 0.7, "rate": 0.05},
        cures={"skips": {"skips": True}, "critical start": {"gain": 1.05}, **_RATES},
    ),
    Patient(
        name="sigmoid-10",
        family=mlp,
        settings={"depth": 10, "act": "sigmoid", "gain": 1.0, "rate": 0.3},
        cures={
            "skips": {"skips": True},
            "larger rate": {"rate": 3.0},
            "smaller rate": {"rate": 0.01},
        },
        steps=400,
    ),
    Patient(
        name="linear-20-small-start",
        family=mlp,
        settings={"depth": 20, "act": "none", "gain": 0.4, "head": 0.4, "rate": 0.03},
        cures={"skips": {"skips": True}, "critical start": {"gain": 1.0}, **_RATES},
    ),
    Patient(
        name="gelu-30-small-start",
        family=mlp,
        settings={"depth": 30, "act": "gelu", "gain": 1.0, "rate": 0.05},
        cures={"skips": {"skips": True}, "larger start": {"gain": 1.8}, **_RATES},
    ),
    Patient(
        name="adam-hides-it",
        family=mlp,
        settings={
            "depth": 40,
            "act": "tanh",
            "gain": 0.5,
            "optimizer": "adam",
            "rate": 1e-3,
        },
        cures={
            "skips": {"skips": True},
            "critical start": {"gain": 1.05},
            "smaller epsilon": {"epsilon": 1e-16},
            **_ADAM_RATES,
        },
    ),
    Patient(
        name="adam-hides-it-relu",
        family=mlp,
        settings={
            "depth": 40,
            "gain": None,
            "bias": None,
            "optimizer": "adam",
            "rate": 1e-3,
        },
        cures={
            "skips": {"skips": True},
            "critical start": {"gain": 2**0.5, "bias": 0.0},
            **_ADAM_RATES,
        },
    ),
    Patient(
        name="loss-small-and-deep",
        family=mlp,
        settings={"depth": 30, "act": "tanh", "gain": 0.7, "factor": 1e-6, "rate": 5e4},
        cures={
            "skips": {"skips": True},
            "critical start": {"gain": 1.05},
            "larger rate": {"rate": 1e6},
            "smaller rate": {"rate": 3e3},
        },
    ),
    Patient(
        name="regression-tanh-24",
        family=regression,
        settings={"depth": 24, "act": "tanh", "gain": 0.7, "rate": 0.1},
        cures={"skips": {"skips": True}, "critical start": {"gain": 1.05}, **_RATES},
        goal=0.85,
    ),
    Patient(
        name="convolutions-20",
        family=convolutions,
        settings={"depth": 20, "gain": 0.7, "rate": 0.05, "batch": 32},
        cures={"skips": {"skips": True}, "critical start": {"gain": 2**0.5}, **_RATES},
        steps=150,
    ),
    Patient(
        name="tied-30",
        family=mlp,
        settings={"depth": 30, "tied": True, "act": "tanh", "gain": 0.6, "rate": 0.05},
        cures={"skips": {"skips": True}, "critical start": {"gain": 1.05}, **_RATES},
    ),
    Patient(
        name="rnn-told-first",
        family=recurrent,
        settings={"cell": "rnn", "length": 30, "told": 0, "rate": 0.1},
        cures={"gates": {"cell": "lstm", "remember": 3.0}, "skips": {"skips": True}, **_RATES},
    ),
    Patient(
        name="one-leak",
        family=mlp,
        settings={"depth": 6, "leak": 1e-5, "rate": 0.05},
        cures={"larger start": {"leak": 1.0}, "skips": {"skips": True, "branch": 1.0}, **_RATES},
    ),
    Patient(
        name="gru-told-first-and-long-ago",
        family=recurrent,
        settings={"cell": "gru", "length": 40, "told": 0, "rate": 0.1},
        cures={"skips": {"skips": True}, **_RATES},
    ),
    # --- the gradient arrives ------------------------------------------------------------------
    Patient(
        name="narrow-relu-20-critical",
        family=mlp,
        settings={"depth": 20, "width": 24, "rate": 0.1},
        steps=400,
    ),
    Patient(
        name="narrow-tanh-40-critical",
        family=mlp,
        settings={"depth": 40, "width": 24, "act": "tanh", "gain": 1.05, "rate": 0.02},
        steps=300,
    ),
    Patient(
        name="relu-12-adam",
        family=mlp,
        settings={"depth": 12, "optimizer": "adam", "rate": 1e-3},
    ),
    Patient(
        name="tanh-16-adam-weak-but-training",
        family=mlp,
        settings={"depth": 16, "act": "tanh", "gain": 0.9, "optimizer": "adam", "rate": 1e-3},
    ),
    Patient(
        name="linear-20-critical",
        family=mlp,
        settings={"depth": 20, "act": "none", "gain": 1.0, "rate": 0.01},
    ),
    Patient(
        name="skips-50",
        family=mlp,
        settings={"depth": 50, "skips": True, "gain": None, "bias": None, "rate": 0.05},
        steps=150,
    ),
    Patient(
        name="batch-norm-16",
        family=mlp,
        settings={"depth": 16, "norm": "batch", "rate": 0.03},
        steps=400,
    ),
    Patient(
        name="resnet-zero-start",
        family=resnet,
        settings={"blocks": 4, "zero": True, "rate": 0.1, "batch": 32},
        steps=250,
    ),
    Patient(
        name="resnet",
        family=resnet,
        settings={"blocks": 3, "rate": 0.1, "batch": 32},
        steps=100,
    ),
    Patient(
        name="convolutions-8-critical",
        family=convolutions,
        settings={"depth": 8, "optimizer": "momentum", "rate": 0.03, "batch": 32},
        steps=200,
    ),
    Patient(
        name="tied-critical",
        family=mlp,
        settings={"depth": 12, "tied": True, "act": "tanh", "gain": 1.05, "rate": 0.02},
    ),
    Patient(
        name="lstm-forgets-the-beginning",
        family=recurrent,
        settings={"cell": "lstm", "length": 32, "told": -2, "optimizer": "adam", "rate": 1e-2},
    ),
    Patient(
        name="rnn-forgets-the-beginning",
        family=recurrent,
        settings={"cell": "rnn", "length": 24, "told": -1, "optimizer": "adam", "rate": 3e-3},
    ),
    Patient(
        name="lstm-whole-sequence-in-one-call",
        family=recurrent,
        settings={
            "cell": "lstm",
            "whole": True,
            "length": 16,
            "told": -3,
            "optimizer": "adam",
            "rate": 1e-2,
        },
    ),
    Patient(
        name="pre-norm-transformer-8-blocks",
        family=transformer,
        settings={"blocks": 8, "rate": 1e-3},
        steps=120,
    ),
    Patient(
        name="gru-remembers",
        family=recurrent,
        settings={"cell": "gru", "length": 12, "told": 2, "optimizer": "adam", "rate": 1e-2},
    ),
]
