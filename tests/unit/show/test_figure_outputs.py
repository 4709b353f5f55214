"""What a figure gives to Jupyter, to the site and to the cache, and what a page takes in."""

from __future__ import annotations

import base64
import io
import re
from xml.etree import ElementTree as ET

import pytest
from matplotlib.figure import Figure as Canvas
from PIL import Image

from ktreview.show import figures
from ktreview.show.figures import cache
from ktreview.show.figures.allowed import fault
from ktreview.show.figures.svg import PALETTE, render


@pytest.fixture(scope="module")
def figure(review):
    return figures.claimed_gains(review)


@pytest.fixture(scope="module", params=["augmenting-llms", "knowedit"])
def largest(review, request):
    """The labs with the most to draw."""
    return figures.lab(review, request.param)


def bitmap(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png))


def test_a_figure_shows_itself_as_a_drawing_and_then_as_a_caption(figure, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, *, raw: shown.append((bundle, raw)))
    figure._ipython_display_()
    (drawing, _), (caption, _) = shown
    assert all(raw for _, raw in shown)
    assert set(drawing) == {"image/svg+xml", "image/png", "text/plain"}
    assert drawing["image/svg+xml"] == figure.svg
    assert base64.b64decode(drawing["image/png"]) == figure.png()
    assert set(caption) == {"text/html", "text/plain"}
    assert "<svg" not in caption["text/html"]
    assert figure.title in caption["text/plain"]
    assert figure.note in caption["text/html"]


def test_the_site_gets_drawing_and_caption_in_one(figure):
    page = figure.html()
    assert page.startswith(f'<figure class="kt-figure">{figure.svg}<figcaption>')
    assert figure.caption() in page


def test_a_drawing_reads_alone(figure):
    root = ET.fromstring(figure.svg)
    width, height = float(root.get("width")), float(root.get("height"))
    assert width / height == pytest.approx(
        float(root.get("viewBox").split()[2]) / float(root.get("viewBox").split()[3]), rel=0.01
    )
    assert root.get("id") == f"figure-{figure.name}"
    assert root.get("font-family").endswith("sans-serif")
    ground = next(part for part in root.iter() if part.get("class") == "kt-ground")
    assert "var(--kt-surface, #ffffff)" in ground[0].get("style")
    for colour in re.findall(r"var\(--kt-([a-z0-9]+), (#[0-9a-f]{6})\)", figure.svg):
        assert PALETTE[colour[0]] == colour[1]


def test_a_bitmap_is_small_on_white_and_says_nothing_of_its_maker(largest):
    png = largest.png()
    assert len(png) <= 60_000
    assert png == largest.png()
    image = bitmap(png)
    assert not image.info
    assert image.width == 450
    pixels = image.convert("RGB")
    assert pixels.getpixel((0, 0)) == pixels.getpixel((image.width - 1, image.height - 1)) == (255, 255, 255)
    colours = {colour for _, colour in pixels.getcolors()}
    assert {
        tuple(int(PALETTE[role][n : n + 2], 16) for n in (1, 3, 5)) for role in ("ink", "1", "3")
    } <= colours


SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">{}</svg>'


@pytest.mark.parametrize(
    ("inside", "says"),
    [
        ("<script>alert(1)</script>", "the element script"),
        ("<foreignObject><p/></foreignObject>", "the element foreignObject"),
        ('<image href="https://x.example/a.png"/>', "the element image"),
        ("<style>@import 'https://x.example'</style>", "the element style"),
        ('<p xmlns="http://www.w3.org/1999/xhtml"/>', "the element"),
        ('<g onclick="alert(1)"/>', "the attribute onclick"),
        ('<use href="https://x.example/a.svg#b"/>', "leads to https://x.example"),
        ('<use xlink:href="data:image/svg+xml,x"/>', "leads to data:"),
        ('<a href="javascript:alert(1)"><text>x</text></a>', "leads to javascript:"),
        ('<a href=" javascript:alert(1)"><text>x</text></a>', "leads to"),
        ('<path style="fill: url(https://x.example/a)"/>', "the style"),
        ('<path style="fill: u\\72l(https://x.example/a)"/>', "the style"),
        ('<path style="fill: url(a.svg)"/>', "the style"),
        ('<path style="position: fixed"/>', "the style"),
        ("<!-- <script/> -->", "a declaration or a comment"),
        ("<?xml-stylesheet href='https://x.example/a.css'?>", "an instruction"),
        ("<path>", "not well-formed"),
    ],
)
def test_what_runs_or_loads_is_no_drawing(inside, says):
    assert says in fault(SVG.format(inside))


def test_what_is_no_svg_is_no_drawing():
    assert fault("<p>hello</p>") == "it is not an SVG"
    assert "declaration" in fault('<!DOCTYPE svg [<!ENTITY a "b">]>' + SVG.format("&a;"))
    assert "not well-formed" in fault("")


def test_shapes_text_and_links_are_a_drawing(figure):
    assert fault(SVG.format('<a href="https://arxiv.org/abs/1"><text x="1">x</text></a>')) is None
    assert fault(figure.svg) is None


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("KTREVIEW_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept" / "figures"


@pytest.fixture
def draw():
    """Draws a line of so many points, and counts how often it does."""

    def one(points: list[int]) -> Canvas:
        one.calls += 1
        canvas = Canvas(figsize=(5, 1))
        canvas.add_axes((0, 0, 1, 1)).plot(points)
        return canvas

    one.calls = 0
    return one


def of(draw, points, alt="a line"):
    return render("line", draw, points, title="A line", note="", alt=alt, data=None).svg


def test_the_same_is_drawn_once_and_anything_else_anew(kept, draw):
    first = of(draw, [1, 2])
    assert of(draw, [1, 2]) == first
    assert draw.calls == 1
    assert of(draw, [1, 3]) != first
    assert of(draw, [1, 3], alt="another line") != of(draw, [1, 3])
    assert draw.calls == 4
    assert len(list(kept.iterdir())) == 1, "one drawing a figure is kept"


@pytest.mark.usefixtures("kept")
def test_a_drawing_of_other_code_or_packages_is_not_taken(draw, monkeypatch):
    of(draw, [1, 2])
    made_with = cache._made_with()
    monkeypatch.setattr(cache, "_made_with", lambda: [*made_with[:-1], "numpy 0"])
    of(draw, [1, 2])
    assert draw.calls == 2
    assert {"cache.py", "labs.py", "rows.py", "svg.py"} <= {path.name for path in cache.SOURCES}


@pytest.mark.parametrize(
    "change", [lambda text: text[: len(text) // 2], lambda _: SVG.format("<script/>"), lambda _: ""]
)
def test_a_file_that_is_no_drawing_is_not_taken(kept, draw, change):
    first = of(draw, [1, 2])
    (file,) = kept.iterdir()
    file.write_text(change(file.read_text("utf-8")), "utf-8")
    assert of(draw, [1, 2]) == first
    assert file.read_text("utf-8") == first


def test_without_a_folder_to_write_in_everything_is_drawn(tmp_path, draw, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KTREVIEW_CACHE", str(tmp_path / "file"))
    assert of(draw, [1, 2]) == of(draw, [1, 2])
    assert draw.calls == 2


def test_the_folder_is_the_user_s_unless_named(monkeypatch, tmp_path):
    monkeypatch.delenv("KTREVIEW_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "ktreview" / "figures"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.folder() == tmp_path / ".cache" / "ktreview" / "figures"
