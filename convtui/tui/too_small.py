"""What is shown while the terminal is too small for anything else."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.widgets import Static

SMALLEST = Size(40, 10)


def too_small(size: Size) -> bool:
    return size.width < SMALLEST.width or size.height < SMALLEST.height


class TooSmall(ModalScreen[None]):
    """Asks for a larger terminal."""

    DEFAULT_CSS = (
        "TooSmall { align: center middle; } TooSmall Static { width: 1fr; text-align: center; }"
    )

    def compose(self) -> ComposeResult:
        yield Static(
            f"make the terminal larger\n(at least {SMALLEST.width}x{SMALLEST.height})",
        )
