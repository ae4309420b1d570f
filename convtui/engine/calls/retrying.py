"""When a failed call is made again, how long that waits, and when the wait is too long."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from typing import Any

from convtui.errors import WORTH_ANOTHER_ATTEMPT, ConversationError, ProviderError
from convtui.models.retry import full_jitter
from convtui.models.waits import asked_by
from convtui.text.boundary import one_line, span_of_time
from convtui.text.causes import chain


@dataclass(slots=True, frozen=True)
class RetryRules:
    """How often and how long: full jitter between 0 and `base_delay * 2**n`, capped."""

    attempts: int = 4
    base_delay: float = 0.75
    """Seconds."""
    max_delay: float = 8.0
    """Seconds."""
    max_wait: float = 60.0
    """Seconds: what an endpoint asks for is waited up to here."""

    def delay(self, n: int, error: BaseException | None) -> float:
        """Seconds to wait after attempt `n` failed; what the endpoint asked for is honoured."""
        asked = None if error is None else asked_by(error)
        if asked is None:
            asked = full_jitter(n, self.base_delay, self.max_delay)
        return min(asked, self.max_wait)

    def allows_another(self, n: int, error: BaseException) -> bool:
        """Whether there is another attempt after attempt `n` failed with `error`."""
        return (
            isinstance(error, WORTH_ANOTHER_ATTEMPT)
            and n < self.attempts
            and self.asks_too_long(error) is None
        )

    def asks_too_long(self, error: BaseException) -> float | None:
        """Seconds that an error asks to wait, where that is more than may be waited."""
        asked = asked_by(error)
        return asked if asked is not None and asked > self.max_wait else None

    def too_long(self, error: BaseException) -> str:
        """The same in words; empty where nobody asks for too long a wait."""
        asked = self.asks_too_long(error)
        if asked is None:
            return ""
        who = "provider" if isinstance(error, ProviderError) else "endpoint"
        limit = f"{self.max_wait:g} s"
        return f"the {who} asks to wait {span_of_time(asked)}, more than retry.max_wait ({limit})"

    def final(self, error: ConversationError) -> ConversationError:
        """The error with which a call fails: it says so where the wait would be too long."""
        words = self.too_long(error)
        if not words:
            return error
        fuller = with_words(error, words)
        fuller.asks_to_wait = self.asks_too_long(error)
        return fuller


def with_words(error: ConversationError, words: str) -> ConversationError:
    """An error that says more: `words` after what it says already."""
    fuller = copy.copy(error)
    fuller.args = (f"{error}; {words}",)
    if isinstance(fuller, ProviderError):
        fuller.message = fuller.args[0]
    fuller.__cause__ = error.__cause__
    fuller.__suppress_context__ = True
    return fuller


def asked_to_wait(error: BaseException) -> float | None:
    """Seconds that were asked for and not waited, by an error or by what is behind it."""
    for item in chain(error):
        if isinstance(item, ConversationError) and item.asks_to_wait is not None:
            return item.asks_to_wait
    return None


@dataclass(slots=True, frozen=True)
class Wait:
    """A wait in progress before something is asked again."""

    until: float
    """By the monotonic clock."""
    why: str
    attempt: int | None = None
    """The number of the attempt that follows."""
    attempts: int | None = None

    @classmethod
    def of(cls, seconds: float, why: str, **fields: Any) -> Wait:
        """A wait that begins now."""
        return cls(time.monotonic() + seconds, one_line(why, 200), **fields)

    @property
    def left(self) -> float:
        """Seconds; 0.0 when it is over."""
        return max(0.0, self.until - time.monotonic())

    def as_dict(self) -> dict[str, Any]:
        """The wait as a heartbeat tells of it."""
        return {
            "left": round(self.left, 1),
            "attempt": self.attempt,
            "attempts": self.attempts,
            "why": self.why,
        }
