"""The page: one HTML text that needs nothing but itself."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape as escape_html
from importlib.metadata import PackageNotFoundError, version

from statlearn.tour._overview import COLUMNS, cells, verdict
from statlearn.tour._run import Drawing, Outcome
from statlearn.tour._section import SectionResult, Table
from statlearn.tour._style import STYLE

_PACKAGES = (
    "statlearn",
    "numpy",
    "scipy",
    "scikit-learn",
    "statsmodels",
    "matplotlib",
    "torch",
)
_ONE = r"[<>~±+\-−]?\s*\d[\d.,]*(e[+\-−]?\d+)?\s*(%|s|ms|x|×)?"
_NUMBER = re.compile(rf"{_ONE}( (to|of|±) {_ONE})?")
_KINDS = {"failed": "bad", "holds here": "good", "does not hold here": "warn"}

NO_FIGURES = 'Figures need matplotlib: pip install "statlearn[plot]"'


def _escape(text: str) -> str:
    """Text fit for HTML, in which a number keeps its percent sign on the line."""
    return escape_html(text).replace(" %", "&nbsp;%")


def render_page(outcomes: Sequence[Outcome], seconds: float) -> str:
    """Return the whole page."""
    body = "\n".join(
        [
            _header(outcomes, seconds),
            '<main id="content">',
            _overview(outcomes),
            *(_section(outcome) for outcome in outcomes),
            "</main>",
            _footer(),
        ]
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<title>statlearn: the tour</title>\n"
        f"<style>\n{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _header(outcomes: Sequence[Outcome], seconds: float) -> str:
    """Title, what the page is, and how it came about."""
    failed = sum(outcome.failed for outcome in outcomes)
    count = f"{len(outcomes)} method{'s' if len(outcomes) != 1 else ''}"
    fault = f" {failed} failed; the section says why." if failed else ""
    return (
        '<a class="skip" href="#content">Skip to the content</a>\n<header>\n'
        "<h1>statlearn: the tour</h1>\n"
        '<p class="lead">Each method was just fitted on data that come with the '
        "package, and measured against a peer. What the paper claims stands beside "
        "what came out here, whatever it is.</p>\n"
        f'<p class="meta">{count}, {seconds:.0f} seconds.{_escape(fault)} '
        "<code>python -m statlearn tour</code> writes this page anew.</p>\n</header>"
    )


def _overview(outcomes: Sequence[Outcome]) -> str:
    """Table of all methods, each with a link to its section."""
    head = "".join(f'<th scope="col">{_escape(name)}</th>' for name in COLUMNS)
    rows = []
    for outcome in outcomes:
        method, data, claim, measured, peer = map(_escape, cells(outcome))
        anchor = f'<a href="#{outcome.section.name}">{method}</a>'
        rows.append(
            f'<tr><th scope="row">{anchor}</th><td>{data}</td>'
            f'<td class="wide">{claim}</td>'
            f'<td class="wide"><div>{_badge(outcome)}</div>{measured}</td>'
            f"<td>{peer}</td></tr>"
        )
    table = (
        "<table><caption>All methods at a glance</caption>"
        f"<thead><tr>{head}</tr></thead>\n<tbody>{''.join(rows)}</tbody></table>"
    )
    return (
        '<section class="card overview" aria-label="All methods at a glance">'
        f"{_scroll(table, 'All methods at a glance')}</section>"
    )


def _section(outcome: Outcome) -> str:
    """One method: claim beside finding, figures, tables, notes."""
    section, result = outcome.section, outcome.result
    classes = ", ".join(f"<code>{_escape(name)}</code>" for name in section.classes)
    parts = [
        f'<section class="card" id="{section.name}" '
        f'aria-labelledby="{section.name}-title">',
        f'<h2 id="{section.name}-title">{_escape(section.method)}</h2>',
        f'<div class="badges">{_badge(outcome)}'
        f'<span class="badge">{_escape(section.status)}</span>'
        f'<span class="badge">{outcome.seconds:.1f} s</span></div>',
        f'<div class="meta"><p>{classes}</p><p>{_escape(section.paper)}</p></div>',
        _facts(outcome),
    ]
    if result is not None:
        parts += [_figures(outcome, result), *map(_table, result.tables)]
        parts += [_notes(result.notes)]
    parts += [_trouble(outcome), "</section>"]
    return "\n".join(part for part in parts if part)


def _badge(outcome: Outcome) -> str:
    """Badge that says in words whether the claim holds here."""
    word = verdict(outcome)
    return f'<span class="badge {_KINDS[word]}">{word}</span>' if word else ""


def _facts(outcome: Outcome) -> str:
    """Claim, finding, data and peer side by side."""
    result = outcome.result
    pairs = [("What the paper claims", outcome.section.claim, "")]
    if result is not None:
        pairs += [
            ("What was just measured", result.measured, "measured"),
            ("Data", result.data, ""),
            ("Measured against", result.peer, ""),
        ]
    cells = "".join(
        f'<div class="{kind}"><dt>{_escape(name)}</dt><dd>{_escape(text)}</dd></div>'
        for name, text, kind in pairs
        if text
    )
    return f'<dl class="facts">{cells}</dl>' if cells else ""


def _figures(outcome: Outcome, result: SectionResult) -> str:
    """All figures, or the line that says how to get them."""
    if outcome.drawings:
        return "\n".join(
            _figure(drawing, f"{outcome.section.name}-figure-{number}")
            for number, drawing in enumerate(outcome.drawings, start=1)
        )
    if result.figures and not outcome.failed:
        return f'<p class="meta">{_escape(NO_FIGURES)}</p>'
    return ""


def _figure(drawing: Drawing, name: str) -> str:
    """One figure with its description for those who do not see it."""
    figure = drawing.figure
    described = (
        f'<svg role="img" aria-labelledby="{name}-title {name}-alt"'
        + drawing.svg.removeprefix("<svg").replace(
            ">",
            f'><title id="{name}-title">{_escape(figure.title)}</title>'
            f'<desc id="{name}-alt">{_escape(figure.alt)}</desc>',
            1,
        )
    )
    return (
        f"<figure><h3>{_escape(figure.title)}</h3>"
        f"{_scroll(described, figure.title)}"
        f"<figcaption>{_escape(figure.caption)}</figcaption></figure>"
    )


def _table(table: Table) -> str:
    """One table with its caption; columns of numbers stand to the right."""
    numeric = [
        all(_NUMBER.fullmatch(cell.strip()) or not cell.strip() for cell in column)
        for column in zip(*table.rows, strict=True)
    ] or [False] * len(table.header)
    numeric[0] = False
    head = "".join(
        f'<th scope="col"{_align(right)}>{_escape(name)}</th>'
        for name, right in zip(table.header, numeric, strict=True)
    )
    rows = "\n".join(_table_row(row, numeric) for row in table.rows)
    text = (
        f"<table><caption>{_escape(table.caption)}</caption>"
        f"<thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table>"
    )
    return f'<div class="table">{_scroll(text, table.caption)}</div>'


def _table_row(row: Sequence[str], numeric: Sequence[bool]) -> str:
    """One row whose first cell heads it."""
    cells = "".join(
        f"<td{_align(right)}>{_escape(cell)}</td>"
        for cell, right in zip(row[1:], numeric[1:], strict=True)
    )
    return f'<tr><th scope="row">{_escape(row[0])}</th>{cells}</tr>'


def _align(right: bool) -> str:
    return ' class="number"' if right else ""


def _scroll(content: str, label: str) -> str:
    """Box that scrolls sideways on a narrow screen, by keyboard as well."""
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{_escape(label)}">'
        f"{content}</div>"
    )


def _notes(notes: Iterable[str]) -> str:
    """List of notes."""
    items = "".join(f"<li>{_escape(note)}</li>" for note in notes)
    return f'<ul class="notes">{items}</ul>' if items else ""


def _trouble(outcome: Outcome) -> str:
    """Failure and warnings of a section, folded away but never hidden."""
    parts = []
    if outcome.failed:
        parts.append(
            f"<p><strong>Failed.</strong> {_escape(outcome.error)}</p>"
            "<details><summary>Traceback</summary>"
            f"<pre>{_escape(outcome.trace)}</pre></details>"
        )
    if outcome.caught:
        parts.append(
            f"<details><summary>Warnings while it ran ({len(outcome.caught)})"
            f"</summary>{_notes(outcome.caught)}</details>"
        )
    return "\n".join(parts)


def _footer() -> str:
    """Versions, so that the numbers can be placed."""
    versions = [f"Python {platform.python_version()}"]
    for name in _PACKAGES:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    day = datetime.now(UTC).date().isoformat()
    return f"<footer><p>Written {day} with {_escape(', '.join(versions))}.</p></footer>"
