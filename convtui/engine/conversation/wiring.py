"""What a conversation gets from the process that runs it: models, wire capture, callbacks."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from convtui.engine.calls.permits import Permits
from convtui.engine.core.gate import GateState
from convtui.log.names import wire_path
from convtui.models.base import ModelClient, ModelClients
from convtui.models.late import on_import
from convtui.records.models import RecordDict
from convtui.secrets.redactor import Redactor
from convtui.text.causes import describe

if TYPE_CHECKING:
    from convtui.log.wire_writer import WireLog, WireMode
    from convtui.models.captures import Capture
    from convtui.models.litellm_client import LitellmClients

_MODES = {"last": "failures+last", "all": "all", "off": "off"}


@dataclass(slots=True)
class Wiring:
    """What a conversation gets from the process that runs it."""

    models: ModelClients
    publish_gate: Callable[[GateState, RecordDict | None], None] = lambda state, hold: None
    publish_delta: Callable[[dict[str, Any]], None] | None = None
    seen: Callable[[], bool] = lambda: True
    """Whether anybody sees what is published as it arrives."""
    redactor: Redactor = field(default_factory=Redactor.of_process)
    permits: Permits = field(default_factory=Permits)
    """How many calls of a model may run at once, over all conversations that share it."""
    explain_failure: Callable[[BaseException], str] = lambda error: (
        f"internal error: {describe(error)}"
    )
    """Explains an exception that is no `ConvtuiError`."""


class EngineModels:
    """Makes model clients (a `ModelClients`) and captures the process's HTTP traffic.

    Litellm and the capture are imported when they are first needed.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._clients: LitellmClients | None = None
        self._capture: Capture | None = None
        self._wire: WireLog | None = None

    def client(self, model: str, params: Mapping[str, Any] | None = None) -> ModelClient:
        """A client for a litellm model string. Raises `UsageError` for one it cannot call."""
        return cast(ModelClient, self._litellm().client(model, params))

    async def priced(self, model: str) -> bool:
        """Whether what a model costs is known before it is called."""
        return await self._litellm().priced(model)

    def _litellm(self) -> LitellmClients:
        if self._clients is None:
            from convtui.models.litellm_client import LitellmClients

            self._clients = LitellmClients(self._redactor)
        return self._clients

    def capture(self, log: Path, mode: str, *, everywhere: bool = False) -> None:
        """Captures HTTP exchanges into the wire log beside `log`; `mode` is last, all or off.

        With `everywhere` all of the process, for a process with one conversation; else those of
        the context in which this is called, and of what is started there.
        """
        if mode == "off":
            return
        from convtui.log.wire_writer import WireLog
        from convtui.models.captures import Capture, current_capture

        wire = self._wire = WireLog(
            wire_path(log),
            self._redactor,
            mode=cast("WireMode", _MODES.get(mode, "failures+last")),
        )
        self._capture = Capture(wire.add, everywhere=everywhere)
        self._capture.register()
        current_capture.set(self._capture)
        _TAP.want()

    async def close(self) -> None:
        """Closes connections and the wire log."""
        if self._clients is not None:
            with contextlib.suppress(Exception):
                await self._clients.aclose()
        if self._capture is not None:
            _TAP.let_go()
            self._capture.unregister()
            self._capture = None
        if self._wire is not None:
            self._wire.close()


class _Tap:
    """Keeps httpx tapped while somebody captures, from when it is imported."""

    def __init__(self) -> None:
        self._users = 0
        self._tapped = False
        self._cancel: Callable[[], None] = lambda: None
        self._lock = threading.RLock()

    def want(self) -> None:
        """Somebody captures."""
        with self._lock:
            self._users += 1
            if self._users == 1:
                # A run that uses no httpx does not wait for its import.
                self._cancel = on_import("httpx", self._tap)

    def let_go(self) -> None:
        """Somebody captures no more."""
        with self._lock:
            self._users -= 1
            if not self._users:
                self._cancel()
                if self._tapped:
                    from convtui.models.wire import untap

                    self._tapped = False
                    untap()

    def _tap(self) -> None:
        from convtui.models.wire import tap

        self._tapped = True
        tap()


_TAP = _Tap()
