"""The hooks of classes written for VERA-MH, one row each, by their names there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from convtui.providers.signatures import check_call, check_plain


@dataclass(frozen=True, slots=True)
class VeraHook:
    """A hook that such a class may define."""

    name: str
    arguments: tuple[str, ...] | None = None
    """Its arguments; None for a value, and for a method that may be called in two ways."""
    ours: str = ""
    """The corresponding hook of `convtui.Provider`, if that has another name."""
    plain: bool = False
    """Whether VERA-MH calls it without awaiting."""


HOOKS: Final = (
    VeraHook("setup", ()),
    VeraHook("cleanup", ()),
    VeraHook("prepare_sessions", ("session_types",)),
    VeraHook("enter_session", ("session_type",)),
    VeraHook("finish_and_reset_session", ("session_type",)),
    VeraHook("start_conversation", ()),
    VeraHook("generate_response", ours="respond"),
    VeraHook("bespoke_termination_signals"),
    VeraHook("first_speaker"),
    VeraHook("_extract_signals", ("raw_response",), ours="extract_signals", plain=True),
    VeraHook("_post_process_response", ("response",), ours="post_process_response", plain=True),
    VeraHook("_should_discard_response", ("signals",), ours="should_discard_response", plain=True),
)
RESTORE: Final = VeraHook("restore", ("state",))
"""Not part of VERA-MH, but called if a class has it."""
NAMES: Final = tuple(hook.name for hook in HOOKS)
OURS: Final = {hook.ours: hook.name for hook in HOOKS if hook.ours}
"""Our names of hooks to VERA-MH's, where they differ."""


def check_vera_signatures(client: object, base: type | None, where: str) -> None:
    """Raises `ProviderLoadError` if a method cannot take the arguments that it is called with.

    `base` is the interface that the object's class is derived from.
    """
    for hook in (*HOOKS, RESTORE):
        defined = getattr(type(client), hook.name, None)
        if (
            hook.arguments is None
            or not callable(defined)
            or defined is getattr(base, hook.name, None)
        ):
            continue
        if hook.name == "finish_and_reset_session" and hasattr(type(client), "enter_session"):
            entering = getattr(type(client), "enter_session", None)
            if entering is not getattr(base, "enter_session", None):
                continue  # is not called then
        method = getattr(client, hook.name)
        check_call(method, hook.name, hook.arguments, where)
        if hook.plain:
            check_plain(method, hook.name, where)
