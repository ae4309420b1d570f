"""What the mcp package gives, in our words: its results, its errors, and that it is missing."""

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


def need_package() -> None:
    """Loads the mcp package. Raises `ToolError` with what to do where it is missing."""
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
    """What a server is called: its script, its program or its host."""
    if config.command is None:
        return urlsplit(str(config.url)).netloc.rpartition("@")[2]
    command = public_arguments(config.command, redactor)
    words = [word for word in command[1:] if not word.startswith("-") and word != REDACTED]
    return PurePath((words or command)[0]).name


def cause_of(error: BaseException | None) -> BaseException | None:
    """What lies at the bottom of the groups that the mcp package's tasks wrap errors into."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return error


def words_of(error: BaseException | None) -> str:
    """What an error that comes out of the mcp package says; empty where there is none.

    The groups around it are the package's own and say nothing. What the operating system or the
    server said stands for itself.
    """
    if error is None:
        return ""
    words = [
        text_of(cause) if isinstance(cause, OSError) or _is_answer(cause) else describe_one(cause)
        for cause in roots(error)[:_NAMED]
    ]
    return "; ".join(dict.fromkeys(words))


def _is_answer(error: BaseException) -> bool:
    return type(error).__name__ == "MCPError"


def is_lost(error: BaseException | None) -> bool:
    """Whether an error of a call over HTTP means that there is no server any more."""
    from mcp.shared.exceptions import MCPError
    from mcp_types import CONNECTION_CLOSED

    if isinstance(error, MCPError):
        return error.code == CONNECTION_CLOSED or "session" in error.message.lower()
    return isinstance(error, OSError) or type(error).__module__.startswith("httpx")


def value_of(result: Any) -> Any:
    """A server's result as a tool's: text where it is text, else what can be told of it.

    Raises `ToolFailure` for a result that is an error.
    """
    shown: list[str] = []
    told = False
    for block in result.content:
        kind = getattr(block, "type", "")
        resource = getattr(block, "resource", None)
        if kind == "text":
            shown.append(block.text)
        elif kind in ("image", "audio"):
            told = True
            size = len(block.data) * 3 // 4
            shown.append(f"[{kind}: {block.mime_type}, {size:,} bytes]")
        elif resource is not None and getattr(resource, "text", None) is not None:
            shown.append(resource.text)
        elif resource is not None:
            told = True
            shown.append(f"[resource: {resource.uri}, {len(resource.blob) * 3 // 4:,} bytes]")
        elif kind == "resource_link":
            shown.append(f"[resource: {block.uri}]")
        else:
            told = True
            shown.append(f"[{kind or 'content'} of a kind that is not known]")
    text = "\n".join(shown)
    if result.is_error:
        raise ToolFailure("tool_execution_exception", text or "the tool says that it failed")
    if not result.content and result.structured_content is not None:
        return result.structured_content
    if told:
        whole = [block.model_dump(mode="json", by_alias=True, exclude_none=True)
                 for block in result.content]  # fmt: skip
        return Cut(text, json.dumps(whole))
    return text
