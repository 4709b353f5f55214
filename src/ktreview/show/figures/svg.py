"""Turn what matplotlib draws into one SVG that reads alone, links inside the book and adapts to it.

Text stays text; colours are CSS custom properties with the light palette as fallback and the ground is
white, so that a drawing can be read anywhere and follows light and dark inside the book; it is as wide as
a phone; marks are links with tooltips; the same records give the same bytes.
"""

from __future__ import annotations

import base64
import html
import io
import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure as Canvas
from PIL import Image

from ktreview.corpus.wording import counted
from ktreview.show import markup
from ktreview.show.figures import cache

T = TypeVar("T")

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_GROUP = f"{{{_SVG}}}g"

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
    "text.color": PALETTE["ink"],
    "axes.labelcolor": PALETTE["ink"],
    "xtick.labelcolor": PALETTE["muted"],
    "grid.color": PALETTE["grid"],
    "figure.facecolor": PALETTE["surface"],
    "axes.facecolor": "none",
    "savefig.facecolor": "auto",
}

#: Width of a drawing in points: that of a phone's column in pixels, so that text keeps its size there.
WIDTH = 360.0
#: How much of a colour a bitmap's tints have.
_STEPS = (1.0, 0.7, 0.33)
#: Width in pixels at which a drawing is shown where there is room.
SHOWN = 480
#: Width in pixels of a bitmap, so that the tallest has less than 60 KB.
BITMAP = 450


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
    """A finished figure: a drawing, and its caption and data.

    Jupyter shows the drawing as one output (SVG, with a bitmap for where that is not allowed) and the
    caption and data as a second one, of plain HTML.

    Attributes
    ----------
    name : str
        A slug, unique in the book: the drawing's anchor is `figure-` and the name, and the data file has it.
    title : str
        Plain text: the finding, in a sentence.
    note : str
        HTML: how to read the figure.
    alt : str
        Plain text that gives the numbers.
    data : pandas.DataFrame
        The rows that are drawn.
    svg : str
        The drawing.
    draw : callable
        Draws it anew, for the bitmap.
    """

    name: str
    title: str
    note: str
    alt: str
    data: pd.DataFrame = field(repr=False)
    svg: str = field(repr=False)
    draw: Callable[[], Canvas] = field(repr=False, compare=False)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        bitmap = base64.b64encode(self.png()).decode()
        return {"image/svg+xml": self.svg, "image/png": bitmap, "text/plain": self.alt}

    def _ipython_display_(self) -> None:
        from IPython.display import display  # noqa: PLC0415 - there is one if this is called

        caption = {"text/html": self.caption(), "text/plain": self.title}
        for bundle in (self._repr_mimebundle_(), caption):
            display(bundle, raw=True)  # type: ignore[no-untyped-call]

    def png(self) -> bytes:
        """Return the drawing as a bitmap of few colours, the same bytes wherever matplotlib is the same."""
        drawn, written = io.BytesIO(), io.BytesIO()
        with mpl.rc_context(_STYLE):
            self.draw().savefig(drawn, format="png", dpi=72 * BITMAP / WIDTH)
        pixels = Image.open(drawn).convert("RGB").quantize(palette=_tints(), dither=Image.Dither.NONE)
        pixels.save(written, "png", optimize=True)
        return written.getvalue()

    def caption(self) -> str:
        """Return title, note and data as an HTML fragment without the drawing."""
        csv = base64.b64encode(self.data.to_csv(index=False, lineterminator="\n").encode()).decode()
        table = markup.table(self.data, f"Data of the figure: {self.title}")
        return (
            '<div class="kt-caption">'
            f'<p class="kt-finding">{html.escape(self.title)}</p>'
            f'<p class="kt-note">{self.note}</p>'
            '<details class="kt-data">'
            f"<summary>Data of this figure ({counted(len(self.data), 'row')})</summary>"
            f"{table}"
            f'<p><a download="{self.name}.csv" href="data:text/csv;base64,{csv}">Download as CSV</a></p>'
            "</details></div>"
        )

    def html(self) -> str:
        """Return drawing and caption as one HTML fragment."""
        return f'<figure class="kt-figure">{self.svg}<figcaption>{self.caption()}</figcaption></figure>'


def _tints() -> Image.Image:
    """Return the palette, each colour in steps to white: few colours, so that a bitmap is small."""
    tints = Image.new("P", (1, 1))
    colours = [[int(colour[n : n + 2], 16) for n in (1, 3, 5)] for colour in PALETTE.values()]
    mixed = [[round(255 - step * (255 - part)) for part in c] for c in colours for step in _STEPS]
    plain = [colour for colour in mixed if colour in colours or min(colour) < 240]  # else white is not white
    tints.putpalette([part for colour in plain for part in colour])
    return tints


