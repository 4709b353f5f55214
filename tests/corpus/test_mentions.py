"""The book speaks of every theme and every paper. A message here always says what to mention where."""

from __future__ import annotations

import json
import re
from pathlib import Path

BOOK = Path(__file__).resolve().parents[2] / "book"


def prose(theme: str) -> str:
    """The Markdown of a theme's chapter; empty where there is none."""
    path = BOOK / "themes" / f"{theme}.ipynb"
    if not path.is_file():
        return ""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def test_every_theme_has_a_chapter(review):
    missing = [theme for theme in review.themes if not prose(theme)]
    assert not missing, f"mention it: write book/themes/{missing[0]}.ipynb"


def test_every_paper_is_named_in_its_theme_s_chapter(review):
    missing = [
        (key, theme)
        for key, theme in review.papers[["key", "theme"]].itertuples(index=False)
        if not re.search(rf"(?:paper:|{{paper}}`){key}\b(?!-)", prose(theme))
    ]
    assert not missing, "mention it: " + "; ".join(
        f"{key} in book/themes/{theme}.ipynb" for key, theme in missing
    )
