"""Small plots as plain text, for terminals and screens.

Every line has exactly the given width. Block characters need a Unicode terminal; `ascii_only` plots
use ASCII only. `in_words` describes a plot for screen readers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from convtui.analysis.report.report import Plot

_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
_ASCII: Final = " .:-=+*#@"


def can_draw_blocks(stream: Any) -> bool:
    """Whether a stream's encoding has the characters that plots use."""
    try:
        (_BLOCKS + "▏·").encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeError, LookupError):
        return False
    return True


def resample(
    values: Sequence[float | None], width: int, *, adds: bool = False
) -> list[float | None]:
    """Reduces values to at most `width`: the maximum of each stretch, so that no peak is lost.

    With `adds` the sum of each stretch instead, for counts. None where no value of it is known.
    """
    if width < 1:
        return []
    if len(values) <= width:
        return list(values)
    stretches: list[float | None] = []
    for index in range(width):
        stretch = values[index * len(values) // width : (index + 1) * len(values) // width]
        known = [value for value in stretch if value is not None]
        stretches.append((math.fsum(known) if adds else max(known)) if known else None)
    return stretches


def columns(
    values: Sequence[float | None],
    *,
    width: int,
    height: int = 1,
    ascii_only: bool = False,
    top: float | None = None,
) -> list[str]:
    """A column chart of values, scaled from zero to the greatest, or to `top` if that is more.

    The result is `height` lines, topmost first.

    A value above zero is never drawn as empty; an unknown or non-finite one is a dot (`?` in ASCII)
    in the lowest line. Values beyond `width` are not drawn: `resample()` them first.
    """
    drawn = [v if v is not None and math.isfinite(v) else None for v in values[:width]]
    signs = _ASCII if ascii_only else _BLOCKS
    steps = len(signs) - 1
    top = max([top or 0.0, *(value for value in drawn if value is not None)])
    lines = []
    for line in range(height - 1, -1, -1):
        text = ""
        for value in drawn:
            if value is None:
                text += ("?" if ascii_only else "·") if line == 0 else " "
                continue
            level = 0 if top <= 0 or value <= 0 else max(1, round(value / top * height * steps))
            text += signs[min(steps, max(0, level - line * steps))]
        lines.append(f"{text:<{width}}")
    return lines


def condensed(plot: Plot, room: int) -> tuple[list[float | None], str]:
    """The values resampled to at most `room` columns, and a caption with the points per column."""
    many = math.ceil(len(plot.values) / max(1, room))
    values = resample(plot.values, math.ceil(len(plot.values) / max(1, many)), adds=plot.adds)
    text = f"over {len(plot.values):,} {plot.over}"
    if many > 1 and any(value is not None and value > 0 for value in values):
        text += f", a column is the {'sum' if plot.adds else 'highest'} of {many}"
    return values, text


def figure(value: float, unit: str) -> str:
    """A value formatted with its unit: `1.25 s`, `1,240 tokens`, `27.3 %`, `$0.0004`."""
    if unit == "$":
        return f"${value:.4f}"
    if unit == "s":
        return f"{value:.2f} s"
    if unit == "%":
        return f"{value:.1f} %"
    if unit == "errors" and value == 1:
        return "1 error"
    shown = f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"
    return f"{shown} {unit}".rstrip()


def in_words(values: Sequence[float | None], labels: Sequence[str], unit: str) -> str:
    """Describes a plot: how many values, the first and last, the lowest and highest with labels."""
    known = [
        (value, label)
        for value, label in zip(values, labels, strict=True)
        if value is not None and math.isfinite(value)
    ]
    if not known:
        return "nothing on record"
    missing = len(values) - len(known)
    lost = f", {missing} not on record" if missing else ""
    if all(value == known[0][0] for value, _ in known):
        times = "" if len(known) == 1 else f" each of {len(known)}"
        return f"{figure(known[0][0], unit)}{times}{lost}"
    high = max(known, key=lambda pair: pair[0])
    low = min(known, key=lambda pair: pair[0])
    return (
        f"{len(known)} values{lost}: first {figure(known[0][0], unit)},"
        f" last {figure(known[-1][0], unit)}, lowest {figure(low[0], unit)} at {low[1]},"
        f" highest {figure(high[0], unit)} at {high[1]}"
    )
