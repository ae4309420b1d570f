"""An error object with status 200, sent whole where a stream was asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx


class ErrorObjectError(Exception):
    """What the endpoint answered in place of a stream; `body` is the error object."""

    status_code = 500
    """Nobody said so: the kind of failure follows from the object."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.body = body
        super().__init__(str(body.get("message") or body))


async def refuse_error_object(stream: Any) -> None:
    """Raises `ErrorObjectError` where litellm's `stream` is no stream but an error object.

    litellm reads such an answer as a stream without events.
    """
    response = getattr(getattr(stream, "completion_stream", None), "response", None)
    if not isinstance(response, httpx.Response):
        return
    if "json" not in response.headers.get("content-type", ""):
        return
    # What is read here is still there for whoever reads the stream.
    await response.aread()
    try:
        body = json.loads(response.content)
    except ValueError:
        return
    error = body.get("error") if isinstance(body, Mapping) else None
    if isinstance(error, Mapping):
        raise ErrorObjectError(error)
    if isinstance(error, str) and error.strip():
        raise ErrorObjectError({"message": error})
