"""Read a drawing back: what marks, lines, boxes and words stand where, and at what value of the axis."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

import numpy as np

SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}"


@dataclass
class Mark:
    x: float
    y: float
    shape: str
    filled: bool
    colour: str
    size: float
    claim: str | None


@dataclass
class Line:
    xs: list[float]
    ys: list[float]
    colour: str
    width: float
    dashed: bool


@dataclass
class Box:
    """A filled shape: from left to right, and from top to bottom."""

    left: float
    right: float
    top: float
    bottom: float
    colour: str
    opacity: float
    claim: str | None
    points: list[tuple[float, float]] = field(repr=False)


@dataclass
class Words:
    x: float
    y: float
    text: str
    bold: bool
    colour: str
    anchor: str


@dataclass
class Panel:
    marks: list[Mark] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    words: list[Words] = field(default_factory=list)

    def value(self, x: float, *, log: bool = False) -> float:
        """What the axis's numbers say that a place means."""
        told = [(words.x, number(words.text)) for words in self.words if words.colour == "muted"]
        ticks = [(at, value) for at, value in told if value is not None]
        assert len(ticks) >= 2, self.words
        (first, low), (last, high) = min(ticks), max(ticks)
        part = (x - first) / (last - first)
        return low * (high / low) ** part if log else low + part * (high - low)

    def step(self) -> float:
        """What a hundredth of a point, to which places are rounded, is worth, and the same for a tick."""
        return 3 * abs(self.value(0.01) - self.value(0.0))

    def below(self, top: float, bottom: float) -> Panel:
        """What stands from one height to another."""
        inside = lambda y: top <= y < bottom  # noqa: E731
        return Panel(
            [mark for mark in self.marks if inside(mark.y)],
            [line for line in self.lines if inside(np.mean(line.ys))],
            [box for box in self.boxes if inside((box.top + box.bottom) / 2)],
            [words for words in self.words if inside(words.y)],
        )

    def said(self) -> list[str]:
        return [words.text for words in self.words]


def number(text: str) -> float | None:
    found = re.fullmatch(r"([−-]?[\d.]+)×?", text)
    return float(found[1].replace("−", "-")) if found else 1.0 if text == "claimed" else None


def panels(svg: str) -> list[Panel]:
    """The panels of a drawing, in the order in which they were drawn."""
    root = ET.fromstring(svg)
    shapes = {shape.get("id"): shape.get("d") for shape in root.iter(f"{SVG}path") if shape.get("id")}
    found = []
    for axes in root.iter(f"{SVG}g"):
        if axes.get("class") == "kt-axes":
            panel = Panel()
            _read(axes, {}, None, shapes, panel)
            found.append(panel)
    return found


def _read(parent, style, claim, shapes, panel):
    for child in parent:
        own = style | dict(re.findall(r"([a-z-]+): ([^;]+)", child.get("style", "")))
        tag = child.tag.removeprefix(SVG)
        if tag == "use":
            panel.marks.append(_mark(child, own, claim, shapes[child.get(f"{XLINK}href")[1:]]))
        elif tag == "path":
            _path(child.get("d"), own, claim, panel)
        elif tag == "text":
            panel.words.append(_words(child, own))
        else:
            _read(child, own, child.get("data-claim", claim), shapes, panel)


def _role(paint: str | None) -> str:
    found = re.match(r"var\(--kt-(\w+),", paint or "none")
    return found[1] if found else "none"


def _numbers(path: str) -> list[tuple[float, float]]:
    found = [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", path)]
    return list(zip(found[::2], found[1::2], strict=True))


def _mark(use, style, claim, path) -> Mark:
    fill, stroke = _role(style.get("fill")), _role(style.get("stroke"))
    filled = fill not in ("none", "surface")
    points = _numbers(path)
    return Mark(
        float(use.get("x")), float(use.get("y")), _shape(path, points), filled,
        stroke if stroke not in ("none", "surface") else fill, 2 * max(abs(x) for x, _ in points), claim,
    )  # fmt: skip


def _shape(path, points) -> str:
    if "C" in path:
        return "circle"
    xs, ys = ([point[n] for point in points] for n in (0, 1))
    if len(points) == 3:
        single = next((n for n in range(3) if ys.count(ys[n]) == 1), 0)
        if len(set(ys)) == 2:
            return "up" if ys[single] == min(ys) else "down"
        single = next(n for n in range(3) if xs.count(xs[n]) == 1)
        return "left" if xs[single] == min(xs) else "right"
    return "square" if len(set(xs)) == 2 else "diamond"


def _path(path, style, claim, panel):
    points = _numbers(path)
    xs, ys = ([point[n] for point in points] for n in (0, 1))
    fill, stroke = _role(style.get("fill")), _role(style.get("stroke"))
    if fill != "none":
        opacity = float(style.get("opacity", style.get("fill-opacity", 1)))
        panel.boxes.append(Box(min(xs), max(xs), min(ys), max(ys), fill, opacity, claim, points))
    elif stroke != "none":
        width = float(style.get("stroke-width", 1))
        panel.lines.append(Line(xs, ys, stroke, width, "stroke-dasharray" in style))


def _words(text, style) -> Words:
    # Words of several lines have the place of the first.
    first = text if text.get("x") else next(part for part in text.iter() if part.get("x"))
    said = " ".join(part.strip() for part in text.itertext() if part.strip())
    return Words(
        float(first.get("x")), float(first.get("y")), said, style.get("font-weight") in ("700", "bold"),
        _role(style.get("fill")), style.get("text-anchor", "start"),
    )  # fmt: skip
