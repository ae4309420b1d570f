"""What went wrong in a model call, as an error of our own tree with its real cause in a sentence.

The network's own exceptions count before what litellm makes of them.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from convtui.errors import (
    AuthenticationFailed,
    BadModelRequest,
    ContextTooLong,
    ModelError,
    ModelTimeout,
    ModelUnavailable,
    QuotaExceeded,
    RateLimited,
    StreamDropped,
)
from convtui.models.error_chain import ErrorChain, is_named
from convtui.models.objections import objected
from convtui.models.quota import is_used_up
from convtui.models.waits import asked_by, asked_in
from convtui.scenario.model_names import no_provider
from convtui.secrets.redactor import Redactor
from convtui.text.boundary import one_line
from convtui.text.causes import text_of
from convtui.text_checks.error_texts import page_title

_LIMIT = 400
_CONTEXT = re.compile(
    r"(?i)context_length_exceeded|context window|maximum context length|prompt is too long"
    r"|exceeds the (?:model'?s )?context|input is too long|too many tokens in the prompt"
)
_NO_KEY = re.compile(
    r"(?i)missing credentials|api[_ -]?key\b.*\b(?:must be set|not set|missing|required)"
    r"|missing .*api[_ -]?key|no api[_ -]?key|no key is set"
)
_NO_PROVIDER = re.compile(r"(?i)LLM Provider NOT provided|GetLLMProvider")
_NO_CODE = 422
"""What litellm claims of an error object with status 200 that has no code."""
_BEGINNING = 200
"""Characters of a refused message that are told."""


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What is known about the call that failed.

    `key_names` are the environment variables that could hold its key, `key_given` says that the
    parameters held one, `started` that a part of the reply had arrived.
    """

    model: str
    api_base: str | None = None
    key_names: tuple[str, ...] = ()
    key_given: bool = False
    started: bool = False
    redactor: Redactor = field(default_factory=Redactor)
    messages: Sequence[Mapping[str, Any]] = ()
    """What was sent."""


def map_error(error: BaseException, facts: CallFacts) -> ModelError:
    """The error of our tree for whatever litellm, openai or httpx raised. Never raises itself."""
    chain = ErrorChain(error)
    raw = _network_error(chain, facts) or _EndpointError(chain, facts).error()
    message = facts.redactor.text(str(raw))
    mapped = type(raw)(message, status=raw.status, retry_after=raw.retry_after)
    if isinstance(mapped, BadModelRequest):
        mapped.objects_to = _objection(chain, facts)
    return mapped


def _objection(chain: ErrorChain, facts: CallFacts) -> dict[str, Any] | None:
    """The message that the endpoint objects to, as `BadModelRequest.objects_to` has it."""
    if not (chain.answered or facts.started or chain.error_code):
        return None
    apart = re.search(r"(?i)claude|anthropic|gemini", facts.model) is not None
    index = objected(f"{chain.text} {chain.codes}", facts.messages, system_apart=apart)
    if index is None:
        return None
    message = facts.messages[index]
    content = message.get("content")
    shown = content if isinstance(content, str) else "" if content is None else json.dumps(content)
    return {
        "message": index + 1,
        "of": len(facts.messages),
        "role": str(message.get("role")),
        "text": facts.redactor.text(shown[:_BEGINNING]),
    }


def unknown_model(model: str, error: BaseException) -> str | None:
    """What to write instead, when `error` says that litellm knows no provider for `model`."""
    return no_provider(model) if _NO_PROVIDER.search(str(error)) else None


def _network_error(chain: ErrorChain, facts: CallFacts) -> ModelError | None:
    """What the connection itself did; None when it was not at fault."""
    broken = chain.first(httpx.TransportError)
    where = _origin(broken, facts)
    if isinstance(broken, httpx.UnsupportedProtocol):
        return BadModelRequest(
            f"api_base {facts.api_base or where!r} is no http:// or https:// URL"
        )
    if isinstance(broken, (httpx.ConnectError, httpx.ConnectTimeout)):
        return ModelUnavailable(f"cannot connect to {where}: {_why_no_connection(chain)}")
    if isinstance(broken, httpx.ProxyError):
        return ModelUnavailable(f"cannot connect to {where}: proxy: {one_line(str(broken), 120)}")
    if isinstance(broken, httpx.TimeoutException) or chain.has_named("APITimeoutError", "Timeout"):
        if facts.started:
            return ModelTimeout(f"{facts.model} at {where} stopped in the middle of its reply")
        return ModelTimeout(f"{facts.model} at {where} did not answer in time")
    if broken is not None:
        why = _lower_first(one_line(str(broken), 160)) or type(broken).__name__
        if facts.started:
            return StreamDropped(f"the stream of {facts.model} broke off: {why}")
        return ModelUnavailable(f"{where} closed the connection without an answer: {why}")
    garbled = chain.first(json.JSONDecodeError, httpx.DecodingError)
    if garbled is not None and not chain.statuses:
        what = f"{facts.model} sent something that is no valid JSON ({one_line(str(garbled), 120)})"
        return StreamDropped(what)
    return None


def _why_no_connection(chain: ErrorChain) -> str:
    for error in chain.errors:
        if isinstance(error, ConnectionRefusedError):
            return "connection refused"
        if isinstance(error, ssl.SSLError):
            return f"TLS: {one_line(error.reason or str(error), 120)}"
        # socket.gaierror, told by name so that no import of socket is needed for it
        if is_named(error, "gaierror"):
            return "the host name cannot be resolved"
        if isinstance(error, httpx.ConnectTimeout):
            return "no answer in time"
    kinds = (OSError, httpx.TransportError)
    inner = [str(error) for error in chain.errors if isinstance(error, kinds)]
    message = next((text for text in reversed(inner) if text), "")
    return _lower_first(one_line(message, 120)) or "no connection"


