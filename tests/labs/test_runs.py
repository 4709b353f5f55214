"""Labs run whole on the seeds that decide, and measure again what is committed.

A sample of the quicker ones; `make labs` runs all. It is what holds the protocol of a lab: which images are
trained, chosen and tested on, what each arm is given, and which arm is called what.
"""

import pytest

import ktreview
from ktlabs.bench import runner
from ktreview.corpus.outcomes import SEEDS

REVIEW = ktreview.load_review()
SAMPLE = [
    *("neurocomparatives", "kzsl", "panda", "mechgpt", "strategy-teaching", "comd"),
    *("fantastic-gains", "cuber", "knowledge-preference", "mixup-kd", "hard"),
]


@pytest.mark.parametrize("name", SAMPLE)
def test_a_lab_measures_what_is_committed_within_its_budget(name):
    declared = REVIEW.declared[name]
    measured = runner.run(name, declared, SEEDS)
    keys = ["regime", "arm", "seed", "metric"]
    kept = REVIEW.lab_runs[(REVIEW.lab_runs["lab"] == name) & REVIEW.lab_runs["seed"].isin(SEEDS)]
    both = kept.merge(measured[measured["arm"] != ""], on=keys, how="outer", suffixes=("_kept", "_now"))
    assert len(both) == len(kept)
    odd = both[both["value_kept"] != both["value_now"]]
    assert odd.empty, f"{len(odd)} of {len(both)} values differ, first {odd.iloc[0].to_dict()}"
    (seconds,) = measured.loc[measured["metric"] == "seconds", "value"]
    # CPU time: a lab that grew many times slower, not a busy machine.
    assert seconds <= 3 * declared.budget
