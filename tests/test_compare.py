"""The judge: it must see what is there, not see what is not, and lose nothing on the way."""

from __future__ import annotations

import csv
import itertools
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import textwrap
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from skipway import Case, Slurm
from skipway._compare import answer, compare, forget, paired, train
from skipway._compare._budget import steps_for
from skipway._compare._cells import Cell
from skipway._compare._controls import controls_of
from skipway._compare._judge import chance_loss, evaluate
from skipway._compare._limit import OverTime, at_most
from skipway._compare._normalised import Normalised
from skipway._compare._notes import Notes
from skipway._compare._saying import Saying
from skipway._compare._split import split_train
from skipway._compare._statistics import choose_rate, evidence, holm
from skipway._compare._summary import Table, best_treated, variants_of
from skipway._compare._widened import Widened, factor_for
from skipway._compare._words import Writer
from skipway._compare._work import Job, build, run_cell
from skipway._errors import (
    BatchError,
    CaseError,
    LossError,
    ModelError,
    OptimizerError,
    RunError,
)
from skipway._results import Comparison, Run, Variant, read


def digits(n: int) -> tuple[Tensor, Tensor]:
    images, labels = load_digits(return_X_y=True)
    return torch.tensor(images[:n] / 16, dtype=torch.float32), torch.tensor(labels[:n])


TRAIN, TEST = digits(200), tuple(part[-100:] for part in digits(300))


def small(width: int = 16) -> nn.Module:
    return nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))


