"""The skips that known networks have, counted by hand from their definitions."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import skipway
from oracle import torchvision
from skipway._errors import CaseError, ModelError, RewireError
from skipway._subject import subject
from skipway._trace import observe
from snapshot import snapshot
from zoo import Plain, Residual

# (identity, projection, concatenation); parallel branches beside them; size of the image. The
# counts come from the papers' tables and the classes' own arguments:
# - ResNets have one skip a block, 2+2+2+2, 3+4+6+3, 3+4+23+3 or 3+8+36+3 of them, and a projection
#   where width or resolution changes;
# - inverted residuals have one where the stride is 1 and the width stays;
# - transformer layers have two, around attention and around the feed-forward part;
# - in a dense block each layer but the first joins what came before it, and so does its end.
TORCHVISION = {
    "alexnet": ((0, 0, 0), 0, 64),
    "vgg11_bn": ((0, 0, 0), 0, 32),
    "resnet18": ((5, 3, 0), 0, 64),
    "resnet34": ((13, 3, 0), 0, 64),
    "resnet50": ((12, 4, 0), 0, 64),
    "resnet101": ((29, 4, 0), 0, 64),
    "resnext50_32x4d": ((12, 4, 0), 0, 64),
    "wide_resnet50_2": ((12, 4, 0), 0, 64),
    "regnet_y_400mf": ((12, 4, 0), 0, 64),  # depths 1, 3, 6, 6
    "regnet_x_400mf": ((18, 4, 0), 0, 64),  # depths 1, 2, 7, 12
    "mobilenet_v2": ((10, 0, 0), 0, 64),
    "mobilenet_v3_small": ((6, 0, 0), 0, 64),
    "mobilenet_v3_large": ((10, 0, 0), 0, 64),
    "mnasnet1_0": ((10, 0, 0), 0, 64),
    "efficientnet_b0": ((9, 0, 0), 0, 64),  # repeats 1, 2, 2, 3, 3, 4, 1, one less in each
    "efficientnet_b1": ((16, 0, 0), 0, 64),  # repeats 2, 3, 3, 4, 4, 5, 2
    "efficientnet_v2_s": ((35, 0, 0), 0, 64),  # 2 of 2, then 3 of 4, 3 of 4, 5 of 6, 8 of 9, 14
    "convnext_tiny": ((18, 0, 0), 0, 64),  # 3, 3, 9, 3 blocks
    "vit_b_32": ((24, 0, 0), 0, 224),  # 12 layers
    "swin_t": ((24, 0, 0), 0, 64),  # 2, 2, 6, 2 layers
    "swin_v2_t": ((24, 0, 0), 0, 64),
    # 11 layers of one MBConv and two attentions with their MLPs; 4 of the MBConv change the size.
    "maxvit_t": ((51, 4, 0), 0, 224),
    "densenet121": ((0, 0, 58), 0, 64),
    "densenet169": ((0, 0, 82), 0, 64),
    "squeezenet1_1": ((0, 0, 0), 8, 64),  # 8 fire modules
    "googlenet": ((0, 0, 0), 9, 64),  # 9 Inception modules
    "inception_v3": ((0, 0, 0), 15, 96),  # 11 modules; two split twice more inside
    # 16 units: 13 hand half of their channels on, 3 with a stride have two branches.
    "shufflenet_v2_x0_5": ((0, 0, 13), 3, 64),
    "segmentation.fcn_resnet50": ((12, 4, 0), 0, 64),
    "segmentation.deeplabv3_resnet50": ((12, 4, 0), 1, 64),  # the pyramid pools in parallel
    # MobileNetV3's, and a low feature over one convolution onto the logits.
    "segmentation.lraspp_mobilenet_v3_large": ((10, 1, 0), 0, 64),
}
TIMM = {
    "resnet26": ((4, 4, 0), 0, 64),  # 2, 2, 2, 2 bottlenecks
    "resnetv2_50": ((12, 4, 0), 0, 64),
    "seresnet50": ((12, 4, 0), 0, 64),
    "darknet53": ((23, 0, 0), 0, 64),  # 1, 2, 8, 8, 4
    "efficientnet_lite0": ((9, 0, 0), 0, 64),
    "mobilenetv3_small_100": ((6, 0, 0), 0, 64),
    "mnasnet_100": ((10, 0, 0), 0, 64),
    "vit_tiny_patch16_224": ((24, 0, 0), 0, 64),
    "deit_tiny_patch16_224": ((24, 0, 0), 0, 64),
    "eva02_tiny_patch14_224": ((24, 0, 0), 0, 56),
    "mixer_s32_224": ((16, 0, 0), 0, 64),  # 8 layers, tokens and channels
    "resmlp_12_224": ((24, 0, 0), 0, 64),
    "gmlp_ti16_224": ((30, 0, 0), 0, 64),
    "convmixer_768_32": ((32, 0, 0), 0, 64),
    "poolformer_s12": ((24, 0, 0), 0, 64),  # its 12 token mixers have no weights
    "convnextv2_atto": ((24, 0, 0), 0, 64),  # 12 blocks, and one in each response norm
    "starnet_s1": ((15, 0, 0), 0, 64),  # 2, 2, 8, 3
    "pvt_v2_b0": ((16, 0, 0), 0, 64),
    "twins_svt_small": ((40, 0, 0), 0, 64),  # 18 layers, and 4 position encodings
    "davit_tiny": ((48, 0, 0), 0, 64),  # 6 pairs of blocks with 4 skips each
    "levit_128s": ((20, 0, 0), 1, 224),  # 9 layers, 2 after downsampling; two heads are averaged
    "visformer_tiny": ((23, 0, 0), 0, 224),  # 7 blocks without attention, 8 with
    "caformer_s18": ((12, 24, 0), 0, 64),  # 18 blocks; 12 of them scale the shortcut
    "inception_next_tiny": ((18, 0, 18), 0, 64),  # 18 blocks; each mixer passes channels by
    "mambaout_femto": ((18, 0, 18), 0, 64),
    "fasternet_t0": ((13, 0, 13), 0, 64),
    "ese_vovnet19b_dw": ((0, 0, 4), 0, 64),  # 4 blocks aggregate once
}
_RESIZED = ("vit", "deit", "eva", "mixer", "resmlp", "gmlp")


def torchvision_net(name: str) -> nn.Module:
    home, name = (
        (torchvision.models.segmentation, name.split(".")[1]) if "." in name else
        (torchvision.models, name)
    )  # fmt: skip
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    if home is torchvision.models.segmentation:
        options["weights_backbone"] = None
    return getattr(home, name)(weights=None, **options).eval()


def timm_net(name: str, size: int) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        timm = pytest.importorskip("timm")
        options = {"img_size": size} if name.startswith(_RESIZED) else {}
        return timm.create_model(name, **options).eval()


def counts(found: skipway.Skips) -> tuple[tuple[int, int, int], int]:
    kinds = [skip.kind for skip in found]
    skips = tuple(map(kinds.count, ("identity", "projection", "concatenation")))
    assert "merge" not in kinds, "one input cannot meet another"
    return skips, kinds.count("parallel")  # type: ignore[return-value]  # three of them


@pytest.mark.parametrize("name", TORCHVISION)
def test_skips_of_torchvision(name: str) -> None:
    *expected, size = TORCHVISION[name]
    found = skipway.skips(torchvision_net(name), torch.randn(1, 3, size, size))
    assert [*counts(found)] == expected


@pytest.mark.parametrize("name", TIMM)
def test_skips_of_timm(name: str) -> None:
    *expected, size = TIMM[name]
    found = skipway.skips(timm_net(name, size), torch.randn(1, 3, size, size))
    assert [*counts(found)] == expected


def test_what_is_known_of_a_skip() -> None:
    net = torchvision_net("resnet18")
    found = skipway.skips(net, torch.randn(2, 3, 64, 64))
    first, projection = found[0], found[2]
    assert len(found) == 8
    assert (first.kind, first.merge, first.module) == ("identity", "add", "layer1.0")
    assert first.branch == ("layer1.0.conv1", "layer1.0.conv2")
    assert (first.source, first.destination) == ("conv1", "layer1.0.conv2")
    assert first.source_shape == first.shape == (2, 64, 16, 16)
    assert (projection.kind, projection.source_shape, projection.shape) == (
        "projection", (2, 64, 16, 16), (2, 128, 8, 8),
    )  # fmt: skip


class DenseBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4 + 2 * i, 2) for i in range(3))
        self.head = nn.Linear(10, 1)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, F.relu(layer(x))], 1)
        return self.head(x)


def test_a_dense_block_written_with_growing_concatenations() -> None:
    found = skipway.skips(DenseBlock(), torch.randn(2, 4))
    assert [(skip.kind, skip.branch) for skip in found] == [
        ("concatenation", (f"layers.{at}",)) for at in range(3)
    ]
    assert [skip.shape for skip in found] == [(2, 6), (2, 8), (2, 10)]


class Masked(nn.Module):
    """Adds what is no skip: a position, a mask, a bias made of parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.randn(3, 4))
        self.register_buffer("mask", torch.zeros(3, 4))
        self.table = nn.Parameter(torch.randn(5, 4))
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.position + self.mask.unsqueeze(0)
        bias = self.table[torch.tensor([0, 2, 4])].unsqueeze(0)
        return self.layer(x) + bias + torch.zeros_like(x)


