"""Compares how the tool calls of a conversation went before and after its history was summarised.

"Before" are the calls up to the compression: those of the compressed log up to that point, and of
the logs that it continues, back to the previous compression. "After" are the calls since then, to
the end of the log that is checked.
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
"""The relative increase of the error rate that still counts as preserved."""
FEW: Final = 5
"""Calls below which a note says that there are few."""
_DEPTH: Final = 100
"""Logs that are followed back at most."""


@dataclass(slots=True)
class Part:
    """The calls before or after a compression."""

    logs: list[Path] = field(default_factory=list)
    """Oldest first."""
    outcomes: list[bool | None] = field(default_factory=list)
    """Success of every call of a non-trivial tool, in order; None where unknown."""

    @property
    def tally(self) -> Tally:
        return count(self.outcomes)

    @property
    def gain(self) -> Gain:
        """The early calls against the late ones within the part."""
        return gain_of([self.outcomes])


@dataclass(slots=True)
class CompressionCheck:
    """The effect of a compression on the tool calls. Paths and ids are foreign text."""

    path: Path
    id: str
    has_compression: bool | None
    """None where a log that this one continues cannot be read."""
    pre: Part | None = None
    post: Part | None = None
    preserved: bool | None = None
    """Whether the error rate after is at most `1 + TOLERANCE` times that before; None: unknown."""
    why: str = ""
    """The reason for `preserved`, in one sentence."""
    notes: list[str] = field(default_factory=list)
    """Reservations: few calls, missing or damaged logs."""
    interval: Interval | None = None
    """Of the error rate after minus that before, where both are known."""
    compressed: dict[str, Any] = field(default_factory=dict)
    """`{log, session, upto, rows_in, rows_out}` of the compression, as far as recorded."""


def check_compression(path: Path | str) -> CompressionCheck:
    """Checks the last compression in a log's lineage.

    Raises `LogError` only where the log itself cannot be opened: a parent that is missing or was
    altered makes the answer unknown. Blocking: reads the logs that it continues.
    """
    check = _Chain(Path(path)).walk()
    if check.has_compression:
        _judge(check)
    return check


def was_compressed(transcript: Transcript) -> bool:
    """Whether a log itself contains a compression, or begins with one; parents are not read."""
    return bool(_points(transcript, None))


class _Chain:
    """Follows a log back through the logs that it continues."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._after = Part()
        self._before = Part()
        self._check: CompressionCheck
        self._point = False
        """Whether the compression has been passed: further calls came before it."""

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
                    self._check = CompressionCheck(path, log.transcript.id, None)
                elif log.findings and self._damaged(log, upto):
                    self._check.notes.append(f"{visible_line(path.name)} is damaged")
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
            finding.code != "no_trailer" and (upto is None or finding.line <= upto + 1)
            for finding in log.findings
        )

    def _take(self, log: Log, upto: int | None) -> bool:
        """Adds a log's calls up to record `upto`.

        Returns whether an earlier compression was reached, where "before" begins.
        """
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
        self._check.compressed = _about(log, points[-1])
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
        """Ends the walk at a log that cannot be read."""
        check = self._check
        if not self._point:
            check.why = f"whether its history was compressed is not known: {why}"
            return check
        if self._before.outcomes:
            check.notes.append(f"what came still earlier is not counted: {why}")
        else:
            check.why = f"what it was like before is not known: {why}"
        return self._done()

    def _done(self) -> CompressionCheck:
        check = self._check
        check.has_compression = self._point
        if not self._point:
            check.why = "its history was not compressed"
            return check
        check.post = self._after
        # Without any readable log before the compression there is no profile.
        check.pre = self._before if self._before.logs else None
        return check


def _points(transcript: Transcript, upto: int | None) -> list[int]:
    """The `seq` of the records that compressed the history; 0 for a log that begins with one."""
    points = [
        seq
        for record in transcript.lifecycle
        if record.get("type") == "context.compressed"
        and isinstance(seq := record.get("seq"), int)
        and (upto is None or seq <= upto)
    ]
    header = transcript.header
    change = header.get("change")
    kind = change.get("kind") if isinstance(change, dict) else None
    if not points and header.get("origin") == "import" and kind == "compress":
        # The imported file says that it continues from a summary, but does not contain it.
        return [0]
    return points


def _about(log: Log, point: int) -> dict[str, Any]:
    record = next(
        (
            candidate
            for candidate in log.transcript.lifecycle
            if candidate.get("type") == "context.compressed" and candidate.get("seq") == point
        ),
        {},
    )
    names = ("session", "upto", "rows_in", "rows_out")
    kept = {name: record[name] for name in names if name in record}
    return {"log": str(log.path), **kept}


def _judge(check: CompressionCheck) -> None:
    post = check.post.tally if check.post is not None else Tally()
    pre = check.pre.tally if check.pre is not None else Tally()
    for tally, where in ((pre, "before"), (post, "after")):
        if tally.calls and not tally.known:
            check.why = check.why or f"how the tool calls {where} it went is not on record"
        elif not tally.calls:
            check.why = check.why or f"no tool call {where} it is on record"
        elif tally.known < FEW:
            many = "is only one call" if tally.known == 1 else f"are only {tally.known} calls"
            check.notes.append(f"there {many} {where} it: the next one could turn the answer")
    before, after = pre.error_rate, post.error_rate
    if before is None or after is None:
        return
    check.interval = newcombe(post.failed, post.known, pre.failed, pre.known)
    if before == 0 and after > 0:
        # A fifth more than zero is zero: any single failure would exceed it.
        if check.interval.includes_zero:
            check.why = (
                f"none of {pre.known} calls failed before it, {post.failed} of {post.known}"
                " after: with so few calls that may be chance"
            )
        else:
            check.preserved = False
            check.why = f"no call failed before it, {post.failed} of {post.known} after"
        return
    check.preserved = after <= before * (1 + TOLERANCE)
    how = "within" if check.preserved else "beyond"
    check.why = (
        f"error rate {before * 100:.1f} % before, {after * 100:.1f} % after: {how} the tolerance"
        f" of a fifth ({before * (1 + TOLERANCE) * 100:.1f} %)"
    )


def as_dict(check: CompressionCheck) -> dict[str, Any]:
    """The check as JSON-compatible data; what is unknown is None."""
    interval = check.interval
    return {
        "session_id": check.id,
        "log": str(check.path),
        "has_compression": check.has_compression,
        "pre_compression_profile": _part(check.pre),
        "post_compression_profile": _part(check.post),
        "proficiency_preserved": check.preserved,
        "why": check.why,
        "notes": list(check.notes),
        "interval": interval and interval.as_list(),
        "compression": check.compressed or None,
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
