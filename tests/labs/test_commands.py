"""The command that runs labs, on the quickest one: every way of running it measures the same."""

from __future__ import annotations

import pytest

from ktlabs.bench import runner as lab
from ktreview.cli import main

QUICK = "neurocomparatives"  # the quickest lab


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


def test_other_seeds_are_run_and_compared_with_nothing(cache, capsys):
    assert main(["lab", "run", QUICK, "--seeds", "3,9", "--fresh"]) == 0
    captured = capsys.readouterr()
    assert f"{QUICK}: " in captured.out
    assert "differ" not in captured.out + captured.err
    assert not cache.exists()