def deep(depth: int = 50) -> nn.Module:
    hidden = [layer for _ in range(depth) for layer in (nn.Linear(64, 64), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(64, 10))


def sgd(rate: float = 0.1):
    return lambda parameters: torch.optim.SGD(parameters, lr=rate)


def case(**changes) -> Case:
    fields = {
        "model": small,
        "train": TRAIN,
        "test": TEST,
        "loss": nn.functional.cross_entropy,
        "optimizer": sgd(),
        "batch_size": 32,
        "epochs": 2,
        "learning_rates": (1.0,),
        "name": "small",
    }
    return Case(**{**fields, **changes})


def quick(cases, **options) -> Comparison:
    return compare(cases, **{"seeds": 2, "workers": 0, "controls": False, **options})


class Breaks(nn.Module):
    """Goes well in training mode and raises when it is judged, for some seeds only."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.net = small()
        self.bad = float(torch.rand(())) < share

    def forward(self, x: Tensor) -> Tensor:
        if self.bad and not self.training and len(x) > 2:
            raise RuntimeError("the projector is out of film")
        return self.net(x)


# ---------------------------------------------------------------- statistics


def test_identical_variants_differ_as_rarely_as_the_interval_promises():
    random = np.random.default_rng(0)
    said = [
        answer(paired(list(random.normal(90, 2, 5)), list(random.normal(90, 2, 5))))
        for _ in range(2000)
    ]
    share = 1 - said.count("no difference") / len(said)
    # 5 % by construction; 3.5 standard errors of that share are 1.7 %.
    assert 0.033 < share < 0.067


def test_planted_effect_is_found_in_the_right_direction():
    random = np.random.default_rng(1)
    base = list(random.normal(80, 3, 5))
    better = [value + 4 + random.normal(0, 0.5) for value in base]
    assert answer(paired(better, base)) == "helped"
    assert answer(paired(base, better)) == "worse"
    assert answer(paired(better, base, higher_is_better=False), higher_is_better=False) == "worse"
    assert paired(better, base).wins == 5
    assert paired(better, base, higher_is_better=False).wins == 0


def test_interval_is_the_textbook_one():
    # Student's sleep data (1908): extra hours under two drugs, same ten patients; the paired
    # interval printed in every textbook is 0.70 to 2.46 around 1.58.
    one = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    two = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    gap = paired(two, one)
    assert (round(gap.mean, 2), round(gap.low, 2), round(gap.high, 2)) == (1.58, 0.70, 2.46)
    assert (gap.pairs, gap.wins, gap.confidence) == (10, 9, 0.95)


def test_interval_without_spread_and_with_one_pair():
    assert paired([2.0, 3.0], [1.0, 2.0]).low == paired([2.0, 3.0], [1.0, 2.0]).high == 1.0
    assert answer(paired([1.0, 2.0], [1.0, 2.0])) == "no difference"
    alone = paired([99.0], [10.0])
    assert (alone.low, alone.high) == (-math.inf, math.inf)
    assert answer(alone) == "no difference"


def test_evidence_is_the_textbook_one():
    one = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    two = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    found = evidence(two, one)
    # Student's data again: R's t.test(paired=TRUE) prints p = 0.002833; of nine patients that
    # differ all nine go one way, 2 / 2^9.
    assert found.p == pytest.approx(0.002833, abs=5e-7)
    assert found.sign_p == pytest.approx(2 / 2**9)
    assert 0.70 < found.bootstrap_low < 1.58 < found.bootstrap_high < 2.7
    assert evidence([1.0], [0.0]).p == 1.0
    assert evidence([1.0], [0.0]).detectable == math.inf
    same = evidence([1.0, 2.0], [1.0, 2.0])
    assert (same.p, same.sign_p, same.detectable) == (1.0, 1.0, 0.0)


def test_smallest_effect_is_found_four_times_out_of_five():
    # These four have a standard deviation of 1 / sqrt(2): times sqrt(2) it is in deviations.
    effect = evidence([0.0, 0.0, 2**0.5, 0.0], [0.0] * 4).detectable * 2**0.5
    random = np.random.default_rng(2)
    said = [answer(paired(list(row + effect), [0.0] * 4)) for row in random.normal(0, 1, (8000, 4))]
    # Four standard errors of a share of 0.8 are 1.8 %.
    assert said.count("helped") / len(said) == pytest.approx(0.8, abs=0.018)


def test_holm_corrects_as_in_the_textbook():
    # R: p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm") = 0.05 0.08 0.09 0.09 0.09
    ps = {"a": 0.01, "b": 0.02, "c": 0.03, "d": 0.04, "e": 0.05}
    assert list(holm(ps).values()) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


def simulated(random, effects: dict[str, float], *, rates=(1.0, 3.0), seeds=5) -> list[str]:
    """Draw one comparison: paired luck, a spread of one point, `effects` in those points."""
    roles = {"plain": "reference", **dict.fromkeys(effects, "treated")}
    runs = {}
    for seed in range(seeds):
        luck = random.normal(0, 3)
        for name in roles:
            for rate in rates:
                ends = 70 + luck + effects.get(name, 0.0) + random.normal(0, 0.5**0.5, 2)
                runs[Cell(name, seed, rate)] = Run(
                    variant=name, seed=seed, learning_rate=rate, status="done", error=None,
                    train_loss=(2.3, 1.0), validation=(10.0, float(ends[0])),
                    test=(10.0, float(ends[1])), stalled=False, step_ms=1.0, seconds=1.0,
                    parameters=10,
                )  # fmt: skip
    table = Table(runs, seeds, rates, higher_is_better=True, chance=10.0)
    found = variants_of(table, roles, {}, dict.fromkeys(roles))
    return [each.answer for each in found if each.answer is not None]


@pytest.mark.parametrize("variants", [1, 4])
def test_no_difference_is_called_a_help_at_most_once_in_twenty(variants):
    random = np.random.default_rng(3)
    effects = {f"variant {number}": 0.0 for number in range(variants)}
    said = [simulated(random, effects) for _ in range(1000)]
    assert sum("helped" in each for each in said) <= 50
    assert sum("worse" in each for each in said) <= 50


def test_two_standard_deviations_are_found_with_five_seeds():
    random = np.random.default_rng(4)
    said = [simulated(random, {"better": 2.0}) for _ in range(4000)]
    # 90.9 % by the noncentral t distribution; two standard errors are 0.9 %.
    assert sum(each == ["helped"] for each in said) >= 3600
    assert not any("worse" in each for each in said)


def test_rate_is_chosen_on_the_mean_in_the_right_direction():
    tried = {0.1: [50.0, 52.0], 1.0: [80.0, 70.0], 10.0: [99.0, 10.0]}
    assert choose_rate(tried) == 1.0
    assert choose_rate(tried, higher_is_better=False) == 0.1
    assert choose_rate({1.0: [5.0], 3.0: [5.0]}) == 1.0


# ---------------------------------------------------------------- training


def test_same_seed_gives_the_same_weights_order_and_run():
    job = Job(
        cases={"a": case(), "b": case()},
        kind="accuracy",
        split=split_train(case()),
        chance_loss=None,
    )
    first, second = (run_cell(job, Cell(name, 3, 1.0)) for name in "ab")
    assert first.train_loss == second.train_loss
    assert first.test == second.test
    other = run_cell(job, Cell("a", 4, 1.0))
    assert other.train_loss != first.train_loss


def test_larger_variant_starts_with_the_same_weights_and_sees_the_same_batches():
    seen: dict[str, list[Tensor]] = {"plain": [], "larger": []}

    class Larger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = small()
            self.extra = nn.Linear(64, 10)

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x) + self.extra(x)

    def note(name):
        def loss(output, targets):
            seen[name].append(targets.clone())
            return nn.functional.cross_entropy(output, targets)

        return loss

    cases = {"plain": case(loss=note("plain")), "larger": case(model=Larger, loss=note("larger"))}
    models = {}
    for name, each in cases.items():
        models[name], optimizer = build(each, Cell(name, 7, 1.0))
        start = {key: value.clone() for key, value in models[name].state_dict().items()}
        train(each, models[name], optimizer, seed=7)
        models[name] = start
    for key, value in models["plain"].items():
        assert torch.equal(value, models["larger"]["net." + key])
    assert len(seen["plain"]) == 2 * math.ceil(200 / 32)
    assert all(map(torch.equal, seen["plain"], seen["larger"]))


def test_training_is_plain_sgd():
    """Against a loop written out by hand, step by step in numpy."""
    linear = case(model=lambda: nn.Linear(64, 10), batch_size=200, epochs=3)
    model, optimizer = build(linear, Cell("a", 0, 2.0))
    weight, bias = (p.detach().numpy().astype(float) for p in model.parameters())
    inputs, labels = TRAIN[0].numpy().astype(float), TRAIN[1].numpy()
    for _ in range(3):
        scores = inputs @ weight.T + bias
        error = np.exp(scores - scores.max(1, keepdims=True))
        error /= error.sum(1, keepdims=True)
        error[np.arange(200), labels] -= 1
        weight, bias = weight - 0.2 * error.T @ inputs / 200, bias - 0.2 * error.mean(0)
    train(linear, model, optimizer)
    np.testing.assert_allclose(model.weight.detach().numpy(), weight, atol=1e-5)
    np.testing.assert_allclose(model.bias.detach().numpy(), bias, atol=1e-5)


def test_evaluation_covers_the_whole_set_and_leaves_modes_alone():
    model = nn.Sequential(nn.Linear(64, 10), nn.Dropout(0.5), nn.BatchNorm1d(10))
    model.train()
    model[2].eval()  # a frozen norm
    many = case(train=digits(600))
    loss, accuracy = evaluate(many, "accuracy", model, many.train, torch.arange(600))
    assert [module.training for module in model] == [True, True, False]
    model.eval()
    output = model(many.train[0]).detach()
    assert loss == pytest.approx(
        float(nn.functional.cross_entropy(output, many.train[1])), rel=1e-5
    )
    right = int((output.argmax(1) == many.train[1]).sum())
    assert accuracy == pytest.approx(100 * right / 600)


def test_split_is_fixed_stratified_and_whole():
    split = split_train(case())
    assert sorted([*split.train.tolist(), *split.validation.tolist()]) == list(range(200))
    assert torch.equal(split.train, split_train(case()).train)
    counts = torch.bincount(TRAIN[1][split.validation], minlength=10)
    shares = torch.bincount(TRAIN[1], minlength=10) * 0.2
    assert bool(((counts - shares).abs() <= 0.5).all())


def test_last_batch_of_one_does_not_break_a_batch_norm():
    odd = case(model=lambda: nn.Sequential(nn.Linear(64, 10), nn.BatchNorm1d(10)), batch_size=53)
    # 160 of the 200 are trained on: three batches of 53 and one sample left over.
    assert len(split_train(odd).train) % 53 == 1
    result = quick({"a": odd})
    assert result.variants[0].failures == 0


def test_guessing_is_the_entropy_for_classes_and_the_variance_for_numbers():
    share = np.bincount(TRAIN[1]) / 200
    entropy = -(share * np.log(share)).sum()
    assert chance_loss(case(), small(), torch.arange(200)) == pytest.approx(entropy, rel=1e-5)
    inputs = TRAIN[0]
    numbers = inputs.sum(1, keepdim=True)
    regression = case(
        model=lambda: nn.Linear(64, 1),
        train=(inputs, numbers),
        test=(inputs, numbers),
        loss=nn.functional.mse_loss,
    )
    variance = float(numbers.numpy().astype(float).var())
    found = chance_loss(regression, regression.model(), torch.arange(200))
    assert found == pytest.approx(variance, rel=1e-4)


# ---------------------------------------------------------------- the comparison


def test_identical_variants_show_no_difference():
    result = quick({"one": case(), "two": case()}, seeds=3)
    assert result.answer == "no difference"
    assert result.variant("two").difference.mean == 0.0
    assert result.verdict.startswith("No difference")


def test_effect_is_found_and_said():
    """A network that is fed the answer beats one that is not."""
    slow = case(optimizer=sgd(1e-4), epochs=4)
    result = quick({"slow": slow, "fast": case(optimizer=sgd(0.5), epochs=4)}, seeds=3)
    assert result.answer == "helped"
    assert result.best == "fast"
    assert result.verdict.startswith("Yes. Fast cures it, in every seed")
    gap = result.variant("fast").difference
    by_hand = [
        a.test[-1] - b.test[-1]
        for a, b in zip(result.variant("fast").runs, result.variant("slow").runs, strict=True)
    ]
    assert gap.mean == pytest.approx(statistics.fmean(by_hand))
    assert gap.mean > 20
    backwards = quick({"fast": case(optimizer=sgd(0.5), epochs=4), "slow": slow}, seeds=3)
    assert backwards.answer == "worse"
    assert backwards.verdict.startswith("No, it is worse")


def test_every_variant_chooses_its_own_rate_on_validation():
    grid = (0.001, 1.0)
    result = quick(
        {"a": case(epochs=4), "b": case(epochs=4, optimizer=sgd(100.0))}, learning_rates=grid
    )
    assert result.variant("a").factor == 1.0
    assert result.variant("b").factor == 0.001
    assert result.variant("b").learning_rate == pytest.approx(0.1)
    assert [rate for rate, _ in result.variant("a").tried] == list(grid)
    chosen = result.variant("a").runs
    ends = [run.validation[-1] for run in chosen]
    assert dict(result.variant("a").tried)[1.0] == pytest.approx(statistics.fmean(ends))


def test_one_seed_proves_nothing():
    result = quick({"slow": case(optimizer=sgd(1e-4)), "fast": case(optimizer=sgd(0.5))}, seeds=1)
    assert result.answer == "no difference"
    assert "One seed proves nothing" in dict(result.notes)
    assert result.variant("fast").difference.low == -math.inf


def test_controls_run_beside_on_the_same_grid():
    result = compare({"plain": case(epochs=3)}, seeds=2, workers=0)
    controls = ["better start", "normalised", "shallow", "linear"]
    assert [v.name for v in result.variants] == ["plain", *controls]
    assert [v.role for v in result.variants] == ["reference", *["control"] * 4]
    assert result.variant("normalised").parameters == result.variant("plain").parameters + 2 * 16
    assert result.variant("linear").parameters == 64 * 10 + 10
    assert result.variant("shallow").parameters == 64 * 16 + 16 + 16 * 10 + 10
    assert (result.answer, result.best) == (None, None)
    assert result.variant("plain").against_linear.pairs == 2


def test_own_controls_replace_and_what_cannot_be_built_is_said():
    own = case(
        controls={"linear": lambda: nn.Linear(64, 10, bias=False), "wide": lambda: small(64)}
    )
    built, missing = controls_of(own, small())
    assert list(built) == ["wide", "better start", "normalised", "shallow", "linear"]
    assert len(list(built["linear"].model().parameters())) == 1
    assert missing == ()
    words = torch.randint(0, 9, (40, 5))
    tokens = case(
        model=lambda: nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(20, 2)),
        train=(words, words[:, 0] % 2),
        test=(words, words[:, 0] % 2),
    )
    built, missing = controls_of(tokens, tokens.model())
    assert list(built) == ["better start"]
    assert "No linear control" in " ".join(missing)
    assert "it has no hidden Linear or convolution module" in " ".join(missing)


def test_widened_and_normalised_by_hand():
    net = case(
        model=lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3, bias=False),
            nn.ReLU(), nn.Flatten(), nn.Linear(6 * 16, 8), nn.Tanh(), nn.Linear(8, 10),
        ),
        train=(TRAIN[0].reshape(-1, 1, 8, 8), TRAIN[1]),
        test=(TEST[0].reshape(-1, 1, 8, 8), TEST[1]),
    )  # fmt: skip
    inputs = net.batch()[0]
    twice = Widened(net.model, inputs, 2.0)()
    shapes = [tuple(each.shape) for each in twice.parameters() if each.dim() > 1]
    assert shapes == [(8, 1, 3, 3), (12, 8, 3, 3), (16, 12 * 16), (10, 16)]
    assert twice[1].num_features == 8
    assert twice(inputs).shape == (len(inputs), 10)
    assert factor_for(net.model(), inputs, sum(p.numel() for p in twice.parameters())) == (
        pytest.approx(2, abs=0.13)  # widths are whole numbers, so many factors give the same
    )
    with pytest.raises(CaseError, match="normalised already"):
        Normalised(net.model, inputs)()
    plain = nn.Sequential(nn.Linear(64, 5), nn.ReLU(), nn.Linear(5, 10))
    normed = Normalised(lambda: plain, TRAIN[0][:4])()
    assert [type(each).__name__ for each in normed[0]] == ["Linear", "LayerNorm"]
    assert isinstance(normed[2], nn.Linear)


def test_same_size_runs_where_a_treated_one_is_larger():
    result = compare({"plain": case(), "wide": case(model=lambda: small(40))}, seeds=1, workers=0,
                     learning_rates=(1.0,))  # fmt: skip
    names = [v.name for v in result.variants]
    assert names == [
        "plain",
        "wide",
        "better start",
        "normalised",
        "same size",
        "shallow",
        "linear",
    ]
    assert result.variant("same size").parameters == result.variant("wide").parameters


def pooled(*before: nn.Module) -> nn.Module:
    """Return two convolutions on 8 × 8 with a pooling between, and what comes before it."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), *before, nn.AvgPool2d(2), nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding=1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


def test_same_compute_runs_where_a_treated_one_costs_more_than_its_parameters_say():
    images = (TRAIN[0].reshape(-1, 1, 8, 8), TRAIN[1])
    net = case(model=pooled, train=images, test=images)
    dear = pooled(nn.Conv2d(4, 4, 3, padding=1))
    built, missing = controls_of(net, pooled(), [dear])
    assert missing == ()
    # Multiplications with w channels: 9 w at 64 places, 9 w^2 at 16, 160 w for the classifier,
    # which is 5,248 with 4. The dear one has 9 * 16 at 64 places more: 14,464. With 7 channels
    # there are 12,208, with 8 there are 15,104, which is nearer. Its parameters are 986; with 4
    # channels there are 838, with 5 there are 1,090, which is nearer.
    widths = {name: built[name].model()[0].out_channels for name in ("same size", "same compute")}
    assert widths == {"same size": 5, "same compute": 8}
    wide, _ = controls_of(case(), small(), [small(40)])
    assert "same size" in wide
    assert "same compute" not in wide
    assert "same compute" not in controls_of(net, pooled(), [pooled()])[0]


@pytest.mark.parametrize(
    ("control", "ends", "title"),
    [
        ("normalised", 92.4, "Normalisation alone is enough"),
        ("normalised", 60.0, "Normalisation alone is not enough"),
        ("same size", 92.4, "The parameters alone would have done it"),
        ("same size", 12.0, "It is not the parameters"),
        ("same compute", 92.4, "The arithmetic alone would have done it"),
        ("same compute", 12.0, "It is not the arithmetic"),
    ],
)
def test_other_ways_are_held_against_the_best(control, ends, title):
    notes = told(
        {
            "plain": GUESSING,
            "addition": [92.0, 92.5, 93.0, 92.2, 92.8],
            control: [ends, ends + 0.3, ends - 0.2, ends + 0.1, ends],
        }
    ).notes()
    assert title in dict(notes)


def test_image_controls_fit():
    images = (TRAIN[0].reshape(-1, 1, 8, 8), TRAIN[1])
    net = case(
        model=lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)
        ),
        train=images,
        test=images,
    )
    built, missing = controls_of(net, net.model())
    assert missing == ()
    for control in built.values():
        assert control.model()(images[0][:3]).shape == (3, 10)


