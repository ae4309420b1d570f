"""What goes over the pipe between the screen and the engine process.

Every message is a frame: four bytes of length (big-endian), one byte of kind, then the body. A
`record` frame's body is eight bytes of byte offset in the log and the log line itself; an `of`
frame's body is four bytes of the conversation's number, one byte of kind and the body of a frame of
that conversation; every other body is a JSON object. Frames have no sequence number of their own:
records carry theirs, and a `delta` or `gate` frame names the record it follows.

A process whose first frame is `start` runs one conversation and ends with it. One whose first frame
is `host` is a worker: it hosts as many conversations as it is told to begin, and ends when its
commands do.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from enum import IntEnum
from typing import Any, BinaryIO, Final, Literal, TypedDict

from convtui.errors import ConvtuiError
from convtui.records.codec import compact_encoder

_to_json = compact_encoder(ensure_ascii=True)
_HEAD = struct.Struct(">IB")
_OFFSET = struct.Struct(">Q")
_OF = struct.Struct(">IB")
MAX_FRAME = 1 << 30
HEARTBEAT_EVERY = 0.25
"""Seconds between two heartbeats of a loop that is alive."""
SILENT_AFTER = 1.0
"""Seconds without a heartbeat after which an engine is called "not responding"."""
ENGINE_MARK: Final = "CONVTUI_ENGINE"
"""The environment variable that tells to which engine a process belongs."""
ROWS_EVERY = 0.1
"""Seconds between two reports of what changed in a worker."""
QUEUE_LIMIT = 8 << 20
"""Bytes queued for a screen that does not read, above which records are left to the log."""


_CAUSES = 20
"""Exceptions behind an error that are written down."""


class Kind(IntEnum):
    """Kinds of frames."""

    # engine to screen
    RECORD = 1
    DELTA = 2
    """`{after, call, session, turn, side, offset, text, reasoning}`: text that arrived since
    the last; it begins at character `offset` of the reply."""
    GATE = 3
    """`{after, state, hold}`: the gate's state; `hold` as in `debug.held`, or null."""
    ACK = 4
    """`{id, ok, reason}`: a command was carried out, or refused with the reason."""
    HEARTBEAT = 5
    """`{busy, wait}`: seconds the current call has been in flight, or null; and, while it waits
    before it is made again, `{left, attempt, attempts, why}`, else null."""
    CATCH_UP = 6
    """`{from_seq}`: records from here on are to be read from the log."""
    READY = 7
    """`{log, id, pid}`: the log is open; the conversation is about to begin."""
    FAILED = 8
    """`{error}`: the engine cannot start; the error as `describe_error()` gives it."""
    OUTPUT = 9
    """`{stream, text}`: provider output that came before there was a log to keep it in."""
    LOADED = 10
    """What loading the provider showed; the answer to a START with `only_load`, `rehook` or
    `preview`."""
    REHOOKED = 11
    """What the new hooks make of one log: `{log, error}` for one that cannot be read, else `{log,
    id, persona, turns, changed, counterfactual, diverged, seeded, by_hand, damaged, endings}`.
    `turns` are the replies that went through, `[session, turn, attempt]`; `changed` those of which
    something differs: `{session, turn, attempt, kinds, by_hand, raw, before, after, error,
    counterfactual}`. `diverged` has for each session with another outcome, after which it might
    have gone otherwise, `[session, seq of the first, number of counterfactual turns]`.
    Of a preview it is `{raw, before, after, error, failed}`; see `engine.preview`.
    """
    # either way
    OF = 16
    """A frame of one conversation of a worker, see `unpack_of()`: READY, FAILED, RECORD, DELTA,
    GATE, ACK, CATCH_UP and OUTPUT from it, and HEARTBEAT while it is watched; COMMAND to it."""
    # worker to driver
    ROWS = 17
    """`{rows: [[conversation, row], ...]}`: a `Row` of every conversation that changed since the
    last; at most every `ROWS_EVERY` seconds."""
    ENDED = 18
    """`{conversation, status, termination, log, totals, row}`: it is over and its log is closed;
    the last frame of this conversation. `status` is the exit status that `run` would end with.
    `termination` and `totals` (as in the trailer) are null where it could not begin."""
    USED = 19
    """`{calls: {key: {running, waiting, ok, throttled, retry_after}}}`: model calls by endpoint.
    `running` and `waiting` are as of now; `ok` and `throttled` (429) count since the last frame,
    `retry_after` is the longest wait in seconds that was asked for since then, or null. Sent at
    once on a 429, else with the rows, where something changed."""
    BLOCKED = 20
    """`{conversation, seconds, where}`: the code of a conversation does not give the event loop
    back, and delays all others; `where` is the developer's own line as `file:line in function`.
    Sent again while it lasts, and once with `seconds` 0 when it is over. `conversation` is null
    where it cannot be told."""
    # screen to engine
    START = 32
    """What to run; the first frame. See `engine.process`."""
    WARM = 34
    """`{}`: load what model calls need, in the background; may come before START."""
    COMMAND = 33
    """`{id, do, ...}`: a debugger command."""
    # driver to worker
    HOST = 35
    """`{env_file, moved?, expendable?}`: the first frame of a worker, in the place of START;
    answered with READY, whose `log` is null, or with FAILED. `moved` are pairs of paths, as they
    are named at home and where they stand in the worker (see `text.relocation`). One that is
    `expendable` ends at once when its pipe breaks: what it has begun is then run again elsewhere.
    """
    BEGIN = 36
    """`{conversation, spec}`: begins a conversation; `spec` is a `StartSpec`, `conversation` the
    driver's number, unique in the worker. Answered with READY or with FAILED and ENDED."""
    WATCH = 37
    """`{conversation, on}`: whether its RECORD and DELTA frames are sent; at first they are not.
    Switching them on is answered with GATE and then CATCH_UP: all records from the next one on
    follow as frames. To a process with one conversation, `{on}`: whether its endings are held."""
    FILTER = 38
    """`{expression}`: rows say from now on whether the conversation has a turn that a filter
    finds; empty ends that. One that is no filter finds nothing."""
    LIMITS = 39
    """`{limits: {key: n}}`: model calls that may run at once in this worker, by endpoint; without
    an entry there is no limit."""


