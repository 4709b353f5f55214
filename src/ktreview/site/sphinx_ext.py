"""The book in Sphinx: checked links, the papers' pages, the bibliography and the downloads.

Prose takes numbers, quotes and names from the records as checked links, ``[words](kind:what)``; see
`ktreview.site.links`. As a page is read, each is held against the records: where it leads somewhere it
becomes a reference, else words with a class; one that does not fit is a warning, which fails a build with
``--warningiserror``. Pages of papers are written before anything is read and hold keys alone; the role
``ktreview:title`` and the directive ``ktreview:part`` are for them.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

from docutils import nodes
from pybtex.backends import plaintext
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.domains import Domain
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole
from sphinxcontrib.bibtex.citation_target import CitationTarget
from sphinxcontrib.bibtex.roles import CitationRef

import ktreview
from ktreview.analysis.related import related
from ktreview.corpus import wording
from ktreview.corpus.review import DATA, Review, digest, per_review
from ktreview.publish import export
from ktreview.site import chapters, links, pages

logger = logging.getLogger(__name__)

#: The page of references, whose directive only this build understands.
_REFERENCES = """# References

The papers of the review. The list is generated from the records; keys are the records' names.

```{bibliography}
:all:
```
"""
_CLASSES = {"claim": "kt-quote", "lab": "kt-lab-link"}  # kt-lab is a whole card
#: How a reference to a place in the book is written until the page is written out.
_PLACE = "ktreview:"


class ReviewDomain(Domain):
    """The review that a build draws from, and what each page took of it.

    Attributes
    ----------
    review : Review
        Set as a build begins.
    """

    name = "ktreview"
    label = "Literature review"
    data_version = 1
    initial_data: dict[str, Any] = {"digest": "", "shown": {}}  # noqa: RUF012 - Sphinx copies it
    review: Review

    @property
    def shown(self) -> dict[str, dict[tuple[str, str], tuple[str, ...]]]:
        """What each page showed when it was read, by a link's address and words or a part's name and key."""
        return cast("dict[str, dict[tuple[str, str], tuple[str, ...]]]", self.data["shown"])

    def clear_doc(self, docname: str) -> None:
        """Forget what a page showed."""
        self.shown.pop(docname, None)

    def note(self, docname: str, taken: tuple[str, str], what: tuple[str, ...]) -> None:
        """Note what a page shows."""
        self.shown.setdefault(docname, {})[taken] = what

    def outdated(self) -> Iterator[str]:
        """Yield the pages that show something of the records that is no longer so."""
        now = self.review.digest()
        if now == self.data["digest"]:
            return
        self.data["digest"] = now
        known: dict[tuple[str, str], tuple[str, ...]] = {}
        for docname, shown in self.shown.items():
            for taken in shown.keys() - known.keys():
                known[taken] = self._told(*taken)
            if any(known[taken] != what for taken, what in shown.items()):
                yield docname

    def _told(self, what: str, of: str) -> tuple[str, ...]:
        if what in pages.PARTS or what == "title":
            return rests_on(self.review, of)
        try:
            return told(self.review, what, of)
        except ValueError as error:
            return (str(error),)


def _domain(env: BuildEnvironment) -> ReviewDomain:
    return cast("ReviewDomain", env.get_domain(ReviewDomain.name))


def told(review: Review, target: str, words: str) -> tuple[str, str]:
    """Return where a checked link leads and what it says when pointed at, either of them empty.

    Parameters
    ----------
    review : Review
    target : str
        The link's address, as ``value:panda-2``.
    words : str
        What stands in the text.

    Raises
    ------
    ValueError
        If the address names nothing or the words are not what the records say.
    """
    try:
        link = links.parse(target)
    except ValueError as error:
        raise ValueError(f"“{words}”: {error}") from None
    fault = links.fault(review, link, words)
    if fault:
        raise ValueError(fault)
    return links.destination(review, link) or "", _hover(review, link)


def rests_on(review: Review, key: str) -> tuple[str, ...]:
    """Return digests of all that a paper's page shows; empty if there is no such paper."""
    if key not in review.records:
        return ()
    near = [
        [other, reason, wording.short_name(review.records[other]), review.records[other].title]
        for other, _, reason in related(review, key)
    ]
    return (review.paper_digests[key], digest(near), _digest_of_themes(review))


@per_review
def _digest_of_themes(review: Review) -> str:
    return digest([theme.model_dump() for theme in review.themes.values()])


