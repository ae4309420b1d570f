"""The files that `convtui init` writes: a provider, a persona and a scenario that run at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Final, Literal, get_args

from convtui.config.paths import writable_dir
from convtui.errors import FileError, UsageError, did_you_mean, listed
from convtui.scenario.provider_hooks import (
    EXTRACT_SIGNALS,
    GENERATE_RESPONSE,
    METHODS,
    POST_PROCESS_RESPONSE,
    PREPARE_SESSIONS,
    SHOULD_DISCARD_RESPONSE,
    Hook,
)

Style = Literal["function", "class", "vera"]
STYLES: tuple[Style, ...] = get_args(Style)

_FUNCTION = '''\
"""A provider is anything that answers: here, a function from messages to text.

`messages` is the chat so far, as OpenAI's API has it: dicts with `role` (system, user, assistant)
and `content`. Put a call to your own model in here, sync or async.
"""


def answer(messages):
    said = messages[-1]["content"].lower() if messages else ""
    if "refund" in said or "money back" in said:
        return "I have asked for the refund. It takes about five days."
    if any(char.isdigit() for char in said):
        return "Thank you, I have found your booking. What would you like me to do?"
    return "Hello, this is the ferry desk. What is your booking number?"
'''

_CLASS = '''\
"""A provider as a class: one object for a conversation, with hooks around every reply.

Every hook is optional; delete what you do not need. `generate_response` is the one way to answer
that has to be there (or `respond`, to stream).
"""

import re

from convtui import Provider


class Bot(Provider):
    name = "ferry desk"
    # Strings in a raw reply that end the session (unless the scenario's on_signal says otherwise).
    termination_signals = ["[CASE CLOSED]", "[UPSTREAM ERROR]"]
    # Whether anything is kept between calls that restore() would have to bring back.
    stateful = False
    # Who speaks first: "persona", "provider", or None to leave it to the scenario.
    first_speaker = None

    def __init__(self, desk="ferry desk"):
        """Keyword arguments come from `provider.options` in the scenario."""
        self.desk = desk

{hooks}'''

# What the hooks of the class do for the ferry desk; a hook without an entry is only described.
_BODIES: Final = {
    PREPARE_SESSIONS.name: "return session_types",
    GENERATE_RESPONSE.name: '''\
said = messages[-1]["content"].lower() if messages else ""
if "confirm" in said or "done" in said:
    return "You will get a confirmation by mail. Have a good trip! [CASE CLOSED]"
if "refund" in said or "money back" in said:
    return "<think>Cancelled trips are refunded.</think>I have asked for the refund."
if any(char.isdigit() for char in said):
    return "<think>A booking number.</think>Thank you, I have found your booking."
return f"Hello, this is the {self.desk}. What is your booking number?"''',
    EXTRACT_SIGNALS.name: """\
# By default: every declared one, upper or lower case.
return super().extract_signals(raw)""",
    POST_PROCESS_RESPONSE.name: """\
# Here: without thoughts and signals.
text = re.sub(r"<think>.*?</think>", "", text, flags=re.DOTALL)
for signal in self.termination_signals:
    text = text.replace(signal, "")
return text.strip()""",
    SHOULD_DISCARD_RESPONSE.name: """\
# Here: replies that are errors.
return any(match.signal == "[UPSTREAM ERROR]" for match in signals)""",
}

_VERA = '''\
"""A provider as VERA-MH wants it: this very file also works there.

