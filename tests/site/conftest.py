"""The built site, and a browser to open it in."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import threading
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
HOW_TO_INSTALL = (
    "No Chromium was found for the tests of the site: install one (Debian: `apt-get install chromium`; "
    "anywhere: `playwright install chromium`) or name yours in the variable CHROMIUM."
)


def site_folder() -> Path:
    return Path(os.environ.get("KTREVIEW_SITE") or ROOT / "_build" / "html").resolve()


def pages_of(folder: Path) -> list[str]:
    """The addresses of the site's pages; folders with an underscore hold what pages are made of."""
    found = (path.relative_to(folder) for path in folder.rglob("*.html"))
    return sorted(path.as_posix() for path in found if not any(part.startswith("_") for part in path.parts))


#: Papers whose pages are looked at in a browser, each for what it has; all are alike in making.
LOOKED_AT = {
    "kg-traces",  # claims, results and verdicts
    "agentpoison",  # overstated, and a basis that stays open
    "jd-resume",  # no claim at all
    "gdcan",  # no claim with a number
    "lifelong-metrics",  # the longest list of authors
    "gpt-cpa",  # names in backticks, many levels
}


def pytest_generate_tests(metafunc):
    if "address" in metafunc.fixturenames:
        folder = site_folder()
        redirect = 'http-equiv="refresh"'
        shown = [
            page
            for page in pages_of(folder)
            if redirect not in (folder / page).read_text("utf-8")
            and ("/papers/" not in page or Path(page).stem in LOOKED_AT)
        ]
        # Without a site there is one test still, which fails for want of it.
        metafunc.parametrize("address", shown or ["index.html"])


@pytest.fixture(scope="session")
def site() -> Path:
    folder = site_folder()
    if not (folder / "index.html").is_file():
        pytest.fail(f"There is no site in {folder}: build it first (`make book`).", pytrace=False)
    return folder


@pytest.fixture(scope="session")
def pages(site) -> list[str]:
    return pages_of(site)


@pytest.fixture(scope="session")
def server(site):
    """The site's address on this machine."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        named = os.environ.get("CHROMIUM")
        if named and not shutil.which(named):
            pytest.fail(f"CHROMIUM names no program: {named}", pytrace=False)
        candidates = [named, *map(shutil.which, PROGRAMS), playwright.chromium.executable_path]
        program = next((path for path in candidates if path and shutil.which(path)), None)
        if program is None:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(HOW_TO_INSTALL)
        arguments = ["--no-sandbox", "--disable-background-networking"]
        running = playwright.chromium.launch(executable_path=program, args=arguments)
        yield running
        running.close()
