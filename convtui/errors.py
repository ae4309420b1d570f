"""Every error convtui raises on purpose, in one tree.

ConvtuiError
├── UsageError                  bad usage, configuration or file; exit code 2
│   ├── FileError               a file that is missing, unreadable, of the wrong kind
│   │   ├── DataFileError       a mistake in a scenario, persona, theme, keymap or config
│   │   ├── NewerError          a file of a schema that is not known yet
│   │   ├── BatchLocked         another process runs the batch of a folder
│   │   └── LogError            a log that cannot be opened (damage is a finding instead)
│   ├── FilterError             a filter expression that does not parse
│   ├── ProviderLoadError       a provider SPEC that names nothing usable
│   └── ConsentNeeded           a log names what nobody here has asked to be run
├── ConversationError           the conversation itself failed; exit code 3
│   ├── ProviderError           provider code failed, or returned something that is no reply
│   │   ├── HookError           one of its hooks failed
│   │   └── TransientProviderError  the provider says: try again (providers may raise it)
│   ├── UserSimulatorError      the simulated user failed; never an ending in disguise
│   │   └── ResponderError      a responder made no decision that counts
│   ├── CompressionError        the model's answer is no summary of the history
│   ├── ReflectionError         the model's answer is no reflection on an attempt
│   ├── ToolError               a tool could not be set up
│   ├── CallCancelledError      a call was cancelled by hand
│   └── ModelError              a model call failed
│       ├── ModelTimeout            no answer within the deadline
│       ├── RateLimited             429; may carry `retry_after`
│       ├── ModelUnavailable        cannot connect, or a 5xx
│       ├── StreamDropped           the stream died after it began
│       ├── AuthenticationFailed    missing or refused key; never retried
│       ├── QuotaExceeded           the account has no credit left; never retried
│       ├── BadModelRequest         the endpoint refused the request (400, 404, 422)
│       └── ContextTooLong          the request does not fit the model's context
├── InterruptedRunError         nobody watches where somebody would have to decide
├── EngineError                 the engine process could not start, or died
├── IndexFailure                the library's index cannot be used; the logs can
└── CommandRefused              a debugger command that cannot be carried out now, with the reason

Others never reach a person as they are: whoever calls what raises them makes a result or one of the
above of them.

BadValueError       a value that an atom of a filter cannot take
EndpointError       an error object where a reply was expected
FieldError          a field of a form and what is wrong with it
ThreadExit          `sys.exit()` and the like in a thread
ToolFailure         a call of a tool failed: a result that the model sees
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

MOST_NAMED: Final = 50
"""Mistakes of a file that are told one by one: a file of another kind may have one in each line."""


class ConvtuiError(Exception):
    """Base of all errors raised on purpose; its text is fit to be shown to a person."""

    exit_code = 1


class UsageError(ConvtuiError):
    """Bad usage, configuration or file: says what, where and what to do. Exit code 2."""

    exit_code = 2


class FileError(UsageError):
    """A file that is missing, unreadable or of the wrong kind."""


class DataFileError(FileError):
    """A mistake in a file that people write.

    `problems` holds one sentence for each mistake found; `str()` prefixes each with
    `file:line: key:` as far as they are known, and counts those after the first `MOST_NAMED`.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        rows = [str(problem) for problem in self.problems[:MOST_NAMED]]
        if more := len(self.problems) - len(rows):
            rows.append(f"and {more:,} more")
        super().__init__("\n".join(rows))


class Problem:
    """One mistake in a file: where it is (`path`, 1-based `line`, dotted `key`) and what to do."""

    __slots__ = ("key", "line", "message", "path")

    def __init__(
        self,
        message: str,
        *,
        path: Path | str | None = None,
        line: int | None = None,
        key: str | None = None,
    ) -> None:
        self.message = message
        self.path = path
        self.line = line
        self.key = key

    def __str__(self) -> str:
        where = str(self.path) if self.path is not None else ""
        if where and self.line is not None:
            where += f":{self.line}"
        parts = [where] if where else []
        if self.key:
            parts.append(self.key)
        parts.append(self.message)
        return ": ".join(parts)

    def __repr__(self) -> str:
        return f"Problem({str(self)!r})"


class NewerError(FileError):
    """A file of a schema that is not known yet: nothing in it can be taken at its word."""


class BatchLocked(FileError):
    """Another process runs the batch of a folder; `pid` is which one, where that is known."""

    def __init__(self, message: str, pid: int | None) -> None:
        self.pid = pid
        super().__init__(message)


class LogError(FileError):
    """A log that cannot be opened at all: missing, a directory, empty or not a log."""


