"""Shared by all tests: the review, the small invented one, and copies of their data to break."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, settings

import ktreview
from ktreview.corpus.review import DATA

#: An invented review of a few papers, with every value of every vocabulary and hostile words.
MINI = Path(__file__).parent / "mini"

# A busy machine is no fault, so that no example has a deadline. Where a run decides about a change, it tries
# the same examples every time.
settings.register_profile(
    "ktreview",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
    print_blob=True,
)
settings.load_profile("ktreview")
# `make quick` asks for this one, of fewer examples.
settings.register_profile("quick", settings.get_profile("ktreview"), max_examples=20)


@pytest.fixture(scope="session")
def review() -> ktreview.Review:
    """The review itself. What must hold of it stands in tests/corpus."""
    return ktreview.load_review()


@pytest.fixture(scope="session")
def mini() -> ktreview.Review:
    """The invented review, on which behaviour is tested."""
    return ktreview.load_review(MINI)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A copy of the review's dumps, records and themes."""
    folder = tmp_path / "data"
    shutil.copytree(DATA, folder)
    return folder


@pytest.fixture
def edit(data: Path) -> Callable[[str, Callable[[dict[str, Any]], Any]], Path]:
    """Edit one record of the copy: `edit("panda", change)` returns the copy's folder."""
    return lambda key, change: change_file(data, f"papers/{key}.yaml", change)


@pytest.fixture
def mini_data(tmp_path: Path) -> Path:
    """A copy of the invented review's folder."""
    folder = tmp_path / "mini"
    shutil.copytree(MINI, folder)
    return folder


@pytest.fixture
def edit_mini(mini_data: Path) -> Callable[[str, Callable[[dict[str, Any]], Any]], Path]:
    """Edit one file of that copy: `edit_mini("papers/ferry", change)` returns the copy's folder."""
    return lambda name, change: change_file(mini_data, f"{name}.yaml", change)


def change_file(folder: Path, name: str, change: Callable[[dict[str, Any]], Any]) -> Path:
    """Change what a YAML file of a data folder holds, and return the folder."""
    path = folder / name
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return folder
