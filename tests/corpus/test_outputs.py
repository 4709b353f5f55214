"""The chapters' stored outputs: nothing in them that nbval would pass over and a page would show.

nbval compares no bitmaps and no widgets, obeys `NBVAL` in a cell's source, and looks at neither metadata nor
counts of outputs.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

BOOK = Path(__file__).resolve().parents[2] / "book"
CHAPTERS = sorted(path for path in BOOK.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
#: What an output may hold. A bitmap stands beside the drawing that nbval compares, never alone.
COMPARED = {"text/plain", "text/html", "image/svg+xml"}
BESIDE = {"image/png": "image/svg+xml"}


def odd(notebook):
    """Name what nbval would not compare, or compares with nothing."""
    for number, cell in enumerate(notebook["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] != "code":
            continue
        if "nbval" in source.casefold():
            yield f"cell {number} speaks to nbval"
        if any("nbval" in tag or "raises" in tag for tag in cell["metadata"].get("tags", [])):
            yield f"cell {number} has a tag for nbval"
        for output in cell["outputs"]:
            yield from (f"cell {number}: {what}" for what in odd_output(output, cell["execution_count"]))


def odd_output(output, count):
    kind = output["output_type"]
    if kind == "stream":
        if output["name"] != "stdout":
            yield "warnings or errors are printed"
        return
    if kind not in ("execute_result", "display_data"):
        yield f"the output is of the kind {kind}"
        return
    held = set(output["data"])
    if strange := held - COMPARED - set(BESIDE):
        yield f"no test compares {', '.join(sorted(strange))}"
    if alone := {bitmap for bitmap, drawing in BESIDE.items() if bitmap in held and drawing not in held}:
        yield f"{alone} stands alone"
    if "text/plain" not in held and "image/svg+xml" not in held and "text/html" not in held:
        yield "there is nothing to compare"
    if output["metadata"]:
        yield "the output has metadata"
    if kind == "execute_result" and output["execution_count"] != count:
        yield "the output is of another run"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_no_output_passes_nbval_unseen(path):
    assert list(odd(json.loads(path.read_text(encoding="utf-8")))) == []


SOUND = {
    "cells": [
        {
            "cell_type": "code", "execution_count": 1, "metadata": {}, "source": ["1 + 1"],
            "outputs": [
                {
                    "output_type": "execute_result", "execution_count": 1, "metadata": {},
                    "data": {"text/plain": "2", "image/svg+xml": "<svg/>", "image/png": "iVBO"},
                }
            ],
        }
    ]
}  # fmt: skip


def in_cell(**fields):
    return lambda cell, _: cell.update(fields)


def in_output(**fields):
    return lambda _, output: output.update(fields)


def in_data(**types):
    return lambda _, output: output["data"].update({name.replace("_", "/"): "x" for name in types})


@pytest.mark.parametrize(
    "change",
    [
        in_cell(source=["# NBVAL_IGNORE_OUTPUT\n", "1 + 1"]),
        in_cell(source=["# NBVAL_SKIP\n", "1 + 1"]),
        in_cell(source=["x = 1  # nbval_skip"]),
        in_cell(metadata={"tags": ["nbval-skip"]}),
        in_cell(metadata={"tags": ["raises-exception"]}),
        lambda _, output: output["data"].update({"application/vnd.jupyter.widget-view+json": {}}),
        in_data(text_latex=1),
        in_data(image_jpeg=1),
        lambda _, output: output["data"].pop("image/svg+xml"),
        in_output(metadata={"needs_background": "light"}),
        in_output(execution_count=2),
        in_output(output_type="error"),
        in_output(output_type="update_display_data"),
        in_output(output_type="stream", name="stderr", text="warning"),
    ],
)
def test_what_would_pass_unseen_is_told(change):
    notebook = copy.deepcopy(SOUND)
    assert list(odd(notebook)) == []
    (cell,) = notebook["cells"]
    change(cell, cell["outputs"][0])
    assert len(list(odd(notebook))) == 1
