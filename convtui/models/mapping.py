"""What went wrong in a model call, as an error of our own tree with its real cause in a sentence.

litellm wraps the SDK's exceptions, and those wrap httpx's: a refused connection arrives as an
"internal server error", a dropped stream as a "fallback error". So the whole chain is read, the
network's own exceptions first. Classes of litellm and openai are told by name: nothing here
imports them.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
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
from convtui.models.objections import objected
from convtui.models.quota import is_used_up
from convtui.models.waits import asked_by, asked_in
from convtui.secrets.redactor import Redactor
from convtui.text.boundary import one_line
from convtui.text.causes import text_of
from convtui.text_checks.error_texts import page_title

_LIMIT = 400
_PREFIX = re.compile(
    r"^\s*(?:litellm\.\w+:\s*|[A-Z]\w*(?:Error|Exception|Timeout)(?::\s*|\s+-\s*)"
    r"|\w+Exception\s*-\s*|Error code: \d+ - )"
)
_SUFFIX = re.compile(
    r"\s*(?:Original exception: .*|Handle with `litellm\.\w+`\.?|Received Model Group=.*)$", re.S
)
_CONTEXT = re.compile(
    r"(?i)context_length_exceeded|context window|maximum context length|prompt is too long"
    r"|exceeds the (?:model'?s )?context|input is too long|too many tokens in the prompt"
)
_NO_KEY = re.compile(
    r"(?i)missing credentials|api[_ -]?key\b.*\b(?:must be set|not set|missing|required)"
    r"|missing .*api[_ -]?key|no api[_ -]?key|no key is set"
)
_NO_PROVIDER = re.compile(r"(?i)LLM Provider NOT provided|GetLLMProvider")
_TYPES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "permission_denied": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
}
"""Types of error objects, by the status that goes with them."""
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
    chain = list(_chain(error))
    found = _network(chain, facts) or _endpoint(chain, facts)
    message = facts.redactor.text(str(found))
    told = type(found)(message, status=found.status, retry_after=found.retry_after)
    if isinstance(told, BadModelRequest):
        told.objects_to = _objection(chain, facts)
    return told


def _objection(chain: list[BaseException], facts: CallFacts) -> dict[str, Any] | None:
    """The message that the endpoint objects to, as `BadModelRequest.objects_to` has it."""
    if not chain or not (_answered(chain) or facts.started or _said_code(chain)):
        return None
    apart = re.search(r"(?i)claude|anthropic|gemini", facts.model) is not None
    text = " ".join([_whole_text(chain), *_codes(chain)])
    index = objected(text, facts.messages, system_apart=apart)
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
    if not _NO_PROVIDER.search(str(error)):
        return None
    name = model.rsplit("/", 1)[-1] or "NAME"
    return (
        f"{model!r} names no provider that litellm knows: write PROVIDER/NAME, for example "
        f"openai/{name} (any OpenAI-compatible endpoint, with api_base)"
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and what caused it, outermost first, each once.

    Unlike a traceback it goes into what is suppressed, too: litellm hides the SDK's exception.
    """
    seen: set[int] = set()
    queue: list[BaseException | None] = [error]
    while queue:
        item = queue.pop(0)
        if item is None or id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        original = getattr(item, "original_exception", None)
        queue.append(original if isinstance(original, BaseException) else None)
        queue += [item.__cause__, item.__context__]
        if isinstance(item, BaseExceptionGroup):
            queue += item.exceptions


def _network(chain: list[BaseException], facts: CallFacts) -> ModelError | None:
    """What the connection itself did; None when it was not at fault."""
    broken = next((e for e in chain if isinstance(e, httpx.TransportError)), None)
    where = _origin(broken, facts)
    if isinstance(broken, httpx.UnsupportedProtocol):
        return BadModelRequest(
            f"api_base {facts.api_base or where!r} is no http:// or https:// URL"
        )
    if isinstance(broken, (httpx.ConnectError, httpx.ConnectTimeout)):
        return ModelUnavailable(f"cannot connect to {where}: {_why_no_connection(chain)}")
    if isinstance(broken, httpx.ProxyError):
        return ModelUnavailable(f"cannot connect to {where}: proxy: {one_line(str(broken), 120)}")
    timed_out = isinstance(broken, httpx.TimeoutException) or any(
        _named(e, "APITimeoutError", "Timeout") for e in chain
    )
    if timed_out:
        if facts.started:
            return ModelTimeout(f"{facts.model} at {where} stopped in the middle of its reply")
        return ModelTimeout(f"{facts.model} at {where} did not answer in time")
    if broken is not None:
        why = _lower_first(one_line(str(broken), 160)) or type(broken).__name__
        if facts.started:
            return StreamDropped(f"the stream of {facts.model} broke off: {why}")
        return ModelUnavailable(f"{where} closed the connection without an answer: {why}")
    garbled = next(
        (e for e in chain if isinstance(e, (json.JSONDecodeError, httpx.DecodingError))), None
    )
    if garbled is not None and not _statuses(chain):
        what = f"{facts.model} sent something that is no valid JSON ({one_line(str(garbled), 120)})"
        return StreamDropped(what)
    return None


