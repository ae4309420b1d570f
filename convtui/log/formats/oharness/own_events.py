"""What our own export says in `user.log` events: sessions, marks, decisions, endings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pydantic import ValidationError

from convtui.errors import FileError
from convtui.log.formats.json_objects import JsonObject, in_words
from convtui.log.formats.oharness.events import NAMESPACE, Event
from convtui.log.formats.oharness.turns import Turns
from convtui.records.models import (
    LlmResponse,
    Speaker,
    Termination,
    TurnDiscarded,
    TurnInactive,
    UserDecided,
)


class OwnEvents:
    """Takes back what an export of ours had no event for.

    Raises `FileError` for events that are not as ours are.
    """

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def take(self, event: Event) -> bool:
        """Takes an event of ours; False for one that is none."""
        payload = event.payload
        space = payload.text("namespace") or ""
        handler = _NOTES.get(space.removeprefix(NAMESPACE)) if space.startswith(NAMESPACE) else None
        if handler is not None:
            handler(self, payload)
        return handler is not None

    def _session(self, note: JsonObject) -> None:
        if self._turns.builder.in_session:
            self._turns.finish(None)
        first = _speaker(note, "first_speaker", note.text("first_speaker") or "persona")
        session_type = note.text("session_type") or "default"
        self._turns.begin_own(session_type, first, note.whole("max_turns"))

    def _session_ended(self, note: JsonObject) -> None:
        if self._turns.builder.in_session:
            self._turns.finish(_termination(note))

    def _ended(self, note: JsonObject) -> None:
        self._turns.termination = _termination(note) or self._turns.termination

    def _turn(self, note: JsonObject) -> None:
        speaker = _speaker(note, "speaker", note.text("speaker"))
        self._turns.notes[speaker] = note
        if note.flag("discarded"):
            self._discarded(speaker, note)
        elif note.flag("inactive"):
            self._inactive(speaker, note)
        elif note.flag("said"):
            self._turns.say(note.text("text") or "")

    def _inactive(self, speaker: Speaker, note: JsonObject) -> None:
        builder = self._turns.builder
        del self._turns.notes[speaker]
        self._turns.start(speaker)
        text, reason = note.text("text") or "", note.text("reason") or "inactive"
        builder.add(TurnInactive(**builder.envelope, speaker=speaker, text=text, reason=reason))
        self._turns.drop()

    def _discarded(self, speaker: Speaker, note: JsonObject) -> None:
        builder = self._turns.builder
        del self._turns.notes[speaker]
        self._turns.start(speaker)
        outcome = note.text("outcome") or "end"
        if outcome not in ("end", "retry", "skip"):
            raise note.wrong("outcome", "must be end, retry or skip")
        signals = [signal.data for signal in note.objects("signals")]
        text = note.text("text") or ""
        builder.add(
            TurnDiscarded.model_validate(
                {
                    **builder.envelope,
                    "speaker": speaker,
                    "text": text,
                    "raw": note.text("raw") or text,
                    "signals": signals,
                    "hook": note.text("hook") or "not recorded",
                    "outcome": outcome,
                    "human": note.flag("human"),
                }
            )
        )
        self._turns.drop(again=outcome == "retry")

    def _decision(self, note: JsonObject) -> None:
        self._turns.hold(UserDecided, note)

    def _reply(self, note: JsonObject) -> None:
        self._turns.hold(LlmResponse, note)


def _speaker(note: JsonObject, name: str, value: str | None) -> Speaker:
    if value not in ("persona", "provider"):
        raise note.wrong(name, "must be persona or provider")
    return "provider" if value == "provider" else "persona"


def _termination(note: JsonObject) -> dict[str, Any] | None:
    ending = note.inner("termination")
    if ending is None:
        return None
    try:
        Termination.model_validate(ending.data)
    except ValidationError as error:
        raise FileError(f"{ending.where}: {in_words(error)}") from None
    return ending.data


_NOTES: Final[dict[str, Callable[[OwnEvents, JsonObject], None]]] = {
    "session": OwnEvents._session,
    "session.ended": OwnEvents._session_ended,
    "ended": OwnEvents._ended,
    "turn": OwnEvents._turn,
    "decision": OwnEvents._decision,
    "reply": OwnEvents._reply,
}