def test_diverging_and_failing_runs_are_outcomes():
    good, wild = case(epochs=5), case(optimizer=sgd(1e20), epochs=5)
    film = case(model=lambda: Breaks(1.0), epochs=5)
    result = quick({"good": good, "wild": wild, "film": film})
    runs = result.variant("wild").runs
    assert {run.status for run in runs} == {"diverged"}
    assert all(len(run.train_loss) < 6 for run in runs)  # stopped before the last epoch
    assert result.variant("wild").failures == 2
    film = result.variant("film").runs[0]
    assert film.status == "failed"
    assert film.error == "RuntimeError: the projector is out of film"
    assert math.isnan(result.variant("film").median)
    assert result.variant("wild").difference.pairs == 2
    assert "Some trainings broke down" in dict(result.notes)
    assert Comparison.from_dict(json.loads(json.dumps(result.to_dict()))).best == result.best


def test_reference_that_always_fails_is_an_error():
    with pytest.raises(CaseError, match="out of film"):
        quick({"film": case(model=lambda: Breaks(1.0)), "good": case()})


def test_partly_failing_variant_counts_its_failures():
    seeds = 6
    expected = 0
    for seed in range(seeds):
        torch.manual_seed(seed)
        expected += Breaks(0.5).bad
    assert 0 < expected < seeds
    result = quick({"good": case(), "some": case(model=lambda: Breaks(0.5))}, seeds=seeds)
    assert result.variant("some").failures == expected
    assert result.variant("some").difference.pairs == seeds


