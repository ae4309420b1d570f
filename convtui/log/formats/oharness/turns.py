"""The sessions and turns of an oharness run while its events are read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from pydantic import ValidationError

from convtui.errors import FileError
from convtui.log.formats.json_objects import JsonObject, in_words
from convtui.log.formats.record_builder import RecordBuilder
from convtui.records.codec import ENVELOPE
from convtui.records.models import Record, Speaker, Warned
from convtui.records.values import drop_none

Opening: TypeAlias = list[tuple[Speaker, str]]
_MARKS: Final = ("human", "edited", "truncated")


@dataclass(slots=True)
class Reply:
    """What is known of the provider's open turn."""

    texts: list[str] = field(default_factory=list)
    """What its model wrote, round by round."""
    failed: bool = False
    """Whether its last call failed for good."""
    waiting: bool = False
    """Whether a request has no answer yet."""
    asked_at: float | None = None
    call: int | None = None
    """The `seq` of the last request."""


class Turns:
    """Where a run stands, and what begins and ends a session or a turn.

    `opening` is what was said before the first event that tells of anything.
    """

    def __init__(self, builder: RecordBuilder, opening: Opening) -> None:
        self.builder = builder
        self.reply = Reply()
        self.termination: dict[str, Any] | None = None
        self._opening = opening
        self.notes: dict[Speaker, JsonObject] = {}
        """What our own events say about the next turn of a speaker."""
        self._held: list[tuple[type[Record], JsonObject]] = []
        """Decisions and replies of the simulated user's own model, for the persona's next turn."""

    def warn(self, code: str, message: str, line: int | None = None) -> None:
        """Notes something about the file, in the session that is open."""
        builder = self.builder
        session = {"session": builder.session} if builder.in_session else {}
        builder.add(Warned(**session, code=code, message=message, line=line))

    # --- sessions

    def begin(self) -> None:
        """A session begins, unless one is open."""
        if not self.builder.in_session:
            self.builder.begin_session("persona")

    def begin_own(self, session_type: str, first: Speaker, max_turns: int | None) -> None:
        """A session of an export of ours begins; its requests say nothing that it does not."""
        self._opening = []
        self.builder.begin_session(first, session_type, max_turns=max_turns)

    def finish(self, termination: dict[str, Any] | None) -> None:
        """The session that is open is over."""
        self.abandon()
        self._start_held()
        self.builder.end_session(termination)

    def end(self) -> None:
        """The run breaks off."""
        self.begin()
        self.abandon()
        self._start_held()

    def _start_held(self) -> None:
        """What led to a turn that never came makes one all the same."""
        if self._held:
            self.start_persona()

    # --- turns

    def start(self, speaker: Speaker) -> None:
        """A turn of a speaker is open from here on."""
        if speaker == "provider":
            self.open_reply()
        else:
            self.start_persona()

    def start_persona(self, **more: Any) -> None:
        """A turn of the persona begins, with what led to it."""
        self.begin()
        self.builder.start_turn("persona", **more)
        held, self._held = self._held, []
        where = {"session": self.builder.session, "turn": self.builder.turn}
        for kind, note in held:
            side = note.data.get("side", "responder")
            fields = {**note.rest("namespace", *ENVELOPE), **where, "side": side}
            try:
                record = kind.model_validate(fields)
            except ValidationError as error:
                raise FileError(f"{note.where}: {in_words(error)}") from None
            self.builder.add(record)

    def open_reply(self, source: dict[str, Any] | None = None) -> None:
        """A turn of the provider is open from here on; what was said before it comes first."""
        if self.builder.replying:
            return
        self.begin()
        opening, self._opening = self._opening, []
        if self.builder.turn == 0:
            for speaker, text in opening:
                if speaker == "persona":
                    self.start_persona()
                else:
                    self.builder.start_turn(speaker)
                self.builder.commit(text)
        self.builder.start_turn("provider", source=source)
        self.reply = Reply()

    def say(self, text: str, **more: Any) -> None:
        """The persona says something."""
        marks = self.marks("persona")
        self.start_persona(human=marks.get("human"))
        self.builder.commit(text, **more, **marks)

    def close_reply(self) -> None:
        """The persona spoke: where the provider's open turn was answered, the reply was said."""
        if self.builder.replying and self.reply.texts:
            self.builder.commit(self.reply.texts[-1], **self.marks("provider"))
        self.abandon()
        self._opening = []

    def abandon(self) -> None:
        """A turn that nobody finished stays without being said."""
        builder = self.builder
        if builder.replying and not self.reply.failed:
            address = f"{builder.session}:{builder.turn}"
            builder.warn("no_finish", f"turn {address} was never finished in the file")
        if builder.replying:
            self.drop()

    def drop(self, *, again: bool = False) -> None:
        """The current turn comes to nothing; the next one may be another attempt at it."""
        self.builder.attempt = self.builder.attempt + 1 if again else 1
        self.builder.close_turn()

    # --- what our own events say

    def noted_text(self) -> str | None:
        """The text of the provider's turn, where our own event has it."""
        note = self.notes.get("provider")
        return note.text("text") if note is not None else None

    def marks(self, speaker: Speaker) -> dict[str, Any]:
        """How our own event marks the turn that is to be committed now."""
        note = self.notes.pop(speaker, None)
        if note is None:
            return {}
        return drop_none({name: note.flag(name) for name in _MARKS})

    def hold(self, kind: type[Record], note: JsonObject) -> None:
        """Holds what leads to the persona's next turn: a decision, or a reply of its own model."""
        self.begin()
        self._held.append((kind, note))
