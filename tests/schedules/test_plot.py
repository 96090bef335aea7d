"""The display of schedules draws values and phases."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from statlearn.schedules import (
    Concatenate,
    Constant,
    Cosine,
    InfiniteCosine,
    ScheduleDisplay,
    StepCooldown,
)

COSINE = Cosine(0.1, n_steps=100, warmup=10)


def names(ax):
    return [text.get_text() for text in ax.texts]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_a_schedule_is_drawn_as_value_against_step():
    display = ScheduleDisplay.from_schedule(COSINE).plot()
    assert_array_equal(display.line_.get_xdata(), np.arange(101))
    assert_array_equal(display.line_.get_ydata(), COSINE(np.arange(101)))
    ax = display.ax_
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Step", "Learning rate")
    assert ax.get_title() == ""
    assert ax.get_ylim()[0] == 0.0
    assert legend(ax) == ["Cosine"]
    assert display.figure_ is ax.figure


def test_phases_are_named_and_every_other_one_is_shaded():
    display = ScheduleDisplay.from_schedule(InfiniteCosine(0.1, n_steps=1000)).plot()
    assert names(display.ax_) == ["warmup", "cooldown", "constant", "anneal"]
    assert len(display.shades_) == 2
    marked = display.line_.get_markevery()
    assert display.steps[marked].tolist() == [10, 610, 850]


def test_a_second_schedule_leaves_the_phases_of_the_first_alone():
    first = ScheduleDisplay.from_schedule(COSINE).plot()
    second = ScheduleDisplay.from_schedule(InfiniteCosine(0.1, n_steps=100))
    second.plot(first.ax_, name="infinite", linestyle="--")
    assert names(first.ax_) == ["warmup", "decay"]
    assert second.shades_ == []
    assert legend(first.ax_) == ["Cosine", "infinite"]
    assert first.line_.get_color() != second.line_.get_color()
    assert second.line_.get_linestyle() == "--"
    assert first.ax_.get_ylabel() == "Learning rate"


def test_axes_of_different_quantities_is_labelled_by_neither():
    ax = ScheduleDisplay.from_schedule(COSINE).plot().ax_
    cooldown = ScheduleDisplay.from_schedule(StepCooldown(), n_steps=100)
    assert cooldown.value_name == "Temperature"
    cooldown.plot(ax)
    assert ax.get_ylabel() == "Value"


def test_both_sides_of_a_jump_are_drawn_in_a_long_run():
    display = ScheduleDisplay.from_schedule(StepCooldown(n_steps=10**6))
    assert {499_999.0, 500_000.0} <= {*display.steps}
    assert len(display.steps) < 1100
    jump = np.searchsorted(display.steps, 500_000)
    assert display.values[[jump - 1, jump]].tolist() == [5.0, 1.0]


def test_tasks_show_the_phases_of_each():
    tasks = Concatenate([COSINE, COSINE])
    display = ScheduleDisplay.from_schedule(tasks)
    assert [name for name, _, _ in display.phases] == ["warmup", "decay"] * 2
    assert {100.0, 101.0} <= {*display.steps}
    assert display.value_name == "Learning rate"


def test_picture_may_stop_early_or_go_on():
    assert ScheduleDisplay.from_schedule(COSINE, n_steps=50).steps[-1] == 50
    longer = ScheduleDisplay.from_schedule(COSINE, n_steps=200)
    assert longer.phases[-1] == ("end", 100.0, 200.0)
    assert longer.values[-1] == COSINE.eta_min


def test_template_is_drawn_over_the_given_steps():
    display = ScheduleDisplay.from_schedule(Cosine(0.1), n_steps=300)
    assert_array_equal(display.values, Cosine(0.1, n_steps=300)(np.arange(301)))


def test_any_function_of_the_step_is_drawn_without_phases():
    def halving(step):
        return 0.5**step

    display = ScheduleDisplay.from_schedule(halving, n_steps=4).plot()
    assert_array_equal(display.line_.get_ydata(), 0.5 ** np.arange(5))
    assert names(display.ax_) == []
    assert legend(display.ax_) == ["halving"]
    assert display.ax_.get_ylabel() == "Value"


@pytest.mark.parametrize(
    ("schedule", "options", "error", "message"),
    [
        (0.1, {"n_steps": 5}, TypeError, r"'schedule' of .* Got 0.1; pass a Sch"),
        (
            Constant(0.1),
            {},
            ValueError,
            r"'n_steps' of .* Got None; pass the last",
        ),
        (Constant(0.1), {"n_steps": 0}, ValueError, r"'n_steps'.* at least 1. Got 0"),
        (Constant(0.1), {"n_steps": 1.5}, TypeError, r"'n_steps'.* Got 1.5"),
    ],
)
def test_bad_display_is_refused_with_what_to_do(schedule, options, error, message):
    with pytest.raises(error, match=message):
        ScheduleDisplay.from_schedule(schedule, **options)


def test_more_than_one_axes_is_refused():
    _, axes = plt.subplots(1, 2)
    with pytest.raises(ValueError, match=r"'ax' parameter of ScheduleDisplay.plot"):
        ScheduleDisplay.from_schedule(COSINE).plot(axes)