def test_what_broke_is_not_said_to_guess():
    cases = {"deep": case(model=deep), "broken": case(model=lambda: Breaks(1.0))}
    notes = dict(quick(cases).notes)
    assert "Deep only guesses" in notes
    assert notes["Some trainings broke down"].startswith("2 of 2 of broken")


def test_stalled_means_no_better_than_guessing():
    result = quick({"deep": case(model=deep), "small": case(optimizer=sgd(0.5), epochs=2)})
    assert result.variant("deep").stalled == 2
    assert result.variant("small").stalled == 0
    assert "Deep only guesses" in dict(result.notes)


def test_loss_is_judged_where_there_are_no_classes():
    inputs = TRAIN[0]
    data = (inputs, inputs @ torch.linspace(-1, 1, 64).unsqueeze(1))
    fields = {
        "model": lambda: nn.Linear(64, 1),
        "train": data,
        "test": data,
        "loss": nn.functional.mse_loss,
    }
    good, bad = case(**fields, optimizer=sgd(0.01)), case(**fields, optimizer=sgd(1e-6))
    result = quick({"bad": bad, "good": good}, seeds=3)
    assert (result.metric, result.higher_is_better, result.unit) == ("loss", False, "")
    assert result.answer == "helped"
    assert result.variant("good").difference.mean < 0
    assert quick({"good": good, "bad": bad}, seeds=3).answer == "worse"


def test_objective_dataset_and_metric_of_its_own():
    inputs = TRAIN[0]
    auto = case(
        model=lambda: nn.Linear(64, 64),
        train=TensorDataset(inputs),
        test=TensorDataset(inputs),
        loss=None,
        objective=lambda model, batch: (model(batch[0]) - batch[0]).square().mean(),
    )
    result = compare({"auto": auto}, seeds=1, workers=0)
    assert result.metric == "loss"
    assert len(result.missing) == 4
    scored = case(metric=lambda output, targets: float(len(targets)))
    assert quick({"scored": scored}).variants[0].runs[0].test == (100.0, 100.0, 100.0)


# ---------------------------------------------------------------- budgets


def test_equal_arithmetic_is_counted_by_hand():
    cases = {"plain": case(epochs=4), "twice": case(model=lambda: small(32), epochs=4)}
    split = split_train(cases["plain"])
    steps = steps_for("flops", cases, split)
    whole = math.ceil(len(split.train) / 32) * 4
    # Multiplications of one sample in a forward: 64 w + 10 w, linear in the width w. The backward
    # has the same for each weight, and for the second layer's input: 74 w + 10 w more.
    assert steps == {"plain": whole, "twice": round(whole / 2)}
    assert steps_for("epochs", cases, split) == {}


