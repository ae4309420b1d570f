"""The records of a log with everything masked that people say; what says how to read them stays."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from convtui.log.requests import canonical
from convtui.secrets.names import words
from convtui.secrets.redactor import Redactor, moved
from convtui.secrets.shapes import Span

_STRUCTURE: Final = words("""
    type format version created_at closed_at origin side speaker first_speaker outcome hook stage
    kind by finish_reason mode stream scope what field choice error_kind would_have draft interim
    incomplete simulator seal sha256
""")
"""Fields of records whose texts are from a list of ours, and say how to read the record."""
_PARTS: Final[Mapping[str, frozenset[str]]] = {
    "termination": frozenset({"kind", "by"}),
    "provider": frozenset({"kind"}),
    "change": frozenset({"kind"}),
    "append": frozenset({"role"}),
    "messages": frozenset({"role"}),
    "turns": frozenset({"speaker", "status"}),
    "ended": frozenset({"kind", "by"}),
    "flags": frozenset({"flag", "rule"}),
    "matches": frozenset({"inside"}),
    "signals": frozenset({"inside"}),
    "hooks": words("""
        setup cleanup prepare_sessions enter_session finish_and_reset_session generate_response
        respond extract_signals post_process_response should_discard_response restore
    """),
}
"""The same in what some fields hold, at any depth."""
_DATA: Final = frozenset(
    {"arguments", "result", "metadata", "data", "source", "append", "messages"}
)
"""Fields with data of tools and programs, in which numbers are content, too."""
_WRONG_SHAPE: Final = (LookupError, TypeError, ValueError, AttributeError)
"""What comes of reading a record that is not as its type says."""
_Place = tuple[Any, Any, Any]


@dataclass(slots=True)
class _Chain:
    """A request's messages as running digests, after each of them."""

    seq: Any = None
    hashes: list[Any] = field(default_factory=list)
    changed: bool = False


class MaskedRecords:
    """Masks the records of one log, in their order; spans of signals move with the text."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._raw: dict[_Place, dict[Any, list[Span]]] = {}
        """What was masked in the raw replies of a turn, by round; None is the last one."""
        self._chains: dict[Any, _Chain] = {}
        """The last request of each side."""

    def mask(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The record without secrets. It is read, never changed."""
        masked = {
            key: value if key in _STRUCTURE and isinstance(value, str) else self._part(key, value)
            for key, value in record.items()
        }
        try:
            self._move(record, masked)
            if record.get("type") == "llm.request" and isinstance(masked.get("append"), list):
                self._digest(record, masked)
        except _WRONG_SHAPE:
            # Of a damaged record what it says is masked; where signals stood is not known any more.
            self._chains.clear()
        if record.get("type") == "header":
            # It vouches for the header as it was.
            masked.pop("seal", None)
        return masked

    def _part(self, key: str, value: Any) -> Any:
        if not isinstance(value, (str, list, dict)):
            return value
        if key in _DATA:
            value = self._numbers(value)
        masked = self._redactor.data({key: value}).get(key, value)
        kept = _PARTS.get(key)
        return _with_structure(value, masked, kept) if kept else masked

    def _numbers(self, value: Any) -> Any:
        """Data with the numbers masked that the redactor takes for something."""
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            text = str(value)
            masked = self._redactor.text(text)
            return value if masked == text else masked
        if isinstance(value, Mapping):
            return {key: self._numbers(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._numbers(item) for item in value]
        return value

    def _digest(self, record: Mapping[str, Any], masked: dict[str, Any]) -> None:
        """Makes the digest of a request that of its messages as they are now."""
        base, keep, side = record.get("base"), record.get("keep") or 0, record.get("side")
        chain = self._chains.get(side) if base is not None else _Chain()
        if chain is None or (base is not None and chain.seq != base) or keep > len(chain.hashes):
            self._chains.pop(side, None)
            return
        chain.changed = (chain.changed and keep > 0) or masked["append"] != record["append"]
        del chain.hashes[keep:]
        for message in masked["append"]:
            running = chain.hashes[-1].copy() if chain.hashes else hashlib.sha256(b"[")
            running.update(b"," * bool(chain.hashes) + canonical(message))
            chain.hashes.append(running)
        chain.seq = record.get("seq")
        self._chains[side] = chain
        if chain.changed:
            whole = chain.hashes[-1].copy() if chain.hashes else hashlib.sha256(b"[")
            whole.update(b"]")
            masked["sha256"] = whole.hexdigest()

    def _move(self, record: Mapping[str, Any], masked: dict[str, Any]) -> None:
        kind = record.get("type")
        place = record.get("session"), record.get("turn"), record.get("side")
        if kind == "llm.response" and isinstance(record.get("raw"), str):
            spans = self._redactor.spans(record["raw"])
            rounds = self._raw.setdefault(place, {})
            rounds[record.get("round") or 1] = rounds[None] = spans
        elif kind == "debug.edited" and record.get("field") == "raw":
            self._raw.setdefault(place, {})[None] = self._redactor.spans(str(record.get("after")))
        elif kind == "signals.extracted":
            self._move_all(masked.get("matches"), place)
        elif kind == "turn.discarded":
            self._move_all(masked.get("signals"), place)
        elif kind == "turn.committed" and isinstance(record.get("text"), str):
            _moved(masked.get("flags"), self._redactor.spans(record["text"]))

    def _move_all(self, matches: Any, place: _Place) -> None:
        rounds = self._raw.get(place, {})
        for match in matches if isinstance(matches, list) else ():
            if isinstance(match, dict):
                _moved([match], rounds.get(match.get("round"), []))


def _with_structure(before: Any, after: Any, kept: frozenset[str]) -> Any:
    """`after` with the values of `before` in the fields that are kept."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        if len(before) != len(after):
            return after  # two masked keys became one
        pairs = zip(before.items(), after.items(), strict=True)
        return {
            key if key in kept else shown: (
                item
                if key in kept and isinstance(item, str)
                else _with_structure(item, value, kept)
            )
            for (key, item), (shown, value) in pairs
        }
    if isinstance(before, list) and isinstance(after, list):
        return [_with_structure(*pair, kept) for pair in zip(before, after, strict=True)]
    return after


def _moved(matches: Any, spans: list[Span]) -> None:
    for match in matches if isinstance(matches, list) and spans else ():
        for name in ("start", "end"):
            if isinstance(match, dict) and isinstance(match.get(name), int):
                match[name] = moved(match[name], spans)
