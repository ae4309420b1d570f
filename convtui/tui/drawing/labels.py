"""The texts for states, reasons and endings on the screens, in one module so that they agree."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from convtui.text.boundary import visible_line
from convtui.transcript.ending_words import ending_phrase

if TYPE_CHECKING:
    from convtui.records.codec import RecordDict

HOLD_REASONS: Final = {
    "pause": "paused by you",
    "step": "stepped here",
    "breakpoint": "breakpoint",
    "error": "an error",
    "budget": "the budget is used up",
    "empty": "the reply says nothing",
    "error_text": "the reply is the text of an error",
    "tool_approval": "a tool call needs approval",
    "human": "it is your turn to speak",
    "ending": "the session is about to end",
    "cannot_restore": "the provider cannot be brought back to this point",
}


def decision_text(record: RecordDict) -> str:
    """A decision's answer if it is a reply, else its reason; empty if it has neither."""
    answer = (record.get("arguments") or {}).get("answer")
    if record.get("kind") == "reply" and isinstance(answer, str):
        return answer
    return str(record.get("reason") or "")


def hold_location(hold: RecordDict) -> str:
    """Where a hold waits, such as `2:7 post_process`, as far as the record says."""
    stage = str(hold.get("stage", ""))
    if hold.get("turn") is None:
        return visible_line(stage, 24)
    return f"{hold.get('session') or 1}:{hold['turn']} {visible_line(stage, 24)}"


def hold_reason(hold: RecordDict) -> str:
    """Why the engine is holding."""
    reason = str(hold.get("reason", ""))
    label = HOLD_REASONS.get(reason, visible_line(reason, 40))
    detail = visible_line(str(hold.get("detail") or ""), 300)
    if detail.startswith(label) or (reason == "pause" and detail):
        return detail
    return f"{label}: {detail}" if detail else label


def ending(termination: dict[str, Any] | None) -> str:
    """A termination as text, such as `ended early by provider: <reason>`."""
    if not termination:
        return "no ending on record"
    reason = visible_line(str(termination.get("reason", "")), 200)
    text = ending_phrase(str(termination.get("kind", "")), str(termination.get("by", "")))
    return f"{text}: {reason}" if reason else text


def ending_role(kind: str) -> str:
    """The colour role of how something ended: red is for errors alone."""
    if kind in ("failed", "crashed", "damaged", "abstained"):
        return "error"
    return "warning" if kind in ("interrupted", "discarded") else "ok"


def age(then: datetime | None, now: datetime | None = None) -> str:
    """How long ago `then` was, in at most 8 characters."""
    if then is None:
        return ""
    seconds = ((now or datetime.now(UTC)) - then).total_seconds()
    if seconds < 60:
        return "just now"
    for size, unit in ((86400 * 7, "w"), (86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return ""


def error_lines(error: dict[str, Any] | None) -> tuple[str, list[str]]:
    """An error's message on one line, and the stack frames of the developer's own code."""
    if not error:
        return "", []
    message = visible_line(str(error.get("message", "")), 2000)
    kind = visible_line(str(error.get("type", "")), 80)
    frames = [
        visible_line(line, 300)
        for frame in error.get("frames") or ()
        for line in str(frame).splitlines()
        if line.strip()
    ]
    plain = kind in ("", "EngineError", "EngineDied", "ProviderLoadError", "ProviderError")
    if plain or message.startswith(kind):
        return message, frames
    return f"{kind}: {message}", frames


def error_location(error: dict[str, Any] | None) -> tuple[Path, int] | None:
    """The file and line that an error points at."""
    location = (error or {}).get("location")
    if isinstance(location, list | tuple) and len(location) == 2 and isinstance(location[1], int):
        return Path(str(location[0])), location[1]
    return None


def short_path(path: Path | str) -> str:
    """A path for display: relative to the working directory, or with `~`."""
    path = Path(path)
    for base, prefix in ((Path.cwd(), ""), (Path.home(), "~/")):
        if path.is_relative_to(base):
            return prefix + str(path.relative_to(base))
    return str(path)
