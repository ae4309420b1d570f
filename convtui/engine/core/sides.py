"""Calls the hooks of both sides; whatever a hook does becomes a result or a `HookError`."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from convtui.engine.core.journal import jsonable
from convtui.errors import HookError, ThreadExit
from convtui.providers.base import Provider, SignalMatch, match_signals
from convtui.providers.calling import call
from convtui.providers.loader import owner
from convtui.scenario.provider_hooks import (
    EXTRACT_SIGNALS,
    POST_PROCESS_RESPONSE,
    PREPARE_SESSIONS,
    REPLY_HOOKS,
    SHOULD_DISCARD_RESPONSE,
    Hook,
)
from convtui.simulators.base import UserSimulator
from convtui.text.causes import describe
from convtui.text.tracebacks import own_frames
from convtui.text_checks.reasoning import is_inside, reasoning_spans

_PLAIN: Final = frozenset({str, list, bool})
"""What hooks return that are written as they should be."""
_NAMES: Final = frozenset(hook.name for hook in REPLY_HOOKS.values())


class CheckedHooks:
    """The hooks of a provider or a simulator, as the pipeline calls them.

    Results are checked: signals may be `SignalMatch`es or declared strings, and where a span is not
    that of its text in the raw reply it is looked up; the processed text must be text.
    """

    def __init__(self, target: Provider | UserSimulator) -> None:
        self.target = target
        self._owners: dict[str, str] = {}
        if isinstance(target, Provider):
            self._owners = {name: owner(target, name) for name in _NAMES}
            self._is_own = "yours" in self._owners.values()
        else:
            self._is_own = not type(target).__module__.startswith("convtui.")

    @property
    def foreign(self) -> bool:
        """Whether any of them is the developer's own code; `setup()` may put it in an instance."""
        return self._is_own or not _NAMES.isdisjoint(getattr(self.target, "__dict__", ()))

    @property
    def signals(self) -> list[str]:
        """The declared signals."""
        return [str(signal) for signal in self.target.termination_signals]

    def owner(self, hook: str) -> str:
        """`yours` when a provider defines the hook itself, else `default`."""
        return self._owners.get(hook, "default")

    def extract_signals(self, raw: str) -> list[SignalMatch]:
        """What `extract_signals` finds."""
        signals = self._checked(EXTRACT_SIGNALS, self.target.extract_signals, raw)
        # Each once, also where two were looked up; a reply may have very many.
        matches: dict[tuple[str, int, int], SignalMatch] = {}
        for item in signals:
            if isinstance(item, SignalMatch):
                found = _typed(item)
                more = [found if _is_there(found, raw) else _nearest(found, raw)]
            elif isinstance(item, str) and item.strip():
                more = _looked_up(item, item, raw)
            else:
                what = "an empty text" if isinstance(item, str) else f"a {type(item).__name__}"
                raise HookError(
                    f"extract_signals returned {what} among its signals; use convtui.SignalMatch"
                    " or the declared string",
                    hook=EXTRACT_SIGNALS.name,
                )
            for match in more:
                matches.setdefault((match.signal, match.start, match.end), match)
        return [*matches.values()]

    def post_process(self, raw: str) -> str:
        """What `post_process_response` makes of it."""
        text: str = self._checked(POST_PROCESS_RESPONSE, self.target.post_process_response, raw)
        return text

    def should_discard(self, matches: Sequence[SignalMatch]) -> bool:
        """What `should_discard_response` says."""
        judge = self.target.should_discard_response
        return bool(self._checked(SHOULD_DISCARD_RESPONSE, judge, list(matches)))

    def metadata(self) -> dict[str, Any]:
        """`last_response_metadata` of the side, if it has that attribute."""
        name = "last_response_metadata"
        try:
            metadata = getattr(self.target, name, None)
        except Exception as error:
            raise HookError(
                f"{name} failed: {describe(error)}", hook=name, frames=own_frames(error)
            ) from error
        return jsonable(metadata) if metadata and isinstance(metadata, dict) else {}

    def _checked(self, hook: Hook, function: Callable[..., Any], argument: Any) -> Any:
        result = self._run(hook.name, function, argument)
        hook.check(result)
        return result

    @staticmethod
    def _run(hook: str, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            result = function(*arguments)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise HookError(
                f"{hook}() failed: {describe(error)}", hook=hook, frames=own_frames(error)
            ) from error
        if result.__class__ not in _PLAIN and inspect.isawaitable(result):
            close = getattr(result, "close", None)
            if close is not None:
                close()
            raise HookError(f"{hook}() must be a plain `def`, not `async def`", hook=hook)
        return result


def _typed(match: SignalMatch) -> SignalMatch:
    """The match, if its fields are of their types. Raises `HookError`."""
    sent: Any = match  # the developer's code may have put anything into it
    named = isinstance(sent.signal, str) and sent.signal.strip()
    if named and isinstance(sent.matched, str) and {type(sent.start), type(sent.end)} == {int}:
        return match
    raise HookError(
        f"extract_signals returned {match!r:.120}: signal and matched are text, start and end are"
        " numbers",
        hook=EXTRACT_SIGNALS.name,
    )


def _is_there(match: SignalMatch, raw: str) -> bool:
    start, end = match.start, match.end
    text = raw[start:end] if 0 <= start <= end <= len(raw) else None
    return text is not None and text.casefold() == match.matched.casefold()


def _looked_up(signal: str, text: str, raw: str) -> list[SignalMatch]:
    """Where a signal's text stands in the raw reply; without a place, if it does not."""
    places = match_signals(raw, [text]) if text.strip() else []
    return [replace(place, signal=signal) for place in places] or [SignalMatch(signal, "", 0, 0)]


def _nearest(match: SignalMatch, raw: str) -> SignalMatch:
    """The place of a match whose span was counted in another text, such as a stripped one.

    Of several the nearest; in the reasoning only where the text stands nowhere else.
    """
    thought = reasoning_spans(raw)
    return min(
        _looked_up(match.signal, match.matched, raw),
        key=lambda place: (
            is_inside(thought, place.start, place.end),
            abs(place.start - match.start),
        ),
    )


class Timed:
    """A finished lifecycle call: its value, its seconds, and the error if it failed."""

    __slots__ = ("error", "seconds", "value")

    def __init__(self, value: Any, seconds: float, error: HookError | None) -> None:
        self.value = value
        self.seconds = round(seconds, 4)
        self.error = error


async def lifecycle(hook: str, function: Callable[..., Any], *arguments: Any) -> Timed:
    """Calls a lifecycle hook, plain or `async def`; never raises what the hook raises."""
    started = time.perf_counter()
    value: Any = None
    error: HookError | None = None
    try:
        value = await call(function, *arguments)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as failure:
        task = asyncio.current_task()
        if isinstance(failure, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        # It becomes a named, recorded failure.
        cause = failure.cause if isinstance(failure, ThreadExit) else failure
        if isinstance(cause, HookError):
            error = cause
        else:
            error = HookError(
                f"{hook}() failed: {describe(cause)}", hook=hook, frames=own_frames(cause)
            )
            error.__cause__ = cause
    return Timed(value, time.perf_counter() - started, error)


def checked_sessions(value: Any) -> list[str]:
    """The session types that `prepare_sessions` returned. Raises `HookError` for a bad list."""
    PREPARE_SESSIONS.check(value)
    hook = PREPARE_SESSIONS.name
    names = list(value)
    if not names:
        raise HookError("prepare_sessions returned an empty list: nothing to hold", hook=hook)
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise HookError(
                f"prepare_sessions returned {name!r}; session types are non-empty strings",
                hook=hook,
            )
    return names
