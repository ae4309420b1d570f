"""Draws on a web page through `convtui serve`; pages may come and go while the program runs."""

from __future__ import annotations

import asyncio
import os
from threading import Lock
from typing import Any, cast

from textual import events, messages
from textual.app import App
from textual.drivers.web_driver import WebDriver
from textual.geometry import Size


class ServedDriver(WebDriver):
    """Textual's driver for the web, for more than one page after another."""

    def __init__(
        self,
        app: App[Any],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._write_lock = Lock()
        self._write = cast(Any, self._write_all)
        self._app_loop: asyncio.AbstractEventLoop | None = None

    def start_application_mode(self) -> None:
        self._app_loop = asyncio.get_running_loop()
        super().start_application_mode()

    def on_meta(self, packet_type: str, payload: dict[str, object]) -> None:
        if packet_type == "attach" and self._app_loop is not None:
            size = Size(int(cast(int, payload["width"])), int(cast(int, payload["height"])))
            self._app_loop.call_soon_threadsafe(self._attach, size)
        else:
            super().on_meta(packet_type, payload)

    def run_input_thread(self) -> None:
        super().run_input_thread()
        if not self.exit_event.is_set() and self._app_loop is not None:
            # The server is gone, without having been able to say so.
            asyncio.run_coroutine_threadsafe(
                self._app._post_message(messages.ExitApp()), self._app_loop
            )

    def _attach(self, size: Size) -> None:
        """Sets up a page that is blank, and draws everything."""
        self.write_meta({"type": "attached"})
        self.write("\x1b[?1049h\x1b[?25l")
        if self._mouse:
            self._enable_mouse_support()
        self._request_terminal_sync_mode_support()
        self._enable_bracketed_paste()
        self._size = (size.width, size.height)
        self._app.post_message(events.Resize(size, size))
        self._app.refresh(layout=True)

    def _write_all(self, data: bytes) -> int:
        """Writes to the pipe, which may take a part only: half a packet would end the stream."""
        with self._write_lock:
            view = memoryview(data)
            while view:
                view = view[os.write(self.fileno, view) :]
        return len(data)
