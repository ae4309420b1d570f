"""Classes for every version of VERA-MH: for 1.0, which get one message, and for later ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from convtui.errors import ProviderLoadError
from convtui.providers.base import HistoryTurn, Request
from convtui.providers.loader import Loaded, load_provider
from convtui.providers.settings import ProviderSettings
from convtui.providers.vera import interface
from convtui.providers.vera.adapter import VeraProvider
from convtui.scenario.provider_spec import parse_provider_spec
from tests.builders.conversations import Ran, resume, run, scenario

ONE_ZERO = '''
from typing import Any, Dict, Optional, Tuple

from llm_clients.llm_interface import LLMInterface


class Model:
    """Takes no keyword that it does not know, like the models of SDKs."""

    def __init__(self, model, temperature=None):
        self.model = model
        self.temperature = temperature


class OldLLM(LLMInterface):
    """A class as VERA-MH 1.0 has them: no role, one message, errors as text."""

    def __init__(self, name: str, system_prompt: Optional[str] = None,
                 model_name: Optional[str] = None, **kwargs):
        super().__init__(name, system_prompt)
        self.model_name = model_name or "old-1"
        self.llm = Model(**{"model": self.model_name, **kwargs})
        self.last_response_metadata: Dict[str, Any] = {}
        self.memory = []

    async def generate_response(self, message: Optional[str] = None) -> str:
        try:
            self.memory.append(message)
            if "fail" in message:
                raise ConnectionError("no route")
            self.last_response_metadata = {
                "response_id": f"r{len(self.memory)}", "model": self.model_name,
                "usage": {"input_tokens": 5, "output_tokens": 2}, "stop_reason": "end_turn",
            }
            return f"{len(self.memory)}: {message}"
        except Exception as e:
            self.last_response_metadata = {"error": str(e), "usage": {}}
            return f"Error generating response: {str(e)}"

    def get_last_response_metadata(self) -> Dict[str, Any]:
        return self.last_response_metadata.copy()

    def set_system_prompt(self, system_prompt: str) -> None:
        self.system_prompt = system_prompt
'''


def spec_of(folder: Path, source: str, name: str = "OldLLM") -> str:
    path = folder / f"vera_version_{abs(hash((str(folder), source)))}.py"
    path.write_text(source)
    return f"{path}:{name}"


def load(spec: str, **settings: Any) -> Loaded:
    return load_provider(parse_provider_spec(spec), ProviderSettings(**settings))


def client_of(loaded: Loaded) -> Any:
    assert isinstance(loaded.provider, VeraProvider)
    return loaded.provider.client


async def go(spec: str, folder: Path, *script: str, **fields: Any) -> Ran:
    config = {"use": spec, **fields.pop("config", {})}
    return await run(scenario(script=script or ("hi",), config=config, **fields), folder)


def provider_turns(ran: Ran) -> list[dict[str, Any]]:
    return [record for record in ran.of("turn.committed") if record["speaker"] == "provider"]


def bot(method: str, *, base: str = "LLMInterface", more: str = "") -> str:
    """A class with one way to answer."""
    return (
        "import functools\nfrom typing import *\n"
        "from llm_clients.llm_interface import LLMInterface, Role\n"
        f"{more}\nclass Bot({base}):\n    {method}\n"
    )


# --- 1.0


async def test_a_class_of_1_0_gets_each_message_and_no_role(tmp_path: Path) -> None:
    ran = await go(spec_of(tmp_path, ONE_ZERO), tmp_path, "one", "two", max_turns=4)
    assert ran.said == ["one", "1: one", "two", "2: two"]
    assert ran.of("warning") == []
    response = [r for r in ran.of("llm.response") if r["side"] == "provider"][-1]
    assert response["usage"] == {"prompt_tokens": 5, "completion_tokens": 2}
    assert (response["response_id"], response["model"]) == ("r2", "old-1")
    assert response["finish_reason"] == "end_turn"
    assert provider_turns(ran)[0]["metadata"]["response_id"] == "r1"


async def test_its_errors_as_text_leave_the_error_in_the_metadata(tmp_path: Path) -> None:
    ran = await go(spec_of(tmp_path, ONE_ZERO), tmp_path, "fail", "fine", max_turns=4)
    first, second = provider_turns(ran)
    assert first["text"] == "Error generating response: no route"
    assert first["metadata"]["error"] == "no route"
    assert "error" not in second["metadata"]


def test_its_second_argument_is_the_system_prompt(tmp_path: Path) -> None:
    loaded = load(spec_of(tmp_path, ONE_ZERO), system_prompt="Be kind.", model="old-2")
    client = client_of(loaded)
    assert client.system_prompt == "Be kind."
    assert client.role is interface.Role.PROVIDER
    assert client.llm.model == "old-2"
    assert loaded.construction is not None
    assert loaded.construction.given == ("name", "system_prompt", "model_name")
    assert loaded.construction.left_out == ("role",)
    default = client_of(load(spec_of(tmp_path, ONE_ZERO)))
    assert default.system_prompt == "You are a helpful AI assistant."


def test_only_what_a_scenario_asks_for_goes_into_any_keyword(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, ONE_ZERO)
    client = client_of(
        load(spec, options={"temperature": 0.5}, first_message="Ahoy", start_prompt="Greet.")
    )
    assert client.llm.temperature == 0.5
    assert (client.first_message, client.start_prompt) == ("Ahoy", "Greet.")
    with pytest.raises(ProviderLoadError, match="unexpected keyword argument 'temprature'"):
        load(spec, options={"temprature": 0.5})


async def test_when_it_opens_it_gets_the_start_prompt(tmp_path: Path) -> None:
    fields: dict[str, Any] = {"first_speaker": "provider", "max_turns": 1}
    spec = spec_of(tmp_path, ONE_ZERO)
    ran = await go(spec, tmp_path / "a", **fields)
    assert ran.said == ["1: Start the conversation based on the system prompt"]
    ran = await go(spec, tmp_path / "b", config={"start_prompt": "Greet."}, **fields)
    assert ran.said == ["1: Greet."]
    ran = await go(spec, tmp_path / "c", config={"first_message": "Ahoy"}, **fields)
    assert ran.said == ["Ahoy"]
    assert provider_turns(ran)[0]["metadata"]["static_first_message"] is True


async def test_an_empty_message_stays_empty(tmp_path: Path) -> None:
    method = "def generate_response(self, message): return repr(message)"
    provider = load(spec_of(tmp_path, bot(method), "Bot")).provider
    history = [HistoryTurn(1, 1, "persona", ""), HistoryTurn(1, 2, "provider", "own words")]
    for turns in (history[:1], history):
        request = Request([], 1, "default", 2, history=turns)
        assert [delta.text async for delta in provider.respond(request)] == ["''"]


def test_what_gets_one_message_remembers_the_others(tmp_path: Path) -> None:
    assert load(spec_of(tmp_path, ONE_ZERO)).provider.stateful is True
    stateless = ONE_ZERO + "\n    stateful = False\n"
    assert load(spec_of(tmp_path, stateless)).provider.stateful is False
    both = bot("def generate_response(self, message, history=None): return ''")
    assert load(spec_of(tmp_path, both, "Bot")).provider.stateful is None


async def test_it_is_not_gone_on_with_in_silence(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, ONE_ZERO)
    first = await go(spec, tmp_path / "a", "one", "two", max_turns=2)
    what = scenario(script=("one", "two"), config={"use": spec}, max_turns=4)
    again = await resume(first.path, tmp_path / "b", what, watched=True, plan=["replay"])
    assert again.driver.where[0] == ("cannot_restore", "restore")
    assert "keeps state and has no restore()" in again.driver.holds[0]["detail"]
    assert again.said[-1] == "2: two"


@pytest.mark.parametrize("home", ["llm_clients.llm_interface", "llm_clients", "llm_interface"])
async def test_the_interface_is_offered_where_each_version_has_it(
    tmp_path: Path, home: str
) -> None:
    source = ONE_ZERO.replace("llm_clients.llm_interface", home)
    assert (await go(spec_of(tmp_path, source), tmp_path, max_turns=2)).said == ["hi", "1: hi"]


async def test_without_the_base_it_is_told_apart(tmp_path: Path) -> None:
    source = (
        "class Bot:\n    def __init__(self, name): ...\n"
        "    def get_last_response_metadata(self): return {'model': 'm'}\n"
        "    def generate_response(self, message): return message\n"
    )
    ran = await go(spec_of(tmp_path, source, "Bot"), tmp_path, max_turns=2)
    assert ran.said == ["hi", "hi"]
    assert provider_turns(ran)[0]["metadata"] == {"model": "m"}


async def test_a_class_that_takes_chat_messages_is_none_of_them(tmp_path: Path) -> None:
    source = (
        "class Bot:\n    def get_last_response_metadata(self): return {}\n"
        "    def generate_response(self, messages): return messages[-1]['content']\n"
    )
    spec = spec_of(tmp_path, source, "Bot")
    assert load(spec).kind == "class"
    assert (await go(spec, tmp_path, max_turns=2)).said == ["hi", "hi"]


async def test_its_own_interface_wins(tmp_path: Path) -> None:
    """A class whose base has neither `start_conversation` nor roles."""
    source = (
        "class LLMInterface:\n"
        "    def __init__(self, name, system_prompt=None):\n"
        "        self.name, self.system_prompt = name, system_prompt or ''\n"
        "    async def generate_response(self, message=None): ...\n"
        "LLMInterface.__module__ = 'mine.llm_interface'\n"
        "class Bot(LLMInterface):\n"
        "    async def generate_response(self, *args, **kwargs): return f'{args} {kwargs}'\n"
    )
    spec = spec_of(tmp_path, source, "Bot")
    ran = await go(spec, tmp_path, max_turns=2)
    assert ran.said == ["hi", "('hi',) {}"]
    ran = await go(spec, tmp_path / "b", first_speaker="provider", max_turns=1)
    assert "Start the conversation" in ran.said[0]


# --- forms of replies


@pytest.mark.parametrize(
    "returned",
    ["'ok', {'a': 1}", "['ok', {'a': 1}]", "{'content': 'ok', 'a': 1}",
     "type('Message', (), {'content': 'ok', 'response_metadata': {'a': 1}})()"],
)  # fmt: skip
async def test_text_with_metadata(tmp_path: Path, returned: str) -> None:
    method = f"async def generate_response(self, message) -> Tuple[str, dict]: return {returned}"
    ran = await go(spec_of(tmp_path, bot(method), "Bot"), tmp_path, max_turns=2)
    assert ran.said == ["hi", "ok"]
    assert provider_turns(ran)[0]["metadata"]["a"] == 1


async def test_a_reply_of_another_shape_is_named(tmp_path: Path) -> None:
    method = "def generate_response(self, message): return 'ok', {}, 3"
    ran = await go(spec_of(tmp_path, bot(method), "Bot"), tmp_path, max_turns=2)
    assert ran.ended == ("failed", "provider")
    assert "a tuple of 3 (str, dict, int) instead of text" in ran.termination.reason


@pytest.mark.parametrize(
    "kept",
    [
        "self.last_response_metadata = {'error': 'e'}",
        "self._last_response_metadata = {'error': 'e'}",
        "self.response_metadata = {'error': 'e'}",
        "self.get_last_response_metadata = lambda: {'error': 'e'}",
    ],
)
@pytest.mark.parametrize("parameter", ["message", "conversation_history"])
@pytest.mark.parametrize("returned", ["'x'", "('x', {'b': 1})"])
async def test_metadata_reach_the_turn_wherever_they_are_kept(
    tmp_path: Path, kept: str, parameter: str, returned: str
) -> None:
    method = (
        f"def generate_response(self, {parameter}):\n        {kept}\n        return {returned}\n"
        "    def start_conversation(self): return self.generate_response('')"
    )
    for number, base in enumerate(("LLMInterface", "object")):
        spec = spec_of(tmp_path, bot(method, base=base), "Bot")
        ran = await go(spec, tmp_path / str(number), max_turns=2)
        metadata = provider_turns(ran)[0]["metadata"]
        if "get_last" not in kept or returned == "'x'":
            assert metadata["error"] == "e"
        assert metadata.get("b") == (1 if "b" in returned else None)


async def test_metadata_of_a_pair_are_those_of_its_own_reply(tmp_path: Path) -> None:
    method = (
        "def generate_response(self, message): return ('a', {'n': 1}) if message == 'hi' else 'b'"
    )
    ran = await go(spec_of(tmp_path, bot(method), "Bot"), tmp_path, "hi", "on", max_turns=4)
    assert [turn.get("metadata", {}).get("n") for turn in provider_turns(ran)] == [1, None]


# --- forms of one method


@pytest.mark.parametrize(
    "method",
    [
        "def generate_response(self, message): return message",
        "async def generate_response(self, *, prompt=None): return prompt",
        "@staticmethod\n    def generate_response(text): return text",
        "@classmethod\n    async def generate_response(cls, text): return text",
        "@logged\n    async def generate_response(self, user_message): return user_message",
        "@logged\n    def generate_response(self, x: Optional[str] = None): return x",
        "generate_response = functools.partialmethod(lambda self, a, message: message, 1)",
        "def generate_response(self, message, *args, retries=3, **kwargs): return message",
    ],
)
async def test_one_message_in_every_form(tmp_path: Path, method: str) -> None:
    more = (
        "def logged(function):\n    @functools.wraps(function)\n"
        "    def inner(*args, **kwargs): return function(*args, **kwargs)\n    return inner\n"
    )
    spec = spec_of(tmp_path, bot(method, more=more), "Bot")
    assert (await go(spec, tmp_path, max_turns=2)).said == ["hi", "hi"]


async def test_an_override_that_hands_on_is_like_what_it_overrides(tmp_path: Path) -> None:
    source = ONE_ZERO + (
        "\nclass Mine(OldLLM):\n    async def generate_response(self, *args, **kwargs):\n"
        "        return await super().generate_response(*args, **kwargs)\n"
        "class Inherits(OldLLM): ...\n"
    )
    for name in ("Mine", "Inherits"):
        ran = await go(spec_of(tmp_path, source, name), tmp_path / name, max_turns=2)
        assert ran.said == ["hi", "1: hi"]


async def test_an_unnamed_shape_is_warned_of(tmp_path: Path) -> None:
    method = "def generate_response(self, x): return x[-1]['response']"
    ran = await go(spec_of(tmp_path, bot(method), "Bot"), tmp_path, max_turns=2)
    assert ran.said == ["hi", "hi"]
    (warning,) = ran.of("warning")
    assert warning["code"] == "call_shape"
    assert "generate_response(): the name x does not say what it takes" in warning["message"]


# --- signatures that cannot be called


@pytest.mark.parametrize(
    ("method", "says"),
    [
        ("def generate_response(self): ...", "takes neither a message nor a history"),
        ("def generate_response(self, message, key): ...", "needs key, which nobody gives"),
        ("async def generate_response(self, message): yield ''", "yields its reply in pieces"),
        ("def generate_response(self, message): yield ''", "yields its reply in pieces"),
        ("def start_conversation(self, prompt): ...", "cannot be called with no argument"),
        ("def _extract_signals(self): ...", "cannot be called with the raw_response"),
        ("async def _post_process_response(self, text): ...", "must be a plain `def`"),
        ("def enter_session(self): ...", "cannot be called with the session_type"),
    ],
)
def test_what_run_could_not_call_is_refused_with_its_line(
    tmp_path: Path, method: str, says: str
) -> None:
    source = bot(method)
    if "generate_response" not in method:
        source += "    def generate_response(self, message): ...\n"
    spec = spec_of(tmp_path, source, "Bot")
    with pytest.raises(ProviderLoadError, match=r"Bot: ") as caught:
        load(spec)
    assert says in str(caught.value)
    assert caught.value.location == (spec.rpartition(":")[0], 6)


def test_nothing_that_answers(tmp_path: Path) -> None:
    source = (
        "class Bot:\n    bespoke_termination_signals = []\n"
        "    def generate_reponse(self, message): ...\n"
    )
    with pytest.raises(ProviderLoadError, match=r"is missing; .*there is generate_reponse"):
        load(spec_of(tmp_path, source, "Bot"))


# --- constructors


@pytest.mark.parametrize(
    ("parameters", "given"),
    [
        ("self, name", "name"),
        ("self, name, /, role", "name role"),
        ("self, *, name, role=None", "name role"),
        ("self, name, **kwargs", "name"),
        ("self, name, role: str = 'assistant'", "name"),
        ("self, name, role: str", "name role"),
        ("self, name, config=None, **kwargs", "name"),
        ("self", ""),
    ],
)
def test_a_constructor_gets_what_it_names(tmp_path: Path, parameters: str, given: str) -> None:
    method = (
        f"def __init__({parameters}):\n"
        "        self.seen = {k: v for k, v in locals().items() if k in 'name role kwargs'}\n"
        "        super().__init__('bot')\n"
        "    def generate_response(self, message): return message\n"
    )
    loaded = load(spec_of(tmp_path, bot(method), "Bot"))
    assert loaded.construction is not None
    assert set(loaded.construction.given) == set(given.split())
    seen = client_of(loaded).seen
    assert seen.get("kwargs", {}) == {}
    if "role: str" in parameters:
        assert isinstance(seen["role"], str)


def test_a_constructor_that_names_nothing_is_like_what_it_overrides(tmp_path: Path) -> None:
    source = ONE_ZERO + (
        "\nclass Mine(OldLLM):\n    def __init__(self, *args, **kwargs):\n"
        "        super().__init__(*args, **kwargs)\n"
    )
    loaded = load(spec_of(tmp_path, source, "Mine"), system_prompt="Be kind.")
    assert client_of(loaded).system_prompt == "Be kind."
    assert loaded.construction is not None
    assert loaded.construction.left_out == ("role",)


def test_what_a_constructor_needs_and_nobody_has_is_named(tmp_path: Path) -> None:
    method = "def __init__(self, name, config, url): ...\n    def generate_response(self, m): ..."
    with pytest.raises(ProviderLoadError, match=r"Bot\(\) needs config, url: give them as"):
        load(spec_of(tmp_path, bot(method), "Bot"))


# --- the newest


async def test_signals_under_their_newer_name(tmp_path: Path) -> None:
    method = (
        "@property\n    def custom_termination_signals(self): return ['[end]']\n"
        "    def generate_response(self, conversation_history): return 'bye [END]'\n"
    )
    spec = spec_of(tmp_path, bot(method), "Bot")
    assert load(spec).hooks["bespoke_termination_signals"] == "yours"
    assert load(spec).near_names == []
    ran = await go(spec, tmp_path)
    assert ran.ended == ("early_termination", "provider")
    assert ran.termination.signal == "[end]"
    with pytest.raises(ProviderLoadError, match=r"custom_termination_signals failed"):
        load(spec_of(tmp_path, bot(method.replace("@property\n    ", "")), "Bot"))


# --- functions and classes of any other kind


async def test_a_function_annotated_with_text_gets_the_last_message(tmp_path: Path) -> None:
    source = (
        "def text(prompt: str): return prompt, {'n': len(prompt)}\n"
        "async def pieces(prompt: str):\n    yield prompt\n"
        "class Bot:\n    def generate_response(self, message: str): return message\n"
        "def plain(prompt): return prompt[-1]['content']\n"
    )
    for name in ("text", "pieces", "Bot", "plain"):
        ran = await go(spec_of(tmp_path, source, name), tmp_path / name, max_turns=2)
        assert ran.said == ["hi", "hi"]
    assert load(spec_of(tmp_path, source, "text")).provider.stateful is None
    assert load(spec_of(tmp_path, source, "plain")).provider.stateful is False
    assert "annotate it as `str`" in load(spec_of(tmp_path, source, "plain")).doubts()[0]
    assert load(spec_of(tmp_path, source, "Bot")).doubts() == []


def test_partials_are_functions_too(tmp_path: Path) -> None:
    source = (
        "from functools import partial\ndef f(a, text: str): return text\nbot = partial(f, 1)\n"
    )
    shape = load(spec_of(tmp_path, source, "bot")).call
    assert shape is not None
    assert shape.only_text
