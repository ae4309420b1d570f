"""Runs a conversation without a screen, in an engine process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import convtui.errors
from convtui.cli.common import say, says_yes
from convtui.cli.signals import heard_by_loop
from convtui.client.engine_client import EngineHandle, EngineState
from convtui.errors import CommandRefused, ConvtuiError, EngineError, UsageError
from convtui.printing.printer import Printer
from convtui.protocol import Commands, StartSpec
from convtui.records.codec import RecordDict, exit_code
from convtui.scenario.parts import Limits
from convtui.transcript.fold import COMMITTED, Transcript
from convtui.transcript.turns import OPEN
from convtui.transcript.usage import whole_totals

STOP_WITHIN = 3.0
"""Seconds that an engine gets to end a conversation on request."""
_GRACE = 5.0
"""Seconds beyond its time limits that an engine may be silent in a turn. Without a screen, nobody
can see that provider code blocks it, and press K."""
_LOOK_EVERY = 0.5


class Conductor:
    """One headless conversation: feeds the printer, stops the engine when asked to.

    `code` is the exit code once `run()` has returned.
    """

    def __init__(self, spec: StartSpec, printer: Printer, python: str | None = None) -> None:
        self.handle = EngineHandle(python=python)
        self.code = 0
        self._spec = spec
        self._printer = printer
        self._interrupts = 0
        self._error: BaseException | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._gave_up = ""

    async def run(self) -> None:
        """Runs the conversation to its end. Raises `EngineError` when it cannot start."""
        self.handle.on_record(self._print)
        with heard_by_loop(self._interrupt):
            watch = asyncio.create_task(self._watch())
            try:
                await self.handle.start(self._spec)
                await self.handle.wait()
            except EngineError:
                if not self._interrupts:
                    raise
            finally:
                watch.cancel()
                await self.handle.close()
        self._printer.finish()
        if self._error is not None:
            raise self._error
        self.code = self._exit_code()

    @property
    def log(self) -> Path | None:
        """The log, if there is one: where nothing could be written, there is none."""
        path = self.handle.log_path
        return path if path is not None and path.exists() else None

    def _exit_code(self) -> int:
        if self.handle.state is EngineState.CLOSED:
            return exit_code(self.handle.transcript.termination)
        if self._interrupts:
            return 130
        error = self.handle.error or {}
        say(f"convtui: {self._gave_up or error.get('message', 'the engine has gone')}")
        for frame in error.get("frames", ()):
            say(f"  {frame}")
        return 3 if self.log is not None else _code_of(error)

    async def _watch(self) -> None:
        """Ends an engine that provider code blocks for longer than a turn may take."""
        limits = Limits.model_validate(self._spec.scenario.get("limits") or {})
        longest = max(limits.turn_timeout, limits.tool_timeout)
        while not self.handle.over:
            await asyncio.sleep(_LOOK_EVERY)
            if self.handle.silent_for <= longest + _GRACE:
                continue
            # The blocking code may have kept it from sending its last records.
            self.handle.catch_up()
            turns = self.handle.transcript.turns
            if not turns or turns[-1].status != OPEN or self.handle.hold is not None:
                continue
            self._gave_up = (
                f"provider code has blocked the engine for {self.handle.silent_for:.0f} s: the turn"
                f" had {longest:g} s (limits.turn_timeout, limits.tool_timeout)"
            )
            with contextlib.suppress(CommandRefused, TimeoutError):
                async with asyncio.timeout(STOP_WITHIN):
                    await self.handle.command(Commands.GIVE_UP, reason=self._gave_up)
                    await self.handle.wait()
            await self.handle.close()

    def _print(self, record: RecordDict) -> None:
        if self._error is not None:
            return
        try:
            self._printer.record(record)
        except BaseException as error:  # noqa: BLE001  (raised again by run())
            # Raised in a callback it would be lost; and without a reader, a paid conversation
            # must not go on.
            self._error = error
            self._stop("its output is not read any more")

    def _interrupt(self) -> None:
        self._interrupts += 1
        if self._interrupts == 1:
            self._stop("interrupted at the keyboard")
        else:
            self.handle.kill()

    def _stop(self, reason: str) -> None:
        self._stopping = asyncio.ensure_future(self._ask_to_stop(reason))

    async def _ask_to_stop(self, reason: str) -> None:
        if self.handle.state in (EngineState.NEW, EngineState.STARTING):
            self.handle.kill()
            return
        with contextlib.suppress(CommandRefused, TimeoutError):
            async with asyncio.timeout(STOP_WITHIN):
                await self.handle.command(Commands.STOP, reason=reason)
                await self.handle.wait()
            return
        # Provider code blocks the engine: one without a screen closes its log by itself.
        await self.handle.close()


def conduct(spec: StartSpec, printer: Printer, python: str | None = None) -> Conductor:
    """Runs one conversation to its end and returns its conductor.

    If a log needs consent for what it names, asks at the terminal. Raises `EngineError`, with the
    exit code of its cause, if the engine cannot start, and `UsageError` if consent is refused.
    """
    conductor = Conductor(spec, printer, python)
    try:
        asyncio.run(conductor.run())
        return conductor
    except EngineError as error:
        refused = error
    agreed = agreed_to(refused.error.get("consent"))
    if not agreed:
        raise startup_error(refused, conductor.handle)
    return conduct(replace(spec, vouched=[*spec.vouched, *agreed]), printer, python)


def agreed_to(consent: Any) -> list[str]:
    """The items of a `trust.Question` that the user agrees to at the terminal.

    Empty without a terminal. Raises `UsageError` if the user refuses.
    """
    if not isinstance(consent, dict) or not sys.stdin or not sys.stdin.isatty():
        return []
    from convtui.trust.rules import Question

    question = Question.of(consent)
    say(question.text)
    if not says_yes("Do all that?"):
        raise UsageError(f"{question.log}: not agreed to, so nothing was run")
    return question.items


def startup_error(error: EngineError, handle: EngineHandle) -> ConvtuiError:
    """The error of an engine that did not start, with the exit code of its cause."""
    described = handle.error or {}
    text = str(error)
    printed = "".join(piece for _, piece in handle.early_output[-20:]).strip()
    if printed and printed not in text:
        text = f"{text}\nIt printed:\n{printed}"
    failure = EngineError(text)
    failure.exit_code = _code_of(described)
    return failure


def _code_of(error: Mapping[str, Any]) -> int:
    """The exit code of an error that an engine has described."""
    kind = getattr(convtui.errors, str(error.get("type")), None)
    if isinstance(kind, type) and issubclass(kind, ConvtuiError):
        return kind.exit_code
    return EngineError.exit_code


def summary(transcript: Transcript, log: Path | None, code: int) -> dict[str, Any]:
    """The data of a conversation in `run --json`."""
    from convtui.log.spans import session_spans
    from convtui.log.transcript_json import duration

    sessions = []
    spans = session_spans(log) if log is not None and log.exists() else {}
    for session in transcript.sessions:
        sessions.append(
            {
                "index": session.index,
                "type": session.session_type,
                "turns": sum(transcript.turns[i].status == COMMITTED for i in session.turns),
                "duration": duration(session),
                "termination": session.termination,
                "skipped": session.skipped,
                "log_span": spans.get(session.index),
            }
        )
    return {
        "id": transcript.id,
        "log": str(log) if log is not None else None,
        "sessions": sessions,
        "termination": transcript.termination,
        "totals": {side: totals.as_dict() for side, totals in whole_totals(transcript).items()},
        "exit_code": code,
    }


def printer(
    *, as_json: bool, debug: bool, color_setting: str = "auto", live: bool = True
) -> Printer:
    """A printer for a run: turns on standard output, progress and stages on standard error.

    `live` says whether it is printed while it runs.
    """
    from convtui.cli.common import use_color
    from convtui.printing.wording import terminal_width

    return Printer(
        None if as_json else sys.stdout,
        sys.stderr,
        width=terminal_width(sys.stdout),
        color=use_color(sys.stdout, color_setting),
        debug=debug,
        live=live,
    )
