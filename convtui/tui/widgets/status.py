"""Derives the content of the status lines from a source or an engine's handle."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convtui.printing.wording import wait_words
from convtui.records.values import as_object
from convtui.text.boundary import visible_line
from convtui.text.counts import counted
from convtui.transcript.clock import elapsed
from convtui.transcript.fold import COMMITTED, OPEN, Flag, Transcript, Turn
from convtui.transcript.usage import used_by_side
from convtui.tui.drawing.labels import ending
from convtui.tui.sources.budget import current_limits, used_of
from convtui.tui.widgets.inspector.drift import replaying
from convtui.tui.widgets.statusline import Figures, SideBudget, Status

if TYPE_CHECKING:
    from convtui.client.link import ConversationLink
    from convtui.protocol import StartSpec
    from convtui.records.codec import RecordDict
    from convtui.tui.sources.replay import ReplaySource


def live_status(handle: ConversationLink, *, busy_with: str = "", kill_key: str = "K") -> Status:
    """The state of a running conversation."""
    state = handle.state.value
    hold = handle.hold
    if busy_with:
        return Status("pausing" if hold is None else "held", detail=f"{busy_with} ...")
    if state == "failed":
        return Status("ended", kind="not started", detail="the engine could not start")
    if state == "dead":
        message = str((handle.error or {}).get("message", ""))
        return Status("dead", detail=message or "Enter continues from the log")
    if state == "closed":
        return ended_status(handle.transcript)
    if state in ("new", "starting"):
        return Status("starting", detail="the engine is starting")
    if handle.silent_for:
        blocks = visible_line(handle.blocked_by, 80) or "provider code blocks the engine"
        return Status(
            "not_responding",
            seconds=handle.silent_for,
            detail=f"{blocks}; {kill_key} kills it",
        )
    if hold is not None:
        human = hold.get("reason") == "human"
        address = f"{hold.get('session') or 1}:{hold['turn']}" if hold.get("turn") else ""
        return Status(
            "your_turn" if human else "held",
            address=address,
            stage=str(hold.get("stage", "")),
            reason=str(hold.get("reason", "")),
            detail=_your_turn(hold) if human else "",
        )
    return _busy_status(handle)


def _busy_status(handle: ConversationLink) -> Status:
    """The state of an engine at work."""
    replay_progress = replaying(handle.transcript)
    if replay_progress:
        return Status("running", detail=replay_progress)
    if _summarises(handle.transcript):
        return Status("running", detail="summarising the history")
    wait = _retry_wait(handle)
    if _reflects(handle.transcript) and not wait:
        return Status("running", detail="reflecting on the attempt before")
    if handle.state.value == "pausing":
        return Status("pausing", detail=wait)
    if wait:
        return Status("running", detail=wait)
    return Status("running", detail=_activity(handle))


def _activity(handle: ConversationLink) -> str:
    """What is going on in the turn: waiting for the first words, thinking, streaming, tools."""
    turn, busy = handle.transcript.current, handle.busy
    if turn is None or turn.status != OPEN:
        return ""
    since = f", {busy:.0f} s" if busy is not None and busy >= 2 else ""
    if turn.stage == "tools":
        return f"tools are running{since}"
    if turn.stage != "request":
        return ""
    thinks = turn.text.rfind("<think") > turn.text.rfind("</think")
    if thinks or (handle.thinking and not turn.text):
        return f"{turn.speaker} is thinking{since}"
    if turn.text:
        return f"{turn.speaker} is streaming"
    return f"waiting for the {turn.speaker}{since}" if busy is not None else ""


def _retry_wait(handle: ConversationLink) -> str:
    """The countdown to the next attempt; empty if there is none."""
    wait = handle.retry_wait
    if wait is None:
        return ""
    attempt, attempts = wait.get("attempt"), wait.get("attempts")
    return wait_words(float(wait["left"]), attempt, attempts, str(wait.get("why", "")))


def _summarises(transcript: Transcript) -> bool:
    """Whether a branch that starts with a summary does not have it yet."""
    change = transcript.header.get("change")
    compressing = isinstance(change, dict) and change.get("kind") == "compress"
    counts = transcript.counts
    return compressing and "context.compressed" not in counts and "turn.started" not in counts


def _reflects(transcript: Transcript) -> bool:
    """Whether a model is being asked what to do otherwise than in the attempt before."""
    calls = transcript.totals.get("reflection")
    return calls is not None and "provider.setup" not in transcript.counts


def _your_turn(hold: RecordDict) -> str:
    return f"write what the {'provider' if hold.get('side') == 'provider' else 'persona'} says"


def ended_status(transcript: Transcript) -> Status:
    """How a conversation ended."""
    termination = transcript.termination or {}
    return Status(
        "ended",
        kind=str(termination.get("kind", "")),
        by=str(termination.get("by", "")),
        reason=str(termination.get("reason", "")),
    )


def replay_status(replay: ReplaySource) -> Status:
    """The position of a recording."""
    count = len(replay.transcript.turns)
    if replay.loading:
        return Status(
            "loading", percent=replay.progress * 100, detail=f"{counted(count, 'turn')} so far"
        )
    position = count if replay.position is None else replay.position + 1
    if replay.stage is not None:
        detail = f"at {replay.stage}"
    elif replay.position is not None:
        detail = ""
    elif replay.running:
        detail = "following: another process is writing this log"
    elif replay.findings and replay.transcript.trailer is None:
        # Holds are never resumed: without a writer the conversation is over.
        prefix = "it was paused when " if replay.transcript.hold is not None else ""
        detail = f"{prefix}the run stopped before its log was closed"
    else:
        detail = ending(replay.transcript.termination)
    return Status(
        "playing" if replay.playing else "replay",
        position=position,
        turns=count,
        speed=replay.speed,
        detail=detail,
    )


def responder_of(scenario: Any) -> dict[str, Any] | None:
    """The responder section of a scenario, if it has one."""
    persona = scenario.get("persona") if isinstance(scenario, dict) else None
    responder = persona.get("responder") if isinstance(persona, dict) else None
    return responder if isinstance(responder, dict) else None


def simulator_of(scenario: Any) -> str:
    """The kind of simulator in a scenario; empty if it does not say."""
    persona = scenario.get("persona") if isinstance(scenario, dict) else None
    return str(persona.get("simulator") or "") if isinstance(persona, dict) else ""


class Followups:
    """The number of responder answers up to each turn of its session.

    Every turn is counted once: `at()` takes amortised constant time.
    """

    def __init__(self, transcript: Transcript, *, whole: bool = False) -> None:
        """With `whole` the count continues across sessions, as the responder's memory does."""
        self.transcript = transcript
        self._whole = whole
        self._counts = array("L")

    def at(self, index: int) -> int:
        """The count after the turn at `index`."""
        turns = self.transcript.turns
        if not 0 <= index < len(turns):
            return 0
        # Only the last turn can still change.
        while len(self._counts) < min(index + 1, len(turns) - 1):
            self._counts.append(self._next(len(self._counts)))
        return self._counts[index] if index < len(self._counts) else self._next(index)

    def _next(self, index: int) -> int:
        turns = self.transcript.turns
        turn = turns[index]
        continues = index > 0 and (self._whole or turns[index - 1].session == turn.session)
        before = self._counts[index - 1] if continues else 0
        if turn.flags & Flag.SEEDED and self._is_last_seeded(index):
            counters = as_object(self.transcript.seed.get("counters"))
            sent = as_object(counters.get("responder")).get("sent")
            return sent if isinstance(sent, int) else 0
        return before + self._is_answer(turn)

    def _is_last_seeded(self, index: int) -> bool:
        return index == int(self.transcript.seed.get("last", -1))

    @staticmethod
    def _is_answer(turn: Turn) -> bool:
        committed = turn.speaker == "persona" and turn.status == COMMITTED
        return committed and bool(turn.flags & Flag.DECISION)