def test_what_does_not_come_from_the_input_is_no_skip() -> None:
    assert not skipway.skips(Masked(), torch.randn(2, 3, 4))


class Twice(nn.Module):
    """Two ways to write it, and attention and feed-forward side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Linear(4, 4) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.add(x, self.a(x))
        return x + self.b(x) + self.c(x)


def test_both_of_two_branches_beside_one_skip_are_found() -> None:
    found = skipway.skips(Twice(), torch.randn(2, 4))
    assert [skip.kind for skip in found] == ["identity"] * 3
    assert [skip.source for skip in found] == ["input", "a", "a"]


class SideBySide(Twice):
    """GPT-J's and PaLM's block: both branches read one norm."""

    def forward(self, x: Tensor) -> Tensor:
        h = F.layer_norm(x, (4,))
        x = x + self.a(torch.relu(self.b(h))) + self.c(torch.relu(self.b(h)))
        return self.a(x) + self.b(x)


def test_two_branches_behind_one_norm_are_beside_one_skip() -> None:
    found = skipway.skips(SideBySide(), torch.randn(2, 4))
    assert [skip.kind for skip in found] == ["identity", "identity", "parallel"]
    assert [skip.source for skip in found][:2] == ["input", "input"]
    assert found[1].branch == ("b#1", "c")


def test_several_inputs_that_meet_are_no_skip() -> None:
    net = nn.Bilinear(4, 4, 4)

    class Meeting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right, self.net = nn.Linear(4, 4), nn.Linear(4, 4), net

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return self.left(a) + self.right(b)

    found = skipway.skips(Meeting(), (torch.randn(2, 4), torch.randn(2, 4)))
    assert found.counts == {"merge": 1}
    assert str(found).startswith("No skip connection in Meeting.")


def test_it_prints_and_is_saved_and_read(tmp_path: Path) -> None:
    found = skipway.skips(skipway.models.resnet18(), torch.randn(2, 3, 32, 32))
    text = str(found)
    assert text.startswith("8 skip connections in ResNet.")
    assert "5 by addition, 3 by addition to a projection." in text
    assert text.count("\nidentity") == 5
    assert json.loads(found.save(tmp_path / "s.json").read_text())["result"] == "skips"
    assert skipway.read(tmp_path / "s.json") == found
    assert "8 skip connections" in found.save(tmp_path / "s.html").read_text("utf-8")
    assert list(found) == list(found[:])


def test_the_model_is_untouched() -> None:
    net, x = Residual(), torch.randn(2, 4)
    before = snapshot(net)
    skipway.skips(net, x)
    assert snapshot(net) == before


def test_wrong_arguments_are_told_how_to_be_right() -> None:
    with pytest.raises(RewireError, match=r"not a torch\.nn\.Module"):
        skipway.skips(lambda x: x, torch.randn(2, 4))  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"`stem`"):
        skipway.skips(Plain(), torch.randn(2, 5))


@pytest.mark.parametrize(
    ("spec", "shape", "message"),
    [
        ("net.py:nte", "2,3,8", "Did you mean net"),
        ("net.py:broken", "2,3,8", "raised TypeError"),
        ("net.py:number", "2,3,8", "returns none, but a int"),
        ("net.py:net", "2,8,three", "sizes with commas"),
        ("net.py:net", "2,0,8", "sizes with commas"),
        ("plain-mlp", "2,8", "is to name a model"),
        ("no.such.package:net", "2", rf"No module named 'no'. Install it into .*{sys.executable}"),
        ("torch.nn:Identity", None, "--shape 1,3,224,224"),
    ],
)
def test_a_model_that_cannot_be_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, shape: str | None, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(
        "from torch import nn\nnet = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)\n"
        "def broken():\n    return nn.Linear()\ndef number():\n    return 3\n"
    )
    with pytest.raises(CaseError, match=message):
        subject(spec, shape)
    model, inputs = subject("net.py:net", "2,3,8")
    assert len(skipway.skips(model, inputs)) == 2


def test_reading_a_thousand_blocks_takes_no_time_to_speak_of() -> None:
    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(1000))

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = x + torch.tanh(layer(x))
            return x

    net, x = Deep(), torch.randn(2, 4)
    assert len(observe(net, x).nodes) == 3001
    found = skipway.skips(net, x)
    assert found.counts == {"identity": 1000}
    assert {skip.branch for skip in found} == {(f"layers.{at}",) for at in range(1000)}
