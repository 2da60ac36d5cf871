"""What skipway makes of other people's networks: `python benchmarks/evidence/models.py`.

Every network runs in a process of its own, with a time limit, and is asked: can it be traced,
which skips does it have, on how many of its residual sums can the rule be changed (ReZero) and is
the output then what an independent run with the same numbers says, can it be rewired or why not,
are all keys and outputs kept in training and in evaluation, does the result deep-copy, pickle,
compile whole and export, and does the source that is shown run and give the same outputs. Rows are
written as they come: the same command goes on where it stopped. `--again NAME ...` asks some once
more, `--table` writes `models.md` from the rows.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import copy
import csv
import functools
import gc
import io
import json
import multiprocessing
import os
import pickle
import re
import sys
import time
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__)
ROWS = HERE.with_suffix(".csv")
LIMIT_S = 300
FORK = multiprocessing.get_context("fork")
FIELDS = [
    "network", "traced", "identity", "projection", "concatenation", "parallel", "merge",
    "sums", "sums changed", "rule: by", "rule: outputs kept", "rule: as an independent run",
    "rule: keys kept", "rule: deepcopy", "rule: pickle", "rule: compile", "rule: export",
    "rule: source runs", "skips added", "why not", "added: outputs kept", "added: keys kept",
    "added: deepcopy", "added: pickle", "added: compile", "added: export", "added: source runs",
    "seconds", "error",
]  # fmt: skip

TORCHVISION = {
    "alexnet": 64, "vgg11": 32, "vgg13_bn": 32, "vgg16": 32, "vgg19_bn": 32, "resnet18": 64,
    "resnet34": 64, "resnet50": 64, "resnet101": 64, "resnext50_32x4d": 64, "wide_resnet50_2": 64,
    "densenet121": 64, "densenet169": 64, "googlenet": 64, "inception_v3": 96, "mobilenet_v2": 64,
    "mobilenet_v3_small": 64, "mobilenet_v3_large": 64, "mnasnet0_5": 64, "mnasnet1_0": 64,
    "shufflenet_v2_x0_5": 64, "shufflenet_v2_x1_0": 64, "squeezenet1_0": 64, "squeezenet1_1": 64,
    "efficientnet_b0": 64, "efficientnet_b1": 64, "efficientnet_v2_s": 64, "regnet_y_400mf": 64,
    "regnet_x_400mf": 64, "convnext_tiny": 64, "vit_b_32": 224, "swin_t": 64, "swin_v2_t": 64,
    "maxvit_t": 224,
    "segmentation.fcn_resnet50": 64, "segmentation.deeplabv3_resnet50": 64,
    "segmentation.deeplabv3_mobilenet_v3_large": 64,
    "segmentation.lraspp_mobilenet_v3_large": 64,
    "quantization.resnet18": 64, "quantization.mobilenet_v2": 64,
    "video.r3d_18": 32, "video.mc3_18": 32, "video.r2plus1d_18": 32, "video.swin3d_t": 32,
    "detection.ssdlite320_mobilenet_v3_large": 320, "detection.retinanet_resnet50_fpn": 128,
}  # fmt: skip
TIMM = {
    "resnet26": 64, "resnetv2_50": 64, "seresnet50": 64, "ecaresnet26t": 64, "resnest14d": 64,
    "res2net50_26w_4s": 64, "skresnet18": 64, "darknet53": 64, "cspresnet50": 64,
    "ese_vovnet19b_dw": 64, "dla34": 64, "dpn68": 64, "hrnet_w18_small": 64,
    "efficientnet_lite0": 64, "mobilenetv3_small_100": 64, "mnasnet_100": 64,
    "mobilenetv4_conv_small": 64, "fbnetc_100": 64, "ghostnet_100": 64, "tinynet_e": 64,
    "rexnet_100": 64, "repvgg_a0": 64, "mobileone_s0": 64, "convnextv2_atto": 64,
    "inception_next_tiny": 64, "xception41": 64, "gernet_s": 64, "selecsls42": 64,
    "vit_tiny_patch16_224": 64, "deit_tiny_distilled_patch16_224": 64,
    "eva02_tiny_patch14_224": 56, "cait_xxs24_224": 224, "xcit_nano_12_p16_224": 64,
    "mixer_s32_224": 64, "resmlp_12_224": 64, "gmlp_ti16_224": 64, "convmixer_768_32": 64,
    "poolformer_s12": 64, "caformer_s18": 64, "starnet_s1": 64, "pvt_v2_b0": 64,
    "twins_svt_small": 64, "davit_tiny": 64, "levit_128s": 224, "visformer_tiny": 224,
    "crossvit_tiny_240": 240, "convit_tiny": 224, "pit_ti_224": 224, "mobilevit_xxs": 64,
    "edgenext_xx_small": 64, "efficientformer_l1": 224, "fasternet_t0": 64, "mambaout_femto": 64,
    "sequencer2d_s": 64, "focalnet_tiny_srf": 64, "nest_tiny": 224, "coatnet_nano_rw_224": 224,
}  # fmt: skip
# Large images, or many layers: these come last.
SLOW = (
    "maxvit_t", "densenet169", "swin_v2_t", "efficientnet_b1", "efficientnet_v2_s",
    "video.swin3d_t", "detection.ssdlite320_mobilenet_v3_large",
    "detection.retinanet_resnet50_fpn", "cait_xxs24_224", "crossvit_tiny_240", "nest_tiny",
    "coatnet_nano_rw_224", "efficientformer_l1", "hrnet_w18_small", "dla34", "dpn68",
    "res2net50_26w_4s", "quantization.mobilenet_v2", "wide_resnet50_2", "convmixer_768_32",
)  # fmt: skip
RESIZED = ("vit", "deit", "eva", "mixer", "resmlp", "gmlp", "xcit")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--one")
    parser.add_argument("--again", nargs="*", default=[])
    parser.add_argument("--table", action="store_true")
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(examine(asked.one)))
    elif asked.table:
        HERE.with_suffix(".md").write_text(table(_rows()), encoding="utf-8")
    else:
        _torchvision()
        _import_once()
        for part, field in PARTS.items():
            rows = _rows()
            blank = {n: {**rows[n], field: ""} if n in rows else None for n in asked.again}
            wanted = [n for n in names() if _is_open(blank.get(n, rows.get(n)), field)]
            if part == "rule":
                wanted += [n for n in asked.again if n not in wanted]
            _run(part, wanted)


def _is_open(row: dict[str, Any] | None, field: str) -> bool:
    """Tell whether this field is to be asked for."""
    if row is None or field == "traced":
        return row is None
    changed = int(row["sums changed" if field.startswith("rule") else "skips added"] or 0)
    known = row["traced"] == "yes" and (field == "skips added" or changed > 0)
    return known and not row[field]


def names() -> list[str]:
    sys.path.insert(0, str(HERE.parent))
    import typical_code

    return [
        *(f"code: {name}" for name in typical_code.NETWORKS),
        *(f"torchvision: {name}" for name in TORCHVISION),
        *(f"timm: {name}" for name in TIMM),
    ]


def _run(part: str, wanted: list[str]) -> None:
    """Ask one part of the questions: the quick ones first."""
    for number, name in enumerate(sorted(wanted, key=lambda n: n.partition(": ")[2] in SLOW), 1):
        row = _in_a_process(name, part)
        rows = _rows()
        rows[name] = {**rows.get(name, {}), **row}
        ordered = [rows[each] for each in names() if each in rows]
        temporary = ROWS.with_suffix(".tmp")
        with temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, FIELDS)
            writer.writeheader()
            writer.writerows(ordered)
        temporary.replace(ROWS)
        print(f"{part} {number} of {len(wanted)}: {row}", flush=True)


def _in_a_process(name: str, part: str) -> dict[str, Any]:
    start = time.perf_counter()
    there, here = FORK.Pipe()
    process = FORK.Process(target=_answer, args=(name, part, there))
    process.start()
    there.close()
    try:
        row = here.recv() if here.poll(LIMIT_S) else {"error": f"took more than {LIMIT_S} s"}
    except EOFError:
        row = {"error": "the process died"}
    process.kill()
    process.join()
    return {"network": name, **row, "seconds": round(time.perf_counter() - start, 1)}


def _answer(name: str, part: str, there: Any) -> None:
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            there.send(examine(name, part))
        except Exception as error:
            there.send({"error": _short(error)})


def _import_once() -> None:
    """Import here what every network's process needs, so that a fork has it."""
    import timm  # noqa: F401
    import torch
    import torch._dynamo
    import torch.export

    import skipway

    torch.set_num_threads(1)
    net, x = torch.nn.TransformerEncoderLayer(4, 2, 4, batch_first=True), torch.randn(1, 2, 4)
    rewired = skipway.reconnect(net.eval(), x).model
    _compiled(rewired, x)
    _exported(rewired, x)


