"""Drawing without colours: in a theme that has none, and under `NO_COLOR`."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Final

from rich.cells import cell_len
from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

_BLOCK: Final = 2.0
"""The contrast to the screen's ground from which empty cells are a block, as in scroll bars."""
_LIT: Final = 4.5
"""The contrast to the screen's ground from which any words on it are in inverse."""
_QUIET: Final = 4.5
"""The contrast to its ground below which a text is quiet."""
_UNSEEN: Final = 1.2
"""The contrast to its ground below which an edge is not meant to be seen."""


@lru_cache(256)
def _luminance(color: RichColor) -> float:
    parts = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in Color.from_rich_color(color).normalized
    ]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def _contrast(one: RichColor, other: RichColor) -> float:
    """The contrast ratio of two colours, 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


class _Monochrome(LineFilter):
    """Knows the colours of the screen, and thereby what is drawn in inverse."""

    def __init__(self, ground: str, ink: str) -> None:
        super().__init__()
        self._ground, self._ink = RichColor.parse(ground), RichColor.parse(ink)
        self._known: dict[tuple[Style, bool, Color], Style] = {}

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [self._segment(segment, background) for segment in segments]

    def _segment(self, segment: Segment, background: Color) -> Segment:
        text, style, control = segment
        if style is None or control:
            return segment
        key = style, text.isspace(), background
        if key not in self._known:
            if len(self._known) > 2_000:
                self._known.clear()
            ink = style.color or self._ink
            ground = style.bgcolor or background.rich_color
            if style.reverse:
                ink, ground = ground, ink
            self._known[key] = self.restyled(style, ink, ground, blank=text.isspace())
        return Segment(text, self._known[key])

    def restyled(self, style: Style, ink: RichColor, ground: RichColor, *, blank: bool) -> Style:
        """A style in its place; `ink` and `ground` are the colours that it comes to."""
        raise NotImplementedError

    def _is_inverse(self, style: Style, ink: RichColor, ground: RichColor, *, blank: bool) -> bool:
        lit = _contrast(ground, self._ground)
        if blank and not style.reverse:
            return lit >= _BLOCK
        return lit >= _LIT or lit > _contrast(ink, self._ground)


class PlainInverse(_Monochrome):
    """Draws all words on an inverse ground alike: quiet ones would be grey on grey there."""

    @cached_property
    def _inverse(self) -> Style:
        return Style(color=self._ground, bgcolor=self._ink, reverse=False, dim=False)

    def restyled(self, style: Style, ink: RichColor, ground: RichColor, *, blank: bool) -> Style:
        words = style.reverse or not blank
        inverse = words and self._is_inverse(style, ink, ground, blank=blank)
        return style + self._inverse if inverse else style


class Colourless(_Monochrome):
    """Draws with the terminal's own ink on its own ground: grounds become nothing or inverse."""

    def _segment(self, segment: Segment, background: Color) -> Segment:
        text, style, control = super()._segment(segment, background)
        if style is not None and style.conceal:
            return Segment(" " * cell_len(text), style + Style(conceal=False), control)
        return Segment(text, style, control)

    def restyled(self, style: Style, ink: RichColor, ground: RichColor, *, blank: bool) -> Style:
        inverse = self._is_inverse(style, ink, ground, blank=blank)
        contrast = _contrast(ink, ground)
        unseen = not blank and contrast < _UNSEEN
        quiet = bool(style.dim) or contrast < _QUIET
        plain = style.without_color + Style(
            reverse=inverse and not unseen, dim=quiet and not inverse and not unseen, conceal=unseen
        )
        return plain + Style.from_meta(style.meta) if style.meta else plain


def filter_of(colors: tuple[str, str], *, no_color: bool, monochrome: bool) -> LineFilter | None:
    """What redraws the lines of a screen with a ground and an ink; None where colours stay."""
    if no_color:
        return Colourless(*colors)
    return PlainInverse(*colors) if monochrome else None
