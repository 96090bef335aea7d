"""The code blocks of the README run as they are printed."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

from rooms import HAS_TORCH, USES_TORCH

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match.group(1)


def test_readme_has_code_to_run():
    assert list(blocks())


def test_readme_code_blocks_run_in_order_and_print_what_they_show(capsys):
    names: dict[str, object] = {"__name__": "readme"}
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    for line, code in blocks():
        if USES_TORCH.search(code) and not HAS_TORCH:
            continue
        if ">>> " in code:
            parsed = doctest.DocTestParser().get_doctest(
                code, names, f"README.md:{line}", "README.md", line
            )
            runner = doctest.DocTestRunner(optionflags=flags)
            report: list[str] = []
            runner.run(parsed, out=report.append, clear_globs=False)
            assert runner.failures == 0, "".join(report)
            names |= parsed.globs
        else:
            exec(compile(code, f"README.md:{line}", "exec"), names)
