"""Models through litellm: one attempt a call, everything that came back, nothing printed.

litellm takes seconds to import, so it is loaded by `load_litellm()` alone, when a model is first
called or when `LitellmClients.warm()` runs in a thread of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
import warnings
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from convtui.errors import BadModelRequest, ModelError, UsageError
from convtui.files.collecting import uncollected
from convtui.models.attempt import Attempt
from convtui.models.base import Delta, Message
from convtui.models.chunks import is_priced
from convtui.models.context import current_warn
from convtui.models.endpoint import watch_answers
from convtui.models.endpoint_keys import NO_KEY, stand_in_key
from convtui.models.mapping import CallFacts, map_error, unknown_model
from convtui.models.surrogates import REPLACED, replace_surrogates
from convtui.secrets.masking import public_params
from convtui.secrets.redactor import Redactor
from convtui.secrets.values import secrets_of

_ATTEMPT = {"max_retries": 0, "num_retries": 0}


def load_litellm() -> Any:
    """Imports litellm, quietly and offline, and returns the module. Takes seconds the first time.

    It must not look for a newer price list on the network, read a `.env` of the working directory,
    print banners, keep callbacks, or use another transport than httpx (which the wire capture
    sees). Raises ImportError.
    """
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    os.environ["LITELLM_MODE"] = "PRODUCTION"
    os.environ["DISABLE_AIOHTTP_TRANSPORT"] = "True"
    # Counting the tokens of some models would otherwise download a tokenizer first.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Looking for garbage takes a quarter of the time of this import.
    with uncollected():
        import litellm

    litellm.suppress_debug_info = True
    litellm.set_verbose = False
    litellm.telemetry = False
    # A parameter the model does not know is an error to be seen, not one to be dropped.
    litellm.drop_params = False
    litellm.modify_params = False
    litellm.disable_aiohttp_transport = True
    litellm.num_retries = 0
    # A model that repeats itself is to be seen doing so; litellm would raise at the 100th time.
    litellm.REPEATED_STREAMING_CHUNK_LIMIT = sys.maxsize
    for name in (
        "callbacks",
        "input_callback",
        "success_callback",
        "failure_callback",
        "service_callback",
        "_async_input_callback",
        "_async_success_callback",
        "_async_failure_callback",
    ):
        setattr(litellm, name, [])
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "LiteLLM Proxy.stdout"):
        logger = logging.getLogger(name)
        logger.handlers = [logging.NullHandler()]
        logger.propagate = False
        logger.setLevel(logging.CRITICAL + 1)
    watch_answers()
    return litellm


def ignore_litellm_deprecations() -> None:
    """Keeps litellm's use of old pydantic interfaces from being warned of, or from breaking calls.

    Under "warnings are errors" each such warning would end a stream. Called for every call, because
    filters are the process's and others reset them; only warnings that litellm's own modules cause
    are meant.
    """
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"litellm(\.|$)")
    # pydantic, of content that is no text.
    warnings.filterwarnings("ignore", r"Pydantic serializer warnings", category=UserWarning)
    # pydantic, of types that litellm takes from the openai package, whenever it builds a schema.
    warnings.filterwarnings("ignore", r"Item '\w+' on TypedDict class", category=UserWarning)


def forget_connections(litellm: Any) -> None:
    """Lets litellm make new ones: it would go on to hand out those of a loop that has ended, one of
    them for all streams of some providers.
    """
    litellm.in_memory_llm_clients_cache.flush_cache()
    vars(litellm).pop("module_level_aclient", None)


_USING: weakref.WeakSet[LitellmClients] = weakref.WeakSet()
"""Who uses the connections of this process: litellm keeps them in one place for all."""


class LitellmClients:
    """Makes clients for litellm model strings such as `openai/gpt-4o`.

    `redactor` is told every key that parameters name, and takes secrets out of error messages.
    `load` gives the litellm module; it is called once.
    """

    def __init__(
        self, redactor: Redactor | None = None, *, load: Callable[[], Any] = load_litellm
    ) -> None:
        self.redactor = redactor if redactor is not None else Redactor()
        self._load = load
        self._lock = threading.Lock()
        self._module: Any = None

    @property
    def ready(self) -> bool:
        """Whether litellm is loaded, so that a call starts at once."""
        return self._module is not None

    def module(self) -> Any:
        """The litellm module, loaded when it is not yet; blocks for seconds then."""
        with self._lock:
            if self._module is None:
                self._module = self._load()
                _USING.add(self)
            return self._module

    def warm(self) -> None:
        """Loads litellm and what its first call would load; for a thread in the background.

        Makes no request. Raises ImportError when litellm is not installed.
        """
        litellm = self.module()
        ignore_litellm_deprecations()
        # What the first call would otherwise stop for: the SDK's lazy parts, the certificates, and
        # the tables for counting tokens. None of it is needed for the call to work.
        with contextlib.suppress(Exception):
            import openai

            openai.AsyncOpenAI(api_key="none").chat.completions  # noqa: B018
        with contextlib.suppress(Exception):
            litellm.token_counter(model="openai/gpt-4o", text="warm")
        with contextlib.suppress(Exception):
            litellm.completion(
                model="openai/gpt-4o",
                messages=[{"role": "user", "content": "hi"}],
                mock_response="ok",
                api_key="none",
                **_ATTEMPT,
            )

    async def loaded(self) -> Any:
        """The litellm module, loaded in a thread so that the event loop goes on."""
        return self._module if self._module is not None else await asyncio.to_thread(self.module)

    async def priced(self, model: str) -> bool:
        """Whether the local price list knows a model; an endpoint may still name what it costs."""
        return is_priced(await self.loaded(), model)

    async def aclose(self) -> None:
        """Closes the connections that litellm keeps, unless others here still use them."""
        if self._module is None:
            return
        _USING.discard(self)
        if not _USING:
            await self._module.close_litellm_async_clients()
            forget_connections(self._module)

    def client(self, model: str, params: Mapping[str, Any] | None = None) -> LitellmClient:
        """A client for a litellm model string.

        Raises `UsageError` for a string that names no model. One that litellm does not know is
        found here only when it is loaded already, otherwise by the first call.
        """
        if not model.strip():
            raise UsageError("no model is named: write PROVIDER/NAME, for example openai/gpt-4o")
        if self._module is not None:
            try:
                self._module.get_llm_provider(model=model, **_routing(params or {}))
            except Exception as error:  # noqa: BLE001  # any other doubt is the call's to raise
                message = unknown_model(model, error)
                if message is not None:
                    raise UsageError(message) from None
        self.redactor.add(*secrets_of(params or {}, self.redactor.allowed))
        return LitellmClient(self, model, params)


class LitellmClient:
    """One litellm model. `params` go to the endpoint as they are; see `stream()`."""

    def __init__(
        self, clients: LitellmClients, model: str, params: Mapping[str, Any] | None = None
    ) -> None:
        self.model = model
        self.params: Mapping[str, Any] = dict(params or {})
        self._clients = clients

    def __repr__(self) -> str:
        params = public_params(self.params, self._clients.redactor)
        return f"LitellmClient({self.model!r}, {params!r})"

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        params: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[Delta]:
        """One attempt; the reply as deltas, as they arrive.

        `params` override the client's own: `api_base` and `api_key` (else the environment's;
        else none, where `api_base` is not the provider's own host), and whatever the model takes
        (`temperature`, `extra_headers`, ...). `stream: false` asks for the whole reply at once and
        yields one delta; `stream_options: null` sends none, for endpoints that refuse them (usage
        is unknown then); `model` asks another model this once. The first delta's metadata has the
        response headers worth keeping.

        Lone surrogates, which no request can have, are sent as U+FFFD; `current_warn` is told.

        Raises `ModelError`s only, and CancelledError; cancelling, or closing the iterator, closes
        the connection at once. Close it (`contextlib.aclosing`) when leaving it early.
        """
        merged = {**self.params, **(params or {})}
        other = merged.pop("model", None)
        if other is not None and other != self.model:
            stream = self._other(str(other), merged).stream(messages, tools=tools)
            async with contextlib.aclosing(cast(Any, stream)) as deltas:
                async for piece in deltas:
                    yield piece
            return
        redactor = self._clients.redactor
        redactor.add(*secrets_of(merged, redactor.allowed))
        attempt = Attempt(self.model)
        try:
            if not self._clients.ready:
                await self._clients.loaded()
                yield Delta(begins=True)
            litellm = await self._clients.loaded()
            ignore_litellm_deprecations()
            key = stand_in_key(litellm, self.model, merged)
            if key is not None:
                merged["api_key"] = key
            deltas = attempt.deltas(litellm, self._arguments(merged, messages, tools))
            async with contextlib.aclosing(deltas):
                async for piece in deltas:
                    yield piece
        except ModelError:
            raise
        except Exception as error:  # noqa: BLE001  # mapped, and raised again
            # The cause's own text may hold a key; the sentence made from it does not.
            raise map_error(error, self._facts(merged, messages, attempt.started)) from None

    def _other(self, model: str, params: Mapping[str, Any]) -> LitellmClient:
        try:
            return self._clients.client(model, params)
        except UsageError as error:
            raise BadModelRequest(str(error)) from None

    def _arguments(
        self, params: Mapping[str, Any], messages: Sequence[Message], tools: Iterable[Any]
    ) -> dict[str, Any]:
        arguments = {**params, **_ATTEMPT, "model": self.model, "messages": list(messages)}
        arguments["stream"] = params.get("stream") is not False
        if arguments["stream"]:
            arguments.setdefault("stream_options", {"include_usage": True})
        if arguments.get("stream_options", "") is None or not arguments["stream"]:
            arguments.pop("stream_options", None)
        offered = [dict(tool) for tool in tools]
        if offered:
            arguments["tools"] = offered
        # Canned answers and fallbacks of litellm would answer without the endpoint.
        reserved = {"mock_response", "fallbacks", "caching"} & arguments.keys()
        if reserved:
            raise BadModelRequest(f"params: {', '.join(sorted(reserved))} cannot be used here")
        return self._valid(arguments)

    @staticmethod
    def _valid(arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments with text that can be sent; warns where something was replaced."""
        valid: dict[str, Any] = replace_surrogates(arguments)
        warn = current_warn.get()
        if valid is not arguments and warn is not None:
            warn(REPLACED, "lone surrogates cannot be sent: U+FFFD went in their place")
        return valid

    def _facts(
        self, params: Mapping[str, Any], messages: Sequence[Message], started: bool
    ) -> CallFacts:
        key_names: Sequence[str] = ()
        with contextlib.suppress(Exception):
            litellm = self._clients.module()
            environment = litellm.validate_environment(self.model)
            key_names = [str(name) for name in environment.get("missing_keys", ())]
            if not key_names:
                _, provider, *_ = litellm.get_llm_provider(model=self.model, **_routing(params))
                key_names = [f"{provider.upper()}_API_KEY"]
        return CallFacts(
            model=self.model,
            api_base=str(params["api_base"]) if params.get("api_base") else None,
            key_names=tuple(key_names),
            key_given=params.get("api_key") not in (None, "", NO_KEY),
            started=started,
            messages=messages,
            redactor=self._clients.redactor,
        )


def _routing(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that decide which provider litellm takes."""
    names = ("custom_llm_provider", "api_base")
    return {name: params[name] for name in names if params.get(name)}
