"""How fast labs and chapters run, as ratios of times taken in one run. Run it with `make benchmark`.

Ratios carry over from machine to machine better than seconds do. Nothing else should run meanwhile.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from ktlabs.bench import runner as lab
from ktlabs.bench.losses import cross_entropy
from ktlabs.bench.nets import Grid, Population, fit, mlp

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = str(Path(sys.executable).parent / "ktreview")
STEPS = 100


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Return the shortest of some runs."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def population_against_loop(models: int) -> float:
    """Return how many times faster a population trains than a loop over torch's own modules."""
    seeds = list(range(models))
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(models, 50, 64, generator=generator)
    y = torch.randint(0, 10, (models, 50), generator=generator)

    def together() -> None:
        grid = Grid(seeds, {"only": [{"lr": 1e-2}]})
        net = Population(lambda: mlp(64, 32, 10), seeds)
        fit(grid.population(net.params), lambda p, _: cross_entropy(net(p, x), y), steps=STEPS, lr=grid["lr"])

    def one_by_one() -> None:
        for row in seeds:
            torch.manual_seed(row)
            net = mlp(64, 32, 10)
            optimiser = torch.optim.AdamW(net.parameters(), lr=1e-2, weight_decay=1e-4)
            for _ in range(STEPS):
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(net(x[row]), y[row]).backward()
                optimiser.step()

    return seconds(one_by_one) / seconds(together)


def run(*command: str) -> tuple[float, str]:
    """Return how long a command takes, and what it says."""
    begin = time.perf_counter()
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return time.perf_counter() - begin, told.stdout + told.stderr


def main() -> None:
    """Print all ratios."""
    with lab.settings():
        for models in (8, 48, 96):
            print(f"population of {models}: {population_against_loop(models):.1f} times as fast as a loop")
    cold, told = run(PROGRAM, "lab", "run", "--all", "--fresh", "--jobs", "2")
    spent = sum(map(float, re.findall(r"([\d.]+) CPU seconds", told)))
    print(
        f"all labs, afresh: {cold:.0f} s; {spent:.0f} CPU seconds on two processes, {spent / cold:.2f} at once"
    )
    run(PROGRAM, "lab", "run", "--all")
    warm, _ = run(PROGRAM, "lab", "run", "--all")
    print(f"all labs, from the cache: {warm:.1f} s, {cold / warm:.0f} times as fast")
    with tempfile.TemporaryDirectory() as folder:
        copies = [Path(folder) / path.name for path in sorted((ROOT / "book").rglob("*.ipynb"))]
        for copy, path in zip(copies, sorted((ROOT / "book").rglob("*.ipynb")), strict=True):
            copy.write_bytes(path.read_bytes())
        chapters, _ = run(PROGRAM, "execute", "--jobs", "2", *map(str, copies))
    print(f"all {len(copies)} chapters re-executed: {chapters:.0f} s")


if __name__ == "__main__":
    main()
