"""What an endpoint may not do with a request: send it elsewhere, or answer without an end."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

import httpx

from convtui.errors import BadModelRequest, ModelError
from convtui.text.boundary import visible_line

MOST_BYTES: Final = 64 << 20
"""Of one answer, decompressed."""
ACCEPTED: Final = "gzip, deflate"
"""The only encodings whose size can be bounded while they are undone."""
_MOST_REDIRECTS: Final = 5
_PIECE: Final = 1 << 20
_KEEPS_METHOD: Final = (307, 308)


class Redirects:
    """Which redirects one call follows: those that leave the request where it was sent.

    A key, a cookie or a conversation never goes to a host that the user has not named.
    """

    def __init__(self) -> None:
        self._followed = 0

    def check(self, request: httpx.Request, response: httpx.Response) -> None:
        """Raises `BadModelRequest` for a redirect that is not followed."""
        if not response.has_redirect_location:
            return
        here = _shown(request.url.copy_with(raw_path=b"/")).rstrip("/")
        what = f"{here} redirects ({response.status_code})"
        try:
            target = request.url.join(response.headers["location"])
        except (httpx.InvalidURL, ValueError):
            raise BadModelRequest(f"{what} to something that is no URL") from None
        where = f"{what} to {_shown(target)}"
        if not same_host(request.url, target):
            raise BadModelRequest(
                f"{where}: another host, so nothing was sent there; if it is right, name it as"
                " api_base"
            )
        if response.status_code not in _KEEPS_METHOD and request.method not in ("GET", "HEAD"):
            raise BadModelRequest(
                f"{where}, as a GET, which carries no conversation; is api_base right?"
            )
        self._followed += 1
        if self._followed > _MOST_REDIRECTS:
            raise BadModelRequest(f"{where}: the {self._followed}th redirect of one call; given up")


def same_host(here: httpx.URL, there: httpx.URL) -> bool:
    """Whether a URL has the same scheme, host and port as another, or is its https form."""
    if here.host != there.host:
        return False
    if here.scheme == "http" and there.scheme == "https":
        return _port(here) == 80 and _port(there) == 443
    return here.scheme == there.scheme and _port(here) == _port(there)


def _port(url: httpx.URL) -> int | None:
    return url.port or {"http": 80, "https": 443}.get(url.scheme)


def _shown(url: httpx.URL) -> str:
    """The URL without credentials and query."""
    return visible_line(str(url.copy_with(userinfo=b"", query=None, fragment=None)))[:200]


class BoundedStream(httpx.AsyncByteStream):
    """The body of an answer, decompressed piece by piece, and no longer than `MOST_BYTES`.

    `refuse` makes an error known before it is raised.
    """

    def __init__(
        self,
        inner: httpx.AsyncByteStream,
        decode: Callable[[bytes], Iterator[bytes]] | None,
        refuse: Callable[[ModelError], ModelError],
    ) -> None:
        self._inner = inner
        self._decode = decode
        self._refuse = refuse
        self._size = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self._inner:
            for piece in (data,) if self._decode is None else self._decode(data):
                self._size += len(piece)
                if self._size > MOST_BYTES:
                    raise self._refuse(
                        ModelError(f"the answer is larger than {MOST_BYTES >> 20} MB: given up")
                    )
                yield piece

    async def aclose(self) -> None:
        await self._inner.aclose()


def bound(response: httpx.Response, refuse: Callable[[ModelError], ModelError]) -> None:
    """Bounds the body of an answer. Raises `ModelError` for an encoding that cannot be bounded."""
    named = response.headers.get("content-encoding", "").strip().lower()
    decode = None
    if named in ("gzip", "x-gzip", "deflate"):
        decode = _Inflating().pieces
        # What is read from here on is neither compressed nor of that length.
        for name in ("content-encoding", "content-length"):
            response.headers.pop(name, None)
    elif named not in ("", "identity"):
        raise refuse(
            ModelError(
                f"the answer's content-encoding is {visible_line(named)[:80]!r}, which was not"
                " asked for"
            )
        )
    if isinstance(response.stream, httpx.AsyncByteStream):
        response.stream = BoundedStream(response.stream, decode, refuse)


class _Inflating:
    """Undoes gzip and deflate, never more than a piece at a time."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
        self._begun = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """`data`, decompressed piece by piece. Raises `httpx.DecodingError` where it cannot be."""
        try:
            try:
                piece = self._inflate.decompress(data, _PIECE)
            except zlib.error:
                if self._begun:
                    raise
                # "deflate" without the head that it should have.
                self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
                piece = self._inflate.decompress(data, _PIECE)
            self._begun = True
            while piece:
                yield piece
                piece = self._inflate.decompress(self._inflate.unconsumed_tail, _PIECE)
        except zlib.error as error:
            raise httpx.DecodingError(f"the answer is not compressed as it says: {error}") from None
