"""What people report, each mistake beside the same network without it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from causes import _data as data
from causes import _reported_data as own
from causes._reported_networks import Codes
from causes._reported_objectives import Codebook
from skipway import diagnose

(INPUTS, TARGETS), _ = data.digits(64)
BATCH = INPUTS[:128], TARGETS[:128]


def look(model, batch=BATCH, loss=F.cross_entropy, rate=3e-3, held=None, **settings):
    optimizer = torch.optim.Adam(held or model.parameters(), rate)
    return diagnose(model, batch, loss, optimizer=optimizer, **settings)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


# --- a loss without a way back -----------------------------------------------------------------


def anew(model, batch):
    return torch.tensor(F.cross_entropy(model(batch[0]), batch[1]).item(), requires_grad=True)


def compared(model, batch):
    return (model(batch[0]).argmax(1) != batch[1]).float().mean().requires_grad_()


@pytest.mark.parametrize("objective", [anew, compared])
def test_a_loss_that_hides_that_it_has_no_way_back_is_told(objective):
    model = network()
    objective(model, BATCH).backward()  # no error: that is what makes it hard to find
    assert all(p.grad is None for p in model.parameters())
    found = look(model, loss=None, objective=objective)
    assert (found.cause, found.treatment) == ("detached", "reattach")
    assert "loss without a way back" in found.findings[0].place
    assert "requires_grad_()" in found.findings[0].remedy


class Ended(nn.Module):
    def __init__(self, softmax: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net, self.softmax = (
            nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 1)),
            softmax,
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).softmax(1) if self.softmax else self.net(x)


def test_a_softmax_over_one_answer_is_no_fault_of_depth():
    odd = BATCH[0], (BATCH[1] % 2).float()[:, None]
    model = Ended(softmax=True)
    assert torch.equal(model(odd[0]), torch.ones(128, 1))
    found = look(model, odd, F.binary_cross_entropy_with_logits)
    assert (found.cause, found.treatment) == ("saturation", "loss")
    assert "without `softmax`" in found.findings[0].remedy
    assert look(Ended(softmax=False), odd, F.binary_cross_entropy_with_logits).cause == "healthy"


def test_a_loss_that_is_flat_where_the_answers_are_is_no_fault_of_depth():
    model = network()
    model[2].bias.data.fill_(50.0)  # beyond a clamp, whose slope is zero there
    found = look(model, loss=lambda y, t: F.cross_entropy(y.clamp(-1, 1), t))
    assert found.cause == "saturation"
    assert "exactly zero for every layer" in found.findings[0].evidence


# --- weights that nobody knows of --------------------------------------------------------------


class Listed(nn.Module):
    """Layers in a list, a module list, a dict, or a weight that an operation returned."""

    def __init__(self, how: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        layers = [nn.Linear(64, 32), nn.Linear(32, 16)]
        self.layers = {
            "list": layers, "known": nn.ModuleList(layers),
            "frozen": [each.requires_grad_(False) for each in layers] if how == "frozen" else None,
            "dict": {"first": layers[0], "second": layers[1]},
        }[how]  # fmt: skip
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        layers = self.layers.values() if isinstance(self.layers, dict) else self.layers
        for layer in layers:
            x = torch.tanh(layer(x))
        return self.head(x)


@pytest.mark.parametrize(
    ("how", "name"), [("list", "layers[0].weight"), ("dict", "layers['first']")]
)
def test_layers_that_the_model_does_not_register_are_told(how, name):
    model = Listed(how)
    assert [name for name, _ in model.named_parameters()] == ["head.weight", "head.bias"]
    found = look(model)
    assert (found.cause, found.treatment) == ("frozen", "optimizer")
    assert name in found.findings[0].place
    # 64 x 32 + 32 and 32 x 16 + 16 weights and biases beside a head of 16 x 10.
    assert "2,608 weights beside 160" in found.findings[0].evidence


def test_weights_that_are_known_held_or_meant_to_stay_are_no_fault():
    assert look(Listed("known")).cause == "healthy"
    assert look(Listed("frozen")).cause == "healthy"
    model = Listed("list")
    held = [*model.parameters(), *(p for each in model.layers for p in each.parameters())]
    assert look(model, held=held).cause == "healthy"


class Hidden(nn.Module):
    """A teacher that is kept out of the state in a list, and asked without a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.student, self.teacher = network(), [network()]

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            hint = self.teacher[0](x)
        return self.student(x) + hint


def test_what_gets_no_gradient_is_not_missed_by_an_optimizer():
    assert look(Hidden()).cause == "healthy"


# --- nothing but zeros -------------------------------------------------------------------------


class Normed(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm, self.head = nn.Linear(64, 16), nn.LayerNorm(size), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.first(x)).unflatten(1, (-1, self.norm.normalized_shape[0]))
        return self.head(self.norm(x).flatten(1))


def test_a_norm_over_one_number_is_told_where_it_is():
    assert not Normed(1).norm(torch.randn(5, 1)).any()
    found = look(Normed(1))
    assert [each.cause for each in found.findings] == ["collapsed-signal"]
    assert found.findings[0].place == "Between `first` and `head`."
    assert "LayerNorm(1)" in found.findings[0].remedy
    assert look(Normed(16)).cause == "healthy"


