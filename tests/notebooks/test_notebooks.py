"""Notebooks run from top to bottom and show what they claim."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from rooms import USES_TORCH

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
FIGURE_LIMIT = 200_000  # bytes
MACHINE_PATH = re.compile(r"(?<![\w.$}~])/(home|root|tmp|usr|work|Users|mnt|opt)/[\w.]")
DRAWINGS = ("image/png", "image/jpeg", "image/svg+xml")

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path):
    cells = nbformat.read(path, as_version=4).cells
    return [cell for cell in cells if cell.cell_type == "code" and cell.source.strip()]


def outputs(path):
    return [output for cell in code_cells(path) for output in cell.outputs]


def size_in_bytes(kind, content):
    is_text = kind == "image/svg+xml"
    return len(content.encode() if is_text else base64.b64decode(content))


@pytest.mark.slow
@each_notebook
def test_notebook_runs_with_small_sizes(path, monkeypatch):
    monkeypatch.setenv("STATLEARN_NOTEBOOK_SIZE", "small")
    # The kernel of this environment, not one that is registered for the user.
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    notebook = nbformat.read(path, as_version=4)
    if any(USES_TORCH.search(cell.source) for cell in code_cells(path)):
        pytest.importorskip("torch")
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    counts = [c.execution_count for c in notebook.cells if c.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))


@each_notebook
def test_every_cell_was_executed_in_order_before_commit(path):
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))
    assert outputs(path)


@each_notebook
def test_notebook_shows_no_error_and_no_warning(path):
    bad = [
        output
        for output in outputs(path)
        if output.output_type == "error" or output.get("name") == "stderr"
    ]
    assert bad == []


@each_notebook
def test_no_figure_is_larger_than_the_limit(path):
    sizes = [
        size_in_bytes(kind, output.data[kind])
        for output in outputs(path)
        for kind in DRAWINGS
        if kind in output.get("data", {})
    ]
    assert max(sizes, default=0) < FIGURE_LIMIT


@each_notebook
def test_no_path_of_a_machine_is_left(path):
    text = path.read_text(encoding="utf-8")
    assert not MACHINE_PATH.search(text)


@each_notebook
def test_title_asks_and_first_cell_takes_the_sizes(path):
    cells = nbformat.read(path, as_version=4).cells
    assert cells[0].cell_type == "markdown"
    assert cells[0].source.startswith("# ")
    assert "STATLEARN_NOTEBOOK_SIZE" in code_cells(path)[0].source