FAULTS: Final[dict[str, str]] = {
    "timeout": "no end of the reply within the turn's time",
    "429": "too many requests",
    "500": "the endpoint fails",
    "empty": "a reply without text",
    "truncated": "the reply is cut in the middle: finish_reason length",
    "slow": "the reply comes late, piece by piece",
    "error_text": "a reply whose text is an error message",
    "drop": "the stream dies in the middle",
}
"""Faults that can be put into a call, each in words."""


class Commands:
    """Names of debugger commands (the `do` of a COMMAND frame) and their arguments."""

    PAUSE = "pause"
    RUN = "run"
    """Go on, breakpoints or not disregarded: `{}`."""
    STEP_TURN = "step_turn"
    STEP_STAGE = "step_stage"
    CONTINUE = "continue"
    """Go on to the next breakpoint (the same as run; kept apart for the record of intent)."""
    RELEASE = "release"
    """`{hold, choice, edits}`: answers a hold."""
    BREAK_ADD = "break_add"
    """`{expression}`, with what may stand before it (`once: ~end`); answered with `{breakpoint,
    breakpoints}`, as the other commands on breakpoints are with `{breakpoints}`: all that there
    are, each with `{breakpoint, expression, enabled, once, skip, passed, hits, text}`."""
    BREAK_REMOVE = "break_remove"
    """`{breakpoint}`."""
    BREAK_ENABLE = "break_enable"
    """`{breakpoint, enabled}`."""
    BREAK_CHANGE = "break_change"
    """`{breakpoint, expression}`: another in the place of one."""
    BREAK_LIST = "break_list"
    """`{}`."""
    TAKE_OVER = "take_over"
    """`{side}`: a human speaks for this side from the next turn boundary on."""
    HAND_BACK = "hand_back"
    """`{side}`."""
    INJECT = "inject"
    """`{fault, side, count, seconds, text}`: puts a fault (see `FAULTS`) into the next call of a
    side, by default the provider, for `count` attempts; without `fault` takes it back. Answered
    with `{armed}`: what waits, by side."""
    CANCEL = "cancel"
    """Cancels the call in flight, or the tools that run."""
    APPROVE_TOOLS = "approve_tools"
    """`{on}`: whether calls of tools wait for approval: true, false or a list of tools; answered
    with `{approve_tools}`."""
    GIVE_UP = "give_up"
    """`{reason}`: ends the conversation as `failed`, also where provider code blocks the engine."""
    STOP = "stop"
    """`{reason, after_turn}`: ends the conversation, `interrupted` by the human: here, or with
    `after_turn` after the turn in progress, if it is not held."""
    RELOAD_FAILED = "reload_failed"
    """`{error}`: a reload failed; for the record, the conversation stays as it is."""
    RETIRE = "retire"
    """`{continued_as}`: the conversation goes on in another log; closes this one and exits."""


