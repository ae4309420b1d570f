"""The chain of exceptions behind a failed model call, and what in it the endpoint itself sent.

litellm wraps the SDK's exceptions, and those wrap httpx's: a refused connection arrives as an
"internal server error", a dropped stream as a "fallback error". So the whole chain is read. Classes
of litellm and openai are told by name: nothing here imports them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, TypeVar

import httpx

from convtui.text.causes import text_of

_Error = TypeVar("_Error", bound=BaseException)
_PREFIX = re.compile(
    r"^\s*(?:litellm\.\w+:\s*|[A-Z]\w*(?:Error|Exception|Timeout)(?::\s*|\s+-\s*)"
    r"|\w+Exception\s*-\s*|Error code: \d+ - )"
)
_SUFFIX = re.compile(
    r"\s*(?:Original exception: .*|Handle with `litellm\.\w+`\.?|Received Model Group=.*)$", re.S
)
_TYPES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "permission_denied": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
}
"""Types of error objects, by the status that goes with them."""
_OF_PYTHON = (TypeError, AttributeError, KeyError, IndexError, ImportError, NameError)
"""What no endpoint sends: something broke inside of litellm or the SDK."""


class ErrorChain:
    """An exception and what caused it, outermost first, each once.

    Unlike a traceback it goes into what is suppressed, too: litellm hides the SDK's exception.
    """

    def __init__(self, error: BaseException) -> None:
        self.errors = list(_causes(error))

    def first(self, *kinds: type[_Error]) -> _Error | None:
        """The outermost exception of these classes."""
        return next((error for error in self.errors if isinstance(error, kinds)), None)

    def has_named(self, *names: str) -> bool:
        """Whether one of the exceptions is of a class with such a name."""
        return any(is_named(error, *names) for error in self.errors)

    @property
    def bug(self) -> BaseException | None:
        """The innermost exception of Python itself."""
        bugs = (error for error in reversed(self.errors) if isinstance(error, _OF_PYTHON))
        return next(bugs, None)

    @cached_property
    def answered(self) -> bool:
        """Whether an HTTP error status really arrived; litellm makes up statuses of its own."""
        return self.first(httpx.HTTPStatusError) is not None

    @cached_property
    def statuses(self) -> list[int]:
        """HTTP statuses, the one that really arrived first."""
        real = [
            error.response.status_code
            for error in self.errors
            if isinstance(error, httpx.HTTPStatusError)
        ]
        if not real and (self.bug is not None or self.first(json.JSONDecodeError) is not None):
            return []
        claimed = [getattr(error, "status_code", None) for error in self.errors]
        return real + [status for status in claimed if isinstance(status, int)]

    @cached_property
    def error_code(self) -> int | None:
        """The status that an error object in a stream names, by number or by its type."""
        for error in self.errors:
            body = getattr(error, "body", None)
            values = [getattr(error, "status_code", None)]
            if isinstance(body, Mapping):
                values = [body.get(name) for name in ("code", "status", "status_code", "type")]
            elif not isinstance(values[0], str):
                continue  # a number that litellm may have made up
            for value in values:
                code = value
                if isinstance(value, str):
                    code = int(value) if value.isdecimal() else _TYPES.get(value)
                if isinstance(code, int) and 400 <= code < 600:
                    return code
        return None

    @cached_property
    def codes(self) -> str:
        """The codes, types and parameters that the exceptions and error objects name."""
        return " ".join(_codes(self.errors))

    @property
    def bodies(self) -> str:
        """The error objects that the endpoint sent, as text."""
        bodies = (getattr(error, "body", None) for error in self.errors)
        return " ".join(
            json.dumps(body, default=str) for body in bodies if isinstance(body, (Mapping, list))
        )

    @cached_property
    def text(self) -> str:
        """The endpoint's own message where there is one, else the outermost without prefixes."""
        for error in self.errors:
            message = _message_of_body(getattr(error, "body", None))
            if message:
                return message
        for error in self.errors:
            text = _SUFFIX.sub("", text_of(error))
            while (shorter := _PREFIX.sub("", text, count=1)) != text:
                text = shorter
            text = _message_in_json(text)
            if text.strip():
                return text
        return type(self.errors[0]).__name__


def is_named(error: BaseException, *names: str) -> bool:
    """Whether an exception is of a class with such a name, or of one derived from it."""
    return any(kind.__name__ in names for kind in type(error).__mro__)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    queue: list[BaseException | None] = [error]
    while queue:
        item = queue.pop(0)
        if item is None or id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        original = getattr(item, "original_exception", None)
        queue.append(original if isinstance(original, BaseException) else None)
        queue += [item.__cause__, item.__context__]
        if isinstance(item, BaseExceptionGroup):
            queue += item.exceptions


def _codes(errors: list[BaseException]) -> Iterator[str]:
    names = ("code", "type", "param")
    for error in errors:
        yield from (str(getattr(error, name, None) or "") for name in names)
        claimed = getattr(error, "status_code", None)
        if isinstance(claimed, str):
            yield claimed  # litellm puts the code of an error object there
        body = getattr(error, "body", None)
        if isinstance(body, Mapping):
            yield from (str(body.get(name) or "") for name in names)


def _message_of_body(body: Any) -> str:
    """The message of an answer's body; empty where it has none."""
    if isinstance(body, Mapping):
        inner = body.get("error")
        source = inner if isinstance(inner, Mapping) else body
        body = source.get("message") or source.get("detail") or inner
    return body if isinstance(body, str) and body.strip() else ""


def _message_in_json(text: str) -> str:
    """The message of an error object sent as JSON text; other text as it is."""
    start = text.find("{")
    if start < 0:
        return text
    try:
        data = json.loads(text[start:])
    except (ValueError, RecursionError):
        return text
    inner = data.get("error", data) if isinstance(data, dict) else data
    if isinstance(inner, dict) and isinstance(inner.get("message"), str):
        return str(inner["message"])
    return inner if isinstance(inner, str) else text
