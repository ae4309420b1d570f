"""Every failure is named by its real cause; no key is ever in a message."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convtui.errors import (
    WORTH_ANOTHER_ATTEMPT,
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
from convtui.models.base import ReplyFold
from convtui.models.endpoint_keys import stand_in_key
from convtui.models.litellm_client import LitellmClients
from convtui.models.mapping import CallFacts, map_error
from convtui.models.waits import retry_after
from tests.fakes.openai_script import FakeReply
from tests.fakes.openai_server import OpenAIServerThread, free_port
from tests.models.conftest import KEY

HELLO = [{"role": "user", "content": "hello"}]


async def failure(
    clients: LitellmClients, model: str, url: str | None, **params: Any
) -> tuple[ModelError, int]:
    """The error of a call and how many deltas came before it."""
    seen = 0
    client = clients.client(model, {"api_key": KEY, "api_base": url, **params})
    with pytest.raises(ModelError) as caught:
        async for _ in client.stream(HELLO):
            seen += 1
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value, seen


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        ("400", BadModelRequest, "answered 400: The request is not understood."),
        ("401", AuthenticationFailed, "OPENAI_API_KEY"),
        ("402", QuotaExceeded, "no credit left"),
        ("403", AuthenticationFailed, "refused the key (403)"),
        ("404", BadModelRequest, "The model does not exist."),
        ("422", BadModelRequest, "unsupported value"),
        ("429", RateLimited, "answered 429: Rate limit reached"),
        ("500", ModelUnavailable, "answered 500: The server had an error"),
        ("503", ModelUnavailable, "answered 503"),
        ("quota", QuotaExceeded, "exceeded your current quota"),
        ("context", ContextTooLong, "maximum context length is 4096"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_error_answers(
    litellm_clients: LitellmClients,
    server: OpenAIServerThread,
    fault: str,
    kind: type[ModelError],
    says: str,
    stream: bool,
) -> None:
    error, seen = await failure(litellm_clients, f"openai/m!{fault}", server.url, stream=stream)
    assert type(error) is kind
    assert says in str(error)
    assert seen == 0
    assert error.status == {"quota": 429, "context": 400}.get(fault, error.status)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        ("drop", StreamDropped, "closed connection"),
        ("malformed", StreamDropped, "no valid JSON"),
        ("errormid", StreamDropped, "Rate limit reached"),
        ("hang=2", ModelTimeout, "stopped in the middle of its reply"),
    ],
)
async def test_streams_that_die(
    litellm_clients: LitellmClients,
    server: OpenAIServerThread,
    fault: str,
    kind: type[ModelError],
    says: str,
) -> None:
    error, seen = await failure(litellm_clients, f"openai/m!{fault}", server.url, timeout=0.3)
    assert type(error) is kind
    assert says in str(error)
    assert seen == 3
    assert isinstance(error, WORTH_ANOTHER_ATTEMPT)


QUOTA = {"message": "You exceeded your current quota", "type": "insufficient_quota"}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "quota exceeded", "code": 429}, QuotaExceeded),
        (QUOTA, QuotaExceeded),
        ({"message": "sorry", "code": "insufficient_quota"}, QuotaExceeded),
        ({"message": "Billing is not active", "type": "billing_error"}, QuotaExceeded),
        ({"message": "Out of credits", "code": 402}, QuotaExceeded),
        ({"message": "bad key", "code": "invalid_api_key"}, AuthenticationFailed),
        ({"message": "bad", "code": 400, "type": "invalid_request_error"}, BadModelRequest),
        # These are worth another attempt.
        ({"message": "Overloaded", "type": "overloaded_error"}, None),
        ({"message": "Provider returned error", "code": 502}, None),
        ({"message": "slow down", "code": 429}, None),
        (
            {"message": "Quota exceeded: requests per minute. Please retry in 34s", "code": 429},
            None,
        ),
    ],
)
@pytest.mark.parametrize("where", ["first", "middle", "in place of a stream", "not streamed"])
async def test_an_error_object_with_status_200(
    litellm_clients: LitellmClients,
    server: OpenAIServerThread,
    error: dict[str, Any],
    kind: type[ModelError] | None,
    where: str,
) -> None:
    whole = where in ("in place of a stream", "not streamed")
    reply = FakeReply(
        text="Your ticket is on its way",
        error=error,
        error_after=0 if where == "first" else 2,
        body=json.dumps({"error": error}) if whole else None,
        headers={"Content-Type": "application/json"} if whole else {},
    )
    server.script(reply, model="m")
    found, _ = await failure(
        litellm_clients, "openai/m", server.url, stream=where != "not streamed"
    )
    assert error["message"].partition(":")[0] in str(found)
    if kind is None:
        assert isinstance(found, WORTH_ANOTHER_ATTEMPT)
    else:
        assert type(found) is kind


@pytest.mark.parametrize(
    ("text", "of", "shown"),
    [
        ("messages: text content blocks must contain non-whitespace text", 3, "  "),
        ("Invalid value for messages[1].content", 2, "hello"),
        ("Please be nice", None, ""),
    ],
)
async def test_a_refusal_names_the_message_it_objects_to(
    litellm_clients: LitellmClients,
    server: OpenAIServerThread,
    text: str,
    of: int | None,
    shown: str,
) -> None:
    server.script(FakeReply(status=400, error={"message": text, "type": "x"}), model="m")
    client = litellm_clients.client("openai/m", {"api_key": KEY, "api_base": server.url})
    messages = [
        {"role": "system", "content": "s"}, *HELLO, {"role": "assistant", "content": "  "},
    ]  # fmt: skip
    with pytest.raises(BadModelRequest) as caught:
        async for _ in client.stream(messages):
            pass
    found = caught.value.objects_to
    if of is None:
        assert found is None
    else:
        role = messages[of - 1]["role"]
        assert found == {"message": of, "of": 3, "role": role, "text": shown}


async def test_no_answer_in_time(
    litellm_clients: LitellmClients, server: OpenAIServerThread
) -> None:
    error, _ = await failure(litellm_clients, "openai/m!hang", server.url, timeout=0.2)
    assert type(error) is ModelTimeout
    assert "did not answer in time" in str(error)


@pytest.mark.parametrize("model", ["openai/m", "anthropic/claude-3-5-sonnet-latest"])
async def test_a_refused_connection(litellm_clients: LitellmClients, model: str) -> None:
    origin = f"http://127.0.0.1:{free_port()}"
    error, _ = await failure(litellm_clients, model, f"{origin}/v1")
    assert type(error) is ModelUnavailable
    assert str(error) == f"cannot connect to {origin}: connection refused"
    assert error.status is None


async def test_an_api_base_that_is_no_url(litellm_clients: LitellmClients) -> None:
    error, _ = await failure(litellm_clients, "openai/m", "nonsense")
    assert type(error) is BadModelRequest
    assert "api_base 'nonsense'" in str(error)


@pytest.mark.parametrize(
    ("model", "name", "own"),
    [
        ("openai/m", "OPENAI_API_KEY", "https://api.openai.com/v1"),
        ("openai/m", "OPENAI_API_KEY", "https://eu.api.openai.com/v1"),
        ("anthropic/claude-3-5-sonnet-latest", "ANTHROPIC_API_KEY", "https://api.anthropic.com"),
        ("openai/m", "OPENAI_API_KEY", None),
    ],
)
async def test_the_provider_itself_insists_on_a_key(
    litellm_clients: LitellmClients,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    name: str,
    own: str | None,
) -> None:
    keyless(monkeypatch)
    error, _ = await failure(litellm_clients, model, own, api_key=None)
    assert type(error) is AuthenticationFailed
    assert f"set {name}" in str(error)


@pytest.mark.parametrize("model", ["openai/m", "deepseek/m", "openrouter/a/m", "mistral/m"])
async def test_another_endpoint_is_called_without_a_key(
    litellm_clients: LitellmClients,
    server: OpenAIServerThread,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
) -> None:
    keyless(monkeypatch)
    server.script(FakeReply(text="hello"), FakeReply(text="hello"))
    client = litellm_clients.client(model, {"api_base": server.url})
    fold = ReplyFold()
    async for delta in client.stream([{"role": "user", "content": "hi"}]):
        fold.add(delta)
    assert fold.text == "hello"
    assert server.requests[0].headers["authorization"] == "Bearer no-key"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment-1")
    if model == "openai/m":
        async for _ in client.stream([{"role": "user", "content": "hi"}]):
            pass
        assert server.requests[1].headers["authorization"] == "Bearer sk-from-the-environment-1"


def test_whether_an_endpoint_gets_no_key_at_all(
    litellm_clients: LitellmClients, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyless(monkeypatch)
    litellm = litellm_clients.module()
    local = "http://127.0.0.1:8000/v1"
    given: list[tuple[str, dict[str, Any], bool]] = [
        ("openai/m", {"api_base": local}, True),
        ("openai/m", {"base_url": local}, True),
        ("openai/m", {"api_base": "https://openai.com.example/v1"}, True),
        ("openai/m", {"api_base": local, "api_key": "k"}, False),
        ("openai/m", {"api_base": local, "extra_headers": {"Authorization": "Bearer x"}}, False),
        ("openai/m", {}, False),
        ("groq/llama", {"api_base": "https://api.groq.com/openai/v1"}, False),
        ("azure/gpt", {"api_base": "https://mine.openai.azure.com"}, False),
        ("hosted_vllm/m", {"api_base": local}, False),
    ]
    for model, params, stands_in in given:
        assert (stand_in_key(litellm, model, params) is not None) is stands_in, (model, params)


async def test_an_endpoint_that_wants_a_key_after_all_names_the_variable(
    litellm_clients: LitellmClients, server: OpenAIServerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyless(monkeypatch)
    server.script(FakeReply(status=401))
    error, _ = await failure(litellm_clients, "openai/m", server.url, api_key=None)
    assert type(error) is AuthenticationFailed
    assert "OPENAI_API_KEY" in str(error) and "params.api_key" not in str(error)


def keyless(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without any key."""
    for variable in [name for name in os.environ if name.endswith("_KEY")]:
        monkeypatch.delenv(variable)