def test_budget_decides_how_many_steps_are_taken(tmp_path):
    cases = {"plain": case(epochs=4), "twice": case(model=lambda: small(32), epochs=4)}
    result = quick(cases, seeds=1, budget="flops", folder=tmp_path)
    plain, twice = (result.variant(name).runs[0] for name in cases)
    assert (len(plain.test) - 1, len(twice.test) - 1) == (4, 2)
    with pytest.raises(RunError, match="budget is gone"):
        quick(cases, seeds=1, folder=tmp_path)
    with pytest.raises(CaseError, match="budget='money' is none of"):
        quick(cases, budget="money")


def test_time_is_measured_once_and_kept(tmp_path, monkeypatch):
    cases = {"plain": case(epochs=4), "slow": case(model=lambda: small(32), epochs=4)}
    monkeypatch.setattr("skipway._compare._budget._seconds",
                        lambda cases, split: {"plain": 1.0, "slow": 1.6})  # fmt: skip
    quick(cases, seeds=1, budget="time", folder=tmp_path)
    kept = json.loads((tmp_path / "run.json").read_text())["steps"]
    assert kept["slow"] == round(kept["plain"] / 1.6)
    monkeypatch.undo()
    again = quick(cases, seeds=2, budget="time", folder=tmp_path)
    assert json.loads((tmp_path / "run.json").read_text())["steps"] == kept
    assert {len(run.test) for run in again.variant("slow").runs} == {
        1 + math.ceil(kept["slow"] / 5)
    }


def test_part_of_an_epoch_is_judged_too():
    own = case(epochs=1)
    model, optimizer = build(own, Cell("a", 0, 1.0))
    seen = []
    train(own, model, optimizer, steps=7, index=torch.arange(5 * 32), on_epoch=seen.append)
    assert seen == [0, 1, 2]


# ---------------------------------------------------------------- words


def run_of(name: str, seed: int, end: float, *, status="done", stalled=False, size=1000, ms=1.0):
    return Run(
        variant=name, seed=seed, learning_rate=1.0, status=status, error=None,
        train_loss=(2.3, 0.1), validation=(10.0, end), test=(10.0, end), stalled=stalled,
        step_ms=ms, seconds=1.0, parameters=size,
    )  # fmt: skip


@dataclass(frozen=True)
class Told:
    say: Saying

    @property
    def best(self) -> Variant:
        return self.say.best

    def verdict(self) -> str:
        return Writer(self.say).verdict()

    def notes(self) -> tuple[tuple[str, str], ...]:
        return Notes(self.say, "an abacus").written()


def told(ends: dict[str, list[float]], **costs) -> Told:
    """Return what would be written if the variants had ended at these accuracies."""
    runs = {
        Cell(name, seed, 1.0): run_of(name, seed, end, stalled=end < 11, **costs.get(name, {}))
        for name, values in ends.items()
        for seed, end in enumerate(values)
    }
    table = Table(runs, len(ends["plain"]), (1.0,), True, 10.0)
    controls = (
        "better start", "normalised", "same size", "same compute", "shallow", "linear",
    )  # fmt: skip
    roles = {name: "control" if name in controls else "treated" for name in ends}
    roles["plain"] = "reference"
    variants = variants_of(table, roles, {}, dict.fromkeys(ends, 0.1))
    return Told(Saying(table, variants, best_treated(table, variants), "accuracy"))


GUESSING = [9.0, 10.0, 10.5, 10.0, 9.5]


def test_verdict_of_a_cure_names_gap_and_cost():
    writer = told(
        {
            "plain": GUESSING,
            "addition": [92.0, 92.5, 93.0, 92.2, 92.8],
            "concatenation": [96.0, 96.1, 96.2, 96.0, 96.2],
        },
        concatenation={"size": 2000, "ms": 1.6},
    )
    assert writer.verdict() == (
        "Yes. Both kinds of skip cure it, in every seed. Concatenation ends 3.6 points above "
        "addition (3.2 to 4.0), for twice the parameters and about 1.6 times the time per step."
    )


def test_several_variants_are_corrected_for_and_what_stays_unseen_is_said():
    base = [80.0, 82.0, 84.0, 81.0, 83.0]
    lucky = [81.2, 82.1, 85.6, 82.3, 83.4]  # p = 0.024 alone, four variants make it 0.097
    noise = [80.4, 81.5, 84.6, 80.3, 83.9]
    many = told({"plain": base, "lucky": lucky, "b": noise, "c": noise, "d": noise})
    alone = told({"plain": base, "lucky": lucky})
    assert alone.best.answer == "helped"
    assert many.best.answer == "no difference"
    notes = dict(many.notes())
    assert (
        "corrected for 4 treated variants"
        in notes["Several were tried, so one alone may look better by luck"]
    )
    assert any(title.startswith("5 seeds see differences of") for title in notes)
    assert not any("seeds see differences" in title for title, _ in alone.notes())


def test_verdict_says_no_difference_and_worse():
    base = [80.0, 82.0, 84.0, 81.0, 83.0]
    noise = [80.4, 81.5, 84.6, 80.3, 83.9]
    assert told({"plain": base, "momentum": noise}).verdict() == (
        "No difference can be shown. Momentum ends 0.1 points above plain (−0.7 to 1.0), which "
        "may be chance."
    )
    worse = told({"plain": base, "momentum": [each - 5 for each in base]}).verdict()
    assert worse == ("No, it is worse. Momentum ends 5.0 points below plain (5.0 to 5.0).")
    mixed = told({"plain": base, "up": [each + 5 for each in base], "down": worse_by(base, 3)})
    assert mixed.verdict() == (
        "Yes. Up helps, in every seed: it ends 5.0 points above plain (5.0 to 5.0). "
        "Down is worse than plain."
    )


def worse_by(values: list[float], points: float) -> list[float]:
    return [each - points for each in values]


@pytest.mark.parametrize(
    ("linear", "title"),
    [
        ([92.0, 92.5, 93.0, 92.2, 92.8], "Depth is not needed here"),
        ([96.0, 96.5, 97.0, 96.2, 96.8], "Depth is not needed here"),
        ([88.0, 88.5, 89.0, 88.2, 88.8], "A linear model does not reach it"),
        ([70.0, 99.0, 95.0, 80.0, 99.0], "A linear model may do as well"),
        (GUESSING, "The linear control has learned nothing"),
    ],
)
def test_linear_control_weakens_the_claim_only_as_far_as_it_goes(linear, title):
    ends = {"plain": GUESSING, "addition": [92.0, 92.5, 93.0, 92.2, 92.8], "linear": linear}
    assert title in dict(told(ends).notes())


