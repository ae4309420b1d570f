"""How the text of an error is told from a reply, and what metadata says of one.

Providers that catch everything hand on the exception's text, an endpoint's error body or a page of
a proxy as if it were their reply. Words like these count where a reply begins with them or is
nothing else: somebody who talks about errors, or shows one in a code block, makes none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

_LOOKED_AT: Final = 20_000
_SHORT: Final = 300
"""Characters up to which a reply may be nothing but an error in everyday words."""
_MOST: Final = 120

_HTTP: Final = (
    r"internal server error|bad gateway|service unavailable|gateway time-?out|too many requests"
    r"|unauthorized|forbidden|not found|bad request|payment required|request timeout"
)
_EXCEPTION: Final = (
    r"(?:[a-z_]\w*\.)*(?:[A-Z]\w*(?:Error|Exception|Timeout|Failure|Expired)|Timeout|Exception)\b"
)
_NAMED: Final = re.compile(rf"\W*{_EXCEPTION}\s*[:(]|\W{{0,4}}(?:ERROR|FATAL|EXCEPTION)\b(?:\W|$)")
"""An exception by its name, or a word that programs shout."""
_BEGINS: Final = re.compile(
    r"\W{0,4}(?:an?\s+)?(?:(?:unexpected|internal|unknown|fatal|api|llm|server|system|runtime"
    r"|connection|network|provider|model|upstream|http|openai|anthropic|azure|litellm)\s+)*"
    r"(?:error|exception)(?:\s+code)?(?:\s+\d{3})?\s*[:=]"
    r"|\W{0,4}error\s+\w+ing\b(?:\s+[\w./-]+){0,5}\s*[:\-–—]\s"
    r"|\W{0,4}error\s+(?:from|in|with|while|during|response)\b(?:\s+[\w./-]+){0,5}\s*:\s"
    r"|\W{0,4}(?:failed|unable)\s+to\s+(?:get|generate|fetch|call|reach|connect|process"
    r"|complete|obtain|create)\s+(?:\w+\s+){0,4}"
    r"(?:response|completion|reply|answer|request|model|endpoint|api|server|message)\b"
    r"[^.!?\n]{0,80}[:(]"
    r"|\W*(?:HTTP(?:/\d(?:\.\d)?)?|HTTP status|status(?:[ _]code)?|error code)\W{0,3}[45]\d\d\b"
    rf"|\W*[45]\d\d\b\W{{0,3}}(?:{_HTTP}|client error|server error)",
    re.IGNORECASE,
)
_EVERYDAY: Final = re.compile(
    r"\W{0,4}(?:(?:sorry|i'm sorry|apologies|oops)\W+)?"
    rf"(?:an? (?:\w+ )?error (?:has )?occurred|{_HTTP}|rate limit|quota exceeded"
    r"|(?:the )?(?:request|connection|model|server|operation) (?:has )?timed out"
    r"|timed? ?out|connection (?:refused|reset|error|aborted|closed)|all connection attempts failed"
    r"|(?:invalid|incorrect|missing) api key|something went wrong|upstream connect error"
    r"|no healthy upstream|(?:the )?server (?:is )?overloaded|overloaded_error|max retries exceeded"
    r"|\[object object\]$|undefined$)",
    re.IGNORECASE,
)
_TRACEBACK: Final = re.compile(
    r"^(?:Traceback \(most recent call last\)|Exception in thread |\s+at [\w.$<>]+\([\w.]+:\d+\)"
    r"|goroutine \d+ \[|thread '[^']{1,60}' panicked at)",
    re.MULTILINE,
)
_PAGE: Final = re.compile(r"\s*(?:<!doctype html|<html)\b", re.IGNORECASE)
_TITLE: Final = re.compile(r"<(title|h1)[^>]*>\s*(.{1,200}?)\s*</\1", re.IGNORECASE | re.DOTALL)
_PAGE_OF_ERROR: Final = re.compile(rf"\b[45]\d\d\b|{_HTTP}|error|denied|unavailable", re.IGNORECASE)
_FENCED: Final = re.compile(
    r"^ {0,3}(`{3,}|~{3,})[^\n]*\n.*?(?:^ {0,3}\1[`~]* *$|\Z)", re.DOTALL | re.MULTILINE
)

_FIELDS: Final = ("error", "errors", "exception", "error_message", "error_msg", "failure")
_STATUS: Final = ("status", "status_code", "http_status", "code", "error_code")
_BAD_WORDS: Final = frozenset({"error", "failed", "failure", "exception", "timeout"})


def error_in(text: str) -> str | None:
    """What in a reply looks like an exception or the text of an HTTP error; None: nothing does."""
    head = text[:_LOOKED_AT].lstrip("\ufeff")
    if not head.strip():
        return None
    body = _error_body(head)
    if body is not None:
        return body[:_MOST]
    page = _PAGE.match(head)
    if page is not None:
        title = _TITLE.search(head)
        words = title[2] if title is not None else head
        return _line(head, page.start()) if _PAGE_OF_ERROR.search(words) else None
    prose = _FENCED.sub("\n", head) if "```" in head or "~~~" in head else head
    match = _NAMED.match(prose) or _BEGINS.match(prose) or _TRACEBACK.search(prose)
    if match is None and len(prose) <= _SHORT:
        match = _EVERYDAY.match(prose)
    return None if match is None else _line(prose, match.start())


def error_in_metadata(metadata: Mapping[str, Any]) -> str | None:
    """What the metadata of a reply say of an error: `error`, a bad status and the like."""
    for name in _FIELDS:
        value = metadata.get(name)
        if value and value is not True:
            return f"metadata {name}: {_words(value)}"[:_MOST]
        if value is True:
            return f"metadata {name}: true"
    for name in _STATUS:
        value = metadata.get(name)
        number = _number(value)
        if number is not None and 400 <= number <= 599:
            return f"metadata {name}: {number}"
        if isinstance(value, str) and value.strip().casefold() in _BAD_WORDS:
            return f"metadata {name}: {value.strip()}"[:_MOST]
    for name in ("success", "ok"):
        if metadata.get(name) is False:
            return f"metadata {name}: false"
    return None


def _error_body(text: str) -> str | None:
    """The message of a JSON error body; None where a text is no such thing."""
    start = text.strip()
    if not (
        start.startswith("{")
        and re.match(
            r'\{\s*"(?:error|errors|detail|fault|message|status'
            r'|statusCode|code|type|object)"\s*:',
            start,
        )
    ):
        return None
    try:
        data = json.loads(start)
    except (ValueError, RecursionError):
        # One that was cut off.
        return start.partition("\n")[0] if re.match(r'\{\s*"errors?"\s*:', start) else None
    if not isinstance(data, dict):
        return None
    for name in ("error", "errors", "fault"):
        if data.get(name):
            return _words(data[name])
    status = next((n for key in (*_STATUS, "statusCode") if (n := _number(data.get(key)))), None)
    if "detail" in data and len(data) <= 3:
        return _words(data["detail"])
    if status is not None and 400 <= status <= 599:
        return _words(data.get("message") or data.get("title") or status)
    return None


def _words(value: Any) -> str:
    if isinstance(value, Mapping) and value.get("message"):
        value = value["message"]
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return " ".join(text.split())


def _number(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and re.fullmatch(r"\s*[1-5]\d\d\s*", value):
        return int(value)
    return None


def _line(text: str, start: int) -> str:
    line = text[start:].lstrip().partition("\n")[0]
    return line.strip()[:_MOST]