def _rows() -> dict[str, dict[str, Any]]:
    if not ROWS.exists():
        return {}
    with ROWS.open(newline="") as file:
        return {row["network"]: row for row in csv.DictReader(file)}


# One network


def examine(name: str, *parts: str) -> dict[str, Any]:
    import torch

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    subject = build(name)
    row: dict[str, Any] = {}
    for part in parts or PARTS:
        known = {**dict.fromkeys(FIELDS, ""), **row}
        if parts or part == "rule" or _is_open(known, PARTS[part]):
            row.update(QUESTIONS[part](*subject))
    return row


def build(name: str) -> tuple[Any, Any, bool]:
    """Return the network, inputs, and whether it can run in training on them."""
    import torch

    library, _, own = name.partition(": ")
    sys.path.insert(0, str(HERE.parent))
    if library == "code":
        import typical_code

        factory, inputs = typical_code.NETWORKS[own]
        return factory().eval(), inputs(), True
    _torchvision()
    if library == "timm":
        import timm

        size = TIMM[own]
        options = {"img_size": size} if own.startswith(RESIZED) else {}
        return timm.create_model(own, **options).eval(), torch.randn(2, 3, size, size), True
    return _of_torchvision(own, TORCHVISION[own])


def _of_torchvision(name: str, size: int) -> tuple[Any, Any, bool]:
    import torch

    models = _torchvision().models
    home, _, own = name.rpartition(".")
    options: dict[str, Any] = {}
    if home in ("segmentation", "detection"):
        options["weights_backbone"] = None
    if own in ("googlenet", "inception_v3"):
        options["init_weights"] = False
    if home == "quantization":
        options["quantize"] = False
    model = getattr(getattr(models, home) if home else models, own)(weights=None, **options)
    if home == "detection":
        # Evaluation needs compiled operators; the losses of training need none.
        boxes = torch.tensor([[4.0, 4.0, 60.0, 60.0]])
        target = {"boxes": boxes, "labels": torch.tensor([1])}
        images = [torch.rand(3, size, size) for _ in range(2)]
        return model.train(), (images, [target, target]), True
    if home == "video":
        return model.eval(), torch.randn(2, 3, 8, size, size), True
    return model.eval(), torch.randn(2, 3, size, size), True


