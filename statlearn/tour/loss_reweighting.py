"""Section on weights from losses: does descent get there sooner, and when not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from statlearn.tour._section import Figure, Progress, Section, SectionResult, Table

if TYPE_CHECKING:
    from statlearn.tour._reweighting_study import Diabetes, Digits, Toy


def run(
    progress: Progress,
    *,
    n_seeds: int = 5,
    n_splits: int = 10,
    n_digit_splits: int = 4,
) -> SectionResult:
    """Repeat the paper's toy, look at what it leaves out, then at two real tables.

    Parameters
    ----------
    progress : Progress
        Where to report.
    n_seeds : int, default=5
        Number of simulated tables of each kind.
    n_splits : int, default=10
        Number of random splits of the diabetes table.
    n_digit_splits : int, default=4
        Number of random splits of the digits.

    Returns
    -------
    SectionResult
        Steps, floors, losses on rows left out, figures.
    """
    from statlearn.tour import _reweighting_study as study

    toy = study.simulate(progress, n_seeds)
    diabetes = study.fit_diabetes(progress, n_splits)
    digits = study.fit_digits(progress, n_digit_splits)
    steps = toy.mean_steps()
    return SectionResult(
        data=(
            f"Simulated regressions (2000 rows, 20 features), {n_seeds} seeds; "
            f"diabetes ({diabetes.n_rows} rows), {n_splits} splits; digit "
            f"{study.DIGIT} among {digits.n_rows} digits, {n_digit_splits} splits"
        ),
        measured=f"{_say_toy(toy)} {_say_tables(diabetes, digits)}",
        peer=(
            "the same descent with uniform weights, for digits scikit-learn's "
            "SGDClassifier; least squares for the limit"
        ),
        supported=(
            min(steps, key=lambda rule: steps[rule]) == study.LINUPPER
            and steps[study.QUADRATIC] < steps[study.UNIFORM]
        ),
        figures=_figures(toy, diabetes),
        tables=(
            _steps_table(toy),
            _floors_table(toy),
            _diabetes_table(diabetes),
            _digits_table(digits),
        ),
        notes=_notes(toy),
    )


def _say_toy(toy: Toy) -> str:
    from statlearn.tour import _reweighting_study as study

    steps = ", ".join(f"{n:.0f} {rule}" for rule, n in toy.mean_steps().items())
    best = ", ".join(f"{toy.best_rate(rule)[0]:.0f}" for rule in study.RULES)
    noisy = toy.floor_ratio(study.NOISY, study.LINUPPER)
    dirty = toy.floor_ratio(study.DIRTY, study.LINUPPER)
    return (
        f"Redundant rows, steps to test loss {study.GOAL:g}: {steps} at the learning "
        f"rate {study.RATE:g}; {best} when each rule has its best rate. LinUpper ends "
        f"at {noisy:.2f} times the loss of uniform weights on noisy rows, {dirty:.1f} "
        "times with 2 % outliers."
    )


def _say_tables(diabetes: Diabetes, digits: Digits) -> str:
    from statlearn.tour import _reweighting_study as study

    change = 100 * diabetes.change(study.LINUPPER)
    ours = digits.log_loss[study.LINUPPER].mean(axis=0)
    plain = digits.log_loss[study.UNIFORM].mean(axis=0)
    losses = ", ".join(
        f"{a:.3f} against {b:.3f} at the rate {rate:g}"
        for a, b, rate in zip(ours, plain, study.DIGIT_RATES, strict=True)
    )
    return (
        f"Diabetes: test loss {change[0]:+.1f} % after {study.EPOCHS[0]} epoch, "
        f"{change[-1]:+.1f} % after {study.EPOCHS[-1]}. Digits: log loss {losses}."
    )


def _steps_table(toy: Toy) -> Table:
    from statlearn.tour import _reweighting_study as study

    plain = toy.steps(study.UNIFORM)
    rows = []
    for rule in study.RULES:
        steps = toy.steps(rule)
        won = f"{int((steps < plain).sum())} of {toy.n_seeds}"
        others = [
            f"{count:.0f}" if count < float("inf") else "not reached"
            for count in toy.by_rate[rule][1:]
        ]
        rows.append(
            (
                rule,
                f"{steps.mean():.0f} ({steps.min():.0f} to {steps.max():.0f})",
                "" if rule == study.UNIFORM else won,
                *others,
            )
        )
    return Table(
        f"Steps to test loss {study.GOAL:g} on redundant rows, mean of {toy.n_seeds} "
        f"seeds (range at the rate {study.RATE:g}), temperature "
        f"{study.TEMPERATURE:g}; columns are learning rates",
        (
            "Rule",
            f"{study.RATE:g}",
            "Sooner than uniform",
            *(f"{rate:g}" for rate in study.RATES[1:]),
        ),
        tuple(rows),
    )


def _floors_table(toy: Toy) -> Table:
    from statlearn.tour import _reweighting_study as study

    kinds = (study.NOISY, study.DIRTY)
    return Table(
        "What the descent settles at: test loss, mean of the last 200 steps and "
        f"{toy.n_seeds} seeds, and its ratio to that of uniform weights",
        ("Rule", *(word for kind in kinds for word in (kind.capitalize(), "Ratio"))),
        tuple(
            (
                rule,
                *(
                    word
                    for kind in kinds
                    for word in (
                        f"{toy.floor(kind, rule):.5f}",
                        f"{toy.floor_ratio(kind, rule):.2f}",
                    )
                ),
            )
            for rule in study.RULES
        ),
    )


def _diabetes_table(diabetes: Diabetes) -> Table:
    from statlearn.tour import _reweighting_study as study

    n_splits = len(diabetes.limit)
    rows = []
    for rule, losses in diabetes.losses.items():
        means, wins = losses.mean(axis=0), diabetes.wins(rule)
        rows.append(
            (
                rule,
                *(
                    f"{mean:.4f}" if rule == study.UNIFORM else f"{mean:.4f} ({won})"
                    for mean, won in zip(means, wins, strict=True)
                ),
            )
        )
    limit = f"{diabetes.limit.mean():.4f}"
    rows.append(("least squares", *[""] * (len(study.EPOCHS) - 1), limit))
    return Table(
        "Diabetes: half the mean squared error on rows left out, responses of "
        f"variance one, mean of {n_splits} splits (splits better than uniform); "
        "columns are epochs, least squares is the limit",
        ("Rule", *(str(epoch) for epoch in study.EPOCHS)),
        tuple(rows),
    )


def _digits_table(digits: Digits) -> Table:
    from statlearn.tour import _reweighting_study as study

    rows = []
    for rule, losses in digits.log_loss.items():
        cells = []
        for column in range(len(study.DIGIT_RATES)):
            errors = digits.error_rate[rule][:, column]
            won = f"{digits.wins(rule)[column]} of {len(losses)}"
            cells += [
                f"{losses[:, column].mean():.4f}",
                f"{100 * errors.mean():.1f} %",
                "" if rule == study.UNIFORM else won,
            ]
        rows.append((rule, *cells))
    return Table(
        f"Digit {study.DIGIT} against the others, scikit-learn's SGDClassifier in "
        f"LossReweighted, {study.DIGIT_EPOCHS} epochs, mean of the splits, rows left "
        "out",
        (
            "Rule",
            *(
                f"{word}, rate {rate:g}"
                for rate in study.DIGIT_RATES
                for word in ("Log loss", "Errors", "Better than uniform")
            ),
        ),
        tuple(rows),
    )


def _figures(toy: Toy, diabetes: Diabetes) -> tuple[Figure, ...]:
    from statlearn.tour import _reweighting_figures as figures
    from statlearn.tour import _reweighting_study as study

    steps = ", ".join(f"{rule} {n:.0f}" for rule, n in toy.mean_steps().items())
    best = ", ".join(
        f"{rule} {count:.0f} steps at {rate:g}"
        for rule in study.RULES
        for count, rate in [toy.best_rate(rule)]
    )
    change = 100 * diabetes.change(study.LINUPPER)
    return (
        Figure(
            "Test loss against step under four rules",
            "Three panels of test loss, logarithmic, against step, one line a rule. "
            f"On redundant rows the loss {study.GOAL:g} is reached after: {steps} "
            "steps. On noisy rows LinUpper falls first and ends higher; with outliers "
            "it ends highest.",
            f"Learning rate {study.RATE:g}, geometric mean over the seeds. Dashed "
            f"line: test loss {study.GOAL:g}. The first panel is the case that "
            "LinUpper is made for; the others show what the speed costs.",
            lambda canvas: figures.draw_losses(canvas, toy),
            (7.6, 3.2),
        ),
        Figure(
            "How much of the lead is a longer step",
            "Lines of the number of steps to the goal against the learning rate, both "
            f"logarithmic, one a rule. Fewest: {best}.",
            "Redundant rows. Weights that favour large losses lengthen the steps, and "
            "so does a larger rate: the lines meet where each rule is fastest. A line "
            "ends where the descent fails.",
            lambda canvas: figures.draw_rates(canvas, toy),
            (7.2, 3.0),
        ),
        Figure(
            "Diabetes: test loss relative to uniform weights",
            "Dots, one a split, of the test loss relative to uniform weights after "
            f"1 to {study.EPOCHS[-1]} epochs, three rules. LinUpper is at "
            f"{change[0]:+.1f} % after the first and {change[-1]:+.1f} % after the "
            "last.",
            "Below the dashed line a rule is better than uniform weights. Bars: ratio "
            "of the mean losses.",
            lambda canvas: figures.draw_diabetes(canvas, diabetes),
            (7.2, 2.8),
        ),
    )


def _notes(toy: Toy) -> tuple[str, ...]:
    from statlearn.tour import _reweighting_study as study

    return (
        "The verdict is about the toy at the fixed learning rate: it holds when "
        "LinUpper needs the fewest steps and Quadratic fewer than uniform weights, in "
        "the mean over the seeds.",
        "The paper shows its toy regression as a figure, without the data; nine of ten "
        "rows are made redundant here, so the order of the rules can be compared and "
        "the numbers cannot. Its experiments with language models are not repeated.",
        "Test loss of the toy is that of fresh rows with independent features, without "
        "noise: half the squared distance from the true coefficients.",
        "A rule that raises the weight of large losses makes longer steps where it "
        f"matters. Where the learning rate is free, compare best with best: "
        f"{toy.best_rate(study.LINUPPER)[0]:.0f} steps for LinUpper, "
        f"{toy.best_rate(study.UNIFORM)[0]:.0f} for uniform weights.",
        "Outliers have large losses for ever, and one of them squeezes all other "
        "losses of its batch together: use a robust rule where responses may be wrong.",
    )


SECTION = Section(
    name="loss_reweighting",
    method="Weights from the losses of a batch",
    classes=(
        "statlearn.compose.LossReweighted",
        "statlearn.linear_model.ReweightedLinearRegression",
        "statlearn.weights.Extremes",
        "statlearn.weights.LinUpper",
        "statlearn.weights.Quadratic",
        "statlearn.weights.Uniform",
    ),
    paper=(
        "D. Sow, H. Woisetschläger, S. Bulusu, S. Wang, H.-A. Jacobsen, Y. Liang, "
        "Dynamic Loss-Based Sample Reweighting for Improved Large Language Model "
        "Pretraining, ICLR 2025"
    ),
    status="stable",
    claim=(
        "On a toy regression LinUpper reaches the lowest test loss soonest, and "
        "Quadratic is sooner than uniform weights (temperature 1)."
    ),
    run=run,
)
