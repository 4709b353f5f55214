"""Running labs: what is cached, what is refused, and what a run is held against."""

from datetime import date, timedelta

import pandas as pd
import pytest
import torch

from ktlabs.bench import runner as lab
from ktreview.corpus.records import Lab
from ktreview.site import mechanism

DECLARED = Lab(
    paper="cuber", question="Does it?", metric="accuracy", better="higher", baseline="plain", method="new",
    no_control="a test", arms={"plain": "without", "new": "with"}, data="none", mechanism=["new"],
    equation="x", source="none", shows_not="anything",
)  # fmt: skip


class Module:
    """Stands for a lab's module."""

    def __init__(self, scores):
        self.scores = scores
        self.seen = []

    def run(self, seeds):
        self.seen.append((seeds, torch.get_default_dtype(), torch.get_num_threads()))
        return self.scores(seeds)


@pytest.fixture
def module(monkeypatch):
    def make(arms, metric="accuracy"):
        def scores(seeds):
            found = lab.Scores()
            found.add(metric, {arm: torch.tensor([own(seed) for seed in seeds]) for arm, own in arms.items()})
            return found

        made = Module(scores)
        monkeypatch.setattr(lab, "import_module", lambda _: made)
        monkeypatch.setattr(lab, "module", lambda name: name)
        monkeypatch.setattr(lab, "digest", lambda name: name)
        return made

    return make


GOOD = {"plain": lambda seed: seed / 100, "new": lambda seed: seed / 100 + 1 / 3}


def test_a_run_is_a_tidy_frame_in_double_precision_on_one_thread(module):
    made = module(GOOD)
    torch.set_num_threads(2)
    found = lab.run("toy", DECLARED, [4, 5])
    assert torch.get_num_threads() == 2
    assert made.seen == [((4, 5), torch.float64, 1)]
    measured = found[found["arm"] != ""]
    assert measured.to_numpy().tolist() == [
        ["main", "plain", 4, "accuracy", 0.04],
        ["main", "plain", 5, "accuracy", 0.05],
        ["main", "new", 4, "accuracy", 0.37333333],
        ["main", "new", 5, "accuracy", 0.38333333],
    ]
    assert found[found["arm"] == ""]["metric"].tolist() == ["seconds"]


@pytest.mark.parametrize(
    ("arms", "metric", "message"),
    [
        ({"plain": GOOD["plain"]}, "accuracy", "arms declared and arms measured differ in new"),
        (GOOD | {"other": GOOD["new"]}, "accuracy", "arms declared and arms measured differ in other"),
        (GOOD | {"new": lambda _: float("nan")}, "accuracy", "accuracy of new is no number for seed 4"),
        (GOOD, "recall", "nothing measured accuracy of plain in the regime main"),
    ],
)
def test_a_lab_that_does_other_than_it_declares_is_refused(module, arms, metric, message):
    module(arms, metric)
    with pytest.raises(lab.LabError, match=message):
        lab.run("toy", DECLARED, [4, 5])


def test_both_seed_sets_run_once_until_the_source_changes(module, monkeypatch, tmp_path):
    made = module(GOOD)
    monkeypatch.setattr(lab, "digest", lambda *_: "one")
    first = lab.measure("toy", DECLARED, cache=tmp_path)
    again = lab.measure("toy", DECLARED, cache=tmp_path)
    assert [seeds for seeds, *_ in made.seen] == [tuple(range(8)), tuple(range(200, 208))]
    pd.testing.assert_frame_equal(first, again)
    monkeypatch.setattr(lab, "digest", lambda *_: "other")
    lab.measure("toy", DECLARED, cache=tmp_path)
    assert len(made.seen) == 4


def test_a_digest_covers_the_lab_the_harness_and_the_labs_it_builds_on(monkeypatch, tmp_path):
    for folder in ("theme", "bench"):
        (tmp_path / folder).mkdir()
    files = {
        "bench/nets.py": "A = 1",
        "bench/unused.py": "A = 1",
        "theme/own.py": "from ktlabs.theme.other import A\n\n\ndef f():\n    from ktlabs.bench import nets",
        "theme/other.py": "import ktlabs.theme.kit",
        "theme/kit.py": "A = 1",
        "theme/third.py": "A = 1",
    }
    monkeypatch.setattr(lab, "_ROOT", tmp_path)

    def digest_with(changed=None):
        for name, text in files.items():
            (tmp_path / name).write_text(text + ("\nB = 2" if name == changed else ""))
        return lab.digest("own")

    first = digest_with()
    assert digest_with() == first
    assert digest_with("theme/third.py") == digest_with("bench/unused.py") == first
    needed = ("bench/nets.py", "theme/own.py", "theme/other.py", "theme/kit.py")
    assert len({digest_with(changed) for changed in needed} | {first}) == 5
    with pytest.raises(
        lab.LabError, match=r"the lab nosuch has no module <theme>/nosuch\.py in ktlabs: keep one there"
    ):
        lab.digest("nosuch")


