"""What the program explains about itself: one sentence for each moment, with the keys in use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from convtui.actions.registry import Keymap
from convtui.transcript.fold import COMMITTED, GONE, Flag, Transcript, Turn

Moment = str

HELD: Final[Mapping[Moment, str]] = {
    "held.request": "held before the call: {run.step_stage} makes it and stops at the reply",
    "held.response": "held at the reply, no hook has seen it: {hold.edit} edits what hooks get",
    "held.tools": "held at a tool call: {hold.edit} edits its arguments before it runs",
    "held.signals": "held at signals: what was found is marked in the raw reply",
    "held.post_process": "held after the hooks: {hold.edit} edits the text, {view.cycle} shows raw",
    "held.discard": "held at discard: {hold.override} keeps what is dropped, or drops it",
    "held.commit": "held before it counts: {hold.edit} edits it, {hold.ask_again} asks again",
    "held.terminate": "held at terminate: {hold.override} goes on or ends, {hold.first} accepts",
    "held.breakpoint": "a breakpoint stopped it: {break.list} lists all, {run.continue} continues",
    "held.setup": "the provider could not be set up: fix it and save, it is loaded again",
    "held.error": "a call or hook failed: fix the code, then {provider.reload} reloads it",
    "held.injected": "the fault that you put in: {hold.first} asks again, without it",
    "held.budget": "the budget is used up: raise it here, nothing is lost",
    "held.empty": "an empty reply: {hold.ask_again} asks again; what you choose is in the log",
    "held.error_text": "the reply is the text of an error: keep it, drop it or ask again",
    "held.tool_approval": "a tool waits for you: let it run, edit its arguments or deny it",
    "held.human": "you speak now; an empty {take_over.send} lets the simulator speak once",
    "held.ending": "every ending can be overridden here: {hold.first} lets it end",
    "held.cannot_restore": "the provider keeps state of its own, which a new engine does not have",
}
"""A hold: by its reason, and by its stage where it was only stepped or paused there."""

SEEN: Final[Mapping[Moment, str]] = {
    "ended": "it is saved: {branch.rewind} goes back to a turn, {rehook.open} tries other hooks",
    "discarded": "a discarded turn stays here, struck; its row says which hook dropped it",
    "signal": "a signal: the span that matched is marked, {move.next_event} goes to the next",
    "tool_call": "a tool was called: {inspector.open} opens its arguments and its result",
    "decision": "the responder decided: {inspector.decision} shows why, and what it saw",
    "session_ended": "a session ended; the next one begins with an empty history",
    "raw_differs": "a hook changed this reply: {view.cycle} cycles raw, shown and the difference",
    "streaming": "a reply streams in: {run.toggle} pauses, {run.step_stage} runs one stage",
}
"""What happened, the rarest first: where two happen at once, that one is explained."""

OF_A_TURN: Final = frozenset(SEEN) - {"ended", "session_ended"}
"""What a turn shows; its sentence speaks of "this reply"."""

MOMENTS: Final[Mapping[Moment, str]] = {**HELD, **SEEN}

_KEY = re.compile(r"\{([a-z_.]+)\}")


def sentence(moment: Moment, keymap: Keymap) -> str:
    """The sentence for a moment; empty if a key that it names was taken away."""
    text = MOMENTS[moment]
    keys = {action: keymap.shown(action) for action in _KEY.findall(text)}
    return "" if not all(keys.values()) else _KEY.sub(lambda match: keys[match[1]], text)


def hold_moment(hold: Mapping[str, object]) -> Moment | None:
    """The moment of a hold; None if there is nothing to say about it."""
    reason = str(hold.get("reason"))
    of_stage = reason in ("pause", "step") or hold.get("stage") == "setup"
    error = hold.get("error")
    if isinstance(error, Mapping) and str(error.get("message")).startswith("injected:"):
        return "held.injected"
    moment = f"held.{hold.get('stage') if of_stage else reason}"
    return moment if moment in HELD else None


class TurnMoments:
    """What happened in a conversation so far; each turn is looked at until it is over."""

    def __init__(self) -> None:
        self._transcript: Transcript | None = None
        self._next = 0
        self._sessions = 0

    def of(self, transcript: Transcript) -> set[Moment]:
        """What happened since the last call."""
        if transcript is not self._transcript:
            self._transcript = transcript
            # What a branch takes over from its parent is not new.
            self._next = sum(1 for turn in transcript.turns if turn.flags & Flag.SEEDED)
            self._sessions = 0
        moments = set(self._of_turns(transcript))
        # A session that a branch takes over has no time of its ending.
        ended = sum(session.ended_at is not None for session in transcript.sessions)
        if ended > self._sessions and transcript.termination is None:
            moments.add("session_ended")
        self._sessions = ended
        return moments

    def near(self, transcript: Transcript) -> set[Moment]:
        """What there is to explain about the last turn and the one before it."""
        return {moment for turn in transcript.turns[-2:] for moment in turn_moments(turn)}

    def _of_turns(self, transcript: Transcript) -> Iterator[Moment]:
        turns = transcript.turns
        for index in range(self._next, len(turns)):
            yield from turn_moments(turns[index])
        # The last turn is not over yet.
        self._next = max(self._next, len(turns) - 1)


def turn_moments(turn: Turn) -> Iterator[Moment]:
    """What there is to explain about a turn."""
    flags = int(turn.flags)
    if turn.text and turn.stage == "request":
        yield "streaming"
    if turn.status == GONE:
        yield "discarded"
    if flags & Flag.SIGNAL:
        yield "signal"
    if flags & Flag.TOOL:
        yield "tool_call"
    if flags & Flag.DECISION:
        yield "decision"
    if flags & Flag.CHANGED and turn.status == COMMITTED:
        yield "raw_differs"
