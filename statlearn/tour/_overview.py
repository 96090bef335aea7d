"""The one table over all methods, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Sequence

from statlearn.tour._run import Outcome

COLUMNS = ("Method", "Data", "What the paper claims", "What was measured", "Peer")


def verdict(outcome: Outcome) -> str:
    """Say in words whether the claim holds on the data at hand; may be empty."""
    if outcome.failed or outcome.result is None:
        return "failed"
    supported = outcome.result.supported
    if supported is None:
        return ""
    return "holds here" if supported else "does not hold here"


def cells(outcome: Outcome) -> tuple[str, str, str, str, str]:
    """Cells of one method; a failure stands where the numbers would."""
    section, result = outcome.section, outcome.result
    data, measured, peer = "", "", ""
    if result is not None:
        data, measured, peer = result.data, result.measured, result.peer
    if outcome.failed:
        measured = outcome.error
    return section.method, data, section.claim, measured, peer


def text_rows(outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    """Rows for the terminal, where the verdict opens the cell of the numbers."""
    rows: list[tuple[str, ...]] = []
    for outcome in outcomes:
        method, data, claim, measured, peer = cells(outcome)
        word = verdict(outcome)
        told = f"{word.upper()}. {measured}" if word else measured
        rows.append((method, data, claim, told, peer))
    return rows
