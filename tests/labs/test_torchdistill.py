"""torchdistill: what a configuration sums up, and losses that share a name."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ktlabs.bench.losses import distillation
from ktlabs.knowledge_distillation import torchdistill as lab
from ktlabs.knowledge_distillation.torchdistill import (
    METHODS,
    SCALINGS,
    TERMS,
    Seen,
    by_element,
    masked,
    objective,
    relations,
    swapped,
)

logits = st.lists(st.lists(st.floats(-9, 9), min_size=6, max_size=6), min_size=3, max_size=3).map(
    lambda rows: torch.tensor(rows, dtype=torch.float64)
)


def seen(taught, own, labels=(0, 1, 2), labelled=(1, 1, 1)):
    none = torch.zeros(3, 4)
    return Seen(own, taught, none, none, none, torch.tensor(labels), torch.tensor(labelled))


@given(logits, logits)
def test_a_configuration_is_the_weighted_sum_of_its_terms(taught, own):
    batch = seen(taught, own)
    hard = -own.log_softmax(dim=-1)[torch.arange(3), torch.arange(3)].mean()
    soft = distillation(taught, own, 4.0)
    assert torch.allclose(objective(METHODS["labels only"], batch), hard)
    assert torch.allclose(objective(METHODS["KD"], batch), 0.1 * hard + 0.9 * soft)


def test_a_term_that_there_is_not_is_named_with_those_there_are():
    with pytest.raises(ValueError, match="no term 'crd'; there are labels, kd"):
        objective({"terms": {"labels": 1, "crd": 1}}, seen(torch.zeros(3, 6), torch.zeros(3, 6)))


def test_labels_count_only_where_they_may_be_used():
    own = torch.tensor([[2.0, 0, 0, 0, 0, 0], [0, 5.0, 0, 0, 0, 0], [0, 0, 7.0, 0, 0, 0]])
    one = objective({"terms": {"labels": 1}}, seen(own, own, labelled=(1, 0, 0)))
    assert one == pytest.approx(math.log(math.e**2 + 5) - 2)
    assert objective({"terms": {"labels": 1}}, seen(own, own, labelled=(0, 0, 0))) == 0


def test_a_configured_run_equals_the_loop_by_hand(monkeypatch):
    monkeypatch.setattr(lab, "_STEPS", 6)
    x, y = torch.rand(2, 100, 64), torch.arange(10).repeat(2, 10)
    pools = {"labelled": (x, y), "validation": (x, y), "test": (x, y)}
    answers = torch.randn(2, 100, 10 + 2 * lab._TEACHER)
    by_configuration, rate = lab._train("KD", METHODS["KD"], [3, 8], pools, answers)
    assert torch.equal(by_configuration, lab._by_hand([3, 8], pools, answers, rate))


@given(logits, logits)
def test_the_mean_over_elements_is_the_usual_loss_at_a_constant_that_nobody_sets(taught, own):
    usual = distillation(taught, own, 3.0)
    assert torch.allclose(by_element(taught, own, 3.0, constant=6 * 9.0), usual)
    assert torch.allclose(by_element(taught, own, 3.0, constant=1.0), usual / 54)


def test_a_mask_after_the_softmax_leaves_no_divergence():
    taught, own = torch.zeros(1, 4), torch.tensor([[math.log(3.0), math.log(3.0), 0.0, 0.0]])
    # The teacher believes 1/4 of all, the student 3/8 of the first two: both kept terms are negative.
    taught[0, :2] += 1e-9
    assert masked(taught, own, 1.0, keep=2) == pytest.approx(2 * math.log(2 / 3) / 4)
    assert masked(taught, own, 1.0, keep=4) == pytest.approx(float(distillation(taught, own, 1.0)))


@given(logits, logits)
def test_a_mask_that_keeps_all_classes_gives_the_usual_loss_without_its_factor(taught, own):
    assert torch.allclose(masked(taught, own, 4.0, keep=6), distillation(taught, own, 4.0) / 16)


def test_relations_see_neither_place_nor_size():
    states = torch.randn(5, 3)
    assert relations(states, 7 * states + 2) == pytest.approx(0, abs=1e-9)
    line = torch.tensor([[0.0], [1.0], [2.0]])
    bent = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    # Distances 1, 1, 2 and 1, 1, 0; means over pairs of different images 4/3 and 2/3.
    # 3/4 against 3/2 four times, 3/2 against 0 twice, and 0 on the diagonal.
    wanted = (4 * 0.5 * 0.75**2 + 2 * (1.5 - 0.5)) / 9
    assert relations(line, bent) == pytest.approx(wanted, abs=1e-5)


def test_answers_are_swapped_within_a_class_and_none_stays():
    labels = torch.tensor([[0, 1, 0, 1, 0, 1]])
    places = swapped(labels, [4])
    assert torch.equal(labels[0, places[0]], labels[0])
    assert not (places[0] == torch.arange(6)).any()


@pytest.fixture(scope="module")
def original():
    """Load the library itself, which needs an operator of torchvision that CPU builds may lack."""
    pytest.importorskip("torchdistill", reason="torchdistill is not installed: nothing to check against")
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        try:
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        except RuntimeError:  # torchvision has it
            continue
    mid_level = pytest.importorskip(
        "torchdistill.losses.mid_level", reason="torchdistill does not load here", exc_type=Exception
    )
    yield mid_level
    del library


def _io(own):
    return {"head": {"output": own}}


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_our_losses_equal_those_of_the_library(original, temperature):
    taught, own, labels = torch.randn(7, 10), torch.randn(7, 10), torch.randint(0, 10, (7,))
    paths = ("head", "output", "head", "output")
    batch = Seen(own, taught, *[torch.zeros(7, 4)] * 3, labels, torch.ones(7))
    with_labels = original.KDLoss(*paths, temperature=temperature, alpha=0.1)
    found = objective({"terms": {"labels": 0.1, "kd": 0.9}, "temperature": temperature}, batch)
    assert torch.allclose(found, with_labels(_io(own), _io(taught), labels))
    # Without labels the same class drops the squared temperature.
    without = with_labels(_io(own), _io(taught), None)
    assert torch.allclose(TERMS["kd without factor"](batch, {"temperature": temperature}), without)
    mean = original.KDLoss(*paths, temperature=temperature, reduction="mean", beta=1.0)
    with pytest.warns(UserWarning, match="batchmean"):  # torch itself warns of this reading
        theirs = mean(_io(own), _io(taught))
    assert torch.allclose(by_element(taught, own, temperature, 1.0), theirs)


def test_our_relations_equal_those_of_the_library(original):
    hidden, hint = torch.randn(6, 5), torch.randn(6, 8)
    theirs = original.RKDLoss("hidden", "hidden", dist_factor=1.0, angle_factor=0.0, reduction="mean")
    wanted = theirs({"hidden": {"output": hidden}}, {"hidden": {"output": hint}})
    assert torch.allclose(relations(hidden, hint), wanted)


def test_the_scalings_differ_in_their_loss_alone():
    for configuration in SCALINGS.values():
        assert configuration["temperature"] == METHODS["KD"]["temperature"]
        assert list(configuration["terms"].values()) == list(METHODS["KD"]["terms"].values())
