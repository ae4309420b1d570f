"""What every importer makes of the events of another tool: records of sessions and turns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from convtui.log.formats.findings import Finding
from convtui.log.formats.json_objects import ForeignEvent, arguments_of
from convtui.records.codec import Speaker
from convtui.records.models import (
    Record,
    SessionEnded,
    SessionStarted,
    ToolCalled,
    ToolReturned,
    TurnCommitted,
    TurnStarted,
    Warned,
)
from convtui.text.boundary import near_empty, word_count

NO_REASON: Final = "the file does not say why it ended"


class RecordBuilder:
    """The records of one imported conversation, each with the second at which it happened.

    A reader of a format says what begins, what is said and what ends; the session, turn, attempt
    and round that a record belongs to are known here. With `session_first` records wait for the
    first session: those from before it stand after its beginning.
    """

    def __init__(self, origin: str, *, session_first: bool = False) -> None:
        self.session = 0
        """The session that began last, from 1; 0 before the first."""
        self.in_session = False
        self.turn = 0
        self.attempt = 1
        self.round = 0
        self.replying = False
        """Whether a turn of the provider is open."""
        self.unanswered: dict[str, str] = {}
        """The calls of the last reply that have no result yet: their names by id."""
        self.seconds = 0.0
        """Since the conversation began."""
        self._origin = origin
        self._session_first = session_first
        self._session_type = "default"
        self._speaker: Speaker = "persona"
        self._committed = 0
        self._seq = 1
        self._records: list[tuple[float, Record]] = []

    # --- the stream

    def add(self, record: Record) -> int:
        """Appends a record; returns the `seq` that it has in the log, after the header's 0."""
        self._records.append((self.seconds, record))
        self._seq += 1
        return self._seq - 1

    def take(self) -> list[tuple[float, Record]]:
        """The records since the last time."""
        if self._session_first and not self.session:
            return []
        records, self._records = self._records, []
        return records

    def advance(self, seconds: float) -> None:
        """Moves the time forward, never back."""
        self.seconds = max(self.seconds, seconds)

    # --- what belongs where

    @property
    def where(self) -> dict[str, Any]:
        """The session and the open turn, for what belongs to no side."""
        where: dict[str, Any] = {}
        if self.in_session or self._session_first:
            where["session"] = self.session or 1
        if self.replying:
            where["turn"] = self.turn
        return where

    @property
    def envelope(self) -> dict[str, Any]:
        """The envelope of the records of the current turn."""
        envelope: dict[str, Any] = {
            "session": self.session, "turn": self.turn, "side": self._speaker,
        }  # fmt: skip
        return {**envelope, "attempt": self.attempt} if self.attempt > 1 else envelope

    @property
    def round_envelope(self) -> dict[str, Any]:
        """The envelope of the records of the current round."""
        return {**self.envelope, "round": self.round} if self.round > 1 else self.envelope

    # --- what is no event of ours

    def keep(self, event: str, data: Any, **more: Any) -> None:
        """Keeps an event that is nothing in our words."""
        self.add(ForeignEvent(**self.where, origin=self._origin, event=event, data=data, **more))

    def warn(self, code: str, message: str, line: int | None = None) -> None:
        """Notes something about the file; `line` is the one that it is about."""
        self.add(Warned(**self.where, code=code, message=message, line=line))

    def finding(self, finding: Finding) -> None:
        """Notes something that could not be read."""
        self.add(finding.warned(**self.where))

    # --- sessions

    def begin_session(
        self,
        first: Speaker,
        session_type: str = "default",
        *,
        number: int | None = None,
        max_turns: int | None = None,
        opening: Iterable[Record] = (),
    ) -> None:
        """Begins the next session, or the one of a `number`, with the records of its `opening`."""
        waiting: list[tuple[float, Record]] = []
        if self._session_first and not self.session:
            waiting, self._records = self._records, []
        self.session = self.session + 1 if number is None else number
        self.in_session = True
        self.turn = self._committed = 0
        self.attempt = 1
        self._session_type = session_type
        self.add(
            SessionStarted(
                session=self.session,
                session_type=session_type,
                first_speaker=first,
                max_turns=max_turns,
            )
        )
        for record in opening:
            self.add(record)
        self._records += waiting

    def end_session(
        self,
        termination: dict[str, Any] | None,
        *,
        duration: float | None = None,
        usage: dict[str, dict[str, Any]] | None = None,
    ) -> None:
        """Ends the session with what the file says about it as a whole."""
        self.add(
            SessionEnded(
                session=self.session,
                session_type=self._session_type,
                termination=termination,
                turns=self._committed,
                duration=duration,
                usage=usage,
            )
        )
        self.in_session = False

    # --- turns

    def start_turn(self, speaker: Speaker, **more: Any) -> None:
        """Begins the next turn. One of the provider is open until it is committed or closed."""
        self.turn += 1
        self._speaker = speaker
        if speaker == "provider":
            self.replying = True
            self.next_round(0)
        self.add(TurnStarted(**self.envelope, speaker=speaker, **more))

    def next_round(self, number: int | None = None) -> None:
        """Begins the next round of a turn, or the one of a `number`: no call of it is made yet."""
        self.round = self.round + 1 if number is None else number
        self.unanswered = {}

    def call(self, id_: str, name: str, given: Any) -> None:
        """Notes a call that the last reply makes, with its arguments as they were given."""
        arguments = arguments_of(given)
        if isinstance(given, str) and not given.strip():
            # No arguments: a call like that is as good as one with `{}`.
            arguments["arguments"] = {}
        self.unanswered[id_] = name
        self.add(ToolCalled(**self.round_envelope, id=id_, name=name, **arguments))

    def answer(
        self,
        id_: str,
        name: str | None,
        result: Any,
        error_kind: str | None,
        *,
        address: str,
        line: int | None = None,
        **more: Any,
    ) -> None:
        """Notes the result of a call; `address` names it in the file, should nobody have called."""
        called = self.unanswered.pop(id_, None)
        if called is None:
            message = f"{address}: a result of {id_[:40]!r}, which was not called"
            self.warn("unknown_call", message, line)
        self.add(
            ToolReturned(
                **self.round_envelope,
                id=id_,
                name=name or called or "unknown",
                ok=error_kind is None,
                result=result,
                error_kind=error_kind,
                duration=None,
                **more,
            )
        )

    def commit(self, text: str, **more: Any) -> None:
        """Says the current turn's text, which closes the turn."""
        marks = {"empty": near_empty(text) or None, **more}
        self.add(
            TurnCommitted(
                **self.envelope, speaker=self._speaker, text=text, words=word_count(text), **marks
            )
        )
        self._committed += 1
        self.attempt = 1
        if self._speaker == "provider":
            self.close_turn()

    def close_turn(self) -> None:
        """Closes the turn of the provider, if one is open, without a word."""
        self.replying = False
