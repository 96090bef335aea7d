"""What all schedules share: look-ups, phases, branching off, and complete state."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast, overload

import numpy as np
from numpy.typing import NDArray

from statlearn.schedules._curves import Curve, Piece, Shape, assemble, look_up_many
from statlearn.schedules._fields import as_count, as_phase, phase_steps
from statlearn.utils._arrays import is_tensor, to_float64

if TYPE_CHECKING:
    from statlearn.schedules._compose import Annealed

# Default of a field that is a number once the schedule is made.
DERIVED = cast("float", None)


class Schedule:
    """Base class of the schedules: a number for every step, and nothing else.

    A schedule is a function with a name and fields. It has no counter and no hidden
    state, so that resuming needs nothing but the step. Any code that takes a function
    of the step takes one: ``LambdaLR`` of PyTorch, the ``temperature`` of a weighting
    rule, a loop of your own.

    See Also
    --------
    ScheduleDisplay : Draw a schedule.
    torch.optim.lr_scheduler.LambdaLR : Multiplies its base rate by what a function
        such as a schedule returns.

    Notes
    -----
    Laws that every schedule keeps: one step gives a float, an array of steps an array
    of float64; steps may be fractional, and must not be negative or NaN; a phase
    includes its last step; after the last phase its last value is held for ever.

    Lengths of phases are steps if they are integers, and shares of ``n_steps`` if
    they are floats in [0, 1]: ``warmup=1`` is one step, ``warmup=1.0`` is all of them.
    Without ``n_steps`` a schedule is a template that `over` turns into one.

    Examples
    --------
    >>> from statlearn.schedules import Cosine, Schedule
    >>> schedule = Cosine(0.1, n_steps=100, warmup=10)
    >>> isinstance(schedule, Schedule), schedule(5), schedule.phase_at(5)
    (True, 0.05, 'warmup')
    >>> schedule([10, 55, 100, 1000])
    array([0.1  , 0.055, 0.01 , 0.01 ])
    """

    __slots__ = ("__weakref__", "_pieces")

    _classes: ClassVar[dict[str, type[Schedule]]] = {}
    _pieces: tuple[Piece, ...]

    def __init_subclass__(cls) -> None:
        # A dataclass with slots is made twice; the second one is the one to keep.
        Schedule._classes[cls.__name__] = cls

    @overload
    def __call__(self, step: float) -> float: ...

    @overload
    def __call__(self, step: Any) -> Any: ...

    def __call__(self, step: Any) -> Any:
        """Return the value at a step, or at each of many.

        Parameters
        ----------
        step : int, float, or array-like or torch tensor of any shape
            Not negative. Steps after the end get the last value.

        Returns
        -------
        value : float, or ndarray or tensor of the shape of `step`
            The value of the schedule.
        """
        kind = type(step)
        if kind is int or kind is float:
            for stop, start, length, curve, _ in self._pieces:
                if 0 <= step <= stop:
                    return curve((step - start) / length, math)
            raise self._refusal(step)
        steps, restore = self._as_steps(step)
        if steps.ndim == 0:
            return self(float(steps))
        return restore(look_up_many(self._pieces, self._which(steps), steps))

    @property
    def is_template(self) -> bool:
        """Whether it lacks the number of steps that its phases are shares of."""
        return not self._pieces

    def phase_at(self, step: Any) -> Any:
        """Return the name of the phase that a step is in, or each of many.

        Parameters
        ----------
        step : int, float, or array-like of any shape
            Not negative.

        Returns
        -------
        name : str, or ndarray of str
            Such as "warmup" or "decay"; "end" after the last phase.
        """
        steps, _ = self._as_steps(step)
        names = np.array([piece.name for piece in self._pieces])[self._which(steps)]
        return str(names) if steps.ndim == 0 else names

    def settled(self, step: float) -> bool:
        """Tell whether the value stays what it is from a step on.

        Parameters
        ----------
        step : int or float
            Not negative.

        Returns
        -------
        settled : bool
            Whether the last phase has come, and its value with it.
        """
        value = self(step)
        last = self._pieces[-1]
        return bool(step >= last.start and value == last.curve(1.0, math))

    def anneal_from(
        self,
        step: int,
        n_steps: int,
        *,
        eta_min: float | None = None,
        shape: Shape = "exponential",
    ) -> Annealed:
        """Branch off an annealing phase that ends in a small value.

        For a model to hand out now, while training goes on from the same checkpoint
        on the schedule itself, which stays as it is.

        Parameters
        ----------
        step : int
            Last step of the schedule that the branch shares with it.
        n_steps : int
            Steps of the annealing phase.
        eta_min : float, default=None
            Value at its end, at most that at `step`. None takes the lowest value of
            the schedule's own, a tenth of its value for a constant.
        shape : {"exponential", "linear", "cosine", "sqrt"}, default="exponential"
            How it gets there.

        Returns
        -------
        branch : Annealed
            Equal to the schedule up to `step`.

        Raises
        ------
        ValueError
            If there is nothing to anneal: the value at `step` is below `eta_min`.
        """
        from statlearn.schedules._compose import Annealed

        end = DERIVED if eta_min is None else eta_min
        return Annealed(self, step, n_steps, eta_min=end, shape=shape)

    def to_dict(self) -> dict[str, Any]:
        """Return the complete state as plain data, for JSON or a checkpoint.

        Returns
        -------
        state : dict
            The name of the class as "class", and every field.
        """
        state: dict[str, Any] = {"class": type(self).__name__}
        for field in dataclasses.fields(cast("Any", self)):
            state[field.name] = _plain(getattr(self, field.name))
        return state

    @staticmethod
    def from_dict(state: Mapping[str, Any]) -> Schedule:
        """Return the schedule of a state that `to_dict` gave.

        Parameters
        ----------
        state : mapping
            With all fields: a value that is missing would silently be a default.

        Returns
        -------
        schedule : Schedule
            Equal to the one that the state was taken from.

        Raises
        ------
        TypeError
            If the state is no dict.
        ValueError
            For an unknown class, or fields that are not those of the class.
        """
        if not isinstance(state, Mapping):
            raise TypeError(
                f"The 'state' of Schedule.from_dict must be a dict. Got "
                f"{type(state).__name__}; pass what to_dict gave."
            )
        name = state.get("class")
        known = {
            name: cls
            for name, cls in Schedule._classes.items()
            if dataclasses.is_dataclass(cls)
        }
        cls: Any = known.get(str(name))
        if cls is None:
            raise ValueError(
                f"The 'class' in the state of Schedule.from_dict must be one of "
                f"{sorted(known)}. Got {name!r}; pass what to_dict gave."
            )
        wanted = {field.name for field in dataclasses.fields(cls)}
        if (given := {*state} - {"class"}) != wanted:
            raise ValueError(
                f"The 'state' of Schedule.from_dict must have the fields "
                f"{sorted(wanted)} for {name}. Got {sorted(given)}; pass what to_dict "
                f"gave."
            )
        return cast("Schedule", cls(**{key: _from_plain(state[key]) for key in wanted}))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the fields; the pieces are made again."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # type: ignore[arg-type]
        return partial(type(self), **values), ()

    # LambdaLR saves a copy of this dictionary of its function, and updates it when a
    # checkpoint is loaded. So the whole state is saved, and another one is refused.
    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        return _StoredState(self.to_dict())

    @property
    def _quantity(self) -> str:
        """What the values are, as a label of an axis."""
        return "Value"

    def _end_value(self, step: int) -> float:
        """Return the value that annealing from a step ends in by default."""
        raise NotImplementedError

    def _store(self, **values: Any) -> None:
        """Set fields while the frozen schedule is made."""
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _as_steps(self, step: Any) -> tuple[NDArray[np.float64], Any]:
        """Return steps as float64 and the way back to the kind of array."""
        if is_tensor(step):
            return to_float64(step)
        steps = np.asarray(step)
        if steps.dtype.kind not in "iuf":
            raise TypeError(
                f"The 'step' of {type(self).__name__} must be a number or an array of "
                f"numbers. Got {step!r}; pass for example 0 or np.arange(100)."
            )
        return steps.astype(np.float64), lambda values: values

    def _which(self, steps: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return the number of the piece of each step."""
        refused = ~(steps >= 0.0)
        if refused.any():
            raise self._refusal(steps[refused].flat[0])
        if self.is_template:
            raise self._refusal(0)
        return np.searchsorted([piece.stop for piece in self._pieces], steps)

    def _refusal(self, step: float) -> ValueError:
        caller = type(self).__name__
        if step >= 0:
            return ValueError(
                f"{caller} expected n_steps, the length of the run, to know how many "
                f"steps its phases have. Got n_steps=None; pass n_steps=..., or call "
                f"over(n_steps) first."
            )
        return ValueError(
            f"The 'step' of {caller} must be a number >= 0. Got {step}; count steps "
            f"from 0 or 1."
        )


