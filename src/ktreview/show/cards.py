"""Cards: a few lines a paper or a lab, which lead to its page."""

from __future__ import annotations

from dataclasses import dataclass, field

from markupsafe import Markup

from ktreview.corpus import wording
from ktreview.corpus.frames import ClaimRow
from ktreview.corpus.review import Review, rows
from ktreview.show import markup


@dataclass(frozen=True)
class Cards:
    """Finished cards, shown by Jupyter and by the book as HTML.

    Attributes
    ----------
    title : str
        What they are, as plain text.
    body : Markup
        The cards.
    """

    title: str
    body: Markup = field(repr=False)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": self.title}

    def html(self) -> str:
        """Return the cards as an HTML fragment."""
        return str(self.body)


def papers(review: Review, theme: str) -> Cards:
    """Show a theme's papers: authors, venue, mechanism, limits and claims of each.

    Parameters
    ----------
    review : Review
    theme : str
        Papers whose primary theme this is.

    Returns
    -------
    Cards
        One a paper, in the order of the corpus.

    Raises
    ------
    KeyError
        If there is no such theme.
    """
    if theme not in review.themes:
        raise KeyError(f"there is no theme {theme!r}; themes are {', '.join(review.themes)}")
    keys = review.papers.loc[review.papers["theme"] == theme, "key"]
    return Cards(
        f"{review.themes[theme].title}: {wording.counted(len(keys), 'paper')}",
        Markup().join(_paper(review, key) for key in keys),
    )


def _paper(review: Review, key: str) -> Markup:
    paper = review.records[key]
    authors = (
        paper.authors if len(paper.authors) <= 6 else [*paper.authors[:5], f"{len(paper.authors) - 5} more"]
    )
    facts = (
        wording.listing(authors),
        paper.venue or "no venue known",
        f"first version {paper.date[:4]}",
        paper.kind.replace("-", " "),
    )
    claims = [
        (wording.plain(row.quote), wording.label(row))
        for row in rows(review.claims[review.claims["paper"] == key], ClaimRow)
    ]
    return markup.macro("cards.html", "paper")(
        key, markup.paper_anchor(review, key, wording.short_name(paper)), paper, facts, claims
    )


def lab(review: Review, name: str) -> Cards:
    """Show a lab in a few lines: its question, the two arms, the effect, and where the whole lab stands.

    Parameters
    ----------
    review : Review
    name : str
        The lab's.

    Returns
    -------
    Cards
        One card.

    Raises
    ------
    KeyError
        If there is no such lab or it has not run.
    """
    if name not in set(review.labs["lab"]):
        raise KeyError(f"there is no lab {name!r} that has run; there are {', '.join(review.labs['lab'])}")
    declared = review.declared[name]
    compared, effect, replication, outcome = review.compared(name)[0]
    link = markup.paper_anchor(
        review, declared.paper, "The whole lab: equation, code, control, figure and limits", lab=name
    )
    body = markup.macro("cards.html", "lab")(
        name,
        declared,
        compared,
        (wording.effect(effect), wording.effect(replication)),
        wording.OUTCOMES[outcome],
        link,
    )
    return Cards(f"{compared.question} {wording.OUTCOMES[outcome]}: {wording.effect(effect)}", body)