def _torchvision() -> Any:
    import torch

    try:
        import torchvision
    except RuntimeError:  # built for another torch: no network here needs its operators
        for name in [key for key in sys.modules if key.startswith("torchvision")]:
            del sys.modules[name]
        operators = torch.library.Library("torchvision", "FRAGMENT")
        for op in ("nms", "qnms"):
            operators.define(f"{op}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        globals()["_operators"] = operators
        import torchvision
    return torchvision


def _skips(model: Any, inputs: Any, trains: bool) -> dict[str, Any]:
    import skipway

    try:
        found = skipway.skips(model, inputs)
    except skipway.SkipwayError as error:
        return {"traced": "no", "error": _short(error)}
    row: dict[str, Any] = {"traced": "yes"}
    row.update({kind: found.counts.get(kind, 0) for kind in FIELDS[2:7]})
    row["sums"] = sum(s.merge == "add" and s.kind in ("identity", "projection") for s in found)
    return {**row, **(_changed(model, inputs, trains) if row["sums"] else {})}


def _changed(model: Any, inputs: Any, trains: bool) -> dict[str, Any]:
    import skipway

    try:
        rewiring = skipway.reconnect(model, inputs, rule="rezero")
    except skipway.SkipwayError as error:
        return {"sums changed": 0, "rule: by": _short(error)}
    except Exception as error:
        return {"sums changed": 0, "rule: by": f"UNFORESEEN {_short(error)}"}
    row = {"sums changed": len(rewiring.plan.skips), "rule: by": _left(rewiring.plan.reason)}
    row["rule: as an independent run"] = _said(lambda: _agrees(model, rewiring, inputs))
    same = _said(lambda: _same(model, rewiring.model, inputs, trains))
    return {**row, "rule: outputs kept": same, **_checks("rule", model, rewiring, inputs)}


def _left(reason: str) -> str:
    sentences = reason.split(". ")
    return ". ".join(each for each in sentences[2:] if each)


def _added(model: Any, inputs: Any, trains: bool) -> dict[str, Any]:
    import skipway

    try:
        rewiring = skipway.rewire(model, inputs)
        closed = skipway.rewire(model, inputs, preserve=True)
    except skipway.SkipwayError as error:
        return {"skips added": 0, "why not": _short(error)}
    except Exception as error:
        return {"skips added": 0, "why not": f"UNFORESEEN {_short(error)}"}
    same = _said(lambda: _same(model, closed.model, inputs, trains))
    row = {"skips added": len(rewiring.plan.skips), "added: outputs kept": same}
    return {**row, **_checks("added", model, rewiring, inputs)}


def _rule_compiles(model: Any, inputs: Any, trains: bool) -> dict[str, Any]:
    import skipway

    rewired = skipway.reconnect(model, inputs, rule="rezero").model
    return _compilers("rule", model, rewired, inputs)


def _added_compiles(model: Any, inputs: Any, trains: bool) -> dict[str, Any]:
    import skipway

    return _compilers("added", model, skipway.rewire(model, inputs).model, inputs)


def _checks(group: str, model: Any, rewiring: Any, inputs: Any) -> dict[str, str]:
    rewired = rewiring.model
    checks: dict[str, Callable[[], bool]] = {
        "keys kept": lambda: _keys(model, rewired),
        "deepcopy": lambda: _alike(rewired, copy.deepcopy(rewired), inputs),
        "pickle": lambda: _alike(rewired, pickle.loads(pickle.dumps(rewired)), inputs),
        "source runs": lambda: _pasted(rewiring, inputs),
    }
    row = {f"{group}: {name}": _said(check) for name, check in checks.items()}
    return {**row, **_before(row, f"{group}: pickle", lambda: _pickles(model, inputs))}


def _compilers(group: str, model: Any, rewired: Any, inputs: Any) -> dict[str, str]:
    row = {}
    for name, check in (("compile", _compiled), ("export", _exported)):
        key = f"{group}: {name}"
        row[key] = _said(functools.partial(check, rewired, inputs))
        row.update(_before(row, key, functools.partial(check, model, inputs)))
        gc.collect()
    return row


def _before(row: dict[str, str], key: str, check: Callable[[], bool]) -> dict[str, str]:
    """A network that could not do it before is not to blame its skips."""
    if row[key].startswith("no") and _said(check) != "yes":
        return {key: "not before either"}
    return {}


def _said(check: Callable[[], bool]) -> str:
    try:
        return "yes" if check() else "no"
    except Exception as error:
        return f"no: {_short(error)}"


def _short(error: BaseException) -> str:
    words = " ".join(str(error).split())
    kind = (
        "" if type(error).__name__.endswith(("RewireError", "ModelError")) else type(error).__name__
    )
    return f"{kind} {words}".strip()[:260]


def _call(model: Any, inputs: Any, *, marks: bool = False) -> Any:
    import torch

    # In training a run leaves its mark in the statistics of batch norm.
    model = copy.deepcopy(model) if model.training and not marks else model
    torch.manual_seed(1)
    with torch.no_grad():
        given = copy.deepcopy(inputs)
        return model(*given) if isinstance(given, tuple) else model(given)


def _tensors(value: Any) -> list[Any]:
    import torch

    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        return [tensor for each in value.values() for tensor in _tensors(each)]
    if isinstance(value, (tuple, list)):
        return [tensor for each in value for tensor in _tensors(each)]
    return []


def _close(a: Any, b: Any, tolerance: float = 0.0) -> bool:
    import torch

    first, second = _tensors(a), _tensors(b)
    return (
        bool(first)
        and len(first) == len(second)
        and all(
            x.shape == y.shape
            and torch.allclose(
                x.double(), y.double(), rtol=tolerance, atol=tolerance, equal_nan=True
            )
            for x, y in zip(first, second, strict=True)
        )
    )


def _alike(model: Any, other: Any, inputs: Any) -> bool:
    return _close(_call(model, inputs), _call(other, inputs))


def _same(model: Any, other: Any, inputs: Any, trains: bool) -> bool:
    """Compare outputs as the network is, and in training, with what training leaves in buffers."""
    if not _close(_call(model, inputs), _call(other, inputs), 1e-5):
        return False
    first, second = copy.deepcopy(model).train(), copy.deepcopy(other).train()
    try:
        expected = _call(first, inputs, marks=True)
    except Exception:
        return True  # it does not train on these inputs, before or after
    buffers = dict(second.named_buffers())
    return _close(expected, _call(second, inputs, marks=True), 1e-4) and all(
        _close(value.double(), buffers[name].double(), 1e-4)
        for name, value in first.named_buffers()
    )


def _keys(model: Any, other: Any) -> bool:
    state = other.state_dict()
    return all(name in state and _close(state[name], v) for name, v in model.state_dict().items())


def _pickles(model: Any, inputs: Any) -> bool:
    return _alike(model, pickle.loads(pickle.dumps(model)), inputs)


def _compiled(model: Any, inputs: Any) -> bool:
    import torch

    torch._dynamo.reset()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    return _close(_call(model, inputs), _call(compiled, inputs, marks=True), 1e-5)


def _exported(model: Any, inputs: Any) -> bool:
    import torch

    given = inputs if isinstance(inputs, tuple) else (inputs,)
    with contextlib.redirect_stderr(io.StringIO()), torch.no_grad():
        made = torch.export.export(model, given).module(check_guards=False)
    return _close(_call(model, inputs), _call(made, inputs, marks=True), 1e-4)


def _agrees(model: Any, rewiring: Any, inputs: Any) -> bool:
    """Hold the rule with gates of 0.5 against the plain network whose sums are tampered with."""
    import torch

    sys.path.insert(0, str(HERE.parents[2] / "tests"))
    from tampered import Tampered, halved, sums_of

    changed = {(s.source, s.destination, s.module) for s in rewiring.plan.skips}
    skipped, count = sums_of(model, inputs, changed)
    with torch.no_grad(), Tampered(skipped, inputs) as mode:
        torch.manual_seed(1)
        given = mode.inputs
        expected = model(*given) if isinstance(given, tuple) else model(given)
    if mode.count != count:
        raise RuntimeError(f"the independent run sees {mode.count} sums, the trace {count}")
    return _close(expected, _call(halved(rewiring), inputs), 1e-4)


def _pasted(rewiring: Any, inputs: Any) -> bool:
    """Run the shown source in place of the model's own methods."""
    pasted = copy.deepcopy(rewiring.model)
    known = {path for path, _ in pasted.named_modules()}
    blocks = re.split(r"\n\n\n(?=#|class )", rewiring.source())
    head = "" if blocks[0].startswith(("#", "class ")) else blocks.pop(0)
    for block in blocks:
        first = block.split("\n", 1)[0]
        paths = first[2:].split(", ") if first.startswith("# ") else []
        paths = paths if paths and set(paths) <= known else [""]
        namespace: dict[str, Any] = {}
        exec(f"from __future__ import annotations\n{head}\n{block}", namespace)
        made = [v for v in namespace.values() if isinstance(v, type) and v.__module__ == "builtins"]
        kinds = [each for each in made if f"class {each.__name__}(" in block]
        if not kinds:
            continue  # what hooks carry has no source to run
        for path in paths:
            module = pasted.get_submodule(path)
            for name, method in vars(kinds[0]).items():
                if isinstance(method, types.FunctionType) and name != "__init__":
                    setattr(module, name, types.MethodType(method, module))
    return _alike(rewiring.model, pasted, inputs)


# The table


def table(rows: dict[str, dict[str, Any]]) -> str:
    import torch

    lines = [
        "# What skipway makes of other people's networks",
        "",
        f"Written by `python benchmarks/evidence/models.py --table` from {ROWS.name}, torch "
        f"{torch.__version__}, {os.cpu_count()} cores. One row a network; what each column asks is "
        "in the script.",
        "",
        *summary(list(rows.values())),
        "",
        "| Network | Skips it has | Sums changed | Kept | Copy, pickle, compile, export | Source | "
        "Skips added, or why not |",
        "|---|---|---|---|---|---|---|",
        *(_line(row) for row in rows.values()),
    ]
    return "\n".join(lines) + "\n"


def summary(rows: list[dict[str, Any]]) -> list[str]:
    traced = sum(row["traced"] == "yes" for row in rows)
    sums = sum(int(row["sums"] or 0) for row in rows)
    changed = sum(int(row["sums changed"] or 0) for row in rows)
    said = [f"- traced: {traced} of {len(rows)} networks",
            f"- residual sums that can follow another rule: {changed} of {sums} "
            f"({changed / max(sums, 1):.1%})"]  # fmt: skip
    for group, words in (("rule", "under another rule"), ("added", "with skips added")):
        own = [
            row
            for row in rows
            if int(row["sums changed" if group == "rule" else "skips added"] or 0)
        ]
        said.append(f"- {words}: {len(own)} networks")
        for name in FIELDS:
            if name.startswith(f"{group}: ") and name != "rule: by":
                asked = [row[name] for row in own if row[name]]
                before = asked.count("not before either")
                also = f", {before} could not before either" if before else ""
                also += f", {len(own) - len(asked)} not asked yet" if len(asked) < len(own) else ""
                yes = f"{asked.count('yes')} of {len(asked)}"
                said.append(f"    - {name.partition(': ')[2]}: {yes}{also}")
    reasons = collections.Counter(_reason(row) for row in rows if row["traced"] == "yes")
    counts = "; ".join(f"{number} {words}" for words, number in reasons.most_common())
    return [*said, f"- skips added, or why not: {counts}"]


def _reason(row: dict[str, Any]) -> str:
    why = row["why not"] or ""
    if not row["skips added"]:
        return "not asked yet"
    if int(row["skips added"]):
        return "rewired"
    known = {
        "skip connections already": "have their skips already",
        "weight layers (": "have too few layers",
        "no three": "have no three layers in a row",
        "cannot be written": "have a forward that cannot be written anew",
    }
    for words, said in known.items():
        if words in why:
            return said
    return "refused otherwise"


def _line(row: dict[str, Any]) -> str:
    if row["traced"] != "yes":
        return f"| {row['network']} | | | | | | {row['error']} |"
    kinds = [f"{row[kind]} {kind}" for kind in FIELDS[2:7] if int(row[kind] or 0)]
    group = "rule" if int(row["sums changed"] or 0) else "added"
    kept = [row[f"{group}: outputs kept"], row[f"{group}: keys kept"]]
    kept += [row["rule: as an independent run"]] if group == "rule" else []
    runs = [row[f"{group}: {name}"] for name in ("deepcopy", "pickle", "compile", "export")]
    share = f"{row['sums changed']} of {row['sums']}" if int(row["sums"] or 0) else ""
    reason = _reason(row)
    other = reason == "refused otherwise"
    why = (
        _clipped(row["why not"])
        if other
        else reason.replace("have their", "has its").replace("have", "has")
    )
    added = row["skips added"] if reason == "rewired" else why
    cells = [row["network"], ", ".join(kinds), share, _all(kept), _all(runs),
             _all([row[f"{group}: source runs"]]), added]  # fmt: skip
    return "| " + " | ".join(str(cell).replace("|", "/") for cell in cells) + " |"


def _all(said: list[str]) -> str:
    said = [each for each in said if each]
    if not said or all(each == "yes" for each in said):
        return "yes" if said else ""
    return ", ".join("yes" if each == "yes" else each.split(":")[0] for each in said)


def _clipped(words: str | None) -> str:
    first = (words or "").split(". ")[0]
    return first if len(first) < 110 else f"{first[:107]}..."


# The quick questions come first; the field says whether one was asked already.
PARTS = {
    "rule": "traced",
    "added": "skips added",
    "rule compiles": "rule: compile",
    "added compiles": "added: compile",
}
QUESTIONS = {
    "rule": _skips,
    "rule compiles": _rule_compiles,
    "added": _added,
    "added compiles": _added_compiles,
}

if __name__ == "__main__":
    main()
