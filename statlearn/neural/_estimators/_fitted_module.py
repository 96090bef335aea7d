"""A fitted module as plain arrays: asked for outputs, pickled, saved and loaded."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from statlearn.neural._estimators._fit_checks import check_axes
from statlearn.neural._estimators._fit_rows import Table
from statlearn.neural._estimators._network import (
    Network,
    State,
    load_arrays,
    make_module,
    read_only,
    to_plain,
)
from statlearn.neural._estimators._state_file import read_state, write_state
from statlearn.neural._estimators._trainer import Trainer
from statlearn.neural._training._inference import predict, read_device
from statlearn.utils._numbers import is_integer

# Parameters of which the module is made, which may be others by now.
_MAKERS = ("module", "hidden_layer_sizes", "weight_map")
DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True, slots=True)
class Live:
    """What is kept besides the fitted state, which it can be made of again.

    `state` has the arrays that `network` has the weights of.
    """

    state: State
    network: Network
    trainer: Trainer | None = None

    @classmethod
    def of(cls, state: State, network: Network, trainer: Trainer | None = None) -> Live:
        """Note the arrays of a state, whose names may get others by and by."""
        return cls(dict(state), network, trainer)

    def is_of(self, state: State) -> bool:
        """Return whether a state holds these arrays, which nobody can write into."""
        same = all(state.get(name) is array for name, array in self.state.items())
        return same and len(state) == len(self.state)


class FittedModule(BaseEstimator):
    """A module whose weights are arrays, made again from parameters when needed."""

    module: Any
    hidden_layer_sizes: Any
    weight_map: Any
    device: Any
    dtype: str

    state_: State
    n_outputs_: int
    n_iter_: int
    n_features_in_: int
    history_: dict[str, list[Any]]
    best_validation_score_: float | None

    # Seed of the first weights: bits below a map that the state does not hold.
    _seed: int
    # Type that `state_` was trained in; the parameter may be another by now.
    _dtype: str
    # Parameters that the module of the fitted state was made of.
    _made_of: dict[str, Any]
    _live: Live | None

    def __sklearn_is_fitted__(self) -> bool:
        # Facts of the rows are there before training, which may fail.
        return hasattr(self, "state_")

    def to_module(self) -> nn.Module:
        """Return the trained module, with the map on its weights.

        Returns
        -------
        module : Module
            A copy in evaluation mode, on the CPU. It takes rows and returns logits or
            values of shape (n, n_outputs).

        See Also
        --------
        statlearn.neural.fold : Turns weights with a map into plain ones.
        """
        check_is_fitted(self)
        return self._loaded(self._dtype).eval()

    def save_state(self, path: Any) -> None:
        """Write the fitted state to a safetensors file.

        Weights are under their names in the state dict of the module, so other
        programs can read the file too. Parameters are code, and are not in it.

        Parameters
        ----------
        path : path-like
            File with the suffix ``.safetensors``; one of this name is replaced.

        Raises
        ------
        ValueError
            For another suffix.
        FileNotFoundError
            If the folder does not exist.
        TypeError
            If labels are neither numbers nor strings.

        See Also
        --------
        load_state : The way back.
        """
        check_is_fitted(self)
        names = getattr(self, "feature_names_in_", None)
        facts = {
            "estimator": type(self).__name__,
            "n_features_in": self.n_features_in_,
            "feature_names_in": None if names is None else names.tolist(),
            "n_outputs": self.n_outputs_,
            "n_iter": self.n_iter_,
            "seed": self._seed,
            **self._target_facts(),
        }
        write_state(path, self.state_, facts, f"{type(self).__name__}.save_state")

    def load_state(self, path: Any) -> Self:
        """Take up the fitted state in a file, for the parameters it was fitted with.

        A method of an estimator and not of its class, since the module and the map are
        made by functions among the parameters, and no function comes out of a file.

        Parameters
        ----------
        path : path-like
            File that :meth:`save_state` wrote. Nothing in it is run.

        Returns
        -------
        self : estimator
            Fitted; as it was before if an error is raised.

        Raises
        ------
        ValueError
            If the file is no such file, or does not fit the parameters.

        See Also
        --------
        save_state : The way there.
        """
        caller = f"{type(self).__name__}.load_state"
        state, facts = read_state(path, caller)
        found = clone(self)
        try:
            if facts["estimator"] != type(self).__name__:
                raise ValueError(f"the state of a {facts['estimator']}")
            found.__dict__ |= _fitted(facts) | self._from_target_facts(facts)
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise ValueError(
                f"The 'path' of {caller} must be a file that save_state of a "
                f"{type(self).__name__} has written. Got {str(path)!r} "
                f"({type(error).__name__}: {error}); save the state again."
            ) from error
        found.state_, found._dtype = state, self.dtype
        found._note_makers()
        try:
            found._ready()
        except (MemoryError, RuntimeError) as error:
            raise ValueError(
                f"The 'path' of {caller} must be a file of a module that can be made "
                f"here. Got {str(path)!r}, of {found.n_features_in_} features and "
                f"{found.n_outputs_} outputs ({str(error).partition(chr(10))[0]}); "
                f"save the state again, or set the parameters it was fitted with."
            ) from error
        self.__dict__.pop("feature_names_in_", None)
        self.__dict__ |= {
            name: value
            for name, value in vars(found).items()
            if name not in self.get_params(deep=False)
        }
        return self

    # -- outputs ------------------------------------------------------------------

    def _outputs(self, X: Any) -> NDArray[Any]:
        """Return outputs (n_samples, n_outputs); float32 for rows of that type only."""
        check_is_fitted(self)
        check_axes(X, type(self).__name__)
        kind = np.float32 if getattr(X, "dtype", None) == np.float32 else np.float64
        X = validate_data(self, X, reset=False, **self._table_kind(self._dtype))
        return self._of_table(self._ready(), Table(X)).astype(kind, copy=False)

    def _of_table(self, network: Network, table: Table) -> NDArray[Any]:
        """Return outputs of a network for a table that has been checked."""
        return predict(
            network, table.handle, forward=lambda net, part: net(table.features(part))
        ).numpy()

    # -- the module and what is kept of it ----------------------------------------

    def _new_module(self, dtype: str) -> nn.Module:
        """Return the module of the parameters at its start, in a type."""
        self._note_makers()
        return self._made(dtype)

    def _note_makers(self) -> None:
        """Let the module be made of the parameters as they are now."""
        self._made_of = {name: getattr(self, name) for name in _MAKERS}

    def _made(self, dtype: str) -> nn.Module:
        """Return the module of the last fit at its start, in a type."""
        return make_module(
            n_features=self.n_features_in_,
            n_outputs=self.n_outputs_,
            **self._made_of,
            dtype=DTYPES[dtype],
            seed=self._seed,
            caller=type(self).__name__,
        )

    def _loaded(self, dtype: str) -> nn.Module:
        """Return a module of the last fit with the fitted weights, in a type."""
        module = self._made(dtype)
        load_arrays(module, self.state_, type(self).__name__)
        return module

    def _fresh_live(self) -> Live | None:
        """Return what was kept, if it is what the state says."""
        live: Live | None = getattr(self, "_live", None)
        return live if live is not None and live.is_of(self.state_) else None

    def _ready(self) -> Network:
        """Return the network to predict with; made, if it is not there."""
        live = self._fresh_live()
        if live is None:
            network = Network(self._loaded(self._dtype), self._dtype)
            network = network.to(self._place()).eval()
            self._past = self._get_past()
            self.state_ = read_only(self.state_)
            live = self._live = Live.of(self.state_, network)
        return live.network

    def _place(self) -> torch.device:
        """Return where to compute."""
        return read_device(self.device or "cpu", nn.Module(), type(self).__name__)

    def _get_past(self) -> Any:
        """Return place and optimizer of the last call as plain data, or None."""
        live: Live | None = getattr(self, "_live", None)
        if live is None or live.trainer is None:
            return getattr(self, "_past", None)
        state = live.trainer.loop.state_dict()
        del state["model"]  # that is the fitted state
        return to_plain(state)

    def __getstate__(self) -> dict[str, Any]:
        """Return plain data: modules with maps on their weights cannot be pickled."""
        for module in (self.module, getattr(self, "_made_of", {}).get("module")):
            if isinstance(module, nn.Module) and any(
                map(is_parametrized, module.modules())
            ):
                raise TypeError(
                    f"The 'module' of {type(self).__name__} must have no maps on its "
                    f"weights to be pickled, which torch cannot do. Got "
                    f"{type(module).__name__} with maps; pass the plain module and "
                    f"put the maps on by 'weight_map', or pass a function that makes "
                    f"both, or call fold(module) before."
                )
        return self._plain_state()

    def __copy__(self) -> Self:
        copied = type(self).__new__(type(self))
        copied.__setstate__(self._plain_state())
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # Not by way of a pickle: maps on weights can be copied.
        copied = memo[id(self)] = type(self).__new__(type(self))
        copied.__setstate__(copy.deepcopy(self._plain_state(), memo))
        return copied

    def _plain_state(self) -> dict[str, Any]:
        """Return all attributes, with the place of training as plain data."""
        state = dict(super().__getstate__())
        if "_live" in state:
            state["_past"] = self._get_past()
            del state["_live"]
        return state

    def _table_kind(self, dtype: str) -> dict[str, Any]:
        return {"accept_sparse": "csr", "dtype": np.dtype(dtype)}

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # -- what differs -------------------------------------------------------------

    def _target_facts(self) -> dict[str, Any]:
        """Return what a file has to say of the targets."""
        raise NotImplementedError

    def _from_target_facts(self, facts: dict[str, Any]) -> dict[str, Any]:
        """Return the attributes that a file says them of."""
        raise NotImplementedError


def _fitted(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes that a file says the facts of."""
    counts = ("n_features_in", "n_outputs", "n_iter")
    for name, lowest in {**dict.fromkeys(counts, 1), "seed": 0}.items():
        if not is_integer(facts[name]) or not lowest <= facts[name] < 2**63:
            raise ValueError(f"{name} {facts[name]!r}")
    found: dict[str, Any] = {f"{name}_": facts[name] for name in counts}
    if facts["feature_names_in"] is not None:
        names = np.array(facts["feature_names_in"], dtype=object)
        if names.shape != (found["n_features_in_"],) or not all(
            isinstance(name, str) for name in names
        ):
            raise ValueError(f"names of shape {names.shape}")
        found["feature_names_in_"] = names
    return found | {
        "history_": {"epoch": [], "loss": [], "learning_rate": []},
        "best_validation_score_": None,
        "_seed": facts["seed"],
        "_order": facts["seed"],
        "_past": None,
    }
