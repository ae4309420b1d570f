"""Writes the wire log: masks what was captured and keeps the file small, in a thread of its own."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from convtui.log.descriptor import same_file
from convtui.log.wire import (
    KEEP_LAST,
    Body,
    Exchange,
    Headers,
    WireEncoder,
    base64_text,
    keep_last,
    read_wire,
    rewrite,
)
from convtui.secrets.events import masked_events
from convtui.secrets.masking import public_headers, public_url
from convtui.secrets.redactor import Redactor
from convtui.secrets.values import all_of, secrets_of

WireMode = Literal["failures+last", "all", "off"]

_INFLATE_CAP = 16 << 20


@dataclass(slots=True, repr=False)
class RawBody:
    """Bytes as they went over the connection, up to the cap; `size` counts all of them."""

    data: bytearray = field(default_factory=bytearray)
    size: int = 0

    def add(self, chunk: bytes, cap: int) -> None:
        """Takes in the next bytes, keeping no more than `cap` of them."""
        self.size += len(chunk)
        room = cap - len(self.data)
        if room > 0:
            self.data += chunk[:room]


@dataclass(slots=True, repr=False)
class RawExchange:
    """An exchange as it happened, secrets included: never written, never shown."""

    method: str
    url: str
    at: float
    """Seconds since the epoch."""
    call: int | None = None
    status: int | None = None
    ttfb: float | None = None
    duration: float | None = None
    error: str | None = None
    cut_off: bool = False
    request_headers: Headers = field(default_factory=list)
    request: RawBody | None = None
    response_headers: Headers = field(default_factory=list)
    response: RawBody | None = None

    def masked(self, redactor: Redactor) -> Exchange:
        """The exchange without secrets. Keys found in its headers are taken out everywhere else."""
        redactor.add(*all_of(dict(self.request_headers), redactor.allowed))
        with contextlib.suppress(ValueError):
            query = dict(parse_qsl(urlsplit(self.url).query))
            redactor.add(*secrets_of({**query, "address": self.url}, redactor.allowed))
        return Exchange(
            method=self.method,
            url=public_url(self.url, redactor),
            at=datetime.fromtimestamp(self.at, UTC).isoformat(),
            call=self.call,
            status=self.status,
            ttfb=self.ttfb,
            duration=self.duration,
            error=None if self.error is None else redactor.text(self.error),
            cut_off=self.cut_off,
            request_headers=public_headers(self.request_headers, redactor),
            request=_masked_body(self.request, self.request_headers, redactor),
            response_headers=public_headers(self.response_headers, redactor),
            response=_masked_body(self.response, self.response_headers, redactor),
        )


def _masked_body(raw: RawBody | None, headers: Headers, redactor: Redactor) -> Body | None:
    if raw is None:
        return None
    cut = raw.size > len(raw.data)
    body = Body(size=raw.size, cut=cut)
    data = bytes(raw.data)
    named = next((v for n, v in headers if n.lower() == "content-encoding"), "").strip().lower()
    if named not in ("", "identity") and data:
        plain = _inflate(data) if named in ("gzip", "x-gzip", "deflate") else None
        if plain is None:
            # A compressed secret cannot be found, so nothing of it is kept.
            body.text, body.cut = f"({named} data of {raw.size} bytes)", True
            return body
        data, body.encoding = plain, named
        body.cut = cut or len(plain) >= _INFLATE_CAP
    try:
        # A character that the cap cut in two is no reason to call the rest binary.
        text = data.decode() if not body.cut else _decode_cut(data)
    except UnicodeDecodeError:
        masked = redactor.text(data.decode("latin-1")).encode("latin-1", "replace")
        body.text, body.base64 = base64_text(masked), True
    else:
        if body.cut:
            text = text[: redactor.begins_at(text)]
        body.text = masked_events(text, redactor)
    return body


def _decode_cut(data: bytes) -> str:
    for missing in range(4):
        try:
            return data[: len(data) - missing].decode()
        except UnicodeDecodeError as error:
            if error.start < len(data) - 4:
                raise
    return data.decode()


def _inflate(data: bytes) -> bytes | None:
    """Decompressed gzip or deflate data, also of a part of it; None when it is neither."""
    for window in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS):
        try:
            return zlib.decompressobj(window).decompress(data, _INFLATE_CAP)
        except zlib.error:
            continue
    return None


class WireLog:
    """Writes exchanges to a wire log (mode 0600) without making its caller wait.

    `mode`: `failures+last` keeps the last 50 and every failure, `all` everything, `off` nothing.
    The file appears with the first exchange; an existing one is gone on with. A disk that refuses
    stops the writing and leaves the reason in `broken`: the conversation matters more.
    """

    def __init__(
        self,
        path: Path,
        redactor: Redactor,
        *,
        mode: WireMode = "failures+last",
        last: int = KEEP_LAST,
    ) -> None:
        self.path = path
        self.mode: WireMode = mode
        self.broken: Exception | None = None
        self._redactor = redactor
        self._last = last
        self._queue: queue.SimpleQueue[RawExchange | threading.Event | None] = queue.SimpleQueue()
        self._fd: int | None = None
        self._encoder = WireEncoder()
        self._n = 0
        self._droppable = 0
        self._thread: threading.Thread | None = None
        if mode != "off":
            self._thread = threading.Thread(target=self._work, name="convtui-wire", daemon=True)
            self._thread.start()

    def add(self, exchange: RawExchange) -> None:
        """Hands over one finished exchange; returns at once. The sink of a `WireCapture`."""
        if self._thread is not None:
            self._queue.put(exchange)

    def flush(self, timeout: float = 5.0) -> bool:
        """Waits until everything handed over is written; False after `timeout` seconds."""
        if self._thread is None:
            return True
        done = threading.Event()
        self._queue.put(done)
        return done.wait(timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Writes what is left and closes the file; may be called twice."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(timeout)
            self._thread = None

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            if isinstance(item, threading.Event):
                item.set()
            elif self.broken is None:
                self._guarded(item)
        if self.mode == "failures+last" and self._droppable > self._last:
            self._guarded(None)
        self._close_file()

    def _guarded(self, item: RawExchange | None) -> None:
        try:
            if item is None:
                self._compact()
            else:
                self._write(item.masked(self._redactor))
        except Exception as error:  # noqa: BLE001  # recorded; the thread has nobody to raise it to
            self.broken = error

    def _write(self, exchange: Exchange) -> None:
        if self._fd is not None and not self._is_wire():
            # Provider code has closed it; the number may stand for another file.
            self._fd = None
        fd = self._fd if self._fd is not None else self._open()
        self._n += 1
        exchange.n = self._n
        line = memoryview(self._encoder.line(exchange))
        while line:
            line = line[os.write(fd, line) :]
        self._droppable += not exchange.failed
        # Twice the wanted number, so that each exchange is rewritten once on average.
        if self.mode == "failures+last" and self._droppable >= 2 * self._last:
            self._compact()

    def _open(self) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            # Also takes away a torn last line, which would swallow the next one.
            before = read_wire(self.path)
            self._encoder = rewrite(self.path, before)
            self._n = max((exchange.n for exchange in before), default=0)
            self._droppable = sum(not exchange.failed for exchange in before)
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if hasattr(os, "fchmod"):
            os.fchmod(self._fd, 0o600)
        self._is_wire = same_file(self._fd)
        return self._fd

    def _compact(self) -> None:
        kept = list(keep_last(read_wire(self.path), self._last))
        self._close_file()
        self._encoder = rewrite(self.path, kept)
        self._droppable = sum(not exchange.failed for exchange in kept)
        self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        self._is_wire = same_file(self._fd)

    def _close_file(self) -> None:
        if self._fd is not None:
            if self._is_wire():
                os.close(self._fd)
            self._fd = None