def pack(kind: Kind, body: bytes) -> bytes:
    """One frame. Raises ValueError for a body over `MAX_FRAME`."""
    if len(body) > MAX_FRAME:
        raise ValueError(f"a frame of {len(body)} bytes is over the limit of {MAX_FRAME}")
    return _HEAD.pack(len(body), kind) + body


def json_body(**fields: Any) -> bytes:
    """The body of a JSON frame."""
    return _to_json(fields).encode()


def pack_json(kind: Kind, **fields: Any) -> bytes:
    """One frame with a JSON body."""
    return pack(kind, json_body(**fields))


def record_body(offset: int, line: bytes) -> bytes:
    """A record frame's body: the byte offset in the log at which the line stands, and the line."""
    return _OFFSET.pack(offset) + line


def unpack_record(body: bytes) -> tuple[int, bytes]:
    """The byte offset and the log line of a record frame's body."""
    return _OFFSET.unpack_from(body)[0], body[_OFFSET.size :]


def pack_of(conversation: int, kind: Kind, body: bytes) -> bytes:
    """A frame of one conversation of a worker. Raises ValueError for a body over `MAX_FRAME`."""
    return pack(Kind.OF, _OF.pack(conversation, kind) + body)


def unpack_of(body: bytes) -> tuple[int, Kind, bytes]:
    """The conversation's number, the kind and the body of the frame in an OF frame's body.

    Raises ValueError for an unknown kind or a body that is too short.
    """
    if len(body) < _OF.size:
        raise ValueError(f"a frame of a conversation has {len(body)} bytes, which is too short")
    number, kind = _OF.unpack_from(body)
    return number, Kind(kind), body[_OF.size :]


def read_frame(stream: BinaryIO) -> tuple[Kind, bytes] | None:
    """The next frame of a blocking stream, or None at its end (also in the middle of a frame).

    Raises ValueError for a length over `MAX_FRAME` or an unknown kind: the stream is not ours.
    """
    head = _read_exactly(stream, _HEAD.size)
    if head is None:
        return None
    length, kind = _HEAD.unpack(head)
    if length > MAX_FRAME:
        raise ValueError(f"a frame announces {length} bytes: this is not the engine's pipe")
    body = _read_exactly(stream, length)
    return None if body is None else (Kind(kind), body)


def _read_exactly(stream: BinaryIO, size: int) -> bytes | None:
    parts: list[bytes] = []
    while size:
        part = stream.read(min(size, 1 << 20))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


_FACTS: Final = ("category", "hook", "status", "retry_after", "objects_to", "consent")


