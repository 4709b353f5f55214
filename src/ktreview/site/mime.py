"""Take drawings of notebooks into the pages as they are, so that their links lead and their colours adapt.

myst-nb finds this through the entry point group `myst_nb.mime_renderers`.
"""

from __future__ import annotations

from typing import ClassVar

from docutils import nodes
from myst_nb.core.render import MimeData, NbElementRenderer

from ktreview.show.figures.allowed import fault


class InlineSvg:
    """Renders an SVG that holds nothing but shapes, text and links; any other stays an image."""

    mime_priority_overrides: ClassVar[list[tuple[str, str, int | None]]] = []

    @staticmethod
    def handle_mime(
        renderer: NbElementRenderer,  # noqa: ARG004 - myst-nb's interface
        data: MimeData,
        inline: bool,
    ) -> list[nodes.Element] | None:
        """Return the drawing as raw HTML, or None if it is not ours to render."""
        if inline or data.mime_type != "image/svg+xml":
            return None
        text = data.string.strip()
        if fault(text) is not None:
            return None
        return [nodes.raw(text=f'<div class="kt-figure">{text}</div>', format="html")]
