"""Drawings of notebooks in pages, and what nbval compares of them."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
from myst_nb.core.render import MimeData
from nbclient import NotebookClient

from ktreview.show import figures
from ktreview.site.mime import InlineSvg

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def svg(review):
    return figures.years(review).svg


def rendered(content, mime="image/svg+xml", *, inline=False):
    return InlineSvg.handle_mime(None, MimeData(mime, content), inline)


def test_a_drawing_is_taken_in_with_its_anchor(svg):
    (node,) = rendered(svg + "\n")
    assert node["format"] == "html"
    assert node.astext() == f'<div class="kt-figure">{svg}</div>'
    assert 'id="figure-years"' in node.astext()


def test_what_runs_loads_or_is_something_else_is_left_to_others(svg):
    assert rendered(svg.replace("<g ", '<g onload="alert(1)" ', 1)) is None
    assert rendered(svg.replace("</svg>", "<script/></svg>")) is None
    assert rendered(svg, "image/png") is None
    assert rendered(svg, inline=True) is None


def test_myst_nb_finds_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = project["entry-points"]["myst_nb.mime_renderers"]
    assert list(named.values()) == [f"{InlineSvg.__module__}:{InlineSvg.__name__}"]


def test_nbval_compares_the_drawing_and_the_caption_and_not_the_bitmap(tmp_path):
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell("import ktreview\nfrom ktreview.show import figures"),
            nbformat.v4.new_code_cell("figures.years(ktreview.load_review())"),
        ]
    )
    NotebookClient(notebook, kernel_name="python3").execute()
    drawing, caption = notebook.cells[1].outputs

    def passes(name: str) -> bool:
        nbformat.write(notebook, tmp_path / f"{name}.ipynb")
        command = [sys.executable, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider", f"{name}.ipynb"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0

    drawing.data["image/png"] = "iVBORw0KGgo="
    assert passes("another_bitmap")
    title = caption.data["text/html"]
    caption.data["text/html"] = title.replace("span", "spam", 1)
    assert not passes("another_caption")
    caption.data["text/html"] = title
    drawing.data["image/svg+xml"] = drawing.data["image/svg+xml"].replace('x="', 'x="1', 1)
    assert not passes("another_drawing")
