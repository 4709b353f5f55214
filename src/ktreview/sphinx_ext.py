"""The book's own roles and directives, its bibliography and its downloads.

In chapters, prose takes every number, quote and name from the records:

========================================  ====================================================
``{paper}`panda```                        the paper's short name, linked to its place in the book
``{claim}`panda-1```                      the claim's exact words, linked to its place
``{value}`panda-1```                      the claim's value with bound and unit
``{count}`claims kind=gain```             a count (`ktreview.query.count`)
````{papers} knowledge-distillation````   the theme's papers as cards, one anchor a paper
````{show} table flow````                 a table or figure by name, with `:theme:` as an option
========================================  ====================================================
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

import ktreview
from ktreview import export, figures, query, tables, wording
from ktreview.records import Paper
from ktreview.review import Review, digest, rows

logger = logging.getLogger(__name__)

_CHAPTERS = "book/themes/"
_review: Review | None = None


def _load() -> Review:
    """Load the review once a build."""
    global _review  # noqa: PLW0603 - Sphinx gives roles no other place to share it
    if _review is None:
        _review = ktreview.load_review()
    return _review


def _reload(app: Sphinx, _config: Config) -> None:
    """Load afresh as a build starts, and write the bibliography that citations need."""
    global _review  # noqa: PLW0603
    _review = None
    export.write_if_changed(Path(app.srcdir) / "book" / "references.bib", export.bibliography(_load()))


def _chapter(env: BuildEnvironment, paper: Paper) -> str | None:
    """Return the page of a paper's chapter, None while there is no such chapter."""
    docname = _CHAPTERS + paper.theme
    return docname if docname in env.found_docs else None


def _uri(app: Sphinx, docname: str, key: str) -> str:
    """Return the address of a paper's place, as seen from a page."""
    paper = _load().records[key]
    chapter = _chapter(app.env, paper)
    if chapter is None:
        return f"https://arxiv.org/abs/{paper.arxiv}" if paper.arxiv else ""
    page = "" if chapter == docname else app.builder.get_relative_uri(docname, chapter)
    return f"{page}#paper-{key}"


def _card(review: Review, key: str) -> str:
    paper = review.records[key]
    e = html.escape
    authors = (
        paper.authors if len(paper.authors) <= 6 else [*paper.authors[:5], f"{len(paper.authors) - 5} more"]
    )
    facts = [
        wording.listing(authors),
        paper.venue or "no venue known",
        f"first version {paper.date[:4]}",
        paper.kind.replace("-", " "),
    ]
    links = [f'<a href="https://arxiv.org/abs/{paper.arxiv}">arXiv {paper.arxiv}</a>'] if paper.arxiv else []
    if paper.code:
        seen = "" if paper.code.source == "abstract" else " (not in the abstract)"
        links.append(f'<a href="{e(paper.code.url)}">code</a>{seen}')
    claims = review.claims[review.claims["paper"] == key]
    quotes = "".join(
        f'<li><q class="kt-quote">{e(wording.plain(row.quote))}</q> '
        f"({e(row.kind)}, {e(wording.value(row))})</li>"
        for row in rows(claims)
    )
    return (
        f'<article class="kt-card" id="paper-{key}">'
        f'<p class="kt-card-title"><strong>{e(wording.short_name(paper))}</strong> {e(paper.title)}</p>'
        f'<p class="kt-card-facts">{e(" · ".join(facts))} · {" · ".join(links)}</p>'
        f"<p>{e(paper.mechanism)}</p><p><em>Careful:</em> {e(paper.limits)}</p>"
        + (f"<p>Claims with a number:</p><ul>{quotes}</ul>" if quotes else "<p>No claim with a number.</p>")
        + "</article>"
    )


def _paper(key: str) -> Paper:
    records = _load().records
    if key not in records:
        raise KeyError(f"there is no paper {key!r} in the records")
    return records[key]


def _claim(claim: str) -> Any:
    found = _load().claims.set_index("id", drop=False)
    if claim not in found.index:
        raise KeyError(f"there is no claim {claim!r} in the records")
    return found.loc[claim]


def _cards(theme: str) -> str:
    review = _load()
    if theme not in review.themes:
        raise KeyError(f"there is no theme {theme!r}; themes are {', '.join(review.themes)}")
    keys = review.papers.loc[review.papers["theme"] == theme, "key"]
    return "".join(_card(review, key) for key in keys)


def _maker(makers: Mapping[str, Callable[..., Any]], what: str) -> Callable[..., str]:
    def make(name: str, **options: str) -> str:
        if name not in makers:
            raise KeyError(f"there is no {what} {name!r}; there are {', '.join(makers)}")
        html_of: str = makers[name](_load(), **options).html()
        return html_of

    return make