VERA-MH does not have to be installed to debug it. Every hook is optional; delete what you do not
need.
"""

import re

from llm_clients.llm_interface import LLMInterface, Role


class Bot(LLMInterface):
    def __init__(self, name, role, system_prompt=None, desk="ferry desk", **kwargs):
        """Keyword arguments come from `provider.options` in the scenario."""
        super().__init__(name, role, system_prompt, **kwargs)
        self.desk = desk

    # Strings in a raw reply that end the session.
    @property
    def bespoke_termination_signals(self):
        return ["[CASE CLOSED]", "[UPSTREAM ERROR]"]

    # Read after every enter_session: Role.PERSONA, Role.PROVIDER, or None for the usual order.
    @property
    def first_speaker(self):
        return None

    def set_system_prompt(self, system_prompt):
        self.system_prompt = system_prompt

    async def setup(self):
        """Called once, before anything else: open connections here."""

    async def cleanup(self):
        """Called once at the end, also after a failure: close them here."""

    def prepare_sessions(self, session_types):
        """The sessions to hold: may reorder them or put one before them."""
        return session_types

    async def enter_session(self, session_type):
        """Called before every session, also the first: forget the one before."""

    async def start_conversation(self):
        """The first words, where this side speaks first."""
        if self.first_message is not None:
            return self.first_message
        return await self.generate_response(self.get_initial_prompt_turns())

    async def generate_response(self, conversation_history=None):
        """The raw reply to all turns so far; each has `turn`, `speaker` and `response`."""
        said = conversation_history[-1]["response"].lower() if conversation_history else ""

        async def ask():
            # Call your model here; when it fails it is asked again.
            return self.look_up(said)

        reply = await self._run_with_retry(ask)
        self._last_response_metadata = {
            "model": "ferry-desk-1",
            "usage": {"input_tokens": len(said.split()), "output_tokens": len(reply.split())},
        }
        return reply

    def look_up(self, said):
        if "confirm" in said or "done" in said:
            return "You will get a confirmation by mail. Have a good trip! [CASE CLOSED]"
        if "refund" in said or "money back" in said:
            return "<think>Cancelled trips are refunded.</think>I have asked for the refund."
        if any(char.isdigit() for char in said):
            return "<think>A booking number.</think>Thank you, I have found your booking."
        return f"Hello, this is the {self.desk}. What is your booking number?"

    def _extract_signals(self, raw_response):
        """The signals in the raw reply; by default every declared one, upper or lower case."""
        return super()._extract_signals(raw_response)

    def _post_process_response(self, response):
        """What is said, made from the raw reply: here, without thoughts and signals."""
        text = re.sub(r"<think>.*?</think>", "", response, flags=re.DOTALL)
        for signal in self.bespoke_termination_signals:
            text = text.replace(signal, "")
        return text.strip()

    def _should_discard_response(self, signals):
        """Whether a reply with these signals is dropped: here, replies that are errors."""
        return "[UPSTREAM ERROR]" in signals
'''

_PERSONA = """\
# Who the simulated user is. `script` needs no model; with `prompt` and `model` (any litellm name,
# key in the environment) a model plays the persona instead.
name: Maya
task: Wants a refund for a cancelled ferry trip.
script:
  - Hi, my ferry was cancelled and nobody told me.
  - The booking number is 4417.
  - A voucher does not help me. I would like my money back.
  - Thank you. Please confirm that, then we are done.
"""

_SCENARIO = """\
# Everything needed to run one conversation; `convtui schema scenario` lists every key.
name: refund
persona: persona.yaml
provider:
  use: my_provider.py:{target}
  system_prompt: You are a ferry company's assistant.
limits: {{max_turns: 12}}
{extra}"""

_CLASS_EXTRA = """\
on_discard: retry 1
on_signal: {"[CASE CLOSED]": end}
# Pause when a reply is dropped, or where the shown text differs from the raw one:
# breakpoints: ["~discard", "~changed"]
"""
_FUNCTION_EXTRA = """\
# Pause where the provider promises a refund:
# breakpoints: ["~speaker provider & ~said refund"]
"""


@dataclass(frozen=True, slots=True)
class Starter:
    """What was written, and the command to type next."""

    files: tuple[Path, ...]
    next_command: str


def _class() -> str:
    """The provider as a class, with every hook."""
    methods = "\n".join(_method(hook) for hook in METHODS if hook.in_starter)
    return _CLASS.replace("{hooks}", methods)


def _method(hook: Hook) -> str:
    arguments = ", ".join(("self", *(hook.arguments or ())))
    lines = [
        f"{'async ' * hook.awaited}def {hook.name}({arguments}):",
        indent(f'"""{hook.sentence}"""', "    "),
        *filter(None, [indent(_BODIES.get(hook.name, ""), "    ")]),
    ]
    return indent("\n".join(lines) + "\n", "    ")


def starter_files(style: str = "function") -> dict[str, str]:
    """File name to text. Raises `UsageError` for an unknown style."""
    if style not in STYLES:
        raise UsageError(
            f"there is no style {style!r}{did_you_mean(style, STYLES) or '.'}"
            f" There are {listed(STYLES)}."
        )
    is_class = style != "function"
    return {
        "my_provider.py": {"function": _FUNCTION, "class": _class(), "vera": _VERA}[style],
        "persona.yaml": _PERSONA,
        "scenario.yaml": _SCENARIO.format(
            target="Bot" if is_class else "answer",
            extra=_CLASS_EXTRA if is_class else _FUNCTION_EXTRA,
        ),
    }


def write_starter(folder: Path, style: str = "function") -> Starter:
    """Writes the starter files into `folder`, which is made when missing.

    Never overwrites: raises `FileError` that names every file that is in the way, and then changes
    nothing.
    """
    files = starter_files(style)
    in_the_way = [
        name for name in files if (folder / name).exists() or (folder / name).is_symlink()
    ]
    if in_the_way:
        raise FileError(
            f"{folder}: nothing was written, because there already is {', '.join(in_the_way)};"
            " choose another directory: convtui init DIR"
        )
    writable_dir(folder, otherwise="name another folder")
    written: list[Path] = []
    try:
        for name, text in files.items():
            # "x" refuses a file that appeared in the meantime.
            with (folder / name).open("x", encoding="utf-8", newline="\n") as file:
                written.append(folder / name)
                file.write(text)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        raise FileError(f"{folder}: cannot be written to: {error.strerror or error}") from None
    here = folder.absolute() == Path.cwd().absolute()
    text = str(folder / "scenario.yaml")
    if any(char.isspace() for char in text):
        text = f'"{text}"'
    return Starter(tuple(written), "convtui debug" if here else f"convtui debug {text}")
