"""The command, as a user meets it: what it prints, how it ends, what it leaves behind."""

from __future__ import annotations

import pandas as pd
import pytest

from ktlabs.bench import runner as lab
from ktreview.cli import main


def test_check_reports_the_whole_review(mini_data, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where there is no book, the records alone are checked
    assert main(["check", "--data", str(mini_data)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == (
        "7 papers, 26 claims, 11 results, 7 verdicts, 3 labs, 42 numbers, 0 unaccounted, 0 faults"
    )
    assert "date without a day  1       marsh\n" in out
    assert "lab has not run     1       marsh\n" in out
    assert "no arXiv id         3       marsh, moor, echo-keeper\n" in out
    assert "lantern-3                 No table has the glow.\n" in out
    assert "ferry-beacon              2.4 points are 4% of the baseline" in out


def test_check_lists_every_fault_and_fails(edit_mini, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    edit_mini("papers/lantern", lambda record: record["numbers"].pop())
    folder = edit_mini("papers/ferry", lambda record: record.update(theme="magic"))
    assert main(["check", "--data", str(folder)]) == 1
    out = capsys.readouterr().out
    assert "papers/ferry.yaml" in out
    assert "'magic' is not a theme" in out
    assert "the number 'twice' in" in out
    assert out.splitlines()[-1].startswith("5 papers, ")
    assert out.splitlines()[-1].endswith("1 unaccounted, 2 faults")


def test_check_and_sync_hold_the_prose_against_the_records(mini_data, capsys, monkeypatch):
    monkeypatch.chdir(mini_data)
    page = mini_data / "book" / "page.md"
    page.parent.mkdir()
    page.write_text("Every one of [6](count:papers).\n", encoding="utf-8")
    data = ["--data", str(mini_data)]
    assert main(["check", *data]) == 1
    out = capsys.readouterr().out
    assert (
        "book/page.md                        line 1                  “6” (count:papers) is not what the"
        in out
    )
    assert out.endswith(
        "1 link in 1 file, 1 fault; 1 sentence about a whole set neither bound nor allowed (--sentences lists them)\n"
    )
    assert main(["sync", *data]) == 0
    assert capsys.readouterr().out == "book/page.md\n"
    assert main(["check", "--sentences", *data]) == 0
    assert "\nbook/page.md\n  Every: Every one of 7.\n1 link in 1 file, 0 faults; " in capsys.readouterr().out
    page.write_text("It [contradicts](outcome:lantern).\n", encoding="utf-8")
    assert main(["sync", "--book", "book", *data]) == 1
    assert "book/page.md, line 1: “It contradicts.”: what it says turned" in capsys.readouterr().err
    for command in ("check", "sync"):
        assert main([command, "--book", "nowhere", *data]) == 1
        assert "there is no folder nowhere. Name the book's" in capsys.readouterr().err


def test_prose_is_not_held_against_faulty_records(edit_mini, mini_data, capsys, monkeypatch):
    monkeypatch.chdir(mini_data)
    (mini_data / "book").mkdir()
    folder = edit_mini("papers/ferry", lambda record: record.update(kind="paper"))
    assert main(["check", "--data", str(folder)]) == 1
    assert "The prose was not checked: mend the records first." in capsys.readouterr().out


@pytest.mark.parametrize("command", ["check", "sync", "export", "execute", "pages"])
def test_every_command_has_help_with_an_example(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"example:\n  ktreview {command}" in capsys.readouterr().out


def test_nothing_is_written_from_faulty_records(edit_mini, tmp_path, capsys):
    folder = edit_mini("papers/ferry", lambda record: record.update(kind="paper"))
    target = tmp_path / "out"
    assert main(["export", "--data", str(folder), str(target)]) == 1
    told = capsys.readouterr().err
    assert "papers/ferry.yaml, kind: 'paper' is not one of" in told
    assert "Traceback" not in told
    assert not target.exists()


def test_a_folder_that_is_no_data_folder_is_one_message(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
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


QUICK = "neurocomparatives"  # the quickest lab


@pytest.mark.parametrize("command", ["list", "show", "run"])
def test_every_command_on_labs_has_help_with_an_example(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["lab", command, "--help"])
    assert ended.value.code == 0
    assert f"example:\n  ktreview lab {command}" in capsys.readouterr().out


def test_labs_are_listed_with_verdicts_and_shown_with_all_that_they_declare(review, capsys):
    assert main(["lab", "list"]) == 0
    out = capsys.readouterr().out
    for row in review.labs.itertuples():
        line = next(line for line in out.splitlines() if line.startswith(f"{row.lab} "))
        assert line.endswith(row.verdict)
    assert main(["lab", "show", QUICK]) == 0
    out = capsys.readouterr().out
    declared = review.declared[QUICK]
    assert declared.question in out
    assert declared.shows_not in out
    assert f"  {declared.baseline} (baseline): " in out
    assert f"\n{review.labs.set_index('lab').loc[QUICK, 'verdict']}: {declared.question}\n" in out


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("KTREVIEW_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_two_workers_of_either_engine_measure_the_same(review):
    found = {
        engine: list(lab.measure_all(review, [QUICK, QUICK], jobs=2, engine=engine, seeds=(0, 1)))
        for engine in ("joblib", "dask")
    }
    kept = review.lab_runs[(review.lab_runs["lab"] == QUICK) & review.lab_runs["seed"].isin([0, 1])]
    for results in found.values():
        assert [name for name, _ in results] == [QUICK, QUICK]
        for _, frame in results:
            both = kept.merge(frame, on=["regime", "arm", "seed", "metric"])
            assert len(both) == len(kept)
            assert (both["value_x"] == both["value_y"]).all()


def test_labs_that_took_longest_begin(review, monkeypatch):
    begun = []
    monkeypatch.setattr(lab, "measure", lambda name, *_: begun.append(name))
    every = [*review.declared]
    list(lab.measure_all(review, every, jobs=1))
    seconds = review.labs.set_index("lab")["seconds"]
    assert begun == sorted(every, key=lambda name: -seconds[name])


@pytest.mark.usefixtures("cache")
def test_a_run_that_differs_is_told_and_saved_only_when_asked(data, capsys):
    path = data / "labs" / f"{QUICK}.csv"
    kept = path.read_text(encoding="utf-8")
    line = kept.splitlines()[1]
    broken = kept.replace(line, f"{line.rpartition(',')[0]},0.125", 1)
    path.write_text(broken, encoding="utf-8")
    assert main(["lab", "run", QUICK, "--data", str(data)]) == 1
    told = capsys.readouterr().err
    assert f"ktreview: {QUICK}.csv: 1 of " in told
    assert "Run it again with --save if the change is meant." in told
    assert path.read_text(encoding="utf-8") == broken
    assert main(["lab", "run", QUICK, "--data", str(data), "--save"]) == 0
    assert [row for row in path.read_text(encoding="utf-8").splitlines() if ",seconds," not in row] == [
        row for row in kept.splitlines() if ",seconds," not in row
    ]


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(("budget", "told"), [(3, "; a seed set took 7, its budget is 3: make it"), (4, "")])
def test_a_lab_over_twice_its_budget_is_told_where_it_runs(
    mini_data, edit_mini, monkeypatch, capsys, budget, told
):
    edit_mini("labs/lantern", lambda declared: declared.update(budget=budget))
    frame = pd.read_csv(mini_data / "labs" / "lantern.csv", keep_default_na=False)
    frame.loc[frame["metric"] == "seconds", "value"] = [7.0, 1.0]
    monkeypatch.setattr(lab, "measure_all", lambda *_, **__: iter([("lantern", frame)]))
    assert main(["lab", "run", "lantern", "--data", str(mini_data)]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("lantern: "))
    assert line.startswith(f"lantern: 8.0 CPU seconds{told}")
    assert bool(told) == ("budget" in line)


@pytest.mark.usefixtures("cache")
def test_a_lab_whose_model_is_missing_is_skipped_aloud_among_all_and_fails_alone(monkeypatch, capsys):
    missing = lab.MissingError("some-model is not installed: run `make labs`")
    monkeypatch.setattr(lab, "measure_all", lambda *_, **__: iter([(QUICK, missing)]))
    assert main(["lab", "run", "--all"]) == 0
    assert f"{QUICK}: skipped, as some-model is not installed: run `make labs`" in capsys.readouterr().out
    assert main(["lab", "run", QUICK]) == 1
    assert "ktreview: some-model is not installed: run `make labs`" in capsys.readouterr().err


def test_other_seeds_are_run_and_compared_with_nothing(cache, capsys):
    assert main(["lab", "run", QUICK, "--seeds", "3,9", "--fresh"]) == 0
    captured = capsys.readouterr()
    assert f"{QUICK}: " in captured.out
    assert "differ" not in captured.out + captured.err
    assert not cache.exists()


@pytest.mark.parametrize("seeds", ["x", "3", "1-"])
def test_seeds_that_are_none_are_refused(seeds, capsys):
    with pytest.raises(SystemExit):
        main(["lab", "run", QUICK, "--seeds", seeds])
    assert "error: argument --seeds: " in capsys.readouterr().err


def test_an_unknown_lab_or_none_at_all_is_one_message(capsys):
    assert main(["lab", "run", "nosuch"]) == 1
    assert "there is no lab 'nosuch'; the labs are " in capsys.readouterr().err
    assert main(["lab", "run"]) == 1
    assert "name a lab, or say --all" in capsys.readouterr().err


@pytest.mark.usefixtures("cache")
def test_a_lab_without_torch_says_what_to_do(monkeypatch, capsys):
    monkeypatch.setattr("ktlabs.bench.runner.find_spec", lambda _: None)
    assert main(["lab", "run", QUICK, "--jobs", "1"]) == 1
    assert "labs need torch: run `make labs`" in capsys.readouterr().err
