"""A provider that prints, fails, writes metadata and uses tools, and says of all whose it is."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import warnings
from typing import Any

from convtui import Provider, Reply
from convtui.models.base import Message, ToolCall

logging.getLogger(__name__).addHandler(logging.StreamHandler())


class Bot(Provider):
    """Says what it has heard in its first message: `<NNN>`."""

    def __init__(self, password: str = "", other: str = "") -> None:
        self.who = ""
        self._passwords = (password, other)
        self.tools = [self.look_up]

    async def look_up(self, place: str) -> str:
        """Looks something up."""
        print(f"tool for {self.who}")
        await asyncio.sleep(0)
        if place == "nowhere":
            raise ValueError(f"no place for {self.who}")
        return f"{place} of {self.who}"

    async def generate_response(self, messages: list[Message]) -> Reply:
        if messages[-1]["role"] == "tool":
            return self._reply(f"found {messages[-1]['content']}")
        said = str(messages[-1]["content"])
        self.who = self.who or said
        sys.stdout.write(f"out {self.who} ")
        await asyncio.sleep(0)
        print("goes on", *self._passwords)
        sys.stderr.write(f"err {self.who}\n")
        logging.getLogger(__name__).warning("logged by %s", self.who)
        await asyncio.to_thread(print, f"thread {self.who}")
        if said == "fail":
            await asyncio.sleep(0)
            raise RuntimeError(f"failed for {self.who}")
        if said == "use a tool":
            calls = [
                ToolCall(f"call-{self.who}-{n}", "look_up", f'{{"place": "{place}"}}')
                for n, place in enumerate(("somewhere", "nowhere"))
            ]
            return self._reply("", tool_calls=calls)
        if said == "background":
            self._task = asyncio.create_task(self._fail_later())
            await asyncio.sleep(0.001)
            del self._task
        if said == "a thread of its own":
            thread = threading.Thread(target=print, args=("nobody knows who printed this",))
            thread.start()
            thread.join()
        return self._reply(f"heard {said} from {self.who}")

    async def _fail_later(self) -> None:
        await asyncio.sleep(0)
        warnings.warn(f"warned {self.who}", stacklevel=1)
        raise LookupError(f"background of {self.who}")

    def _reply(self, text: str, **fields: Any) -> Reply:
        return Reply(text, metadata={"owner": self.who}, **fields)
