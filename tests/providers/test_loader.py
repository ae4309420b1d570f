"""Loading providers: typical mistakes, and the messages that help."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from convtui.engine.calls.guarded import GuardedStream
from convtui.errors import ProviderLoadError
from convtui.models.base import ReplyFold
from convtui.providers.base import Provider, Request
from convtui.providers.loader import Loaded, load_provider
from convtui.providers.settings import ProviderSettings
from convtui.scenario.provider_spec import ProviderSpec


@pytest.fixture(autouse=True)
def fresh_imports() -> Iterator[None]:
    """Each test imports anew and leaves nothing behind."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if not name.startswith(("convtui", "hypothesis", "litellm")):
            del sys.modules[name]


class Folder:
    """A folder with Python files in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, source: str) -> Path:
        """Writes one file."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(dedent(source))
        return target

    def load(self, name: str, thing: str, **settings: Any) -> Loaded:
        """Loads `NAME:thing`."""
        spec = ProviderSpec("file", str(self.path / name), thing)
        return load_provider(spec, ProviderSettings(**settings))

    def refused(self, name: str, thing: str, **settings: Any) -> ProviderLoadError:
        """The error of loading it."""
        with pytest.raises(ProviderLoadError) as error:
            self.load(name, thing, **settings)
        return error.value


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


async def answer(provider: Provider, text: str = "hi") -> str:
    """A provider's reply to one message."""
    fold = ReplyFold()
    request = Request([{"role": "user", "content": text}], 1, "default", 1)
    async for delta in provider.respond(request):
        fold.add(delta)
    return fold.text


# --- what works

GENERATES = "        yield 'so: '\n        yield messages[-1]['content']"
DECORATED = """
import functools
def decorated(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)
    return wrapper
"""


@pytest.mark.parametrize(
    "source",
    [
        "def bot(messages): return 'so: ' + messages[-1]['content']",
        "async def bot(messages): return 'so: ' + messages[-1]['content']",
        "def bot(messages):\n    yield 'so: '\n    yield messages[-1]['content']",
        "async def bot(messages):\n    yield 'so: '\n    yield messages[-1]['content']",
        "class B:\n    def __call__(self, messages): return 'so: hi'\nbot = B()",
        "class B:\n    async def __call__(self, messages): return 'so: hi'\nbot = B()",
        f"class B:\n    def __call__(self, messages):\n{GENERATES}\nbot = B()",
        f"class B:\n    async def __call__(self, messages):\n{GENERATES}\nbot = B()",
        f"{DECORATED}\n@decorated\ndef bot(messages):\n{GENERATES}",
        f"{DECORATED}\n@decorated\nasync def bot(messages):\n{GENERATES}",
        "def bot(messages): return iter(['so: ', messages[-1]['content']])",
        "import functools\ndef f(a, messages): return a + 'hi'\nbot = functools.partial(f, 'so: ')",
    ],
)
async def test_functions_of_every_kind(folder: Folder, source: str) -> None:
    folder.write("f.py", source)
    loaded = folder.load("f.py", "bot")
    assert loaded.kind == "function"
    assert await answer(loaded.provider) == "so: hi"


@pytest.mark.parametrize("base", ["", "(convtui.Provider)"])
@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize("head", ["generate_response(self, messages)", "respond(self, request)"])
async def test_a_class_may_yield_its_reply(folder: Folder, base: str, kind: str, head: str) -> None:
    body = "        yield 'so: '\n        yield 'hi'"
    answers = f"    {kind} {head}:\n{body}\n"
    folder.write("c.py", f"import convtui\nclass Bot{base}:\n{answers}")
    provider = folder.load("c.py", "Bot").provider
    fold = ReplyFold()
    request = Request([{"role": "user", "content": "hi"}], 1, "default", 1)
    async for delta in GuardedStream(lambda: provider.respond(request)):
        fold.add(delta)
    assert fold.text == "so: hi"


async def test_a_class_without_base(folder: Folder) -> None:
    folder.write(
        "c.py",
        """
        class Bot:
            termination_signals = ["[END]"]

            def generate_response(self, messages):
                return "plain"

            def post_process_response(self, text):
                return text.upper()
        """,
    )
    loaded = folder.load("c.py", "Bot")
    assert loaded.kind == "class"
    assert isinstance(loaded.provider, Provider)
    assert loaded.provider.name == "Bot"
    assert await answer(loaded.provider) == "plain"
    assert loaded.provider.post_process_response("a") == "A"
    assert loaded.hooks["post_process_response"] == "yours"
    assert loaded.hooks["extract_signals"] == "default"


