"""Shared by all tests: the review, and a copy of its data to break."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import ktreview
from ktreview.corpus.review import DATA


@pytest.fixture(scope="session")
def review() -> ktreview.Review:
    return ktreview.load_review()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A copy of the review's dumps, records and themes."""
    folder = tmp_path / "data"
    shutil.copytree(DATA, folder)
    return folder


@pytest.fixture
def edit(data: Path) -> Callable[[str, Callable[[dict[str, Any]], Any]], Path]:
    """Edit one record of the copy: `edit("panda", change)` returns the copy's folder."""

    def change_record(key: str, change: Callable[[dict[str, Any]], Any]) -> Path:
        path = data / "papers" / f"{key}.yaml"
        record = yaml.safe_load(path.read_text(encoding="utf-8"))
        change(record)
        path.write_text(yaml.safe_dump(record, allow_unicode=True, sort_keys=False), encoding="utf-8")
        return data

    return change_record
