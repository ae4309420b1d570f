"""How long an endpoint asks to be left alone, in every form in which endpoints say so."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

_IN_MILLISECONDS = ("retry-after-ms", "x-ms-retry-after-ms")
_RESET = re.compile(r"(?:x-|anthropic-)?ratelimit(?:-(?P<before>\w+))?-reset(?:-(?P<after>\w+))?")
_NUMBER = r"\d{1,12}(?:\.\d{1,9})?"
_UNIT = r"ms|milliseconds?|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d"
_PART = re.compile(rf"({_NUMBER})\s?({_UNIT})", re.IGNORECASE)
_SPAN = rf"{_NUMBER}\s?(?:{_UNIT})(?:(?:[\s,]|and\s){{0,3}}{_NUMBER}\s?(?:{_UNIT})){{0,4}}"
_DURATION = re.compile(_SPAN, re.IGNORECASE)
_ISO = re.compile(r"P(?:\d+D)?(?:T(?=\d)(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?", re.IGNORECASE)
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_IN_WORDS = re.compile(
    r"(?:(?:try again|retry|wait|available)(?: \w+){0,2} (?:in|after|for|another)"
    r"|(?:please )?wait|retry[_ -]?(?:delay|after)(?:_seconds)?[\"']?\s*[:=])\s*[\"']?"
    rf"(?:(?P<span>{_SPAN})\b|(?P<seconds>{_NUMBER})(?=[\"']?\s*(?:[,}}]|$)))",
    re.IGNORECASE,
)
"""How messages say it: "try again in 3m20s", `"retryDelay": "41s"`."""
_WEEKDAY = re.compile(r"(?=\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*[ ,])")
_EPOCH = 1e9
"""Numbers from here on may be a point in time, in seconds since 1970 (or milliseconds)."""
_EPOCH_MS = 1e11
_DAY = 86400.0
_LOOKED_AT = 10_000


def retry_after(headers: Mapping[str, Any], *, now: datetime | None = None) -> float | None:
    """Seconds to wait as an answer's headers say; None where they say nothing that makes sense.

    `retry-after-ms` counts before `retry-after` (seconds, or a date), and that before the reset of
    a rate limit that is used up. Of several values the longest counts. A date is compared with the
    endpoint's own clock where there is a `date`. Never negative; there is no upper limit here.
    """
    lower = {str(name).lower(): str(value) for name, value in headers.items()}
    now = now or _date(lower.get("date", "")) or datetime.now(UTC)
    for name in _IN_MILLISECONDS:
        milliseconds = _seconds(lower.get(name, ""), now)
        if milliseconds is not None:
            return milliseconds / 1000
    seconds = _seconds(lower.get("retry-after", ""), now)
    return seconds if seconds is not None else _reset(lower, now)


def seconds_of(value: object) -> float | None:
    """Seconds to wait as code says: a number, a timedelta, a date, or the text of a header."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, timedelta):
        return max(value.total_seconds(), 0.0)
    if isinstance(value, datetime):
        return _until(value, datetime.now(UTC))
    try:
        return _seconds(str(value), datetime.now(UTC))
    except Exception:  # noqa: BLE001 - whatever somebody's __str__ does
        return None


def asked_by(error: BaseException) -> float | None:
    """Seconds that an error asks to wait: its `retry_after`, or the headers of its answer."""
    seconds = seconds_of(getattr(error, "retry_after", None))
    if seconds is not None:
        return seconds
    for source in (error, getattr(error, "response", None)):
        for name in ("litellm_response_headers", "headers"):
            headers = getattr(source, name, None)
            if isinstance(headers, Mapping) and (from_headers := retry_after(headers)) is not None:
                return from_headers
    return None


def asked_in(text: str) -> float | None:
    """Seconds to wait as the text of an error says; None where it says nothing."""
    match = _IN_WORDS.search(text[:_LOOKED_AT])
    if match is None:
        return None
    return _span(match["span"]) if match["span"] else float(match["seconds"])


def _seconds(text: str, now: datetime) -> float | None:
    """The longest of one header's values."""
    parts = [part.strip(" ,") for part in _WEEKDAY.split(text)]
    values = [_value(part, now) for part in parts]
    if values == [None]:
        values = [_value(part.strip(), now) for part in text.split(",")]
    return max((value for value in values if value is not None), default=None)


def _value(text: str, now: datetime) -> float | None:
    try:
        number = float(text)
    except ValueError:
        if _DURATION.fullmatch(text) or (len(text) > 1 and _ISO.fullmatch(text)):
            return _span(text)
        when = _date(text)
        return None if when is None else _until(when, now)
    if not math.isfinite(number) or "_" in text:
        return None
    since_1970 = number / 1000 if number >= _EPOCH_MS else number
    if number >= _EPOCH and since_1970 > now.timestamp() - _DAY:
        return max(since_1970 - now.timestamp(), 0.0)
    return max(number, 0.0)


def _span(text: str) -> float:
    """The seconds of a text such as `1m30s`, `2 minutes` or `PT2M`."""
    return sum(
        float(size)
        * (0.001 if unit.lower().startswith(("ms", "milli")) else _UNITS[unit[0].lower()])
        for size, unit in _PART.findall(text)
    )


def _until(when: datetime, now: datetime) -> float:
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max((when - now).total_seconds(), 0.0)


def _date(text: str) -> datetime | None:
    """A date as RFC 7231 has them (three forms), or as RFC 3339; None for anything else."""
    if not any(char.isdigit() for char in text) or len(text) > 64:
        return None
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            return None
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)


def _reset(headers: Mapping[str, str], now: datetime) -> float | None:
    """The reset of the limits that are used up; limits with something left do not count."""
    waits = []
    for name, text in headers.items():
        match = _RESET.fullmatch(name)
        if match is None:
            continue
        remaining = headers.get(name.replace("reset", "remaining"), "0").strip()
        seconds = _seconds(text, now)
        if seconds is not None and remaining in ("", "0"):
            waits.append(seconds)
    return max(waits, default=None)