async def test_a_class_with_base_and_an_instance(folder: Folder) -> None:
    folder.write(
        "c.py",
        """
        from convtui.providers.base import Provider

        class Bot(Provider):
            def __init__(self, greeting="hello"):
                self.greeting = greeting

            async def generate_response(self, messages):
                return self.greeting

        ready = Bot("ready")
        """,
    )
    assert await answer(folder.load("c.py", "Bot").provider) == "hello"
    assert await answer(folder.load("c.py", "ready").provider) == "ready"
    loaded = folder.load("c.py", "Bot", options={"greeting": "hey"})
    assert await answer(loaded.provider) == "hey"


def test_the_identity_has_file_and_digest(folder: Folder) -> None:
    import hashlib

    path = folder.write("f.py", "def bot(messages): return ''")
    identity = folder.load("f.py", "bot").identity()
    assert identity["file"] == str(path)
    assert identity["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


async def test_a_file_named_like_a_library_module_replaces_nothing(folder: Folder) -> None:
    import json

    folder.write("json.py", "def bot(messages): return 'mine'")
    folder.write("statistics.py", "def bot(messages): return 'mine'")
    assert await answer(folder.load("json.py", "bot").provider) == "mine"
    assert sys.modules["json"] is json
    assert await answer(folder.load("statistics.py", "bot").provider) == "mine"
    assert "statistics" not in sys.modules or hasattr(sys.modules["statistics"], "mean")


async def test_siblings_and_packages_are_importable(folder: Folder) -> None:
    folder.write("pyproject.toml", "")
    folder.write("rootmod.py", "WORD = 'root'")
    folder.write("src/pkgx/__init__.py", "")
    folder.write("src/pkgx/words.py", "WORD = 'beside'")
    folder.write(
        "src/pkgx/bot.py",
        """
        from .words import WORD
        import rootmod

        def bot(messages):
            return f"{__name__} {WORD} {rootmod.WORD}"
        """,
    )
    loaded = folder.load("src/pkgx/bot.py", "bot")
    assert await answer(loaded.provider) == "pkgx.bot beside root"


async def test_a_file_is_read_again(folder: Folder) -> None:
    folder.write("f.py", "def bot(messages): return 'old'")
    assert await answer(folder.load("f.py", "bot").provider) == "old"
    folder.write("f.py", "def bot(messages): return 'newer'")
    assert await answer(folder.load("f.py", "bot").provider) == "newer"


@pytest.mark.parametrize("changed", ["f.py", "beside.py", "inner/deep.py"])
async def test_a_file_that_was_saved_twice_in_a_second_is_read_again(
    folder: Folder, changed: str
) -> None:
    """Nor where the second text is as long as the first, as after the change of one digit."""
    folder.write("inner/__init__.py", "")
    for number in (1, 2):
        for name in ("beside.py", "inner/deep.py"):
            folder.write(name, f"V = {number if name == changed else 1}")
        own = number if changed == "f.py" else 1
        folder.write(
            "f.py",
            f"import beside\nfrom inner import deep\n"
            f"def bot(messages): return str({own} * beside.V * deep.V)",
        )
        for path in folder.path.rglob("*.py"):
            os.utime(path, (1_700_000_000, 1_700_000_000))
        code = (
            "import sys; from pathlib import Path\n"
            "from convtui.providers.loader import import_file\n"
            "print(import_file(Path(sys.argv[1])).bot([]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(folder.path / "f.py")],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout == f"{number}\n"


def test_the_system_prompt_of_the_scenario(folder: Folder) -> None:
    folder.write("c.py", "class Bot:\n    def generate_response(self, messages): return ''")
    assert folder.load("c.py", "Bot", system_prompt="Be kind.").provider.system_prompt == "Be kind."


# --- what does not


def test_no_such_file(folder: Folder) -> None:
    folder.write("my_bot.py", "")
    error = folder.refused("my_bott.py", "Bot")
    assert str(error).endswith("my_bott.py: there is no such file, did you mean 'my_bot.py'?")
    assert "there is no such file" in str(folder.refused("nowhere/at/all.py", "Bot"))


def test_a_folder(folder: Folder) -> None:
    (folder.path / "dir.py").mkdir()
    assert "this is a folder; write" in str(folder.refused("dir.py", "Bot"))


def test_no_such_name(folder: Folder) -> None:
    folder.write("f.py", "import os\nclass MyBot: ...\ndef helper(): ...\n_private = 1")
    error = str(folder.refused("f.py", "MyBt"))
    assert "there is no 'MyBt' in it, did you mean 'MyBot'?" in error
    assert "It has MyBot and helper." in error


def test_a_syntax_error_has_its_line(folder: Folder) -> None:
    path = folder.write("f.py", "x = 1\ndef bot(messages:\n    return 1\n")
    error = folder.refused("f.py", "bot")
    assert error.message == f"{path}: cannot be imported"
    assert error.location == (str(path), 2)
    assert error.frames[0] == f"{path}:2"
    assert "^" in error.frames[2]
    assert error.frames[-1].startswith("SyntaxError: ")


def test_an_import_error_shows_own_frames_only(folder: Folder) -> None:
    folder.write("helper.py", "def go():\n    import json\n    return json.loads('{')\n")
    path = folder.write("f.py", "import helper\nhelper.go()\n")
    error = folder.refused("f.py", "bot")
    assert [frame.split(" in ")[0] for frame in error.frames[:-1]] == [
        f"{path}:2", f"{folder.path / 'helper.py'}:3",
    ]  # fmt: skip
    assert error.frames[-1].startswith("JSONDecodeError")
    assert error.location == (str(folder.path / "helper.py"), 3)


def test_a_missing_package_names_the_interpreter(folder: Folder) -> None:
    folder.write("f.py", "import surely_not_installed\n")
    error = str(folder.refused("f.py", "bot"))
    assert "No module named 'surely_not_installed'" in error
    assert sys.executable in error
    assert "--python PATH" in error


def test_leaving_while_being_imported(folder: Folder) -> None:
    folder.write("f.py", "import sys\nsys.exit(3)\n")
    error = str(folder.refused("f.py", "bot"))
    assert "calls sys.exit(3) while it is imported" in error
    assert '__name__ == "__main__"' in error


def test_a_failed_import_leaves_no_half_module(folder: Folder) -> None:
    folder.write("half_done.py", "raise ValueError('x')\n")
    folder.refused("half_done.py", "bot")
    assert "half_done" not in sys.modules


def test_options_of_what_takes_none(folder: Folder) -> None:
    folder.write(
        "c.py",
        """
        from convtui import Provider

        def bot(messages): return ""

        class Bot(Provider):
            def generate_response(self, messages): return ""

        made = Bot()
        """,
    )
    error = str(folder.refused("c.py", "bot", options={"workflow": 1}))
    assert "c.py:bot is a function, which gets the messages alone: the options workflow" in error
    assert "c.py:made is made already" in str(folder.refused("c.py", "made", options={"a": 1}))


def test_constructors(folder: Folder) -> None:
    folder.write(
        "c.py",
        """
        class Needs:
            def __init__(self, api, retries, color="red"): ...
            def generate_response(self, messages): return ""

        class Fails:
            def __init__(self):
                raise RuntimeError("no database")
            def generate_response(self, messages): return ""

        class Leaves:
            def __init__(self):
                raise SystemExit("bye")
            def generate_response(self, messages): return ""
        """,
    )
    error = folder.refused("c.py", "Needs")
    assert "c.py:Needs: Needs() needs api, retries: give them as `options`" in str(error)
    error = folder.refused("c.py", "Needs", options={"api": 1, "retries": 2, "colour": 3})
    assert "takes no option 'colour', did you mean 'color'?" in str(error)
    error = folder.refused("c.py", "Fails")
    assert "Fails() failed" in error.message
    assert error.frames[-1] == "RuntimeError: no database"
    assert "calls sys.exit('bye')" in str(folder.refused("c.py", "Leaves"))


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("def bot(): return 1", "bot() cannot be called with the messages alone"),
        ("def bot(messages, model): return 1", "missing a required argument: 'model'"),
        ("bot = 7", "bot is a int; a provider is a function (messages -> str) or a class"),
        ("class bot: ...", "class bot cannot answer: define generate_response(self, messages)"),
        (
            "class bot:\n    def generate_reponse(self, messages): ...",
            "it has generate_reponse (did you mean generate_response?)",
        ),
    ],
)
def test_things_that_are_no_providers(folder: Folder, source: str, says: str) -> None:
    folder.write("f.py", source)
    assert says in str(folder.refused("f.py", "bot"))


