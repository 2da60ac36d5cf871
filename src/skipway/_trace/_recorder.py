"""`Recorder`: writes down every call inside a model while it runs.

The run goes through the model's own Python under a `TorchFunctionMode`, so whatever the model
does is what is seen: loops, branches, shared modules, functional calls. Module hooks tell which
module a call belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle
from torch.utils.weak import WeakTensorKeyDictionary

from .._errors import ModelError
from ._alter import Alteration, replaced
from ._calls import name_of, tensors
from ._failure import failure
from ._graph import Graph, Node
from ._units import find_units
from ._unseen import Origins
from ._written import Places, keep_written, places_of

# Calls that take a shape or a type from their input and none of its values.
_VALUELESS = {"zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like",
              "new_zeros", "new_ones", "new_full", "new_empty", "new_tensor"}  # fmt: skip


class Visit(Protocol):
    """What `record` calls after every call inside the model."""

    def __call__(
        self, index: int, op: str, tensor: Tensor, module: str, arguments: tuple[Any, ...]
    ) -> None:
        """See the output `tensor` of node `index` before anything can change it."""


class Recorder(TorchFunctionMode):
    """While it is entered, and its `hooks` are on the model, every call becomes a node.

    Args:
        model: that will be called.
        visit: sees every output.
        alter: changes the ways of the gradient; what it joins is recorded as a sum.
        kept: what a weight layer reads and the model keeps counts as an input.

    Attributes:
        called: whether the model has been called.
        stack: the modules that are being called now, with the number of the call.
    """

    def __init__(
        self,
        model: nn.Module,
        visit: Visit | None,
        alter: Alteration | None = None,
        kept: bool = False,
    ) -> None:
        super().__init__()
        self.kept = kept
        self.alter = alter
        self.model = getattr(model, "_orig_mod", model)
        self.visit = visit
        self.nodes: list[Node] = []
        self.outputs: list[list[int]] = []
        self.stack: list[tuple[str, int]] = []
        self.calls: dict[str, int] = {}
        self.entries: dict[tuple[str, int], int] = {}
        self.exits: dict[tuple[str, int], tuple[int, int | None]] = {}
        self.called = False
        self.home: Mapping[Tensor, int] = WeakTensorKeyDictionary()
        self.constants: Mapping[Tensor, tuple[str, ...]] = WeakTensorKeyDictionary()
        self.arguments: list[tuple[int, ...]] = []
        self.origins = Origins()
        self.places: Places | None = None
        self.parameters: dict[int, str] = {}
        for name, parameter in self.model.named_parameters(remove_duplicate=False):
            self.parameters.setdefault(id(parameter), name)

    @contextmanager
    def hooks(self) -> Iterator[None]:
        """Tell which module a call belongs to; the hooks are gone afterwards, in any case."""
        handles: list[RemovableHandle] = []
        try:
            for name, module in self.model.named_modules():
                handles += self._hook(name, module)
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, name: str, module: nn.Module) -> list[RemovableHandle]:
        def enter(_: nn.Module, args: Any, kwargs: Any) -> None:
            self.enter(name, (args, kwargs))

        def leave(_: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
            return self.leave(name, output)

        if isinstance(module, torch.jit.ScriptModule):
            return []  # scripted modules take no keyword hooks; their insides are one call
        return [
            module.register_forward_pre_hook(enter, with_kwargs=True),
            module.register_forward_hook(leave, with_kwargs=True),
        ]

    def enter(self, name: str, arguments: Any) -> None:
        """Go into a module; what is new in the arguments of the first one is an input."""
        self.called = True
        if not self.stack:
            for tensor in tensors(arguments):
                if tensor not in self.home and id(tensor) not in self.parameters:
                    self.add("input", tensor, (), ())
        elif self.kept:
            self._add_kept(name, arguments)
        self.arguments.append(self._read(arguments)[0])
        here = name, self.calls.get(name, 0)
        if arguments[0] and isinstance(arguments[0][0], Tensor) and arguments[0][0] in self.home:
            self.entries[here] = self.home[arguments[0][0]]
        self.stack.append(here)
        self.calls[name] = self.calls.get(name, 0) + 1

    def _add_kept(self, name: str, arguments: Any) -> None:
        """Add what a weight layer reads and the model keeps, where it reads no input as well."""
        weights = self.model.get_submodule(name).parameters(recurse=False)
        read = list(tensors(arguments))
        if any(self._known(each) for each in read) or not any(w.dim() >= 2 for w in weights):
            return
        for tensor in read:
            if tensor.is_floating_point():
                self.add("input", tensor, (), ())

    def leave(self, name: str, output: Any) -> Any:
        """Go out of a module; return what takes the place of its output, or `None`."""
        # A forward that caught an exception of a child leaves that child on the stack.
        while self.stack and self.stack[-1][0] != name:
            self.stack.pop()
            self.arguments.pop()
        read, new = self.arguments[-1], dict[int, Tensor]()
        for tensor in tensors(output):
            if tensor in self.home:
                self._wake(tensor)
            if not self._known(tensor):
                # A custom autograd function or a compiled part: its insides were not seen.
                own = self.model.get_submodule(name)
                names = tuple(self.parameters[id(each)] for each in own.parameters())
                self.add(type(own).__name__, tensor, read, names)
                new.update(self._joined(tensor))
        output = replaced(output, new) if new else output
        self._exit(output)
        self.stack.pop()
        self.arguments.pop()
        if not self.stack:
            self.outputs.append([self.home[t] for t in tensors(output) if t in self.home])
        return output if new else None

    def _joined(self, tensor: Tensor) -> dict[int, Tensor]:
        """Return, by the tensor's id, the sum that goes on in its place, if there is one."""
        if self.alter is None:
            return {}
        with torch._C.DisableTorchFunction():
            found = self.alter.output(self.home[tensor], tensor)
        if found is None:
            return {}
        joined, inputs = found
        self.add("add", joined, inputs, ())
        return {id(tensor): joined}

    def _exit(self, output: Any) -> None:
        item = None
        if isinstance(output, (tuple, list)) and output:
            output, item = output[0], 0
        if isinstance(output, Tensor) and output in self.home:
            self.exits[self.stack[-1]] = self.home[output], item

    def _known(self, tensor: Tensor) -> bool:
        return tensor in self.home or tensor in self.constants or id(tensor) in self.parameters

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if not self.stack:
            return func(*args, **kwargs)
        if self.alter is not None:
            given = (args, kwargs)
            args, kwargs = self.alter.arguments(len(self.nodes), func, given, self.home)
        keep_written(func, args, kwargs, self._places)
        before = self._read((args, kwargs))
        return self._write(func, args, kwargs, before, func(*args, **kwargs))

    def _places(self) -> Places:
        if self.places is None:
            self.places = places_of(self.model)
        return self.places

    def _read(self, arguments: Any) -> tuple[tuple[int, ...], tuple[str, ...]]:
        inputs: list[int] = []
        names: list[str] = []
        for tensor in tensors(arguments):
            if id(tensor) in self.parameters:
                names.append(self.parameters[id(tensor)])
            elif tensor in self.home:
                self._wake(tensor)
                inputs.append(self.home[tensor])
            elif tensor in self.constants or self._find_origin(tensor):
                names += self.constants.get(tensor, ())
                inputs += [self.home[tensor]] if tensor in self.home else []
        return tuple(inputs), tuple(dict.fromkeys(names))

    def scripted(
        self, run: Callable[[], Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Write a call of something scripted down: one node, whatever it does inside."""
        if not self.stack:
            return run()
        inputs, names = self._read((args, kwargs))
        output = run()
        for tensor in tensors(output):
            if inputs:
                self.add("scripted", tensor, inputs, names)
            elif names:
                self.constants[tensor] = names  # type: ignore[index]  # a weak dict is mutable
        return output

    def _find_origin(self, tensor: Tensor) -> bool:
        """Write down a tensor that comes out of something whose insides are not seen."""
        found = self.origins.behind(tensor, self.parameters)
        if found is None:
            return False
        inputs, names = found
        if inputs:
            self.add("unseen", tensor, inputs, names)
        else:
            self.constants[tensor] = names  # type: ignore[index]  # a weak dict is mutable
        return True

    def _wake(self, tensor: Tensor) -> None:
        """See an output of a custom autograd function again, now that it carries a gradient.

        Inside of the function's forward, where it was made, it did not.
        """
        node = self.nodes[self.home[tensor]]
        if not node.differentiable and tensor.grad_fn is not None:
            self.nodes[node.index] = replace(node, differentiable=True)
            if self.visit is not None:
                with torch._C.DisableTorchFunction():
                    self.visit(node.index, node.op, tensor, node.module, ())

    def _write(self, func: Any, args: Any, kwargs: Any, before: Any, output: Any) -> Any:
        """Write the call down and return its output, or what takes its place."""
        op = name_of(func)
        inputs, names = before if op not in _VALUELESS else ((), ())
        made = [args[0]] if op == "setitem" else tensors(output)
        new: dict[int, Tensor] = {}
        for position, tensor in enumerate(made):
            if not inputs and (names or tensor in self.constants):
                self.constants[tensor] = names  # type: ignore[index]  # a weak dict is mutable
            elif self._is_new(tensor, op, inputs):
                # The further outputs of one call (an LSTM's states) own no weights.
                self.add(op, tensor, inputs, names if position == 0 else (), (args, kwargs))
                new.update(self._joined(tensor))
        return replaced(output, new) if new else output

    def _is_new(self, tensor: Tensor, op: str, inputs: tuple[int, ...]) -> bool:
        if id(tensor) in self.parameters:
            return False
        if tensor not in self.home:
            return bool(inputs) or op != "get"
        # The same object again: an operation in place, or an attribute that hands it through.
        return op not in ("get", "requires_grad_", "retain_grad", "detach_")

    def add(
        self,
        op: str,
        tensor: Tensor,
        inputs: tuple[int, ...],
        names: tuple[str, ...],
        arguments: tuple[Any, ...] = (),
    ) -> None:
        """Write one node down."""
        module, call_index = self.stack[-1] if self.stack else ("", 0)
        node = Node(
            index=len(self.nodes),
            op=op,
            module=module,
            call=call_index,
            inputs=inputs,
            parameters=names,
            shape=tuple(tensor.shape),
            dtype=str(tensor.dtype).removeprefix("torch."),
            differentiable=tensor.requires_grad,
            inplace=tensor in self.home and self.home[tensor] in inputs,
        )
        self.nodes.append(node)
        self.home[tensor] = node.index  # type: ignore[index]  # a weak dict is mutable
        self.origins.put(tensor, node.index)
        if self.visit is not None:
            with torch._C.DisableTorchFunction():
                self.visit(node.index, op, tensor, module, arguments)

    def _returned(self) -> tuple[int, ...]:
        """Return what the last call of the model returned, and of earlier ones what no other read.

        A discriminator is called on what is real and on what is not; what a cell returns that is
        called step by step is a part of the way to the end.
        """
        *earlier, last = self.outputs or [[]]
        read = {source for node in self.nodes for source in node.inputs}
        ends = [index for each in earlier for index in each if index not in read]
        return tuple(dict.fromkeys([*ends, *last]))

    def graph(self) -> Graph:
        """Return what was written down."""
        nodes = tuple(self.nodes)
        return Graph(
            nodes=nodes,
            units=find_units(nodes, self.model, self.calls),
            outputs=self._returned(),
            calls=dict(self.calls),
            entries=self.entries,
            exits=self.exits,
        )

    def failure(self, error: Exception) -> ModelError:
        """Return the error of the module that is being called."""
        path = next((name for name, _ in reversed(self.stack) if name), "")
        return failure(self.model, path, self.nodes, error)
