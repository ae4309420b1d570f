"""The hooks of a provider: one row for each, from which everything else that lists them is made.

What a hook does where a class leaves it out is the method of that name in
`convtui.providers.base.Provider`; when it is called is the engine's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from convtui.errors import HookError


@dataclass(frozen=True, slots=True)
class Hook:
    """A method that a provider class may define, or (without `arguments`) a value."""

    name: str
    sentence: str
    """What it is for: the docstring that `convtui init` gives it, and its row in the manual."""
    stage: str
    """Where it is called: a stage of a turn, or a part of a conversation."""
    default: str
    """What holds where a class leaves it out, in words."""
    arguments: tuple[str, ...] | None = None
    returns: str = ""
    """What it has to return, in words."""
    result: tuple[type, ...] = (object,)
    """The types of what it may return."""
    awaited: bool = False
    """Whether it is `async def` in `Provider`; one that is plain does as well."""
    called: str = ""
    """How often it is called, in words, where a probe can count that."""
    in_starter: bool = True
    """Whether the class that `convtui init` writes shows it."""

    @property
    def is_method(self) -> bool:
        """Whether it is called, not read."""
        return self.arguments is not None

    @property
    def signature(self) -> str:
        """How it is written in a class, without `self`."""
        if self.arguments is None:
            return self.name
        return f"{'async ' * self.awaited}{self.name}({', '.join(self.arguments)})"

    def check(self, value: Any) -> None:
        """Raises `HookError` for what it must not return."""
        if not isinstance(value, self.result):
            hint = ": is a `return` missing?" if value is None else ""
            raise HookError(
                f"{self.name} returned {type(value).__name__} instead of {self.returns}{hint}",
                hook=self.name,
            )


SETUP: Final = Hook(
    "setup",
    "Called once, before anything else: open connections here.",
    stage="setup",
    default="nothing",
    arguments=(),
    awaited=True,
    called="once",
)
CLEANUP: Final = Hook(
    "cleanup",
    "Called once at the end, also after a failure: close connections here.",
    stage="cleanup",
    default="nothing",
    arguments=(),
    awaited=True,
    called="once at the end",
)
PREPARE_SESSIONS: Final = Hook(
    "prepare_sessions",
    "The sessions to hold: may reorder them or put one before them.",
    stage="setup",
    default="as requested",
    arguments=("session_types",),
    returns="a list",
    result=(list, tuple),
    called="once",
)
ENTER_SESSION: Final = Hook(
    "enter_session",
    "Called before every session, also the first.",
    stage="session",
    default="nothing",
    arguments=("session_type",),
    awaited=True,
    called="before every session",
)
FINISH_AND_RESET_SESSION: Final = Hook(
    "finish_and_reset_session",
    "Called between two sessions only: forget the one that ended.",
    stage="session",
    default="nothing",
    arguments=("next_session_type",),
    awaited=True,
    called="between two sessions",
)
GENERATE_RESPONSE: Final = Hook(
    "generate_response",
    "The raw reply to the chat so far: call your model here.",
    stage="response",
    default="none",
    arguments=("messages",),
    returns="text or a `Reply`",
    awaited=True,
)
RESPOND: Final = Hook(
    "respond",
    "The raw reply as a stream, with usage and tool calls, in place of `generate_response`.",
    stage="response",
    default="calls `generate_response`",
    arguments=("request",),
    returns="a stream of `Delta`s",
    awaited=True,
    in_starter=False,
)
EXTRACT_SIGNALS: Final = Hook(
    "extract_signals",
    "The signals in the raw reply.",
    stage="signals",
    default="every declared signal, in any case",
    arguments=("raw",),
    returns="a list of signals",
    result=(list, tuple),
)
POST_PROCESS_RESPONSE: Final = Hook(
    "post_process_response",
    "What is said, made from the raw reply.",
    stage="post_process",
    default="the raw reply",
    arguments=("text",),
    returns="text",
    result=(str,),
    called="once a reply",
)
SHOULD_DISCARD_RESPONSE: Final = Hook(
    "should_discard_response",
    "Whether a reply with these signals is dropped.",
    stage="discard",
    default="keeps it",
    arguments=("signals",),
    returns="true or false",
)
RESTORE: Final = Hook(
    "restore",
    "Brings a new object to where a conversation stands; state.histories has what was said.",
    stage="restore",
    default="depends on `stateful`",
    arguments=("state",),
    awaited=True,
)
TERMINATION_SIGNALS: Final = Hook(
    "termination_signals",
    "Strings in a raw reply that end the session, unless `on_signal` in the scenario differs.",
    stage="signals",
    default="none",
    returns="a list of text",
)
FIRST_SPEAKER: Final = Hook(
    "first_speaker",
    'Who speaks first: "persona" or "provider"; read after every `enter_session`.',
    stage="session",
    default="the scenario's",
    returns="text or None",
)
SYSTEM_PROMPT: Final = Hook(
    "system_prompt",
    "Put before the history in every request.",
    stage="request",
    default="the scenario's",
    returns="text",
)

HOOKS: Final = (
    SETUP,
    CLEANUP,
    PREPARE_SESSIONS,
    ENTER_SESSION,
    FINISH_AND_RESET_SESSION,
    GENERATE_RESPONSE,
    RESPOND,
    EXTRACT_SIGNALS,
    POST_PROCESS_RESPONSE,
    SHOULD_DISCARD_RESPONSE,
    RESTORE,
    TERMINATION_SIGNALS,
    FIRST_SPEAKER,
    SYSTEM_PROMPT,
)
"""Every hook, in the order in which they are shown."""
METHODS: Final = tuple(hook for hook in HOOKS if hook.is_method)
"""Those that are called: of these it is told whose they are."""
REPLY_HOOKS: Final[Mapping[str, Hook]] = {
    hook.stage: hook for hook in (EXTRACT_SIGNALS, POST_PROCESS_RESPONSE, SHOULD_DISCARD_RESPONSE)
}
"""The hooks that take a reply through its stages, by stage."""
