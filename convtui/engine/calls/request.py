"""What a call is made of, and what comes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from convtui.models.base import Delta, Message, Reply
from convtui.records.models import Side


@dataclass(slots=True)
class CallRequest:
    """A call to be made: what is sent, and how to open the stream of the reply."""

    side: Side
    open: Callable[[], AsyncIterator[Delta]]
    messages: Sequence[Message]
    params: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None
    round: int = 1
    own_code: bool = False
    """Whether the developer's own code answers: nothing but `TransientProviderError` is transient
    then, a timeout is not."""
    tools: list[str] | None = None
    """The names of the offered tools."""
    estimate: dict[str, Any] | None = None
    """The expected usage of the call."""
    stands: Callable[[Reply], bool] | None = None
    """Whether a partial reply is enough when an attempt fails; it becomes the reply then."""


@dataclass(slots=True)
class CallResult:
    """A complete reply and the `seq` of its request."""

    reply: Reply
    call: int


DeltaSink = Callable[[dict[str, Any]], None]
