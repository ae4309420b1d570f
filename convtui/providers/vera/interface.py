"""VERA-MH's base class for providers, for when VERA-MH is not installed.

A class that uses `from llm_clients.llm_interface import LLMInterface, Role` loads unchanged: if
no `llm_clients` can be imported, `offer()` supplies the names from here. An installed VERA-MH
always wins. The interface is that of its later versions, with which classes of 1.0 also work.
"""

from __future__ import annotations

import asyncio
import copy
import importlib.abc
import importlib.machinery
import sys
import uuid
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from enum import Enum
from types import ModuleType
from typing import Any, Final, TypeVar

from convtui.models.retry import RetryContext, current_retry, full_jitter
from convtui.providers.base import match_signals
from convtui.text.causes import text_of

Turn = dict[str, Any]
"""`{turn, speaker, input, response, early_termination, logging}`; `turn` counts from 1. The turn
that only prompts for the opening is `{turn: 0, response}`."""
T = TypeVar("T")
OnError = Callable[[BaseException, int, int, bool, bool], dict[str, Any] | None]
"""Gets the error, the attempt, the number of attempts, whether the error is retryable and whether
there will be a retry; its result is merged into the metadata."""

DEFAULT_START_PROMPT: Final = "Start the conversation based on the system prompt"
MAX_LLM_RETRIES: Final = 3


class Role(Enum):
    """The role of an `LLMInterface` in a conversation."""

    PERSONA = "persona"
    PROVIDER = "provider"
    JUDGE = "judge"


class LLMGenerationFailed(Exception):  # noqa: N818 - the name that such classes import
    """There was no reply, after all attempts or because a retry cannot help."""


class LLMInterface(ABC):
    """VERA-MH's base class, with its defaults.

    A subclass has to define `generate_response`. The constructor ignores unknown keyword arguments
    and also accepts the arguments of VERA-MH 1.0, `(name, system_prompt)`, which has no roles.
    """

    _session_type = "default"
    """The session to hold if none is requested."""

    def __init__(
        self,
        name: str = "",
        role: Any = Role.PROVIDER,
        system_prompt: str | None = None,
        first_message: str | None = None,
        start_prompt: str | None = None,
        **_: Any,
    ) -> None:
        if role is None or isinstance(role, str):
            values = {known.value: known for known in Role}
            if system_prompt is None and role not in values:
                system_prompt = role
            role = values.get(role or "", Role.PROVIDER)
        self.name = name
        self.role = role
        self.system_prompt = system_prompt or ""
        self.first_message = first_message
        self.start_prompt = DEFAULT_START_PROMPT if start_prompt is None else start_prompt
        self.conversation_id = self.create_conversation_id()
        self._last_response_metadata: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        # Called only for missing attributes; `vars` because `self.llm` would recurse.
        inner = vars(self).get("llm")
        if inner is not None and hasattr(inner, name):
            return getattr(inner, name)
        if hasattr(type(self), name):
            raise AttributeError(f"{name} uses an attribute that is not there")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    # --- replies

    async def start_conversation(self) -> str:
        """The opening: `first_message` as it is, else a reply to the start prompt."""
        if self.first_message is not None:
            self._set_response_metadata("static", static_first_message=True)
            return self.first_message
        return await self.generate_response(self.get_initial_prompt_turns())

    @abstractmethod
    async def generate_response(self, conversation_history: list[Turn] | None = None) -> str:
        """The reply to all turns so far."""

    def get_initial_prompt_turns(self) -> list[Turn]:
        """The history that prompts for the opening."""
        return [{"turn": 0, "response": self.start_prompt}]

    def get_first_turn_input_message(self) -> str | None:
        """The prompt that the opening answers; None if the opening is fixed."""
        return None if self.first_message is not None else self.start_prompt

    def set_system_prompt(self, system_prompt: str) -> None:
        self.system_prompt = system_prompt

    def get_name(self) -> str:
        return self.name

    # --- metadata

    @property
    def last_response_metadata(self) -> dict[str, Any]:
        """The metadata of the last reply, as a deep copy. Setting None clears them."""
        return {key: _copied(value) for key, value in self._last_response_metadata.items()}

    @last_response_metadata.setter
    def last_response_metadata(self, value: dict[str, Any] | None) -> None:
        self._last_response_metadata = value or {}

    def create_conversation_id(self) -> str:
        """A new id, made once for each instance."""
        return str(uuid.uuid4())

    def _update_conversation_id_from_metadata(self) -> None:
        identity = self._last_response_metadata.get("conversation_id")
        if identity and identity != self.conversation_id:
            self.conversation_id = identity

    def _set_response_metadata(self, provider: str, **more: Any) -> None:
        """Replaces the metadata with the usual fields and `more`."""
        fields: dict[str, Any] = {
            "response_id": None,
            "model": getattr(self, "model_name", None),
            "provider": provider,
            "role": getattr(self.role, "value", self.role),
            "timestamp": datetime.now().isoformat(),
            "usage": {},
        }
        self.last_response_metadata = {**fields, **more}

    # --- hooks; signals are those that this object declares for its own replies

    @property
    def bespoke_termination_signals(self) -> list[str]:
        """Strings in its own raw replies that end the session."""
        return []

    @property
    def custom_termination_signals(self) -> list[str]:
        """The newer name of `bespoke_termination_signals`."""
        return self.bespoke_termination_signals

    def _extract_signals(self, raw_response: str) -> list[str]:
        """The declared signals in a raw reply, as declared and in that order."""
        declared = list(self.custom_termination_signals)
        matched = {match.signal for match in match_signals(raw_response, declared)}
        return [signal for signal in declared if signal in matched]

    def _post_process_response(self, response: str) -> str:
        """The text to commit, given the raw reply."""
        return response

    def _should_discard_response(self, signals: list[str]) -> bool:
        """Whether a reply with these signals is dropped."""
        return False

    @property
    def first_speaker(self) -> Any:
        """The first speaker of the session just entered: a `Role`, or None for the default."""
        return None

    def prepare_sessions(self, session_types: list[str]) -> list[str]:
        """The sessions to hold."""
        return session_types

    async def setup(self) -> None:  # noqa: B027
        """Called by the runner, once, before all sessions."""

    async def enter_session(self, session_type: str) -> None:  # noqa: B027
        """Called before every session, also the first."""

    async def finish_and_reset_session(self, session_type: str) -> None:  # noqa: B027
        """The older name of `enter_session`: called before every session, also the first."""

    async def cleanup(self) -> None:  # noqa: B027
        """Called once, at the end."""

    # --- retries

    def _no_retry_substrings(self) -> Sequence[str]:
        """Texts of errors that a retry cannot fix, such as an exhausted quota."""
        return ()

    async def _run_with_retry(
        self,
        get_coro: Callable[[], Awaitable[T]],
        *,
        provider: str | None = None,
        no_retry_substrings: Sequence[str] = (),
        on_error: OnError | None = None,
    ) -> T:
        """The result of `get_coro()`, retried by the rules of the conversation.

        Every attempt begins with empty metadata and is recorded if it fails. Raises
        `LLMGenerationFailed`.
        """
        hopeless = (*self._no_retry_substrings(), *no_retry_substrings)
        return await run_with_retry(
            self,
            get_coro,
            provider=provider or "unknown",
            hopeless=hopeless,
            on_error=on_error,
            failure=LLMGenerationFailed,
        )


