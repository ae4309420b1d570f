"""The built-in persona: Robin, whose ferry was cancelled. Deterministic, offline."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Self

from convtui.models.base import Delta, Reply
from convtui.scenario.simulators.kind import PersonaKeys
from convtui.simulators.base import (
    Asked,
    Casting,
    Decision,
    Say,
    Stop,
    UserAction,
    UserSimulator,
    View,
)

_SCRIPT: dict[str, tuple[str, ...]] = {
    "intake": (
        "Hi. I just got a text that my ferry is cancelled?",
        "Robin Vale, booking HT-2291.",
        "The 18:40 on Friday is the cancelled one. I need another crossing.",
    ),
    "rebooking": (
        "Saturday would be fine, as early as possible.",
        "Yes, to Skarholm. What have you got?",
        "The 09:15, please.",
        "No cabin, thanks. It's a short trip.",
        "No, that's all. You've been a great help.",
    ),
}
_GENERAL = ("Hello, I have a question about my trip.", "It is about next week.", "Thanks, bye.")


class DemoSimulator(UserSimulator):
    """Speaks for Robin, word by word; decides to stop when the script of a session is done."""

    def __init__(self, *, name: str = "Robin", speed: float = 1.0) -> None:
        self.name = name
        self.speed = speed

    @classmethod
    def of(cls, persona: PersonaKeys, casting: Casting) -> Self:
        return cls(name=persona.name, speed=casting.speed)

    def ask(self, view: View) -> Asked:
        """The next line of the session's script, or the decision to stop."""
        position = sum(
            turn.speaker == "persona" and turn.session == view.session for turn in view.turns
        )
        lines = _SCRIPT.get(view.session_type, _GENERAL)
        if position >= len(lines):
            decision = Decision("stop", tool="responder_stop", arguments={})
            return Asked(say=Stop("Robin has what Robin came for", decision))
        line = lines[position]
        last = view.last_of("provider")
        messages = [{"role": "user", "content": last.text}] if last else []
        return Asked(messages=messages, model="demo-robin", open=lambda: self._say(line))

    def interpret(self, reply: Reply, view: View) -> UserAction:
        return Say(reply.text)

    async def _say(self, line: str) -> AsyncIterator[Delta]:
        for piece in re.findall(r"\S+\s*", line):
            if self.speed > 0:
                await asyncio.sleep(0.06 / self.speed)
            yield Delta(text=piece, model="demo-robin")
        yield Delta(finish_reason="stop")