class Spanned(Schedule):
    """A schedule with a length: base class of those that are not made of others.

    A subclass is a dataclass and implements ``_plan``.
    """

    __slots__ = ()

    n_steps: int | None

    def __post_init__(self) -> None:
        if self.n_steps is not None:
            self._store(n_steps=as_count(self.n_steps, "n_steps", type(self).__name__))
        phases = self._plan()
        self._store(_pieces=() if phases is None else assemble(phases))

    def over(self, n_steps: int) -> Self:
        """Return the same schedule for a run of another length.

        Parameters
        ----------
        n_steps : int
            Steps of the run. Shares of it follow, numbers of steps stay.

        Returns
        -------
        schedule : Schedule
            A copy.
        """
        return dataclasses.replace(cast("Any", self), n_steps=n_steps)

    def _plan(self) -> list[tuple[str, float, Curve]] | None:
        """Check the fields and return (name, last step, curve) of each phase.

        Returns
        -------
        phases : list or None
            None if the steps of a phase depend on `n_steps`, which is not given.
        """
        raise NotImplementedError

    def _lengths(self, *names: str) -> list[float | None]:
        """Check lengths of phases and return them in steps, None where unknown."""
        caller = type(self).__name__
        lengths = []
        for name in names:
            given = getattr(self, name)
            value = as_phase(given, name, caller, unending=name == "constant")
            self._store(**{name: value})
            lengths.append(phase_steps(value, self.n_steps))
        return lengths


class _StoredState(dict[str, Any]):
    """The state of a schedule, which loading a checkpoint may confirm, not change."""

    def update(self, *args: Any, **kwargs: Any) -> None:
        stored = dict(*args, **kwargs)
        if stored != self:
            raise ValueError(
                f"The stored state must be that of this schedule, {dict(self)}. Got "
                f"{stored}; make the schedule with Schedule.from_dict(stored) to go "
                f"on as before."
            )


def _plain(value: Any) -> Any:
    if isinstance(value, Schedule):
        return value.to_dict()
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def _from_plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return Schedule.from_dict(value)
    return tuple(map(_from_plain, value)) if isinstance(value, list) else value
