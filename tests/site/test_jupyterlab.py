"""The chapters as JupyterLab shows them: as they are stored and never run here, and run; light and dark."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

# One process starts JupyterLab, once.
pytestmark = pytest.mark.xdist_group("JupyterLab")

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted(path for path in (ROOT / "book").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)

#: A notebook of figures of every kind, beside the chapters.
SAMPLE = (
    "import ktreview\nfrom ktreview.show import figures\n\nreview = ktreview.load_review()\nfigures.years(review)",
    "figures.claimed_gains(review)",
    "figures.labs(review)",
    "figures.reporting_quality(review)",
    'figures.lab_figure(review, "cuber")',
)
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # else few cells are in the page at a time
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
#: What is wrong with a notebook as it stands in the page.
FAULTS = """() => {
  const faults = [];
  for (const output of document.querySelectorAll(".jp-Notebook .jp-OutputArea-output")) {
    for (const image of output.querySelectorAll("img")) {
      const box = image.getBoundingClientRect();
      if (!image.complete || !image.naturalWidth || box.width < 200 || box.height < 50)
        faults.push(`an image of ${box.width} by ${box.height}`);
    }
    if (output.dataset.mimeType === "application/vnd.jupyter.error") faults.push(output.innerText.slice(0, 200));
  }
  for (const code of document.querySelectorAll(".jp-Notebook .jp-RenderedMarkdown code")) {
    const before = code.previousSibling?.textContent ?? "";
    if (/\\{[a-z-]+\\}$/.test(before)) faults.push(`a raw role: ${before.slice(-20)}${code.textContent}`);
  }
  return faults;
}"""
SHOWN = '.jp-Notebook .jp-OutputArea-output[data-mime-type^="image/"] img'


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The notebooks, under names that say their place."""
    notebooks = tmp_path_factory.mktemp("notebooks")
    for path in CHAPTERS:
        shutil.copy(path, notebooks / f"{path.parent.name}-{path.name}")
    sample = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in SAMPLE])
    NotebookClient(sample, kernel_name="python3").execute()
    nbformat.write(sample, notebooks / "sample.ipynb")
    for path in list(notebooks.glob("*.ipynb")):  # running one signs it, and makes it trusted
        shutil.copy(path, path.with_name(f"run-{path.name}"))
    return notebooks


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("settings")


def set_to(settings: Path, theme: str) -> None:
    chosen = {**SETTINGS, "apputils-extension/themes": {"theme": f"JupyterLab {theme.title()}"}}
    for name, values in chosen.items():
        extension, plugin = name.split("/")
        path = settings / "@jupyterlab" / extension / f"{plugin}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values), encoding="utf-8")


@pytest.fixture(scope="module")
def jupyterlab(folder, settings, tmp_path_factory):
    """The address of a JupyterLab that knows nothing of its user, and trusts no notebook."""
    home = tmp_path_factory.mktemp("home")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "HOME": str(home),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
    }
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser",
        f"--ServerApp.port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token=",
        f"--ServerApp.root_dir={folder}", "--LabApp.news_url=",
    ]  # fmt: skip
    with (home / "log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
        try:
            for _ in range(300):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
                    break
                assert server.poll() is None, (home / "log").read_text()
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(30)


@pytest.fixture
def opened(jupyterlab, browser, settings):
    """Open a notebook in a theme, with all its cells in the page."""
    contexts = []

    def start(name: str, theme: str):
        set_to(settings, theme)
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.goto(f"{jupyterlab}/lab/tree/{name}?reset")
        page.wait_for_function("document.body.dataset.jpThemeLight !== undefined")
        page.locator(".jp-Notebook").wait_for()
        return page

    yield start
    for context in contexts:
        context.close()


def check(page, notebook, theme: str) -> None:
    """Every figure of the notebook is seen, and no role is raw."""
    figures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if {"image/svg+xml", "image/png"} & set(output.get("data", {}))
    ]
    page.wait_for_function(
        "([cells, shown, images]) => document.querySelectorAll('.jp-Notebook .jp-Cell').length === cells"
        " && [...document.querySelectorAll(shown)].filter((image) => image.naturalWidth).length === images",
        arg=[len(notebook.cells), SHOWN, len(figures)],
    )
    assert page.evaluate("document.body.dataset.jpThemeLight") == str(theme == "light").lower()
    assert page.evaluate(FAULTS) == []
    for caption in page.locator(".jp-Notebook .kt-caption").all():
        assert caption.is_visible()
    drawn = sum(
        "kt-figure" in str(output.get("data"))
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )
    assert not drawn, f"{drawn} figures are HTML, which Jupyter does not show: execute the notebook anew"


NAMES = ["sample.ipynb", *(f"{path.parent.name}-{path.name}" for path in CHAPTERS)]
#: Run here too: figures of every kind, the chapter with cells to change, and the one with most figures.
RUN = ["sample.ipynb", "themes-knowledge-editing.ipynb", "evidence-audit.ipynb"]


@pytest.mark.parametrize(("name", "theme"), [*((name, "light") for name in NAMES), ("sample.ipynb", "dark")])
def test_a_notebook_that_was_not_run_here_shows_every_figure(folder, opened, name, theme):
    page = opened(name, theme)
    check(page, nbformat.read(folder / name, as_version=4), theme)
    sources = page.evaluate(
        "(shown) => [...document.querySelectorAll(shown)].map((image) => image.src)", SHOWN
    )
    assert all(source.startswith("data:image/png") for source in sources), "it is trusted"


@pytest.mark.parametrize("name", RUN)
def test_a_notebook_shows_every_figure_when_it_is_run(folder, opened, name):
    notebook = nbformat.read(folder / name, as_version=4)
    page = opened(f"run-{name}", "dark")
    page.wait_for_function("window.jupyterapp?.shell?.currentWidget?.sessionContext?.isReady")
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    cells = sum(cell.cell_type == "code" and bool(cell.source.strip()) for cell in notebook.cells)
    page.wait_for_function(
        "(cells) => [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')]"
        ".filter((prompt) => /\\[\\d+\\]/.test(prompt.innerText)).length === cells",
        arg=cells,
        timeout=120_000,
    )
    check(page, notebook, "dark")
