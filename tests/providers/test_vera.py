"""Classes written for VERA-MH's `LLMInterface` run unchanged, with VERA-MH not installed."""

from __future__ import annotations

import random
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from convtui.engine.conversation.runner import Conversation
from convtui.errors import ProviderLoadError
from convtui.models.retry import full_jitter
from convtui.providers.base import match_signals
from convtui.providers.loader import Loaded, load_provider
from convtui.providers.settings import ProviderSettings
from convtui.providers.vera import interface, loader
from convtui.providers.vera.adapter import VeraProvider
from convtui.scenario.provider_spec import parse_provider_spec
from tests.builders.conversations import FakeModels, Ran, findings, run, scenario

HEAD = '''
import copy
from typing import Any, Dict, List, Optional

from llm_clients.llm_interface import LLMGenerationFailed, LLMInterface, Role


class FerryLLM(LLMInterface):
    """A ferry company's chatbot, as it is written for VERA-MH."""

    def __init__(self, name: str, role: Role, system_prompt: Optional[str] = None,
                 model_name: Optional[str] = None, **kwargs):
        first_message = kwargs.pop("first_message", None)
        start_prompt = kwargs.pop("start_prompt", None)
        super().__init__(name, role, system_prompt, first_message=first_message,
                         start_prompt=start_prompt)
        self.model_name = model_name or "ferry-1"
        self.calls: List[str] = []
        self.histories: List[Any] = []
        self.lines = list(kwargs.pop("lines", ["Which booking?"]))
        self.extra = kwargs

    async def start_conversation(self) -> str:
        self.calls.append("start")
        if self.first_message is not None:
            self._set_response_metadata("ferry", static_first_message=True)
            return self.first_message
        return await self.generate_response(self.get_initial_prompt_turns())

    async def generate_response(
        self, conversation_history: Optional[List[Dict[str, Any]]] = None
    ) -> str:
        self.calls.append("reply")
        self.histories.append(copy.deepcopy(conversation_history))
        number = len(self.histories)
        self._set_response_metadata(
            "ferry", response_id=f"r{number}",
            usage={"input_tokens": 10 * number, "output_tokens": number},
            nested={"deep": [1]},
        )
        self._update_conversation_id_from_metadata()
        return self.lines[min(number, len(self.lines)) - 1]

    def set_system_prompt(self, system_prompt: str) -> None:
        self.system_prompt = system_prompt
'''


