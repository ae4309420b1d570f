"""Times that files tell: whatever they say, what comes of it can be shown, moved and compared."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

EPOCH = datetime.fromtimestamp(0, UTC)
_FIRST, _LAST = datetime(2, 1, 1, tzinfo=UTC), datetime(9998, 12, 31, tzinfo=UTC)


def parse_time(text: str | None) -> datetime | None:
    """The time that an RFC 3339 text names, in UTC; None for what names none.

    A time without an offset is taken to be UTC. The first year, which is how Go writes "never", and
    the last, which no time zone may be added to, name none.
    """
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at if 1 < at.year < 9999 else None


def parse_zoned_time(text: str) -> datetime | None:
    """As `parse_time()`; None for a time without an offset, too."""
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            return None
        at = at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at if 1 < at.year < 9999 else None


def has_offset(text: str) -> bool:
    """Whether a text is a time with a time zone."""
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


NO_ZONE = "none"
"""What stands for the time zone of a time that does not name one: it is taken to be UTC."""


def zone_of(text: str | None) -> str | None:
    """`NO_ZONE` for a time that names no time zone, and nothing for any other text."""
    return NO_ZONE if text and parse_time(text) is not None and not has_offset(text) else None


def later(at: datetime, seconds: float) -> datetime:
    """The time `seconds` after `at`; `at` itself where that is out of range."""
    try:
        moved = at + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        return at
    return moved if 1 < moved.year < 9999 else at


def time_of_stamp(seconds: float) -> datetime:
    """The time of a file's stamp, in UTC; the nearest that can be shown where a file system, or
    whoever packed the file, says something absurd."""
    try:
        at = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return _LAST if seconds > 0 else _FIRST
    return min(max(at, _FIRST), _LAST)


def local_day(at: object) -> date | None:
    """The user's own day of a time: a text, seconds since 1970, or a datetime; None for others.

    A time without a zone is taken to be local.
    """
    try:
        if isinstance(at, (int, float)):
            return datetime.fromtimestamp(at).date()
        if isinstance(at, str):
            at = datetime.fromisoformat(at)
        if isinstance(at, datetime):
            return (at.astimezone() if at.tzinfo else at).date()
    except (ValueError, OverflowError, OSError):
        pass
    return None
