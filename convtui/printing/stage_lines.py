"""One line for every hook, call and lifecycle step: what `--debug` prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from convtui.printing.wording import parts_words, span
from convtui.records.codec import RecordDict
from convtui.text.boundary import one_line
from convtui.text.counts import counted
from convtui.text_checks.incomplete import in_words, reason_of


def stage_line(record: RecordDict) -> str | None:
    """A record of a stage or a hook in one line; None for other records."""
    describe = _LINES.get(str(record.get("type")))
    return describe(record) if describe is not None else None


def _seconds(value: Any) -> str:
    if not isinstance(value, (int, float)):
        return "duration unknown"
    return f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s"


def _step(name: str) -> Callable[[RecordDict], str]:
    def line(record: RecordDict) -> str:
        what = record.get("session_type") or record.get("next_session_type") or ""
        failed = record.get("error") or {}
        outcome = f" failed: {failed.get('message', '')}" if failed else ""
        return f"{name} {what} {_seconds(record.get('duration'))}".replace("  ", " ") + outcome

    return line


def _request(record: RecordDict) -> str:
    count = int(record.get("keep") or 0) + len(record.get("append") or ())
    model = f", {record['model']}" if record.get("model") else ""
    return f"request {counted(count, 'message')}{model}"


def _response(record: RecordDict) -> str:
    usage = record.get("usage") or {}
    parts = [f"response {_seconds(record.get('duration'))}"]
    if record.get("ttft") is not None:
        parts.append(f"first token {_seconds(record['ttft'])}")
    for name, word in (("prompt_tokens", "in"), ("completion_tokens", "out")):
        if isinstance(usage.get(name), int):
            parts.append(f"{counted(usage[name], 'token')} {word}")
    if record.get("finish_reason"):
        parts.append(str(record["finish_reason"]))
    reason = reason_of(record)
    if reason:
        text = in_words(reason, record.get("finish_reason"))
        parts.append(f"incomplete: {text}")
    elif record.get("refused"):
        parts.append("refusal")
    parts += parts_words(record)
    return ", ".join(parts)


def _retry(record: RecordDict) -> str:
    message = one_line(str((record.get("error") or {}).get("message", "")), 160)
    return f"retry {record.get('n')} in {_seconds(record.get('delay'))}: {message}"


def _failed(record: RecordDict) -> str:
    return f"failed: {one_line(str((record.get('error') or {}).get('message', '')), 160)}"


def _signals(record: RecordDict) -> str:
    matches = ", ".join(span(match) for match in record["matches"])
    return f"extract_signals{_hook(record)}: {matches or 'none'}"


def _processed(record: RecordDict) -> str:
    changed = "changed" if record.get("changed") else "unchanged"
    return f"post_process_response{_hook(record)}: {changed}"


def _hook(record: RecordDict) -> str:
    owner = "your hook" if record.get("hook") == "yours" else record.get("hook", "default")
    return f" ({owner}) {_seconds(record.get('duration'))}"


def _discarded(record: RecordDict) -> str:
    return f"{record.get('hook') or 'should_discard_response'}: discarded, {record.get('outcome')}"


def _tool(record: RecordDict) -> str:
    outcome = "ok" if record.get("ok") else f"failed ({record.get('error_kind')})"
    return f"tool {record.get('name')} {_seconds(record.get('duration'))}: {outcome}"


def _prepared(record: RecordDict) -> str:
    names = ", ".join(map(str, record.get("prepared") or ()))
    return f"prepare_sessions {_seconds(record.get('duration'))}: {names}"


def _ended(record: RecordDict) -> str:
    ending = record.get("termination") or {}
    if record.get("skipped"):
        return f"session skipped: {record['skipped']}"
    return f"terminate: {ending.get('kind')} by {ending.get('by')}"


_LINES: Final[Mapping[str, Callable[[RecordDict], str]]] = {
    "provider.setup": _step("setup"),
    "sessions.prepared": _prepared,
    "session.entered": _step("enter_session"),
    "session.reset": _step("finish_and_reset_session"),
    "reflection.added": lambda r: f"reflection on attempt {r.get('of')} ({r.get('model') or '?'})",
    "provider.restored": lambda r: f"restore ({r.get('mode')}) {_seconds(r.get('duration'))}",
    "provider.cleanup": _step("cleanup (provider)"),
    "user.closed": _step("user session closed"),
    "user.cleanup": _step("cleanup (user simulator)"),
    "llm.request": _request,
    "llm.response": _response,
    "llm.retry": _retry,
    "llm.failed": _failed,
    "tool.returned": _tool,
    "signals.extracted": _signals,
    "response.processed": _processed,
    "turn.discarded": _discarded,
    "turn.inactive": lambda r: f"inactive: {r.get('reason') or 'no more in the history'}",
    "turn.committed": lambda r: f"commit: {counted(r.get('words', 0), 'word')}",
    "user.decided": lambda r: f"decision: {r.get('kind')}",
    "debug.held": lambda r: f"held at {r.get('stage')}: {r.get('reason')}",
    "debug.released": lambda r: f"released: {r.get('choice')} by {r.get('by')}",
    "session.ended": _ended,
    "warning": lambda r: f"warning: {one_line(str(r.get('message', '')), 200)}",
    "provider.output": lambda r: f"{r.get('stream')}: {one_line(str(r.get('text', '')), 200)}",
}
