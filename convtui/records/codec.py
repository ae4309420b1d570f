"""Records as plain JSON data: names, encoding, addresses. What readers and screens need of them.

Their fields by type are in `convtui.records.models`, which takes a tenth of a second to import.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal

FORMAT = "convtui"
VERSION = "1.1"
"""1.1: signals, heuristics and filters know what was said beside tool calls."""
MAJOR = 1

Side = Literal["persona", "provider", "responder", "reflection"]
Speaker = Literal["persona", "provider"]
TerminationKind = Literal[
    "completed",
    "early_termination",
    "discarded",
    "stopped",
    "abstained",
    "cap_exhausted",
    "max_turns",
    "word_limit",
    "budget",
    "interrupted",
    "failed",
]
TerminationBy = Literal["persona", "provider", "responder", "simulator", "human", "harness"]
Stage = Literal[
    "request", "response", "tools", "signals", "post_process", "discard", "commit", "terminate"
]
STAGES: tuple[Stage, ...] = (
    "request",
    "response",
    "tools",
    "signals",
    "post_process",
    "discard",
    "commit",
    "terminate",
)
HoldReason = Literal[
    "pause",
    "step",
    "breakpoint",
    "error",
    "budget",
    "empty",
    "error_text",
    "tool_approval",
    "human",
    "ending",
    "cannot_restore",
]
REFLEXION = "reflexion"
"""The kind of a header's `change` where the log is another attempt at its parent's conversation. It
begins anew: no turn of its parent's is in it."""
ENVELOPE = ("session", "turn", "side", "attempt", "round", "call", "revision")

RecordDict = dict[str, Any]
"""A record as plain JSON data."""


def compact_encoder(*, ensure_ascii: bool = False, sort_keys: bool = False) -> Callable[[Any], str]:
    """`json.dumps()` without white space, as a function of the data alone.

    The encoder of `json` makes one written in C for every call, which costs as much as a record.
    """
    try:
        from _json import encode_basestring, encode_basestring_ascii, make_encoder
    except ImportError:  # an interpreter that has them in Python only
        plain = json.JSONEncoder(
            ensure_ascii=ensure_ascii, sort_keys=sort_keys, separators=(",", ":")
        )
        return plain.encode
    text = encode_basestring_ascii if ensure_ascii else encode_basestring
    chunks = make_encoder(None, _refuse, text, None, ":", ",", sort_keys, False, True)
    return lambda data: "".join(chunks(data, 0))


def _refuse(value: Any) -> Any:
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


EXIT_CODES: dict[str, int] = {
    "completed": 0,
    "early_termination": 0,
    "stopped": 0,
    "cap_exhausted": 0,
    "max_turns": 0,
    "word_limit": 0,
    "failed": 3,
    "abstained": 3,
    "discarded": 3,
    "budget": 3,
    "interrupted": 3,
}


def exit_code(termination: dict[str, Any] | None) -> int:
    """The exit code of `run` for an ending: 130 when a human interrupted it."""
    if termination is None:
        return 3
    if termination.get("kind") == "interrupted" and termination.get("by") == "human":
        return 130
    return EXIT_CODES.get(str(termination.get("kind")), 3)


_to_json = compact_encoder()
_to_ascii_json = compact_encoder(ensure_ascii=True)
_scan = json.JSONDecoder().raw_decode


def encode(record: RecordDict) -> bytes:
    """One log line, newline included.

    UTF-8 as it is; text with lone surrogates is written with JSON escapes, which read back the
    same.
    """
    text = _to_json(record)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        return _to_ascii_json(record).encode() + b"\n"


def decode(line: bytes) -> RecordDict:
    """The record of one log line. Raises ValueError for what is not a JSON object in UTF-8."""
    # The scanner itself: finding out which encoding it is costs as much as the parsing.
    text = str(line, "utf-8", "surrogatepass")
    try:
        if text[:1] == "{":
            record, end = _scan(text)
            if end != len(text) and text[end:].strip():
                raise ValueError("more than one JSON value")
        else:
            record = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if not isinstance(record, dict):
        raise ValueError(f"a record must be an object, not {type(record).__name__}")
    return record


def fast_decoder() -> Callable[[bytes], RecordDict]:
    """`decode()` at several times the speed; its import pays off only for large files."""
    from msgspec.json import Decoder

    read = Decoder().decode

    def fast(line: bytes) -> RecordDict:
        try:
            record = read(line)
        except (ValueError, RecursionError):
            # It knows neither lone surrogates nor NaN, and has words of its own.
            return decode(line)
        return record if record.__class__ is dict else decode(line)

    return fast


def fast_encoder() -> Callable[[RecordDict], bytes]:
    """`encode()` at several times the speed, for plain data.

    That is what JSON knows, of the very types of Python's `json`. Numbers are the same ones, but
    an exponent may be spelled in another way, and it has none for those that `json` writes as NaN
    and Infinity.
    """
    from msgspec.json import Encoder

    write = Encoder().encode

    def fast(record: RecordDict) -> bytes:
        try:
            return write(record) + b"\n"
        except (ValueError, TypeError, OverflowError, RecursionError):
            # It knows neither lone surrogates nor large numbers.
            return encode(record)

    return fast


def address(record: RecordDict) -> str | None:
    """The turn address `session:turn` of a record, where it has one."""
    if record.get("turn") is None:
        return None
    return f"{record.get('session', 1)}:{record['turn']}"


def parse_address(text: str, *, session: int = 1) -> tuple[int, int]:
    """`2:7` as (2, 7); a bare number means `session`. Raises ValueError."""
    first, colon, second = text.partition(":")
    try:
        return (int(first), int(second)) if colon else (session, int(first))
    except ValueError:
        raise ValueError(f"not a turn address: {text!r} (write 2:7, or 7)") from None
