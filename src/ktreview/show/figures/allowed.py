"""What may stand in a drawing that a page takes in as it is."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

_SVG = "{http://www.w3.org/2000/svg}"
_XLINK = "{http://www.w3.org/1999/xlink}"

#: What a drawing may hold, and the attributes that it may have beside those named in `data-`.
_ELEMENTS = frozenset("svg g defs path use text tspan a title".split())
_ATTRIBUTES = frozenset(
    "aria-label class clip-path d font-family font-size height href id role stroke-linecap stroke-linejoin "
    "style target text-anchor transform version viewBox width x y".split()
)

#: Styles of shapes and text, without addresses.
_STYLE = re.compile(
    r"(?!.*url\((?!#))((fill|stroke|opacity|font|text-anchor)[a-z-]*: [a-zA-Z0-9#%., ()-]+(; *|$))*"
)


def fault(text: str) -> str | None:
    """Say why a text is not a drawing that a page may take in; None if it is one.

    A drawing is well-formed SVG of shapes, text and links: nothing that runs, and nothing that is loaded
    from anywhere.

    Examples
    --------
    >>> fault('<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>')
    'it holds the element script'
    """
    if "<!" in text:
        return "it holds a declaration or a comment"
    if "<?" in text.removeprefix("<?xml "):
        return "it holds an instruction"
    try:
        root = ET.fromstring(text)  # noqa: S314 - without declarations there are no entities
    except ET.ParseError as error:
        return f"it is not well-formed: {error}"
    if root.tag != f"{_SVG}svg":
        return "it is not an SVG"
    return next(filter(None, map(_fault_of, root.iter())), None)


def _fault_of(element: ET.Element) -> str | None:
    tag = str(element.tag).removeprefix(_SVG)
    if tag not in _ELEMENTS:
        return f"it holds the element {tag}"
    for name, value in element.attrib.items():
        address = name.removeprefix(_XLINK)
        if address == "href":
            if not re.match(r"#|https://" if tag == "a" else "#", value):
                return f"it leads to {value}"
        elif not (name in _ATTRIBUTES or re.fullmatch(r"data-[a-z]+", name)):
            return f"it holds the attribute {name}"
        elif name == "style" and not _STYLE.fullmatch(value):
            return f"it holds the style {value}"
    return None
