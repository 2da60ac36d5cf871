"""The signal on its way forward: it explodes, saturates, dies, or is the same for every sample."""

from __future__ import annotations

from ._families import autoencoder, bag, mlp, regression, resnet, transformer, two_parts, unet
from ._patient import Patient

_RATES = {"larger rate": {"rate": 1.0}, "smaller rate": {"rate": 0.003}}

PATIENTS = [
    # --- it explodes ---------------------------------------------------------------------------
    Patient(
        name="relu-20-large-start",
        family=mlp,
        settings={"depth": 20, "gain": 3.0, "rate": 0.05},
        cures={
            "smaller start": {"gain": 2**0.5},
            "smaller rate": {"rate": 1e-4},
            "even smaller rate": {"rate": 1e-7},
        },
    ),
    Patient(
        name="skips-40-unscaled",
        family=mlp,
        settings={"depth": 40, "skips": True, "branch": 1.0, "rate": 0.05},
        cures={
            "scaled branches": {"branch": None},
            "smaller rate": {"rate": 1e-4},
            "even smaller rate": {"rate": 1e-7},
        },
    ),
    Patient(
        name="tanh-30-large-start",
        family=mlp,
        settings={"depth": 30, "act": "tanh", "gain": 3.0, "rate": 0.05},
        cures={
            "smaller start": {"gain": 1.05},
            "smaller rate": {"rate": 1e-3},
            "even smaller rate": {"rate": 1e-5},
        },
    ),
    Patient(
        name="linear-12-large-start",
        family=mlp,
        settings={"depth": 12, "act": "none", "gain": 3.0, "rate": 0.02},
        cures={
            "smaller start": {"gain": 1.0},
            "smaller rate": {"rate": 1e-5},
            "even smaller rate": {"rate": 1e-8},
        },
    ),
    Patient(
        name="resnet-unscaled-without-norm",
        family=resnet,
        settings={"blocks": 6, "norm": False, "gain": 3.0, "rate": 0.05, "batch": 32},
        cures={
            "smaller start": {"gain": 1.0},
            "scaled branches": {"branch": 0.05},
            "smaller rate": {"rate": 1e-4},
            "even smaller rate": {"rate": 1e-7},
        },
        steps=300,
    ),
    # --- it sits on flat ends ------------------------------------------------------------------
    Patient(
        name="tanh-3-saturated",
        family=mlp,
        settings={"depth": 3, "act": "tanh", "gain": 60.0, "rate": 0.1},
        cures={"start off the flat ends": {"gain": 1.0}, **_RATES},
        goal=0.4,
    ),
    Patient(
        name="sigmoid-3-saturated-by-biases",
        family=mlp,
        settings={"depth": 3, "act": "sigmoid", "gain": 2.0, "bias": 12.0, "rate": 0.3},
        cures={
            "start off the flat ends": {"bias": 0.0, "gain": 4.0},
            "larger rate": {"rate": 3.0},
            "smaller rate": {"rate": 0.01},
        },
    ),
    Patient(
        name="tanh-2-inputs-of-bytes",
        family=mlp,
        settings={"depth": 2, "act": "tanh", "gain": 1.5, "spread": 4000.0, "rate": 0.1},
        cures={"start off the flat ends": {"spread": 1.0}, **_RATES},
    ),
    Patient(
        name="sigmoid-2-large-start",
        family=mlp,
        settings={"depth": 2, "act": "sigmoid", "gain": 200.0, "rate": 1.0},
        cures={
            "start off the flat ends": {"gain": 5.0},
            "larger rate": {"rate": 10.0},
            "smaller rate": {"rate": 0.03},
        },
        goal=0.4,
    ),
    # --- units are dead ------------------------------------------------------------------------
    Patient(
        name="relu-3-biases-below-zero",
        family=mlp,
        settings={"depth": 3, "bias": -4.0, "rate": 0.1},
        cures={
            "biases at zero": {"bias": 0.0},
            "leaky units": {"act": "leaky"},
            **_RATES,
        },
    ),
    Patient(
        name="relu-killed-by-a-large-rate",
        family=mlp,
        settings={"depth": 3, "optimizer": "adam", "rate": 0.3},
        cures={
            "started again": {"rate": 3e-3},
            "smaller rate": {"rate": 3e-3},
            "larger rate": {"rate": 3.0},
        },
        before=60,
        steps=260,
    ),
    Patient(
        name="unet-biases-below-zero",
        family=unet,
        settings={"bias": -6.0, "skips": False, "optimizer": "adam", "rate": 1e-2},
        cures={
            "biases at zero": {"bias": 0.0},
            "larger rate": {"rate": 0.1},
            "smaller rate": {"rate": 1e-3},
        },
        steps=150,
    ),
    # --- every sample looks the same -----------------------------------------------------------
    Patient(
        name="inputs-far-from-zero",
        family=mlp,
        settings={"depth": 2, "offset": 300.0, "rate": 0.05},
        cures={
            "inputs centred": {"offset": -0.3},
            "larger rate": {"rate": 0.5},
            "smaller rate": {"rate": 1e-4},
            "even smaller rate": {"rate": 1e-6},
        },
    ),
    Patient(
        name="inputs-far-from-zero-adam",
        family=mlp,
        settings={"depth": 3, "offset": 1000.0, "optimizer": "adam", "rate": 1e-3},
        cures={
            "inputs centred": {"offset": -0.3},
            "larger rate": {"rate": 1e-2},
            "smaller rate": {"rate": 1e-5},
        },
    ),
    Patient(
        name="regression-inputs-far-from-zero",
        family=regression,
        settings={"depth": 2, "offset": 500.0, "optimizer": "adam", "rate": 1e-3},
        cures={
            "inputs centred": {"offset": 0.0},
            "larger rate": {"rate": 1e-2},
            "smaller rate": {"rate": 1e-5},
        },
        steps=400,
        goal=0.85,
    ),
    Patient(
        name="inputs-almost-constant",
        family=mlp,
        settings={"depth": 2, "offset": 1.0, "spread": 1e-3, "rate": 0.1},
        cures={
            "inputs centred": {"offset": -0.3, "spread": 1.0},
            "larger rate": {"rate": 1.0},
            "smaller rate": {"rate": 0.003},
        },
    ),
    # --- nothing is wrong ----------------------------------------------------------------------
    Patient(
        name="one-dead-branch-beside-a-living-one",
        family=two_parts,
        settings={"right_bias": -10.0, "rate": 0.1},
    ),
    Patient(
        name="half-the-units-off",
        family=mlp,
        settings={"depth": 3, "bias": -0.2, "rate": 0.1},
    ),
    Patient(
        name="tanh-steep-but-not-flat",
        family=mlp,
        settings={"depth": 3, "act": "tanh", "gain": 2.0, "rate": 0.1},
    ),
    Patient(
        name="embedding-times-1000",
        family=bag,
        settings={"embedding": 1000.0, "norm": True, "rate": 0.3},
        steps=400,
    ),
    Patient(
        name="pre-norm-transformer-times-1000",
        family=transformer,
        settings={"all_by": 1000.0, "blocks": 2},
    ),
    Patient(
        name="unet",
        family=unet,
        settings={"optimizer": "adam", "rate": 1e-2},
        steps=150,
    ),
    Patient(
        name="autoencoder",
        family=autoencoder,
        settings={"optimizer": "adam", "rate": 3e-3},
    ),
    Patient(
        name="inputs-a-little-off-zero",
        family=mlp,
        settings={"depth": 2, "offset": 2.0, "rate": 0.01},
        steps=400,
    ),
]
