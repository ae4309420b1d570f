"""What passes for the text of an error, and what only talks about one."""

from __future__ import annotations

from typing import Any

import pytest

from convtui.error_words import error_in, error_in_metadata, page_title


@pytest.mark.parametrize(
    "text",
    [
        "Error generating response: All connection attempts failed",
        "Error calling API - timeout",
        "Error: something",
        "ERROR",
        "[ERROR] upstream",
        "[[ERROR]] upstream failed",
        "API Error: 500",
        "An unexpected error occurred.",
        "An error occurred: no such deployment",
        "Exception: boom",
        "openai.RateLimitError: Error code: 429 - {'error': {}}",
        "litellm.exceptions.Timeout: timed out",
        "httpx.ConnectError(All connection attempts failed)",
        "Traceback (most recent call last):\n  File ...",
        "I will look.\nTraceback (most recent call last):\n  File ...",
        "Failed to generate response: boom",
        "Unable to connect to the model endpoint (timeout)",
        "HTTP 502",
        "HTTP/1.1 503 Service Unavailable",
        "status code: 404",
        "503 Service Unavailable",
        "429 Client Error: Too Many Requests",
        "Internal Server Error",
        "Too Many Requests",
        "Rate limit exceeded. Try again in 20 s.",
        "Request timed out.",
        "Connection refused",
        "Sorry, something went wrong.",
        "upstream connect error or disconnect/reset before headers",
        '{"error": {"message": "no"}}',
        '{"error": "no"',
        '{"detail": "Not Found"}',
        '{"message": "Forbidden", "status": 403}',
        "<html><head><title>502 Bad Gateway</title></head></html>",
        "<!DOCTYPE html><h1>Access denied</h1>",
        "[object Object]",
    ],
)
def test_the_text_of_an_error(text: str) -> None:
    assert error_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  \n",
        "You can fix the TypeError in line 3 by importing it.",
        "TypeError means that an argument has the wrong type.",
        "An error in the booking was corrected; 500 points were added.",
        "Error rates have dropped since the new timetable.",
        "Error messages like this one come from the ferry's till - please ignore them.",
        "The status of order 404 is: sent.",
        "I would retry after the 429th call.",
        "404 passengers were on board.",
        "We were unable to find a response to your letter in the file.",
        "Could not find it? Let me look.",
        "You see this:\n```\nTraceback (most recent call last):\n  File ...\n```\nIt means ...",
        '```json\n{"error": "no"}\n```\nis what the server sends.',
        '{"decision": "reply", "answer": "Saturday"}',
        '{"message": "Saturday it is."}',
        "<html><title>Timetable</title></html>",
        "Something went wrong with your booking, and I am sorry for it. " * 8,
        "Unauthorized use of the car deck is not allowed, as the crew told you, but " * 6,
        "Undefined behaviour is what C calls it.",
    ],
)
def test_talk_of_errors_is_no_error(text: str) -> None:
    assert error_in(text) is None


@pytest.mark.parametrize(
    "metadata",
    [
        {"error": "All connection attempts failed"},
        {"error": {"message": "no", "code": 3}},
        {"error": True},
        {"errors": ["a"]},
        {"exception": "boom"},
        {"status": 500},
        {"status_code": "429"},
        {"status": "failed"},
        {"error_code": 404},
        {"success": False},
        {"ok": False},
    ],
)
def test_metadata_that_tell_of_an_error(metadata: dict[str, Any]) -> None:
    assert error_in_metadata({"model": "m", "usage": {}, **metadata})


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"error": None},
        {"error": ""},
        {"errors": []},
        {"error": False},
        {"status": 200},
        {"status": "completed"},
        {"code": 7},
        {"success": True},
        {"ok": None},
    ],
)
def test_metadata_of_a_reply_that_is_well(metadata: dict[str, Any]) -> None:
    assert error_in_metadata({"model": "m", **metadata}) is None


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("<!doctype html><html><title> Bad\n gateway</title>", "Bad gateway"),
        ("\ufeff<HTML><body><h1>502</h1>", "502"),
        ("<html><body>nothing", ""),
        ("I write <html> pages.", None),
        ('{"error": "<html>"}', None),
        ("", None),
    ],
)
def test_the_title_of_a_page(text: str, title: str | None) -> None:
    assert page_title(text) == title