class FilterError(UsageError):
    """A filter expression that does not parse; `column` is 0-based into `expression`."""

    def __init__(self, message: str, expression: str = "", column: int | None = None) -> None:
        self.expression = expression
        self.column = column
        super().__init__(message)


class ProviderLoadError(UsageError):
    """A provider SPEC that names nothing usable.

    `frames` are the traceback lines of the developer's own code, when importing it failed, and
    `location` the `(file, line)` to look at.
    """

    def __init__(
        self,
        message: str,
        *,
        frames: Iterable[str] = (),
        location: tuple[str, int] | None = None,
    ) -> None:
        self.message = message
        self.frames = tuple(frames)
        self.location = location
        super().__init__("\n".join([message, *self.frames]))


class ConsentNeeded(UsageError):
    """A log names code, programs or hosts that this user has neither named nor been asked about.

    `consent` is `convtui.trust.rules.Question` as plain data, for whoever can ask.
    """

    def __init__(self, message: str, consent: dict[str, Any]) -> None:
        self.consent = consent
        super().__init__(message)


class ConversationError(ConvtuiError):
    """The conversation failed. Exit code 3. `category` goes into the termination record."""

    exit_code = 3
    category = "other"
    asks_to_wait: float | None = None
    """Seconds that whoever was asked wants to be left alone, where nobody waits that long."""


class ProviderError(ConversationError):
    """Provider code failed; `frames` are the developer's own traceback lines."""

    category = "provider"

    def __init__(self, message: str, *, frames: Iterable[str] = ()) -> None:
        self.message = message
        self.frames = tuple(frames)
        super().__init__(message)


class HookError(ProviderError):
    """A provider or simulator hook failed; `hook` is its name."""

    category = "hook"

    def __init__(self, message: str, *, hook: str, frames: Iterable[str] = ()) -> None:
        self.hook = hook
        super().__init__(message, frames=frames)


class TransientProviderError(ProviderError):
    """Raise this from a provider's own code to have the call made again.

    `retry_after` is honoured when given, up to the scenario's `retry.max_wait`: seconds, or what
    an endpoint's `Retry-After` says. Nothing else a provider raises is taken for transient.
    """

    def __init__(
        self, message: str, *, retry_after: float | str | None = None, frames: Iterable[str] = ()
    ) -> None:
        self.retry_after = retry_after
        super().__init__(message, frames=frames)


class UserSimulatorError(ConversationError):
    """The simulated user failed; recorded as `failed`, category `user_simulator`."""

    category = "user_simulator"


class ResponderError(UserSimulatorError):
    """A responder made no decision that counts; recorded as `failed`, category `responder`."""

    category = "responder"


class CompressionError(ConversationError):
    """The history was not summarised: the model's answer is no summary."""

    category = "llm"


class ReflectionError(ConversationError):
    """An earlier attempt was not reflected on: the model's answer says nothing."""

    category = "llm"


class ToolError(ConversationError):
    """A tool could not be set up (a failing call is a result the model sees, not an error)."""

    category = "tool"


class CallCancelledError(ConversationError):
    """The call was cancelled by hand; `partial` is what had arrived."""

    category = "cancelled"

    def __init__(self, partial: str) -> None:
        self.partial = partial
        super().__init__("the call was cancelled")


class ModelError(ConversationError):
    """A model call failed. `status` is the HTTP status where one arrived."""

    category = "llm"

    def __init__(
        self, message: str, *, status: int | None = None, retry_after: float | None = None
    ) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(message)


class ModelTimeout(ModelError):
    """No answer, or no end of it, within the deadline."""


class RateLimited(ModelError):
    """The endpoint answered 429; `retry_after` (seconds) when it said so."""


class ModelUnavailable(ModelError):
    """Nothing answers at the endpoint, or it answered 5xx."""


class StreamDropped(ModelError):
    """The stream died after it had begun; what had arrived is in the log."""


class AuthenticationFailed(ModelError):
    """The key is missing or was refused; trying again cannot help."""


class QuotaExceeded(ModelError):
    """The account has no credit left; trying again cannot help."""


class BadModelRequest(ModelError):
    """The endpoint refused the request as it is (400, 404, 422)."""

    objects_to: dict[str, Any] | None = None
    """The message of the request that it objects to, where it can be told: `{message, of, role,
    text}`, counted from 1; and `{session, turn, speaker}` where it is a turn of the conversation.
    """


class ContextTooLong(ModelError):
    """The request does not fit into the model's context."""


WORTH_ANOTHER_ATTEMPT = (
    ModelTimeout,
    RateLimited,
    ModelUnavailable,
    StreamDropped,
    TransientProviderError,
)
"""Failures of calls that may not happen again."""