@pytest.fixture
def write(tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """Writes `HEAD` and more of the class (or other text) to a file; returns a SPEC for it."""

    def file(more: str = "", *, name: str = "FerryLLM", head: str = HEAD) -> str:
        path = tmp_path / f"vera_{abs(hash(request.node.name))}.py"
        body = textwrap.dedent(more)
        path.write_text(head + (textwrap.indent(body, "    ") if head else body))
        return f"{path}:{name}"

    return file


def load(spec: str, **settings: Any) -> Loaded:
    return load_provider(parse_provider_spec(spec), ProviderSettings(**settings))


def client_of(conversation: Conversation) -> Any:
    assert isinstance(conversation.provider, VeraProvider)
    return conversation.provider.client


async def go(spec: str, folder: Path, *script: str, **fields: Any) -> Ran:
    """Runs a conversation with the class behind `spec`."""
    config = {"use": spec, **fields.pop("config", {})}
    return await run(scenario(script=script or ("hi",), config=config, **fields), folder)


# --- loading


def test_a_class_loads_unchanged_and_is_told_apart(write: Any) -> None:
    loaded = load(write("def _extract_signals(self, raw): return []"), model="ferry-2")
    assert loaded.kind == "vera"
    assert isinstance(loaded.provider, VeraProvider)
    client = loaded.provider.client
    assert isinstance(client, interface.LLMInterface)
    assert (client.role, client.role.value) == (interface.Role.PROVIDER, "provider")
    assert client.system_prompt == "You are a helpful AI assistant."
    assert loaded.provider.name == "FerryLLM"
    assert loaded.identity()["model"] == "ferry-2"
    assert loaded.provider.stateful is None
    assert not hasattr(loaded.provider, "restore")
    assert loaded.hooks["_extract_signals"] == "yours"
    assert loaded.hooks["_post_process_response"] == "default"
    assert loaded.hooks["generate_response"] == "yours"


def test_names_come_from_the_package_too_and_only_ours_are_offered(write: Any) -> None:
    spec = write(
        "from llm_clients import LLMInterface, Role\n"
        "class Bot(LLMInterface):\n"
        "    async def generate_response(self, conversation_history=None):\n"
        "        return 'hi'\n",
        head="",
        name="Bot",
    )
    assert load(spec).kind == "vera"
    with pytest.raises(ProviderLoadError, match=r"No module named 'llm_clients\.llm_factory'"):
        load(write("from llm_clients.llm_factory import LLMFactory", head="", name="x"))


@pytest.mark.slow
def test_a_real_package_always_wins(tmp_path: Path) -> None:
    package = tmp_path / "llm_clients"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "llm_interface.py").write_text(
        textwrap.dedent("""
        from enum import Enum
        class LLMGenerationFailed(Exception): ...
        class Role(Enum):
            PROVIDER = "provider"
        class LLMInterface:
            real = True
            def __init__(self, name, role):
                self.name, self.role = name, role
                self.last_response_metadata = self._last_response_metadata = {}
            def _no_retry_substrings(self):
                return ()
            def _set_response_metadata(self, provider, **more):
                self.last_response_metadata = self._last_response_metadata = more
            async def _run_with_retry(self, get_coro, **_):
                raise AssertionError("a loop of its own")
        """)
    )
    (tmp_path / "mine.py").write_text(
        textwrap.dedent("""
        from llm_clients.llm_interface import LLMInterface, Role
        class Bot(LLMInterface):
            async def generate_response(self, conversation_history=None):
                async def once():
                    return "from the loop"
                return await self._run_with_retry(once)
        """)
    )
    code = (
        "import asyncio\n"
        "from convtui.providers.loader import load_provider, ProviderSettings\n"
        "from convtui.scenario.provider_spec import parse_provider_spec\n"
        f"p = load_provider(parse_provider_spec({f'{tmp_path}/mine.py:Bot'!r}),"
        " ProviderSettings()).provider\n"
        "print(p.client.real, type(p.client.role).__module__,"
        " asyncio.run(p.client.generate_response()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "True llm_clients.llm_interface from the loop\n", done.stderr


@pytest.mark.parametrize(
    "body",
    [
        "bespoke_termination_signals = ['[X]']",
        "def _extract_signals(self, raw): return []",
        "async def start_conversation(self): return 'hi'",
    ],
)
async def test_without_the_base_it_is_told_apart_by_its_names(
    write: Any, tmp_path: Path, body: str
) -> None:
    text = f"class Bot:\n    {body}\n    def generate_response(self, conversation_history):\n"
    spec = write(
        text + "        return conversation_history[-1]['response']\n", head="", name="Bot"
    )
    assert load(spec).kind == "vera"
    ran = await go(spec, tmp_path, "echo")
    assert ran.said == ["echo", "echo"]


def test_a_class_of_our_own_is_not_taken_for_one() -> None:
    from tests.builders.conversations import Bot

    assert not loader.is_vera(Bot)
    assert not loader.is_vera(dict)


def test_names_that_are_nearly_a_hooks_are_told(write: Any) -> None:
    spec = write(
        """
        def post_process_response(self, text): return text
        def _should_discard_reponse(self, signals): return True
        @property
        def bespoke_terminaton_signals(self): return []
        """
    )
    assert dict(load(spec).near_names) == {
        "post_process_response": "_post_process_response",
        "_should_discard_reponse": "_should_discard_response",
        "bespoke_terminaton_signals": "bespoke_termination_signals",
    }


def test_options_and_parameters_go_to_the_constructor(write: Any) -> None:
    loaded = load(write(), options={"workflow": "refunds"}, params={"temperature": 0.2})
    assert isinstance(loaded.provider, VeraProvider)
    assert loaded.provider.client.extra == {"workflow": "refunds", "temperature": 0.2}
    strict = (
        "class Bot:\n    def __init__(self, name): ...\n    def _extract_signals(self, r): ...\n"
    )
    with pytest.raises(ProviderLoadError, match="takes no option 'nam', did you mean 'name'"):
        load(write(strict, head="", name="Bot"), options={"nam": 1})


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("def bespoke_termination_signals(self): return []", "is `@property` missing?"),
        ("bespoke_termination_signals = '[X]'", "not a list"),
        ("@property\ndef bespoke_termination_signals(self): return self.nowhere", "not there"),
    ],
)
def test_useless_signals_are_named_when_loading(write: Any, body: str, says: str) -> None:
    with pytest.raises(ProviderLoadError, match=says):
        load(write(body))


