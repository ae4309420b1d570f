"""What has changed in a transcript, as bytes: for another process that shows it, or for a file.

A `DeltaMaker` beside the fold makes them, in order; `apply_delta()` takes them into another
transcript, which then is as if it had folded the same records itself. Turns, of which there may be
hundreds of thousands, are columns of JSON; the lines of records, of which there are more still, are
an array as it stands in memory; all else is one JSON object.
"""

from __future__ import annotations

import json
import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import groupby, repeat
from operator import itemgetter, lt
from sys import intern
from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType, convert, to_builtins
from msgspec.json import Decoder, Encoder

from convtui.records.codec import RecordDict, decode, encode
from convtui.records.interim import Interim
from convtui.transcript.clock import Elapsed
from convtui.transcript.fold import Transcript
from convtui.transcript.turns import Session, Totals, Turn

_Whole = int | list[int]
_Text = str | list[str]
_Number = int | float
_Figure = _Number | None | list[_Number | None]
"""A value for each turn, or the one that all of them have."""


class _Turns(Struct, frozen=True):
    """Turns that are new or have changed, in order."""

    index: list[int]
    session: _Whole
    number: _Whole
    speaker: _Text
    attempt: _Whole
    status: _Text
    text: _Text
    flags: _Whole
    first: _Whole
    last: _Whole
    latency: _Figure
    prompt_tokens: _Figure
    completion_tokens: _Figure
    cost: _Figure
    stage: _Text
    started: _Number | list[_Number]
    streamed: _Whole
    version: _Whole
    # What few turns have, by their place in the columns.
    interim: dict[int, tuple[Interim, ...]]
    signals: dict[int, tuple[str, ...]]
    note: dict[int, str]
    error: dict[int, str]
    codes: dict[int, tuple[str, ...]]


_FEW: Final = ("interim", "signals", "note", "error", "codes")
_COLUMNS: Final = tuple(name for name in _Turns.__struct_fields__ if name not in ("index", *_FEW))


class _Session(Struct, frozen=True):
    index: int
    session_type: str
    first_speaker: str | None
    max_turns: int | None
    termination: RecordDict | None
    skipped: str | None
    started_at: _Number | None
    ended_at: _Number | None
    warm: tuple[str, int] | None
    reflections: tuple[tuple[int, str], ...]


class _Used(Struct, frozen=True):
    calls: int
    retries: int
    seconds: _Number
    prompt_tokens: _Number | None
    completion_tokens: _Number | None
    cost: _Number | None


class _Rest(Struct, frozen=True, omit_defaults=True):
    """All else; of what only grows what is new, and of what is replaced what has been."""

    latest: int | None
    last_t: _Number
    outputs: int
    past_known: bool
    decided_before: bool
    taken_over: set[str]
    left: tuple[int, int, tuple[Interim, ...]] | None
    counts: dict[str, int]
    totals: dict[str, _Used]
    inherited: dict[str, _Used]
    before: tuple[float, float]
    holds: list[tuple[float, float]]
    releases: list[float]
    sessions: dict[int, _Session]
    """Those that have changed, by their place among all."""
    lifecycle: list[RecordDict]
    warnings: list[RecordDict]
    reflections: list[RecordDict]
    header: RecordDict | UnsetType = UNSET
    seed: RecordDict | UnsetType = UNSET
    prepared: list[str] | UnsetType = UNSET
    warm: RecordDict | UnsetType | None = UNSET
    hold: RecordDict | UnsetType | None = UNSET
    termination: RecordDict | UnsetType | None = UNSET
    trailer: RecordDict | UnsetType | None = UNSET
    asked_before: RecordDict | UnsetType | None = UNSET


_PLAIN: Final = ("last_t", "outputs", "past_known", "decided_before", "taken_over", "left")
_GROWING: Final = ("lifecycle", "warnings", "reflections")
_REPLACED: Final = (
    "header", "seed", "prepared", "warm", "hold", "termination", "trailer", "asked_before",
)  # fmt: skip
_HEAD: Final = struct.Struct(">III")
"""The sizes of the three parts that follow: the turns, all else, where the lines of records begin.
"""
_encode_turns: Final = Encoder().encode
_decode_turns: Final = Decoder(_Turns).decode