class InterruptedRunError(ConvtuiError):
    """The conversation cannot go on: nobody watches where somebody would have to decide.

    `signal` is the one that asks for the decision, where it is one.
    """

    exit_code = 3

    def __init__(self, reason: str, signal: str | None = None) -> None:
        self.signal = signal
        super().__init__(reason)


class EngineError(ConvtuiError):
    """The engine process could not start, or died.

    `error` is what it said of that itself: `{type, message, frames?, location?}`.
    """

    exit_code = 3

    def __init__(self, message: str, error: dict[str, Any] | None = None) -> None:
        self.error = error or {}
        super().__init__(message)


class IndexFailure(ConvtuiError):
    """The library's index cannot be used: whoever asked it reads the logs instead.

    `damaged` says that it would be of use if it were made again.
    """

    def __init__(self, message: str, *, damaged: bool = False) -> None:
        self.damaged = damaged
        super().__init__(message)


class CommandRefused(ConvtuiError):
    """A debugger command that cannot be carried out now; the text is the reason."""


class BadValueError(Exception):
    """A value that an atom cannot take; `offset` is into the value."""

    def __init__(self, message: str, offset: int = 0) -> None:
        self.offset = offset
        super().__init__(message)


class EndpointError(Exception):
    """An error object where a reply was expected, under status 200.

    `body` is the object, `status_code` the status that it names, else 500.
    """

    def __init__(self, error: Any) -> None:
        body = dict(error) if isinstance(error, Mapping) else {"message": str(error)}
        self.body = body
        self.code = body.get("code")
        self.type = body.get("type")
        claimed = str(self.code or "")
        self.status_code = (
            int(claimed) if claimed.isdecimal() and 400 <= int(claimed) < 600 else 500
        )
        super().__init__(str(body.get("message") or body))


class FieldError(Exception):
    """A field of a form, by its name, and what is wrong with it."""

    def __init__(self, field: str, problem: str) -> None:
        self.field = field
        self.problem = problem
        super().__init__(field, problem)


class ThreadExit(Exception):
    """`sys.exit()` and the like in a thread; `cause` is what was raised."""

    def __init__(self, cause: BaseException, text: str) -> None:
        self.cause = cause
        super().__init__(text)


class ToolFailure(Exception):
    """A failed call; becomes the error result `{ok: false, error_kind, message, detail}`."""

    def __init__(self, kind: str, message: str, detail: str = "") -> None:
        self.kind = kind
        self.detail = detail
        super().__init__(message)


_NEAR = 0.65
_SLIP = 0.86
"""How alike two names are that differ by a slip of the finger only."""
_MOST_MEANT = 6


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, or None when none is like it."""
    return next(iter(_meant(name, list(known))), None)


def misspelled(name: str, known: Iterable[str]) -> str | None:
    """The known name of which `name` is a misspelling, or None.

    For names that may be right as they are, as a method beside the hooks: that something begins
    like a known name, or is somewhat like it, is no reason to suspect it.
    """
    folded = {_folded(each): each for each in known}
    close = difflib.get_close_matches(_folded(name), folded, n=1, cutoff=_SLIP)
    return folded[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`, did you mean 'x'?` for the known names that were probably meant, else an empty string."""
    *others, last = [repr(meant) for meant in _meant(name, list(known))] or [""]
    if not last:
        return ""
    return f", did you mean {', '.join(others)} or {last}?" if others else f", did you mean {last}?"


def _meant(name: str, known: list[str]) -> list[str]:
    """The same but for case and separators; else those of which `name` is the beginning or a part,
    when they are few; else the one that is most like it."""
    wanted = _folded(name)
    folded = {_folded(each): each for each in known}
    if wanted in folded:
        return [folded[wanted]]
    begun = [each for key, each in folded.items() if wanted in _beginnings(key, len(wanted))]
    if len(wanted) > 2 and 0 < len(begun) <= _MOST_MEANT:
        return begun
    close = difflib.get_close_matches(wanted, folded, n=1, cutoff=_NEAR)
    return [folded[close[0]]] if close else []


def _folded(name: str) -> str:
    # What all flags, and all private names, begin with makes none of them alike.
    return name.strip("_").lstrip("-").casefold().replace("_", "-").replace(".", "-")


def _beginnings(name: str, length: int) -> set[str]:
    return {name[:length], *name.split("-")}


def listed(names: Iterable[str], *, limit: int = 6) -> str:
    """`a, b and c`; of more than `limit` names the first ones and how many more there are."""
    known = list(names)
    shown = known[:limit] if len(known) > limit + 1 else known
    more = len(known) - len(shown)
    last = f"{more} more" if more else shown.pop() if shown else "none"
    return f"{', '.join(shown)} and {last}" if shown else last
