"""Journey learning: imitate whole searches, wrong turns and returns included, instead of clean solutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import networkx as nx
import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree
from torch import Tensor

from ktlabs.bench.losses import cross_entropy
from ktlabs.bench.nets import Grid, Params, Population, fit, mlp
from ktlabs.bench.runner import Scores

_RATES = [{"lr": rate} for rate in (1e-2, 3e-2)]
_WIDEST, _BATCH, _LONGEST, _SHORT = 40, 48, 80, 20


@dataclass(frozen=True)
class Maze:
    """A tree of rooms with one way in.

    Attributes
    ----------
    parent : array of int, shape (77,)
        The room nearer to the start; the start is its own.
    start, goal : int
    """

    parent: npt.NDArray[np.int64]
    start: int
    goal: int

    def children(self, room: int) -> list[int]:
        """Return the rooms that are entered from a room."""
        return [int(c) for c in np.flatnonzero(self.parent == room) if c != self.start]

    def below(self, room: int) -> int:
        """Return how many rooms lie beyond a room, itself included."""
        return 1 + sum(self.below(child) for child in self.children(room))


def shortcut(maze: Maze) -> list[int]:
    """Return the clean solution: the rooms from start to goal, each once.

    References
    ----------
    o1-journey, "Constructing the shortcut".
    """
    path = [maze.goal]
    while path[-1] != maze.start:
        path.append(int(maze.parent[path[-1]]))
    return path[::-1]


def journey(maze: Maze, rng: np.random.Generator, trials: int = 1, largest: int = 8) -> list[int]:
    """Return a search in depth first that ends at the goal, with its wrong turns and its returns.

    In every room on the solution, up to `trials` wrong doors are tried before the right one; what lies
    behind them is searched whole and left the way it was entered.

    Parameters
    ----------
    maze : Maze
    rng : numpy.random.Generator
        Draws the order of doors.
    trials : int, optional
        Wrong doors a room; none gives the `shortcut`.
    largest : int, optional
        Doors with more rooms than these behind them are not tried, so that a journey stays short.

    References
    ----------
    o1-journey, "Traversal path" (depth-first search, with a limited number of trials on wrong paths).
    """
    walk: list[int] = []

    def search(room: int) -> None:
        walk.append(room)
        doors = maze.children(room)
        for door in rng.permutation(doors).tolist():
            search(door)
            walk.append(room)

    path = shortcut(maze)
    for room, right in pairwise(path):
        walk.append(room)
        wrong = [door for door in maze.children(room) if door != right and maze.below(door) <= largest]
        for door in rng.permutation(wrong).tolist()[:trials]:
            search(door)
            walk.append(room)
    return [*walk, maze.goal]


@dataclass(frozen=True)
class _Rooms:
    """Many mazes as tensors: neighbours (S, M, 77, D), parent (S, M, 77), start and goal (S, M)."""

    neighbours: Tensor
    parent: Tensor
    start: Tensor
    goal: Tensor


@dataclass(frozen=True)
class _State:
    """Where walkers are: room, goal (..., n), visited (..., n, 77), doors (..., n, D) and parent (..., n)."""

    room: Tensor
    goal: Tensor
    visited: Tensor
    doors: Tensor
    parent: Tensor


def local_features(state: _State) -> Tensor:
    """Return what a walker sees of each door.

    Visited or not, the way back or not, its degree, the goal or not, friends, any door here unvisited.

    "Friends" are the neighbours that a room shares with the goal in the graph the mazes are cut from.

    Returns
    -------
    Tensor, shape (..., n, D, 6)
    """
    doors = state.doors.clamp(min=0)
    real = state.doors >= 0
    seen = state.visited.gather(-1, doors)
    back = doors == state.parent[..., None]
    friends = _shared()[state.goal].gather(-1, doors) / 10
    degree = _shared().diagonal()[doors] / 10
    unseen = (real & ~seen).any(dim=-1, keepdim=True).expand_as(seen)
    marks = [seen, back, degree, doors == state.goal[..., None], friends, unseen]
    return torch.stack([mark.to(torch.get_default_dtype()) for mark in marks], dim=-1)


def identities(state: _State) -> Tensor:
    """Return which room a walker is in, which is the goal and which it has visited, shape (..., n, 231)."""
    one = [torch.nn.functional.one_hot(rooms, 77) for rooms in (state.room, state.goal)]
    return torch.cat([*one, state.visited], dim=-1).to(torch.get_default_dtype())


def run(seeds: Sequence[int]) -> Scores:
    """Imitate shortcuts and journeys: in new mazes by what a door looks like, and on one map by heart."""
    scores = Scores()
    for regime, few, held, steps in (("search", 12, (10, 30), 100), ("map", 100, (20, 40), 200)):
        mazes = [_mazes(seed, 5 * few + sum(held), one_map=regime == "map") for seed in seeds]
        ways: dict[str, list[list[list[int]]]] = {
            "shortcut": [[shortcut(maze) for maze in own[:few]] for own in mazes],
            "shortcut, five times the problems": [
                [shortcut(maze) for maze in own[: 5 * few]] for own in mazes
            ],
            "journey": [
                [journey(maze, np.random.default_rng((seed, 31, i))) for i, maze in enumerate(own[:few])]
                for seed, own in zip(seeds, mazes, strict=True)
            ],
        }
        rooms = _stack(mazes)
        grid = Grid(seeds, dict.fromkeys(ways, _RATES))
        score, trained = _imitate(grid, seeds, rooms, ways, steps, local=regime == "search")
        middle = 5 * few + held[0]
        validation, _ = _walk(grid, score, trained, rooms, slice(5 * few, middle))
        chosen = grid.choose(validation)
        for metric, found in zip(
            ("solved", "solved in 20 steps"),
            _walk(grid, score, trained, rooms, slice(middle, None)),
            strict=True,
        ):
            scores.add(metric, grid.of(found, chosen), regime)
    return scores


_Score = Callable[[Params, _State], Tensor]


def _imitate(
    grid: Grid,
    seeds: Sequence[int],
    rooms: _Rooms,
    ways: dict[str, list[list[list[int]]]],
    steps: int,
    *,
    local: bool,
) -> tuple[_Score, Params]:
    """Train each row to choose the doors that its demonstrations choose."""
    net = Population(lambda: mlp(6, 16, 1) if local else mlp(231, 16, 77), seeds)

    def score(params: Params, state: _State) -> Tensor:
        if local:
            found = net(params, local_features(state)).squeeze(-1)
        else:
            found = net(params, identities(state)).gather(-1, state.doors.clamp(min=0))
        return found.masked_fill(state.doors < 0, -1e9)

    shown = [
        [_drawn(own, rooms, s, seed, steps) for s, (own, seed) in enumerate(zip(walks, seeds, strict=True))]
        for walks in ways.values()
    ]
    fields = [
        torch.stack([torch.stack(list(own)) for own in field])
        for field in zip(*(zip(*arm, strict=True) for arm in shown), strict=True)
    ]
    states = [field.permute(2, 0, 1, *range(3, field.dim())) for field in fields]  # steps, arms, seeds

    def now(step: int) -> list[Tensor]:
        return [field[step].repeat_interleave(len(_RATES), dim=0).flatten(0, 1) for field in states]

    def loss(params: Params, step: int) -> Tensor:
        *state, choice = now(step)
        return cross_entropy(score(params, _State(*state)), choice)

    return score, fit(grid.population(net.params), loss, steps=steps, lr=grid["lr"])


def _walk(grid: Grid, score: _Score, params: Params, rooms: _Rooms, which: slice) -> tuple[Tensor, Tensor]:
    """Let each row walk its mazes, always through its best door; return the shares solved, shape (P,)."""
    neighbours, parent = grid.spread(rooms.neighbours[:, which]), grid.spread(rooms.parent[:, which])
    room, goal = grid.spread(rooms.start[:, which]), grid.spread(rooms.goal[:, which])
    visited = torch.nn.functional.one_hot(room, 77).bool()
    first, second = torch.meshgrid(*(torch.arange(n) for n in room.shape), indexing="ij")
    there, early = room == goal, room == goal
    for step in range(_LONGEST):
        doors = neighbours[first, second, room]
        state = _State(room, goal, visited, doors, parent[first, second, room])
        best = score(params, state).argmax(dim=-1, keepdim=True)
        room = torch.where(there, room, doors.gather(-1, best).squeeze(-1))
        visited = visited | torch.nn.functional.one_hot(room, 77).bool()
        there = there | (room == goal)
        early = there if step < _SHORT else early
    return there.double().mean(dim=1), early.double().mean(dim=1)


def _drawn(walks: list[list[int]], rooms: _Rooms, row: int, seed: int, steps: int) -> tuple[Tensor, ...]:
    """Draw steps of a seed's walks for all batches: the fields of a `_State`, and the door chosen."""
    taken = [
        (maze, room, following, walk[: step + 1])
        for maze, walk in enumerate(walks)
        for step, (room, following) in enumerate(pairwise(walk))
    ]
    places = np.random.default_rng((seed, 32)).integers(0, len(taken), steps * _BATCH)
    chosen = [taken[place] for place in places]
    maze, room, following = torch.tensor([step[:3] for step in chosen]).T
    visited = np.zeros((len(chosen), 77), dtype=bool)
    for own, (*_, before) in zip(visited, chosen, strict=True):
        own[before] = True
    doors = rooms.neighbours[row, maze, room]
    choice = (doors == following[:, None]).int().argmax(dim=-1)
    state = (room, rooms.goal[row, maze], torch.tensor(visited), doors, rooms.parent[row, maze, room], choice)
    return tuple(field.unflatten(0, (steps, _BATCH)) for field in state)


