"""Attempts: whether a conversation is tried again, and what its next attempt begins with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from convtui.batch.manifest import Entry
from convtui.batch.plan import Plan
from convtui.batch.plan_parts import Attempts
from convtui.errors import Problem
from convtui.filters.filter import Filter, decide, parse
from convtui.log.filter_lookup import LogLookup
from convtui.log.reader import Log, digest_until, open_log
from convtui.log.tool_uses import ToolUse, tool_uses
from convtui.log.transcript_json import turn_detail
from convtui.protocol import AttemptSpec
from convtui.records.codec import EXIT_CODES, RecordDict
from convtui.records.values import as_object
from convtui.scenario.provider_spec import ProviderSpec
from convtui.text.boundary import one_line
from convtui.transcript.ending_words import ending_sentence
from convtui.transcript.fold import COMMITTED, ENDED, GONE, Flag, Session, Transcript, Turn

MOST_OF_A_TEXT: Final = 20_000
MOST_OF_A_TOOL: Final = 500
MOST_CHARACTERS: Final = 200_000
"""Of what is reflected on; the middle of a longer conversation is left out."""


def next_attempt(attempts: Attempts, entry: Entry, folder: Path) -> AttemptSpec | None:
    """The attempt after a conversation that has ended; None where it is not tried again.

    `folder` is that of the batch. Blocking: reads the conversation's log. Raises `LogError` for one
    that cannot be read.
    """
    if entry.attempt >= attempts.max or entry.log is None:
        return None
    with open_log(folder / entry.log) as log:
        return _attempt_after(attempts, entry, log) if matches(parse(attempts.when), log) else None


def attempt_after(attempts: Attempts, entry: Entry, folder: Path) -> AttemptSpec:
    """As `next_attempt()`, for an attempt that was begun before: it is made in any case.

    Raises `LogError` for a conversation whose log is not there.
    """
    with open_log(folder / (entry.log or "")) as log:
        return _attempt_after(attempts, entry, log)


def best_of(attempts: Sequence[Entry]) -> Entry:
    """The attempt that ended best, by the exit code of its ending.

    Of several that is the last: those before it were not good enough, whatever `when` asks.
    """
    worst = max(EXIT_CODES.values()) + 1
    return min(attempts, key=lambda e: (EXIT_CODES.get(e.ending, worst), -e.attempt))


def unreflecting(plan: Plan, providers: Iterable[ProviderSpec | None]) -> Problem | None:
    """What is wrong with a plan that wants reflection from a provider without a model of its own.

    `providers` are those of its cells.
    """
    attempts = plan.attempts
    if attempts is None or not attempts.reflect or attempts.model is not None:
        return None
    without = {spec.short for spec in providers if spec is not None and spec.kind != "litellm"}
    if not without:
        return None
    names = ", ".join(sorted(without))
    verb = "has" if len(without) == 1 else "have"
    return plan.places.problem(
        ("attempts", "reflect"),
        f"{names} {verb} no model of its own to reflect with: name one under attempts.model"
        " (model: openai/gpt-4o)",
    )


# --- whether it is tried again


def matches(expression: Filter, log: Log) -> bool:
    """Whether a filter matches a turn of a finished conversation, or its ending."""
    transcript, lookup = log.transcript, LogLookup(log)
    if any(decide(expression.on_turn(turn, transcript, lookup)) for turn in transcript.turns):
        return True
    # What failed between two sessions, or before anything was said, ended in no turn.
    bare = _ending_alone(transcript)
    return bare is not None and decide(expression.on_turn(bare.turns[0], bare))


def _ending_alone(transcript: Transcript) -> Transcript | None:
    """A conversation of nothing but the ending of `transcript`; None where a turn has it."""
    termination = transcript.termination
    if termination is None:
        return None
    last = transcript.sessions[-1] if transcript.sessions else None
    if last is not None and last.turns and last.termination == termination:
        return None
    bare = Transcript()
    bare.header = transcript.header
    session = Session(last.index if last is not None else 1, last.session_type if last else "")
    session.termination = termination
    turn = Turn(0, session.index, 0, "provider", 1)
    turn.status, turn.stage = ENDED, "terminate"
    turn.flags = Flag.ENDED | (Flag.ERROR if termination.get("kind") == "failed" else 0)
    session.turns.append(0)
    bare.turns.append(turn)
    bare.sessions.append(session)
    bare.termination = termination
    return bare


# --- what it begins with


def _attempt_after(attempts: Attempts, entry: Entry, log: Log) -> AttemptSpec:
    transcript = log.transcript
    seq = transcript.records - 1
    sha256, _ = digest_until(log.path, seq)
    return AttemptSpec(
        number=entry.attempt + 1,
        parent={
            "id": transcript.id,
            "file": str(log.path.resolve()),
            "seq": seq,
            "sha256": sha256,
        },
        material=material(log) if attempts.reflect else "",
        model=attempts.model,
        reflections=[_again(record, transcript.id) for record in transcript.reflections],
    )


def _again(record: RecordDict, log: str) -> dict[str, Any]:
    """A reflection as the log of a later attempt has it."""
    first = as_object(record.get("reused"))
    return {
        "text": record["text"],
        "of": record["of"],
        "model": record.get("model"),
        "reused": {
            "log": first.get("log") or log,
            "seq": first.get("seq", record.get("seq")),
        },
    }


def material(log: Log) -> str:
    """What was said and done in a conversation and how it ended, for a model to reflect on."""
    transcript = log.transcript
    lines = ["The conversation, in which you are the assistant:"]
    several = len([session for session in transcript.sessions if session.turns]) > 1
    for session in transcript.sessions:
        if several and session.turns:
            lines += ["", f"--- session {session.index}: {session.session_type}"]
        for index in session.turns:
            lines += ["", *_turn_lines(log, transcript.turns[index])]
    said = _shortened("\n".join(lines), MOST_CHARACTERS)
    return f"{said}\n\nHow it ended: {_ending(transcript)}"


def _turn_lines(log: Log, turn: Turn) -> Iterator[str]:
    who = "assistant" if turn.speaker == "provider" else "user"
    if turn.flags & Flag.TOOL:
        for use in tool_uses(turn_detail(log, turn)):
            yield f"[{who} calls {_call(use)}]"
    if turn.text:
        yield f"{who}: {_shortened(turn.text, MOST_OF_A_TEXT)}"
    if turn.status == GONE:
        yield f"[this was discarded and not said{_signals(turn)}]"
    elif turn.status != COMMITTED:
        yield f"[{turn.note or 'nothing was said'}{_signals(turn)}]"
    if turn.error:
        yield f"[an error: {one_line(turn.error, MOST_OF_A_TOOL)}]"


def _signals(turn: Turn) -> str:
    return f", for {', '.join(turn.signals)}" if turn.signals else ""


def _call(use: ToolUse) -> str:
    arguments = one_line(use.raw_arguments or str(use.arguments or ""), MOST_OF_A_TOOL)
    result = as_object(use.returned).get("result")
    outcome = "" if result is None else f": {one_line(str(result), MOST_OF_A_TOOL)}"
    return f"{use.name} {arguments} -> {use.state}{outcome}"


def _ending(transcript: Transcript) -> str:
    return ending_sentence(transcript.termination, nothing="it broke off")


def _shortened(text: str, most: int) -> str:
    """The beginning and the end of a text that is too long: what led to the end counts more."""
    if len(text) <= most:
        return text
    head = most // 4
    left_out = len(text) - most
    return f"{text[:head]}\n[... {left_out:,} characters are left out ...]\n{text[head - most :]}"
