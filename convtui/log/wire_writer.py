"""Writes the wire log in a thread: masks captured exchanges and keeps the file small."""

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

from convtui.log.descriptor import open_private, same_file, write_all
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
    """Bytes of a body on the wire, up to the cap; `size` counts all of them."""

    data: bytearray = field(default_factory=bytearray)
    size: int = 0

    def add(self, chunk: bytes, cap: int) -> None:
        """Adds the next bytes, keeping `cap` bytes in total."""
        self.size += len(chunk)
        room = cap - len(self.data)
        if room > 0:
            self.data += chunk[:room]


@dataclass(slots=True, repr=False)
class RawExchange:
    """An exchange with its secrets, which is never written or shown."""

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
        """The exchange with secrets masked. Keys in its headers and URL are masked everywhere."""
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
    encoding = next((v for n, v in headers if n.lower() == "content-encoding"), "").strip().lower()
    if encoding not in ("", "identity") and data:
        plain = _inflate(data) if encoding in ("gzip", "x-gzip", "deflate") else None
        if plain is None:
            # Secrets cannot be found in compressed data, so none of it is kept.
            body.text, body.cut = f"({encoding} data of {raw.size} bytes)", True
            return body
        data, body.encoding = plain, encoding
        body.cut = cut or len(plain) >= _INFLATE_CAP
    try:
        # The cap may have cut a character in two.
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
    """Decompressed gzip or deflate data, which may be truncated; None when it is neither."""
    for window in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS):
        try:
            return zlib.decompressobj(window).decompress(data, _INFLATE_CAP)
        except zlib.error:
            continue
    return None


class WireLog:
    """Writes exchanges to a wire log (mode 0600) without blocking its caller.

    `mode`: `failures+last` keeps the last 50 and every failure, `all` everything, `off` nothing.
    The file is created with the first exchange; an existing one is appended to. A write error stops
    the writing and is kept in `broken`, not raised: the conversation goes on.
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
            self._thread = threading.Thread(target=self._run, name="convtui-wire", daemon=True)
            self._thread.start()

    def add(self, exchange: RawExchange) -> None:
        """Queues a finished exchange; the sink of a `WireCapture`."""
        if self._thread is not None:
            self._queue.put(exchange)

    def flush(self, timeout: float = 5.0) -> bool:
        """Waits until everything queued is written; False after `timeout` seconds."""
        if self._thread is None:
            return True
        done = threading.Event()
        self._queue.put(done)
        return done.wait(timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Writes what is queued and closes the file; does nothing the second time."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(timeout)
            self._thread = None

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            if isinstance(item, threading.Event):
                item.set()
            elif self.broken is None:
                self._keep_error(item)
        if self.mode == "failures+last" and self._droppable > self._last:
            self._keep_error(None)
        self._close_file()

    def _keep_error(self, item: RawExchange | None) -> None:
        """Writes an exchange, or compacts the file for None; keeps the error in `broken`."""
        try:
            if item is None:
                self._compact()
            else:
                self._write(item.masked(self._redactor))
        except Exception as error:  # noqa: BLE001 - kept, since nothing catches what a thread raises
            self.broken = error

    def _write(self, exchange: Exchange) -> None:
        if self._fd is not None and not self._is_wire():
            # Provider code has closed it; the descriptor may be another file by now.
            self._fd = None
        fd = self._fd if self._fd is not None else self._open()
        self._n += 1
        exchange.n = self._n
        write_all(fd, self._encoder.line(exchange))
        self._droppable += not exchange.failed
        # Compacting at twice the number rewrites each exchange once on average.
        if self.mode == "failures+last" and self._droppable >= 2 * self._last:
            self._compact()

    def _open(self) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            # Rewriting also removes a torn last line, to which the next would be appended.
            exchanges = read_wire(self.path)
            self._n = max((exchange.n for exchange in exchanges), default=0)
            self._rewrite(exchanges)
        self._fd = open_private(self.path, os.O_CREAT | os.O_APPEND)
        self._is_wire = same_file(self._fd)
        return self._fd

    def _compact(self) -> None:
        exchanges = list(keep_last(read_wire(self.path), self._last))
        self._close_file()
        self._rewrite(exchanges)
        self._fd = open_private(self.path, os.O_APPEND)
        self._is_wire = same_file(self._fd)

    def _rewrite(self, exchanges: list[Exchange]) -> None:
        self._encoder = rewrite(self.path, exchanges)
        self._droppable = sum(not exchange.failed for exchange in exchanges)

    def _close_file(self) -> None:
        if self._fd is not None:
            if self._is_wire():
                os.close(self._fd)
            self._fd = None
