"""The library: chosen by the teacher's judgement alone, looked up by the nearest scenario, readable."""

import torch

from ktlabs.knowledge_distillation.strategy_teaching import (
    STRATEGIES,
    Library,
    centre,
    follow,
    library_table,
    scenarios,
    stretch,
    write_library,
)


def _library():
    """Two scenarios, at 0 and at 10; two situations near the first, one near the second."""
    situations = torch.tensor([[[0.0], [1.0], [9.0]]])
    judged = torch.tensor([[[0.2, 0.9, 0.1], [0.4, 0.3, 0.1], [0.5, 0.1, 0.6]]])
    return write_library(situations, judged, torch.tensor([[[0.0], [10.0]]]))


def test_each_scenario_gets_the_strategy_with_the_best_mean_judgement():
    library = _library()
    torch.testing.assert_close(library.judged, torch.tensor([[[0.3, 0.6, 0.1], [0.5, 0.1, 0.6]]]))
    assert library.advice.tolist() == [[1, 2]]
    assert library.sizes.tolist() == [[2, 1]]


def test_a_situation_gets_the_advice_of_its_nearest_scenario():
    assert _library().look_up(torch.tensor([[[4.9], [5.1], [-3.0]]])).tolist() == [[1, 2, 1]]


def test_a_library_beats_one_strategy_for_all_in_the_teachers_eyes():
    generator = torch.Generator().manual_seed(0)
    situations = torch.rand(2, 50, 3, generator=generator)
    judged = torch.rand(2, 50, 4, generator=generator)
    library = write_library(situations, judged, scenarios(situations, [0, 1], 5))
    own = judged.gather(2, library.look_up(situations)[..., None]).mean(dim=(1, 2))
    assert (own >= judged.mean(dim=1).amax(dim=-1) - 1e-12).all()


def test_scenarios_find_groups_that_lie_apart():
    generator = torch.Generator().manual_seed(0)
    apart = torch.tensor([[0.0, 0.0], [10.0, 0.0]])
    situations = (apart.repeat(20, 1) + 0.1 * torch.rand(40, 2, generator=generator))[None]
    found = scenarios(situations, [3], 2)[0]
    torch.testing.assert_close(found[found[:, 0].argsort()], apart + 0.05, atol=0.03, rtol=0)


def test_a_seeds_scenarios_do_not_depend_on_the_seeds_beside_it():
    situations = torch.rand(2, 30, 3, generator=torch.Generator().manual_seed(0))
    both = scenarios(situations, [5, 6], 4)
    torch.testing.assert_close(both[1:], scenarios(situations[1:], [6], 4))


def test_strategies_undo_what_they_are_for():
    images = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    full = stretch(images)
    torch.testing.assert_close(stretch(0.3 + 0.15 * full), full, atol=1e-9, rtol=0)
    torch.testing.assert_close(STRATEGIES["invert"](1 - images), images)
    torch.testing.assert_close(STRATEGIES["turn upside down"](images.rot90(2, (-2, -1))), images)
    torch.testing.assert_close(STRATEGIES["mirror"](images.flip(-1)), images)


def test_ink_is_centred():
    image = torch.zeros(8, 8)
    image[0, 6:8] = 1.0
    # The centroid, row 0 and column 6.5, lies -3.5 rows (a tie: -3) and 3 columns from the middle.
    assert centre(image).nonzero().tolist() == [[3, 3], [3, 4]]


def test_every_situation_follows_its_own_advice():
    situations = torch.rand(1, 2, 64, generator=torch.Generator().manual_seed(0))
    followed = follow(situations, torch.tensor([[0, 1]]))
    torch.testing.assert_close(followed[0, 0], situations[0, 0])
    torch.testing.assert_close(followed[0, 1], 1 - situations[0, 1])


def test_the_table_names_the_advice_and_puts_the_largest_gain_first():
    centres = torch.stack([torch.zeros(64), torch.ones(64)])[None]
    judged = torch.tensor([[[0.5, 0.4, 0, 0, 0, 0], [0.1, 0.9, 0, 0, 0, 0]]])
    table = library_table(Library(centres, judged.argmax(dim=-1), judged, torch.tensor([[7, 8]])))
    first, second = table.splitlines()[2:]
    assert first == "| 2 | 8 | 1.00 | 0.00 | in the middle | invert | 0.10 | 0.90 |"
    assert "answer as it is" in second
