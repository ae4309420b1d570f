"""Trying again: how long to wait, and what code that retries by itself is given for it."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextvars import ContextVar
from typing import NamedTuple


def full_jitter(n: int, base_delay: float = 0.75, max_delay: float = 8.0) -> float:
    """Seconds to wait after attempt `n` (from 1): anything up to `base_delay * 2**(n-1)`, capped.

    The rule and its figures are those of VERA-MH's clients.
    """
    return random.uniform(0.0, min(max_delay, base_delay * 2.0 ** min(n - 1, 64)))


class RetryContext(NamedTuple):
    """The rules of the call in flight, for a helper inside of provider code that tries again.

    `delay(n, error)` is how many seconds to wait after attempt `n` failed; `failed(n, delay,
    error)` puts that attempt on record. `too_long(error)` says why there is no waiting, where more
    is asked for than is allowed, else it is empty. Nothing outside of the helper tries again then.
    """

    attempts: int
    delay: Callable[[int, BaseException], float]
    failed: Callable[[int, float, BaseException], None]
    too_long: Callable[[BaseException], str] = lambda error: ""


current_retry: ContextVar[RetryContext | None] = ContextVar("convtui_current_retry", default=None)
"""The retry rules of the call that this code runs in; None outside of calls."""