#: What pages can show of the records, by the name of the role or directive.
_SHOWN: dict[str, Callable[..., str]] = {
    "paper": lambda key: wording.short_name(_paper(key)),
    "claim": lambda claim: f"“{wording.plain(_claim(claim).quote)}”",
    "value": lambda claim: wording.value(_claim(claim)),
    "count": lambda text: str(query.count(_load(), text)),
    "papers": _cards,
    "show figure": _maker(figures.BY_NAME, "figure"),
    "show table": _maker(tables.BY_NAME, "table"),
}


def _show(env: BuildEnvironment, name: str, *arguments: str, **options: str) -> str:
    """Return what a role or directive shows, and note it for `_outdated`."""
    text = _SHOWN[name](*arguments, **options)
    noted = _noted(env).setdefault(env.docname, {})
    noted[name, arguments, tuple(sorted(options.items()))] = digest(text)
    return text


def _noted(env: BuildEnvironment) -> dict[str, dict[tuple[Any, ...], str]]:
    """Return what each page has shown of the records when it was last read."""
    if not hasattr(env, "ktreview_shown"):
        env.ktreview_shown = {}  # type: ignore[attr-defined]
    noted: dict[str, dict[tuple[Any, ...], str]] = env.ktreview_shown  # type: ignore[attr-defined]
    return noted


def _outdated(
    _app: Sphinx, env: BuildEnvironment, _added: set[str], _changed: set[str], _removed: set[str]
) -> list[str]:
    """Name the pages that show something of the records that is no longer so, and no others."""

    def fits(shown: tuple[Any, ...], then: str) -> bool:
        name, arguments, options = shown
        try:
            return digest(_SHOWN[name](*arguments, **dict(options))) == then
        except (KeyError, ValueError):
            return False

    return [page for page, noted in _noted(env).items() if not all(fits(*item) for item in noted.items())]


def _purge(_app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    _noted(env).pop(docname, None)


class RecordRole(SphinxRole):
    """A role whose text names something in the records: ``paper``, ``claim``, ``value`` or ``count``."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return what is shown, linked where it belongs to a paper; a warning where it does not exist."""
        text = self.text.strip()
        try:
            shown = nodes.inline("", _show(self.env, self.name, text), classes=[f"kt-{self.name}"])
        except (KeyError, ValueError) as error:
            logger.warning("%s: %s", self.name, error.args[0], location=self.get_location(), type="ktreview")
            return [nodes.problematic(self.rawtext, self.rawtext)], []
        if self.name not in ("paper", "claim"):
            return [shown], []
        key = text if self.name == "paper" else _claim(text).paper
        reference = nodes.reference("", "", refuri=f"paper:{key}", internal=True)
        if self.name == "paper":
            reference["classes"] = ["kt-paper"]
            reference += nodes.Text(shown.astext())
        else:
            shown["classes"] = ["kt-quote"]
            reference += shown
        return [reference], []


class RecordDirective(SphinxDirective):
    """``{papers} theme``, ``{show} figure name`` or ``{show} table name``."""

    required_arguments = 1
    optional_arguments = 1
    option_spec = {"theme": directives.unchanged_required}  # noqa: RUF012 - the directive's interface

    def run(self) -> list[nodes.Node]:
        """Return what is shown, or nothing and a warning where it does not exist."""
        name = self.name if self.name == "papers" else f"show {self.arguments[0]}"
        arguments = self.arguments if self.name == "papers" else self.arguments[1:]
        try:
            return [nodes.raw("", _show(self.env, name, *arguments, **self.options), format="html")]
        except (KeyError, ValueError) as error:
            logger.warning("%s: %s", self.name, error.args[0], location=self.get_location(), type="ktreview")
            return []


def _place_links(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Lead every link to a paper to its place in the book: in text, in figures and in tables."""
    for reference in doctree.findall(nodes.reference):
        uri = reference.get("refuri", "")
        if uri.startswith("paper:"):
            reference["refuri"] = _uri(app, docname, uri.removeprefix("paper:"))

    def lead(match: re.Match[str]) -> str:
        return re.sub(r'href="[^"]*"', f'href="{html.escape(_uri(app, docname, match["key"]))}"', match[0])

    for raw in doctree.findall(nodes.raw):
        text = raw.astext()
        if "data-paper=" in text:
            raw.children = [
                nodes.Text(re.sub(r'<a\b[^>]*\bdata-paper="(?P<key>[a-z0-9-]+)"[^>]*>', lead, text))
            ]
            raw.rawsource = ""


def _write_downloads(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        export.export(_load(), Path(app.outdir) / "_static" / "data")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    for name in ("paper", "claim", "value", "count"):
        app.add_role(name, RecordRole())
    app.add_directive("papers", RecordDirective)
    app.add_directive("show", RecordDirective)
    app.connect("config-inited", _reload)
    app.connect("env-get-outdated", _outdated)
    app.connect("env-purge-doc", _purge)
    app.connect("doctree-resolved", _place_links)
    app.connect("build-finished", _write_downloads)
    return {"version": ktreview.__version__, "env_version": 1, "parallel_read_safe": False}
