"""Journeys contain the shortcut, walk along the maze, and leave no wrong branch half searched."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from ktlabs.knowledge_in_language_models import o1_journey
from ktlabs.knowledge_in_language_models.o1_journey import Maze, journey, shortcut

#: 0 leads to 1 and 2; 1 leads to 3 and 4, a dead end; 2 leads to 5, the goal, and 6; 3 leads to 7.
MAZE = Maze(np.array([0, 0, 0, 1, 1, 2, 2, 3]), start=0, goal=5)


def test_a_shortcut_is_the_way_from_start_to_goal():
    assert shortcut(MAZE) == [0, 2, 5]


def test_a_journey_without_trials_is_the_shortcut():
    assert journey(MAZE, np.random.default_rng(0), trials=0) == [0, 2, 5]


def test_a_journey_searches_the_wrong_door_whole_and_comes_back():
    walk = journey(MAZE, np.random.default_rng(0))
    # 0, then all behind 1 in one of its two orders, back to 0, to 2, the dead end 6, back, and the goal.
    assert walk in (
        [0, 1, 3, 7, 3, 1, 4, 1, 0, 2, 6, 2, 5],
        [0, 1, 4, 1, 3, 7, 3, 1, 0, 2, 6, 2, 5],
    )


def test_doors_with_too_much_behind_them_are_left_alone():
    assert MAZE.below(1) == 4
    assert journey(MAZE, np.random.default_rng(0), largest=3) == [0, 2, 6, 2, 5]


@pytest.mark.parametrize("one_map", [False, True])
def test_journeys_of_real_mazes_keep_to_the_maze_and_end_at_the_goal(one_map):
    for i, maze in enumerate(o1_journey._mazes(3, 8, one_map=one_map)):
        walk = journey(maze, np.random.default_rng(i))
        assert walk[0] == maze.start
        assert walk.index(maze.goal) == len(walk) - 1
        assert all(maze.parent[b] == a or maze.parent[a] == b for a, b in pairwise(walk))
        # Without its detours it is the shortcut: drop what lies between two visits of a room.
        clean: list[int] = []
        for room in walk:
            clean = clean[: clean.index(room)] if room in clean else clean
            clean.append(room)
        assert clean == shortcut(maze)


def test_problems_on_one_map_differ_and_share_the_tree():
    mazes = o1_journey._mazes(3, 30, one_map=True)
    assert len({(maze.start, maze.goal) for maze in mazes}) == 30
    edges = {
        frozenset(frozenset((room, int(p))) for room, p in enumerate(maze.parent) if room != maze.start)
        for maze in mazes
    }
    assert len(edges) == 1
    assert len(next(iter(edges))) == 76


def test_a_walker_sees_where_it_has_been_and_where_it_came_from():
    rooms = o1_journey._stack([[o1_journey._mazes(3, 1, one_map=False)[0]]])
    start, goal = rooms.start[0], rooms.goal[0]
    visited = torch.nn.functional.one_hot(start, 77).bool()
    doors = rooms.neighbours[:, 0, start]
    state = o1_journey._State(start[None], goal[None], visited[None], doors, rooms.parent[:, 0, start])
    seen = o1_journey.local_features(state)[0, 0][doors[0, 0] >= 0]
    assert not seen[:, 0].any()  # no neighbour of the start was visited
    assert not seen[:, 1].any()  # the start has no way back
    assert seen[:, 5].all()  # something is unvisited
    assert o1_journey.identities(state).shape == (1, 1, 231)
    assert float(o1_journey.identities(state).sum()) == 3