def test_a_failing_constructor_shows_its_own_frames(write: Any) -> None:
    spec = write("def create_conversation_id(self): return 1 / 0")
    with pytest.raises(ProviderLoadError, match="ZeroDivisionError") as caught:
        load(spec)
    assert "create_conversation_id" in "\n".join(caught.value.frames)
    with pytest.raises(ProviderLoadError, match="generate_response"):
        load(write("class Bot(LLMInterface): ...", head=HEAD.split("\n\n\n", 1)[0] + "\nif 1:\n",
                   name="Bot"))  # fmt: skip


# --- the interface itself


class Plain(interface.LLMInterface):
    """Answers with how many turns it was given."""

    async def generate_response(
        self, conversation_history: list[dict[str, Any]] | None = None
    ) -> str:
        return f"{len(conversation_history or [])} turns"


async def test_first_words_of_the_interface() -> None:
    plain = Plain("p", interface.Role.PROVIDER, unknown_option=1)
    assert plain.start_prompt == "Start the conversation based on the system prompt"
    assert plain.get_initial_prompt_turns() == [{"turn": 0, "response": plain.start_prompt}]
    assert plain.get_first_turn_input_message() == plain.start_prompt
    assert await plain.start_conversation() == "1 turns"
    fixed = Plain("p", interface.Role.PROVIDER, first_message="Ahoy")
    assert fixed.get_first_turn_input_message() is None
    assert await fixed.start_conversation() == "Ahoy"
    assert fixed.last_response_metadata["static_first_message"] is True


def test_metadata_is_copied_deeply() -> None:
    plain = Plain("p")
    plain._set_response_metadata("x", usage={"input_tokens": 1})
    taken = plain.last_response_metadata
    taken["usage"]["input_tokens"] = 99
    assert plain._last_response_metadata["usage"] == {"input_tokens": 1}
    setattr(plain, "last_response_metadata", None)  # noqa: B010
    assert plain.last_response_metadata == {}
    plain._last_response_metadata["module"] = odd = ModuleType("odd")
    assert plain.last_response_metadata["module"] is odd  # cannot be copied


def test_every_instance_has_an_id_of_its_own_that_metadata_replaces() -> None:
    first, second = Plain("a"), Plain("b")
    assert first.conversation_id != second.conversation_id
    assert len(first.conversation_id) == 36
    own = first.conversation_id
    for value in ("", None, own):
        first._last_response_metadata = {"conversation_id": value}
        first._update_conversation_id_from_metadata()
        assert first.conversation_id == own
    first._last_response_metadata = {"conversation_id": "theirs"}
    first._update_conversation_id_from_metadata()
    assert first.conversation_id == "theirs"


def test_unknown_attributes_are_those_of_its_llm() -> None:
    class Inner:
        temperature = 0.3

    plain = Plain("p")
    with pytest.raises(AttributeError, match="no attribute 'temperature'"):
        _ = plain.temperature
    vars(plain)["llm"] = Inner()
    assert plain.temperature == 0.3
    with pytest.raises(AttributeError, match="no attribute 'top_p'"):
        _ = plain.top_p


def test_declared_signals_are_found_in_any_case_and_named_as_declared() -> None:
    class Bot(Plain):
        @property
        def bespoke_termination_signals(self) -> list[str]:
            return ["[end]", "[other]", "[never]"]

    assert Bot("b")._extract_signals("[OTHER] then [END] [End]") == ["[end]", "[other]"]


def test_jitter_is_full_and_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    assert [full_jitter(n) for n in (1, 2, 3, 4, 5, 400)] == [0.75, 1.5, 3.0, 6.0, 8.0, 8.0]