@pytest.mark.parametrize(
    ("wait", "seconds"), [("7", 7.0), ("0.25", 0.25), ("soon", None), ("-3", 0.0)]
)
async def test_retry_after_of_a_real_answer(
    litellm_clients: LitellmClients, server: OpenAIServerThread, wait: str, seconds: float | None
) -> None:
    headers = {"Retry-After": wait}
    server.script(FakeReply(status=429, headers=headers), model="m")
    error, _ = await failure(litellm_clients, "openai/m", server.url)
    assert error.retry_after == seconds


def test_retry_after_as_milliseconds_and_as_a_date() -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    assert retry_after({"Retry-After-Ms": "1500", "Retry-After": "9"}) == 1.5
    assert retry_after({"retry-after": "Tue, 01 Jan 2030 00:00:30 GMT"}, now=now) == 30.0
    assert retry_after({"retry-after": "Mon, 31 Dec 2029 23:00:00 GMT"}, now=now) == 0.0
    assert retry_after({}) is None


@given(value=st.text(max_size=40))
def test_retry_after_never_raises(value: str) -> None:
    found = retry_after({"retry-after": value})
    assert found is None or 0 <= found < float("inf")


async def test_a_page_in_place_of_a_stream(
    litellm_clients: LitellmClients, server: OpenAIServerThread
) -> None:
    html = FakeReply(body="<html>", headers={"Content-Type": "text/html"})
    server.script(html, html, model="m")
    error, _ = await failure(litellm_clients, "openai/m", server.url)
    assert type(error) is BadModelRequest
    assert "is api_base right?" in str(error)
    error, _ = await failure(litellm_clients, "openai/m", server.url, stream=False)
    assert isinstance(error, ModelError)


