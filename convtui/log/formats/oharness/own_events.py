"""What our own export says in `user.log` events: sessions, marks, decisions, endings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

from pydantic import ValidationError

from convtui.errors import FileError
from convtui.log.formats.json_objects import JsonObject, in_words
from convtui.log.formats.oharness.events import NAMESPACE, Event
from convtui.log.formats.oharness.turns import Turns
from convtui.records.models import Speaker, Termination, TurnDiscarded, TurnInactive


class OwnEvents(Turns):
    """Takes back what an export of ours had no event for.

    Raises `FileError` for events that are not as ours are.
    """

    def _own(self, event: Event) -> bool:
        """Takes an event of ours; False for one that is none."""
        payload = event.payload
        space = payload.text("namespace") or ""
        handler = _NOTES.get(space.removeprefix(NAMESPACE)) if space.startswith(NAMESPACE) else None
        if handler is not None:
            handler(self, payload)
        return handler is not None

    def _note_session(self, note: JsonObject) -> None:
        if self._in_session:
            self._finish(None)
        first = note.text("first_speaker") or "persona"
        if first not in ("persona", "provider"):
            raise note.wrong("first_speaker", "must be persona or provider")
        told = {"session_type": note.text("session_type") or "default", "first_speaker": first}
        self._begin(**told, max_turns=note.whole("max_turns"))

    def _note_session_ended(self, note: JsonObject) -> None:
        if self._in_session:
            self._finish(_termination(note))

    def _note_ended(self, note: JsonObject) -> None:
        self.termination = _termination(note) or self.termination

    def _note_turn(self, note: JsonObject) -> None:
        speaker = note.text("speaker")
        if speaker not in ("persona", "provider"):
            raise note.wrong("speaker", "must be persona or provider")
        side: Speaker = "provider" if speaker == "provider" else "persona"
        self._notes[side] = note
        if note.flag("discarded"):
            self._discarded(side, note)
        elif note.flag("inactive"):
            self._inactive(side, note)
        elif note.flag("said"):
            self._persona(note.text("text") or "")

    def _inactive(self, speaker: Speaker, note: JsonObject) -> None:
        self._notes.pop(speaker)
        if speaker == "provider":
            self._reply()
            at = self._at
        else:
            at = self._start("persona")
        text, reason = note.text("text") or "", note.text("reason") or "inactive"
        self._add(TurnInactive(**at, speaker=speaker, text=text, reason=reason))
        self._open = False
        self._attempt = 1

    def _discarded(self, speaker: Speaker, note: JsonObject) -> None:
        self._notes.pop(speaker)
        if speaker == "provider":
            self._reply()
            at = self._at
        else:
            at = self._start("persona")
        outcome = note.text("outcome") or "end"
        if outcome not in ("end", "retry", "skip"):
            raise note.wrong("outcome", "must be end, retry or skip")
        signals = [found.data for found in note.objects("signals")]
        made: Literal["end", "retry", "skip"] = (
            "end" if outcome == "end" else "retry" if outcome == "retry" else "skip"
        )
        text = note.text("text") or ""
        self._add(
            TurnDiscarded(
                **at,
                speaker=speaker,
                text=text,
                raw=note.text("raw") or text,
                signals=signals,
                hook=note.text("hook") or "not recorded",
                outcome=made,
                human=note.flag("human"),
            )
        )
        self._open = False
        self._attempt = self._attempt + 1 if made == "retry" else 1

    def _note_decision(self, note: JsonObject) -> None:
        self._begin()
        self._held.append(("decision", note))

    def _note_reply(self, note: JsonObject) -> None:
        self._begin()
        self._held.append(("reply", note))


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
    "session": OwnEvents._note_session,
    "session.ended": OwnEvents._note_session_ended,
    "ended": OwnEvents._note_ended,
    "turn": OwnEvents._note_turn,
    "decision": OwnEvents._note_decision,
    "reply": OwnEvents._note_reply,
}