# --- a conversation


async def test_turn_dictionaries_and_records(write: Any, tmp_path: Path) -> None:
    spec = write(
        """
        def _post_process_response(self, text):
            self._last_response_metadata["reasoning_content"] = "because"
            return text.replace("<x>", "")
        """
    )
    ran = await go(
        spec, tmp_path, "one", "two", config={"options": {"lines": ["A<x>", "B"]}}, max_turns=4
    )
    client = client_of(ran.conversation)
    assert ran.said == ["one", "A", "two", "B"]
    first, second = client.histories
    assert first == [
        {
            "turn": 1,
            "speaker": "persona",
            "input": None,
            "response": "one",
            "early_termination": False,
            "logging": {},
        }
    ]
    assert [(t["turn"], t["speaker"], t["input"], t["response"]) for t in second] == [
        (1, "persona", None, "one"),
        (2, "provider", "one", "A"),
        (3, "persona", "A", "two"),
    ]
    logging = second[1]["logging"]
    assert logging["raw_response"] == "A<x>"
    assert logging["response_id"] == "r1"
    response, last = [r for r in ran.of("llm.response") if r["side"] == "provider"]
    assert response["raw"] == "A<x>"
    assert response["usage"] == {"prompt_tokens": 10, "completion_tokens": 1}
    assert (response["response_id"], response["model"]) == ("r1", "ferry-1")
    assert last["metadata"]["conversation_id"] == client.conversation_id
    processed = [r for r in ran.of("response.processed") if r["side"] == "provider"]
    assert processed[0]["metadata"]["reasoning_content"] == "because"
    assert processed[0]["hook"] == "yours"
    assert "reasoning_content" not in response["metadata"]
    assert findings(ran.path) == []


async def test_what_the_persona_was_asked_with_is_its_input(write: Any, tmp_path: Path) -> None:
    persona = {"name": "Maya", "simulator": "llm", "model": "fake/user", "prompt": "p"}
    what = scenario(persona=persona, config={"use": write()}, max_turns=2)
    ran = await run(what, tmp_path, models=FakeModels(user=["hello there"]))
    (history,) = client_of(ran.conversation).histories
    assert history[0]["input"] == "Start the conversation based on the system prompt"


async def test_the_provider_opens_with_start_conversation(write: Any, tmp_path: Path) -> None:
    spec = write()
    fields: dict[str, Any] = {"first_speaker": "provider", "max_turns": 1}
    ran = await go(spec, tmp_path / "a", config={"start_prompt": "Greet."}, **fields)
    client = client_of(ran.conversation)
    assert client.calls[:2] == ["start", "reply"]
    assert client.histories[0] == [{"turn": 0, "response": "Greet."}]

    ran = await go(
        spec, tmp_path / "b", "hi", config={"first_message": "Ahoy"}, first_speaker="provider",
        max_turns=3,
    )  # fmt: skip
    client = client_of(ran.conversation)
    assert ran.said == ["Ahoy", "hi", "Which booking?"]
    assert client.calls == ["start", "reply"]
    assert client.histories[0][0]["input"] is None
    committed = ran.of("turn.committed")[0]
    assert committed["metadata"]["static_first_message"] is True


LIFECYCLE = """
@property
def first_speaker(self):
    self.calls.append("speaker")
    return self.speakers.get(self.now)
speakers = {"coaching": Role.PROVIDER}
now = None
_session_type = "checkup"
async def setup(self):
    self.calls.append("setup")
def prepare_sessions(self, session_types):
    self.calls.append(f"prepare {session_types}")
    return session_types
async def cleanup(self):
    self.calls.append("cleanup")
async def finish_and_reset_session(self, session_type):
    self.calls.append(f"finish {session_type}")
    self.now = session_type
"""
ENTER = """
async def enter_session(self, session_type):
    self.calls.append(f"enter {session_type}")
    self.now = session_type
"""


