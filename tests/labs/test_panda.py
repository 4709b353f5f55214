"""PANDA: what the student follows, and how strongly."""

import torch

from ktlabs.bench.losses import cross_entropy
from ktlabs.knowledge_distillation.panda import panda_loss, transferability


def test_transferability_is_the_cosine_of_prompts_and_never_negative():
    source = torch.tensor([[3.0, 4.0], [1.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    target = torch.tensor([[4.0, 3.0], [0.0, 5.0], [-1.0, 0.0], [7.0, 0.0]])
    assert torch.allclose(transferability(source, target), torch.tensor([0.96, 0.0, 0.0, 1.0]))


def test_transferability_does_not_ask_how_long_prompts_are():
    prompts = torch.tensor([[0.3, -1.2, 0.7], [0.1, 0.9, 0.5]])
    assert torch.allclose(
        transferability(prompts, prompts.flip(0)), transferability(5 * prompts, prompts.flip(0))
    )


def test_the_loss_worked_by_hand():
    logits, labels = torch.zeros(2, 1, 2), torch.zeros(2, 1, dtype=torch.long)
    teacher = torch.tensor([[[2.0, 0.0]], [[2.0, 0.0]]])
    found = panda_loss(logits, labels, teacher, torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.25]))
    log2 = torch.log(torch.tensor(2.0))
    assert torch.allclose(found, torch.stack([log2 + 0.5 * 2, log2 + 0.5 * 0.25 * 2]))


def test_without_similarity_or_strength_it_is_prompt_tuning():
    torch.manual_seed(0)
    logits, teacher, labels = torch.randn(2, 5, 3), torch.randn(2, 5, 3), torch.randint(3, (2, 5))
    none, one = torch.zeros(2), torch.ones(2)
    assert torch.equal(panda_loss(logits, labels, teacher, none, one), cross_entropy(logits, labels))
    assert torch.equal(panda_loss(logits, labels, teacher, one, none), cross_entropy(logits, labels))
    assert (panda_loss(logits, labels, teacher, one, one) > cross_entropy(logits, labels)).all()


def test_a_student_that_equals_its_teacher_pays_for_labels_alone():
    logits, labels = torch.tensor([[[1.0, -1.0, 0.5]]]), torch.tensor([[2]])
    found = panda_loss(logits, labels, logits.clone(), torch.tensor([9.0]), torch.tensor([1.0]))
    assert torch.allclose(found, cross_entropy(logits, labels))
