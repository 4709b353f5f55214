r"""Formulas as MathML, made while the site builds: no script, no other host, readable by a screen reader.

A Sphinx extension that registers the math renderer ``mathml`` (``html_math_renderer = "mathml"``).
latex2mathml does the conversion. What it lets pass in silence, and what browsers no longer
understand (they implement MathML Core), is mended or refused here:

==============================================  =============================================
latex2mathml 3.81                               here
==============================================  =============================================
an unknown command or environment is printed    a warning that names the document
``\frac{a``, ``\left(`` without its partner     a warning
``aligned``, ``gathered``, ``multline``,        written as ``split`` or nothing
``equation`` are unknown
``align`` numbers its own lines                 never: Sphinx numbers equations
``\operatorname*{arg\,max}`` falls apart        kept together, limits below in display
``\sim`` is a letter, ``\log p`` has no space   an operator; function application and space
``\lVert`` stretches to the tallest neighbour   only ``\left`` and ``\right`` stretch
``\mathrm{KL}`` is two letters                  one word
fonts and column alignment by attributes that   mathematical characters, and CSS
MathML Core dropped
text is not escaped (``\text{<b>}``)            escaped
==============================================  =============================================

Not supported, and refused where that can be seen: ``\begin{alignedat}``, ``\tag``, ``\label`` and
``\eqref`` inside a formula (label it in Markdown: ``$$ ... $$ (label)``), ``\cancel``, ``\boxed``
(browsers don't draw ``menclose``), and math inside ``\text``.
"""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Any, cast
from xml.etree import ElementTree as ET

from docutils import nodes
from latex2mathml import commands
from latex2mathml.converter import Converter
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)