@pytest.mark.parametrize(("more", "called"), [("", "finish"), (ENTER, "enter")])
async def test_lifecycle(write: Any, tmp_path: Path, more: str, called: str) -> None:
    ran = await go(
        write(LIFECYCLE + more), tmp_path, "hi", sessions=["intake", "coaching"], max_turns=1
    )
    assert client_of(ran.conversation).calls == [
        "setup",
        "prepare ['intake', 'coaching']",
        f"{called} intake",
        "speaker",
        "reply",
        f"{called} coaching",
        "speaker",
        "start",
        "reply",
        "cleanup",
    ]
    started = ran.of("session.started")
    assert [record["first_speaker"] for record in started] == ["persona", "provider"]
    assert ran.one("provider.setup")["hooks"]["prepare_sessions"] == "yours"


async def test_without_a_session_list_its_own_type_is_prepared(write: Any, tmp_path: Path) -> None:
    ran = await go(write(LIFECYCLE), tmp_path, "hi", max_turns=2)
    assert "prepare ['checkup']" in client_of(ran.conversation).calls
    assert ran.one("sessions.prepared")["prepared"] == ["checkup"]


SIGNALS = """
@property
def bespoke_termination_signals(self):
    return ["[end]", "[error]"]
def _should_discard_response(self, signals):
    self.calls.append(f"discard {signals}")
    return "[error]" in signals
"""


async def test_signals_have_spans_and_discarded_replies_are_not_said(
    write: Any, tmp_path: Path
) -> None:
    lines = ["[ERROR] twice [error], then [END]", "Fine [END]"]
    ran = await go(
        write(SIGNALS), tmp_path, "hi", on_discard="retry 1", config={"options": {"lines": lines}}
    )
    client = client_of(ran.conversation)
    first, second = [r for r in ran.of("signals.extracted") if r["side"] == "provider"]
    assert [(m["signal"], m["matched"], m["start"]) for m in first["matches"]] == [
        ("[error]", "[ERROR]", 0),
        ("[error]", "[error]", 14),
        ("[end]", "[END]", 28),
    ]
    assert [call for call in client.calls if "discard" in call] == [
        "discard ['[end]', '[error]']",
        "discard ['[end]']",
    ]
    assert ran.one("turn.discarded")["hook"] == "should_discard_response"
    assert ran.said == ["hi", "Fine [END]"]
    assert ran.ended == ("early_termination", "provider")
    assert second["matches"][0]["signal"] == "[end]"
    # The dropped reply is not in the history of the second request.
    assert [turn["response"] for turn in client.histories[1]] == ["hi"]


async def test_extract_signals_may_return_strings_of_its_own(write: Any, tmp_path: Path) -> None:
    spec = write(
        """
        bespoke_termination_signals = ["[end]"]
        def _extract_signals(self, raw_response):
            return ["[END]", "no such text"] if "END" in raw_response else []
        """
    )
    ran = await go(spec, tmp_path, "hi", config={"options": {"lines": ["ok [end] END"]}})
    (record,) = [r for r in ran.of("signals.extracted") if r["side"] == "provider"]
    assert [(m["signal"], m["start"], m["end"]) for m in record["matches"]] == [
        ("no such text", 0, 0),
        ("[end]", 3, 8),
    ]
    assert record["hook"] == "yours"


async def test_a_conversation_id_in_the_metadata_replaces_its_own(
    write: Any, tmp_path: Path
) -> None:
    spec = write(
        """
        def create_conversation_id(self):
            return "own"
        def _set_response_metadata(self, provider, **more):
            super()._set_response_metadata(provider, conversation_id="server-7", **more)
        """
    )
    ran = await go(spec, tmp_path, "hi", max_turns=2)
    assert client_of(ran.conversation).conversation_id == "server-7"
    assert ran.of("turn.committed")[-1]["metadata"]["conversation_id"] == "server-7"


# --- trying again

RETRYING = """
failures = ["503 upstream"] * 2
asked = 0
seen = ()
def _no_retry_substrings(self):
    return ("insufficient_quota",)
async def generate_response(self, conversation_history=None):
    async def once():
        type(self).asked += 1
        self.seen = (*self.seen, dict(self._last_response_metadata))
        if self.failures:
            self._last_response_metadata["stale"] = True
            message, *self.failures = self.failures
            raise RuntimeError(message)
        self._set_response_metadata("ferry", response_id="ok")
        return "At last"
    return await self._run_with_retry(once, provider="ferry")
"""


