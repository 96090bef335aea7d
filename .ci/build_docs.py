"""Write the API pages and the notebooks as static HTML into build/docs.

The public subpackages are found by pdoc through ``statlearn.__all__``, so a new one
appears by itself; the one that is built on torch is left out where torch is not
installed. Run with ``python -W error``: a warning ends the build.
"""

from __future__ import annotations

import html
import importlib
import inspect
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pdoc
from nbconvert import HTMLExporter

import statlearn

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "build" / "docs"

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>statlearn {version}</title>
<style>body {{ font: 1.1rem/1.6 sans-serif; max-width: 45rem; margin: 3rem auto }}
</style></head>
<body>
<h1>statlearn {version}</h1>
<p>{summary}</p>
<h2>Reference</h2>
<ul>
{reference}
</ul>
<h2>Notebooks</h2>
<ul>
{notebooks}
</ul>
</body>
</html>
"""


def load_names() -> None:
    """Load names that come at first use, since pdoc looks at loaded ones only."""
    if find_spec("torch") is None:
        statlearn.__all__.remove("neural")
    for room in statlearn.__all__:
        module = importlib.import_module(f"statlearn.{room}")
        public = {name: getattr(module, name) for name in module.__all__}
        vars(module).update(public)
        classes = {value for value in public.values() if inspect.isclass(value)}
        for each in classes:
            private = [base for base in each.__mro__ if base not in classes]
            adopt_methods(each, private)


def adopt_methods(cls: type, bases: list[type]) -> None:
    """Give a class the public methods of bases of ours that have no page."""
    for base in bases:
        if not base.__module__.startswith("statlearn."):
            continue
        for name, member in vars(base).items():
            method = inspect.isroutine(member) or isinstance(member, property)
            if method and not name.startswith("_") and name not in vars(cls):
                setattr(cls, name, member)


def link(address: str, text: str) -> str:
    return f'<li><a href="{html.escape(address)}">{html.escape(text)}</a></li>'


def write_reference() -> list[str]:
    """Write the API pages and return a link for each subpackage."""
    load_names()
    pdoc.render.configure(docformat="numpy", math=True, search=True)
    pdoc.pdoc("statlearn", output_directory=TARGET / "api")
    rooms = [f"statlearn/{name}.html" for name in statlearn.__all__]
    missing = [room for room in rooms if not (TARGET / "api" / room).exists()]
    if missing:
        raise RuntimeError(f"Expected an API page for each subpackage; no {missing}.")
    names = [room.removesuffix(".html").replace("/", ".") for room in rooms]
    return [link(f"api/{r}", n) for r, n in zip(rooms, names, strict=True)]


def write_notebooks() -> list[str]:
    """Render the committed outputs of each notebook and return a link for each."""
    (TARGET / "notebooks").mkdir()
    exporter = HTMLExporter()
    links = []
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        first = next(c.source for c in notebook.cells if c.cell_type == "markdown")
        title = re.sub(r"[#*`]", "", first.splitlines()[0]).strip()
        resources = {"metadata": {"name": title}}
        body, _ = exporter.from_notebook_node(notebook, resources=resources)
        name = f"notebooks/{path.stem}.html"
        (TARGET / name).write_text(body, encoding="utf-8")
        links.append(link(name, title))
    return links


def main() -> None:
    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.mkdir(parents=True)
    page = PAGE.format(
        version=statlearn.__version__,
        summary=html.escape((statlearn.__doc__ or "").splitlines()[0]),
        reference="\n".join(write_reference()),
        notebooks="\n".join(write_notebooks()),
    )
    (TARGET / "index.html").write_text(page, encoding="utf-8")
    print(f"wrote {(TARGET / 'index.html').relative_to(ROOT)}")


if __name__ == "__main__":
    main()
