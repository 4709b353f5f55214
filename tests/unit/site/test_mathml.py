"""Formulas as MathML: what latex2mathml gives and MathML Core does not draw is mended."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from ktreview.site.mathml import FormulaError, to_mathml

NAMESPACE = "{http://www.w3.org/1998/Math/MathML}"


def elements(latex, tag, *, block=True):
    return list(ET.fromstring(to_mathml(latex, block=block)).iter(f"{NAMESPACE}{tag}"))


@pytest.mark.parametrize("latex", [r"\operatorname*{arg\,max}_x f(x)", r"\max_x f(x)", r"\min_x f(x)"])
def test_the_subscript_of_a_maximum_stands_below_it_in_display(latex):
    (below,) = elements(latex, "munder")
    assert below[0].get("movablelimits") == "true"
    assert below[1].text == "x"
    assert not elements(latex, "msub")


def test_the_subscript_of_another_function_stands_beside_it():
    (beside,) = elements(r"\log_2 x", "msub")
    assert (beside[0].text, beside[0].tag, beside[1].text) == ("log", f"{NAMESPACE}mi", "2")
    assert not elements(r"\log_2 x", "munder")


def test_fences_stretch_only_between_left_and_right():
    alone = elements(r"\lVert \frac{a}{b} \rVert + | x |", "mo")
    assert [mark.get("stretchy") for mark in alone if mark.text in "‖|∣"] == ["false"] * 4
    paired = elements(r"\left\lVert \frac{a}{b} \right\rVert", "mo")
    assert [mark.get("stretchy") for mark in paired] == ["true", "true"]


def test_columns_of_equations_meet_at_the_sign_and_cases_stand_left():
    aligned = [cell.get("style") for cell in elements(r"\begin{align}a &= b\\c &= d\end{align}", "mtd")]
    assert aligned == ["text-align:right;padding-right:0;", "text-align:left;padding-left:0;"] * 2
    cases = [cell.get("style") for cell in elements(r"\begin{cases}a & x\\b & y\end{cases}", "mtd")]
    assert cases == ["text-align:left;"] * 4
    centred = [cell.get("style") for cell in elements(r"\begin{gather}a\\b\end{gather}", "mtd")]
    assert centred == [None, None]


def test_words_are_words_and_text_is_text():
    assert [letter.text for letter in elements(r"\mathrm{KL}(p)", "mi")] == ["KL", "p"]
    assert [text.text for text in elements(r"\text{<b>&c}", "mtext")] == ["<b>&c"]
    assert [letter.text for letter in elements(r"\mathbf{x}", "mi")] == ["𝐱"]


@pytest.mark.parametrize(
    ("latex", "message"),
    [
        (r"\nosuch{x}", r"unknown command \\nosuch"),
        (r"\frac{a", "a brace is not closed"),
        (r"a}", "a closing brace too many"),
        (r"\left( a", r"\\left and \\right don't match"),
        (r"\begin{magic}a\end{magic}", "unknown environment magic"),
        (r"\begin{cases}a", r"\\begin{cases} is not closed"),
        (r"a \tag{1}", r"\\tag is not supported"),
        (r"\text{if $x$}", "math inside"),
        (r"\frac{a}", "missing"),
    ],
)
def test_what_cannot_be_shown_is_refused(latex, message):
    with pytest.raises(FormulaError, match=message):
        to_mathml(latex)
