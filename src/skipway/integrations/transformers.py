"""Hugging Face: a callback that watches the layers, and logs where the Trainer logs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

import skipway

from ._missing import missing

try:
    from transformers import (
        Trainer,
        TrainerCallback,
        TrainerControl,
        TrainerState,
        TrainingArguments,
    )
except ImportError as error:
    raise missing("Transformers", "transformers", error, page="frameworks#hugging-face") from error


class WatchLayers(TrainerCallback):  # type: ignore[misc]  # it may be missing
    """Watch the layers while the Trainer of Hugging Face trains.

    The numbers of `Watch.scalars()` join the Trainer's own logs (`logging_steps`), and go with
    them to TensorBoard, Weights & Biases or whatever `report_to` names. `attach` puts the callback
    before those reporters and lets it see the loss, and on several processes the wrapped model.
    Given as one of the Trainer's `callbacks` it works too on a single one, but reporters have
    written before it is asked, and without the loss elasticities are relative to the largest one.

    Args:
        every: optimizer steps from one look to the next.
        outputs: at how many looks once the outputs of the layers are looked at; 0 for never; by
            default as `skipway.watch` has it.
        save: a path that ends in `.html` or `.json`; by default nothing is written.
        prefix: of the names in the logs.
        notify: is called with one line for every finding, when it appears; by default it is a
            `SkipwayWarning`.

    Raises:
        SkipwayError: `save` ends in neither; said here and not after the training. Or, when the
            training begins, several processes train and it was not attached.

    Example:
        ```python
        from transformers import Trainer
        from skipway.integrations.transformers import WatchLayers

        trainer = Trainer(model, arguments, train_dataset=data)
        WatchLayers(save="layers.html").attach(trainer)
        trainer.train()
        ```
    """

    def __init__(
        self,
        *,
        every: int = 10,
        outputs: int | None = None,
        save: str | Path | None = None,
        prefix: str = "skipway/",
        notify: Callable[[str], None] | None = None,
    ) -> None:
        if save is not None and Path(save).suffix not in (".html", ".json"):
            raise skipway.SkipwayError(
                f"save={str(save)!r} ends in neither .html nor .json; name one of them."
            )
        self.every, self.outputs, self.save = every, outputs, save
        self.prefix, self.notify = prefix, notify
        self.watch: skipway.Watch | None = None
        self.diagnosis: skipway.Diagnosis | None = None
        self._stack = ExitStack()
        self._trainer: Trainer | None = None

    def attach(self, trainer: Trainer) -> WatchLayers:
        """Become the first callback of a Trainer, and see the losses that it computes."""
        trainer.callback_handler.callbacks.insert(0, self)
        self._trainer = trainer
        compute = trainer.compute_loss

        def computed(*args: Any, **kwargs: Any) -> Any:
            found = compute(*args, **kwargs)
            if self.watch is not None and torch.is_grad_enabled():
                self.watch.loss(found[0] if isinstance(found, tuple) else found)
            return found

        trainer.compute_loss = computed  # type: ignore[method-assign]  # taken back at the end
        self._stack.callback(trainer.__dict__.pop, "compute_loss", None)
        return self

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """Begin to watch."""
        self.watch = self._stack.enter_context(
            skipway.watch(
                self._model(args, more["model"]), more["optimizer"], every=self.every,
                outputs=self.outputs, notify=self.notify,
            )
        )  # fmt: skip

    def _model(self, args: TrainingArguments, bare: Any) -> Any:
        """Return the model as it is trained: wrapped, where several processes share the batch."""
        if self._trainer is not None:
            return self._trainer.model_wrapped
        if args.world_size > 1:
            raise skipway.SkipwayError(
                f"{args.world_size} processes train, and a callback is shown the bare model, whose "
                "numbers would be those of one process's part of the batch. Attach it instead: "
                "WatchLayers(...).attach(trainer)."
            )
        return bare

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **more: Any,
    ) -> None:
        """Add the latest numbers to what the Trainer logs."""
        if self.watch is None or logs is None or "loss" not in logs:
            return
        numbers = {f"{self.prefix}{name}": each for name, each in self.watch.scalars().items()}
        logs.update(numbers)
        if state.log_history:  # a copy, which was made before the callbacks are asked
            state.log_history[-1].update(numbers)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """Remove every hook, keep the diagnosis, write the report."""
        self.close(writes=state.is_world_process_zero)

    def close(self, *, writes: bool = True) -> None:
        """Do the same after an exception, which the Trainer does not tell its callbacks of."""
        self._stack.close()
        if self.watch is not None and self.watch.step:
            self.diagnosis = self.watch.diagnosis()
            if self.save is not None and writes:
                self.diagnosis.save(self.save)
