"""The book's own roles and directives, its bibliography and its downloads.

In chapters, prose takes every number, quote and name from the records:

========================================  ====================================================
``{paper}`panda```                        the paper's short name, linked to its page
``{claim}`panda-2```                      the claim's exact words, linked to their place
``{value}`panda-2```                      the claim's value with bound and unit
``{verdict}`panda-2```                    what results settle about the claim, linked
``{result}`kg-traces/webqsp-hits```       a result beside its baseline, linked
``{points}`..```, ``{relative}`..```      the same result's gain, in points or in percent of the baseline
``{effect}`cuber```, ``{outcome}`cuber```  a lab's headline effect; its verdict, linked
``{effect}`cuber/2```, ``{outcome}`..```  the same of its second further comparison
``{count}`claims kind=gain```             a count (`ktreview.analysis.query.count`)
````{lab} cuber````                       a lab: question, equation, code, comparisons, limits
````{papers} knowledge-distillation````   the theme's papers as cards
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
from ktreview.analysis import query
from ktreview.corpus import wording
from ktreview.corpus.outcomes import gains
from ktreview.corpus.records import Paper, Result, Verdict
from ktreview.corpus.review import DATA, Review, digest
from ktreview.publish import export
from ktreview.show import cards, figures
from ktreview.show.tables import corpus as tables
from ktreview.show.tables import indexes
from ktreview.site import chapters, pages

logger = logging.getLogger(__name__)

_review: Review | None = None
_drawn: dict[str, str] = {}


def _load() -> Review:
    """Return the review that the build has loaded."""
    assert _review is not None, "the extension is set up before anything is read"  # noqa: S101
    return _review


def _prepare(app: Sphinx, config: Config) -> None:
    """Load afresh as a build starts; write the bibliography and the papers' pages, which name keys only."""
    global _review, _drawn  # noqa: PLW0603 - Sphinx gives roles no other place to share them
    _review = ktreview.load_review(config.ktreview_data)
    book = Path(app.srcdir) / "book"
    _drawn = chapters.lab_figures(book)
    (book / "papers").mkdir(parents=True, exist_ok=True)
    export.write_if_changed(book / "references.bib", export.bibliography(_load()))
    wanted = {f"{key}.md": pages.source(key) for key in _load().records}
    for path in (book / "papers").glob("*.md"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        export.write_if_changed(book / "papers" / name, text)
    # Pages name style sheets and scripts by their content: all are written anew where one has changed.
    static = [path for path in sorted((book / "_static").glob("*.*")) if path.is_file()]
    config.ktreview_static = digest([[path.name, path.read_bytes().hex()] for path in static])


def _uri(app: Sphinx, docname: str, target: str) -> str:
    """Return the address of ``key`` or ``key#place``, as seen from a page."""
    key, _, place = target.partition("#")
    paper = _load().records[key]
    for page, anchor in ((f"book/papers/{key}", place), (f"book/themes/{paper.theme}", f"paper-{key}")):
        if page in app.env.found_docs:
            address = "" if page == docname else app.builder.get_relative_uri(docname, page)
            return f"{address}#{anchor}" if anchor else address or "#"
    return f"https://arxiv.org/abs/{paper.arxiv}" if paper.arxiv else "#"


def _theme_uri(app: Sphinx, docname: str, theme: str) -> str:
    page = f"book/themes/{theme}"
    return app.builder.get_relative_uri(docname, page if page in app.env.found_docs else "book/index")


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


def _result(name: str) -> tuple[str, Result]:
    """Return the paper's key and the result that ``key/id`` names."""
    key, _, ident = name.partition("/")
    found = next((result for result in _paper(key).results if result.id == ident), None)
    if found is None:
        raise KeyError(f"{key} has no result {ident!r}; write paper/result")
    return key, found


def _verdict(claim: str) -> Verdict:
    row = _claim(claim)
    found = next((v for v in _paper(row.paper).verdicts if v.claim == row.quote), None)
    if found is None:
        raise KeyError(f"the claim {claim!r} has no verdict")
    return found


def _lab(name: str) -> str:
    """Return the name of a lab that has run."""
    found = list(_load().labs["lab"])
    if name not in found:
        raise KeyError(f"there is no lab {name!r} that has run; there are {', '.join(found)}")
    return name


def _comparison(name: str) -> Any:
    """Return the comparison that ``lab`` or ``lab/n`` names: the headline, or the n-th further one."""
    lab, _, place = name.partition("/")
    found = _load().compared(_lab(lab))
    if not (place or "0").isdigit() or int(place or 0) >= len(found):
        raise KeyError(f"{lab} has {len(found) - 1} further comparisons; there is no {name!r}")
    return found[int(place or 0)]


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
    "result": lambda name: wording.result(_result(name)[1]),
    "points": lambda name: wording.signed(gains(_result(name)[1])[0], " points"),
    "relative": lambda name: wording.signed(gains(_result(name)[1])[1], "%"),
    "verdict": lambda claim: wording.verdict(_verdict(claim)),
    "count": lambda text: str(query.count(_load(), text)),
    "title": lambda key: _paper(key).title,
    "part": lambda name, key: pages.part(_load(), name, key, _drawn),
    "lab": lambda name: pages.lab(_load(), _lab(name)),
    "effect": lambda name: wording.effect(_comparison(name)[1]),
    "outcome": lambda name: _comparison(name)[3],
    "papers": lambda theme: cards.papers(_load(), theme).html(),
    "show figure": _maker(figures.BY_NAME, "figure"),
    "show table": _maker({**tables.BY_NAME, **indexes.BY_NAME}, "table"),
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


#: Where a role's text leads: a paper's key, with the place on its page after a ``#``.
_TARGETS: dict[str, Callable[[str], str]] = {
    "paper": lambda key: key,
    "claim": lambda claim: f"{_claim(claim).paper}#words-{claim}",
    "result": lambda name: f"{_result(name)[0]}#result-{_result(name)[1].id}",
    "verdict": lambda claim: f"{_claim(claim).paper}#verdict-{claim}",
    "outcome": lambda name: f"{_load().declared[name.partition('/')[0]].paper}#lab-{name.partition('/')[0]}",
}
_CLASSES = {"claim": "kt-quote"}
_ROLES = "paper claim value count result points relative verdict title effect outcome".split()


class RecordRole(SphinxRole):
    """A role whose text names something in the records; see the table above."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return what is shown, linked where it belongs to a paper; a warning where it does not exist."""
        text = self.text.strip()
        try:
            kind = _CLASSES.get(self.name, f"kt-{self.name}")
            shown = nodes.inline("", _show(self.env, self.name, text), classes=[kind])
        except (KeyError, ValueError) as error:
            logger.warning("%s: %s", self.name, error.args[0], location=self.get_location(), type="ktreview")
            return [nodes.problematic(self.rawtext, self.rawtext)], []
        target = _TARGETS.get(self.name)
        if target is None:
            return [shown], []
        reference = nodes.reference("", "", shown, refuri=f"paper:{target(text)}", internal=True)
        if self.name == "paper":
            reference["classes"], shown["classes"] = shown["classes"], []
        return [reference], []


class RecordDirective(SphinxDirective):
    """Shows cards, a lab, a part of a page, a figure or a table; see the table above."""

    required_arguments = 1
    optional_arguments = 1
    option_spec = {"theme": directives.unchanged_required}  # noqa: RUF012 - the directive's interface

    def run(self) -> list[nodes.Node]:
        """Return what is shown, or nothing and a warning where it does not exist."""
        name, arguments = self.name, self.arguments
        if name == "show":
            name, arguments = f"show {arguments[0]}", arguments[1:]
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
        place = re.search(r'data-(claim|lab)="([a-z0-9-]+)"', match[0])
        anchor = {"claim": "words", "lab": "lab"}[place[1]] if place else ""
        target = match["key"] + (f"#{anchor}-{place[2]}" if place else "")
        return re.sub(r'href="[^"]*"', f'href="{html.escape(_uri(app, docname, target))}"', match[0])

    for raw in doctree.findall(nodes.raw):
        text = raw.astext()
        if "data-paper=" in text or 'href="theme:' in text:
            text = re.sub(r'<a\b[^>]*\bdata-paper="(?P<key>[a-z0-9-]+)"[^>]*>', lead, text)
            text = re.sub(
                r'href="theme:([a-z-]+)"', lambda m: f'href="{_theme_uri(app, docname, m[1])}"', text
            )
            raw.children = [nodes.Text(text)]
            raw.rawsource = ""


def _write_downloads(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        export.export(_load(), Path(app.outdir) / "_static" / "data")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    for name in _ROLES:
        app.add_role(name, RecordRole())
    for name in ("lab", "papers", "part", "show"):
        app.add_directive(name, RecordDirective)
    app.add_config_value("ktreview_data", str(DATA), "env")  # a folder of dumps, records and themes
    app.add_config_value("ktreview_static", "", "html")
    app.connect("config-inited", _prepare, priority=100)  # before the table of contents looks for pages
    app.connect("env-get-outdated", _outdated)
    app.connect("env-purge-doc", _purge)
    app.connect("doctree-resolved", _place_links)
    app.connect("build-finished", _write_downloads)
    return {"version": ktreview.__version__, "env_version": 1, "parallel_read_safe": False}