@cache
def _graph() -> npt.NDArray[np.int64]:
    """Return which of the 77 persons of Les Miserables share a chapter, as 0 or 1."""
    found: npt.NDArray[np.int64] = nx.to_numpy_array(nx.les_miserables_graph(), weight=None, dtype=np.int64)
    return found


@cache
def _shared() -> Tensor:
    """Return how many neighbours two persons share; on the diagonal, how many each has."""
    return torch.tensor(_graph() @ _graph())


def _mazes(seed: int, count: int, *, one_map: bool) -> list[Maze]:
    """Cut mazes from the graph: spanning trees under random weights, or many ways through one of them."""
    rng = np.random.default_rng((seed, 30))
    found: list[Maze] = []
    taken: set[tuple[int, int]] = set()
    tree = csr_array(_graph())
    while len(found) < count:
        if not one_map or not found:
            tree = minimum_spanning_tree(csr_array(_graph() * np.triu(rng.random((77, 77)) + 1)))
        start, goal = (int(room) for room in rng.choice(77, 2, replace=False))
        _, parent = breadth_first_order(tree, start, directed=False)
        parent = np.where(parent < 0, start, parent).astype(np.int64)
        maze = Maze(parent, start, goal)
        if len(shortcut(maze)) > 3 and not (one_map and (start, goal) in taken):
            found.append(maze)
            taken.add((start, goal))
    return found


def _stack(mazes: list[list[Maze]]) -> _Rooms:
    shape = (len(mazes), len(mazes[0]))
    doors = np.full((*shape, 77, _WIDEST), -1)
    for s, own in enumerate(mazes):
        for m, maze in enumerate(own):
            numbers = np.zeros(77, dtype=np.int64)
            for room, parent in enumerate(maze.parent.tolist()):
                if room != maze.start:
                    for here, there in ((room, parent), (parent, room)):
                        doors[s, m, here, numbers[here]] = there
                        numbers[here] += 1
    width = int((doors >= 0).sum(axis=-1).max())

    def field(name: str) -> Tensor:
        return torch.tensor(np.stack([[getattr(maze, name) for maze in own] for own in mazes]))

    return _Rooms(torch.tensor(doors[..., :width]), field("parent"), field("start"), field("goal"))
