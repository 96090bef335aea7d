from __future__ import annotations

import importlib
import io
import json
import os
import subprocess
import sys

import pytest

import statlearn
from rooms import HAS_TORCH
from statlearn import __main__ as command
from statlearn.__main__ import main
from statlearn.tour import SectionResult, _discover, _svg


@pytest.fixture
def fake_sections(monkeypatch):
    """Replace the sections of the package by one of our own."""

    def put(run):
        section = statlearn.tour.Section(
            name="fake",
            method="Fake method",
            classes=("a.B", "a.C"),
            paper="Nobody, 2000",
            status="stable",
            claim="It works.",
            run=run,
        )
        monkeypatch.setattr(_discover, "discover", lambda: (section,))

    put(lambda progress: SectionResult("some data", "a number", "a peer"))
    return put


def test_tour_prints_the_table_and_says_what_it_wrote(fake_sections, tmp_path, capsys):
    target = tmp_path / "page.html"
    assert main(["tour", "--output", str(target)]) == 0
    output, lines = capsys.readouterr()
    for cell in ("Fake method", "some data", "It works.", "a number", "a peer"):
        assert cell in output
    assert f"Wrote {target}" in output
    assert "Fake method" in target.read_text(encoding="utf-8")
    assert len(lines.splitlines()) == 2


def test_tour_writes_into_the_working_folder_by_default(
    fake_sections, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(["tour"]) == 0
    assert os.listdir(tmp_path) == ["statlearn-tour.html"]
    assert str(tmp_path / "statlearn-tour.html") in capsys.readouterr().out


def test_a_failing_section_gives_status_one_and_a_page(fake_sections, tmp_path, capsys):
    def fail(progress):
        raise RuntimeError("no data")

    fake_sections(fail)
    target = tmp_path / "page.html"
    assert main(["tour", "--output", str(target)]) == 1
    assert "FAILED. RuntimeError: no data" in " ".join(capsys.readouterr().out.split())
    assert "no data" in target.read_text(encoding="utf-8")


def test_a_wrong_folder_is_refused_before_any_work(fake_sections, tmp_path, capsys):
    fake_sections(lambda progress: pytest.fail("the section ran"))
    with pytest.raises(SystemExit) as stop:
        main(["tour", "--output", str(tmp_path / "none" / "page.html")])
    assert stop.value.code == 2
    assert "The option --output must lie in an existing" in capsys.readouterr().err


def test_an_unknown_section_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["tour", "--only", "prest", "--output", str(tmp_path / "page.html")])
    assert stop.value.code == 2
    assert "Got prest" in capsys.readouterr().err


def test_a_page_that_cannot_be_written_gives_status_one(
    fake_sections, tmp_path, monkeypatch, capsys
):
    def fail(path, text):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(statlearn.tour._files, "write_atomically", fail)
    assert main(["tour", "--output", str(tmp_path / "page.html")]) == 1
    output, lines = capsys.readouterr()
    assert "a number" in output
    assert "'No space left on device'; choose another place" in lines


def test_an_interruption_writes_nothing(fake_sections, tmp_path, capsys):
    def interrupt(progress):
        raise KeyboardInterrupt

    fake_sections(interrupt)
    assert main(["tour", "--output", str(tmp_path / "page.html")]) == 130
    assert os.listdir(tmp_path) == []
    assert "nothing was written" in capsys.readouterr().err


def test_without_matplotlib_tour_says_how_to_get_figures(
    fake_sections, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(_svg, "can_draw", lambda: False)
    assert main(["tour", "--output", str(tmp_path / "page.html")]) == 0
    assert 'pip install "statlearn[plot]"' in capsys.readouterr().out


def test_methods_lists_class_paper_and_status(fake_sections, capsys):
    fake_sections(lambda progress: pytest.fail("the section ran"))
    assert main(["methods"]) == 0
    output = capsys.readouterr().out
    for word in ("Fake method", "a.B", "a.C", "Nobody, 2000", "stable"):
        assert word in output


def test_methods_as_json_holds_every_section(capsys):
    assert main(["methods", "--json"]) == 0
    listed = {item["name"]: item for item in json.loads(capsys.readouterr().out)}
    assert {"presto", "ordinal_regression"} <= set(listed)
    for item in listed.values():
        assert set(item) == {"name", "method", "classes", "paper", "status", "claim"}


def test_listed_classes_exist(capsys):
    main(["methods", "--json"])
    for item in json.loads(capsys.readouterr().out):
        for path in item["classes"]:
            room, _, name = path.rpartition(".")
            if HAS_TORCH or not room.startswith("statlearn.neural"):
                assert hasattr(importlib.import_module(room), name)


def test_the_list_of_methods_loads_nothing_heavy():
    code = (
        "import sys, statlearn.__main__ as m; m.main(['methods']);"
        "sys.exit(bool({'numpy', 'sklearn', 'scipy'} & set(sys.modules)))"
    )
    status = os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", code])
    assert status == 0


def test_version_is_printed(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"statlearn {statlearn.__version__}\n"


def test_no_command_prints_the_help_and_gives_status_two(capsys):
    assert main([]) == 2
    assert "tour" in capsys.readouterr().err


def test_characters_beyond_the_encoding_are_replaced():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    command._say("λ = 1", stream)
    assert stream.buffer.getvalue() == b"? = 1\n"


@pytest.mark.parametrize(
    ("target", "answer"),
    [(">&-", "Bad file descriptor"), ("> /dev/full", "No space left on device")],
    ids=["closed", "full"],
)
@pytest.mark.parametrize("words", ["methods", "methods --json", "--version"])
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="not in this system")
def test_a_place_that_takes_no_output_is_told_of(words, target, answer):
    line = f'"{sys.executable}" -m statlearn {words} {target}'
    run = subprocess.run(["sh", "-c", line], capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr.splitlines() == [
        f"The output must go to a stream that takes it. The system answered "
        f"{answer!r}; choose another place for it."
    ]


def test_a_reader_that_went_away_ends_it_silently():
    line = f'{{ "{sys.executable}" -m statlearn methods; echo $? >&2; }} | true'
    run = subprocess.run(["sh", "-c", line], capture_output=True, text=True)
    assert run.stderr.splitlines() == ["1"]
