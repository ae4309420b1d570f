"""`convtui serve` as a process, and what a page of it shows."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyte
from playwright.sync_api import BrowserContext, Page, WebSocket

from tests.builders.waiting import WITHIN
from tests.e2e.terminal import LEFT_OUT, clean_environment


@contextmanager
def serving(home: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server with a home of its own: the process and the address that it printed."""
    with subprocess.Popen(
        [sys.executable, "-m", "convtui", "serve", *arguments],
        env=clean_environment(home, TERM="dumb"),
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        try:
            yield server, server.stdout.readline().strip()
        finally:
            server.send_signal(signal.SIGINT)
            err = server.communicate(timeout=WITHIN)[1]
    assert server.returncode in (0, -signal.SIGKILL), err
    assert "Traceback" not in err


class ServedPage:
    """A page with a terminal in it. What is drawn there is pixels: the text is read on its way."""

    def __init__(self, window: BrowserContext, address: str) -> None:
        self.page: Page = window.new_page()
        self.requests: list[str] = []
        self.problems: list[str] = []
        self._screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self._screen)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("websocket", self._connected)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on(
            "console",
            lambda line: self.problems.append(line.text) if line.type == "error" else None,
        )
        self.page.goto(address)

    def _connected(self, socket: WebSocket) -> None:
        """A terminal that was loaded anew is blank."""
        size = dict(part.split("=") for part in socket.url.partition("?")[2].split("&"))
        self._screen = pyte.Screen(int(size["width"]), int(size["height"]))
        self._stream = pyte.ByteStream(self._screen)
        socket.on("framereceived", self._feed)
        socket.on("framesent", self._resize)

    def _resize(self, frame: bytes | str) -> None:
        match json.loads(frame):
            case ["resize", {"width": int(width), "height": int(height)}]:
                self._screen.resize(height, width)

    def _feed(self, frame: bytes | str) -> None:
        if isinstance(frame, bytes):
            self._stream.feed(LEFT_OUT.sub(b"", frame))

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display)

    def until(self, *texts: str) -> str:
        """Waits until all of `texts` stand on the screen; the screen."""
        deadline = time.monotonic() + WITHIN
        while not all(text in self.text for text in texts):
            assert time.monotonic() < deadline, f"waiting for {texts}; the screen:\n{self.text}"
            self.page.wait_for_timeout(80)  # lets Playwright hand over what has come
        return self.text

    def press(self, *keys: str) -> None:
        """What has come is not drawn yet; the keyboard is the terminal's once something is."""
        self.page.wait_for_selector("body.-first-byte")
        for key in keys:
            self.page.keyboard.press(key)


def drawn_colours(png: bytes, window: BrowserContext) -> int:
    """The number of colours in a picture."""
    page = window.new_page()
    try:
        return int(
            page.evaluate(
                """async (bytes) => {
                    const blob = new Blob([new Uint8Array(bytes)], {type: "image/png"});
                    const image = await createImageBitmap(blob);
                    const canvas = new OffscreenCanvas(image.width, image.height);
                    const context = canvas.getContext("2d");
                    context.drawImage(image, 0, 0);
                    const data = context.getImageData(0, 0, image.width, image.height).data;
                    return new Set(new Uint32Array(data.buffer)).size;
                }""",
                list(png),
            )
        )
    finally:
        page.close()


def logs_of(home: Path) -> Sequence[Path]:
    return sorted(home.rglob("runs/*.jsonl"))
