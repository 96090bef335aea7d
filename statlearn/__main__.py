"""Command line: ``python -m statlearn tour`` and ``python -m statlearn methods``."""

from __future__ import annotations

import argparse
import errno
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

_DESCRIPTION = """\
Statistical learning with weights: on data, on predictors, inside models.
"""
_TOUR = """\
Fit each method on data that come with the package, measure it against a peer, print
one table and write one page with the figures. The page is a single HTML file that
needs no network. The exit status is 1 when a section failed.
"""
_METHODS = """\
List the methods with their classes, paper and status. Nothing is fitted.
"""
_INTERRUPTED = 130


class _PrintError(Exception):
    """The system takes no output, for a reason of its own."""

    def __init__(self, reason: OSError) -> None:
        super().__init__(reason)
        self.reason = reason


class _Version(argparse.Action):
    """Look the version up only when it is asked for."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        import statlearn

        _say(f"statlearn {statlearn.__version__}")
        parser.exit()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after the program's name; those of the process by default.

    Returns
    -------
    int
        0 on success, 1 when a section of the tour failed or nothing can be printed,
        2 for wrong arguments, 130 when interrupted.
    """
    try:
        return _run(arguments)
    except _PrintError as error:
        return _give_up(error.reason)


def _run(arguments: Sequence[str] | None) -> int:
    """Run a command and return the exit status."""
    parser = _make_parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help(sys.stderr)
        return 2
    from statlearn.tour._section import UsageError

    try:
        return options.handler(options)
    except UsageError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        _say("Stopped before the end; nothing was written.", sys.stderr)
        return _INTERRUPTED


def _make_parser() -> argparse.ArgumentParser:
    """Options of both commands."""
    parser = argparse.ArgumentParser(
        prog="python -m statlearn", description=_DESCRIPTION
    )
    parser.add_argument(
        "--version", action=_Version, nargs=0, help="print the version and stop"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    tour = commands.add_parser(
        "tour", help="fit every method and write a page", description=_TOUR
    )
    tour.add_argument(
        "--output",
        type=Path,
        default=Path("statlearn-tour.html"),
        metavar="FILE.html",
        help="where to write the page (default: %(default)s)",
    )
    tour.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="run this section only; may be given several times",
    )
    tour.set_defaults(handler=_tour)

    methods = commands.add_parser(
        "methods", help="list the methods", description=_METHODS
    )
    methods.add_argument("--json", action="store_true", help="print JSON")
    methods.set_defaults(handler=_methods)
    return parser


def _methods(options: argparse.Namespace) -> int:
    """Print the list of methods."""
    from statlearn.tour._discover import discover
    from statlearn.tour._text import text_table

    described = [section.describe() for section in discover()]
    if options.json:
        _say(json.dumps(described, indent=2, ensure_ascii=False))
        return 0
    rows = [
        (item["name"], item["method"], "\n".join(item["classes"]), item["paper"],
         item["status"])
        for item in described
    ]  # fmt: skip
    _say(text_table(("Name", "Method", "Class", "Paper", "Status"), rows, _width()))
    return 0


def _tour(options: argparse.Namespace) -> int:
    """Run the sections, print the table, write the page."""
    from statlearn.tour._discover import discover, select
    from statlearn.tour._files import check_output, write_atomically
    from statlearn.tour._progress import make_progress

    sections = select(discover(), options.only)
    target = check_output(options.output)

    from statlearn.tour import _overview, _page, _run, _svg, _text

    start = time.perf_counter()
    outcomes = _run.run_sections(
        sections, make_progress(sys.stderr), lambda line: _say(line, sys.stderr)
    )
    table = _text.text_table(_overview.COLUMNS, _overview.text_rows(outcomes), _width())
    _say(f"\n{table}\n")
    page = _page.render_page(outcomes, time.perf_counter() - start)
    try:
        write_atomically(target, page)
    except OSError as error:
        _say(
            f"The page must be written to {str(target)!r}. The system answered "
            f"{error.strerror!r}; choose another place with --output.",
            sys.stderr,
        )
        return 1
    figures = sum(len(outcome.drawings) for outcome in outcomes)
    if not _svg.can_draw():
        _say(_page.NO_FIGURES)
    _say(f"Wrote {target.resolve()} ({figures} figures, {len(page) / 1024:.0f} KiB).")
    return int(any(outcome.failed for outcome in outcomes))


def _width() -> int:
    """Columns to print in; a narrow terminal still gets a readable table."""
    return max(80, min(shutil.get_terminal_size((120, 24)).columns, 160))


def _say(text: str, stream: TextIO | None = None) -> None:
    """Write a line; characters that the stream cannot show are replaced."""
    stream = sys.stdout if stream is None else stream
    if stream is None:  # what Python makes of a stream that was closed before
        raise _PrintError(OSError(errno.EBADF, os.strerror(errno.EBADF)))
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")
        stream.flush()
    except OSError as error:
        raise _PrintError(error) from error


def _give_up(reason: OSError) -> int:
    """Say why nothing can be printed, unless the reader just went away."""
    with suppress(AttributeError, OSError):
        # What is left in the buffer would fail again at the end of the process.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if sys.stderr is not None and not isinstance(reason, BrokenPipeError):
        with suppress(_PrintError):
            _say(
                f"The output must go to a stream that takes it. The system answered "
                f"{reason.strerror!r}; choose another place for it.",
                sys.stderr,
            )
    return 1


if __name__ == "__main__":
    sys.exit(main())
