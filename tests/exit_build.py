"""The way out of Jupyter Book 1, kept open: the same pages with plain, new Sphinx.

    python tests/exit_build.py settings          print Sphinx's settings, made from _config.yml, as JSON
    python tests/exit_build.py requirements      print what such a build needs
    python tests/exit_build.py build FOLDER      build with the settings on standard input

Jupyter Book must be there for `settings` and must not be for `build`; `make exit-build` runs both, each in its
own environment, and compares the text of all articles with Jupyter Book's.
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
#: Jupyter Book's own extensions, and settings that only these know.
LEFT_BEHIND = ("jupyter_book", "sphinx_jupyterbook_latex")
THEIR_SETTINGS = ("use_jupyterbook_latex", "use_multitoc_numbering", "latex_doc_overrides")
#: What Jupyter Book brought along.
BROUGHT_ALONG = [
    "Sphinx>=9",
    "myst-parser>=5",
    "sphinx-book-theme>=1.1.4",
    "sphinx-comments>=0.0.3",
    "sphinx-copybutton>=0.5.2",
    "sphinx-external-toc>=1.1",
    "sphinx-togglebutton>=0.4",
]


def settings() -> dict[str, Any]:
    """Return Sphinx's settings as Jupyter Book makes them from _config.yml."""
    from jupyter_book.config import get_final_config  # noqa: PLC0415 - absent where the pages are built

    given = {"latex_individualpages": False, "external_toc_path": "_toc.yml"}
    made, _ = get_final_config(user_yaml=ROOT / "_config.yml", sourcedir=ROOT, cli_config=given)
    made["extensions"] = [name for name in made["extensions"] if name not in LEFT_BEHIND]
    return {name: value for name, value in made.items() if name not in THEIR_SETTINGS}


def requirements() -> list[str]:
    """Return the project's requirements for the book, with newer Sphinx in place of Jupyter Book."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["book"]
    return BROUGHT_ALONG + [
        line for line in wanted if not line.startswith(("jupyter-book", "Sphinx>", "ipykernel"))
    ]


def build(folder: Path, made: dict[str, Any]) -> int:
    """Build the pages; return 1 if Sphinx warns of anything."""
    from sphinx.application import Sphinx  # noqa: PLC0415 - absent where only settings are made
    from sphinx.util.docutils import docutils_namespace, patch_docutils  # noqa: PLC0415

    with patch_docutils(None), docutils_namespace():
        app = Sphinx(
            ROOT,
            None,
            folder / "html",
            folder / "doctrees",
            "html",
            confoverrides=made,
            freshenv=True,
            warningiserror=True,
            status=None,
        )
        app.build(force_all=True)
    return int(app.statuscode)


def main(command: str, *folder: str) -> int:
    """Run a command."""
    if command == "build":
        return build(Path(*folder), json.load(sys.stdin))
    said = json.dumps(settings(), indent=1) if command == "settings" else "\n".join(requirements())
    print(said)  # noqa: T201 - a command prints
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