def render(
    name: str,
    draw: Callable[[T], Canvas],
    drawn: T,
    *,
    title: str,
    note: str,
    alt: str,
    data: pd.DataFrame,
    links: Mapping[str, Link] | None = None,
) -> Figure:
    """Draw a figure, or take its drawing from the cache if the same was drawn before.

    Parameters
    ----------
    name, title, note, alt, data
        As in `Figure`.
    draw : callable
        From what is drawn to a matplotlib figure, and from nothing else. An artist whose URL is a key of
        `links` becomes that link.
    drawn : object
        What `draw` is called with: the content that a cached drawing is known by.
    links : mapping of str to Link, optional

    Returns
    -------
    Figure
    """
    links = links or {}

    def make() -> str:
        with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
            buffer = io.StringIO()
            draw(drawn).savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        return _finish(buffer.getvalue(), name, alt, links)

    svg = cache.kept(name, [alt, drawn, dict(links)], make)
    return Figure(name, title, note, alt, data, svg, lambda: draw(drawn))


def _finish(source: str, ident: str, alt: str, links: Mapping[str, Link]) -> str:
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _XLINK)
    root = ET.fromstring(source)  # noqa: S314 - our own drawing
    for unwanted in [*root.findall(f"{{{_SVG}}}metadata"), *root.findall(f"{{{_SVG}}}defs")]:
        root.remove(unwanted)  # what drew it; a style for all of a page
    for element in root.iter():
        for attribute in _COORDINATES & element.attrib.keys():
            element.set(attribute, re.sub(r"-?\d+\.\d+|-0\b", _rounded, element.attrib[attribute]))
        if element.get("transform", "").startswith("rotate(0 "):
            del element.attrib["transform"]
        if element.tag == f"{{{_SVG}}}a":
            _link(element, links)
    _share_shapes(root, ident)
    _flatten(root)
    width, height = (float(size) for size in root.attrib["viewBox"].split()[2:])
    root.attrib |= {
        "id": f"figure-{ident}",
        "width": str(SHOWN),
        "height": f"{SHOWN * height / width:.0f}",
        "role": "group",
        "aria-label": alt,
        "font-family": "system-ui, 'DejaVu Sans', Verdana, sans-serif",
        "stroke-linejoin": "round",
    }
    text = ET.tostring(root, encoding="unicode")
    text = re.sub(r" ?font-family: [^;\"]*;?|(?<=font: )([^;\"]*?)'DejaVu Sans'[^;\"]*", r"\1", text)
    for role, colour in PALETTE.items():
        text = text.replace(colour, f"var(--kt-{role}, {colour})")
    return re.sub(r">\s+<", "><", text.replace("\n", " ")).strip()


def _share_shapes(root: ET.Element, ident: str) -> None:
    """Define the shape of marks once, under an id that is unique on a page of several drawings.

    Of the parts, keep the classes that styles and tests speak of, and no other id.
    """
    shapes: dict[str, str] = {}
    names: dict[str, str] = {}
    for element in root.iter():
        name = element.attrib.pop("id", "")
        if name == "patch_1":
            element.set("class", "kt-ground")
        elif name.startswith("axes_"):
            element.set("class", "kt-axes")
        for defs in element.findall(f"{{{_SVG}}}defs"):
            for shape in defs:
                path = shape.attrib["d"]
                names[f"#{shape.attrib['id']}"] = shapes.setdefault(path, f"{ident}-{len(shapes)}")
            element.remove(defs)
    for use in root.iter(f"{{{_SVG}}}use"):
        use.set(f"{{{_XLINK}}}href", "#" + names[use.attrib[f"{{{_XLINK}}}href"]])
    shared = ET.Element(f"{{{_SVG}}}defs")
    shared.extend(ET.Element(f"{{{_SVG}}}path", id=name, d=path) for path, name in shapes.items())
    root.insert(0, shared)


def _flatten(parent: ET.Element) -> None:
    """Take groups away that say nothing of what they hold, and say once what neighbours share."""
    children: list[ET.Element] = []
    for child in parent:
        _flatten(child)
        children += child if child.tag == _GROUP and not child.attrib else [child]
    parent[:] = []
    for (tag, style), neighbours in itertools.groupby(children, lambda c: (c.tag, c.get("style"))):
        alike = list(neighbours)
        if style and len(alike) > 1 and tag != _GROUP:
            for child in alike:
                del child.attrib["style"]
            group = ET.SubElement(parent, _GROUP, style=style)
            group[:] = alike
        else:
            parent.extend(alike)


#: Attributes that hold coordinates, which are kept to a hundredth of a point.
_COORDINATES = frozenset({"d", "x", "y", "transform"})


def _rounded(match: re.Match[str]) -> str:
    return f"{round(float(match[0]), 2) + 0:g}"


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
