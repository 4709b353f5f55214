"""The command, as a user meets it: what it prints, how it ends, what it leaves behind."""

from __future__ import annotations

import pytest

from ktreview.cli import main


def test_check_reports_the_whole_review(capsys):
    assert main(["check"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("72 papers, ")
    assert last.endswith(" 227 numbers, 0 unaccounted, 0 faults")


def test_check_lists_every_fault_and_fails(edit, capsys):
    edit("panda", lambda record: record["numbers"].pop())
    folder = edit("cuber", lambda record: record.update(theme="magic"))
    assert main(["check", "--data", str(folder)]) == 1
    out = capsys.readouterr().out
    assert "papers/cuber.yaml" in out
    assert "'magic' is not a theme" in out
    assert "the number '5' in" in out
    assert out.splitlines()[-1].startswith("70 papers, ")
    assert out.splitlines()[-1].endswith("1 unaccounted, 2 faults")


@pytest.mark.parametrize("command", ["check", "export", "execute", "pages"])
def test_every_command_has_help_with_an_example(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"example:\n  ktreview {command}" in capsys.readouterr().out


def test_nothing_is_written_from_faulty_records(edit, tmp_path, capsys):
    folder = edit("panda", lambda record: record.update(kind="paper"))
    target = tmp_path / "out"
    assert main(["export", "--data", str(folder), str(target)]) == 1
    told = capsys.readouterr().err
    assert "papers/panda.yaml, kind: 'paper' is not one of" in told
    assert "Traceback" not in told
    assert not target.exists()


def test_a_folder_that_is_no_data_folder_is_one_message(tmp_path, capsys):
    assert main(["check", "--data", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "holds no page dump. Put one there as a .txt file." in out
    assert "themes.yaml" in out


def test_missing_pages_are_named(tmp_path, capsys):
    contents = tmp_path / "_toc.yml"
    contents.write_text(
        "root: book/index\nparts:\n- chapters:\n  - file: book/a\n    sections:\n    - file: book/b\n"
    )
    for page in ("index", "book/index", "book/a"):
        path = tmp_path / f"{page}.html"
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    assert main(["pages", str(tmp_path), "--contents", str(contents)]) == 1
    assert "book/b.html is missing" in capsys.readouterr().err
    (tmp_path / "book" / "b.html").write_text("x")
    assert main(["pages", str(tmp_path), "--contents", str(contents)]) == 0
