"""What holds for every lab of the review."""

import ast
from pathlib import Path

import pytest

import ktreview
from ktreview.corpus import wording
from ktreview.corpus.outcomes import REPLICATION, SEEDS
from ktreview.site import mechanism
from ktreview.site.mathml import to_mathml

REVIEW = ktreview.load_review()
HERE = Path(__file__).parent


def calls(text):
    """Name every function that a file calls."""
    called = (node.func for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
    return {getattr(function, "id", None) or getattr(function, "attr", None) for function in called}


def test_every_declared_lab_has_run():
    assert list(REVIEW.labs["lab"]) == list(REVIEW.declared)


@pytest.mark.parametrize("name", REVIEW.declared)
def test_a_lab_has_a_test_of_its_mechanism_that_calls_what_readers_see(name):
    path = HERE / f"test_{name.replace('-', '_')}.py"
    called = calls(path.read_text(encoding="utf-8"))
    for function in REVIEW.declared[name].mechanism:
        assert function in called, f"{path.name} does not call {function}"


def test_a_comment_or_a_word_in_quotes_is_no_call():
    text = '# partition(a)\nfrom x import partition\ny = "partition(b)"\nz.shortfall(1)\n'
    assert calls(text) == {"shortfall"}


@pytest.mark.parametrize("name", REVIEW.declared)
def test_a_lab_s_code_and_equation_can_be_shown(name):
    declared = REVIEW.declared[name]
    source = mechanism.source(name, declared.mechanism)
    for function in declared.mechanism:
        assert f"def {function}(" in source or f"class {function}" in source
    assert source.count('"""') >= 2 * len(declared.mechanism)
    assert to_mathml(declared.equation, block=True)


@pytest.mark.parametrize("name", REVIEW.declared)
def test_a_lab_shows_every_seed_of_every_arm_that_it_compares(name):
    runs = REVIEW.lab_runs[REVIEW.lab_runs["lab"] == name]
    for compared in REVIEW.declared[name].comparisons():
        chosen = runs[(runs["regime"] == compared.regime) & (runs["metric"] == compared.metric)]
        for arm in (compared.baseline, compared.method):
            assert sorted(chosen.loc[chosen["arm"] == arm, "seed"]) == [*SEEDS, *REPLICATION]
    assert runs["value"].notna().all()


@pytest.mark.parametrize("name", REVIEW.declared)
def test_the_headline_shown_is_the_one_declared(name):
    row = REVIEW.labs.set_index("lab").loc[name]
    declared = REVIEW.declared[name]
    compared, first, second, outcome = REVIEW.compared(name)[0]
    assert (row["metric"], row["better"], row["baseline"], row["method"]) == (
        declared.metric, declared.better, declared.baseline, declared.method,
    )  # fmt: skip
    runs = REVIEW.lab_runs[REVIEW.lab_runs["lab"] == name]
    chosen = runs[(runs["regime"] == declared.regime) & (runs["metric"] == declared.metric)]
    means = chosen[chosen["seed"] < 100].groupby("arm")["value"].mean()
    assert row["effect"] == pytest.approx(means[declared.method] - means[declared.baseline])
    assert (row["effect"], row["rep_effect"], row["verdict"]) == (first.effect, second.effect, outcome)
    assert compared.question == declared.question
    assert wording.effect(first)
