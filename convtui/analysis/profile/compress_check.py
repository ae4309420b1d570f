"""Whether a conversation goes on as well after its history was summarised as before.

Before are the tool calls up to the compression: those of the log that was compressed, as far as it
went then, and of those that it continues, back to the compression before. After are the calls since
then, up to the end of the log that is asked about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from convtui.analysis.report.intervals import Interval, newcombe, rounded
from convtui.analysis.tool_calls.gains import Gain, Tally, count, gain_of
from convtui.analysis.tool_calls.outcomes import is_trivial
from convtui.analysis.tool_calls.tool_calls import MadeCall, calls_of
from convtui.errors import LogError
from convtui.log.parents import find_parent, parent_of
from convtui.log.reader import Log, open_log
from convtui.text.boundary import visible_line
from convtui.transcript.fold import Transcript

TOLERANCE: Final = 0.2
"""How much greater the error rate may be afterwards: a fifth of what it was."""
FEW: Final = 5
"""Calls on a side below which it is said that they are few."""
_DEPTH: Final = 100
"""Logs that are gone back at most."""


@dataclass(slots=True)
class Part:
    """The calls before or after a compression."""

    logs: list[Path] = field(default_factory=list)
    """The oldest first."""
    outcomes: list[bool | None] = field(default_factory=list)
    """Of every call that is not trivial, in order."""

    @property
    def tally(self) -> Tally:
        """The calls and how they went."""
        return count(self.outcomes)

    @property
    def gain(self) -> Gain:
        """Early against late within the part."""
        return gain_of([self.outcomes])


@dataclass(slots=True)
class CompressionCheck:
    """What a compression did to the tool calls. Paths and ids are foreign text."""

    path: Path
    id: str
    has_compression: bool | None
    """None where it is not known: a log that this one goes back to cannot be read."""
    pre: Part | None = None
    post: Part | None = None
    preserved: bool | None = None
    """Whether the error rate afterwards is at most `1 + TOLERANCE` times that before."""
    why: str = ""
    """Why it is, is not, or is not known, in one sentence."""
    notes: list[str] = field(default_factory=list)
    """What else should be known: few calls, logs that are missing."""
    interval: Interval | None = None
    """Of the error rate after minus the one before, as far as both are known."""
    compressed: dict[str, Any] = field(default_factory=dict)
    """`{log, session, upto, rows_in, rows_out}` of the compression, as far as it is on record."""


def check_compression(path: Path | str) -> CompressionCheck:
    """The last compression that a log goes back to, and what came of it.

    Raises `LogError` only where the log itself cannot be opened: a parent that is gone or altered
    makes the answer unknown. Blocking: reads the logs that it goes back to.
    """
    found = _Chain(Path(path)).walk()
    if found.has_compression:
        _judge(found)
    return found


def was_compressed(transcript: Transcript) -> bool:
    """Whether a log itself has a compression, or begins with one."""
    return bool(_points(transcript, None))


class _Chain:
    """Goes back from a log to those that it continues."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._after = Part()
        self._before = Part()
        self._found: CompressionCheck
        self._point = False
        """Whether the compression has been found: what comes now was before it."""

    def walk(self) -> CompressionCheck:
        path, upto = self._path, None
        for depth in range(_DEPTH):
            try:
                log = open_log(path)
            except LogError as error:
                if not depth:
                    raise
                return self._lost(str(error))
            with log:
                if not depth:
                    self._found = CompressionCheck(path, log.transcript.id, None)
                elif log.findings and self._damaged(log, upto):
                    self._found.notes.append(f"{visible_line(path.name)} is damaged")
                over = self._take(log, upto)
                header = log.transcript.header
            parent = parent_of(header)
            if over or parent is None:
                break
            try:
                path = find_parent(parent, path)
            except LogError as error:
                return self._lost(str(error))
            seq = parent.get("seq")
            upto = seq if isinstance(seq, int) else None
        return self._done()

    @staticmethod
    def _damaged(log: Log, upto: int | None) -> bool:
        return any(
            found.code != "no_trailer" and (upto is None or found.line <= upto + 1)
            for found in log.findings
        )

    def _take(self, log: Log, upto: int | None) -> bool:
        """Takes in a log up to record `upto`; whether all before it is another compression's."""
        calls = [
            call
            for call in calls_of(log)
            if not is_trivial(call.name) and (upto is None or call.seq <= upto)
        ]
        points = _points(log.transcript, upto)
        if not points:
            self._add(log, calls)
            return False
        if self._point:
            self._add(log, [call for call in calls if call.seq > points[-1]])
            return True
        self._add(log, [call for call in calls if call.seq > points[-1]])
        self._point = True
        self._found.compressed = _about(log, points[-1])
        earlier = points[-2] if len(points) > 1 else -1
        between = [call for call in calls if earlier < call.seq <= points[-1]]
        if between or len(points) > 1:
            self._add(log, between)
        return len(points) > 1

    def _add(self, log: Log, calls: Sequence[MadeCall]) -> None:
        part = self._before if self._point else self._after
        part.logs.insert(0, log.path)
        part.outcomes[:0] = [call.outcome.success for call in calls]

    def _lost(self, why: str) -> CompressionCheck:
        """What comes before cannot be read."""
        found = self._found
        if not self._point:
            found.why = f"whether its history was compressed is not known: {why}"
            return found
        if self._before.outcomes:
            found.notes.append(f"what came still earlier is not counted: {why}")
        else:
            found.why = f"what it was like before is not known: {why}"
        return self._done()

    def _done(self) -> CompressionCheck:
        found = self._found
        found.has_compression = self._point
        if not self._point:
            found.why = "its history was not compressed"
            return found
        found.post = self._after
        # A log that nothing is known about before has no profile.
        found.pre = self._before if self._before.logs else None
        return found


