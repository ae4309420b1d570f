"""Stores each request as the difference to an earlier one, so that a log grows linearly.

The messages of an `llm.request` are the first `keep` messages of request `base`, then `append`. Its
`sha256` is the digest of the whole list as canonical JSON: keys sorted, no white space, non-ASCII
escaped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from convtui.records.codec import RecordDict, compact_encoder

if TYPE_CHECKING:
    from hashlib import _Hash

_to_canonical_json = compact_encoder(ensure_ascii=True, sort_keys=True)


def canonical(message: Any) -> bytes:
    """One message as canonical JSON."""
    return _to_canonical_json(message).encode()


def digest(messages: Sequence[Any]) -> str:
    """The digest of a whole message list, in hexadecimal."""
    return hashlib.sha256(b"[" + b",".join(map(canonical, messages)) + b"]").hexdigest()


def shared_start(before: Sequence[Any], now: Sequence[Any]) -> int:
    """How many messages at the beginning of two lists are the same.

    Lists are compared as wholes: of what is the same object in both, that costs next to nothing.
    """
    low, high = 0, min(len(before), len(now))
    if (before if high == len(before) else before[:high]) == now[:high]:
        return high
    while low < high:
        middle = (low + high + 1) // 2
        if before[low:middle] == now[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


class RequestChain:
    """Turns message lists into differences to the one before, with digests.

    The digest of the shared beginning is reused, so that a request costs as much as its new
    messages. `clean` masks the secrets of messages before they are written and digested.
    """

    def __init__(self, clean: Callable[[list[Any]], list[Any]] = lambda messages: messages) -> None:
        self._clean = clean
        self._base: int | None = None
        self._messages: list[Any] = []
        """As they were passed in; callers do not change them."""
        self._hashes: list[_Hash] = []

    def add(self, messages: Sequence[Any]) -> dict[str, Any]:
        """`{base, keep, append, sha256}` of the next request. Call `placed()` afterwards."""
        keep = shared_start(self._messages, messages)
        del self._hashes[keep:]
        running = self._hashes[-1].copy() if self._hashes else hashlib.sha256(b"[")
        fresh = list(messages[keep:])
        append: list[Any] = []
        for number, cleaned in enumerate(self._clean(fresh), keep):
            if number:
                running.update(b",")
            running.update(canonical(cleaned))
            self._hashes.append(running.copy())
            append.append(dict(cleaned) if isinstance(cleaned, dict) else cleaned)
        running.update(b"]")
        self._messages[keep:] = fresh
        base = self._base if keep else None
        return {"base": base, "keep": keep, "append": append, "sha256": running.hexdigest()}

    def placed(self, seq: int) -> None:
        """The request just added was written as record `seq`."""
        self._base = seq


def rebuild(record: RecordDict, read: Callable[[int], RecordDict]) -> list[Any]:
    """The whole message list of an `llm.request`; `read(seq)` gives an earlier one.

    Raises ValueError when the chain is broken (a base that is missing or is no request).
    """
    tail: list[list[Any]] = []
    keep: int | None = None
    while True:
        append = record.get("append")
        base = record.get("base")
        if not isinstance(append, list) or record.get("type", "llm.request") != "llm.request":
            raise ValueError(f"record {record.get('seq')} is no request")
        if base is not None and "keep" not in record:
            raise ValueError(f"record {record['seq']} does not say what it keeps of record {base}")
        start = record.get("keep", 0)
        if keep is None:
            tail.append(append)
            keep = start
        elif keep > start:
            tail.append(append[: keep - start])
            keep = start
        if base is None or keep == 0:
            if keep:
                raise ValueError(f"record {record.get('seq')} keeps {keep} messages of nothing")
            break
        if base >= record["seq"]:
            raise ValueError(f"record {record.get('seq')} has an impossible base {base!r}")
        record = read(base)
    return [message for part in reversed(tail) for message in part]