_ENVIRONMENT = re.compile(r"\\(begin|end)\s*\{([A-Za-z]+\*?)\}")
#: Environments that latex2mathml does not know, or numbers, and what stands in for them.
_STAND_IN = {
    "align": "align*", "aligned": "split", "equation": "", "equation*": "", "gather": "split",
    "gather*": "split", "gathered": "split", "multline": "split", "multline*": "split",
}  # fmt: skip
_KNOWN = {"align*", "array", "cases", "smallmatrix", "split", "substack"} | {
    f"{kind}matrix{star}" for kind in ("", "p", "b", "B", "v", "V") for star in ("", "*")
}
_REFUSED = re.compile(r"\\(tag|label|eqref|ref|boxed|fbox|unicode|mathds|[bx]?cancel)\b")
_OPERATOR_NAME = re.compile(r"\\operatorname(\*|\s*)\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_SPACE_IN_NAME = re.compile(r"\\[,:;! ]|~")

#: MathML variants as the words of Unicode names; browsers draw the characters, not the attribute.
_VARIANT = {
    "bold": "BOLD", "italic": "ITALIC", "bold-italic": "BOLD ITALIC", "double-struck": "DOUBLE-STRUCK",
    "script": "SCRIPT", "bold-script": "BOLD SCRIPT", "fraktur": "FRAKTUR", "bold-fraktur": "BOLD FRAKTUR",
    "sans-serif": "SANS-SERIF", "bold-sans-serif": "SANS-SERIF BOLD", "monospace": "MONOSPACE",
}  # fmt: skip
_DIVIDES, _SIMILAR = "\u2223", "\u223c"
_PRIMES = "\u2032\u2033\u2034"
_FENCES = frozenset("|‖⟨⟩⌈⌉⌊⌋" + _DIVIDES)
_OPENING = frozenset("([{⟨⌈⌊")
_CLOSING = frozenset(")]}⟩⌉⌋")
_ACCENTS = frozenset("^~`→\u00a8\u00af\u00b4\u02c7\u02d8\u02d9")
_FUNCTIONS = frozenset(name.lstrip("\\") for name in commands.FUNCTIONS)
#: Functions whose subscript stands below them where a formula has a line of its own.
_WITH_LIMITS = frozenset(
    {"max", "min", "sup", "inf", "lim", "argmax", "argmin", "liminf", "limsup", "Pr", "det", "gcd"}
)
_SCRIPTS = frozenset({"msub", "msup", "msubsup", "munder", "mover", "munderover"})
_BELOW = {"msub": "munder", "msubsup": "munderover"}
_CHILDREN = dict.fromkeys(("mfrac", "mroot", "msub", "msup", "munder", "mover"), 2)
_CHILDREN |= dict.fromkeys(("msubsup", "munderover"), 3)
_APPLY = "\u2061"  # function application: said by a screen reader, not drawn
_THIN = "0.1667em"
_NO_GAP = frozenset({"mo", "mspace", "mtext"})


class FormulaError(ValueError):
    """A formula that can't be shown as it was meant."""


def to_mathml(latex: str, *, block: bool = False) -> str:
    r"""Convert one formula.

    Parameters
    ----------
    latex : str
        The formula without its dollar signs.
    block : bool
        Whether it stands on a line of its own.

    Returns
    -------
    str
        A ``math`` element; its ``alttext`` is `latex`.

    Raises
    ------
    FormulaError
        If a command or environment is unknown, or if braces, fences or arguments don't match.

    Examples
    --------
    >>> to_mathml(r"\tau^2").partition(">")[2]
    '<mrow><msup><mi>τ</mi><mn>2</mn></msup></mrow></math>'
    >>> to_mathml(r"\nosuch{x}")
    Traceback (most recent call last):
    ...
    ktreview.site.mathml.FormulaError: unknown command \nosuch
    """
    source = _prepare(latex, block=block)
    try:
        root = Converter(display="block" if block else "inline").convert_to_element(source)
    except Exception as error:
        # latex2mathml raises its own errors, but also IndexError, StopIteration and the like.
        raise FormulaError(_reason(error)) from error
    root.set("alttext", " ".join(latex.split()))
    for element in root.iter():
        element.text = html.unescape(element.text) if element.text else element.text
    _mend(root)
    _check(root)
    return ET.tostring(root, encoding="unicode")


def _reason(error: Exception) -> str:
    """Say in words what latex2mathml says by the class of an error alone."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__.removesuffix("Error")).lower()
    return f"{words}: {error}" if str(error) else words


def _prepare(latex: str, *, block: bool) -> str:
    """Check the nesting, and rewrite what latex2mathml doesn't know."""
    _check_nesting(latex)
    if refused := _REFUSED.search(latex):
        raise FormulaError(f"{refused[0]} is not supported")

    def environment(match: re.Match[str]) -> str:
        name = _STAND_IN.get(match[2], match[2])
        if name and name not in _KNOWN:
            raise FormulaError(f"unknown environment {match[2]}")
        return rf"\{match[1]}{{{name}}}" if name else ""

    latex = _ENVIRONMENT.sub(environment, latex).strip()
    latex = _OPERATOR_NAME.sub(_operator_name, latex)
    paragraphs = [part for part in re.split(r"\n\s*\n", latex) if part]
    latex = r" \\ ".join(paragraphs)
    if block and not _ENVIRONMENT.search(latex) and re.search(r"\\\\|(?<!\\)&", latex):
        latex = rf"\begin{{split}}{latex}\end{{split}}"
    return latex


def _operator_name(match: re.Match[str]) -> str:
    """Turn an operator's name into plain text, with limits where it has a star."""
    name = _SPACE_IN_NAME.sub("\u2009", match[2])
    name = re.sub(r"\\(?:text|mathrm|mathit|rm)\b\s*|[{}]", "", name).replace(" ", "").replace("\\-", "-")
    if "\\" in name:
        raise FormulaError(rf"\operatorname{{{match[2]}}} is not a plain name")
    return rf"\operatorname{'*' if match[1] == '*' else ''}{{{name}}}"


def _check_nesting(latex: str) -> None:
    """Refuse braces, environments and fences that don't match; latex2mathml lets most of them pass."""
    depth = 0
    for token in re.findall(r"\\.|[{}]", latex, re.DOTALL):
        depth += {"{": 1, "}": -1}.get(token, 0)
        if depth < 0:
            raise FormulaError("a closing brace too many")
    if depth:
        raise FormulaError("a brace is not closed")
    opened: list[str] = []
    for verb, name in _ENVIRONMENT.findall(latex):
        if verb == "begin":
            opened.append(name)
        elif not opened or opened.pop() != name:
            raise FormulaError(rf"\end{{{name}}} closes nothing")
    if opened:
        raise FormulaError(rf"\begin{{{opened[-1]}}} is not closed")
    if len(re.findall(r"\\left(?![A-Za-z])", latex)) != len(re.findall(r"\\right(?![A-Za-z])", latex)):
        raise FormulaError(r"\left and \right don't match")


def _check(root: ET.Element) -> None:
    """Refuse a tree in which a command was printed or an argument is missing."""
    for element in root.iter():
        text = element.text or ""
        if element.tag in {"mi", "mo"} and text.startswith("\\") and len(text) > 1:
            raise FormulaError(f"unknown command {text}")
        if element.tag in {"mi", "mo"} and text in {"&", "\\"}:
            raise FormulaError(f"{text} outside an environment")
        if element.tag == "mtext" and "$" in text:
            raise FormulaError(r"math inside \text is not supported")
        if element.tag == "menclose":
            raise FormulaError("browsers don't draw menclose")
        if (wanted := _CHILDREN.get(element.tag)) and len(element) != wanted:
            raise FormulaError(f"an argument is missing or empty ({element.tag})")


def _mend(element: ET.Element) -> None:
    """Rewrite an element and everything in it for MathML Core."""
    for child in element:
        _mend(child)
    _mend_table(element)
    _mend_variant(element)
    _mend_symbol(element)
    if element.tag == "mover" and len(element) == 2 and (element[1].text or "") in _ACCENTS:
        element.set("accent", "true")
    if element.tag in {"mrow", "mtd", "mstyle", "mpadded", "math"}:
        _merge_upright(element)
        _space_functions(element)


def _mend_table(element: ET.Element) -> None:
    """Write a table's alignment as CSS, since MathML Core has no attributes for it."""
    if element.tag == "mtable":
        for name in ("rowspacing", "rowlines", "columnlines", "columnspacing"):
            element.attrib.pop(name, None)
        equations = element.get("displaystyle") == "true"
        centred = equations and max(map(len, element), default=0) == 1
        for row in element:
            for column, cell in enumerate(row):
                side = cell.attrib.pop("columnalign", "center")
                if side != "center" and not centred:
                    inner = f"padding-{'left' if column % 2 else 'right'}:0;" if equations else ""
                    cell.set("style", f"text-align:{side};{inner}")


def _mend_variant(element: ET.Element) -> None:
    """Write a font as characters."""
    variant = element.get("mathvariant")
    if variant is None or variant == "normal":
        return
    del element.attrib["mathvariant"]
    if element.tag in {"mi", "mn", "mtext"} and element.text:
        element.text = "".join(_styled(character, variant) for character in element.text)


def _styled(character: str, variant: str) -> str:
    """Return a character in a mathematical alphabet, or as it is where the alphabet lacks it."""
    style = _VARIANT.get(variant)
    if style is None:
        return character
    plain = unicodedata.name(character, "")
    if plain.startswith("DIGIT "):
        names = [f"MATHEMATICAL {style} {plain}"]
    elif re.fullmatch(r"[A-Za-z]", character):
        case = "CAPITAL" if character.isupper() else "SMALL"
        names = [f"MATHEMATICAL {style} {case} {character.upper()}"]
        # The letters that Unicode had before it had the alphabets.
        old = {"FRAKTUR": "BLACK-LETTER"}.get(style, style)
        names.append(f"{old} {case} {character.upper()}")
        if (style, character) == ("ITALIC", "h"):
            names.append("PLANCK CONSTANT")
    else:
        greek = re.fullmatch(r"GREEK (CAPITAL|SMALL) LETTER ([A-Z]+)", plain)
        names = [f"MATHEMATICAL {style} {greek[1]} {greek[2]}"] if greek else []
    for name in names:
        try:
            return unicodedata.lookup(name)
        except KeyError:
            continue
    return character


def _mend_symbol(element: ET.Element) -> None:
    """Mend single symbols: relations given as letters, fences that must not stretch."""
    if element.tag == "mi" and element.text == "~":
        element.tag, element.text = "mo", _SIMILAR
    if element.tag == "mi" and element.text and not element.text.strip(_PRIMES):
        element.tag = "mo"
    if element.tag in {"mi", "mo"} and element.text in _FENCES and "fence" not in element.attrib:
        element.tag = "mo"
        if element.text != _DIVIDES or "stretchy" in element.attrib:
            element.set("stretchy", "false")


def _merge_upright(row: ET.Element) -> None:
    r"""Make one word of the letters that ``\mathrm`` leaves side by side."""
    previous: ET.Element | None = None
    for child in list(row):
        upright = child.tag == "mi" and child.get("mathvariant") == "normal" and bool(child.text)
        if upright and previous is not None:
            previous.text = f"{previous.text}{child.text}"
            previous.attrib.pop("mathvariant", None)  # a word of two letters is upright by itself
            row.remove(child)
        else:
            previous = child if upright else None


def _function_name(element: ET.Element) -> ET.Element | None:
    """Return the function's name that an element is, or that it carries scripts on."""
    while element.tag in _SCRIPTS and len(element):
        element = element[0]
    text = _letters(element)
    is_name = element.tag in {"mi", "mo"} and len(text) > 1 and text.replace("-", "").isalnum()
    return element if is_name and (element.tag == "mo" or text in _FUNCTIONS) else None


def _letters(element: ET.Element) -> str:
    """Return an element's text without the thin spaces of ``arg max``."""
    return re.sub("[\u2006\u2009]", "", element.text or "")


def _space_functions(row: ET.Element) -> None:
    """Set a function's name off from its neighbours as TeX does, and mark the application."""
    children = list(row)
    position = 0
    for index, child in enumerate(children):
        name = _function_name(child)
        if name is not None:
            _set_name(child, name)
            before = children[index - 1] if index else None
            closed = before is not None and before.tag == "mo" and (before.text or "") in _CLOSING
            if before is not None and (closed or before.tag not in _NO_GAP):
                row.insert(position, ET.Element("mspace", width=_THIN))
                position += 1
            after = children[index + 1] if index + 1 < len(children) else None
            if after is not None:
                position += 1
                mark = ET.Element("mo")
                mark.text = _APPLY
                row.insert(position, mark)
                fenced = after.tag == "mrow" and len(after) > 0 and (after[0].text or "") in _OPENING
                if not fenced and after.tag not in _NO_GAP:
                    position += 1
                    row.insert(position, ET.Element("mspace", width=_THIN))
        position += 1


def _set_name(child: ET.Element, name: ET.Element) -> None:
    """Make a function's name a word, or an operator with movable limits."""
    if name.get("movablelimits") == "true" or _letters(name) in _WITH_LIMITS:
        name.tag = "mo"
        name.attrib.update(movablelimits="true", form="prefix", lspace="0", rspace="0")
        if child is not name:
            child.tag = _BELOW.get(child.tag, child.tag)
    else:
        name.tag = "mi"


def _convert(node: nodes.Element, *, block: bool) -> str:
    """Convert a node; what can't be converted is a warning, and shown as its source."""
    latex = node.astext()
    try:
        return to_mathml(latex, block=block)
    except FormulaError as error:
        logger.warning("formula %r: %s", latex, error, location=node, type="mathml")
        return f"<code>{html.escape(latex)}</code>"


def visit_math(self: HTML5Translator, node: nodes.math) -> None:
    """Write an inline formula.

    Raises
    ------
    docutils.nodes.SkipNode
        Always: the formula's text is not written again.
    """
    self.body.append(self.starttag(node, "span", "", CLASS="kt-math notranslate nohighlight"))
    self.body.append(_convert(node, block=False) + "</span>")
    raise nodes.SkipNode


def visit_displaymath(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula on a line of its own, with its number and anchor if it has a label.

    Raises
    ------
    docutils.nodes.SkipNode
        Always: the formula's text is not written again.
    """
    self.body.append(self.starttag(node, "div", CLASS="kt-equation notranslate nohighlight"))
    self.body.append(f'<div class="kt-scroll">{_convert(node, block=True)}</div>')
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(cast("Any", self), node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the renderer ``mathml``.

    Parameters
    ----------
    app : sphinx.application.Sphinx
        The site's builder.

    Returns
    -------
    ExtensionMetadata
        That pages may be read and written side by side.
    """
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displaymath, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