@pytest.mark.parametrize(
    ("start", "title"),
    [
        ([95.0, 95.5, 94.0, 95.2, 95.8], "A better start is enough"),
        ([30.0, 20.5, 40.0, 12.2, 12.8], "A better start is not enough"),
    ],
)
def test_better_start_is_held_against_the_best(start, title):
    ends = {"plain": GUESSING, "addition": [92.0, 92.5, 93.0, 92.2, 92.8], "better start": start}
    notes = dict(told(ends).notes())
    assert title in notes
    assert "Plain only guesses" in notes
    assert notes["Times are medians"].startswith("on one thread of an abacus")


# ---------------------------------------------------------------- errors before anything runs


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"model": lambda: nn.Linear(63, 10)}, ModelError, "does not go through"),
        ({"model": nn.Identity}, ModelError, "no parameters"),
        ({"model": lambda: "net"}, ModelError, "str"),
        ({"loss": lambda o, t: o.detach().mean()}, LossError, "no gradient"),
        ({"loss": lambda o, t: o.mean(1)}, LossError, "shape"),
        ({"loss": lambda o, t: 3.0}, LossError, "float"),
        ({"train": (TRAIN[0] * math.nan, TRAIN[1])}, BatchError, "NaN"),
        (
            {"optimizer": lambda p: torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)},
            OptimizerError,
            "none of the model's parameters",
        ),
    ],
)
def test_what_cannot_be_trained_fails_fast(changes, kind, words):
    with pytest.raises(kind, match=words):
        quick({"plain": case(), "bad": case(**changes)})


def test_unequal_budgets_are_refused():
    with pytest.raises(CaseError, match="epochs"):
        quick({"a": case(), "b": case(epochs=3)})
    with pytest.raises(CaseError, match="nothing to compare"):
        quick({})
    with pytest.raises(CaseError, match="seeds=0"):
        quick({"a": case()}, seeds=0)


# ---------------------------------------------------------------- cells, folders, processes


def test_second_call_runs_nothing_and_more_seeds_run_only_those(tmp_path):
    first = quick({"a": case(), "b": case()}, folder=tmp_path)
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "cells").iterdir()}
    steps: list[tuple[int, int]] = []
    again = quick(
        {"a": case(), "b": case()}, folder=tmp_path, progress=lambda d, t, _: steps.append((d, t))
    )
    assert steps == [(4, 4)]
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "cells").iterdir()} == stamps
    assert again == first
    assert read(tmp_path / "comparison.json") == first
    steps.clear()
    quick(
        {"a": case(), "b": case()},
        seeds=3,
        folder=tmp_path,
        progress=lambda d, t, _: steps.append((d, t)),
    )
    assert steps == [(4, 6), (5, 6), (6, 6)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": 3}, "epochs was 2, is 3"),
        ({"batch_size": 16}, "batch size"),
        ({"optimizer": sgd(0.2)}, "optimizer"),
        ({"model": lambda: small(17)}, "model"),
        ({"loss": lambda o, t: 2 * nn.functional.cross_entropy(o, t)}, "loss"),
        ({"train": (TRAIN[0] + 0.001, TRAIN[1])}, "data"),
        ({"learning_rates": (1.0, 2.0)}, "learning rate factors"),
    ],
)
def test_changed_configuration_is_refused(tmp_path, changes, words):
    quick({"a": case()}, seeds=1, folder=tmp_path)
    with pytest.raises(RunError, match=words) as caught:
        quick({"a": case(**changes)}, seeds=1, folder=tmp_path)
    assert "another folder" in str(caught.value)
    forget(tmp_path)
    quick({"a": case(**changes)}, seeds=1, folder=tmp_path)


