"""`reconnect`: existing skips under another rule, or none at all."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

import skipway

from .._case import call
from .._errors import RewireError, SkipwayError
from .._results import Plan, PlannedSkip, Rewiring
from .._trace import Graph, Joint, Site, observe_sites, untouched
from ._change._rules import CUT, LOCAL
from ._change._same import same_outputs
from ._sums._locally import Locally
from ._sums._residual_sums import ResidualSums, names_of
from ._sums._streaming import STREAMED, Streaming
from ._verb import check, rewiring_of

_PAGE = "skips#another-rule-in-one-line"  # of the docs


def reconnect(
    model: nn.Module,
    inputs: Any,
    *,
    rule: str | skipway.nn.Rule | None = "rezero",
    preserve: bool = True,
    plan: Plan | None = None,
) -> Rewiring:
    """Give the residual sums of a network another rule, or cut them.

    The model you give is not changed. The new one is of the same class, has every key of its
    state dict with its value, and copies, pickles, compiles and exports as before. What changes is
    your own code, at the sums alone.

    Args:
        model: any module that runs eagerly.
        inputs: what its forward takes: a tensor, a tuple of positional or a dict of keyword
            arguments.
        rule: what becomes of `x + f(x)`, for `L` such sums:

            - `"rezero"` or `"skipinit"`: `x + a f(x)`, `a` learned (arXiv:2003.04887, 2002.10444);
            - `"layerscale"`: `x + diag(l) f(x)` (arXiv:2103.17239);
            - `"stochastic-depth"`: in training a sample loses the branch, from early to late ones
              with a probability that grows to 0.5 (arXiv:1603.09382);
            - `"fixup"`: `x + a f(x) + c` (arXiv:1901.09321);
            - `"scaled"`: `x + f(x) / sqrt(L)`;
            - `"deepnorm"`: `LN(L^(1/4) x + f(x))` (arXiv:2203.00555);
            - `"highway"`: `T f(x) + (1 - T) x` (arXiv:1505.00387);
            - `None`: `f(x)`: the plain twin, for comparison;
            - `"hyper-connections"` (arXiv:2409.19606), `"manifold-hyper-connections"` (2512.24880),
              `"denseformer"` (2402.02622), `"attention-residuals"` (2603.15031),
              `"delta-attention-residuals"` (2605.18855), or a `skipway.nn.Rule`, yours or
              `HyperConnections(2)`: one rule over every stretch of sums in which each takes the
              stream right from the one before (transformers, ConvNeXt, inverted residuals).
        preserve: let the network compute at first what it did, where the rule can: gates start at
            one. With False they start as in their papers: ReZero's at 0, LayerScale's at 1e-5.
            `"scaled"`, `"deepnorm"`, `"highway"`, `"attention-residuals"` and `None` cannot keep
            it; stochastic depth keeps it in evaluation. The values of the network's own weights
            stay in any case.
        plan: of an earlier call, for this or for another instance; skips may be left out of it.

    Returns:
        The new network, the plan with what was left as it is and why, and the source.

    Raises:
        RewireError: there is no sum that could change, or the plan does not fit.
        ModelError: the model raises in forward.

    Example:
        >>> layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
        >>> x = torch.randn(2, 3, 8)
        >>> rewiring = reconnect(layer, x, rule="rezero")
        >>> len(rewiring.plan.skips), rewiring.parameters_added
        (2, 2)
        >>> torch.equal(rewiring.model(x), layer(x))
        True
    """
    check(model, "reconnect")
    if plan is not None:
        rule, preserve = _of_plan(plan, rule)
    with untouched(model):
        graph, sites = observe_sites(model, inputs)
        sums = ResidualSums(graph)
        if plan is not None:
            sums.narrow(plan)
        way = _way(graph, sites, sums.joints, rule, preserve)
        result, pages, undo = way.change(model, inputs)
        left = {**sums.left, **way.left}
        if not way.joints():
            raise RewireError(_nothing(model, graph, left), page=_PAGE)
        _check_result(model, result, inputs, way)
    made = _plan(graph, way.joints(), rule, preserve, _reason(graph, way, left))
    return rewiring_of(model, graph, made, result, pages, undo)


def _of_plan(plan: Plan, rule: Any) -> tuple[str | skipway.nn.Rule | None, bool]:
    if not isinstance(plan, Plan):
        raise RewireError(
            f"plan is a {type(plan).__name__}, not a Plan: give rewiring.plan, or read a saved one "
            "with skipway.read(path).",
            page="skips#a-part-of-the-skips-and-another-instance",
        )
    if plan.how != "reconnect":
        raise RewireError(
            f"The plan adds skips by {plan.how}; it is for skipway.rewire(model, inputs, "
            "plan=plan). reconnect changes those that are there.",
            page="skips#a-part-of-the-skips-and-another-instance",
        )
    if isinstance(rule, skipway.nn.Rule):
        return rule, plan.preserve
    return plan.rule, plan.preserve


def _way(
    graph: Graph,
    sites: Mapping[int, Site],
    joints: Sequence[Joint],
    rule: str | skipway.nn.Rule | None,
    preserve: bool,
) -> Locally | Streaming:
    if rule is None:
        return Locally(graph, sites, joints, CUT, preserve)
    if isinstance(rule, str) and rule in LOCAL:
        return Locally(graph, sites, joints, LOCAL[rule], preserve)
    if isinstance(rule, skipway.nn.Rule) or rule in STREAMED:
        return Streaming(graph, sites, joints, rule)
    raise RewireError(
        f"There is no rule {rule!r}; give one of {', '.join([*LOCAL, *STREAMED])}, a "
        "skipway.nn.Rule, or None to cut the skips.",
        page=_PAGE,
    )


def _plan(
    graph: Graph,
    joints: Sequence[Joint],
    rule: str | skipway.nn.Rule | None,
    preserve: bool,
    reason: str,
) -> Plan:
    names = names_of(graph)
    skips = tuple(
        PlannedSkip(
            *names[joint.node][:2],
            module=names[joint.node][2],
            shortcut=joint.kind,
            source_shape=graph.nodes[joint.start or 0].shape,
            destination_shape=graph.nodes[joint.node].shape,
        )
        for joint in joints
    )
    name = type(rule).__name__ if isinstance(rule, skipway.nn.Rule) else rule
    return Plan("reconnect", skips, reason, name, preserve)


def _reason(graph: Graph, way: Locally | Streaming, left: Mapping[int, str]) -> str:
    start = "At first" if way.keeps else "It does not compute what it did"
    said = [f"Every `x + f(x)` is `{way.words}` now."]
    said.append(f"{start} the network computes what it did." if way.keeps else f"{start}.")
    grouped: dict[str, list[str]] = defaultdict(list)
    names = names_of(graph)
    for node, why in left.items():
        grouped[why].append(names[node][1])
    for why, layers in grouped.items():
        one = len(layers) == 1
        said.append(
            f"What joins after `{layers[0]}` stays as it is"
            f"{'' if one else f' (and {len(layers) - 1} more like it)'}: {why}."
        )
    return " ".join(said)


def _nothing(model: nn.Module, graph: Graph, left: Mapping[int, str]) -> str:
    """Say why no sum can change, and what can be done by hand."""
    hint = "Write it by hand: skipway.nn.Skip(body, gate=...)."
    if any(isinstance(module, skipway.nn.Stack) for module in model.modules()):
        hint = "A skipway.nn.Stack takes its rule where it is built: Stack(blocks, rule=...)."
    if not left:
        return (
            "The network has no skip connection that could follow another rule; "
            "skipway.rewire(model, inputs) adds some."
        )
    (why, count), names = Counter(left.values()).most_common(1)[0], names_of(graph)
    node = next(node for node, reason in left.items() if reason == why)
    shared = f" (and {count - 1} more like it)" if count > 1 else ""
    return (
        f"None of the network's {len(left)} skip connections can follow this rule. The one that "
        f"ends at `{names[node][1]}`{shared}: {why}. {hint}"
    )


def _check_result(
    model: nn.Module, result: nn.Module, inputs: Any, way: Locally | Streaming
) -> None:
    try:
        if way.keeps and not same_outputs(model, result, inputs):
            raise RewireError(way.trouble, page=_PAGE)
        if not way.keeps:
            with untouched(result), torch.no_grad():
                call(result, inputs)
    except SkipwayError:
        raise
    except Exception as error:  # whatever the user's code raises on what a rule returns
        raised = f"raised {type(error).__name__}: {error}."
        if isinstance(way, Streaming):
            raise RewireError(f"{way.trouble} It {raised}", page=_PAGE) from error
        raise RewireError(
            f"Under the new rule the network {raised} Leave the skips at that place out of the "
            "plan, or take another rule.",
            page=_PAGE,
        ) from error