def figures(
    transcript: Transcript,
    *,
    scenario: dict[str, Any],
    followups: Followups | None = None,
    position: int | None = None,
    now: float | None = None,
    notes: Sequence[str] = (),
    first: Sequence[str] = (),
    used_up_to: Callable[[str], float | None] | None = None,
) -> Figures:
    """The figures of the bottom line, as of `now` on the log's clock, or of its last record.

    `used_up_to` gives the tokens or the cost at `position`; only the whole is known by side.
    """
    turns = transcript.turns
    index = len(turns) - 1 if position is None else min(position, len(turns) - 1)
    turn = turns[index] if index >= 0 else None
    session = transcript.session(turn.session) if turn is not None else None
    time = elapsed(transcript, now)
    if used_up_to is None:
        used_up_to = partial(used_of, used=used_by_side(transcript), scope="conversation")
    tokens, cost = used_up_to("tokens"), used_up_to("cost")
    limits = current_limits(transcript, scenario)
    own = {limit.what: limit.limit for limit in limits if limit.scope == "conversation"}
    count = len(transcript.prepared) or len(transcript.sessions)
    responder = responder_of(scenario)
    answers = followups.at(index) if followups is not None and responder is not None else None
    return Figures(
        turn=turn.number if turn is not None else None,
        max_turns=session.max_turns if session is not None else None,
        session=turn.session if turn is not None else None,
        sessions=count or None,
        followups=answers,
        max_followups=_number((responder or {}).get("max_followups"), int),
        tokens=None if tokens is None else int(tokens),
        max_tokens=_number(own.get("tokens"), int),
        cost=cost,
        max_cost=own.get("cost"),
        sides=[
            SideBudget(limit.scope, limit.what, limit.used, limit.limit)
            for limit in limits
            if limit.scope != "conversation" and position is None
        ],
        elapsed=time.running,
        held=time.held,
        notes=notes,
        first=first,
    )


def _number(value: Any, kind: type[Any]) -> Any:
    return kind(value) if isinstance(value, (int, float)) else None


def sides(transcript: Transcript, spec: StartSpec | None) -> tuple[str, str]:
    """The names of persona and provider, from the log's header or the start spec."""
    header = transcript.header
    scenario = header.get("scenario") or (spec.scenario if spec is not None else {})
    persona = header.get("persona")
    if not persona:
        entry = scenario.get("persona")
        persona = entry.get("name") if isinstance(entry, dict) else entry
    provider = header.get("provider")
    use = provider.get("spec") or provider.get("name") if isinstance(provider, dict) else None
    if not use:
        entry = scenario.get("provider")
        use = entry.get("use") if isinstance(entry, dict) else entry
    return str(persona or "persona"), short_spec(str(use or "demo"))


def short_spec(spec: str) -> str:
    """A provider SPEC for display: a file's name without its folders."""
    path, colon, name = spec.rpartition(":")
    if colon and path.endswith(".py"):
        return f"{Path(path).name}:{name}"
    if spec.startswith("recorded:"):
        return f"recorded:{Path(path if colon and not name else name).name}"
    return spec