def describe_error(
    error: BaseException, *, redact: Callable[[str], str] = str, frames: tuple[str, ...] = ()
) -> dict[str, Any]:
    """An error as it is written into records and frames.

    `{type, message, category?, hook?, frames?, location?, status?, retry_after?, objects_to?,
    consent?, causes?}`; `frames` are the developer's own traceback lines, `consent` is what has to
    be asked before anything is run. `causes` is there where more than one exception is behind it:
    `{type, message, frames?}` of each, the first to have happened first.
    """
    from convtui.text.causes import causes, frames_behind, text_of
    from convtui.text.tracebacks import frames_of

    own = frames_behind(error) or frames
    ours = isinstance(error, ConvtuiError)
    message = getattr(error, "message", None) if ours else _in_words(error)
    data: dict[str, Any] = {
        "type": type(error).__name__,
        "message": redact(str(message or text_of(error))),
    }
    for name in _FACTS if ours else ():
        value = getattr(error, name, None)
        if value is not None:
            data[name] = value
    location = getattr(error, "location", None) if ours else None
    if location:
        data["location"] = list(location)
    if own:
        data["frames"] = [redact(frame) for frame in own]
    behind = causes(error)[:_CAUSES]
    if behind:
        data["causes"] = [
            {
                "type": type(cause).__name__,
                "message": redact(text_of(cause)),
                **({"frames": lines} if (lines := list(map(redact, frames_of(cause)))) else {}),
            }
            for cause in behind
        ]
    return data


def _in_words(error: BaseException) -> str:
    """The message of a foreign exception; its type is shown beside it."""
    from convtui.text.causes import describe, roots, text_of

    return text_of(error) if roots(error)[0] is error else describe(error)


RowState = Literal["starting", "running", "held", "waiting", "over"]
"""What a hosted conversation is doing; `waiting` is for a model call to be made (again)."""


class Row(TypedDict):
    """A conversation of a worker, as a list of many shows it."""

    state: RowState
    session: int | None
    turn: int | None
    """Number within the session."""
    side: str | None
    words: str
    """The last words said, at most `ROW_WORDS` characters; redacted, but as hostile as any text."""
    turns: int
    """Committed turns of all sessions."""
    signals: int
    last_signal: str | None
    discards: int
    flags: int
    """Number of turns with which something is amiss, besides signals and discards."""
    tokens: int | None
    """Of all sides; None while no usage is known."""
    cost: float | None
    """US dollars."""
    hold: dict[str, Any] | None
    """As in a GATE frame."""
    wait: float | None
    """Seconds left before another attempt."""
    why: str
    """What it waits for."""
    termination: dict[str, Any] | None
    match: bool | None
    """Whether the filter finds a turn; None without a filter."""


ROW_WORDS: Final = 160
"""Characters of the last words that a row has."""


@dataclass(slots=True)
class ContinueFrom:
    """Which log to continue, from where, and what changes."""

    log: str
    """Path of the parent log."""
    seq: int | None = None
    """The last record of the parent that counts; None means its end."""
    kind: str = "resume"
    """resume, restart, reload, rewind, fork, go_on, compress: what the user asked for."""
    reuse_reply: bool = True
    """Whether a raw reply that was received but not committed re-enters at `signals`."""
    held: bool = False
    """Whether the new engine holds where the old one stood."""
    stage: str | None = None
    """The stage at which it stood; those before it are passed without holding."""
    restored_by: str | None = None
    """How the provider was last brought to an earlier point, where the parent log may not say."""
    clock: dict[str, float] | None = None
    """What had passed, `{running, held}` in seconds, where the log does not say it: a hold is there
    with its beginning only."""
    stop: bool = False
    """Whether nothing is said in the new log: it only stands where the conversation goes on."""


@dataclass(slots=True)
class AttemptSpec:
    """Another attempt at a conversation that ended otherwise than it should have."""

    number: int
    """Of this attempt, from 2."""
    parent: dict[str, Any]
    """The log of the attempt before, `{id, file, seq, sha256}`."""
    material: str = ""
    """What was said there and how it ended, for a model to reflect on; empty: no reflection."""
    model: str | None = None
    """The litellm model that reflects; None: the provider's own."""
    reflections: list[dict[str, Any]] = field(default_factory=list)
    """Those of earlier attempts, as fields of `reflection.added`."""


