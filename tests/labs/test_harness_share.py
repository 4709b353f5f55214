"""Facts dealt out to seeds."""

from ktlabs.bench.data import share

SEEDS = [*range(8), *range(100, 108), *range(200, 208)]


def test_no_two_seeds_share_a_fact_and_each_has_one_of_every_two_dozen():
    own = [share(seed, 75) for seed in SEEDS]
    assert sorted(place for places in own for place in places) == list(range(72))
    assert all([place // 24 for place in places] == [0, 1, 2] for places in own)


def test_neighbours_are_dealt_out_afresh_in_each_two_dozen():
    assert {place % 24 for place in share(3, 24 * 40)} > {0, 5, 11, 17, 23}


def test_a_list_too_short_for_all_gives_none():
    assert share(0, 23) == []
