"""The messages of a chat for code that may change what it is given."""

from __future__ import annotations

from collections.abc import Sequence

from convtui.log.requests import shared_start
from convtui.models.base import Message


class HandedOut:
    """Hands out a growing chat again and again, as copies that its taker may change.

    A copy that was left as it was is handed out again, so that a call costs as much as its new
    messages; one that was changed is made anew.
    """

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._copies: list[Message] = []

    def copies(self, messages: Sequence[Message]) -> list[Message]:
        """A new list of copies, one level deep."""
        keep = shared_start(self._messages, messages)
        del self._messages[keep:], self._copies[keep:]
        if self._copies != self._messages:
            pairs = zip(self._copies, self._messages, strict=True)
            self._copies = [copy if copy == kept else dict(kept) for copy, kept in pairs]
        more = messages[keep:]
        self._messages += more
        self._copies += map(dict, more)
        return list(self._copies)