def _why_no_connection(chain: list[BaseException]) -> str:
    for item in chain:
        if isinstance(item, ConnectionRefusedError):
            return "connection refused"
        if isinstance(item, ssl.SSLError):
            return f"TLS: {one_line(item.reason or str(item), 120)}"
        # socket.gaierror, told by name so that no import of socket is needed for it
        if _named(item, "gaierror"):
            return "the host name cannot be resolved"
        if isinstance(item, httpx.ConnectTimeout):
            return "no answer in time"
    inner = [str(item) for item in chain if isinstance(item, (OSError, httpx.TransportError))]
    told = next((text for text in reversed(inner) if text), "")
    return _lower_first(one_line(told, 120)) or "no connection"


def _endpoint(chain: list[BaseException], facts: CallFacts) -> ModelError:
    """What the endpoint answered, or what litellm refused before asking it."""
    text = _text(chain)
    codes = " ".join(_codes(chain))
    statuses = _statuses(chain)
    status = statuses[0] if statuses else None
    if status is not None and (status >= 500 or status == _NO_CODE) and not _answered(chain):
        status = None  # litellm's own way of saying that something went wrong
    retry = next((s for e in chain if (s := asked_by(e)) is not None), None)
    if is_used_up(codes, text, retry_after=retry, status=status or _said_code(chain)):
        return QuotaExceeded(
            f"the account for {facts.model} has no credit left: {text}", status=status
        )
    if retry is None:
        retry = asked_in(f"{text} {' '.join(_bodies(chain))}")
    in_stream = None if _answered(chain) else _said_code(chain)
    refused = _refused_in_stream(in_stream, facts, text)
    if refused is not None:
        return refused
    if facts.started:
        return StreamDropped(
            f"{facts.model} ended its reply with an error: {text}",
            status=status,
            retry_after=retry,
        )
    wrong_name = next((m for e in chain if (m := unknown_model(facts.model, e))), None)
    if wrong_name is not None:
        return BadModelRequest(wrong_name)
    if _NO_KEY.search(text) and not _answered(chain):
        return AuthenticationFailed(f"there is no key for {facts.model}: {_key_help(facts)}")
    answered = status is not None and _answered(chain)
    said = f"{facts.model} answered {status}: {text}" if answered else f"{facts.model}: {text}"
    if any(_named(e, "ContextWindowExceededError") for e in chain) or (
        _CONTEXT.search(f"{codes} {text}") and status in (None, 400, 413, 422)
    ):
        return ContextTooLong(f"the request is too long for {facts.model}: {text}", status=status)
    if status in (401, 403):
        return AuthenticationFailed(
            f"{facts.model} refused the key ({status}): {text.rstrip(' .')}; {_key_help(facts)}",
            status=status,
        )
    if status == 429 or in_stream == 429:
        return RateLimited(said, status=status, retry_after=retry)
    if status == 408:
        return ModelTimeout(said, status=status, retry_after=retry)
    bug = next((e for e in reversed(chain) if _foreign(e)), None)
    if bug is not None and not _answered(chain):
        return ModelError(f"{facts.model}: {type(bug).__name__}: {one_line(text_of(bug), _LIMIT)}")
    if status is not None and status >= 500:
        return ModelUnavailable(said, status=status, retry_after=retry)
    if status is not None and 400 <= status < 500:
        return BadModelRequest(said, status=status)
    if statuses:
        return ModelUnavailable(said, retry_after=retry)
    return ModelError(said)


def _refused_in_stream(code: int | None, facts: CallFacts, text: str) -> ModelError | None:
    """An error in a stream that the next attempt would only meet again."""
    if code in (401, 403):
        return AuthenticationFailed(
            f"{facts.model} refused the key in its stream: {text}; {_key_help(facts)}", status=code
        )
    if code in (400, 404, 422):
        return BadModelRequest(f"{facts.model} refused the request in its stream: {text}")
    return None