def test_names_that_are_nearly_hooks_are_told(folder: Folder) -> None:
    folder.write(
        "c.py",
        """
        class Bot:
            termination_signal = ["x"]
            def generate_response(self, messages): return ""
            def post_process_reponse(self, text): return text
            def enter_sesion(self, kind): ...
            def unrelated(self): ...
        """,
    )
    assert sorted(folder.load("c.py", "Bot").near_names) == [
        ("enter_sesion", "enter_session"),
        ("post_process_reponse", "post_process_response"),
        ("termination_signal", "termination_signals"),
    ]


def test_modules_and_entry_points() -> None:
    with pytest.raises(ProviderLoadError, match="cannot be imported"):
        load_provider(ProviderSpec("module", "surely_not_there", "x"), ProviderSettings())
    with pytest.raises(ProviderLoadError, match="'nobody' is no installed provider"):
        load_provider(ProviderSpec("entry_point", "nobody"), ProviderSettings())


async def test_the_demo_needs_nothing() -> None:
    loaded = load_provider(ProviderSpec("demo"), ProviderSettings(speed=0))
    assert loaded.kind == "demo"
    assert await answer(loaded.provider)


def test_what_a_file_imports_from_its_own_folder_is_told(tmp_path: Path) -> None:
    """A separate interpreter: nothing of ours shall stay loaded."""
    import json
    import subprocess
    import sys

    (tmp_path / "bot.py").write_text(
        "import beside\nfrom inner import deep\ndef bot(m): return ''\n"
    )
    (tmp_path / "beside.py").write_text("")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "__init__.py").write_text("")
    (tmp_path / "inner" / "deep.py").write_text("import json\n")
    code = (
        "import json, sys; from pathlib import Path;"
        "from convtui.providers.loader import ProviderSettings, load_provider;"
        "from convtui.scenario.provider_spec import parse_provider_spec;"
        "spec = parse_provider_spec(sys.argv[1]);"
        "print(json.dumps(load_provider(spec, ProviderSettings(), models=None).identity()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, f"{tmp_path / 'bot.py'}:bot"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    modules = json.loads(done.stdout)["modules"]
    names = [Path(name).relative_to(tmp_path.resolve()).as_posix() for name in modules]
    assert names == ["beside.py", "inner/__init__.py", "inner/deep.py"]


CHANGED = {
    "a missing module": ("import no_such_module_at_all\nclass Bot: ...", 1, "no_such_module"),
    "the constructor": (
        "class Bot:\n    def __init__(self, url): ...\n"
        "    def generate_response(self, messages): ...", 2, "Bot() needs url",
    ),
    "no messages": (
        "class Bot:\n    def generate_response(self): ...", 2,
        "generate_response() cannot be called with the messages (too many positional arguments);"
        " write `def generate_response(self, messages)`",
    ),
    "one argument more": (
        "from convtui import Provider\nclass Bot(Provider):\n    async def respond(self, request,"
        " temperature):\n        yield ''", 3, "write `def respond(self, request)`",
    ),
    "a hook": (
        "class Bot:\n    def generate_response(self, messages): ...\n    @staticmethod\n"
        "    def extract_signals(): ...", 4, "write `def extract_signals(self, raw)`",
    ),
    "a function": ("def Bot(): ...", 0, "a provider function is `def Bot(messages): ...`"),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGED)
def test_a_signature_that_does_not_fit_is_told_with_its_line(folder: Folder, what: str) -> None:
    source, line, message = CHANGED[what]
    file = folder.write("bot.py", source)
    error = folder.refused("bot.py", "Bot")
    assert message in str(error)
    if line:
        assert error.location == (str(file), line)
        assert any(frame.startswith(f"{file}:{line}") for frame in error.frames)


async def test_plain_and_async_are_both_fine_and_more_may_be_taken(folder: Folder) -> None:
    source = (
        "class Bot:\n    {0}def generate_response(self, messages, *more, k=1): return 'ok'\n"
        "    {0}def setup(self): ...\n    def post_process_response(self, *a, **k): return a[0]"
    )
    for number, word in enumerate(("", "async ")):
        folder.write(f"b{number}.py", source.format(word))
        assert await answer(folder.load(f"b{number}.py", "Bot").provider) == "ok"


async def test_the_file_of_a_package_is_imported_as_the_package(folder: Folder) -> None:
    folder.write("pkg_here/__init__.py", "from .words import WORD\ndef bot(m): return WORD\n")
    folder.write("pkg_here/words.py", "WORD = 'so: hi'\n")
    loaded = folder.load("pkg_here/__init__.py", "bot")
    assert await answer(loaded.provider) == "so: hi"
    assert "pkg_here" in sys.modules and "__init__" not in sys.modules


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import json.nosuch", "No module named 'json.nosuch'"),
        ("import json\njson.dumps", "module 'json' has no attribute 'dumps'"),
        ("from json import dumps", "cannot import name 'dumps' from 'json'"),
    ],
)
def test_a_module_that_shadows_another_goes_by_its_own_name(
    folder: Folder, source: str, says: str
) -> None:
    folder.write("json.py", "X = 1\n")
    folder.write("bot.py", f"{source}\ndef bot(m): ...\n")
    message = str(folder.refused("bot.py", "bot"))
    assert says in message
    assert "_convtui" not in message
