"""The wire log: the HTTP exchanges of a run, with secrets masked.

`<log>.wire.jsonl` holds one JSON object per line:

    {"n": 7, "call": 41, "at": "...", "method": "POST", "url": "...", "status": 200,
     "ttfb": 0.21, "duration": 1.9, "error": null, "cut_off": false,
     "request": {"headers": [["host", "..."], ...], "body": BODY},
     "response": {"headers": [...], "body": BODY}}

`n` counts the exchanges of the file, `call` is the `seq` of the `llm.request` (null for other
traffic), `ttfb` (to the response's headers) and `duration` are seconds. BODY is null or `{"size":
bytes on the wire, "text": ...}`. A body that is not UTF-8 has `"base64": true`, one longer than the
cap has `"cut": true`, and a decompressed one has its `"encoding"`. A text that begins like that of
an earlier exchange is stored as `{"base": n, "keep": characters, "text": the rest, "crc": CRC-32 of
the whole}`: since a chat request repeats the history, the file would otherwise grow with the square
of the conversation.

`RawExchange.masked()` is the only way to make an `Exchange` from traffic.
"""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from convtui.files.regular import read_regular

BODY_CAP = 4 << 20
"""Maximum bytes of a body that are kept."""
KEEP_LAST = 50
"""Number of exchanges that are kept besides failures."""
_RECENT = 8
_LEAST_SHARED = 256
Headers = list[tuple[str, str]]


@dataclass(slots=True)
class Body:
    """A body for display. `size` is in bytes on the wire, before decompression."""

    text: str = ""
    size: int = 0
    cut: bool = False
    """Whether only the beginning was kept."""
    base64: bool = False
    """Whether `text` is base64, since the body is not UTF-8."""
    encoding: str | None = None
    """The content encoding that was decoded, such as `gzip`."""
    damaged: str | None = None
    """Why `text` is incomplete: an earlier line of the file is damaged or missing."""


@dataclass(slots=True)
class Exchange:
    """One HTTP request and its response, with secrets masked. Times are seconds."""

    method: str
    url: str
    at: str
    """When the request was sent; ISO 8601, UTC."""
    call: int | None = None
    n: int = 0
    status: int | None = None
    """None when no response arrived."""
    ttfb: float | None = None
    duration: float | None = None
    error: str | None = None
    cut_off: bool = False
    """Whether the response was abandoned, or broke off, before its end."""
    request_headers: Headers = field(default_factory=list)
    request: Body | None = None
    response_headers: Headers = field(default_factory=list)
    response: Body | None = None

    @property
    def failed(self) -> bool:
        """Whether it failed; failures are always kept."""
        return self.status is None or self.status >= 400 or self.error is not None or self.cut_off

    def as_dict(self) -> dict[str, Any]:
        """The exchange as JSON, with bodies as text that say what was left out of them."""
        return {
            "call": self.call,
            "method": self.method,
            "url": self.url,
            "status": self.status,
            "duration": self.duration,
            "error": self.error,
            "cut_off": self.cut_off,
            "request_headers": self.request_headers,
            "request_body": _display(self.request),
            "response_headers": self.response_headers,
            "response_body": _display(self.response),
        }


def _display(body: Body | None) -> str:
    if body is None:
        return ""
    notes = [
        note
        for note in (
            f"({body.size:,} bytes, shown as base64)" if body.base64 else "",
            f"(cut: {body.size:,} bytes on the wire)" if body.cut else "",
            f"({body.damaged})" if body.damaged else "",
        )
        if note
    ]
    return "\n".join([*notes, body.text])


class WireEncoder:
    """Encodes exchanges as lines; a body is stored as a difference to a recent one if possible."""

    def __init__(self) -> None:
        self._recent: list[tuple[int, str, str]] = []

    def line(self, exchange: Exchange) -> bytes:
        """The line of one exchange, newline included."""
        data = {
            "n": exchange.n,
            "call": exchange.call,
            "at": exchange.at,
            "method": exchange.method,
            "url": exchange.url,
            "status": exchange.status,
            "ttfb": _rounded(exchange.ttfb),
            "duration": _rounded(exchange.duration),
            "error": exchange.error,
            "cut_off": exchange.cut_off,
            "request": {
                "headers": exchange.request_headers,
                "body": self._encode_request(exchange),
            },
            "response": {
                "headers": exchange.response_headers,
                "body": _encode_body(exchange.response),
            },
        }
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        try:
            return text.encode() + b"\n"
        except UnicodeEncodeError:
            return json.dumps(data, separators=(",", ":")).encode() + b"\n"

    def _encode_request(self, exchange: Exchange) -> dict[str, Any] | None:
        body = exchange.request
        data = _encode_body(body)
        if body is None or data is None or body.base64:
            return data
        shared = [
            (_shared_length(text, body.text), n)
            for n, url, text in self._recent
            if url == exchange.url and len(text) >= _LEAST_SHARED
        ]
        keep, base = max(shared, default=(0, 0))
        self._recent = [
            *self._recent[-_RECENT + 1 :],
            (exchange.n, exchange.url, body.text),
        ]
        if keep < _LEAST_SHARED:
            return data
        crc = zlib.crc32(body.text.encode("utf-8", "surrogatepass"))
        return {**data, "base": base, "keep": keep, "text": body.text[keep:], "crc": crc}


