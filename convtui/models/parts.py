"""Messages and parts of messages as chat APIs write them: text, reasoning, and what is neither.

Content is a string, or a list of parts, or nested lists of them, depending on who wrote it. Text is
taken from wherever it stands; a part that is no text is kept with its name, its long data cut to a
size and a digest.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from convtui.models.base import Delta
from convtui.models.calls import ToolCallDelta

_TEXT: Final = {"text", "output_text", "input_text"}
_REASONING: Final = {
    "thinking", "thought", "reasoning", "reasoning_text", "reasoning_content", "reasoning.text",
    "reasoning.summary", "summary_text",
}  # fmt: skip
_REASONING_KEYS: Final = (
    "thinking",
    "reasoning",
    "reasoning_content",
    "text",
    "summary",
    "content",
)
_REASONING_FIELDS: Final = (
    "reasoning_content", "reasoning", "thinking", "thinking_blocks", "reasoning_details",
)  # fmt: skip
"""Where a message has its reasoning. Some endpoints write it in several of these: the first that
says something counts."""
_KEPT_TEXT: Final = 1_000
_DATA: Final = re.compile(r"(?:data:[^,]{0,100},)?[A-Za-z0-9+/=_-]{120,}\Z")
_DEEP: Final = 12


@dataclass(slots=True)
class Content:
    """The text, reasoning and other parts of a message's content."""

    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    parts: list[dict[str, Any]] = field(default_factory=list)
    refused: bool = False

    def add(self, value: Any, depth: int = 0) -> None:
        """Adds a string, a part, or a list of them."""
        if isinstance(value, str):
            self.text.append(value)
        elif isinstance(value, Mapping):
            self._part(value)
        elif isinstance(value, (list, tuple)) and depth < _DEEP:
            for item in value:
                self.add(item, depth + 1)
        elif value is not None:
            self.parts.append({"type": type(value).__name__, "value": _short(value)})

    def _part(self, part: Mapping[str, Any]) -> None:
        kind = part_type(part)
        if kind in _REASONING or part.get("thought") is True:
            reasoning = reasoning_text(part)
            if reasoning:
                self.reasoning.append(reasoning)
                return
        elif kind in _TEXT or kind == "refusal":
            text = _text_of(part.get("refusal") if "refusal" in part else part.get("text"))
            if text is not None:
                self.text.append(text)
                self.refused = self.refused or (kind == "refusal" and bool(text))
                return
        self.keep(kind, part)

    def keep(self, kind: str, part: Any) -> None:
        """Keeps a part that is not text."""
        fields = _short(part) if isinstance(part, Mapping) else {"value": _short(part)}
        self.parts.append({**fields, "type": kind})


def part_type(part: Mapping[str, Any]) -> str:
    """The type of a part, guessed from its keys where it names none."""
    kind = part.get("type")
    if isinstance(kind, str) and kind.strip():
        return kind.strip()[:80]
    for name in ("refusal", "text", "thinking"):
        if isinstance(part.get(name), str):
            return name
    return next((str(name)[:80] for name in part if name != "type"), "unknown")


def reasoning_text(value: Any, depth: int = 0) -> str:
    """The readable reasoning in a string, a block of thinking, or a list of such."""
    if isinstance(value, str):
        return value
    if depth > _DEEP:
        return ""
    if isinstance(value, (list, tuple)):
        return "".join(reasoning_text(item, depth + 1) for item in value)
    if isinstance(value, Mapping):
        for name in _REASONING_KEYS:
            text = reasoning_text(value.get(name), depth + 1)
            if text:
                return text
    return ""


def message_delta(message: Mapping[str, Any], *, legacy_call: bool = True) -> Delta:
    """A message, or the delta of one, as chat APIs write it.

    A legacy `function_call` counts where there are no `tool_calls`, unless `legacy_call` is false.
    """
    content = Content()
    content.add(message.get("content"))
    refusal = _text_of(message.get("refusal"))
    if refusal:
        content.text.append(refusal)
        content.refused = True
    elif message.get("refusal"):
        content.keep("refusal", message["refusal"])
    reasoning = next((t for n in _REASONING_FIELDS if (t := reasoning_text(message.get(n)))), "")
    audio = message.get("audio")
    if isinstance(audio, Mapping) and not "".join(content.text).strip():
        # What is spoken in it is the reply, in words.
        content.text.append(_text_of(audio.get("transcript")) or "")
    for name in ("images", "audio"):
        value = message.get(name)
        for item in value if isinstance(value, (list, tuple)) else [value] if value else ():
            kind = part_type(item) if isinstance(item, Mapping) and item.get("type") else name
            content.keep(kind, item)
    calls = call_pieces(message.get("tool_calls"))
    if not calls and legacy_call:
        calls = call_pieces(message.get("function_call"))
    return Delta(
        text="".join(content.text),
        reasoning=reasoning + "".join(content.reasoning),
        tool_calls=calls,
        refused=content.refused,
        parts=tuple(content.parts),
    )


def call_pieces(value: Any) -> tuple[ToolCallDelta, ...]:
    """The pieces of tool calls in a list as chat APIs write it, or in one call alone."""
    if isinstance(value, (Mapping, ToolCallDelta)):
        value = [value]
    if not isinstance(value, (list, tuple)):
        return ()
    return tuple(piece for item in value if (piece := _call_piece(item)) is not None)


def _call_piece(item: Any) -> ToolCallDelta | None:
    if not isinstance(item, Mapping):
        return None
    function = item.get("function")
    inner = function if isinstance(function, Mapping) else item
    name, call_id = inner.get("name"), item.get("id")
    piece = ToolCallDelta(
        index=call_index(item.get("index")),
        id=str(call_id) if call_id not in (None, "") else None,
        name=str(name) if name not in (None, "") else None,
        arguments=arguments_text(inner.get("arguments", inner.get("args"))),
    )
    return None if piece == ToolCallDelta(index=piece.index) else piece


def call_index(value: Any) -> int | None:
    """The index of a call, also where a server writes it as text."""
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if math.isfinite(value) else None


def arguments_text(value: Any) -> str:
    """Arguments as JSON text; some servers write the object itself."""
    if value is None or isinstance(value, str):
        return value or ""
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return str(value)


def _text_of(value: Any) -> str | None:
    """A text, also where it is wrapped as `{"value": ...}`; None for anything else."""
    if isinstance(value, Mapping):
        value = value.get("value")
    return value if isinstance(value, str) else None


def _short(value: Any, depth: int = 0) -> Any:
    """`value` as JSON, its long data cut to a size and a digest."""
    if isinstance(value, str):
        return _short_text(value)
    if isinstance(value, (bytes, bytearray)):
        return f"({len(value):,} bytes, sha256 {_digest(bytes(value))})"
    if isinstance(value, bool) or value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth > _DEEP:
        return "..."
    if isinstance(value, Mapping):
        return {str(name)[:200]: _short(item, depth + 1) for name, item in _first(value.items())}
    if isinstance(value, (list, tuple)):
        return [_short(item, depth + 1) for item in _first(value)]
    return f"({type(value).__name__})"


def _first(items: Iterable[Any]) -> list[Any]:
    return list(items)[:100]


def _short_text(text: str) -> str:
    data = _DATA.match(text[:_KEPT_TEXT]) is not None
    if len(text) <= _KEPT_TEXT and not data:
        return text
    digest = _digest(text.encode("utf-8", "surrogatepass"))
    head = text[: text.index(",") + 1 if text.startswith("data:") and "," in text[:120] else 40]
    return f"{head}... ({len(text):,} characters, sha256 {digest})"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
