"""The built-in cases, and cases found in files."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn

from skipway import Case, cases
from skipway._errors import CaseError


def train(case: Case, seed: int = 0, epochs: int | None = None) -> tuple[nn.Module, float]:
    """Train with a plain loop of this test's own; return the model and its test accuracy."""
    torch.manual_seed(seed)
    model = case.model()
    optimizer = case.make_optimizer(model.parameters())
    inputs, targets = case.train
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs or case.epochs):
        for index in torch.randperm(len(targets), generator=generator).split(case.batch_size):
            optimizer.zero_grad()
            case.loss(model(inputs[index]), targets[index]).backward()
            optimizer.step()
    with torch.no_grad():
        right = model(case.test[0]).argmax(1) == case.test[1]
    return model, float(right.float().mean())


@pytest.mark.parametrize("name", cases.names())
def test_every_case_is_whole(name):
    case = cases.load(name)
    assert case.name == name
    assert case.summary
    assert cases.summaries()[name]
    inputs, targets = case.batch()
    torch.manual_seed(0)
    model = case.model()
    assert model(inputs).shape == (64, 10)
    assert (len(case.train[1]), len(case.test[1])) == (1400, 397)
    assert targets.unique().numel() == 10
    torch.manual_seed(0)
    again = case.model()
    pairs = zip(model.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_train_and_test_share_no_image():
    case = cases.load("plain-mlp")
    train_rows = {tuple(row.tolist()) for row in case.train[0]}
    assert not train_rows & {tuple(row.tolist()) for row in case.test[0]}
    assert case.train[0].min() == 0
    assert case.train[0].max() == 1


@pytest.mark.parametrize(
    "name",
    [
        "plain-mlp",
        "plain-cnn",
        "tanh-mlp",
        "sigmoid-mlp",
        "plain-rnn",
        "dead-relu",
        "tiny-learning-rate",
        "huge-learning-rate",
        "frozen",
        "bf16-updates",
    ],
)
def test_training_confirms_that_it_is_ill(name):
    # A linear model gets to about 90 %; guessing is 10 %.
    assert train(cases.load(name))[1] < 0.35


def test_training_confirms_that_it_is_healthy_or_solved():
    assert train(cases.load("healthy-mlp"))[1] > 0.9
    case = cases.load("solved")
    with torch.no_grad():
        right = case.model()(case.test[0]).argmax(1) == case.test[1]
    assert right.float().mean() > 0.93


def test_float32_weights_cure_the_lost_updates():
    case = cases.load("bf16-updates")
    wide = case.replace(model=lambda: case.model().net.float())
    assert train(wide)[1] > train(case)[1] + 0.4


def test_detached_layers_stay_as_they_were():
    case = cases.load("detached")
    torch.manual_seed(0)
    before = case.model()
    after, _ = train(case, epochs=2)
    assert torch.equal(before.encoder[0].weight, after.encoder[0].weight)
    assert not torch.equal(before.decoder[0].weight, after.decoder[0].weight)


def test_the_table_needs_no_torch():
    code = "import sys; from skipway import cases; cases.summaries(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_unknown_names_get_a_suggestion():
    with pytest.raises(CaseError, match="Did you mean plain-mlp"):
        cases.load("plain_mlp")
    with pytest.raises(CaseError, match="skipway cases"):
        cases.find("zzz")


HEAD = """
import torch
from torch import nn
from skipway import Case
data = torch.randn(8, 4), torch.randint(2, (8,))
class Net(nn.Linear):
    pass
def make(rate):
    return Case(model=lambda: Net(4, 2), train=data, test=data, loss=nn.functional.cross_entropy,
                optimizer=lambda p: torch.optim.SGD(p, lr=rate), name=f"rate-{rate}")
"""


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "mine.py") -> str:
        path = tmp_path / name
        path.write_text(HEAD + textwrap.dedent(text))
        return str(path)

    return write


def test_a_case_is_found_in_a_file(write):
    assert cases.find(write("case = make(1)\nother = make(2)")).name == "rate-1"
    assert cases.find(write("only = make(3)")).name == "rate-3"
    path = write("case = make(1)\nother = make(2)")
    assert cases.find(f"{path}:other").name == "rate-2"


def test_modules_beside_the_file_can_be_imported(write, tmp_path):
    (tmp_path / "beside_the_case.py").write_text("RATE = 5\n")
    path = write("from beside_the_case import RATE\ncase = make(RATE)")
    before = list(sys.path)
    assert cases.find(path).name == "rate-5"
    assert sys.path == before


def test_a_case_from_a_file_can_be_sent_to_another_process(write, tmp_path):
    import cloudpickle

    (tmp_path / "net_beside.py").write_text("from torch import nn\nclass Far(nn.Linear): pass\n")
    near = cases.find(write("case = make(1)", "near.py"))
    far = cases.find(
        write(
            """
            from net_beside import Far
            case = make(2).replace(model=lambda: Far(4, 2))
            """,
            "far.py",
        )
    )
    sent = tmp_path / "cases.pickle"
    sent.write_bytes(cloudpickle.dumps([near, far]))
    code = (
        "import pickle, sys\nfor case in pickle.load(open(sys.argv[1], 'rb')):\n"
        "    print(case.name, type(case.model()).__name__, tuple(case.batch()[0].shape))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(sent)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["rate-1 Net (8, 4)", "rate-2 Far (8, 4)"]


def test_what_is_wrong_with_a_file_is_said(write, tmp_path):
    several = write("a = make(1)\nb = make(2)")
    with pytest.raises(CaseError, match=r"holds 2 cases.*mine.py:a, .*mine.py:b"):
        cases.find(several)
    with pytest.raises(CaseError, match="Did you mean bbb"):
        cases.find(write("bbb = make(1)") + ":bbbb")
    with pytest.raises(CaseError, match="is a Tensor, not a"):
        cases.find(write("x = data[0]\na = make(1)") + ":x")
    with pytest.raises(CaseError, match=r"holds no skipway\.Case"):
        cases.find(write("x = 1"))
    with pytest.raises(CaseError, match=r"Did you mean mine\.py"):
        cases.find(str(tmp_path / "mime.py"))
    with pytest.raises(CaseError, match="no folder"):
        cases.find(str(tmp_path / "nowhere" / "mine.py"))


def test_an_exception_in_the_file_is_placed(write):
    line = HEAD.count("\n") + 2
    with pytest.raises(CaseError, match=rf"mine\.py, line {line} raised ZeroDivisionError"):
        cases.find(write("x = 1\ncase = 1 / 0"))
    with pytest.raises(CaseError, match=rf"line {line} raised SyntaxError"):
        cases.find(write("x = 1\ncase = = 2"))
    with pytest.raises(CaseError, match="raised ModuleNotFoundError"):
        cases.find(write("import no_such_module_anywhere"))
    # An error inside the library shows the user's own line, not the library's.
    with pytest.raises(CaseError, match=rf"line {line} raised CaseError.*batch_size"):
        cases.find(write("x = 1\ncase = make(1).replace(batch_size=0)"))