REHOOK_CURSOR: Final = "@ii"
"""Where a rehook stands, in a file that both processes map: index of the log, index of the reply
(-1: none yet); a log of -1 is the end."""


@dataclass(slots=True)
class RehookSpec:
    """Logs whose raw replies go through the provider's hooks again."""

    logs: list[str]
    """Absolute paths."""
    cursor: str
    """A file of the size of `REHOOK_CURSOR`, kept up to date."""
    only: str = ""
    """A filter: the turns that are told of; all go through."""
    first: int = 0
    """The log to begin with."""
    failed: list[dict[str, Any]] = field(default_factory=list)
    """Replies that have ended an engine before, `{log, reply, error}`: not tried again."""
    setup: bool = False
    """Whether `setup()` is called before, and `cleanup()` after."""
    until: list[int | None] = field(default_factory=list)
    """For each log the last record that counts, None for all; empty where all logs are whole."""


@dataclass(slots=True)
class PreviewSpec:
    """One turn whose raw reply goes through the provider's hooks again."""

    records: list[dict[str, Any]]
    """The log's header, and the records of the turn."""
    verdict: bool | None = None
    """What `should_discard_response` had said, where that is known and on no record yet."""
    setup: bool = False
    """Whether `setup()` is called before, and `cleanup()` after."""


@dataclass(slots=True)
class StartSpec:
    """Everything an engine process needs to run one conversation."""

    scenario: dict[str, Any]
    """As `Scenario.public()` gives it, secrets included where the user wrote them in a file."""
    out_dir: str
    """Folder of the log; created when missing."""
    log_name: str | None = None
    """Name of the log without `.jsonl`; `-2` and so on is added where there is such a file already.
    None: made of the time, both sides and the id."""
    watched: bool = False
    """Whether somebody can answer holds; otherwise `on_pause` does."""
    hold_endings: bool = True
    """Whether, where it is watched, every ending holds before it is written, so that it can be
    overridden. Without this only while somebody sees its records (`Kind.WATCH`); a signal that
    pauses holds all the same."""
    paused: bool = False
    """Whether to hold before the first turn."""
    on_pause: str = "end"
    """`end` or `continue`: what happens to a hold that nobody watches."""
    breakpoints: list[str] | None = None
    """In place of those of the scenario; None: the scenario's."""
    wire: str = "last"
    """`last` (the last 50 exchanges and every failure), `all` or `off`."""
    speed: float = 1.0
    """How fast the demo speaks; 0 is "at once"."""
    trust: bool = False
    """Whether whatever a log names may be run, whoever wrote it."""
    vouched: list[str] = field(default_factory=list)
    """What of a continued scenario the user has named or agreed to: keys of
    `convtui.trust.rules.Item`. Without a log to go on from all of the scenario is the user's."""
    env_file: str | None = None
    faults: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Faults that are armed from the beginning, by side, as the answer to `Commands.INJECT` lists
    them."""
    continue_from: ContinueFrom | None = None
    attempt: AttemptSpec | None = None
    """Which attempt it is, where it is not the first."""
    only_load: bool = False
    """Loads the provider, tells what it is, and ends: no conversation, no log."""
    rehook: RehookSpec | None = None
    """Loads the provider and runs its hooks over logs: no conversation, no log of its own."""
    preview: PreviewSpec | None = None
    """Loads the provider and runs its hooks over one reply: no conversation, no log."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data for a START frame; texts, lists and mappings are shared with this, not copied.

        A batch begins thousands of conversations with the same scenario.
        """
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            name: asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
            for name, value in values.items()
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> StartSpec:
        """The reverse of `as_dict()`."""
        values = dict(data)
        parent = values.pop("continue_from", None)
        attempt = values.pop("attempt", None)
        rehook = values.pop("rehook", None)
        preview = values.pop("preview", None)
        return cls(
            **values,
            continue_from=ContinueFrom(**parent) if parent else None,
            attempt=AttemptSpec(**attempt) if attempt else None,
            rehook=RehookSpec(**rehook) if rehook else None,
            preview=PreviewSpec(**preview) if preview else None,
        )
