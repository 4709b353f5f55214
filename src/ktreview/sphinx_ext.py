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
from collections.abc import Callable, Sequence
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
from ktreview.review import DATA, Review, rows

logger = logging.getLogger(__name__)

_CHAPTERS = "book/themes/"
_review: Review | None = None


def _load() -> Review:
    """Load the review once a build."""
    global _review  # noqa: PLW0603 - Sphinx gives roles no other place to share it
    if _review is None:
        _review = ktreview.load_review()
    return _review


def _reload(app: Sphinx, config: Config) -> None:
    """Load afresh as a build starts, note the records in the footer, and write the bibliography."""
    global _review  # noqa: PLW0603
    _review = None
    config.html_theme_options["extra_footer"] = (
        f"ktreview {ktreview.__version__}, made from the records {_load().digest()}. "
        "Text and figures CC BY 4.0, code BSD-3-Clause; abstracts remain their authors’."
    )
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


class _RecordRole(SphinxRole):
    """A role whose text is the key of something in the records."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        try:
            return [self.node(self.text.strip())], []
        except (KeyError, ValueError) as error:
            message = f"{self.name}: {error.args[0] if error.args else error}"
            logger.warning(message, location=self.get_location(), type="ktreview")
            return [nodes.problematic(self.rawtext, self.rawtext)], []

    def node(self, text: str) -> nodes.Node:
        """Return what the role stands for; a KeyError or ValueError becomes a warning."""
        raise NotImplementedError

    def _depend(self, key: str) -> Paper:
        """Return a paper, and let the page follow its record."""
        records = _load().records
        if key not in records:
            raise KeyError(f"there is no paper {key!r} in the records")
        self.env.note_dependency(str(DATA / "papers" / f"{key}.yaml"))
        return records[key]

    def _claim(self, claim: str) -> Any:
        rows = _load().claims.set_index("id", drop=False)
        if claim not in rows.index:
            raise KeyError(f"there is no claim {claim!r} in the records")
        self._depend(str(rows.loc[claim, "paper"]))
        return rows.loc[claim]

    def _reference(self, key: str, *content: nodes.Node, classes: Sequence[str]) -> nodes.reference:
        return nodes.reference("", "", *content, refuri=f"paper:{key}", internal=True, classes=[*classes])


class PaperRole(_RecordRole):
    """``{paper}`key```: the short name, linked."""

    def node(self, text: str) -> nodes.Node:
        """Return the linked name."""
        name = wording.short_name(self._depend(text))
        return self._reference(text, nodes.Text(name), classes=["kt-paper"])


class ClaimRole(_RecordRole):
    """``{claim}`id```: the claim's words, linked."""

    def node(self, text: str) -> nodes.Node:
        """Return the linked words."""
        claim = self._claim(text)
        words = nodes.inline("", f"“{wording.plain(claim.quote)}”", classes=["kt-quote"])
        return self._reference(claim.paper, words, classes=["kt-claim"])


class ValueRole(_RecordRole):
    """``{value}`id```: the claim's value in words."""

    def node(self, text: str) -> nodes.Node:
        """Return the value in words."""
        return nodes.inline("", wording.value(self._claim(text)), classes=["kt-value"])


class CountRole(_RecordRole):
    """``{count}`query```: a count of rows or of different values."""

    def node(self, text: str) -> nodes.Node:
        """Return the count."""
        self.env.note_dependency(str(DATA / "papers"))
        return nodes.inline("", str(query.count(_load(), text)), classes=["kt-count"])


class PapersDirective(SphinxDirective):
    """``{papers} theme``: a card a paper, each the anchor that names and citations lead to."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the cards, or nothing and a warning where there is no such theme."""
        review, theme = _load(), self.arguments[0]
        if theme not in review.themes:
            logger.warning(
                "papers: there is no theme %r; themes are %s",
                theme,
                ", ".join(review.themes),
                location=self.get_location(),
            )
            return []
        cards: list[nodes.Node] = []
        for key in review.papers.loc[review.papers["theme"] == theme, "key"]:
            self.env.note_dependency(str(DATA / "papers" / f"{key}.yaml"))
            cards.append(nodes.raw("", _card(review, key), format="html"))
        return cards


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


_FIGURES: dict[str, Callable[..., figures.Figure]] = {
    "claimed-gains": figures.claimed_gains,
    "stated": figures.stated,
    "themes-by-kind": figures.themes_by_kind,
    "years": figures.years,
}


class ShowDirective(SphinxDirective):
    """``{show} figure name`` or ``{show} table name``, for pages that are no notebooks."""

    required_arguments = 2
    option_spec = {"theme": directives.unchanged_required}  # noqa: RUF012 - the directive's interface

    def run(self) -> list[nodes.Node]:
        """Return the figure or table, or nothing and a warning where there is none of the name."""
        what, name = self.arguments
        makers: dict[str, Callable[..., Any]] = {"figure": _FIGURES, "table": tables.BY_NAME}.get(what, {})  # type: ignore[assignment]
        if name not in makers and name.replace("-", "_") not in makers:
            logger.warning("show: there is no %s %r", what, name, location=self.get_location())
            return []
        maker = makers.get(name) or makers[name.replace("-", "_")]
        self.env.note_dependency(str(DATA / "papers"))
        return [nodes.raw("", maker(_load(), **self.options).html(), format="html")]


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
    for name, role in {
        "paper": PaperRole,
        "claim": ClaimRole,
        "value": ValueRole,
        "count": CountRole,
    }.items():
        app.add_role(name, role())
    app.add_directive("papers", PapersDirective)
    app.add_directive("show", ShowDirective)
    app.connect("config-inited", _reload)
    app.connect("doctree-resolved", _place_links)
    app.connect("build-finished", _write_downloads)
    return {"version": ktreview.__version__, "parallel_read_safe": True, "parallel_write_safe": True}