def _hover(review: Review, link: links.Link) -> str:
    """Say in a line what stands behind a link."""
    paper, _, rest = link.what.partition("/")
    if link.kind == "paper":
        return review.records[paper].title
    if link.kind == "value":
        quote = review.claims.loc[review.claims["id"] == link.what, "quote"].iloc[0]
        return f"“{wording.plain(str(quote))}”"
    if link.kind == "verdict":
        return str(review.verdicts.loc[review.verdicts["claim"] == link.what, "why"].iloc[0])
    if link.kind in ("result", "points", "relative"):
        result = next(result for result in review.records[paper].results if result.id == rest)
        return f"{result.benchmark}, {result.metric}. {result.source}; {result.locator}"
    if link.kind in ("lab", "effect", "outcome"):
        return review.declared[paper].question
    return ""


class TitleRole(SphinxRole):
    """The title of a paper, by its key: the heading of its page."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the title as words of its own class."""
        domain = _domain(self.env)
        domain.note(self.env.docname, ("title", self.text), rests_on(domain.review, self.text))
        title = domain.review.records[self.text].title
        return [nodes.inline("", title, classes=["kt-title"])], []


class PartDirective(SphinxDirective):
    """A part of a paper's page, by its name and the paper's key."""

    required_arguments = 2

    def run(self) -> list[nodes.Node]:
        """Return the part as it is shown, or nothing and a warning where it does not exist."""
        name, key = self.arguments
        domain = _domain(self.env)
        try:
            part = pages.part(domain.review, name, key)
        except KeyError as error:
            logger.warning("%s", error.args[0], location=self.get_location(), type="ktreview")
            return []
        domain.note(self.env.docname, (name, key), rests_on(domain.review, key))
        return [nodes.raw("", part, format="html")]


ReviewDomain.roles = {"title": TitleRole()}
ReviewDomain.directives = {"part": PartDirective}


class Book:
    """What one build does, from the records to the downloads.

    Attributes
    ----------
    review : Review
        Loaded afresh as the build begins.
    """

    review: Review

    def prepare(self, app: Sphinx, config: Config) -> None:
        """Load the records; write the bibliography and the pages that are not committed."""
        self.review = ktreview.load_review(config.ktreview_data)
        book = Path(app.srcdir) / "book"
        stale = chapters.stale(self.review, chapters.find(book))
        if stale:
            names = ", ".join(str(path.relative_to(app.srcdir)) for path in stale)
            # With --warningiserror, as `make book` builds, nothing stale is published; a preview goes on.
            logger.warning("%s: outputs made from other records. Run `make execute`.", names, type="ktreview")
        (book / "papers").mkdir(parents=True, exist_ok=True)
        export.write_if_changed(book / "references.bib", export.bibliography(self.review))
        if "sphinxcontrib.bibtex" in config.extensions:
            export.write_if_changed(book / "references.md", _REFERENCES)
        wanted = {f"{key}.md": pages.source(key) for key in self.review.records}
        for path in (book / "papers").glob("*.md"):
            if path.name not in wanted:
                path.unlink()
        for name, text in wanted.items():
            export.write_if_changed(book / "papers" / name, text)
        # Pages name style sheets and scripts by their content: all are written anew where one has changed.
        static = [path for path in sorted((book / "_static").glob("*.*")) if path.is_file()]
        config.ktreview_static = digest([[path.name, path.read_bytes().hex()] for path in static])
        # And all are read anew where the code that makes them has.
        package = Path(ktreview.__file__).parent
        code = [path for path in sorted(package.rglob("*")) if path.suffix in (".py", ".html")]
        code += sorted((package / "data").glob("*.yaml"))
        config.ktreview_code = digest([path.read_text(encoding="utf-8") for path in code])
        config.myst_url_schemes = {**dict.fromkeys(config.myst_url_schemes), **dict.fromkeys(links.KINDS)}
        config.bibtex_cite_id = "ref-{key}"

    def begin(self, app: Sphinx) -> None:
        """Hand the review to those who read pages."""
        _domain(app.env).review = self.review

    def outdated(
        self, _app: Sphinx, env: BuildEnvironment, _added: set[str], _changed: set[str], _removed: set[str]
    ) -> list[str]:
        """Name the pages that show something of the records that is no longer so, and no others."""
        return list(_domain(env).outdated())

    def read_links(self, app: Sphinx, doctree: nodes.document) -> None:
        """Hold each checked link of a page against the records and make it a reference or plain words."""
        domain = _domain(app.env)
        for link in list(doctree.findall(nodes.reference)):
            target, words = unquote(link.get("refuri", "")), link.astext()
            kind, _, what = target.partition(":")
            if kind not in links.KINDS:
                continue
            shown: nodes.Element = nodes.inline("", words, classes=[_CLASSES.get(kind, f"kt-{kind}")])
            try:
                place, hover = told(self.review, target, words)
            except ValueError as error:
                logger.warning("%s", error, location=link, type="ktreview")
            else:
                domain.note(app.env.docname, (target, words), (place, hover))
                if kind == "cite":
                    shown = _citation(app.env, what, words, link.line or 0) or shown
                elif place:
                    reference = nodes.reference("", "", shown, refuri=f"{_PLACE}{place}", internal=True)
                    if hover:
                        reference["reftitle"] = hover
                    if kind == "paper":
                        reference["classes"], shown["classes"] = shown["classes"], []
                    shown = reference
            link.replace_self(shown)

    def place_links(self, app: Sphinx, doctree: nodes.document, docname: str) -> None:
        """Lead every link to a paper to its place in the book: in text, in figures and in tables."""
        cited = {citation.key: citation for citation in getattr(_citations(app.env), "citations", ())}
        for reference in doctree.findall(nodes.reference):
            uri = reference.get("refuri", "")
            if uri.startswith(_PLACE):
                reference["refuri"] = self._uri(app, docname, uri.removeprefix(_PLACE))
            elif uri.startswith("cite:") and uri.removeprefix("cite:") in cited:
                _cite(app, docname, reference, cited[uri.removeprefix("cite:")])

        def lead(match: re.Match[str]) -> str:
            place = re.search(r'data-(claim|lab)="([a-z0-9-]+)"', match[0])
            anchor = {"claim": "words", "lab": "lab"}[place[1]] if place else ""
            target = match["key"] + (f"#{anchor}-{place[2]}" if place else "")
            return re.sub(r'href="[^"]*"', f'href="{html.escape(self._uri(app, docname, target))}"', match[0])

        for raw in doctree.findall(nodes.raw):
            text = raw.astext()
            if "data-paper=" in text or 'href="theme:' in text:
                text = re.sub(r'<a\b[^>]*\bdata-paper="(?P<key>[a-z0-9-]+)"[^>]*>', lead, text)
                text = re.sub(
                    r'href="theme:([a-z-]+)"', lambda m: f'href="{_theme_uri(app, docname, m[1])}"', text
                )
                raw.children = [nodes.Text(text)]
                raw.rawsource = ""

    def _uri(self, app: Sphinx, docname: str, target: str) -> str:
        """Return the address of ``key`` or ``key#place``, as seen from a page."""
        key, _, place = target.partition("#")
        paper = self.review.records[key]
        for page, anchor in ((f"book/papers/{key}", place), (f"book/themes/{paper.theme}", f"paper-{key}")):
            if page in app.env.found_docs:
                address = "" if page == docname else app.builder.get_relative_uri(docname, page)
                return f"{address}#{anchor}" if anchor else address or "#"
        return f"https://arxiv.org/abs/{paper.arxiv}" if paper.arxiv else "#"

    def write_downloads(self, app: Sphinx, error: Exception | None) -> None:
        """Write the downloads beside the pages."""
        if error is None and app.builder.format == "html":
            export.export(self.review, Path(app.outdir) / "_static" / "data")


