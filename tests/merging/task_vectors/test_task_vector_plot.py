"""The heat map of cosines between task vectors draws what it stores."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import Ridge

from merging_cases import known
from statlearn.merging import (
    TaskVectorDisplay,
    cosine_matrix,
    get_weights,
    set_weights,
    task_vector,
)


def named(n_models=3):
    """The base of the known cases, and its models by name."""
    base, models = known(n_models)
    return base, dict(zip("abcde", models, strict=False))


def ticks(axis):
    return [text.get_text() for text in axis.get_ticklabels()]


def colour(display, cosine):
    """Red, green, blue and opacity of the cell of a cosine."""
    return display.image_.cmap(display.image_.norm(cosine))


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_the_cosines_are_those_of_flat_unit_vectors():
    base, models = named()
    display = TaskVectorDisplay.from_models(models, base)
    updates = np.array([(m["w"] - base["w"]).ravel() for m in models.values()])
    unit = updates / np.linalg.norm(updates, axis=1, keepdims=True)
    assert_allclose(display.cosines, unit @ unit.T, atol=1e-14)


def test_task_vectors_and_estimators_serve_as_models():
    base, models = named()
    vectors = {name: task_vector(model, base) for name, model in models.items()}
    of_models = TaskVectorDisplay.from_models(models, base)
    of_vectors = TaskVectorDisplay.from_models(vectors, base)
    assert_array_equal(of_vectors.cosines, of_models.cosines)
    start = Ridge().fit([[0.0], [1.0]], [0.0, 1.0])
    steeper = {n: a + (n == "coef_") for n, a in get_weights(start).items()}
    flatter = {n: a - 3 * (n == "coef_") for n, a in get_weights(start).items()}
    tuned = {"up": set_weights(start, steeper), "down": set_weights(start, flatter)}
    display = TaskVectorDisplay.from_models(tuned, start)
    assert_allclose(display.cosines, [[1.0, -1.0], [-1.0, 1.0]])


def test_the_map_shows_the_cosines_with_names_and_numbers():
    base, models = named()
    display = TaskVectorDisplay.from_models(models, base).plot()
    assert_array_equal(display.image_.get_array(), display.cosines)
    assert ticks(display.ax_.xaxis) == ticks(display.ax_.yaxis) == ["a", "b", "c"]
    numbers = [text.get_text() for text in display.texts_]
    assert numbers == [f"{cosine:.2f}" for cosine in display.cosines.ravel()]
    assert display.colorbar_.ax.get_ylabel() == "Cosine of task vectors"
    assert display.figure_ is display.ax_.figure


def test_colours_mean_the_same_in_every_map():
    weak = TaskVectorDisplay.from_cosines([[0.1]]).plot()
    assert weak.image_.get_clim() == (-1.0, 1.0)


def test_either_sign_has_a_colour_that_fades_towards_zero():
    display = TaskVectorDisplay.from_cosines(np.eye(2)).plot()
    opposite, half, none, alike = (colour(display, c) for c in (-1.0, -0.5, 0.0, 1.0))
    assert opposite[0] > opposite[2]  # a warm colour
    assert alike[0] < alike[2]  # a cold one
    assert opposite[3] == pytest.approx(alike[3])
    assert half[:3] == pytest.approx(opposite[:3])
    assert half[3] == pytest.approx(opposite[3] / 2, abs=0.01)
    assert none[3] < 0.01


def test_many_models_have_colours_without_numbers():
    display = TaskVectorDisplay.from_cosines(np.eye(13)).plot()
    assert display.texts_ == []
    assert len(ticks(display.ax_.yaxis)) == 13


def test_it_draws_on_given_axes_with_own_settings():
    _, ax = plt.subplots()
    display = TaskVectorDisplay.from_cosines(np.eye(2), ["one", "two"])
    display.plot(ax, name="Cosine at the head", cmap="Greys")
    assert display.ax_ is ax
    assert display.image_.cmap.name == "Greys"
    assert display.colorbar_.ax.get_ylabel() == "Cosine at the head"


def test_cosines_from_elsewhere_are_numbered_and_may_be_rounded():
    base, models = named(2)
    found = cosine_matrix(list(models.values()), base)
    assert TaskVectorDisplay.from_cosines(found).models == ["0", "1"]
    rounded = TaskVectorDisplay.from_cosines([[1.0 + 1e-12]])
    assert rounded.cosines.shape == (1, 1)


@pytest.mark.parametrize(
    "cosines",
    [[1.0], [[1.0, 0.0]], np.empty((0, 0)), [[1.5]], [[np.nan]], [["a"]]],
    ids=["vector", "no square", "empty", "above one", "nan", "words"],
)
def test_what_is_no_square_of_cosines_is_refused(cosines):
    with pytest.raises(
        ValueError, match=r"'cosines' of .*from_cosines must.*Got.*pass"
    ):
        TaskVectorDisplay.from_cosines(cosines)


def test_names_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"'models' of .*each of 2.*Got 1 names; pass"):
        TaskVectorDisplay.from_cosines(np.eye(2), ["one"])


def test_models_without_names_are_refused():
    base, models = named()
    with pytest.raises(TypeError, match=r"'models' of .*names.*Got list; pass"):
        TaskVectorDisplay.from_models(list(models.values()), base)


def test_several_axes_are_refused():
    _, axes = plt.subplots(1, 2)
    with pytest.raises(ValueError, match=r"'ax' parameter of TaskVectorDisplay\.plot"):
        TaskVectorDisplay.from_cosines(np.eye(2)).plot(axes)
