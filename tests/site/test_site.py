"""The built site as a reader meets it: from a folder, from a server, on a phone, in the dark, by ear."""

from __future__ import annotations

import csv
import re
from collections import Counter
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup

PUBLISHED = Path(__file__).resolve().parents[1] / "corpus" / "published_anchors.csv"
PHONE = {"width": 360, "height": 800}
DESK = {"width": 1280, "height": 900}

#: Every rule for WCAG 2.2 AA and the best practices, and one that axe counts as experimental.
AXE = {
    "resultTypes": ["violations"],
    "preload": False,  # axe would ask for style sheets at wrong addresses
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"],
    },
    "rules": {"label-content-name-mismatch": {"enabled": True}},
}

#: What sticks out to the right, unless it is inside a box that scrolls or clips.
STICKING_OUT = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const clipped = (element) => {
    for (let box = element.parentElement; box && box !== document.body; box = box.parentElement)
      if (getComputedStyle(box).overflowX !== "visible") return true;
    return getComputedStyle(element).position === "fixed";
  };
  const out = [...document.body.querySelectorAll("*")]
    .filter((element) => element.getBoundingClientRect().right > width + 0.5 && !clipped(element))
    .map((element) => element.outerHTML.slice(0, 120));
  return [`${document.documentElement.scrollWidth}px wide`, ...out.slice(0, 5)];
}"""


@cache
def soup(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@cache
def anchors(path: Path) -> frozenset[str]:
    return frozenset(element.get("id", element.get("name")) for element in soup(path).select("[id], a[name]"))


def report(faults):
    assert not faults, f"{len(faults)} faults:\n" + "\n".join(f"- {fault}" for fault in faults)


# Without a browser. One process runs all of these, so that each page is parsed once.

parsed = pytest.mark.xdist_group("parsed pages")


@parsed
def test_every_page_has_a_language_a_title_and_one_heading(site, pages):
    faults = []
    for page in pages:
        html = soup(site / page)
        if not html.html.get("lang"):
            faults.append(f"{page}: no language")
        if not (html.title and html.title.get_text(strip=True)):
            faults.append(f"{page}: no title")
        if (headings := len(html.select("h1"))) != 1:
            faults.append(f"{page}: {headings} headings h1")
    report(faults)


@parsed
def test_every_id_is_given_once(site, pages):
    faults = []
    for page in pages:
        counts = Counter(element["id"] for element in soup(site / page).select("[id]"))
        faults += [f"{page}: #{name} is given {n} times" for name, n in counts.items() if n > 1]
    report(faults)


@parsed
def test_every_link_leads_somewhere(site, pages):
    faults = []
    for page in pages:
        for element in soup(site / page).select("[href], [src], [xlink\\:href], object[data]"):
            links = [
                element[name] for name in ("href", "src", "xlink:href", "data") if element.has_attr(name)
            ]
            faults += [f"{page}: {link!r} {fault}" for link in links if (fault := _fault(site, page, link))]
    report(sorted(set(faults)))


def _fault(site: Path, page: str, link: str) -> str | None:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    if parts.path.startswith("/"):
        return "starts at the server's root, which a folder does not have"
    path, fragment = urldefrag(urljoin(page, link))
    target = site / unquote(urlsplit(path).path) if parts.path else site / page
    if not target.resolve().is_relative_to(site):
        return "leads out of the site"
    if not target.is_file():
        return "leads to no file"
    if fragment and target.suffix == ".html" and unquote(fragment) not in anchors(target):
        return "leads to no such place on the page"
    return None


@parsed
def test_what_the_first_edition_could_be_linked_by_still_leads_somewhere(site):
    """Ids of content that were published: of papers, words, claims, results, labs, figures and headings."""
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    report(
        [
            f"book/{row['page']}.html has no #{row['anchor']} any more"
            for row in rows
            if row["anchor"] not in anchors(site / "book" / f"{row['page']}.html")
        ]
    )


@parsed
def test_no_page_names_another_host_to_load_from(site, pages):
    elsewhere = re.compile(r"\s*(?:https?:)?//", re.IGNORECASE)
    faults = []
    for page in pages:
        loading = "[src], [srcset], link[href], object[data], image[href], use[href]"
        for element in soup(site / page).select(loading):
            names = {"canonical", "license", "author"} & set(element.get("rel") or [])
            loads = [element.get(name, "") for name in ("src", "srcset", "data", "href")]
            if not names and any(map(elsewhere.match, loads)):
                faults.append(f"{page}: {str(element)[:150]}")
    in_style = re.compile(r"""(?:url\(|@import)\s*['"]?\s*(?:https?:)?//[^\s'")]*""", re.IGNORECASE)
    for path in [*site.rglob("*.css"), *(site / page for page in pages)]:
        found = in_style.findall(path.read_text(encoding="utf-8"))
        faults += [f"{path.relative_to(site)}: {address}" for address in found]
    report(faults)


@parsed
def test_no_formula_is_left_as_source(site, pages):
    source = re.compile(r"\$\$|\$[^$\n]*\\[A-Za-z]+[^$\n]*\$|\\(?:begin|end|frac|mathrm|mathcal|tau)\b")
    faults = []
    for page in pages:
        texts = soup(site / page).body.find_all(string=source)
        shown = [text for text in texts if not text.find_parent(["code", "pre", "script", "style"])]
        faults += [f"{page}: {source.search(text)[0]!r}" for text in shown]
    report(faults)


# In a browser.


class Visit:
    """What a page asks for and complains of while it is open."""

    def __init__(self, page, home: str) -> None:
        self.faults: list[str] = []
        self.own = re.compile(f"{re.escape(home)}|data:|blob:")
        page.route("**/*", self.route)
        page.on("console", self.said)
        page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        page.on("requestfailed", self.failed)
        page.on("response", self.answered)

    def route(self, asked):
        if self.own.match(asked.request.url):
            asked.continue_()
        else:
            self.faults.append(f"asks another host for {asked.request.url}")
            asked.abort()

    def said(self, message):
        if message.type == "error":
            self.faults.append(f"console: {message.text} ({message.location.get('url', '')})")

    def failed(self, asked):
        if self.own.match(asked.url):
            self.faults.append(f"can't load {asked.url}")

    def answered(self, answer):
        if answer.status >= 400:
            self.faults.append(f"{answer.status} for {answer.url}")


@pytest.fixture
def visit(browser):
    """Open a page; returns it and the list that its faults go to."""
    contexts = []

    def start(address: str, home: str):
        context = browser.new_context(viewport=DESK, color_scheme="light", reduced_motion="reduce")
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        faults = Visit(page, home).faults
        page.goto(urljoin(home, address), wait_until="load")
        return page, faults

    yield start
    for context in contexts:
        context.close()


def _axe(page, mode: str) -> list[str]:
    page.evaluate("document.getAnimations().forEach((animation) => animation.finish())")
    found = Axe().run(page, options=AXE).response["violations"]
    return [
        f"axe, {mode}: {rule['id']} ({rule['impact']}), {rule['help']}: {node['html'][:150]}"
        for rule in found
        for node in rule["nodes"][:3]
    ]


def _ground(page) -> float:
    """The page's lightness, 0 to 255."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3


def test_page_from_a_server(server, visit, address):
    """Nothing missing or from elsewhere, no violation in light or dark, nothing sticks out on a phone."""
    page, faults = visit(address, server)
    light = _ground(page)
    faults += _axe(page, "light")
    switch = page.locator(".theme-switch-button").first
    for _ in range(3):
        if page.evaluate("document.documentElement.dataset.theme") == "dark":
            break
        switch.click()
    if not _ground(page) < light / 2:
        faults.append(f"the dark mode is not dark: {_ground(page):.0f} against {light:.0f}")
    page.mouse.move(0, 0)
    page.locator(".tooltip").wait_for(state="detached")
    faults += _axe(page, "dark")
    page.set_viewport_size(PHONE)
    page.wait_for_timeout(400)  # the theme looks anew for boxes that scroll, 0.3 s after a change
    faults += [f"at {PHONE['width']}px: {what}" for what in page.evaluate(STICKING_OUT)]
    faults += _axe(page, "dark, on a phone")
    report(list(dict.fromkeys(faults)))


def test_page_from_a_folder(site, visit, address):
    page, faults = visit(address, site.as_uri() + "/")
    if page.locator("h1").count() != 1:
        faults.append("does not show")
    report(faults)


@pytest.mark.parametrize("way", ["server", "folder"])
def test_the_root_leads_to_the_first_page(site, visit, way, request):
    home = request.getfixturevalue("server") if way == "server" else site.as_uri() + "/"
    page, faults = visit("index.html", home)
    page.locator("main#main-content h1").wait_for()
    assert page.url.startswith(home)
    report(faults)


@pytest.mark.parametrize("way", ["server", "folder"])
def test_search_finds_a_page(site, pages, visit, way, request):
    home = request.getfixturevalue("server") if way == "server" else site.as_uri() + "/"
    heading = next(soup(site / page).h1.find(string=True) for page in pages if page.startswith("book/"))
    page, faults = visit(f"search.html?q={max(heading.split(), key=len)}", home)
    page.locator("#search-results li a").first.wait_for()
    page.wait_for_timeout(200)  # excerpts come later, or their errors do
    report(faults)