def test_damaged_cells_are_found(tmp_path):
    quick({"a": case()}, seeds=1, folder=tmp_path)
    (path,) = (tmp_path / "cells").iterdir()
    whole = path.read_text()
    for broken in (whole[: len(whole) // 2], "", "[]", whole.replace('"seed": 0', '"seed": 1')):
        path.write_text(broken)
        with pytest.raises(RunError, match=r"damaged.*Delete this file"):
            quick({"a": case()}, seeds=1, folder=tmp_path)
    number = json.loads(whole)["run"]["test"][-1]
    path.write_text(whole.replace(repr(number), "99.9"))
    with pytest.raises(RunError, match="checksum"):
        quick({"a": case()}, seeds=1, folder=tmp_path)
    path.unlink()
    quick({"a": case()}, seeds=1, folder=tmp_path)
    assert json.loads(path.read_text())["run"]["test"][-1] == number


def test_processes_threads_and_this_process_agree(tmp_path):
    def contents(workers: int | Executor | None) -> list[tuple]:
        result = compare({"a": case()}, seeds=2, controls=False, workers=workers)
        return [(run.train_loss, run.test) for v in result.variants for run in v.runs]

    here = contents(0)
    assert contents(2) == here
    with ThreadPoolExecutor(2) as pool:
        assert contents(pool) == here
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert contents(pool) == here


def test_this_process_keeps_its_random_numbers_and_threads():
    threads = torch.get_num_threads()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    quick({"a": case()}, seeds=1, folder=None)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


def die() -> nn.Module:
    """Kill the process that builds it, unless that is the one that checks the case."""
    if os.environ.get("SKIPWAY_TEST_PARENT") != str(os.getpid()):
        os.kill(os.getpid(), signal.SIGKILL)
    return small()


def test_dying_worker_is_an_outcome_and_costs_nobody_else(tmp_path, monkeypatch):
    monkeypatch.setenv("SKIPWAY_TEST_PARENT", str(os.getpid()))
    cases = {"a": case(), "b": case(model=die)}
    result = compare(
        cases, seeds=1, workers=2, controls=False, folder=tmp_path, learning_rates=(1.0,)
    )
    assert [run.status for run in result.variant("a").runs] == ["done"]
    assert [run.status for run in result.variant("b").runs] == ["failed"]
    assert "worker process had to be given up" in result.variant("b").runs[0].error
    assert not list(tmp_path.glob(".job-*"))
    with pytest.raises(CaseError, match="given up"):
        compare({"b": case(model=die)}, seeds=1, workers=1, controls=False)


def test_dying_worker_of_a_given_executor_is_an_error(monkeypatch):
    monkeypatch.setenv("SKIPWAY_TEST_PARENT", str(os.getpid()))
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
        pytest.raises(RunError, match="worker of the given executor died"),
    ):
        compare({"a": case(model=die)}, seeds=1, workers=pool, controls=False)


class Endless(nn.Module):
    """Comes back from a forward in training mode once, which is when the case is checked."""

    checked: set[str] = set()  # noqa: RUF012  # shared by the instances on purpose

    def __init__(self, how: str) -> None:
        super().__init__()
        self.net, self.how = small(), how

    def forward(self, x: Tensor) -> Tensor:
        if self.training and self.how in self.checked:
            while self.how == "in Python":
                pass
        if self.training and os.environ.get("SKIPWAY_TEST_PARENT") not in (None, str(os.getpid())):
            sum(itertools.repeat(0))  # in C: holds the interpreter and sees no signal
        self.checked.add(self.how)
        return self.net(x)


def test_training_over_the_time_limit_is_an_outcome():
    result = quick(
        {"a": case(), "b": case(model=lambda: Endless("in Python"))}, seeds=1, time_limit=1.5
    )
    assert result.variant("a").runs[0].status == "done"
    (run,) = result.variant("b").runs
    assert (run.status, run.error) == ("failed", "it was not done after 1.5 s, the time limit")


def test_worker_that_hangs_beyond_all_signals_is_given_up(monkeypatch):
    monkeypatch.setenv("SKIPWAY_TEST_PARENT", str(os.getpid()))
    monkeypatch.setattr("skipway._compare._pool._patience", lambda limit: 12.0)
    result = compare(
        {"a": case(), "b": case(model=lambda: Endless("in C"))}, seeds=1, workers=2,
        controls=False, learning_rates=(1.0,), time_limit=100,
    )  # fmt: skip
    assert result.variant("a").runs[0].status == "done"
    (run,) = result.variant("b").runs
    assert run.status == "failed"
    assert "had to be given up" in run.error


def test_limit_rings_once_and_gives_an_older_alarm_back():
    rang: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda *_: rang.append(1))
    older = signal.setitimer(signal.ITIMER_REAL, 30)
    try:
        with pytest.raises(OverTime), at_most(0.05):
            time.sleep(5)
        left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
        assert 20 < left < 30
        with at_most(0.05):
            pass
        time.sleep(0.1)
        assert not rang
    finally:
        signal.setitimer(signal.ITIMER_REAL, *older)
        signal.signal(signal.SIGALRM, before)
    with pytest.raises(CaseError, match="time_limit=0"):
        quick({"a": case()}, time_limit=0)


def test_failed_trainings_are_tried_again_only_when_asked(tmp_path, monkeypatch):
    class Moody(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = small()

        def forward(self, x: Tensor) -> Tensor:
            if os.environ.get("SKIPWAY_TEST_MOOD") == "bad" and not self.training and len(x) > 2:
                raise RuntimeError("not today")
            return self.net(x)

    cases = {"a": case(), "b": case(model=Moody)}
    monkeypatch.setenv("SKIPWAY_TEST_MOOD", "bad")
    assert quick(cases, folder=tmp_path).variant("b").failures == 2
    monkeypatch.setenv("SKIPWAY_TEST_MOOD", "good")
    assert quick(cases, folder=tmp_path).variant("b").failures == 2
    steps: list[int] = []
    again = quick(
        cases, folder=tmp_path, retry_failed=True, progress=lambda d, t, _: steps.append(d)
    )
    assert (steps, again.variant("b").failures) == ([2, 3, 4], 0)


def test_folder_of_another_process_is_refused(tmp_path):
    quick({"a": case()}, seeds=1, folder=tmp_path)
    hold = (
        "import sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire();"
        "print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path / ".lock")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as other:  # fmt: skip
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(RunError, match="Another process works in"):
            quick({"a": case()}, seeds=1, folder=tmp_path)
        other.kill()  # as a crash would: the lock goes with its process
    quick({"a": case()}, seeds=1, folder=tmp_path)


SLOW_CASE = textwrap.dedent("""
    import time, torch
    from pathlib import Path
    from torch import nn
    from skipway import Case

    def model():
        # In the middle of the run it waits until another process has come and gone.
        begun = time.monotonic()
        while len(list(Path("run/cells").glob("*.json"))) == 2 and not Path("gone").exists():
            assert time.monotonic() < begun + 120
            time.sleep(0.05)
        return nn.Linear(4, 2)

    x = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] > 0).long()
    case = Case(name=NAME, model=model, train=(x, y), test=(x, y), epochs=1,
                loss=nn.functional.cross_entropy, learning_rates=(1.0,),
                optimizer=lambda p: torch.optim.SGD(p, lr=0.1))
""")


def test_fresh_start_waits_for_its_turn(tmp_path):
    """`--fresh` beside a run at work takes nothing from it; once it is over it begins anew."""
    for name in "ab":
        (tmp_path / f"{name}.py").write_text(SLOW_CASE.replace("NAME", repr(name)))
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "skipway", "compare", "a.py", "b.py", "--seeds", "6"]
    command += ["--no-controls", "--workers", "0", "--folder", str(folder)]
    options = {"cwd": tmp_path, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **options) as first:
        _wait_for_cells(folder, 2, first)
        before = {path: path.stat().st_ino for path in folder.rglob("*.json")}
        second = subprocess.run([*command, "--fresh"], **options, check=False)
        assert first.poll() is None, "it ended before the second process came"
        (tmp_path / "gone").touch()
        assert second.returncode == 2
        assert "Another process works in" in second.stderr
        assert {path: path.stat().st_ino for path in before} == before
        first.communicate()
        assert first.returncode == 0
    kept = _written(folder)
    assert len(kept) == 12
    subprocess.run([*command, "--fresh"], **options, check=True)
    again = _written(folder)
    assert again.keys() == kept.keys()
    assert min(again.values()) > max(kept.values())


def _written(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (folder / "cells").glob("*.json")}


def test_full_disk_loses_nothing(tmp_path):
    folder = tmp_path / "run"
    program = tmp_path / "program.py"
    # No file may grow larger than this: the operating system then says what it says on a full disk.
    full_disk = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)\n"
    )
    program.write_text(PROGRAM.replace("steps = []", f"{full_disk}steps = []"))
    command = [sys.executable, str(program), str(folder), "0"]
    full = subprocess.run([*command, "300"], capture_output=True, text=True, check=False)
    assert full.returncode != 0
    assert "Cannot write" in full.stderr
    assert not [p for p in folder.rglob("*") if p.name.startswith(".") and p.stat().st_size > 0]
    subprocess.run([*command, str(10**9)], capture_output=True, check=True)
    assert len(list((folder / "cells").glob("*.json"))) == 16