class Loop(nn.Module):
    """A recurrence whose state begins at zero."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.read, self.keep, self.head = nn.Linear(8, 16), nn.Linear(16, 16), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(len(x), 16)
        for step in x.unflatten(1, (8, 8)).unbind(1):
            h = torch.tanh(self.read(step) + self.keep(h))
        return self.head(h)


def test_a_state_that_begins_at_zero_is_nothing_that_got_lost():
    found = look(Loop())
    assert found.cause == "healthy"
    assert not any("zeros" in each.title for each in found.findings)


# --- codes, names, waves -----------------------------------------------------------------------


@pytest.mark.parametrize(("passed", "cause"), [(True, "detached"), (False, "healthy")])
def test_a_codebook_whose_loss_reads_what_is_passed_through_is_cut_off(passed, cause):
    torch.manual_seed(0)
    model = Codes()
    Codebook(passed)(model, BATCH).backward()
    assert (model.book.weight.grad is None) == passed
    found = look(model, loss=None, objective=Codebook(passed))
    assert found.cause == cause
    if passed:
        assert found.findings[0].layers == ("book",)
        assert "freeze" in found.findings[0].remedy


def test_names_that_hardly_ever_come_twice_tell_nothing_of_labels():
    (pairs, values), _ = own.ratings()
    found = _names(pairs[:64], values[:64])
    assert found.cause == "healthy"
    assert any("A larger batch tells" in note for note in found.notes)
    # Of ten people and ten things each comes several times: there it can be told.
    few = torch.randint(10, (256, 2), generator=torch.Generator().manual_seed(1))
    assert _names(few, torch.randn(256, 1, generator=torch.Generator().manual_seed(2))).cause == (
        "no-signal"
    )


def _names(pairs, values):
    torch.manual_seed(0)
    embed = nn.EmbeddingBag(200, 16)
    model = nn.Sequential(embed, nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1))
    return look(model, (pairs, values), F.mse_loss, rate=3e-2)


# --- the caller's model ------------------------------------------------------------------------


class Slow(nn.Module):
    """A student and the slow mean of it, which the forward itself moves on."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.student, self.teacher, self.how = network(), network().requires_grad_(False), how
        with torch.no_grad():
            for parameter in self.teacher.parameters():
                parameter.mul_(0.5)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            for slow, fast in zip(
                self.teacher.parameters(), self.student.parameters(), strict=True
            ):
                if self.how == "lerp":
                    slow.lerp_(fast, 0.1)
                elif self.how == "data":
                    slow.data.mul_(0.9).add_(fast.data, alpha=0.1)
                elif self.how == "out":
                    torch.lerp(slow, fast, 0.1, out=slow)
                else:
                    slow[...] = 0.9 * slow + 0.1 * fast
            hint = self.teacher(x)
        return self.student(x) + hint


@pytest.mark.parametrize("how", ["lerp", "data", "out", "item"])
def test_weights_that_the_forward_writes_to_are_put_back(how):
    model = Slow(how)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = look(model)
    assert found.cause == "healthy"
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    model(BATCH[0])  # which does move it, so that there was something to put back
    assert not torch.equal(model.teacher[0].weight, before["teacher.0.weight"])


# --- samples that are mixed up -----------------------------------------------------------------


class Read(nn.Module):
    """An LSTM over rows of numbers, told that the batch comes first or not; or statistics of it."""

    def __init__(self, how: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.lstm = nn.LSTM(8, 24, batch_first=how != "time first")
        self.norm = nn.BatchNorm1d(24, track_running_stats=False)
        self.head, self.how = nn.Linear(24, 4), how

    def forward(self, x: Tensor) -> Tensor:
        x = self.lstm(x)[0][:, -1]
        return self.head(self.norm(x) if self.how == "statistics" else x)


def told(how):
    # What is to be told is said in the middle, where the last step alone knows nothing of it.
    (inputs, labels), _ = data.memory(12, 6)
    return look(Read(how), (inputs[:256], labels[:256]), rate=1e-2)


def test_a_batch_that_is_taken_for_time_is_told():
    model = Read("time first").eval()
    (inputs, _), _ = data.memory(12, 6)
    one, other = model(inputs[:4]), model(inputs[:4].flip(0)).flip(0)
    assert not torch.allclose(one, other, atol=1e-3)
    found = told("time first")
    assert (found.cause, found.treatment) == ("no-signal", "data")
    assert found.headline == "The samples of a batch are mixed up."
    assert "batch_first=True" in found.findings[0].remedy


@pytest.mark.parametrize("how", ["batch first", "statistics"])
def test_samples_that_are_read_apart_or_compared_are_not_mixed_up(how):
    found = told(how)
    assert found.cause == "healthy"
    assert not any("mixed up" in each.title for each in found.findings)


class Seen(nn.Module):
    """Each sample sees a little of the one before it, and learns all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.net = network()

    def forward(self, x: Tensor) -> Tensor:
        y = self.net(x)
        return y + 0.3 * y.roll(1, 0)


def test_samples_that_are_mixed_and_told_apart_all_the_same_are_no_alarm():
    found = look(Seen(), (INPUTS[:256], TARGETS[:256]), rate=1e-2)
    assert found.cause == "healthy"
    (mixed,) = (each for each in found.findings if "mixed up" in each.title)
    assert mixed.treatment == "none"
