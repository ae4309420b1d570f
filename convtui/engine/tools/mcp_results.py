"""Translates results and errors of the mcp package, and its absence."""

from __future__ import annotations

import json
import sys
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

from convtui.engine.tools.base import Cut
from convtui.errors import ToolError, ToolFailure
from convtui.scenario.scenario import McpServer
from convtui.secrets.masking import public_arguments
from convtui.secrets.redactor import Redactor
from convtui.secrets.shapes import REDACTED
from convtui.text.causes import describe_one, roots, text_of

_NAMED = 3


def require_package() -> None:
    """Imports the mcp package. Raises `ToolError` with the command that installs it."""
    try:
        import mcp  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "mcp":
            raise
        raise ToolError(
            "tools of MCP servers need the package mcp, which is not installed:"
            f" {sys.executable} -m pip install 'convtui[mcp]'"
        ) from error


def label_of(config: McpServer, redactor: Redactor) -> str:
    """A server's name: that of its script or program, or its host."""
    if config.command is None:
        return urlsplit(str(config.url)).netloc.rpartition("@")[2]
    command = public_arguments(config.command, redactor)
    operands = [word for word in command[1:] if not word.startswith("-") and word != REDACTED]
    return PurePath((operands or command)[0]).name


def cause_of(error: BaseException | None) -> BaseException | None:
    """The first error inside the exception groups that the mcp package's tasks raise."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return error


def message_of(error: BaseException | None) -> str:
    """The message of an error that the mcp package raised; empty for None.

    Exception groups are left out, and so are the types of errors from the operating system and of
    a server's answers, whose messages are clear without.
    """
    if error is None:
        return ""
    messages = [
        text_of(cause) if isinstance(cause, OSError) or _is_answer(cause) else describe_one(cause)
        for cause in roots(error)[:_NAMED]
    ]
    return "; ".join(dict.fromkeys(messages))


def _is_answer(error: BaseException) -> bool:
    return type(error).__name__ == "MCPError"


def is_lost(error: BaseException | None) -> bool:
    """Whether an error of a call over HTTP means that the connection is lost."""
    from mcp.shared.exceptions import MCPError
    from mcp_types import CONNECTION_CLOSED

    if isinstance(error, MCPError):
        return error.code == CONNECTION_CLOSED or "session" in error.message.lower()
    return isinstance(error, OSError) or type(error).__module__.startswith("httpx")


def value_of(result: Any) -> Any:
    """The value of a server's result: its text, with a placeholder for each other content block.

    A result with placeholders is a `Cut`. Raises `ToolFailure` for a result that is an error.
    """
    parts: list[str] = []
    has_placeholder = False
    for block in result.content:
        kind = getattr(block, "type", "")
        resource = getattr(block, "resource", None)
        if kind == "text":
            parts.append(block.text)
        elif kind in ("image", "audio"):
            has_placeholder = True
            size = len(block.data) * 3 // 4
            parts.append(f"[{kind}: {block.mime_type}, {size:,} bytes]")
        elif resource is not None and getattr(resource, "text", None) is not None:
            parts.append(resource.text)
        elif resource is not None:
            has_placeholder = True
            parts.append(f"[resource: {resource.uri}, {len(resource.blob) * 3 // 4:,} bytes]")
        elif kind == "resource_link":
            parts.append(f"[resource: {block.uri}]")
        else:
            has_placeholder = True
            parts.append(f"[{kind or 'content'} of a kind that is not known]")
    text = "\n".join(parts)
    if result.is_error:
        raise ToolFailure("tool_execution_exception", text or "the tool says that it failed")
    if not result.content and result.structured_content is not None:
        return result.structured_content
    if has_placeholder:
        whole = [block.model_dump(mode="json", by_alias=True, exclude_none=True)
                 for block in result.content]  # fmt: skip
        return Cut(text, json.dumps(whole))
    return text
