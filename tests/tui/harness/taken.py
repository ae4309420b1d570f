"""An app on a fake engine in which a human speaks for a side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from convtui.tui.widgets.keybar import KeyBar
from convtui.tui.widgets.takeover import TakeOverInput
from tests.tui.harness.hands import Hands, hands_of
from tests.tui.harness.live_app import LiveApp
from tests.tui.harness.sample import header, turn, until

OPENING = [
    header(persona="Ida"),
    {"type": "session.started", "session": 1, "session_type": "intake",
     "first_speaker": "persona", "max_turns": 20},
    *turn(1, "persona", "Hello there."),
    *turn(2, "provider", "Good day."),
]  # fmt: skip
SAYS = (("say", "say it"), ("draft", "have a draft made"), ("simulate", "let it speak"))
DECIDES = (("stop", "stop by hand"), ("abstain", "abstain by hand"))
BACK = (("hand_back", "hand back"),)


class Taken(LiveApp):
    """An app on a fake engine in which a human speaks."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, OPENING, {"persona": {"name": "Ida"}})
        self.holds = 0

    @property
    def box(self) -> TakeOverInput:
        return self.screen.take_over_input

    @property
    def title(self) -> str:
        return str(self.box.border_title)

    @property
    def hands(self) -> Hands:
        return hands_of(self.app)

    def footer(self) -> list[str]:
        return [item.label for item in self.screen.query_one(KeyBar).items]

    async def turn(
        self,
        pilot: Any,
        text: str = "",
        *,
        choices: tuple[tuple[str, str], ...] = SAYS,
        side: str = "persona",
        **more: Any,
    ) -> None:
        """It is the human's turn; `draft=True` says that `text` is a draft."""
        draft = {"field": "text", "label": "x", "text": text, "draft": more.pop("draft", False)}
        self.holds += 1
        self.handle.held(*choices, *BACK, reason="human", stage="request", side=side,
                         drafts=[draft], hold=self.holds, **more)  # fmt: skip
        await until(pilot, lambda: self.box.my_turn and self.box.has_focus)
        self.box._filled_at = self.box._sent_at = float("-inf")

    def over(self) -> None:
        """The human's turn is over."""
        self.handle.hold = None
        self.handle.notify()
