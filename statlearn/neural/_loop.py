"""The training loop: losses of rows, a rule, their weighted mean, a step.

What belongs to one update is in `_update`, the order of batches in `_source`. Here the
place in training is kept, which is two numbers: the epoch and the batch within it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from statlearn.neural._precision import read_precision
from statlearn.neural._training import _checkpoint as files
from statlearn.neural._training._distributed import World, bare
from statlearn.neural._training._history import History, Progress, Recorder
from statlearn.neural._training._identity import describe
from statlearn.neural._training._inference import mode, read_device
from statlearn.neural._training._interruption import Interruption
from statlearn.neural._training._learning_rate import LearningRate
from statlearn.neural._training._loop_input import (
    check_parts,
    read_callbacks,
    read_clip,
    read_updates,
    read_weighting,
    settings_of,
    steps_of,
)
from statlearn.neural._training._seeding import kept_random_state, seed_at, seeder
from statlearn.neural._training._source import END, Source
from statlearn.neural._training._update import Means, Update
from statlearn.sampling._counter import stream_key
from statlearn.utils._numbers import positive_integer

_NAME = "TrainingLoop"


class TrainingLoop:
    r"""Train a model on the weighted mean of the losses of rows.

    The loop behind the neural estimators, for models and losses of any kind.

    Parameters
    ----------
    model : Module
        Changed in place. A ``DistributedDataParallel`` exchanges gradients itself.
    loss_fn : callable
        ``loss_fn(model, batch)`` with one loss for each row: a tensor of shape (n,).
    optimizer : Optimizer
        Of the parameters to train. Its step takes no closure.
    weighting : str, WeightingRule, LossReweighter or callable, default=None
        A rule on losses, groups or weights. None keeps the base weights.
    schedule : callable or LRScheduler, default=None
        ``step -> learning rate`` of the first group of parameters, such as those of
        :mod:`statlearn.schedules`; other groups keep their ratio to it. Without a
        number of steps it gets that of the run. A scheduler of torch, made of
        `optimizer`, is stepped once an update. None leaves the optimizer's.
    accumulate : int, default=1
        Batches of an update. Their rows have the gradient of one large batch.
    clip_norm : float, default=None
        Largest norm of the gradient of all parameters.
    callbacks : iterable of callables, default=()
        Each is given a :class:`Progress` after every update and at the end of every
        epoch, and stops the training if it returns something true.
    checkpoint : path-like, default=None
        A file to go on from: :meth:`run` does so if it is there. One that was written
        with other settings, loss or data is refused.
    checkpoint_every : int, default=None
        Updates between two writings; None writes at the end of each epoch. The end of
        :meth:`run` and an interruption write as well.
    device : str or torch.device, default=None
        Where model and batches are moved to; None leaves the model where it is.
    precision : {None, "bf16", "fp16"}, default=None
        Of autocast in forward passes; "fp16" scales gradients as well.
    sharded : bool, default=False
        Whether batches hold the rows of this process only. By default every process
        goes through all batches and takes its share of each.
    random_state : int, Generator or None, default=None
        Noise of forward passes, and the order of batches without a seed of their own.

    Attributes
    ----------
    step_ : int
        Updates made.
    epoch_ : int
        Complete epochs.
    history_ : History
        Loss, learning rate, weight and time of each update.

    See Also
    --------
    LossReweighter : Rules of weights in a loop of your own.
    torch.optim.lr_scheduler.LambdaLR : Schedules in a loop of your own.

    Notes
    -----
    An update descends along the gradient of

    .. math:: \frac{\sum_i w_i\, \ell_i(\theta)}{\sum_i w_i}

    over the rows i of its batches in all processes. :math:`w_i` are base weights, or
    what the rule makes of them; a rule sees one batch at a time, over all processes.
    Base weights travel in a batch: as ``sample_weight`` of :class:`Batch`, or under
    this key in a dict, and ``groups`` likewise. Rows without weight do not reach the
    model; an update without any weight is left out.

    Every batch has a seed made from `random_state`, epoch and number, in each process
    another one for noise. A run that was stopped anywhere and taken up from its file
    therefore ends in the same bits, as long as all randomness is that of torch's
    global generators. Those of the caller come back after the run, as do the modes of
    modules; runs in several threads wait for each other, since all threads share these
    generators. Batches of a loader or a sampler are gone through again to the place.

    A loss that is not finite, or with `clip_norm` such a gradient, ends the run with
    parameters, buffers and optimizer as they were before that step, for which the loop
    reads one number from the device in each. Ctrl-C waits for the end of the step.
    Files are read by ``torch.load(weights_only=True)``, which runs no code.

    Processes of ``torch.distributed`` start from the model of the first one, and
    average gradients, in one message a dtype, without overlap with the backward pass:
    wrap large models in ``DistributedDataParallel``. The result is that of one process
    up to rounding, but for layers that look at the whole batch: BatchNorm sees the
    share of its process; buffers are those of the first process after each epoch. Use
    ``SyncBatchNorm`` for statistics of the batch.

    Hooks of the optimizer see every step. A step in "fp16" that overflows counts, but
    changes nothing; a scheduler of torch is not stepped with it.

    References
    ----------
    Shen Li, Yanli Zhao, Rohan Varma, Omkar Salpekar, Pieter Noordhuis, Teng Li,
    Adam Paszke, Jeff Smith, Brian Vaughan, Pritam Damania, Soumith Chintala. PyTorch
    Distributed: Experiences on Accelerating Data Parallel Training. VLDB, 2020.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural import Batches, TrainingLoop
    >>> X = torch.linspace(-1, 1, 64)[:, None]
    >>> y = 2 * X[:, 0] + 1
    >>> model = torch.nn.Linear(1, 1)
    >>> def squared_error(model, batch):
    ...     X, y = batch
    ...     return (model(X)[:, 0] - y) ** 2
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    >>> loop = TrainingLoop(model, squared_error, optimizer, random_state=0)
    >>> history = loop.run(Batches(X, y, batch_size=16), n_epochs=20)
    >>> round(model.weight.item(), 3), round(model.bias.item(), 3)
    (2.0, 1.0)
    """

    def __init__(
        self,
        model: nn.Module,
        loss_fn: Callable[[nn.Module, Any], Tensor],
        optimizer: torch.optim.Optimizer,
        *,
        weighting: Any = None,
        schedule: Callable[[int], float] | LRScheduler | None = None,
        accumulate: int = 1,
        clip_norm: float | None = None,
        callbacks: Iterable[Callable[[Progress], object]] = (),
        checkpoint: Any = None,
        checkpoint_every: int | None = None,
        device: Any = None,
        precision: Any = None,
        sharded: bool = False,
        random_state: Any = None,
    ) -> None:
        check_parts(model, loss_fn, optimizer)
        self._accumulate = positive_integer(
            accumulate, "accumulate", _NAME, "pass the batches of an update"
        )
        self._callbacks = read_callbacks(callbacks)
        self._every = read_updates(checkpoint_every, "checkpoint_every")
        self._reweighter = read_weighting(weighting)
        self._rate = LearningRate(optimizer, schedule)
        self._key = stream_key(random_state)
        self._model, self._optimizer = model, optimizer
        self._device = read_device(device, model, _NAME)
        means = Means(
            reweighter=self._reweighter,
            clip_norm=read_clip(clip_norm),
            precision=read_precision(precision, _NAME),
            sharded=bool(sharded),
        )
        model.to(self._device)
        self._update = Update(model, loss_fn, optimizer, means, self._device)
        self._recorder = Recorder()
        self.step_ = self.epoch_ = self._batch = 0
        self._begun, self._saved = False, (0, 0, 0)
        if checkpoint is not None and not isinstance(checkpoint, files.RunFile):
            # Before the run, in which schedules and callbacks change an optimizer.
            own: dict[str, Any] = {
                "accumulate": accumulate,
                "random_state": describe(random_state),
                "dtype": sorted({str(p.dtype) for p in model.parameters()}),
            }
            known_by = settings_of(optimizer, loss_fn, schedule, means) | own
            checkpoint = files.RunFile(checkpoint, known_by, _NAME)
        self._file: files.RunFile | None = checkpoint

    @property
    def history_(self) -> History:
        """Loss, learning rate, weight and time of each update."""
        return self._recorder.history()

    def run(
        self, batches: Any, n_epochs: int = 1, *, n_steps: int | None = None
    ) -> History:
        """Train until so many epochs are complete, in this call and those before.

        Parameters
        ----------
        batches : Batches, DataLoader or another re-iterable
            A batch is a tensor, or a tuple or dict of tensors, with one row a sample.
        n_epochs : int, default=1
            Epochs of the training, over all calls.
        n_steps : int, default=None
            Updates of the training, over all calls, if it is to end before.

        Returns
        -------
        history : History
            Of all updates so far.

        Raises
        ------
        FloatingPointError
            If a loss is not finite; the step is not made.
        TypeError
            For batches that can be gone through once only, or losses that are no
            tensor.
        ValueError
            For losses of another shape than (n,) or without a gradient, bad weights,
            fewer batches than have been used, or a checkpoint of another run.
        OSError
            If no checkpoint can be written.
        RuntimeError
            Inside of ``torch.inference_mode()``.
        """
        positive_integer(n_epochs, "n_epochs", _NAME, "pass the epochs of the training")
        n_steps = read_updates(n_steps, "n_steps")
        source = Source(batches)
        if torch.is_inference_mode_enabled():
            raise RuntimeError(
                f"A {_NAME} must run outside of torch.inference_mode(), in which "
                f"nothing has a gradient. Got a run inside; leave it before the model "
                f"is made, or use torch.no_grad(), which a run turns off."
            )
        with (
            kept_random_state(self._device),
            mode(self._model, training=True),
            torch.enable_grad(),
            Interruption() as interruption,
        ):
            self._begin(source)
            last = steps_of(source.n_batches, self._accumulate, n_epochs, n_steps)
            self._rate.begin(last)
            try:
                self._train(source, n_epochs, n_steps, last, interruption)
                self._save(source)
            except BaseException:
                self._update.undo()
                if self._update.is_whole:
                    self._save(source)
                raise
        return self.history_

    def state_dict(self) -> dict[str, Any]:
        """Return all that is needed to go on from here.

        Returns
        -------
        state : dict
            Of dicts, tensors, numbers and texts. Tensors are those in use, as in the
            state of a module: copy them before training goes on.
        """
        scaler, scheduler = self._update.scaler, self._rate.scheduler
        own = {} if scheduler is None else {"schedule": scheduler.state_dict()}
        return {
            **own,
            "model": bare(self._model).state_dict(),
            "kind": type(self._optimizer).__qualname__,
            "optimizer": self._optimizer.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
            "history": self._recorder.state_dict(),
            "key": list(self._key),
            "step": self.step_,
            "epoch": self.epoch_,
            "batch": self._batch,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to where a loop of the same model and optimizer was.

        A checkpoint is not read then, and settings may be others than they were.

        Parameters
        ----------
        state : dict
            What `state_dict` returned.

        Raises
        ------
        ValueError
            If it belongs to another model or optimizer, or something is missing; the
            loop is as it was then.
        """
        files.check_fits(state, self.state_dict())
        self._optimizer.load_state_dict(state["optimizer"])
        bare(self._model).load_state_dict(state["model"])
        if self._update.scaler is not None and state["scaler"] is not None:
            self._update.scaler.load_state_dict(state["scaler"])
        if self._rate.scheduler is not None:
            self._rate.scheduler.load_state_dict(state["schedule"])
        self._recorder.load_state_dict(state["history"])
        self._key = (int(state["key"][0]), int(state["key"][1]))
        self.step_, self.epoch_ = int(state["step"]), int(state["epoch"])
        self._batch = int(state["batch"])
        self._begun = True

    # -- training -----------------------------------------------------------------

    def _train(
        self,
        source: Source,
        n_epochs: int,
        n_steps: int | None,
        last: int | None,
        interruption: Interruption,
    ) -> None:
        clock = perf_counter() - self._recorder.seconds
        bound = math.inf if n_steps is None else n_steps

        def after(made: bool, epoch: int, ended: bool) -> bool:
            """Report an update; return whether it was the last one."""
            stopped = False
            if (made or ended) and self._callbacks:
                progress = self._recorder.progress(self.step_, last, epoch, ended)
                for call in self._callbacks:
                    stopped = bool(call(progress)) or stopped
            interrupted = interruption.requested
            if self._update.world.size > 1:
                sums = self._update.world.sums(stopped, interrupted)
                stopped, interrupted = (number > 0.0 for number in sums)
            every = self._every
            if ended if every is None else made and self.step_ % every == 0:
                self._save(source)
            if interrupted:
                raise KeyboardInterrupt
            return stopped or self.step_ >= bound

        stopped = self.step_ >= bound or self._has_stopped()
        while self.epoch_ < n_epochs and not stopped:
            stopped = self._epoch(source, clock, after)
        self._optimizer.zero_grad()

    def _has_stopped(self) -> bool:
        """Return whether the run that was taken up had come to its end."""
        return False

    def _epoch(
        self, source: Source, clock: float, after: Callable[[bool, int, bool], bool]
    ) -> bool:
        """Train to the end of the epoch; return whether training is to stop."""
        update, key, epoch, number = self._update, self._key, self.epoch_, self._batch
        lane, taken, scheduler = update.world.rank + 1, 0, self._rate.scheduler
        batches = source.epoch(key, epoch, number, seeder(self._device))
        update.begin()
        batch, ended = next(batches), False
        while not ended:
            number, taken = number + 1, taken + 1
            is_last = taken == self._accumulate or number == source.n_batches
            update.add(batch, self.step_, seed_at(key, epoch, number, lane), is_last)
            # Not before: the next batch may take the place of this one in memory.
            batch = next(batches, END)
            ended = batch is END
            if not ended and taken < self._accumulate:
                continue
            rate = self._rate.set(self.step_)
            made = update.finish(self.step_)
            self._batch = number
            if ended:
                self.epoch_, self._batch = epoch + 1, 0
                update.world.copy_from_first(self._model.buffers())
            if made is not None:
                self.step_ += 1
                self._recorder.add(epoch, *made, rate, perf_counter() - clock)
                # It warns of steps before the first one of an optimizer.
                if scheduler is not None and not update.overflowed:
                    scheduler.step()
            if after(made is not None, epoch, ended):
                return True
            taken = 0
            update.begin()
        return False

    # -- beginning and files ------------------------------------------------------

    def _begin(self, source: Source) -> None:
        """Join the other processes, and go to where the file says."""
        world = World(self._device)
        self._update.join(world)
        if self._file is not None:
            self._file.check(world)
            found = None if self._begun else self._file.load(source.identity, world)
            if found is not None:
                self.load_state_dict(found)
                self._saved = (self.step_, self.epoch_, self._batch)
        source.check_lengths(world)
        self._begun = True
        self._key = world.from_first(self._key)
        world.copy_from_first([*self._model.parameters(), *self._model.buffers()])

    def _save(self, source: Source) -> None:
        """Write the file, unless it holds this place already."""
        place = (self.step_, self.epoch_, self._batch)
        if self._file is None or self._update.world.rank or self._saved == place:
            return
        self._file.save(source.identity, self.state_dict())
        self._saved = place
