"""How long an endpoint asks to be left alone, in every form in which endpoints say so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from convtui.models.waits import asked_by, asked_in, retry_after, seconds_of
from convtui.text.boundary import span_of_time

NOW = datetime(1994, 11, 6, 8, 49, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("12", 12.0),
        (" 1.5 ", 1.5),
        ("99999", 99999.0),
        ("-5", 0.0),
        # the three forms of RFC 7231, and RFC 3339
        ("Sun, 06 Nov 1994 08:49:37 GMT", 30.0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 30.0),
        ("Sun Nov  6 08:49:37 1994", 30.0),
        ("1994-11-06T08:49:37Z", 30.0),
        ("Sun, 06 Nov 1994 00:00:00 GMT", 0.0),
        # several values: the longest
        ("30, 120", 120.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:50:07 GMT", 60.0),
        ("soon, 7", 7.0),
        ("6m0s", 360.0),
        ("200ms", 0.2),
        ("90 seconds", 90.0),
        ("2 minutes", 120.0),
        ("1 hour, 5 min", 3900.0),
        ("1m 30s", 90.0),
        ("PT2M", 120.0),
        ("PT1H30M0.5S", 5400.5),
        ("P1D", 86400.0),
        ("P", None),
        ("PT", None),
        ("2 moons", None),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
        ("1_000", None),
        ("soon", None),
        ("", None),
        ("Sun, 99 Foo 1994", None),
        ("9" * 400, None),
    ],
)
def test_one_header(value: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": value}, now=NOW) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"x-ms-retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "6m0s"}, 360.0),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-remaining-requests": "0",
          "x-ratelimit-reset-tokens": "6m0s", "x-ratelimit-remaining-tokens": "50"}, 1.0),
        ({"x-ratelimit-reset-requests": "8h", "x-ratelimit-remaining-requests": "14000"}, None),
        ({"ratelimit-reset": "50"}, 50.0),
        ({"anthropic-ratelimit-tokens-reset": "1994-11-06T08:49:27Z"}, 20.0),
        ({"x-ratelimit-reset": "whenever"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_the_headers_of_an_answer(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, now=NOW) == seconds


@pytest.mark.parametrize("scale", [1, 1000])
def test_a_point_in_time_by_number(scale: int) -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    at = int((now.timestamp() + 30) * scale)
    assert retry_after({"x-ratelimit-reset": str(at)}, now=now) == 30.0


def test_the_endpoints_own_clock_counts() -> None:
    headers = {
        "date": "Sun, 06 Nov 1994 08:49:07 GMT",
        "retry-after": "Sun, 06 Nov 1994 08:49:37 GMT",
    }
    assert retry_after(headers) == 30.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (3, 3.0), ("3", 3.0), (2.5, 2.5), (timedelta(minutes=1), 60.0), (-1, 0.0), (None, None),
        (True, None), (float("nan"), None), (float("inf"), None), (object(), None), ("soon", None),
    ],
)  # fmt: skip
def test_what_code_says(value: Any, seconds: float | None) -> None:
    assert seconds_of(value) == seconds


def test_an_sdks_error_is_asked_for_the_headers_of_its_answer() -> None:
    error = RuntimeError("429")
    error.response = httpx.Response(429, headers={"Retry-After": "7"})  # type: ignore[attr-defined]
    assert asked_by(error) == 7.0
    assert asked_by(RuntimeError("no")) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.42, "0.4 s"), (2, "2 s"), (12.4, "12 s"), (59.7, "1 min 0 s"), (125, "2 min 5 s"),
     (3600, "1 h 0 min"), (99999, "27 h 46 min"), (343_775_253, "3,978 days")],
)  # fmt: skip
def test_a_span_of_time_in_words(seconds: float, words: str) -> None:
    assert span_of_time(seconds) == words


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Rate limit reached for gpt-4o. Please try again in 3m20s. Visit ...", 200.0),
        ("Rate limit reached. Please try again in 6ms.", 0.006),
        ("Please try again in 1.234s.", 1.234),
        ("Please retry after 20 seconds.", 20.0),
        ("Too many requests: wait another 2 minutes", 120.0),
        ("Please wait 30 seconds before the next call", 30.0),
        ('{"@type": "google.rpc.RetryInfo", "retryDelay": "41s"}', 41.0),
        ("{'retry_after': 12}", 12.0),
        ("slow down", None),
        ("try again in a while", None),
        ("wait for 3 people", None),
        ("limit 3 per 20 seconds", None),
    ],
)
def test_what_a_message_says(text: str, seconds: float | None) -> None:
    assert asked_in(text) == seconds