def test_a_run_is_held_against_what_is_committed(module, tmp_path):
    module(GOOD)
    found = lab.run("toy", DECLARED, [4, 5])
    path = tmp_path / "toy.csv"
    assert lab.difference(path, found) == "is new"
    lab.save(path, found)
    written = path.read_bytes()
    slower = found.assign(value=found["value"].where(found["metric"] != "seconds", 99.0))
    assert lab.difference(path, slower) == ""
    lab.save(path, slower)
    assert path.read_bytes() == written
    other = found.copy()
    other.loc[2, "value"] = 0.5
    assert lab.difference(path, other) == (
        "1 of 4 values differ from the committed ones, first accuracy of new at seed 4: 0.5, not 0.373333"
    )
    assert lab.difference(path, found.drop(index=0)) == "other measurements than committed, 1 of 4 rows"


def test_the_source_of_a_mechanism_is_read_without_running_it():
    text = mechanism.source("fantastic-gains", ["partition"])
    assert text.startswith("def partition(teacher: Tensor, student: Tensor) -> Tensor:")
    with pytest.raises(ValueError, match=r"labs/fantastic-gains\.yaml, mechanism: .* no function 'nosuch'"):
        mechanism.source("fantastic-gains", ["nosuch"])


def test_loading_a_model_is_not_counted_as_a_lab_s_time(module, monkeypatch):
    clock = iter([10.0, 11.0, 15.0, 16.5])  # begins, begins to load, has loaded, ends
    monkeypatch.setattr(lab.time, "process_time", lambda: next(clock))

    def scores(seeds):
        with lab.apart():
            pass
        found = lab.Scores()
        found.add("accuracy", {arm: torch.tensor([own(s) for s in seeds]) for arm, own in GOOD.items()})
        return found

    module(GOOD).scores = scores
    found = lab.run("toy", DECLARED, [4, 5])
    assert found[found["arm"] == ""]["value"].tolist() == [2.5]


def test_a_fresh_run_reads_no_cache_but_shares_what_models_yield_between_its_seed_sets(
    module, monkeypatch, tmp_path
):
    monkeypatch.setattr(lab, "digest", lambda *_: "one")
    monkeypatch.setenv("KTREVIEW_CACHE", str(tmp_path / "users"))
    folders = []

    def scores(seeds):
        folders.append(lab.cache_folder())
        found = lab.Scores()
        found.add("accuracy", {arm: torch.tensor([own(s) for s in seeds]) for arm, own in GOOD.items()})
        return found

    module(GOOD).scores = scores
    lab.measure("toy", DECLARED)
    lab.measure("toy", DECLARED, cache=tmp_path / "own")
    fresh = folders[0]
    assert folders == [fresh, fresh, tmp_path / "own", tmp_path / "own"]
    assert fresh != tmp_path / "users"
    assert not fresh.exists()
    assert lab.cache_folder() == tmp_path / "users"


def test_a_lab_whose_package_is_missing_yields_what_to_install(module, monkeypatch):
    def scores(_):
        lab.package("no-such-package")

    module(GOOD).scores = scores
    monkeypatch.setattr(lab, "digest", lambda *_: "one")
    name, found = lab._named("toy", DECLARED, (4, 5))
    assert name == "toy"
    assert isinstance(found, lab.MissingError)
    assert str(found).startswith("no-such-package is not installed: run `make labs`, or pip install")


def test_the_cache_holds_plain_text_and_gives_back_every_bit(module, tmp_path):
    made = module(GOOD | {"new": lambda seed: (seed + 1) / 3e7})
    first = lab.measure("toy", DECLARED, cache=tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.suffix for path in files] == [".csv", ".csv"]
    again = lab.measure("toy", DECLARED, cache=tmp_path)
    assert len(made.seen) == 2
    pd.testing.assert_frame_equal(again, first, check_exact=True)
    files[0].write_text(files[0].read_text()[:100])  # cut short
    files[1].write_bytes(b"\x80\x04cbuiltins\nprint\n.")  # a pickle of somebody else's
    pd.testing.assert_frame_equal(
        lab.measure("toy", DECLARED, cache=tmp_path).query("arm != ''"), first.query("arm != ''")
    )
    assert len(made.seen) == 4
    lab.measure("toy", DECLARED.model_copy(update={"source": "another"}), cache=tmp_path)
    assert len(made.seen) == 6


def test_the_cache_is_the_user_s_and_not_the_folder_s(monkeypatch, tmp_path):
    monkeypatch.delenv("KTREVIEW_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "users"))
    assert lab.cache_folder() == tmp_path / "users" / "ktreview"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert lab.cache_folder() == tmp_path / ".cache" / "ktreview"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert lab.cache_folder() == tmp_path / ".cache" / "ktreview"


def test_parts_hold_every_lab_once_and_take_about_as_long():
    seconds = {f"lab-{at}": float(at % 7 + 1) for at in range(40)}
    parts = [lab.part(seconds, which, 5) for which in (1, 2, 3, 4, 5)]
    assert sorted(name for names in parts for name in names) == sorted(seconds)
    loads = [sum(seconds[name] for name in names) for names in parts]
    assert max(loads) - min(loads) <= 1
    assert lab.part(dict(reversed(seconds.items())), 2, 5) == parts[1]


def test_a_week_s_part_changes_on_mondays_and_all_are_due_over_the_turn_of_a_year():
    days = [date(2026, 12, 21) + timedelta(days=at) for at in range(35)]
    due = [lab.part_of_week(day, 5) for day in days]
    assert all(len(set(due[at : at + 7])) == 1 for at in range(0, 35, 7))
    assert sorted(set(due)) == [1, 2, 3, 4, 5]