class JudgeLLM(LLMInterface):
    """An `LLMInterface` that can also judge; as a provider that makes no difference."""

    async def generate_structured_response(self, message: str | None, response_model: Any) -> Any:
        """For judges only. Raises `NotImplementedError`."""
        raise NotImplementedError("structured replies are for judges")


async def run_with_retry(
    client: Any,
    get_coro: Callable[[], Awaitable[T]],
    *,
    provider: str,
    hopeless: Sequence[str],
    on_error: OnError | None,
    failure: type[Exception],
) -> T:
    """The retry loop of such classes. Raises `failure` when it gives up."""
    context = current_retry.get() or RetryContext(
        MAX_LLM_RETRIES + 1, lambda n, error: full_jitter(n), lambda n, delay, error: None
    )
    number = 0
    while True:
        number += 1
        client.last_response_metadata = {}
        try:
            return await get_coro()
        except failure as error:
            if not client.last_response_metadata:
                client._set_response_metadata(
                    provider, **_attempt(error, number, context.attempts, False, False)
                )
            raise
        except Exception as error:
            message = text_of(error)
            retryable = not any(text in message for text in hopeless)
            too_long = context.too_long(error) if retryable else ""
            again = retryable and number < context.attempts and not too_long
            client._set_response_metadata(
                provider, **_attempt(error, number, context.attempts, retryable, again)
            )
            more = on_error(error, number, context.attempts, retryable, again) if on_error else None
            client._last_response_metadata.update(more or {})
            if not retryable:
                raise failure(f"LLM error (non-retryable): {message}") from error
            if not again:
                also = f"; {too_long}" if too_long else ""
                raise failure(
                    f"LLM call failed after {number} attempts: {message}{also}"
                ) from error
            delay = context.delay(number, error)
            client._last_response_metadata["retry_delay_seconds"] = round(delay, 3)
            context.failed(number, delay, error)
        await asyncio.sleep(delay)


def _attempt(
    error: BaseException, n: int, attempts: int, retryable: bool, again: bool
) -> dict[str, Any]:
    return {
        "error": text_of(error),
        "attempt": n,
        "max_attempts": attempts,
        "retryable": retryable,
        "will_retry": again,
    }


def _copied(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001 - objects of SDKs hold locks and the like
        return value


PACKAGE: Final = "llm_clients"
_NAMES: Final = {
    PACKAGE: (Role, LLMInterface),
    f"{PACKAGE}.llm_interface": (Role, LLMInterface, JudgeLLM, LLMGenerationFailed),
    # Its location before there was a package.
    "llm_interface": (LLMInterface,),
}
_OFFERED_BY: Final = "convtui:vera"


class _Offer(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Supplies `llm_clients` and its `llm_interface` if no other finder has them."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """A module of ours; a submodule only below our own package."""
        if fullname not in _NAMES or (path is not None and _OFFERED_BY not in path):
            return None
        spec = importlib.machinery.ModuleSpec(fullname, self, is_package=fullname == PACKAGE)
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(_OFFERED_BY)
        return spec

    def exec_module(self, module: ModuleType) -> None:
        module.__doc__ = "Offered by convtui: VERA-MH is not installed."
        for thing in _NAMES[module.__name__]:
            setattr(module, thing.__name__, thing)
        if module.__name__ == f"{PACKAGE}.llm_interface":
            vars(module).update(
                DEFAULT_START_PROMPT=DEFAULT_START_PROMPT, MAX_LLM_RETRIES=MAX_LLM_RETRIES
            )


def offer() -> None:
    """Supplies `llm_clients` if it is not installed. For the engine's process only.

    The finder comes last, so a VERA-MH that can be imported is always preferred.
    """
    if not any(isinstance(finder, _Offer) for finder in sys.meta_path):
        sys.meta_path.append(_Offer())
