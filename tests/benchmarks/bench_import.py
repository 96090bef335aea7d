"""What an import of the package costs, against an empty interpreter and a peer."""

from __future__ import annotations

import functools
import subprocess
import sys

from _race import bar, finish, race

STATEMENTS = {
    "empty interpreter": "pass",
    "import statlearn": "import statlearn",
    "import statlearn.ordinal": "import statlearn.ordinal",
    "import sklearn.linear_model": "import sklearn.linear_model",
}


def run(statement: str) -> None:
    subprocess.run([sys.executable, "-I", "-c", statement], check=True)


def main() -> None:
    contestants = {
        name: functools.partial(run, statement)
        for name, statement in STATEMENTS.items()
    }
    result = race("Import", contestants, size="a new interpreter each", repeats=7)
    names = list(STATEMENTS)
    finish(
        bar(
            "import statlearn / empty interpreter",
            result.ratio(names[1], names[0]),
            at_most=2,
        ),
        bar(
            "import statlearn.ordinal / import sklearn.linear_model",
            result.ratio(names[2], names[3]),
            at_most=1.15,
        ),
    )


if __name__ == "__main__":
    main()
