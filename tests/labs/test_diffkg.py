"""Diffusion over a graph: steps worked by hand, what is kept, and who is asked."""

import pytest
import torch

from ktlabs.kg_and_llm.diffkg import (
    _NOISE,
    _draw,
    _scores,
    collaborative,
    diffuse,
    keep_best,
    recall,
    recommend,
    reverse,
)


def test_noise_worked_by_hand():
    x, noise = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.0, 2.0], [0.0, 2.0]])
    found = diffuse(x, noise, torch.tensor([0.36, 0.0]))
    assert torch.allclose(found, torch.tensor([[0.8, 1.2], [1.0, 0.0]]))


def test_noise_keeps_the_variance_of_unit_rows():
    found = diffuse(torch.randn(40, 5000), torch.randn(40, 5000), torch.full((40,), 0.3))
    assert float(found.var()) == pytest.approx(1, abs=0.03)


def test_the_walk_back_worked_by_hand():
    # One step, v = 0.2: before it there is no noise, so the walk ends at what is predicted.
    x, target = torch.tensor([[3.0]]), torch.tensor([[7.0]])
    assert reverse(x, lambda *_: target, torch.tensor([0.2])).item() == pytest.approx(7)
    # Two, v = 0.1 and 0.4: the first gives (sqrt(.9) (1 - .6/.9) 7 + sqrt(.6/.9) .1 3) / .4.
    seen = []

    def predict(now, step):
        seen.append((step, now.item()))
        return target

    assert reverse(x, predict, torch.tensor([0.1, 0.4])).item() == pytest.approx(7)
    middle = (0.9**0.5 * (1 / 3) * 7 + (2 / 3) ** 0.5 * 0.1 * 3) / 0.4
    assert seen == [(1, 3.0), (0, pytest.approx(middle))]


def test_a_perfect_denoiser_leads_back_to_the_graph():
    graph = torch.tensor([[1.0, 0.0, 1.0]])
    start = diffuse(graph, torch.randn(1, 3), _NOISE[-1:])
    assert torch.allclose(reverse(start, lambda *_: graph, _NOISE), graph)


def test_guidance_is_zero_where_films_are_as_their_raters_see_them_and_pulls_there():
    entities, films = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[2.0, 3.0]])
    assert collaborative(torch.tensor([[1.0, 3.0]]), entities, films) == 0
    assert collaborative(torch.tensor([[0.0, 3.0]]), entities, films) == pytest.approx(4 / 2)
    start = torch.zeros(1, 2, requires_grad=True)
    collaborative(start, entities, films).backward()
    assert torch.allclose(start.grad, torch.tensor([[-4.0, -3.0]]))  # -2 (films E') / 2


def test_only_edges_of_the_graph_are_kept_and_of_each_film_its_share():
    graph = torch.tensor([[1.0, 1.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    scores = torch.tensor([[0.1, 0.3, 9.0, 0.2], [1.0, -5.0, 2.0, 3.0], [1.0, 1.0, 1.0, 1.0]])
    assert keep_best(graph, scores, 0.6).tolist() == [[0, 1, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert keep_best(graph, scores, 0.3).tolist() == [[0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert torch.equal(keep_best(graph, scores, 1.0), graph)


def test_rounding_does_not_decide_which_edge_is_kept():
    graph = torch.ones(1, 3)
    for noise in ([0.0, 1e-15, -1e-15], [-1e-15, 0.0, 1e-15]):
        scores = 0.5 + torch.tensor([noise], dtype=torch.float64)
        assert keep_best(graph, scores, 0.34).tolist() == [[1, 0, 0]]


def test_a_film_that_no_direction_kept_reaches_points_nowhere():
    own = {name: part[None] for name, part in _draw(202).items()}
    cosine = _scores([202], own["noisy"], own)[2][0].abs().amax(dim=-1)
    left_out = cosine == 0
    assert (own["train"][0].sum(dim=0)[left_out] > 0).any()  # it has been rated all the same
    assert (cosine[~left_out] > 0.01).all()


def test_recommendation_follows_raters_and_then_the_graph():
    rated = torch.tensor([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]])
    graph = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    alone = recommend(rated, graph, 0.0)[0]
    assert alone[1] == pytest.approx(0.5**0.5)  # one of the two raters of film 0; liked once itself
    assert alone[[0, 2, 3]].tolist() == [0, 0, 0]
    both = recommend(rated, graph, torch.tensor([0.0, 2.0])[:, None, None])[1][0]
    assert both[2] == pytest.approx(2)  # the same entity
    assert both[1] == alone[1]
    assert both[3] == 0


def test_recall_worked_by_hand():
    scores = torch.tensor([[5.0, 4.0, 3.0, 2.0], [1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 1.0, 1.0]])
    seen = torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    wanted = torch.tensor([[0, 1.0, 0, 1.0], [1.0, 0, 1.0, 1.0], [0, 0, 0, 0]])
    # First two unseen: films 1 and 2, a half; films 3 and 2, two thirds; the third user wants nothing.
    assert recall(scores, seen, wanted, k=2) == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_of_equal_scores_the_earlier_film_comes_first():
    scores, none = torch.tensor([[0.1 + 0.2, 0.3, 0.3, 0.3]]), torch.zeros(1, 4)
    for film, found in ((0, 1), (1, 1), (2, 0), (3, 0)):
        assert recall(scores, none, torch.eye(4)[film : film + 1], k=2) == found


def test_parts_are_apart_users_are_a_seeds_own_and_false_edges_keep_the_degrees():
    own = _draw(2)
    assert own["train"].shape == (83, 400)
    assert (own["train"] + own["validation"] + own["test"]).max() == 1
    assert (own["clean"] <= own["noisy"]).all()
    added = (own["noisy"] - own["clean"]).sum(dim=0)
    assert (added <= own["clean"].sum(dim=0)).all()
    assert 0.7 < float(added.sum() / own["clean"].sum()) < 1  # some fall on true edges
