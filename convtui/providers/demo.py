"""The built-in provider: a travel desk that shows everything a debugger is for, offline.

It is deterministic: what it says follows from the session type and how often it has answered. It
streams at a believable pace, thinks aloud in tags that post-processing strips, fails once with an
error tag that is extracted and the turn discarded, and looks something up with a tool.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

from convtui.models.base import Delta, ToolCallDelta, Usage
from convtui.providers.base import Provider, Request, SignalMatch

_THINK = re.compile(r"<think>.*?</think>\s*", re.DOTALL)
_FAILED = "[[ERROR]] timetable service: upstream connect error, status 503"
_CALL = object()

_SCRIPT: dict[str, tuple[str | object, ...]] = {
    "intake": (
        "<think>New customer. I need a name and the booking before anything else.</think>"
        "Welcome to the Harbour Travel desk. May I have your name and your booking number?",
        "<think>Booking HT-2291, the evening ferry. Mark intake as complete.</think>"
        "Thank you, Robin. I have HT-2291 here: the 18:40 ferry to Skarholm on Friday, two adults."
        " What can I do for you?",
        "Noted: the 18:40 is cancelled and you need another crossing. I'll pass you on to"
        " rebooking, with everything you told me.",
    ),
    "rebooking": (
        "<think>They want Saturday. The timetable will tell.</think>"
        "Hello again, Robin. Let me look at the crossings to Skarholm on Saturday.",
        _FAILED,
        _CALL,
        "<think>Two seats on the 09:15. The cabin costs extra, say so.</think>"
        "Done: two adults on Saturday at 09:15, at no extra cost. Would you like a cabin? It is"
        " 24 euros.",
        "Of course, no cabin then. Your new tickets are on their way to your mailbox. Anything"
        " else?",
        "My pleasure. Have a calm crossing!",
    ),
}
_AFTER_CALL = (
    "<think>The 09:15 and the 13:30 have room. Offer the earlier one first.</think>"
    "There are two crossings with free seats on Saturday: 09:15 and 13:30. Which one suits you?"
)
_GENERAL = (
    "<think>No script for this one. Stay polite and short.</think>"
    "I see. Tell me a little more, and I'll find out what we can do.",
    "Thank you, that helps. I have made a note of it.",
    "Is there anything else that I can help you with?",
)
_SEATS = {"09:15": 6, "13:30": 2, "18:40": 0}


def find_crossings(to: str, day: str) -> dict[str, Any]:
    """Crossings to an island on a day, with their free seats."""
    return {"to": to, "day": day, "free_seats": _SEATS}


class DemoProvider(Provider):
    """Answers for the Harbour Travel desk. `speed` 2 is twice as fast, 0 answers at once."""

    name = "demo"
    model = "demo-travel-desk"
    system_prompt = (
        "You are the travel desk of Harbour Travel, a ferry company. Be brief, friendly and exact."
    )
    stateful = False
    termination_signals: Sequence[str] = ("[[ERROR]]",)
    tools: Sequence[Any] = (find_crossings,)

    def __init__(self, *, speed: float = 1.0) -> None:
        self.speed = speed
        self._failed = False

    def prepare_sessions(self, session_types: list[str]) -> list[str]:
        """Puts `intake` first, whatever is requested."""
        rest = [name for name in session_types if name not in ("intake", "default")]
        return ["intake", *(rest or ["rebooking"])]

    def post_process_response(self, text: str) -> str:
        """Removes the reasoning."""
        return _THINK.sub("", text)

    def should_discard_response(self, signals: list[SignalMatch]) -> bool:
        """Drops failed look-ups."""
        return any(match.signal == "[[ERROR]]" for match in signals)

    async def respond(self, request: Request) -> AsyncIterator[Delta]:
        """The next answer of the session, streamed word by word."""
        answered = sum(turn.speaker == "provider" for turn in request.history)
        script = _SCRIPT.get(request.session_type, _GENERAL)
        if _FAILED in script and answered > script.index(_FAILED):
            self._failed = True
        lines = [line for line in script if line is not _FAILED or not self._failed]
        line = lines[min(answered, len(lines) - 1)]
        if line is _FAILED:
            self._failed = True
        usage = Usage(
            prompt_tokens=sum(len(str(m.get("content") or "").split()) for m in request.messages),
            cost=0.0,
        )
        await self._sleep(0.35)
        if line is _CALL and request.messages[-1].get("role") != "tool":
            yield Delta(model=self.model, text="")
            for piece in ('{"to": "Skarholm",', ' "day": "Saturday"}'):
                first = piece.startswith("{")
                yield Delta(
                    tool_calls=(
                        ToolCallDelta(
                            index=0,
                            id="call_crossings" if first else None,
                            name="find_crossings" if first else None,
                            arguments=piece,
                        ),
                    )
                )
                await self._sleep(0.1)
            yield Delta(finish_reason="tool_calls", usage=self._used(usage, "find crossings"))
            return
        text = _AFTER_CALL if line is _CALL else str(line)
        for piece in re.findall(r"\S+\s*", text):
            yield Delta(text=piece, model=self.model)
            await self._sleep(0.045)
        yield Delta(finish_reason="stop", usage=self._used(usage, text))

    async def _sleep(self, seconds: float) -> None:
        if self.speed > 0:
            await asyncio.sleep(seconds / self.speed)

    @staticmethod
    def _used(usage: Usage, text: str) -> Usage:
        count = len(text.split())
        return usage.model_copy(
            update={
                "completion_tokens": count,
                "total_tokens": (usage.prompt_tokens or 0) + count,
            }
        )
