"""The first exercise of a skip connection, and what other packages get wrong without an error."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import skipway
from skipway.nn import Residual, Skip, Stack


class ByHand(nn.Module):
    """The exercise as one writes it: two convolutions, and the input added to the end."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 2, stride=2, padding=2)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(6, 3, 2, stride=2, padding=2)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu2(self.conv2(self.relu1(self.conv1(x)))) + x


def exercise() -> nn.Sequential:
    torch.manual_seed(172)
    return nn.Sequential(
        nn.Conv2d(3, 6, 2, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv2d(6, 3, 2, stride=2, padding=2),
        nn.ReLU(),
    )


@pytest.mark.parametrize("size", [3, 4])
def test_the_exercise_gives_exactly_the_numbers_written_by_hand(size: int) -> None:
    torch.manual_seed(172)
    by_hand, skip, x = ByHand(), Skip(exercise()), torch.randn(5, 3, size, size)
    assert torch.equal(skip(x), by_hand(x))
    weights = torch.randn(5, 3, size, size)
    got = torch.autograd.grad(skip(x), list(skip.parameters()), weights)
    wanted = torch.autograd.grad(by_hand(x), list(by_hand.parameters()), weights)
    assert all(torch.equal(a, b) for a, b in zip(got, wanted, strict=True))


def remedies(error: pytest.ExceptionInfo[skipway.SkipwayError]) -> list[str]:
    """The code that the message quotes: the shortcut, then the concatenation."""
    return re.findall(r"Skip\(body, .+?\)(?=, or join|\.$)", str(error.value))


def check_remedies(body: nn.Module, x: Tensor) -> None:
    """The sum is refused with both shapes, and both remedies run as quoted."""
    branch = body(x)
    with pytest.raises(skipway.SkipwayError) as error:
        Skip(body)(x)
    assert str(tuple(x.shape)) in str(error.value)
    assert str(tuple(branch.shape)) in str(error.value)
    shortcut, concatenation = remedies(error)
    assert "shortcut=" in shortcut
    assert "merge=" in concatenation
    scope = {"body": body, "torch": torch, "skipway": skipway, "Skip": Skip}
    assert eval(shortcut, scope)(x).shape == branch.shape
    both = list(branch.shape)
    dim = 1 if x.ndim > 3 or isinstance(body, nn.Conv1d) else -1
    both[dim] += x.shape[dim]
    if branch.shape[2:] != x.shape[2:] and dim == 1:
        both[2:] = x.shape[2:]
    assert list(eval(concatenation, scope)(x).shape) == both


@pytest.mark.parametrize("size", [1, 2, 5, 6, 7, 8, 28, (3, 5), (5, 3), (1, 4)])
def test_other_sizes_are_refused_with_two_remedies_that_run(size: int | tuple[int, int]) -> None:
    sizes = (size, size) if isinstance(size, int) else size
    check_remedies(exercise(), torch.randn(2, 3, *sizes))


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        (nn.Linear(4, 3), (2, 4)),
        (nn.Linear(4, 1), (2, 4)),
        (nn.Linear(4, 6), (2, 5, 4)),
        (nn.Conv1d(4, 3, 3), (2, 4, 7)),
        (nn.Conv1d(4, 3, 3, stride=2, padding=1), (2, 4, 7)),
        (nn.Conv1d(4, 4, 3, stride=2, padding=1), (2, 4, 8)),
        (nn.Conv2d(3, 6, 3, padding=1), (2, 3, 8, 8)),
        (nn.Conv2d(3, 6, 3, stride=3), (2, 3, 10, 8)),
        (nn.Conv2d(3, 6, 3, stride=(1, 2), padding=1), (2, 3, 8, 8)),
        (nn.Conv3d(2, 3, 3, stride=2, padding=1), (2, 2, 1, 4, 6)),
        (nn.Conv3d(2, 3, 3), (2, 2, 4, 4, 6)),
        (nn.ConvTranspose2d(3, 2, 2, stride=2), (2, 3, 4, 4)),
        (nn.Conv2d(3, 1, 1), (2, 3, 4, 4)),
        (nn.AdaptiveAvgPool2d(1), (2, 3, 4, 4)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else str(value),
)
def test_every_mismatch_is_refused_with_remedies_that_run(
    body: nn.Module, shape: tuple[int, ...]
) -> None:
    """Among them one channel and one position, which broadcasting would spread over all."""
    check_remedies(body, torch.randn(shape))


class Only(nn.Module):
    """The first sample's output, or a sum over everything: both would broadcast."""

    def __init__(self, everything: bool) -> None:
        super().__init__()
        self.everything = everything

    def forward(self, x: Tensor) -> Tensor:
        return x.sum() if self.everything else x[:1].tanh()


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("wrap", [Skip, lambda body: Stack([body])])
def test_a_batch_is_not_broadcast(wrap: type, everything: bool) -> None:
    with pytest.raises(skipway.SkipwayError, match=r"\(4, 3\)"):
        wrap(Only(everything))(torch.randn(4, 3))


@pytest.mark.parametrize("body", [nn.Conv2d(3, 1, 1), nn.AdaptiveAvgPool2d(1)])
@pytest.mark.parametrize(
    "rule",
    [
        Residual(),
        skipway.nn.DeepNorm(3, dim=1),
        skipway.nn.Fixup(),
        skipway.nn.DenseFormer(),
        skipway.nn.HyperConnections(2, dim=1),
        skipway.nn.ManifoldHyperConnections(2, dim=1),
        skipway.nn.AttentionResiduals(3, dim=1),
        skipway.nn.DeltaAttentionResiduals(3, dim=1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_rule_broadcasts(rule: skipway.nn.Rule, body: nn.Module) -> None:
    stack = Stack([copy.deepcopy(body)], rule=copy.deepcopy(rule))
    with pytest.raises(skipway.SkipwayError, match="Block 0"):
        stack(torch.randn(2, 3, 4, 4))


@pytest.fixture(autouse=True)
def _compiled_afresh() -> None:
    torch.compiler.reset()


def in_place(inplace: bool) -> dict[str, nn.Module]:
    """Bodies over `(batch, 6)` whose first operation may be in place, openly or hidden."""
    relu, tail = nn.ReLU(inplace), nn.Linear(6, 6)
    shaped = nn.Sequential(nn.Unflatten(1, (2, 3)), nn.Flatten(), relu, tail)
    nested = nn.Sequential(nn.Sequential(nn.Sequential(), nn.Sequential(relu)), tail)
    return {
        "alone": relu,
        "first": nn.Sequential(relu, tail),
        "nested": nested,
        "identity": nn.Sequential(nn.Identity(), nn.Sequential(nn.Identity(), relu), tail),
        "dropout": nn.Sequential(nn.Dropout(0.0), relu, tail),
        "flatten": nn.Sequential(nn.Flatten(), relu, tail),
        "shaped": shaped,
        "all": nn.Sequential(nn.Identity(), nn.Dropout(0.0), nn.Flatten(), nested),
        "elu": nn.Sequential(nn.ELU(inplace=inplace), tail),
        "silu": nn.SiLU(inplace=inplace),
        "dropped": nn.Sequential(nn.Dropout(0.0, inplace=inplace), relu, tail),
        "skip": Skip(nn.Sequential(nn.Identity(), relu, tail)),
        "later": nn.Sequential(tail, relu),
    }


@pytest.mark.parametrize("mode", ["train", "eval", "inference", "compiled"])
@pytest.mark.parametrize("name", in_place(True))
def test_a_body_that_begins_in_place_is_exact(name: str, mode: str) -> None:
    body, plain = in_place(True)[name], in_place(False)[name]
    plain.load_state_dict(body.state_dict())
    skip = Skip(body).train(mode == "train")
    run = torch.compile(skip, backend="eager", fullgraph=True) if mode == "compiled" else skip
    x = torch.randn(5, 6)
    before, expected = x.clone(), x + plain(x)
    with torch.inference_mode(mode == "inference"):
        assert torch.equal(run(x), expected)
        assert torch.equal(run(x.clone()), expected)
    assert torch.equal(x, before)


@pytest.mark.parametrize("name", in_place(True))
def test_a_body_that_begins_in_place_has_the_right_gradients(name: str) -> None:
    body, plain = in_place(True)[name], in_place(False)[name]
    plain.load_state_dict(body.state_dict())
    x = torch.randn(5, 6, requires_grad=True)
    weights = torch.randn(5, 6)
    got = torch.autograd.grad(Skip(body)(x), [x, *body.parameters()], weights)
    wanted = torch.autograd.grad(x + plain(x), [x, *plain.parameters()], weights)
    assert all(torch.equal(a, b) for a, b in zip(got, wanted, strict=True))


@pytest.mark.parametrize(
    "make",
    [
        lambda: skipway.nn.DeepNorm(6),
        skipway.nn.Fixup,
        Residual,
        skipway.nn.DenseFormer,
        lambda: skipway.nn.HyperConnections(2),
        lambda: skipway.nn.ManifoldHyperConnections(2, features=6),
        lambda: skipway.nn.AttentionResiduals(6),
        lambda: skipway.nn.DeltaAttentionResiduals(6, gate=0.3),
        lambda: skipway.nn.Reversible(dim=-1),
        lambda: skipway.nn.Reversible(dim=-1, recompute=False),
        lambda: skipway.nn.Dense(-1),
    ],
)
def test_every_rule_takes_blocks_that_begin_in_place(make: type[skipway.nn.Rule]) -> None:
    results = []
    for inplace in (True, False):
        torch.manual_seed(2)
        width = 6
        blocks = []
        for _ in range(4):
            relu, rule = nn.ReLU(inplace), make()
            reads = {skipway.nn.Dense: width, skipway.nn.Reversible: 3}.get(type(rule), 6)
            blocks.append(nn.Sequential(relu, nn.Linear(reads, min(reads, 6))))
            width += 6
        stack, x = Stack(blocks, rule=rule), torch.randn(5, 6, requires_grad=True)
        before = x.detach().clone()
        y = stack(x)
        gradients = torch.autograd.grad(y.sin().sum(), [x, *stack.blocks.parameters()])
        assert torch.equal(x, before)
        results.append([y, *gradients])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


class Relu(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu_(x)


class AddsOne(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        x += 1
        return x.tanh()


class ThroughAView(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        x[:, :1].mul_(2)
        return x.tanh()


@pytest.mark.parametrize("body", [Relu(), AddsOne(), ThroughAView()], ids=lambda m: repr(m))
@pytest.mark.parametrize("wrap", [Skip, nn.Sequential, lambda body: Stack([body])])
def test_a_body_of_ones_own_that_overwrites_its_input_is_refused(
    body: nn.Module, wrap: type
) -> None:
    """Where no version of a tensor is kept, under inference and compiled, the sum is right."""
    whole = Skip(wrap(body)) if wrap is nn.Sequential else wrap(body)
    name = type(getattr(whole, "body", body)).__name__
    for mode in (True, False):
        whole.train(mode)
        for x in (torch.randn(3, 4), torch.randn(3, 4, requires_grad=True) + 0):
            with pytest.raises(skipway.SkipwayError, match=rf"body \({name}\)"):
                whole(x)
    x = torch.randn(3, 4)
    before, expected = x.clone(), x + body(x.clone())
    with torch.inference_mode():
        assert torch.equal(whole(x.clone()), expected)
    assert torch.equal(torch.compile(whole, backend="eager", fullgraph=True)(x), expected)
    assert torch.equal(x, before)


def everything() -> dict[str, tuple[nn.Module, Tensor]]:
    """Each option and each rule once, with an input."""
    x, image = torch.randn(2, 5, 6), torch.randn(2, 4, 7, 7)
    strided = nn.Conv2d(4, 6, 3, stride=2, padding=1)
    tokens = {
        "plain": Skip(nn.Linear(6, 6)),
        "relu": Skip(nn.Sequential(nn.ReLU(True), nn.Linear(6, 6)), gate="rezero"),
        "scale": Skip(nn.Linear(6, 6), gate=skipway.nn.LayerScale(6), drop=0.5),
        "highway": Skip(nn.Linear(6, 6), merge=skipway.nn.Highway(6)),
        "fuse": Skip(nn.Linear(6, 6), merge=skipway.nn.Fuse(6)),
    }
    images = {
        "auto": Skip(strided, shortcut="auto", example=image, post=nn.ReLU()),
        "concat": Skip(nn.Conv2d(4, 2, 3), merge="concat", align="pad"),
    }
    rules = [
        *(Residual("depth"), skipway.nn.DeepNorm(6), skipway.nn.Fixup()),
        *(skipway.nn.DenseFormer(), skipway.nn.HyperConnections(2, features=6)),
        *(skipway.nn.ManifoldHyperConnections(2, features=6), skipway.nn.AttentionResiduals(6)),
        skipway.nn.DeltaAttentionResiduals(6),
    ]
    for rule in rules:
        tokens[type(rule).__name__] = Stack([nn.Linear(6, 6) for _ in range(4)], rule=rule)
    halves = [nn.Linear(3, 3) for _ in range(4)]
    tokens["Reversible"] = Stack(halves, rule=skipway.nn.Reversible(dim=-1))
    growing = [nn.Linear(6 + 2 * index, 2) for index in range(4)]
    tokens["Dense"] = Stack(growing, rule=skipway.nn.Dense(-1))
    return {k: (m, x) for k, m in tokens.items()} | {k: (m, image) for k, m in images.items()}


def tensors(value: object, seen: set[int]) -> Iterator[Tensor]:
    """Every tensor that can be reached from an attribute, through containers and objects."""
    if id(value) in seen or isinstance(value, type):
        return
    seen.add(id(value))
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors(item, seen)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from tensors(item, seen)
    elif hasattr(value, "__dict__"):
        yield from tensors(vars(value), seen)


@pytest.mark.parametrize("name", everything())
def test_a_forward_makes_no_parameter_and_keeps_no_tensor(name: str) -> None:
    model, x = everything()[name]
    known = dict(model.named_parameters()), dict(model.named_buffers())
    attributes = {path: set(vars(module)) for path, module in model.named_modules()}
    model(x).sum().backward()
    model.eval()(x)
    assert (dict(model.named_parameters()), dict(model.named_buffers())) == known
    assert {path: set(vars(module)) for path, module in model.named_modules()} == attributes
    own = {id(tensor) for group in known for tensor in group.values()}
    kept = [t for t in tensors(vars(model), set()) if id(t) not in own]
    assert not kept
    copy.deepcopy(model)


class Flat(nn.Module):
    """A block that reshapes by `view`, there and back."""

    def forward(self, x: Tensor) -> Tensor:
        return x.view(len(x), -1).tanh().view_as(x)


@pytest.mark.parametrize("dim", [1, -1])
@pytest.mark.parametrize(
    "make",
    [
        lambda dim: Residual(),
        lambda dim: skipway.nn.DeepNorm(4, dim=dim),
        lambda dim: skipway.nn.Fixup(),
        lambda dim: skipway.nn.DenseFormer(),
        lambda dim: skipway.nn.HyperConnections(2, dim=dim),
        lambda dim: skipway.nn.HyperConnections(2, features=4, dim=dim),
        lambda dim: skipway.nn.ManifoldHyperConnections(2, dim=dim),
        lambda dim: skipway.nn.ManifoldHyperConnections(2, features=4, dim=dim),
        lambda dim: skipway.nn.AttentionResiduals(4, dim=dim),
        lambda dim: skipway.nn.DeltaAttentionResiduals(4, gate=0.3, dim=dim),
    ],
)
def test_blocks_and_what_follows_may_reshape_by_view(make: Callable, dim: int) -> None:
    """To try another rule is to change one word, also for code that relies on the layout."""
    stack = Stack([Flat(), Flat(), Flat()], rule=make(dim))
    assert stack(torch.randn(2, 4, 4, 4)).view(2, -1).shape == (2, 64)


@pytest.mark.parametrize("dim", [1, -1])
def test_what_follows_a_highway_may_reshape_by_view(dim: int) -> None:
    skip = Skip(Flat(), merge=skipway.nn.Highway(4, dim=dim))
    assert skip(torch.randn(2, 4, 4, 4)).view(2, -1).shape == (2, 64)


def test_nothing_on_the_skip_changes_what_the_caller_gave() -> None:
    x = torch.randn(4, 3)
    before = x.clone()
    body = nn.Linear(3, 3)
    rectified = Skip(body, shortcut=nn.ReLU(inplace=True))
    assert torch.equal(rectified(x), before.clamp(min=0) + body(before))
    dropped = Skip(nn.Identity(), drop=nn.Hardtanh(-1e-9, 1e-9, inplace=True))
    torch.testing.assert_close(dropped(x), before)
    assert torch.equal(x, before)
