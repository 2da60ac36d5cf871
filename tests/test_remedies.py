"""Remedies: each does what it says, to a new case, and the better start is a better start."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import nn

from skipway import Case, cases
from skipway._compare import compare
from skipway._errors import CaseError
from skipway._remedies import better_start, in_float32, unfrozen, with_learning_rate


def chain(activation: type[nn.Module], depth: int = 50, width: int = 64) -> nn.Module:
    hidden = [layer for _ in range(depth) for layer in (nn.Linear(width, width), activation())]
    return nn.Sequential(*hidden, nn.Linear(width, 10))


def on_digits(model, **changes) -> Case:
    return cases.load("plain-mlp").replace(model=model, **changes)


def weights(case: Case, seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return case.model().state_dict()


def test_learning_rate_is_set_for_every_group_and_kept_as_base_of_the_factors():
    given = on_digits(
        lambda: chain(nn.ReLU, 1),
        optimizer=lambda p: torch.optim.SGD([{"params": list(p), "lr": 3.0}], lr=0.01),
    )
    treated = with_learning_rate(given, 0.5)
    optimizer = treated.make_optimizer(treated.model().parameters(), 2.0)
    assert [group["lr"] for group in optimizer.param_groups] == [1.0]
    assert given.make_optimizer(given.model().parameters()).param_groups[0]["lr"] == 3.0
    with pytest.raises(CaseError, match="above zero"):
        with_learning_rate(given, 0.0)


def test_float32_casts_model_and_floats_only():
    inputs = torch.randn(8, 4, dtype=torch.bfloat16)
    given = Case(
        model=lambda: nn.Linear(4, 2, dtype=torch.bfloat16),
        train=(inputs, torch.arange(8) % 2),
        test=(inputs, torch.arange(8) % 2),
        loss=nn.functional.cross_entropy,
        optimizer=lambda p: torch.optim.SGD(p, lr=0.01),
    )
    treated = in_float32(given)
    assert {p.dtype for p in treated.model().parameters()} == {torch.float32}
    assert treated.train[0].dtype == treated.test[0].dtype == torch.float32
    assert treated.train[1].dtype == torch.int64
    assert given.train[0].dtype == torch.bfloat16
    torch.testing.assert_close(
        weights(treated)["weight"], weights(given)["weight"].float(), rtol=0, atol=0
    )


class CastsItself(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(4, 2).to(torch.bfloat16)

    def forward(self, x):
        return self.net(x.to(torch.bfloat16)) + x.bfloat16()[:, :2] + x.to(dtype=torch.half)[:, 2:]


class Fixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(4, 2)
        self.seen = torch.ones(4, 4, dtype=torch.bfloat16)  # no buffer, so nothing can cast it

    def forward(self, x):
        return self.net(x @ self.seen)


def vectors(model) -> Case:
    inputs = torch.randn(8, 4)
    return Case(
        model=model,
        train=(inputs, torch.arange(8) % 2),
        test=(inputs, torch.arange(8) % 2),
        loss=nn.functional.cross_entropy,
        optimizer=lambda p: torch.optim.SGD(p, lr=0.01),
    )


def test_model_that_casts_by_itself_is_computed_in_float32():
    treated = in_float32(vectors(CastsItself))
    model, x = treated.model(), treated.train[0]
    expected = x @ model.net.weight.T + model.net.bias + x[:, :2] + x[:, 2:]
    assert model(x).dtype == torch.float32
    torch.testing.assert_close(model(x), expected)
    assert isinstance(model, CastsItself)
    assert list(model.state_dict()) == ["net.weight", "net.bias"]


def test_model_that_cannot_run_in_float32_is_an_error_that_says_so():
    with pytest.raises(CaseError, match=r"does not run in float32.*net|forward"):
        in_float32(vectors(Fixed))


def half_frozen() -> nn.Module:
    model = nn.Sequential(nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10))
    model[0].requires_grad_(False)
    return model


def test_unfrozen_trains_everything():
    def head_only(parameters):
        return torch.optim.SGD(list(parameters)[2:], lr=0.1)

    treated = unfrozen(on_digits(half_frozen, optimizer=head_only))
    model = treated.model()
    optimizer = treated.make_optimizer(model.parameters())
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
    before = [p.detach().clone() for p in model.parameters()]
    treated.evaluate_loss(model, treated.batch()).backward()
    optimizer.step()
    assert not any(map(torch.equal, before, model.parameters()))
    assert [p.requires_grad for p in half_frozen().parameters()] == [False, False, True, True]


def test_mirrored_start_is_an_isometry_through_fifty_rectifiers():
    """What comes out is an orthogonal map of what the first layer let in: nothing fades."""
    treated = better_start(on_digits(lambda: chain(nn.ReLU)))
    torch.manual_seed(0)
    model = treated.model().double()
    x = torch.randn(100, 64, dtype=torch.float64)
    first, last = model[0](x), model[:-1](x)
    # Each pair (s, -s) holds its signal as relu(s) - relu(-s).
    signal = first[:, :32]
    norms = (last[:, :32] - last[:, 32:]).norm(dim=1) / signal.norm(dim=1)
    torch.testing.assert_close(norms, torch.ones_like(norms), rtol=1e-5, atol=1e-5)


def test_functional_activations_are_found_and_norms_left_alone():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(64, 64), nn.Linear(64, 64)
            self.norm, self.head = nn.BatchNorm1d(64), nn.Linear(64, 10)
            nn.init.constant_(self.norm.weight, 0.3)

        def forward(self, x):
            return self.head(torch.sigmoid(self.two(torch.tanh(self.norm(self.one(x))))))

    found = weights(better_start(on_digits(Net)))
    eye = torch.eye(64)
    torch.testing.assert_close(found["one.weight"] @ found["one.weight"].T, 1.05**2 * eye)
    torch.testing.assert_close(
        found["two.weight"] @ found["two.weight"].T, 25 * eye, atol=1e-4, rtol=0
    )
    assert bool((found["one.bias"] == 0).all() and (found["two.bias"] == 0).all())
    torch.testing.assert_close(found["head.bias"], -0.5 * found["head.weight"].sum(1))
    assert bool((found["norm.weight"] == 0.3).all())


def test_convolutions_start_at_the_centre_of_the_kernel():
    def model() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.Flatten(),
            nn.Linear(512, 10),
        )  # fmt: skip

    given = cases.load("plain-cnn").replace(model=model)
    kernel = weights(better_start(given))["2.weight"]
    centre = kernel[:, :, 1, 1].clone()
    kernel[:, :, 1, 1] = 0
    assert not kernel.any()
    assert torch.linalg.matrix_rank(centre) == 4  # [W, -W] with W of 8 × 4
    torch.testing.assert_close(centre[:, :4], -centre[:, 4:])


def test_start_follows_the_seed_and_leaves_the_given_case_alone():
    given = on_digits(lambda: chain(nn.Tanh, 3))
    treated = better_start(given)
    assert torch.equal(weights(treated)["0.weight"], weights(treated)["0.weight"])
    assert not torch.equal(weights(treated, 1)["0.weight"], weights(treated)["0.weight"])
    torch.manual_seed(0)
    untreated = chain(nn.Tanh, 3).state_dict()
    assert all(torch.equal(untreated[key], value) for key, value in weights(given).items())
    assert list(weights(treated)) == list(weights(given))


def test_nothing_to_start_anew_is_an_error():
    given = on_digits(lambda: nn.Sequential(nn.BatchNorm1d(64)))
    with pytest.raises(CaseError, match="no Linear or convolution"):
        better_start(given).model()


def test_treated_cases_travel_to_other_processes():
    given = cases.load("plain-mlp").replace(optimizer=torch.optim.SGD)
    for treated in (better_start(given), unfrozen(given), with_learning_rate(given, 0.1)):
        copied = pickle.loads(pickle.dumps(treated))
        assert torch.equal(weights(copied)["head.weight"], weights(treated)["head.weight"])


@pytest.mark.parametrize(
    ("activation", "floor"), [(nn.ReLU, 85.0), (nn.Tanh, 85.0), (nn.Sigmoid, 70.0)]
)
def test_better_start_trains_what_does_not_train_as_given(activation, floor):
    """The strongest plain twin: fifty layers that are at chance (10 %) as given."""
    given = on_digits(lambda: chain(activation))
    result = compare(
        {"plain": given, "started": better_start(given)},
        seeds=2, workers=0, controls=False, learning_rates=(1.0,),
    )  # fmt: skip
    assert result.variant("plain").high < 20
    assert result.variant("started").low > floor