async def test_retries_are_records_and_begin_with_empty_metadata(
    write: Any, tmp_path: Path
) -> None:
    ran = await go(write(RETRYING), tmp_path, "hi", max_turns=2)
    client = client_of(ran.conversation)
    assert ran.said == ["hi", "At last"]
    assert client.seen == ({}, {}, {})
    retries = ran.of("llm.retry")
    assert [(r["n"], r["error"]["message"]) for r in retries] == [
        (1, "503 upstream"),
        (2, "503 upstream"),
    ]
    request, response = ran.one("llm.request"), ran.one("llm.response")
    assert {r["call"] for r in retries} == {request["seq"]} == {response["call"]}
    assert response["response_id"] == "ok"


async def test_it_gives_up_after_all_attempts_and_nothing_tries_again(
    write: Any, tmp_path: Path
) -> None:
    spec = write(RETRYING.replace("* 2", "* 99"))
    ran = await go(spec, tmp_path, "hi")
    assert type(client_of(ran.conversation)).asked == 4
    assert [r["n"] for r in ran.of("llm.retry")] == [1, 2, 3]
    assert ran.ended == ("failed", "provider")
    assert "LLM call failed after 4 attempts: 503 upstream" in ran.termination.reason
    metadata = client_of(ran.conversation).last_response_metadata
    assert (metadata["attempt"], metadata["max_attempts"]) == (4, 4)
    assert metadata["will_retry"] is False
    # The scenario's rules are its rules.
    ran = await go(
        spec, tmp_path / "b", "hi", retry={"attempts": 2, "base_delay": 0, "max_delay": 0}
    )
    assert [r["n"] for r in ran.of("llm.retry")] == [1]


async def test_no_wait_of_its_helper_is_longer_than_the_scenario_allows(
    write: Any, tmp_path: Path
) -> None:
    asks = RETRYING.replace(
        "raise RuntimeError(message)",
        "error = RuntimeError(message); error.retry_after = '3600'; raise error",
    )
    ran = await go(write(asks), tmp_path, "hi")
    assert type(client_of(ran.conversation)).asked == 1
    assert ran.of("llm.retry") == []
    assert (
        "LLM call failed after 1 attempts: 503 upstream; the endpoint asks to wait 1 h 0 min"
        in (ran.termination.reason)
    )
    metadata = client_of(ran.conversation).last_response_metadata
    assert metadata["will_retry"] is False


async def test_what_another_attempt_cannot_help_is_not_retried(write: Any, tmp_path: Path) -> None:
    spec = write(RETRYING.replace('["503 upstream"] * 2', '["429 insufficient_quota"]'))
    ran = await go(spec, tmp_path, "hi")
    assert ran.of("llm.retry") == []
    assert "LLM error (non-retryable): 429 insufficient_quota" in ran.termination.reason


async def test_outside_of_a_conversation_it_retries_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: 0.0)
    plain = Plain("p")
    errors = [OSError("one"), OSError("two")]
    noted: list[tuple[int, bool]] = []

    async def once() -> str:
        if errors:
            raise errors.pop(0)
        return "fine"

    def on_error(
        error: BaseException, n: int, attempts: int, retryable: bool, again: bool
    ) -> dict[str, Any]:
        noted.append((n, again))
        return {"noted": str(error)}

    assert await plain._run_with_retry(once, on_error=on_error) == "fine"
    assert noted == [(1, True), (2, True)]
    errors[:] = [OSError("quota")]
    with pytest.raises(interface.LLMGenerationFailed, match="non-retryable"):
        await plain._run_with_retry(once, no_retry_substrings=("quota",), on_error=on_error)
    assert plain.last_response_metadata["noted"] == "quota"


async def test_a_reply_that_is_none_is_named(write: Any, tmp_path: Path) -> None:
    ran = await go(write("async def start_conversation(self): return None"), tmp_path, "hi",
                   first_speaker="provider")  # fmt: skip
    assert "returned None instead of text" in ran.termination.reason


def test_only_one_function_matches_signals() -> None:
    assert [match.signal for match in match_signals("a [End]", ["[end]"])] == ["[end]"]