def _points(transcript: Transcript, upto: int | None) -> list[int]:
    """Where the history was compressed, as the `seq` of records; the beginning is 0."""
    found = [
        seq
        for record in transcript.lifecycle
        if record.get("type") == "context.compressed"
        and isinstance(seq := record.get("seq"), int)
        and (upto is None or seq <= upto)
    ]
    header = transcript.header
    change = header.get("change")
    kind = change.get("kind") if isinstance(change, dict) else None
    if not found and header.get("origin") == "import" and kind == "compress":
        # Its file says that it goes on from a summary, and does not have it.
        return [0]
    return found


def _about(log: Log, point: int) -> dict[str, Any]:
    record = next(
        (
            each
            for each in log.transcript.lifecycle
            if each.get("type") == "context.compressed" and each.get("seq") == point
        ),
        {},
    )
    names = ("session", "upto", "rows_in", "rows_out")
    kept = {name: record[name] for name in names if name in record}
    return {"log": str(log.path), **kept}


def _judge(found: CompressionCheck) -> None:
    post = found.post.tally if found.post is not None else Tally()
    pre = found.pre.tally if found.pre is not None else Tally()
    for tally, where in ((pre, "before"), (post, "after")):
        if tally.calls and not tally.known:
            found.why = found.why or f"how the tool calls {where} it went is not on record"
        elif not tally.calls:
            found.why = found.why or f"no tool call {where} it is on record"
        elif tally.known < FEW:
            many = "is only one call" if tally.known == 1 else f"are only {tally.known} calls"
            found.notes.append(f"there {many} {where} it: the next one could turn the answer")
    before, after = pre.error_rate, post.error_rate
    if before is None or after is None:
        return
    found.interval = newcombe(post.failed, post.known, pre.failed, pre.known)
    if before == 0 and after > 0:
        # A fifth more than nothing is nothing: any failure would do.
        if found.interval.includes_zero:
            found.why = (
                f"none of {pre.known} calls failed before it, {post.failed} of {post.known}"
                " after: with so few calls that may be chance"
            )
        else:
            found.preserved = False
            found.why = f"no call failed before it, {post.failed} of {post.known} after"
        return
    found.preserved = after <= before * (1 + TOLERANCE)
    how = "within" if found.preserved else "beyond"
    found.why = (
        f"error rate {before * 100:.1f} % before, {after * 100:.1f} % after: {how} the tolerance"
        f" of a fifth ({before * (1 + TOLERANCE) * 100:.1f} %)"
    )


def as_dict(found: CompressionCheck) -> dict[str, Any]:
    """The check as plain data; what is unknown is null."""
    interval = found.interval
    return {
        "session_id": found.id,
        "log": str(found.path),
        "has_compression": found.has_compression,
        "pre_compression_profile": _part(found.pre),
        "post_compression_profile": _part(found.post),
        "proficiency_preserved": found.preserved,
        "why": found.why,
        "notes": list(found.notes),
        "interval": interval and interval.as_list(),
        "compression": found.compressed or None,
    }


def _part(part: Part | None) -> dict[str, Any] | None:
    if part is None:
        return None
    tally, change = part.tally, part.gain.change
    return {
        "error_rate": rounded(tally.error_rate),
        "tool_call_count": tally.calls,
        "proficiency_gain": rounded(change),
        "successful_calls": tally.ok,
        "failed_calls": tally.failed,
        "unknown_calls": tally.unknown,
        "logs": [str(path) for path in part.logs],
    }
