"""Section on trajectories: one expert episode among hundreds of random ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from statlearn.tour._section import Figure, Progress, Section, SectionResult, Table

if TYPE_CHECKING:
    from statlearn.tour._cartpole_study import Study


def run(progress: Progress, *, n_seeds: int = 2) -> SectionResult:
    """Clone mixed data with and without weights, and run the clones.

    Parameters
    ----------
    progress : Progress
        Where to report.
    n_seeds : int, default=2
        Number of data sets of each kind.

    Returns
    -------
    SectionResult
        Returns of the clones, a lottery that misleads them, figures.
    """
    from statlearn.tour import _cartpole_study as study

    found = study.learn(progress, n_seeds)
    first = found.trials[study.ONE][0]
    return SectionResult(
        data=(
            f"CartPole of gymnasium, {study.N_TRANSITIONS} transitions by random "
            f"actions and a share by an expert: at {study.ONE}, {first.n_experts} "
            f"expert episode among {first.n_trajectories}; {n_seeds} data sets of each "
            f"kind; {study.N_ROUNDS} rounds of a lottery"
        ),
        measured=f"{_say_returns(found)} {_say_limits(found)}",
        peer=(
            "scikit-learn: the same LogisticRegression on all transitions; behaviour "
            "cloning of the best tenth of the episodes"
        ),
        supported=found.weights_help(),
        figures=_figures(found),
        tables=(_returns(found), _lottery(found)),
        notes=_notes(found),
    )


def _say(found: Study, setting: str) -> str:
    from statlearn.tour import _cartpole_study as study

    return ", ".join(
        f"{found.mean(setting, method):.0f} ({method})" for method in study.METHODS
    )


def _say_returns(found: Study) -> str:
    from statlearn.tour import _cartpole_study as study

    return (
        f"Mean return of clones, of at most {study.LIMIT}, with {study.ONE} by an "
        f"expert: {_say(found, study.ONE)}; with {study.HALF}: "
        f"{_say(found, study.HALF)}."
    )


def _say_limits(found: Study) -> str:
    from statlearn.tour import _cartpole_study as study

    plain, weighted = found.luck[study.PLAIN], found.luck[study.RETURN]
    return (
        f"Little to gain where there is nobody to imitate ({_say(found, study.NONE)}), "
        "nothing with a tree that is grown to the end "
        f"({_say(found, study.FULL_TREE)}). Harm "
        f"where returns are luck: a clone of a lottery is worth {weighted.value:.2f} "
        f"with return weights and {plain.value:.2f} without."
    )


def _returns(found: Study) -> Table:
    from statlearn.tour import _cartpole_study as study

    rows = []
    for setting in study.SETTINGS:
        share = 100.0 * found.trials[setting][0].expert_share
        means = (f"{found.mean(setting, m):.0f}" for m in study.METHODS)
        rows.append((setting, f"{share:.1f} %", *means))
    return Table(
        f"Mean return of {study.N_EPISODES} episodes by each clone, mean of data sets; "
        "logistic regression, where no tree is named",
        ("Asked of the expert", "Got", *study.METHODS),
        tuple(rows),
    )


def _lottery(found: Study) -> Table:
    return Table(
        "A choice between 0.6 for sure and 1 with probability 0.3, made at random in "
        "the data: what is learnt of them, exactly evaluated",
        (
            "Data",
            "Clone takes the lottery",
            "Clone is worth",
            "Data promise of the lottery",
            "Best plan by the data is worth",
        ),
        tuple(
            (
                method,
                f"{100.0 * luck.taken:.0f} %",
                f"{luck.value:.2f}",
                f"{luck.promised:.2f}",
                f"{luck.planned:.2f}",
            )
            for method, luck in found.luck.items()
        ),
    )


def _figures(found: Study) -> tuple[Figure, ...]:
    from statlearn.tour import _cartpole_figures as figures
    from statlearn.tour import _cartpole_study as study

    told = "; ".join(f"{name}: {_say(found, name)}" for name in study.SETTINGS)
    weighted = found.trials[study.ONE][0].weightings[study.RETURN]
    best = weighted.trajectory_probability_[weighted.returns_.argmax()]
    return (
        Figure(
            "Return of the clones, by share of the expert and estimator",
            f"Groups of four bars, one a kind of data and estimator: {told}.",
            "Bars are means, dots data sets; the dashed line is the expert. "
            "The best tenth are mostly random episodes that went well, up to the share "
            "at which the expert fills it.",
            lambda canvas: figures.draw_returns(canvas, found),
            (7.6, 3.2),
        ),
        Figure(
            f"What a clone sees, {study.ONE} by the expert",
            "Two histograms of the returns of episodes that transitions come from, "
            "before in grey and after. With return weights the one expert episode has "
            f"{100.0 * best:.0f} % of the transitions that are drawn.",
            "Grey: all transitions alike. ESS is the effective number of transitions; "
            "PSV, the positive-sided variance, tells how much there is to gain.",
            lambda canvas: figures.draw_weights(canvas, found),
            (7.6, 3.0),
        ),
    )


def _notes(found: Study) -> tuple[str, ...]:
    from statlearn.tour import _cartpole_study as study

    first = found.trials[study.ONE][0]
    ess = first.weightings[study.RETURN].ess_
    return (
        "The verdict holds when clones with return and with advantage weights have "
        "larger mean returns than both peers, at every share of the expert "
        f"({' and '.join(study.MIXED)}).",
        "Episodes come whole, and at least one: one expert episode of 500 steps is "
        f"{100.0 * first.expert_share:.1f} % of the transitions where {study.ONE} was "
        "asked for.",
        f"Weights rest on few transitions, here on {ess:.0f} of {first.n_transitions} "
        "effective ones. That is enough for a linear policy, which the expert is too.",
        "A tree grown to the end gives every transition a leaf of its own, and so "
        "imitates the random ones between those of the expert, whatever their weight. "
        "With leaves of at least 2 % of the weight it can follow the expert: "
        f"{_say(found, study.BROAD_TREE)}.",
        "Poles start nearly alike, so advantages are returns less a constant, almost; "
        "they differ where starts do.",
        "Where returns are luck, weights favour those who won, and data that are "
        "weighted by outcomes promise what will not come. So never estimate values or "
        "dynamics from them, and give weights only to learners that stay close to the "
        "data: without a constraint on the policy, weights take actions out of sight.",
        "The paper trains networks by CQL, IQL and TD3+BC on robots that walk, where a "
        "share of one percent is ten thousand transitions; only the direction can be "
        "compared.",
    )


SECTION = Section(
    name="trajectory_weighting",
    method="Offline RL: trajectories weighted by return or advantage",
    classes=(
        "statlearn.offline_rl.TrajectoryDataset",
        "statlearn.offline_rl.ReturnWeighting",
        "statlearn.offline_rl.AdvantageWeighting",
        "statlearn.offline_rl.TopFraction",
        "statlearn.offline_rl.BehaviorCloning",
        "statlearn.offline_rl.TrajectorySampler",
        "statlearn.offline_rl.TabularMDP",
        "statlearn.offline_rl.ReturnDistributionDisplay",
    ),
    paper=(
        "Z.-W. Hong, P. Agrawal, R. Tachet des Combes, R. Laroche, Harnessing Mixed "
        "Offline Reinforcement Learning Datasets via Trajectory Weighting, ICLR 2023"
    ),
    status="stable",
    claim=(
        "Where few trajectories are good and many are poor, drawing them by weights of "
        "their return or advantage lets offline learners make use of the good ones, "
        "more than uniform draws and than the best tenth do."
    ),
    run=run,
)
