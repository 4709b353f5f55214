"""The kit that the figures are drawn with: rows of labels and marks on one sheet, as wide as a phone.

Lengths are points. A panel's y axis is points too, downwards from its top, so that a row knows where
its label and its marks stand; its x axis is the data's.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Affine2D, blended_transform_factory

from ktreview.show.figures.svg import PALETTE, WIDTH

#: Sizes of text: names and values; what stands beside them.
NAME, SMALL = 11.0, 10.5
#: Points left free at both sides, so that marks at the end of an axis are whole.
MARGIN = 16.0


class Sheet:
    """A drawing that grows downwards, panel by panel."""

    def __init__(self) -> None:
        self.canvas = Canvas(figsize=(WIDTH / 72, 1))
        self.height = 0.0
        self._panels: list[tuple[Axes, float, float, float, float]] = []

    def panel(
        self,
        height: float,
        *,
        head: float = 0.0,
        foot: float = 0.0,
        left: float = MARGIN,
        right: float = MARGIN,
        title: str = "",
    ) -> Axes:
        """Add a panel below the last one.

        Parameters
        ----------
        height : float
            Of its rows together.
        head, foot, left, right : float, optional
            What is left free around them; the title stands in the head, tick labels in the foot.
        title : str, optional

        Returns
        -------
        matplotlib.axes.Axes
            Its y axis runs from 0 at the top to `height`.
        """
        axes = self.canvas.add_axes((0, 0, 1, 1), label=str(len(self._panels)))
        axes.set(ylim=(height, 0), yticks=[])
        axes.spines[:].set_visible(False)
        axes.patch.set_visible(False)
        self._panels.append((axes, left, WIDTH - right, self.height + head, height))
        self.height += head + height + foot
        if title:
            beside(axes, 0, 10 - head, title, weight="bold", size=NAME)
        return axes

    def blank(self, height: float) -> Axes:
        """Add a panel without axes, as wide as the sheet, whose coordinates are points."""
        axes = self.panel(height, left=0, right=0)
        axes.set(xlim=(0, WIDTH), xticks=[])
        return axes

    def finished(self) -> Canvas:
        """Return the sheet, cut to its height."""
        self.canvas.set_size_inches(WIDTH / 72, self.height / 72)
        for axes, left, right, top, height in self._panels:
            below = self.height - top - height
            axes.set_position(
                (left / WIDTH, below / self.height, (right - left) / WIDTH, height / self.height)
            )
        return self.canvas


def scale(axes: Axes, low: float, high: float, ticks: int = 5, **options: Any) -> None:
    """Give a panel an x axis from low to high, with a grid and numbers below."""
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(MaxNLocator(ticks, **options))
    grid(axes)


def grid(axes: Axes) -> None:
    """Draw a panel's x axis as lines behind its rows, with numbers below."""
    axes.tick_params(bottom=False, which="both", labelsize=SMALL)
    axes.grid(axis="x", linewidth=0.7, clip_on=False)
    axes.set_axisbelow(True)


def beside(axes: Axes, x: float, y: float, text: str, url: str = "", **options: Any) -> None:
    """Write at a height on a panel, so many points from the left of the sheet."""
    canvas = axes.get_figure(root=True)
    assert canvas is not None, "axes are on a sheet"  # noqa: S101
    points = Affine2D().scale(1 / 72) + canvas.dpi_scale_trans
    place = blended_transform_factory(points, axes.transData)
    write(axes, x, y, text, url, transform=place, **options)


def write(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    url: str = "",
    *,
    size: float = SMALL,
    colour: str = "ink",
    ha: str = "left",
    block: Literal["middle", "top", "bottom"] = "middle",
    **options: Any,
) -> None:
    """Write on a panel, in a colour of the palette; the block of lines has its middle, top or bottom at y.

    Each line is a text of its own, which a page can set in its own font without losing the alignment.
    """
    lines = text.split("\n")
    lead = 1.12 * size
    above = {"middle": len(lines) / 2, "top": 0, "bottom": len(lines)}[block]
    options.setdefault("va", "center_baseline")
    for n, line_of_text in enumerate(lines):
        written = axes.text(
            x, y + (n + 0.5 - above) * lead, line_of_text, size=size, color=PALETTE[colour], ha=ha, **options
        )
        if url:
            written.set_url(url)


def mark(
    axes: Axes,
    x: float,
    y: float,
    shape: str,
    colour: str,
    *,
    filled: bool = True,
    size: float = 7.5,
    url: str = "",
) -> None:
    """Set a mark; a hollow one shows the ground, so that no line is seen through it."""
    drawn = axes.plot(
        [x],
        [y],
        marker=shape,
        markersize=size,
        markeredgewidth=1.5,
        markeredgecolor=PALETTE[colour],
        markerfacecolor=PALETTE[colour if filled else "surface"],
        linestyle="none",
        zorder=4,
        clip_on=False,
    )[0]
    if url:
        drawn.set_url(url)


def line(
    axes: Axes, xs: Sequence[float], ys: Sequence[float], colour: str, width: float = 1.6, **options: Any
) -> None:
    """Draw a straight line."""
    axes.plot(
        xs,
        ys,
        color=PALETTE[colour],
        linewidth=width,
        clip_on=False,
        zorder=options.pop("zorder", 2),
        **options,
    )


def interval(axes: Axes, low: float, high: float, y: float, colour: str) -> None:
    """Draw an interval."""
    line(axes, [low, high], [y, y], colour, 1.8)


def band(
    axes: Axes, xs: tuple[float, float], ys: tuple[float, float], colour: str, shade: float = 1.0
) -> None:
    """Fill a box from x to x and from y to y."""
    axes.add_patch(
        Rectangle(
            (xs[0], ys[0]), xs[1] - xs[0], ys[1] - ys[0], color=PALETTE[colour], alpha=shade, linewidth=0,
            clip_on=False,
        )
    )  # fmt: skip


def arrow(axes: Axes, x: float, y: float, direction: Literal["left", "right"], colour: str) -> None:
    """Draw a short arrow that starts at a value."""
    low, high = axes.get_xlim()
    end = x + (high - low) * (0.07 if direction == "right" else -0.07)
    line(axes, [x, end], [y, y], colour)
    mark(axes, end, y, {"left": "<", "right": ">"}[direction], colour, size=4)


def cut(text: str, length: int) -> str:
    """Return a text of at most so many characters, with an ellipsis where it is cut.

    Examples
    --------
    >>> cut("one, two", 8), cut("one, two", 5)
    ('one, two', 'one…')
    """
    return text if len(text) <= length else text[: length - 1].rstrip(" ,;·") + "…"


def wrapped(text: str, length: int, lines: int = 2) -> str:
    r"""Break a text into lines of at most so many characters; what is too long for all is cut.

    Examples
    --------
    >>> wrapped("one, two", 8), wrapped("one two three four", 8)
    ('one, two', 'one two\nthree f…')
    """
    broken = textwrap.wrap(text, length, break_long_words=True) or [""]
    return "\n".join([*broken[: lines - 1], cut(" ".join(broken[lines - 1 :]), length)]).rstrip("\n")


def halved(title: str) -> str:
    r"""Break a title of many words into two lines.

    Examples
    --------
    >>> halved("Continual learning"), halved("Evaluation and applications")
    ('Continual learning', 'Evaluation and\napplications')
    """
    words = title.split()
    if len(title) < 20:
        return title
    half = (len(words) + 1) // 2
    return " ".join(words[:half]) + "\n" + " ".join(words[half:])