def _citations(env: BuildEnvironment) -> Any:
    """Return what keeps citations, or None where the build has no bibliography."""
    try:
        return env.get_domain("cite")
    except ExtensionError:
        return None


def _citation(env: BuildEnvironment, key: str, words: str, line: int) -> nodes.reference | None:
    """Return a reference to the bibliography, which lists what is cited; None where there is none."""
    citations = _citations(env)
    if citations is None:
        return None
    targets = [CitationTarget(key=key, pre="", post="")]
    citations.citation_refs.append(CitationRef("", env.docname, line, targets))
    return nodes.reference("", words, refuri=f"cite:{key}", internal=True, classes=["kt-cite"])


def _cite(app: Sphinx, docname: str, reference: nodes.reference, citation: Any) -> None:
    """Lead a citation to its entry in the bibliography, whose words it shows when pointed at."""
    page = citation.bibliography_key.docname
    address = "" if page == docname else app.builder.get_relative_uri(docname, page)
    reference["refuri"] = f"{address}#{citation.citation_id}"
    if citation.tooltip_entry:
        text = str(citation.tooltip_entry.text.render(plaintext.Backend()))
        reference["reftitle"] = text.replace("\\url ", "")


def _theme_uri(app: Sphinx, docname: str, theme: str) -> str:
    page = f"book/themes/{theme}"
    return app.builder.get_relative_uri(docname, page if page in app.env.found_docs else "book/index")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    book = Book()
    app.add_domain(ReviewDomain)
    app.add_config_value("ktreview_data", str(DATA), "env")  # a folder of dumps, records and themes
    app.add_config_value("ktreview_static", "", "html")
    app.add_config_value("ktreview_code", "", "env")
    app.connect("config-inited", book.prepare, priority=100)  # before the table of contents looks for pages
    app.connect("builder-inited", book.begin)
    app.connect("env-get-outdated", book.outdated)
    app.connect("doctree-read", book.read_links, priority=100)  # before titles are gathered
    app.connect("doctree-resolved", book.place_links)
    app.connect("build-finished", book.write_downloads)
    return {"version": ktreview.__version__, "env_version": 2, "parallel_read_safe": False}