class DeltaMaker:
    """Makes the deltas of a transcript that is being folded."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._turns = 0
        self._records = 0
        self._grown = dict.fromkeys((*_GROWING, "holds", "releases"), 0)
        self._replaced: dict[str, Any] = {}
        self._sessions: list[tuple[Any, ...]] = []

    def make(self, changed: Iterable[int]) -> bytes:
        """All that has changed since the last one; `changed` are the turns that were returned."""
        transcript = self._transcript
        turns = transcript.turns
        indexes = {*changed, *transcript.ended_turns, *range(self._turns, len(turns))}
        transcript.ended_turns.clear()
        self._turns = len(turns)
        columns = _encoded(_columns([turns[index] for index in sorted(indexes)]))
        rest = encode(to_builtins(self._rest(), str_keys=True))
        lines = self._lines()
        return b"".join((_HEAD.pack(len(columns), len(rest), len(lines)), columns, rest, lines))

    def _lines(self) -> bytes:
        """Where the lines of the new records begin."""
        new = self._transcript.offsets[self._records :]
        self._records += len(new)
        return new.tobytes()

    def _rest(self) -> _Rest:
        transcript = self._transcript
        clock = transcript.clock
        latest = transcript.latest
        return _Rest(
            latest=None if latest is None else latest.index,
            counts=transcript.counts,
            totals=_used(transcript.totals),
            inherited=_used(transcript.inherited),
            before=(clock.before.running, clock.before.held),
            holds=self._count("holds", clock.holds(self._grown["holds"])),
            releases=self._count("releases", clock.releases(self._grown["releases"])),
            sessions=self._changed_sessions(),
            **self._by_name(),
        )

    def _by_name(self) -> dict[str, Any]:
        transcript = self._transcript
        fields: dict[str, Any] = {name: getattr(transcript, name) for name in _PLAIN}
        for name in _GROWING:
            items: list[RecordDict] = getattr(transcript, name)
            fields[name] = self._count(name, items[self._grown[name] :])
        return fields | self._newly_replaced()

    def _count(self, name: str, new: list[Any]) -> list[Any]:
        self._grown[name] += len(new)
        return new

    def _newly_replaced(self) -> dict[str, Any]:
        before, self._replaced = (
            self._replaced,
            {name: getattr(self._transcript, name) for name in _REPLACED},
        )
        return {
            name: value
            for name, value in self._replaced.items()
            if name not in before or value is not before[name]
        }

    def _changed_sessions(self) -> dict[int, _Session]:
        changed: dict[int, _Session] = {}
        for place, session in enumerate(self._transcript.sessions):
            now = tuple(getattr(session, name) for name in _Session.__struct_fields__)
            if place == len(self._sessions):
                self._sessions.append(now)
            elif now == self._sessions[place]:
                continue
            self._sessions[place] = now
            changed[place] = _Session(*now)
        return changed


def _encoded(turns: _Turns) -> bytes:
    try:
        return _encode_turns(turns)
    except UnicodeEncodeError:
        # A lone surrogate, which only an escape can stand for.
        return json.dumps(to_builtins(turns, str_keys=True)).encode()


def _columns(turns: Sequence[Turn]) -> _Turns:
    columns: dict[str, Any] = {
        name: _column([getattr(turn, name) for turn in turns]) for name in _COLUMNS
    }
    for name in _FEW:
        values = ((place, getattr(turn, name)) for place, turn in enumerate(turns))
        columns[name] = {place: value for place, value in values if value}
    return _Turns([turn.index for turn in turns], **columns)


def _column(values: list[Any]) -> Any:
    """The values, or the one that all of them are."""
    first = values[0] if values else None
    # No fractions: 1.0 is 1, and zero may have a sign.
    if isinstance(first, float) or values.count(first) < len(values):
        return values
    return first if values and {*map(type, values)} == {type(first)} else values


def _used(totals: dict[str, Totals]) -> dict[str, _Used]:
    return {
        side: _Used(*(getattr(used, name) for name in _Used.__struct_fields__))
        for side, used in totals.items()
    }


# --- taking them in


def apply_delta(transcript: Transcript, delta: bytes | memoryview) -> Sequence[int]:
    """Takes in what has changed; the transcript must be as it was when `delta` was begun.

    Returns the indexes of the turns that have changed. Raises ValueError for a delta that is
    damaged, or about another transcript; nothing of it is taken in.
    """
    turns, rest, lines = _decoded(memoryview(delta))
    columns = _values(turns)
    _check(transcript, turns, rest, lines)
    _take_rest(transcript, rest)
    _take_turns(transcript, turns, columns)
    transcript.latest = None if rest.latest is None else transcript.turns[rest.latest]
    transcript.offsets.extend(lines)
    transcript.records = len(transcript.offsets)
    return turns.index


def _decoded(delta: memoryview) -> tuple[_Turns, _Rest, array[int]]:
    try:
        first, second, third = _HEAD.unpack_from(delta)
        middle = _HEAD.size + first
        last = middle + second
        if len(delta) != last + third:
            raise ValueError("a delta of another size")
        lines = array("Q")
        lines.frombytes(delta[last:])
        rest = convert(decode(bytes(delta[middle:last])), _Rest, str_keys=True)
        try:
            return _decode_turns(delta[_HEAD.size : middle]), rest, lines
        except ValueError:
            data = json.loads(bytes(delta[_HEAD.size : middle]))
            return convert(data, _Turns, str_keys=True), rest, lines
    except (struct.error, RecursionError) as error:
        raise ValueError(str(error)) from error


def _values(turns: _Turns) -> list[Iterable[Any]]:
    """The values of each column, as many as there are turns, in the order of `_COLUMNS`."""
    count = len(turns.index)
    columns: list[Iterable[Any]] = []
    for name in _COLUMNS:
        column = getattr(turns, name)
        if not isinstance(column, list):
            columns.append(repeat(column, count))
            continue
        if len(column) != count:
            raise ValueError("columns of different lengths")
        columns.append(map(intern, column) if name in ("speaker", "status", "stage") else column)
    return columns


def _check(transcript: Transcript, turns: _Turns, rest: _Rest, lines: array[int]) -> None:
    indexes, known, offsets = turns.index, len(transcript.turns), transcript.offsets
    ascending = all(map(lt, indexes, indexes[1:]))
    new = indexes[bisect_left(indexes, known) :] if ascending else []
    total = known + len(new)
    places = [place for few in _FEW for place in getattr(turns, few)]
    sessions = {session.index for session in transcript.sessions}
    sessions |= {session.index for session in rest.sessions.values()}
    used = turns.session if isinstance(turns.session, list) else [turns.session]
    sound = (
        ascending
        and (not indexes or indexes[0] >= 0)
        and new == [*range(known, total)]
        and all(0 <= place < len(indexes) for place in places)
        and (not indexes or sessions.issuperset(used))
        and [p for p in rest.sessions if p >= len(transcript.sessions)]
        == [*range(len(transcript.sessions), max(rest.sessions, default=-1) + 1)]
        and (rest.latest is None or 0 <= rest.latest < total)
        and (not lines or not offsets or offsets[-1] <= lines[0] <= lines[-1])
    )
    if not sound:
        raise ValueError("a delta about another transcript")


def _take_turns(transcript: Transcript, turns: _Turns, columns: Sequence[Iterable[Any]]) -> None:
    all_turns = transcript.turns
    known = len(all_turns)
    old = bisect_left(turns.index, known)
    new = [*map(Turn.__new__, repeat(Turn, len(turns.index) - old))]
    all_turns += new
    _into_sessions(transcript, turns, old)
    targets = [*map(all_turns.__getitem__, turns.index[:old]), *new]
    for (
        turn, turn.index, turn.session, turn.number, turn.speaker, turn.attempt, turn.status,
        turn.text, turn.flags, turn.first, turn.last, turn.latency, turn.prompt_tokens,
        turn.completion_tokens, turn.cost, turn.stage, turn.started, turn.streamed, turn.version,
    ) in zip(targets, turns.index, *columns, strict=True):  # fmt: skip
        turn.interim = turn.signals = turn.codes = ()
        turn.note = turn.error = ""
    for name in _FEW:
        for place, value in getattr(turns, name).items():
            setattr(all_turns[turns.index[place]], name, value)


def _into_sessions(transcript: Transcript, turns: _Turns, old: int) -> None:
    """Puts those turns into their sessions that come after the first `old` ones."""
    new, used = turns.index[old:], turns.session
    of_each = repeat(used, len(new)) if isinstance(used, int) else used[old:]
    for session, group in groupby(zip(new, of_each, strict=True), key=itemgetter(1)):
        holder = transcript.session(session)
        assert holder is not None
        holder.turns.extend([index for index, _ in group])


def _take_rest(transcript: Transcript, rest: _Rest) -> None:
    for name in _PLAIN:
        setattr(transcript, name, getattr(rest, name))
    for name in _GROWING:
        getattr(transcript, name).extend(getattr(rest, name))
    for name in _REPLACED:
        value = getattr(rest, name)
        if value is not UNSET:
            setattr(transcript, name, value)
    transcript.counts.update(rest.counts)
    _take_used(transcript.totals, rest.totals)
    _take_used(transcript.inherited, rest.inherited)
    transcript.clock.before = Elapsed(*rest.before)
    transcript.clock.add(rest.holds, rest.releases)
    for place, changed in rest.sessions.items():
        if place == len(transcript.sessions):
            transcript.sessions.append(Session(changed.index, changed.session_type))
        session = transcript.sessions[place]
        for name in _Session.__struct_fields__:
            setattr(session, name, getattr(changed, name))


def _take_used(totals: dict[str, Totals], used: dict[str, _Used]) -> None:
    for side, figures in used.items():
        total = totals.setdefault(side, Totals())
        for name in _Used.__struct_fields__:
            setattr(total, name, getattr(figures, name))
