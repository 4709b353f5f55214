"""Link prediction: filtered ranks worked by hand, queries, and a scorer whose rows don't mix."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ktlabs.bench.nets import Grid
from ktlabs.kg_and_llm.links import Links, distmult, filtered_ranks, fold, hits, mrr, ranks, square, train

GRAPH = Links.of([("b", "likes", "a"), ("b", "likes", "c"), ("c", "fears", "a")])


def table(params, queries):
    """Score by a table of entities, without any text."""
    rows = torch.arange(len(params["layer"]))[:, None]
    known = params["layer"][rows, queries[..., 0]]
    return distmult(known, params["relations"][rows, queries[..., 1]], params["layer"])


def test_ranks_leave_out_other_true_answers_and_count_ties_by_half():
    scores = torch.tensor([[5.0, 4.0, 4.0, 4.0, 1.0]])
    none, some = torch.zeros(1, 5, dtype=torch.bool), torch.tensor([[True, False, True, False, False]])
    answer = torch.tensor([1])
    assert filtered_ranks(scores, answer, none).tolist() == [1 + 1 + 2 / 2]  # one above, two as high
    assert filtered_ranks(scores, answer, some).tolist() == [1 + 0 + 1 / 2]  # 0 and 2 are true as well
    assert filtered_ranks(scores, torch.tensor([0]), some).tolist() == [1]
    assert filtered_ranks(scores, torch.tensor([4]), some).tolist() == [3]


def test_an_answer_marked_as_true_itself_is_still_ranked():
    scores, answer = torch.tensor([[[1.0, 2.0, 3.0]], [[3.0, 2.0, 1.0]]]), torch.tensor([0])
    true = torch.tensor([[True, False, False]])
    assert filtered_ranks(scores, answer, true).tolist() == [[3.0], [1.0]]


def test_a_scorer_that_tells_nothing_apart_ranks_in_the_middle():
    assert filtered_ranks(torch.zeros(1, 9), torch.tensor([7]), torch.zeros(1, 9, dtype=torch.bool)) == 5


def test_measures_of_ranks_worked_by_hand():
    own = torch.tensor([[1.0, 2.0, 4.0, 20.0], [1.5, 1.0, 10.0, 11.0]])
    assert mrr(own)[0] == pytest.approx((1 + 0.5 + 0.25 + 0.05) / 4)
    assert hits(own, 1).tolist() == [0.25, 0.25]
    assert hits(own, 10).tolist() == [0.75, 0.75]


@given(st.lists(st.integers(0, 4), min_size=6, max_size=6), st.permutations(range(6)))
def test_ranks_follow_the_candidates_wherever_they_stand(values, order):
    scores, order = torch.tensor([values]).double(), torch.tensor(order)
    true = torch.tensor([[False, True, False, False, True, False]])
    before = filtered_ranks(scores, torch.tensor([2]), true)
    place = (order == 2).nonzero()[:, 0]
    assert filtered_ranks(scores[:, order], place, true[:, order]) == before


def test_each_triple_asks_for_both_ends():
    assert GRAPH.entities == ["a", "b", "c"]
    assert GRAPH.triples.tolist() == [[1, 1, 0], [1, 1, 2], [2, 0, 0]]  # fears is 0, likes is 1
    assert GRAPH.queries(GRAPH.triples)[3:].tolist() == [[0, 3, 1], [2, 3, 1], [0, 2, 2]]
    truth = GRAPH.truth()
    assert truth.sum() == 6
    assert truth[1, 1].tolist() == [True, False, True]  # b likes a and c
    assert truth[3, 0].tolist() == [False, True, False]  # a is liked by b


def test_distmult_worked_by_hand():
    known, relation = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -1.0]])
    assert distmult(known, relation, torch.tensor([[1.0, 1.0], [0.0, 2.0]])).tolist() == [[1.0, -4.0]]


def test_square_features_keep_inner_products_and_orthogonal_ones_are_a_table():
    wide, narrow = torch.randn(5, 40), torch.randn(5, 2)
    for own in (wide, narrow):
        unit = torch.nn.functional.normalize(own)
        assert square(own).shape == (5, 5)
        assert torch.allclose(square(own) @ square(own).T, unit @ unit.T)
    both = square(wide, narrow)
    assert torch.allclose(both @ both.T, square(wide) @ square(wide).T + square(narrow) @ square(narrow).T)
    assert torch.allclose(square(torch.eye(5, 9)), torch.eye(5))


def test_eight_seeds_share_no_held_out_part_and_the_next_eight_deal_afresh():
    held = [fold(seed, 30) for seed in range(8)]
    assert len(torch.cat([own for own, _ in held]).unique()) == 8 * 3
    assert all(sorted(torch.cat(pair).tolist()) == list(range(30)) for pair in held)
    assert fold(8, 30)[0].tolist() != held[0][0].tolist()


def test_training_gives_the_true_answers_and_a_seed_the_same_alone():
    def trained(seeds):
        grid = Grid(seeds, {"table": [{"lr": 0.1}, {"lr": 0.05}]})
        queries = [GRAPH.queries(GRAPH.triples)] * len(seeds)
        open_ = torch.ones(len(seeds), 3, dtype=torch.bool)
        return train(grid, table, queries, open_, relations=4, steps=30)

    both, alone = trained([3, 4]), trained([4])
    for name, value in both.items():
        assert torch.equal(value[1::2], alone[name])
    queries = GRAPH.queries(GRAPH.triples)
    found = ranks(table(both, queries), queries, GRAPH.truth())
    assert found.eq(1).all()


def test_candidates_that_are_closed_are_never_learnt_about():
    grid = Grid([1], {"table": [{"lr": 0.1}]})
    queries = GRAPH.queries(GRAPH.triples)
    queries = queries[(queries[:, [0, 2]] != 2).all(dim=1)]
    closed = torch.tensor([[True, True, False]])
    start, end = (train(grid, table, [queries], closed, relations=4, steps=n)["layer"][0] for n in (1, 30))
    untouched = 0.1 * 1e-4 * 30  # weight decay only
    assert torch.allclose(start[2], end[2], rtol=untouched, atol=1e-8)
    assert not torch.allclose(start[:2], end[:2], rtol=0.1)
