"""The step: too small, too large, undone by weight decay, or rounded away."""

from __future__ import annotations

from ._families import (
    autoencoder,
    below_zero,
    convolutions,
    mlp,
    regression,
    resnet,
    transformer,
    two_parts,
)  # fmt: skip
from ._patient import Patient

PATIENTS = [
    # --- too small -----------------------------------------------------------------------------
    Patient(
        name="sgd-rate-1e-5",
        family=mlp,
        settings={"rate": 1e-5},
        cures={"larger rate": {"rate": 0.1}, "smaller rate": {"rate": 1e-7}},
    ),
    Patient(
        name="adam-rate-1e-7",
        family=mlp,
        settings={"optimizer": "adam", "rate": 1e-7},
        cures={"larger rate": {"rate": 1e-3}, "smaller rate": {"rate": 1e-9}},
    ),
    Patient(
        name="loss-times-1e-6-uncompensated",
        family=mlp,
        settings={"factor": 1e-6, "rate": 0.1},
        cures={"larger rate": {"rate": 1e5}, "smaller rate": {"rate": 1e-3}},
    ),
    Patient(
        name="adam-epsilon-above-all-gradients",
        family=mlp,
        settings={"optimizer": "adam", "rate": 1e-3, "epsilon": 100.0},
        cures={
            "smaller epsilon": {"epsilon": 1e-8},
            "larger rate": {"rate": 100.0},
            "smaller rate": {"rate": 1e-5},
        },
    ),
    Patient(
        name="clipped-to-next-to-nothing",
        family=mlp,
        settings={"rate": 0.1, "clip": 1e-4},
        cures={
            "clip off": {"clip": float("inf")},
            "larger rate": {"rate": 500.0},
            "smaller rate": {"rate": 1e-3},
        },
    ),
    Patient(
        name="resnet-rate-1e-6",
        family=resnet,
        settings={"blocks": 2, "rate": 1e-6, "batch": 32},
        cures={"larger rate": {"rate": 0.1}, "smaller rate": {"rate": 1e-8}},
        steps=100,
    ),
    Patient(
        name="regression-momentum-rate-1e-6",
        family=regression,
        settings={"optimizer": "momentum", "rate": 1e-6},
        cures={"larger rate": {"rate": 0.03}, "smaller rate": {"rate": 1e-8}},
    ),
    Patient(
        name="transformer-rate-1e-7",
        family=transformer,
        settings={"rate": 1e-7},
        cures={"larger rate": {"rate": 3e-3}, "smaller rate": {"rate": 1e-9}},
    ),
    # --- too large -----------------------------------------------------------------------------
    Patient(
        name="sgd-rate-50",
        family=mlp,
        settings={"rate": 50.0},
        cures={
            "smaller rate": {"rate": 0.1},
            "even smaller rate": {"rate": 1e-3},
            "larger rate": {"rate": 500.0},
        },
    ),
    Patient(
        name="adam-rate-1",
        family=mlp,
        settings={"optimizer": "adam", "rate": 1.0},
        cures={"smaller rate": {"rate": 1e-3}, "larger rate": {"rate": 10.0}},
    ),
    Patient(
        name="loss-times-1e6-uncompensated",
        family=mlp,
        settings={"factor": 1e6, "rate": 0.1},
        cures={"smaller rate": {"rate": 1e-7}, "larger rate": {"rate": 10.0}},
    ),
    Patient(
        name="regression-rate-3",
        family=regression,
        settings={"rate": 3.0},
        cures={"smaller rate": {"rate": 0.05}, "larger rate": {"rate": 30.0}},
    ),
    Patient(
        name="convolutions-rate-10",
        family=convolutions,
        settings={"depth": 3, "rate": 10.0, "batch": 32},
        cures={"smaller rate": {"rate": 0.1}, "larger rate": {"rate": 100.0}},
        steps=120,
    ),
    Patient(
        name="post-norm-without-warm-up",
        family=transformer,
        settings={"pre": False, "blocks": 4, "rate": 0.03},
        cures={"smaller rate": {"rate": 1e-3}, "larger rate": {"rate": 0.3}},
        steps=120,
    ),
    Patient(
        name="momentum-rate-3",
        family=mlp,
        settings={"optimizer": "momentum", "rate": 3.0},
        cures={"smaller rate": {"rate": 0.03}, "larger rate": {"rate": 30.0}},
    ),
    # --- undone by weight decay ----------------------------------------------------------------
    Patient(
        name="sgd-decay",
        family=mlp,
        settings={"rate": 0.05, "decay": 3.0},
        cures={
            "decay off": {"decay": 0.0},
            "larger rate": {"rate": 0.3},
            "smaller rate": {"rate": 0.005},
        },
    ),
    Patient(
        name="adam-decay",
        family=mlp,
        settings={"optimizer": "adam", "rate": 1e-3, "decay": 1.0},
        cures={
            "decay off": {"decay": 0.0},
            "larger rate": {"rate": 1e-2},
            "smaller rate": {"rate": 1e-4},
        },
    ),
    Patient(
        name="adamw-decay",
        family=mlp,
        settings={"optimizer": "adamw", "rate": 1e-3, "decay": 100.0},
        cures={
            "decay off": {"decay": 0.0},
            "larger rate": {"rate": 1e-2},
            "smaller rate": {"rate": 1e-5},
        },
    ),
    Patient(
        name="autoencoder-decay",
        family=autoencoder,
        settings={"optimizer": "adam", "rate": 3e-3, "decay": 0.3},
        cures={
            "decay off": {"decay": 0.0},
            "larger rate": {"rate": 3e-2},
            "smaller rate": {"rate": 1e-4},
        },
    ),
    Patient(
        name="sgd-decay-found-late",
        family=mlp,
        settings={"rate": 0.1, "decay": 1.5},
        cures={
            "decay off": {"decay": 0.0},
            "larger rate": {"rate": 0.6},
            "smaller rate": {"rate": 0.01},
        },
        before=4,
        steps=204,
    ),
    # --- rounded away --------------------------------------------------------------------------
    Patient(
        name="bfloat16-adam",
        family=mlp,
        settings={"dtype": "bfloat16", "optimizer": "adam", "rate": 3e-5, "width": 96},
        cures={
            "float32": {"dtype": "float32"},
            "larger rate": {"rate": 1e-3},
            "smaller rate": {"rate": 1e-6},
        },
        steps=600,
        goal=0.8,
    ),
    Patient(
        name="bfloat16-sgd",
        family=mlp,
        settings={"dtype": "bfloat16", "rate": 2e-3, "width": 96},
        cures={
            "float32": {"dtype": "float32"},
            "larger rate": {"rate": 0.1},
            "smaller rate": {"rate": 1e-4},
        },
        steps=1200,
        goal=0.85,
    ),
    # --- nothing is wrong ----------------------------------------------------------------------
    Patient(
        name="bfloat16-large-steps",
        family=mlp,
        settings={"dtype": "bfloat16", "rate": 0.1},
    ),
    Patient(
        name="loss-times-1e6-compensated",
        family=mlp,
        settings={"factor": 1e6, "rate": 1e-7},
    ),
    Patient(
        name="loss-times-1e-6-compensated",
        family=mlp,
        settings={"factor": 1e-6, "rate": 1e5},
    ),
    Patient(
        name="slow-but-learning",
        family=mlp,
        settings={"rate": 0.01},
        steps=500,
    ),
    Patient(
        name="lively-but-learning",
        family=mlp,
        settings={"rate": 0.5},
    ),
    Patient(
        name="usual-decay",
        family=mlp,
        settings={"optimizer": "adamw", "rate": 1e-3, "decay": 0.1},
    ),
    Patient(
        name="usual-decay-sgd",
        family=resnet,
        settings={"optimizer": "momentum", "rate": 0.03, "decay": 5e-4, "blocks": 2, "batch": 32},
        steps=100,
    ),
    Patient(
        name="clipped-as-usual",
        family=mlp,
        settings={"rate": 0.1, "clip": 1.0},
    ),
    Patient(
        name="post-norm-at-a-careful-rate",
        family=transformer,
        settings={"pre": False, "blocks": 2, "rate": 1e-3},
    ),
    Patient(
        name="negative-loss",
        family=below_zero,
        settings={"rate": 0.05, "depth": 2},
    ),
    Patient(
        name="rmsprop",
        family=two_parts,
        settings={"optimizer": "rmsprop", "rate": 1e-3},
    ),
]
