"""The data that must hold: the review's own, or a copy that KTREVIEW_DATA names (see test_growth.py)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import ktreview
from ktreview.corpus.review import DATA


@pytest.fixture(scope="session")
def root() -> Path:
    return Path(os.environ.get("KTREVIEW_DATA", DATA))


@pytest.fixture(scope="session")
def review(root) -> ktreview.Review:
    return ktreview.load_review(root)
