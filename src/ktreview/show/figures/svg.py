"""Turn what matplotlib draws into inline SVG that reads, links and adapts.

Text stays text in the reader's font; colours are CSS custom properties with the light palette as
fallback, so one drawing serves light and dark pages; marks are links with tooltips; the same
records give the same bytes.
"""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure as Canvas

from ktreview.corpus.wording import counted
from ktreview.show import markup

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"

#: Colours by role: the light value here, the dark one in the style sheet under the same name.
PALETTE: Mapping[str, str] = {
    "ink": "#1f2933",
    "muted": "#56606b",
    "rule": "#7b8794",
    "grid": "#dfe3e8",
    "surface": "#ffffff",
    "1": "#428ce7",
    "2": "#8c6640",
    "3": "#104a1f",
    "4": "#cf6f97",
    "5": "#8e931d",
    "6": "#6151a9",
}

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": PALETTE["ink"],
    "axes.labelcolor": PALETTE["ink"],
    "axes.edgecolor": PALETTE["rule"],
    "axes.titlecolor": PALETTE["ink"],
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": PALETTE["rule"],
    "ytick.color": PALETTE["rule"],
    "xtick.labelcolor": PALETTE["muted"],
    "ytick.labelcolor": PALETTE["ink"],
    "grid.color": PALETTE["grid"],
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}

#: Width in inches; 72 SVG units an inch. The wide drawing fills the text column, the narrow one a phone.
WIDE, NARROW = 6.4, 3.4


@dataclass(frozen=True)
class Link:
    """Where a mark leads and what it says when pointed at.

    Attributes
    ----------
    href : str
        An address that works anywhere, even outside the book.
    paper : str
        The paper's key; the book replaces `href` by the paper's place in it.
    tooltip : str
        One line of plain text.
    claim : str
        A claim's id, where the mark leads to its words; else empty.
    """

    href: str
    paper: str
    tooltip: str
    claim: str = ""


@dataclass(frozen=True)
class Figure:
    """A finished figure, shown by Jupyter and by the book as HTML.

    Attributes
    ----------
    name : str
        A slug, unique in the book: the figure's anchor and the name of its data file.
    title : str
        Plain text: the finding, in a sentence.
    note : str
        HTML: how to read the figure.
    alt : str
        Plain text that gives the numbers.
    data : pandas.DataFrame
        The rows that are drawn.
    wide, narrow : str
        SVG for a text column and for a phone.
    """

    name: str
    title: str
    note: str
    alt: str
    data: pd.DataFrame = field(repr=False)
    wide: str = field(repr=False)
    narrow: str = field(repr=False)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": self.alt}

    def html(self) -> str:
        """Return the figure as an HTML fragment."""
        csv = base64.b64encode(self.data.to_csv(index=False, lineterminator="\n").encode()).decode()
        table = markup.table(self.data, f"Data of the figure: {self.title}")
        return (
            f'<figure class="kt-figure" id="figure-{self.name}">'
            f"<figcaption>{html.escape(self.title)}</figcaption>"
            f'<div class="kt-wide">{self.wide}</div>'
            f'<div class="kt-narrow" style="display:none">{self.narrow}</div>'
            f'<p class="kt-note">{self.note}</p>'
            '<details class="kt-data">'
            f"<summary>Data of this figure ({counted(len(self.data), 'row')})</summary>"
            f"{table}"
            f'<p><a download="{self.name}.csv" href="data:text/csv;base64,{csv}">Download as CSV</a></p>'
            "</details></figure>"
        )


def render(
    name: str,
    draw: Callable[[bool], Canvas],
    *,
    title: str,
    note: str,
    alt: str,
    data: pd.DataFrame,
    links: Mapping[str, Link] | None = None,
) -> Figure:
    """Draw a figure in both widths.

    Parameters
    ----------
    name, title, note, alt, data
        As in `Figure`.
    draw : callable
        From "is it narrow?" to a matplotlib figure. An artist whose URL is a key of `links`
        becomes that link.
    links : mapping of str to Link, optional

    Returns
    -------
    Figure
    """
    drawings = []
    for narrow in (False, True):
        ident = f"{name}-{'narrow' if narrow else 'wide'}"
        with mpl.rc_context({**_STYLE, "svg.hashsalt": ident}):
            buffer = io.StringIO()
            draw(narrow).savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        drawings.append(_finish(buffer.getvalue(), ident, alt, links or {}))
    return Figure(name, title, note, alt, data, *drawings)


def _finish(source: str, ident: str, alt: str, links: Mapping[str, Link]) -> str:
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _XLINK)
    root = ET.fromstring(source)  # noqa: S314 - our own drawing
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    for size in ("width", "height"):
        root.attrib.pop(size)
    root.set("role", "group")
    root.set("aria-label", alt)
    root.set("style", "width:100%;height:auto")
    named = set(re.findall(r"(?:href=\"#|url\(#)([^\")]+)", source))
    for element in root.iter():
        if element.get("id") not in named:
            element.attrib.pop("id", None)
        _own_ids(element, ident)
        for name in _COORDINATES & element.attrib.keys():
            element.set(name, re.sub(r"\d+\.\d{3,}", _rounded, element.attrib[name]))
        if element.tag == f"{{{_SVG}}}a":
            _link(element, links)
    text = ET.tostring(root, encoding="unicode")
    text = re.sub(r"'?DejaVu Sans'?(?:, [^;\"]*)?(?=[;\"])", "inherit", text)
    for role, colour in PALETTE.items():
        text = text.replace(colour, f"var(--kt-{role}, {colour})")
    return re.sub(r">\s+<", "><", text.replace("\n", " ")).strip()


#: Attributes that hold coordinates, which are kept to a hundredth of a point.
_COORDINATES = frozenset({"d", "x", "y", "transform"})


def _rounded(match: re.Match[str]) -> str:
    return f"{float(match[0]):.2f}".rstrip("0").rstrip(".")


def _own_ids(element: ET.Element, ident: str) -> None:
    """Make ids unique on a page that shows several drawings."""
    if "id" in element.attrib:
        element.set("id", f"{ident}-{element.get('id')}")
    for name, value in element.attrib.items():
        if name == f"{{{_XLINK}}}href" and value.startswith("#"):
            element.set(name, f"#{ident}-{value[1:]}")
        elif "url(#" in value:
            element.set(name, value.replace("url(#", f"url(#{ident}-"))


def _link(anchor: ET.Element, links: Mapping[str, Link]) -> None:
    link = links[anchor.attrib.pop(f"{{{_XLINK}}}href")]
    anchor.attrib.pop("target", None)
    anchor.set("href", link.href)
    anchor.set("data-paper", link.paper)
    if link.claim:
        anchor.set("data-claim", link.claim)
    if not any(element.tag == f"{{{_SVG}}}text" for element in anchor.iter()):
        anchor.set("aria-label", link.tooltip)
    title = ET.Element(f"{{{_SVG}}}title")
    title.text = link.tooltip
    anchor.insert(0, title)