def test_all_trainings_are_a_table(tmp_path):
    quick({"a": case(), "b": case(model=lambda: Breaks(0.0))}, folder=tmp_path)
    with (tmp_path / "cells.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["variant"], row["seed"]) for row in rows[:2]] == [("a", "0"), ("b", "0")]
    stored = json.loads(next((tmp_path / "cells").glob("a.1.*.json")).read_text())["run"]
    row = next(row for row in rows if (row["variant"], row["seed"]) == ("a", "1"))
    assert float(row["test"]) == stored["test"][-1]
    assert int(row["epochs"]) == len(stored["test"]) - 1
    where = json.loads((tmp_path / "comparison.json").read_text())["environment"]
    assert {"torch", "machine", "device", "threads", "git"} <= set(where)
    # Beside the trainings from the first moment, for a run that never comes to its end.
    assert json.loads((tmp_path / "run.json").read_text())["environment"] == where


PROGRAM = textwrap.dedent("""
    import sys, time, torch
    from torch import nn
    from skipway import Case, compare

    def model():
        time.sleep(0.15)  # so that there is a middle to be killed in
        return nn.Linear(4, 2)

    x = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    case = Case(model=model, train=(x, (x[:, 0] > 0).long()), test=(x, (x[:, 0] > 0).long()),
                loss=nn.functional.cross_entropy, epochs=1, learning_rates=(1.0,),
                optimizer=lambda p: torch.optim.SGD(p, lr=0.1))
    steps = []
    result = compare({"a": case, "b": case}, seeds=8, controls=False, folder=sys.argv[1],
                     workers=int(sys.argv[2]), progress=lambda d, t, w: steps.append(d))
    print(steps[0], steps[-1], len(result.variants[0].runs))
""")


@pytest.fixture
def program(tmp_path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


def _wait_for_cells(folder: Path, count: int, process: subprocess.Popen) -> int:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        done = len(list((folder / "cells").glob("*.json")))
        if done >= count:
            return done
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)
    raise AssertionError("no cell was finished")


@pytest.mark.parametrize(
    ("workers", "number"), [("0", signal.SIGKILL), ("2", signal.SIGKILL), ("2", signal.SIGINT)]
)
def test_killed_run_goes_on_where_it_stopped(tmp_path, program, workers, number):
    folder = tmp_path / "run"
    command = [sys.executable, str(program), str(folder), workers]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        done = _wait_for_cells(folder, 3, process)
        process.send_signal(number)
        process.stdout.read()  # ends when no process of this run is left
        assert process.wait(60) != 0
    kept = len(list((folder / "cells").glob("*.json")))
    assert done <= kept < 16
    again = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert again.stdout.split() == [str(kept), "16", "8"]
    assert sorted(path.name for path in folder.iterdir()) == [
        ".lock",
        "cells",
        "cells.csv",
        "comparison.json",
        "run.json",
    ]


# ---------------------------------------------------------------- a training of one's own


def by_hand(model, data, *, seed, rate, log):
    """Train as the built-in loop does, with momentum; note the first epoch only."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1 * rate, momentum=0.9)
    inputs, targets = data["train"]
    order = torch.Generator().manual_seed(seed)
    for epoch in range(2):
        model.train()
        for index in torch.randperm(len(inputs), generator=order).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs[index]), targets[index]).backward()
            optimizer.step()
        if epoch == 0:
            log(train_loss=1.25)


def test_own_training_is_judged_like_any_other():
    own = case(training=by_hand, learning_rates=(1.0, 3.0))
    result = compare({"plain": case(learning_rates=(1.0, 3.0)), "own": own}, seeds=2, workers=0,
                     controls=False)  # fmt: skip
    run = result.variant("own").runs[0]
    assert run.status == "done"
    assert len(run.test) == 3
    assert run.train_loss[1] == 1.25
    # Against a literal training outside of any comparison.
    split = split_train(own)
    torch.manual_seed(0)
    model = small()
    torch.manual_seed(0)
    data = {"train": tuple(part[split.train] for part in own.train)}
    by_hand(model, data, seed=0, rate=run.learning_rate, log=lambda **_: None)
    inputs, targets = own.test
    right = (model.eval()(inputs).argmax(1) == targets).double().mean()
    assert run.test[-1] == pytest.approx(100 * float(right))
    assert {rate for rate, _ in result.variant("own").tried} == {1.0, 3.0}


def test_own_training_may_bring_its_own_numbers_and_errors_are_outcomes():
    def told(model, data, *, seed, rate, log):
        assert len(data["train"][1]) + len(data["validation"][1]) == len(TRAIN[1])
        return {"train_loss": 0.5, "validation": 80.0 + seed, "test": 79.0}

    def wrong(model, data, *, seed, rate, log):
        return {"accuracy": 1.0}

    result = quick({"told": case(training=told), "wrong": case(training=wrong)})
    assert [run.validation[-1] for run in result.variant("told").runs] == [80.0, 81.0]
    assert result.variant("told").runs[0].test[-1] == 79.0
    broken = result.variant("wrong").runs[0]
    assert broken.status == "failed"
    assert "gives accuracy; what is compared is called train_loss" in broken.error
    with pytest.raises(CaseError, match="training; give a function"):
        case(training=3)


def test_own_training_gets_a_dataset_where_the_case_has_one():
    seen = {}

    def look(model, data, *, seed, rate, log):
        seen.update({name: len(part) for name, part in data.items()})
        return {"train_loss": 0.5, "validation": 1.0, "test": 1.0}

    quick({"own": case(train=TensorDataset(*TRAIN), training=look)}, seeds=1)
    assert seen["train"] + seen["validation"] == len(TRAIN[1])
    assert seen["test"] == 2  # a pair of tensors, as the case gives it


@pytest.mark.parametrize(
    "wrong", [{"together": 0}, {"at_once": "many"}, {"poll": 0}, {"poll": "x"}]
)
def test_cluster_numbers_that_make_no_sense_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(RunError, match=f"{name}=.*; give"):
        Slurm(**wrong)