class _EndpointError:
    """What the endpoint answered, or what litellm refused before asking it."""

    def __init__(self, chain: ErrorChain, facts: CallFacts) -> None:
        self.chain = chain
        self.facts = facts
        self.model = facts.model
        self.text = _shown_text(chain)
        self.status = chain.statuses[0] if chain.statuses else None
        self.code: int | None = None
        """What an error object in a stream names as its status."""
        if not chain.answered:
            self.code = chain.error_code
            if self.status is not None and (self.status >= 500 or self.status == _NO_CODE):
                self.status = None  # litellm's own way of saying that something went wrong
        waits = (asked_by(error) for error in chain.errors)
        self.retry_after = next((seconds for seconds in waits if seconds is not None), None)

    def error(self) -> ModelError:
        used_up = self._used_up()
        if used_up is None and self.retry_after is None:
            self.retry_after = asked_in(f"{self.text} {self.chain.bodies}")
        return (
            used_up
            or self._refused_in_stream()
            or self._broken_off()
            or self._not_asked()
            or self._too_long()
            or self._refused()
        )

    def _used_up(self) -> ModelError | None:
        status = self.status or self.chain.error_code
        retry_after = self.retry_after
        if not is_used_up(self.chain.codes, self.text, retry_after=retry_after, status=status):
            return None
        return QuotaExceeded(
            f"the account for {self.model} has no credit left: {self.text}", status=self.status
        )

    def _refused_in_stream(self) -> ModelError | None:
        """An error in a stream that the next attempt would only meet again."""
        refused = f"{self.model} refused the"
        if self.code in (401, 403):
            return AuthenticationFailed(
                f"{refused} key in its stream: {self.text}; {_key_help(self.facts)}",
                status=self.code,
            )
        if self.code in (400, 404, 422):
            return BadModelRequest(f"{refused} request in its stream: {self.text}")
        return None

    def _broken_off(self) -> ModelError | None:
        if not self.facts.started:
            return None
        return StreamDropped(
            f"{self.model} ended its reply with an error: {self.text}",
            status=self.status,
            retry_after=self.retry_after,
        )

    def _not_asked(self) -> ModelError | None:
        """What litellm or the SDK refuses before it asks the endpoint."""
        advice = (unknown_model(self.model, error) for error in self.chain.errors)
        wrong_name = next((text for text in advice if text is not None), None)
        if wrong_name is not None:
            return BadModelRequest(wrong_name)
        if _NO_KEY.search(self.text) and not self.chain.answered:
            return AuthenticationFailed(
                f"there is no key for {self.model}: {_key_help(self.facts)}"
            )
        return None

    def _too_long(self) -> ModelError | None:
        too_long = _CONTEXT.search(f"{self.chain.codes} {self.text}") is not None
        if self.chain.has_named("ContextWindowExceededError") or (
            too_long and self.status in (None, 400, 413, 422)
        ):
            return ContextTooLong(
                f"the request is too long for {self.model}: {self.text}", status=self.status
            )
        return None

    def _refused(self) -> ModelError:
        """By the status, as far as there is one."""
        status, retry_after = self.status, self.retry_after
        answered = self.chain.answered
        message = f"{self.model}: {self.text}"
        if status is not None and answered:
            message = f"{self.model} answered {status}: {self.text}"
        if status in (401, 403):
            return AuthenticationFailed(
                f"{self.model} refused the key ({status}): {self.text.rstrip(' .')};"
                f" {_key_help(self.facts)}",
                status=status,
            )
        if 429 in (status, self.code):
            return RateLimited(message, status=status, retry_after=retry_after)
        if status == 408:
            return ModelTimeout(message, status=status, retry_after=retry_after)
        bug = self.chain.bug
        if bug is not None and not answered:
            what = f"{type(bug).__name__}: {one_line(text_of(bug), _LIMIT)}"
            return ModelError(f"{self.model}: {what}")
        if status is not None and status >= 500:
            return ModelUnavailable(message, status=status, retry_after=retry_after)
        if status is not None and status >= 400:
            return BadModelRequest(message, status=status)
        if self.chain.statuses:
            return ModelUnavailable(message, retry_after=retry_after)
        return ModelError(message)


def _key_help(facts: CallFacts) -> str:
    names = " or ".join(facts.key_names) or "the provider's API key variable"
    if facts.key_given:
        return f"the key came from params.api_key; or set {names}"
    local = " (any value, if the server wants none)" if _is_compatible(facts) else ""
    return f"set {names}{local}"


def _is_compatible(facts: CallFacts) -> bool:
    return bool(facts.api_base) and facts.model.startswith("openai/")


def _shown_text(chain: ErrorChain) -> str:
    title = page_title(chain.text)
    if title is not None:
        return f"an HTML page: {title}" if title else "an HTML page"
    return one_line(chain.text, _LIMIT)


def _origin(error: BaseException | None, facts: CallFacts) -> str:
    """`scheme://host:port` of the endpoint, without credentials and path."""
    try:
        url = str(error.request.url) if isinstance(error, httpx.RequestError) else ""
    except RuntimeError:  # httpx: no request was attached
        url = ""
    parts = urlsplit(url or facts.api_base or "")
    if not parts.hostname:
        return facts.model.partition("/")[0]
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        port = ""
    return f"{parts.scheme}://{host}{port}"


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:] if text[1:2].islower() else text
