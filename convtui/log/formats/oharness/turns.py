"""The sessions and turns of an oharness run while its events are told as records."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeAlias

from pydantic import ValidationError

from convtui.errors import FileError
from convtui.log.formats.json_objects import JsonObject, in_words
from convtui.log.requests import RequestChain
from convtui.records.codec import ENVELOPE
from convtui.records.models import (
    LlmResponse,
    Record,
    SessionEnded,
    SessionStarted,
    Speaker,
    TurnCommitted,
    TurnStarted,
    UserDecided,
    Warned,
)
from convtui.secrets.redactor import Redactor
from convtui.text.boundary import near_empty, word_count

Opening: TypeAlias = list[tuple[Speaker, str]]


class Turns:
    """Where a run stands, and what begins and ends a session or a turn.

    `opening` is what was said before the first event tells of anything.
    """

    def __init__(self, created: datetime, opening: Opening) -> None:
        self._created = created
        self._opening = opening
        self.termination: dict[str, Any] | None = None
        self._out: list[Record] = []
        self._count = 1
        """Records so far, the header included: the `seq` of the next one."""
        self._t = 0.0
        self._line = 0
        """Of the event that is being told."""
        self._next_seq = 0
        self._unread = 0
        """Lines since the last event that may have been events."""
        self._session = 0
        self._session_type = "default"
        self._in_session = False
        self._turn = 0
        self._attempt = 1
        self._committed = 0
        self._open = False
        """Whether a turn of the provider is open; what follows is about that turn."""
        self._round = 0
        self._waiting = False
        """Whether a request has no answer yet."""
        self._texts: list[str] = []
        self._failed = False
        self._asked_at: float | None = None
        self._call: int | None = None
        self._notes: dict[str, JsonObject] = {}
        """What our own events say about the next turn of a speaker."""
        self._held: list[tuple[str, JsonObject]] = []
        """Decisions and replies of the simulated user's own model, for the persona's next turn."""
        self._by_user = False
        self._over = False
        # What is digested is what is written: a writer takes secrets out as well.
        self._chain = RequestChain(Redactor.of_process().data)

    def _add(self, record: Record) -> int:
        self._out.append(record)
        self._count += 1
        return self._count - 1

    def _warn(self, code: str, message: str) -> None:
        where = {"session": self._session} if self._in_session else {}
        line = self._line if message.startswith("line ") else None
        self._add(Warned(**where, code=code, message=message, line=line))

    # --- sessions and turns

    def _begin(self, **told: Any) -> None:
        """A session begins, unless one is open."""
        if self._in_session:
            return
        self._session += 1
        self._in_session = True
        self._turn = self._committed = 0
        self._attempt = 1
        self._session_type = told.get("session_type") or "default"
        first = told.get("first_speaker") or "persona"
        max_turns = told.get("max_turns")
        self._add(
            SessionStarted(
                session=self._session,
                session_type=self._session_type,
                first_speaker=first,
                max_turns=max_turns,
            )
        )
        if told:
            # Our own export says what was said; nothing has to be found in the requests.
            self._opening = []

    def _finish(self, termination: dict[str, Any] | None) -> None:
        self._leave()
        if self._held:
            self._start("persona")
        self._add(
            SessionEnded(
                session=self._session,
                session_type=self._session_type,
                termination=termination,
                turns=self._committed,
            )
        )
        self._in_session = False

    @property
    def _at(self) -> dict[str, Any]:
        at: dict[str, Any] = {"session": self._session, "turn": self._turn, "side": "provider"}
        if self._attempt > 1:
            at["attempt"] = self._attempt
        return at

    def _start(self, speaker: Speaker, **more: Any) -> dict[str, Any]:
        """A turn of a speaker begins; its envelope."""
        self._begin()
        self._turn += 1
        at = {**self._at, "side": speaker}
        self._add(TurnStarted(**at, speaker=speaker, **more))
        if speaker == "persona":
            self._before(at)
        return at

    def _before(self, at: dict[str, Any]) -> None:
        """What led to this turn of the persona belongs to it."""
        held, self._held = self._held, []
        for name, note in held:
            kind: type[Record] = UserDecided if name == "decision" else LlmResponse
            where = {"session": at["session"], "turn": at["turn"]}
            side = note.data.get("side", "responder")
            fields = {**note.rest("namespace", *ENVELOPE), **where, "side": side}
            try:
                record = kind.model_validate(fields)
            except ValidationError as error:
                raise FileError(f"{note.where}: {in_words(error)}") from None
            self._add(record)

    def _say(self, at: dict[str, Any], text: str, **more: Any) -> None:
        speaker: Speaker = "provider" if at["side"] == "provider" else "persona"
        more.setdefault("empty", near_empty(text) or None)
        self._add(TurnCommitted(**at, speaker=speaker, text=text, words=word_count(text), **more))
        self._committed += 1
        self._attempt = 1

    def _persona(self, text: str, **more: Any) -> None:
        marks = self._marks("persona")
        at = self._start("persona", human=marks.get("human"))
        self._say(at, text, **more, **marks)

    def _marks(self, speaker: Speaker) -> dict[str, Any]:
        """What our own event said about the turn that is to be committed now."""
        note = self._notes.pop(speaker, None)
        if note is None:
            return {}
        found = {name: note.flag(name) for name in ("human", "edited", "truncated")}
        return {name: value for name, value in found.items() if value is not None}

    def _reply(self, source: dict[str, Any] | None = None) -> None:
        """A turn of the provider is open from here on; what was said before it is told first."""
        if self._open:
            return
        self._begin()
        opening, self._opening = self._opening, []
        if self._turn == 0:
            for speaker, text in opening:
                self._say(self._start(speaker), text)
        self._start("provider", source=source)
        self._open = True
        self._round, self._waiting, self._texts, self._failed = 0, False, [], False
        self._call = None

    def _leave(self) -> None:
        """A turn that nobody finished stays without being said."""
        if self._open and not self._failed:
            self._add(
                Warned(
                    session=self._session,
                    turn=self._turn,
                    code="no_finish",
                    message=f"turn {self._session}:{self._turn} was never finished in the file",
                )
            )
        if self._open:
            self._attempt = 1
        self._open = False