async def test_a_key_in_the_endpoints_own_words_is_taken_out(
    litellm_clients: LitellmClients, server: OpenAIServerThread
) -> None:
    error_object = {"message": f"Incorrect API key provided: {KEY}.", "type": "x", "code": "y"}
    server.script(FakeReply(status=401, error=error_object), model="m")
    error, _ = await failure(litellm_clients, "openai/m", server.url)
    assert "Incorrect API key provided: [redacted]" in str(error)


class Wrapped(Exception):  # noqa: N818
    """Stands for an exception of a library."""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.__dict__.update(facts)


def caused(outer: Exception, inner: Exception) -> Exception:
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (httpx.ConnectTimeout(""), ModelUnavailable, "no answer in time"),
        (httpx.ProxyError("407"), ModelUnavailable, "proxy: 407"),
        (
            caused(httpx.ConnectError("x"), OSError("[SSL: CERTIFICATE_VERIFY_FAILED] bad")),
            ModelUnavailable,
            "CERTIFICATE_VERIFY_FAILED",
        ),
        (httpx.ReadError(""), ModelUnavailable, "ReadError"),
        (json.JSONDecodeError("Expecting value", "x", 0), StreamDropped, "no valid JSON"),
        (Wrapped("litellm.X: KeyError", status_code=500), ModelUnavailable, "KeyError"),
        (
            caused(Wrapped("litellm.X: boom", status_code=500), KeyError("a")),
            ModelError,
            "KeyError",
        ),
        (
            Wrapped("APIError: OpenAIException - no such thing", status_code=418),
            BadModelRequest,
            "no",
        ),
        (Wrapped("Your credit balance is too low", status_code=400), QuotaExceeded, "too low"),
        (Wrapped("prompt is too long: 9 > 5", status_code=400), ContextTooLong, "9 > 5"),
        (
            Wrapped('E - {"error": {"message": "said so"}}', status_code=400),
            BadModelRequest,
            "said so",
        ),
        (Wrapped(""), ModelError, "Wrapped"),
    ],
)
def test_exceptions_that_are_hard_to_provoke(
    error: Exception, kind: type[ModelError], says: str
) -> None:
    found = map_error(error, CallFacts("openai/m", api_base="http://user:pass@host:1/v1"))
    assert type(found) is kind
    assert says in str(found)
    assert "pass" not in str(found)


def test_a_chain_that_bites_its_own_tail_ends() -> None:
    first, second = Wrapped("first"), Wrapped("second")
    first.__cause__, second.__cause__ = second, first
    assert "first" in str(map_error(first, CallFacts("m")))
