"""Dense blocks in everything that training puts around a model."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as multiprocessing
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils.checkpoint import checkpoint

import ddp
from densenets import assert_same, images, shaken, step
from skipway import models
from skipway.models._dense._matrix import Workspace


def small(memory: Any = "fast") -> models.DenseNet:
    torch.manual_seed(4)
    net = models.DenseNet(4, (3, 2), initial=8, num_classes=5, memory=memory)
    shaken(net)
    return net


def plain() -> models.DenseNet:
    return small("plain")


class Checkpointed(nn.Module):
    def __init__(self, net: models.DenseNet, reentrant: bool) -> None:
        super().__init__()
        self.net, self.reentrant = net, reentrant

    def forward(self, x: Tensor) -> Tensor:
        for name, child in self.net.features.named_children():
            if name.startswith("denseblock"):
                x = checkpoint(child, x, use_reentrant=self.reentrant)
            else:
                x = child(x)
        return self.net.classifier(x.relu().mean((2, 3)))


@pytest.mark.parametrize("memory", ["fast", "lean"])
@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_activation_checkpointing(memory: Any, reentrant: bool, whole: bool) -> None:
    nets: list[Any] = [small(memory), plain()]
    if whole:

        def wrap(net: Any) -> Any:
            outer = copy.deepcopy(net)
            outer.forward = lambda x: checkpoint(net, x, use_reentrant=reentrant)
            outer._modules = net._modules
            return outer

        nets = [wrap(net) for net in nets]
    else:
        nets = [Checkpointed(net, reentrant) for net in nets]
    x = images()
    assert_same(step(nets[0], x), step(nets[1], x))


@pytest.mark.parametrize("memory", ["fast", "lean"])
def test_gradients_accumulate_and_a_graph_can_be_walked_twice(memory: Any) -> None:
    found = []
    for net in (small(memory), plain()):
        for seed in (1, 2):
            torch.manual_seed(seed)
            net(images()).sum().backward()
        out = net(images(generator=torch.Generator().manual_seed(7))).square().sum()
        out.backward(retain_graph=True)
        out.backward()
        found.append([parameter.grad for parameter in net.parameters()])
    assert_same(*found)


def test_copies_and_pickles_train_the_same() -> None:
    net, x = small("lean"), images()
    expected = step(copy.deepcopy(net), x)
    assert_same(step(pickle.loads(pickle.dumps(net)), x), expected)
    fresh = small()
    fresh.memory = "lean"
    fresh.load_state_dict(net.state_dict())
    assert_same(step(fresh, x), expected)


def test_threads_share_nothing() -> None:
    """Four threads with a model of their own, and four in one model without its statistics."""
    net, inputs = small(), [images() for _ in range(4)]
    shared = copy.deepcopy(net)
    expected = [step(copy.deepcopy(net), x) for x in inputs]
    found: dict[Any, list[Tensor]] = {}

    def own(i: int) -> None:
        for _ in range(3):
            found[i] = step(copy.deepcopy(net), inputs[i])

    def together(i: int) -> None:
        x = inputs[i].clone().requires_grad_()
        out = shared(x)
        weights = torch.linspace(-1, 1, out.numel()).view_as(out)
        found[i, "shared"] = [out.detach(), *torch.autograd.grad((out * weights).sum(), x)]

    threads = [threading.Thread(target=f, args=(i,)) for i in range(4) for f in (own, together)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(4):
        assert_same(found[i], expected[i])
        assert_same(found[i, "shared"], expected[i][:2])


@pytest.mark.parametrize("memory", ["fast", "lean"])
@pytest.mark.parametrize("backward", [True, False])
def test_nothing_is_kept(memory: Any, backward: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    net, seen = small(memory), []
    own = {each.untyped_storage().data_ptr() for each in net.parameters()}

    def remember(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            seen.append(StorageWeakRef(tensor.untyped_storage()))
        return tensor

    take = Workspace.take
    monkeypatch.setattr(Workspace, "take", lambda self, *size: remember(take(self, *size)))
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: remember(tensor).detach(), lambda tensor: tensor
    ):
        out = net(images())
    if backward:
        out.sum().backward()
    del out
    gc.collect()
    assert len(seen) > 10
    assert all(reference.expired() for reference in seen)


@pytest.mark.parametrize("training", [True, False])
def test_export_and_compile_take_the_plain_way_whole(training: bool) -> None:
    net = small().train(training)
    x = images(2)
    expected = copy.deepcopy(net)(x)
    exported = torch.export.export(net, (x,)).module(check_guards=False)
    torch.testing.assert_close(exported(x), expected)
    compiled = torch.compile(copy.deepcopy(net), fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), expected)


# Torch scripts its own rules for forward mode, and warns of it.
@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")
def test_function_transforms() -> None:
    net, x = small().eval(), images(2)
    parameters = dict(net.named_parameters())

    def loss(parameters: Any) -> Tensor:
        return torch.func.functional_call(net, parameters, x).square().sum()

    gradients = torch.func.grad(loss)(parameters)
    net.memory = "plain"
    expected = torch.autograd.grad(net(x).square().sum(), list(net.parameters()))
    assert_same(list(gradients.values()), list(expected))
    net.memory = "fast"
    with torch.no_grad():
        many = torch.func.vmap(net)(torch.stack([x, x]))
        torch.testing.assert_close(many[0], net(x))
    tangent = torch.func.jvp(net, (x,), (torch.ones_like(x),))[1]
    assert tangent.abs().sum() > 0
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, torch.ones_like(x))
        out = torch.autograd.forward_ad.unpack_dual(net(dual)).tangent
    torch.testing.assert_close(out, tangent)


def test_tracing_takes_the_plain_way() -> None:
    net, x = small().eval(), images(2)
    with torch.no_grad():
        traced = torch.fx.symbolic_trace(net)
        torch.testing.assert_close(traced(x), net(x))


@pytest.mark.parametrize(
    "make",
    [lambda: small("lean"), lambda: models.resnet18(num_classes=4, memory="lean")],
    ids=["densenet", "resnet"],
)
def test_shapes_without_values(make: Any) -> None:
    net = make().float().to("meta")
    assert net(torch.empty(3, 3, 64, 64, device="meta")).shape[0] == 3
    assert {block.reason for block in models.explain_path(net).blocks} == {"the input is on meta"}


@pytest.mark.parametrize("first", ["fast", "plain"])
def test_one_graph_over_two_calls_that_took_different_ways(first: Any) -> None:
    second = {"fast": "plain", "plain": "fast"}[first]
    net, reference = small(first), small("plain")
    reference.load_state_dict(net.state_dict())
    one, two = images(3), images(4)
    found = net(one).square().sum()
    net.memory = second
    (found + net(two).square().sum()).backward()
    (reference(one).square().sum() + reference(two).square().sum()).backward()
    pairs = zip(net.parameters(), reference.parameters(), strict=True)
    assert_same(*zip(*[(p.grad, q.grad) for p, q in pairs], strict=True))  # type: ignore[arg-type]
    assert_same(list(net.buffers()), list(reference.buffers()))


def test_a_resnet_is_traced_by_fx_as_torchvisions_is() -> None:
    net = models.cifar_resnet(8, option="B").double().eval()
    x = images(2)
    for each in (net, models.fold(net)):
        traced = torch.fx.symbolic_trace(each)
        torch.testing.assert_close(traced(x), net(x))


def test_the_training_curve_is_the_plain_one() -> None:
    curves = []
    for memory in ("fast", "lean", "plain"):
        net = small(memory)
        torch.manual_seed(0)
        optimizer = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9)
        losses = []
        for _ in range(5):
            loss = nn.functional.cross_entropy(net(images(4)), torch.tensor([0, 1, 2, 3]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        curves.append(torch.stack(losses))
    torch.testing.assert_close(curves[0], curves[2], rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(curves[1], curves[2], rtol=1e-8, atol=1e-8)


def test_two_processes_with_ddp(tmp_path: Path) -> None:
    multiprocessing.spawn(ddp.train, ("lean", str(tmp_path)), nprocs=2)
    halves = [ddp.gradients(ddp.network("plain"), rank) for rank in range(2)]
    expected = [(one + two) / 2 for one, two in zip(*halves, strict=True)]
    assert_same(torch.load(tmp_path / "gradients.pt"), expected)