def _said_code(chain: list[BaseException]) -> int | None:
    """The status that an error object in a stream names, by number or by its type."""
    for item in chain:
        body = getattr(item, "body", None)
        values = [getattr(item, "status_code", None)]
        if isinstance(body, Mapping):
            values = [body.get(name) for name in ("code", "status", "status_code", "type")]
        elif not isinstance(values[0], str):
            continue  # a number that litellm may have made up
        for value in values:
            code = value
            if isinstance(value, str):
                code = int(value) if value.isdecimal() else _TYPES.get(value)
            if isinstance(code, int) and 400 <= code < 600:
                return code
    return None


def _key_help(facts: CallFacts) -> str:
    names = " or ".join(facts.key_names) or "the provider's API key variable"
    if facts.key_given:
        return f"the key came from params.api_key; or set {names}"
    local = " (any value, if the server wants none)" if _is_compatible(facts) else ""
    return f"set {names}{local}"


def _is_compatible(facts: CallFacts) -> bool:
    return bool(facts.api_base) and facts.model.startswith("openai/")


def _text(chain: list[BaseException]) -> str:
    """The endpoint's own words where there are any, else the outermost message without prefixes."""
    text = _whole_text(chain)
    title = page_title(text)
    if title is not None:
        return f"an HTML page: {title}" if title else "an HTML page"
    return one_line(text, _LIMIT)


def _whole_text(chain: list[BaseException]) -> str:
    for item in chain:
        body = getattr(item, "body", None)
        if isinstance(body, str) and body.strip():
            return body
        if isinstance(body, Mapping):
            inner = body.get("error")
            source = inner if isinstance(inner, Mapping) else body
            said = source.get("message") or source.get("detail") or inner
            if isinstance(said, str) and said.strip():
                return said
    for item in chain:
        text = _SUFFIX.sub("", text_of(item))
        while (shorter := _PREFIX.sub("", text, count=1)) != text:
            text = shorter
        text = _message_in_json(text)
        if text.strip():
            return text
    return type(chain[0]).__name__


def _message_in_json(text: str) -> str:
    """The message of an error object sent as JSON text; other text as it is."""
    start = text.find("{")
    if start < 0:
        return text
    try:
        data = json.loads(text[start:])
    except (ValueError, RecursionError):
        return text
    inner = data.get("error", data) if isinstance(data, dict) else data
    if isinstance(inner, dict) and isinstance(inner.get("message"), str):
        return str(inner["message"])
    return inner if isinstance(inner, str) else text


def _codes(chain: list[BaseException]) -> Iterator[str]:
    for item in chain:
        yield from (str(getattr(item, name, None) or "") for name in ("code", "type", "param"))
        claimed = getattr(item, "status_code", None)
        if isinstance(claimed, str):
            yield claimed  # litellm puts the code of an error object there
        body = getattr(item, "body", None)
        if isinstance(body, Mapping):
            yield from (str(body.get(name) or "") for name in ("code", "type", "param"))


def _bodies(chain: list[BaseException]) -> Iterator[str]:
    """The error objects that an endpoint sent, as text."""
    for item in chain:
        body = getattr(item, "body", None)
        if isinstance(body, (Mapping, list)):
            yield json.dumps(body, default=str)


def _answered(chain: list[BaseException]) -> bool:
    """Whether an HTTP error status really arrived; litellm makes up statuses of its own."""
    return any(isinstance(e, httpx.HTTPStatusError) for e in chain)


def _statuses(chain: list[BaseException]) -> list[int]:
    """HTTP statuses, the one that really arrived first."""
    real = [e.response.status_code for e in chain if isinstance(e, httpx.HTTPStatusError)]
    claimed = [getattr(e, "status_code", None) for e in chain]
    if not real and any(_foreign(e) or isinstance(e, json.JSONDecodeError) for e in chain):
        return []
    return real + [s for s in claimed if isinstance(s, int)]


def _foreign(error: BaseException) -> bool:
    """An exception of Python itself, which no endpoint sends: something broke inside."""
    kinds = (TypeError, AttributeError, KeyError, IndexError, ImportError, NameError)
    return isinstance(error, kinds)


def _named(error: BaseException, *names: str) -> bool:
    return any(kind.__name__ in names for kind in type(error).__mro__)


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
