"""Texts and questions: what varies between the texts of a person, and what never does."""

import numpy as np
import pytest

from ktlabs.knowledge_in_language_models.storage_extraction import biographies, questions

VALUES = np.random.default_rng(0).integers(0, 12, (40, 4))


def write(reword=False, shuffle=False):
    return biographies(VALUES, np.random.default_rng(1), reword=reword, shuffle=shuffle)


@pytest.mark.parametrize("reword", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_every_text_states_each_fact_of_its_person_behind_a_word_for_it(reword, shuffle):
    texts = write(reword, shuffle)
    assert texts.shape == (40, 5, 9)
    assert (texts[..., 0] == np.arange(40)[:, None]).all()
    attribute = (texts[..., 1::2] - 88) // 4  # 40 names, 48 values, then four words for each attribute
    assert (np.sort(attribute, axis=-1) == np.arange(4)).all()
    stated = np.take_along_axis(texts[..., 2::2], attribute.argsort(axis=-1), axis=-1)
    assert (stated == (40 + 12 * np.arange(4) + VALUES)[:, None]).all()


def test_without_either_the_five_texts_are_one():
    texts = write()
    assert (texts == texts[:, :1]).all()


def test_rewording_keeps_all_values_where_they_are_and_changes_words():
    plain, texts = write(), write(reword=True)
    assert (texts[..., 2::2] == plain[..., 2::2]).all()
    assert 0.7 < (texts[:, 1:, 1::2] != texts[:, :1, 1::2]).mean() < 0.8  # three of four wordings differ


def test_shuffling_keeps_all_words_of_a_person_and_changes_what_stands_before_a_value():
    plain, texts = write(), write(shuffle=True)
    assert (np.sort(texts, axis=-1) == np.sort(plain, axis=-1)).all()
    assert 0.7 < (texts[..., 2::2] != plain[..., 2::2]).mean() < 0.8  # one in four stays in place


def test_both_do_both():
    texts = write(reword=True, shuffle=True)
    words = np.sort(texts[..., 1::2], axis=-1)
    assert (words != words[:, :1]).any()
    assert ((texts[..., 2::2] != write()[..., 2::2]).mean()) > 0.7


def test_questions_hold_the_name_and_no_word_of_a_text():
    asked = questions(VALUES)
    assert asked.shape == (40, 4, 3)
    assert asked[3, 2].tolist() == [3, 104 + 2, 40 + 24 + VALUES[3, 2]]
    assert not np.isin(asked[..., 1], write(True, True)).any()
    assert np.isin(asked[..., 2], write()).all()
