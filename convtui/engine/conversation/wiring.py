"""What a conversation gets from the process that runs it: models, wire capture, callbacks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from convtui.engine.core.gate import GateState
from convtui.log.names import wire_path
from convtui.models.base import ModelClient, ModelClients
from convtui.models.late import on_import
from convtui.records.models import RecordDict
from convtui.secrets.redactor import Redactor
from convtui.text.causes import describe

if TYPE_CHECKING:
    from convtui.log.wire_writer import WireLog, WireMode
    from convtui.models.litellm_client import LitellmClients
    from convtui.models.wire import WireCapture

_MODES = {"last": "failures+last", "all": "all", "off": "off"}


@dataclass(slots=True)
class Wiring:
    """What a conversation gets from the process that runs it."""

    models: ModelClients
    publish_gate: Callable[[GateState, RecordDict | None], None] = lambda state, hold: None
    publish_delta: Callable[[dict[str, Any]], None] | None = None
    redactor: Redactor = field(default_factory=Redactor.of_process)
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
        self._capture: WireCapture | None = None
        self._wire: WireLog | None = None
        self._cancel_install: Callable[[], None] | None = None

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

    def capture(self, log: Path, mode: str) -> None:
        """Captures HTTP exchanges into the wire log beside `log`; `mode` is last, all or off."""
        if mode == "off":
            return
        from convtui.log.wire_writer import WireLog

        wire = WireLog(
            wire_path(log),
            self._redactor,
            mode=cast("WireMode", _MODES.get(mode, "failures+last")),
        )

        def install() -> None:
            from convtui.models.wire import WireCapture

            self._capture = WireCapture(wire.add)
            self._capture.install()

        self._wire = wire
        # A run that uses no httpx does not wait for its import.
        self._cancel_install = on_import("httpx", install)

    async def close(self) -> None:
        """Closes connections and the wire log."""
        if self._clients is not None:
            with contextlib.suppress(Exception):
                await self._clients.aclose()
        if self._cancel_install is not None:
            self._cancel_install()
        if self._capture is not None:
            self._capture.uninstall()
        if self._wire is not None:
            self._wire.close()
