"""Lightning: a callback that watches the layers, and logs through the trainer's own logger."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from torch import Tensor

import skipway

from ._missing import missing

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ImportError as error:
    try:
        from pytorch_lightning import (  # type: ignore[assignment]
            Callback,
            LightningModule,
            Trainer,
        )
    except ImportError:
        raise missing("Lightning", "lightning", error, page="frameworks#lightning") from error


class WatchLayers(Callback):  # type: ignore[misc]  # Lightning may be missing
    """Watch the layers while Lightning trains.

    The numbers of `Watch.scalars()` go to the trainer's loggers, under `prefix`. At the end the
    report is written where `save` says, and `diagnosis` holds the result.

    Args:
        every: optimizer steps from one look to the next.
        outputs: at how many looks once the outputs of the layers are looked at; 0 for never; by
            default as `skipway.watch` has it.
        save: a path that ends in `.html` or `.json`; by default nothing is written.
        prefix: of the names in the logger.
        notify: is called with one line for every finding, when it appears; by default it is a
            `SkipwayWarning`.

    Raises:
        SkipwayError: `save` ends in neither; said here and not after the training.

    Example:
        ```python
        from lightning.pytorch import Trainer
        from skipway.integrations.lightning import WatchLayers

        trainer = Trainer(max_epochs=3, callbacks=[WatchLayers(save="layers.html")])
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
        super().__init__()
        if save is not None and Path(save).suffix not in (".html", ".json"):
            raise skipway.SkipwayError(
                f"save={str(save)!r} ends in neither .html nor .json; name one of them."
            )
        self.every, self.outputs, self.save = every, outputs, save
        self.prefix, self.notify = prefix, notify
        self.watch: skipway.Watch | None = None
        self.diagnosis: skipway.Diagnosis | None = None
        self._stack, self._logged = ExitStack(), 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to watch."""
        model = pl_module if trainer.model is None else trainer.model
        self.watch = self._stack.enter_context(
            skipway.watch(
                model, trainer.optimizers, every=self.every, outputs=self.outputs,
                scaler=getattr(trainer.precision_plugin, "scaler", None), notify=self.notify,
            )
        )  # fmt: skip

    def on_before_backward(
        self, trainer: Trainer, pl_module: LightningModule, loss: Tensor
    ) -> None:
        """Hand in the loss."""
        if self.watch is not None:
            self.watch.loss(loss)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, *batch: Any, **more: Any
    ) -> None:
        """Log the numbers of a step that was looked at, once."""
        if self.watch is None or not self.watch.fresh or self.watch.step == self._logged:
            return
        self._logged = self.watch.step
        numbers = {f"{self.prefix}{name}": each for name, each in self.watch.scalars().items()}
        # The step under which Lightning logs what the module says of this batch, as its own
        # callbacks do: `global_step` is one ahead here, and counts each of several optimizers.
        step = trainer.fit_loop.epoch_loop._batches_that_stepped
        for logger in trainer.loggers:
            logger.log_metrics(numbers, step=step)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove every hook, keep the diagnosis, write the report."""
        self._close(trainer.is_global_zero)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Do the same when training ends by an exception or Ctrl-C."""
        self._close(trainer.is_global_zero)

    def _close(self, writes: bool) -> None:
        self._stack.close()
        if self.watch is not None and self.watch.step:
            self.diagnosis = self.watch.diagnosis()
            if self.save is not None and writes:
                self.diagnosis.save(self.save)