_DAMAGE: Final = (
    ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError,
)  # fmt: skip
"""Errors of decoding a line that no `WireEncoder` wrote."""


def read_wire(path: Path, findings: list[str] | None = None) -> list[Exchange]:
    """The exchanges of a wire log with their bodies rebuilt, in order; none without the file.

    Unreadable lines are left out. A body whose base is missing has only its own part, and the
    reason in `damaged`. Each problem is a sentence with its line number in `findings`. Raises
    OSError when the file cannot be read, and nothing for what is in it.
    """
    findings = [] if findings is None else findings
    try:
        data = read_regular(path)
    except FileNotFoundError:
        return []
    lines = data.split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    exchanges: list[Exchange] = []
    bodies: dict[int, str] = {}
    for number, line in enumerate(lines, 1):
        try:
            exchange = _decode(json.loads(line), bodies)
        except _DAMAGE as error:
            torn = number == len(lines) and not data.endswith(b"\n")
            problem = "the last line is torn" if torn else f"not a wire exchange ({error})"
            findings.append(f"line {number}: {problem}")
            continue
        if exchange.request is not None:
            if exchange.request.damaged:
                findings.append(f"line {number}: {exchange.request.damaged}")
            else:
                bodies[exchange.n] = exchange.request.text
        exchanges.append(exchange)
    return exchanges


def _decode(data: Any, bodies: Mapping[int, str]) -> Exchange:
    if not isinstance(data, dict):
        raise ValueError(f"an object was expected, not {type(data).__name__}")
    request, response = data.get("request") or {}, data.get("response") or {}
    return Exchange(
        method=_text(data["method"]),
        url=_text(data["url"]),
        at=_text(data.get("at", "")),
        n=int(data["n"]),
        call=_optional(data.get("call"), int),
        status=_optional(data.get("status"), int),
        ttfb=_optional(data.get("ttfb"), float),
        duration=_optional(data.get("duration"), float),
        error=_optional(data.get("error"), str),
        cut_off=bool(data.get("cut_off")),
        request_headers=[(str(name), str(value)) for name, value in request.get("headers", ())],
        request=_decode_body(request.get("body"), bodies),
        response_headers=[(str(name), str(value)) for name, value in response.get("headers", ())],
        response=_decode_body(response.get("body"), bodies),
    )


def _decode_body(data: Any, bodies: Mapping[int, str]) -> Body | None:
    if data is None:
        return None
    body = Body(
        text=_text(data["text"]),
        size=int(data.get("size", 0)),
        cut=bool(data.get("cut")),
        base64=bool(data.get("base64")),
        encoding=_optional(data.get("encoding"), str),
    )
    if "base" not in data:
        return body
    base = bodies.get(int(data["base"]))
    if base is None:
        body.damaged = f"the beginning of the body is missing (it is in exchange {data['base']})"
        return body
    body.text = base[: int(data["keep"])] + body.text
    if zlib.crc32(body.text.encode("utf-8", "surrogatepass")) != data.get("crc"):
        body.damaged = f"the body does not fit its beginning in exchange {data['base']}"
    return body


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"text was expected, not {type(value).__name__}")
    return value


def _optional(value: Any, kind: Any) -> Any:
    return None if value is None else kind(value)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _encode_body(body: Body | None) -> dict[str, Any] | None:
    if body is None:
        return None
    data: dict[str, Any] = {"size": body.size, "text": body.text}
    for name in ("cut", "base64", "encoding"):
        if value := getattr(body, name):
            data[name] = value
    return data


def _shared_length(a: str, b: str) -> int:
    end = min(len(a), len(b))
    if a[:end] == b[:end]:
        return end
    low, high = 0, end
    while high - low > 1:
        middle = (low + high) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle
    return low


def keep_last(exchanges: Iterable[Exchange], last: int) -> Iterator[Exchange]:
    """The last `last` exchanges, and the failed ones before them."""
    items = list(exchanges)
    first = len(items) - last
    return (item for index, item in enumerate(items) if index >= first or item.failed)


def rewrite(path: Path, exchanges: Iterable[Exchange]) -> WireEncoder:
    """Replaces a wire log atomically; returns the encoder for further exchanges."""
    encoder = WireEncoder()
    temporary = path.with_name(path.name + ".tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as file:
        for exchange in exchanges:
            request = exchange.request
            if request is not None and request.damaged:
                request = replace(request, cut=True)
            file.write(encoder.line(replace(exchange, request=request)))
    temporary.replace(path)
    return encoder


def base64_text(data: bytes) -> str:
    """Bytes that are not UTF-8, as `Body.text` has them."""
    return base64.b64encode(data).decode("ascii")
