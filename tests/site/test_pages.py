"""What a reader does with the figures, and that a site can be made again to the byte."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
THEMES = ["knowledge-distillation", "continual-learning", "knowledge-editing", "kg-and-llm"]


@pytest.fixture
def page(browser):
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("width", [1280, 800, 390, 320])
def test_a_figure_is_one_drawing_that_fits_and_brings_no_ground(site, page, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto((site / "book" / "landscape.html").as_uri())
    figures = page.locator(".kt-figure")
    assert figures.count() == 4
    for figure in figures.all():
        assert figure.locator("svg").count() == 1
        box = figure.locator("svg").bounding_box()
        assert min(300, width - 40) <= box["width"] <= min(480, width)
        assert not figure.locator(".kt-ground").is_visible()


@pytest.mark.parametrize("width", [1280, 390])
def test_no_text_of_a_drawing_leaves_it(site, page, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto((site / "book" / "landscape.html").as_uri())
    outside = page.evaluate(
        """() => [...document.querySelectorAll(".kt-figure svg")].flatMap((svg) => {
          const box = svg.getBoundingClientRect();
          return [...svg.querySelectorAll("text")].filter((text) => {
            const words = text.getBoundingClientRect();
            return words.left < box.left - 1 || words.right > box.right + 1 || words.top < box.top - 1;
          }).map((text) => text.textContent);
        })"""
    )
    assert outside == []


def test_text_in_a_drawing_is_never_smaller_than_ten_pixels(site, page):
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto((site / "book" / "landscape.html").as_uri())
        smallest = page.evaluate(
            """() => Math.min(...[...document.querySelectorAll(".kt-figure svg text")]
              .filter((text) => text.checkVisibility())
              .map((text) => text.getBoundingClientRect())
              .filter((box) => box.width > box.height)
              .map((box) => box.height))"""
        )
        assert smallest >= 10


@pytest.mark.parametrize("theme", THEMES)
def test_a_mark_leads_to_its_paper_by_mouse_and_by_keyboard(site, page, theme):
    address = (site / "book" / "themes" / f"{theme}.html").as_uri()
    page.goto(address)
    mark = page.locator(".kt-figure svg a[aria-label]").first
    key, claim = mark.get_attribute("data-paper"), mark.get_attribute("data-claim")
    words = (site / "book" / "papers" / f"{key}.html").as_uri() + f"#words-{claim}"
    assert mark.get_attribute("aria-label").endswith("”")
    mark.click()
    page.wait_for_url(words)
    page.locator(f"#words-{claim}").wait_for(state="visible")
    page.goto(address)
    page.locator(".kt-figure svg a[aria-label]").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(words)


def test_the_data_of_a_figure_open_and_download(site, page):
    page.goto((site / "book" / "landscape.html").as_uri())
    figure = page.locator(".kt-caption").first
    figure.locator("summary").click()
    assert figure.locator("table tbody tr").count() == 19
    with page.expect_download() as download:
        figure.get_by_text("Download as CSV").click()
    assert download.value.suggested_filename == "claimed-gains-all.csv"
    assert Path(download.value.path()).read_text("utf-8").startswith("axis,paper,value,")


def test_the_same_sources_give_the_same_bytes_elsewhere(site, tmp_path):
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "book", tmp_path / "book")
    program = str(Path(sys.executable).parent / "jupyter-book")
    command = [program, "build", ".", "-W", "-n", "--keep-going", "-q"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr

    def digests(folder):
        return {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    first, second = digests(site), digests(tmp_path / "_build" / "html")
    assert set(first) == set(second)
    assert [name for name in first if first[name] != second[name]] == []
