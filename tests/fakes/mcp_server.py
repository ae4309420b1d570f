"""An MCP server made with the official package, with tools that behave and tools that do not.

`python -m tests.fakes.mcp_server` speaks over standard input and output, with `--http PORT` over
streamable HTTP at `http://127.0.0.1:PORT/mcp`. `--also NAME` gives it one more tool.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError

PIXEL = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"
    b"\x1f\x15\xc4\x89"
)
server = MCPServer("fake trips")


@server.tool()
def seats(day: str, wanted: int = 1) -> str:
    """How many seats are free on a day."""
    return f"{wanted} of {len(day)} on {day}"


@server.tool()
def crash(code: int = 7) -> str:
    """Ends the whole server."""
    print("about to end", file=sys.stderr, flush=True)
    os._exit(code)


@server.tool()
async def slow(seconds: float = 30.0, done: str = "") -> str:
    """Takes its time; writes the file `done` when it is cancelled."""
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        if done:
            Path(done).write_text("cancelled")
        raise
    return "done"


@server.tool()
def refuse(why: str = "no such trip") -> str:
    """Fails."""
    raise ToolError(why)


@server.tool()
def picture() -> Image:
    """An image."""
    return Image(data=PIXEL, format="png")


@server.tool()
def huge(size: int = 100_000) -> str:
    """A long text."""
    return "seat " * (size // 5)


@server.tool()
def chat() -> str:
    """Prints beside the protocol."""
    print("a warning of the server", file=sys.stderr, flush=True)
    print(f"its key is {os.environ.get('TRIPS_API_KEY', 'none')}", file=sys.stderr, flush=True)
    return f"{Path.cwd()} {os.environ.get('OPENAI_API_KEY', 'no key')}"


@server.tool()
async def learn(context: Context) -> str:
    """Gives the server one more tool."""

    def fly(to: str) -> str:
        """Flies."""
        return f"flown to {to}"

    server.add_tool(fly)
    await context.notify_tools_changed()
    await context.session.send_tool_list_changed()
    return "learned to fly"


def main() -> None:
    """Runs it until its input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--http", type=int)
    parser.add_argument("--also", default="")
    options = parser.parse_args()
    if options.also:
        server.add_tool(lambda: "also", name=options.also)
    if options.http is None:
        server.run("stdio")
    else:
        server.run("streamable-http", port=options.http)


if __name__ == "__main__":
    main()
