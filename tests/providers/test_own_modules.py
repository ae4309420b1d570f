"""A file beside a provider that shadows a package of ours: both get their own module."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from convtui.providers.own_modules import OwnModules


def engine(folder: Path, file: str, then: str = "") -> str:
    """The output of a process that loads a provider's file as the engine does, and goes on."""
    code = f"""
    from pathlib import Path
    from convtui.providers.loader import import_file
    module = import_file(Path({str(folder / file)!r}))
    print("theirs:", *module.seen)
    {then}
    """
    done = subprocess.run(
        [sys.executable, "-P", "-c", dedent(code)],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def write(folder: Path, **files: str) -> None:
    """Python files, by their names without the ending; `_in_` stands for a slash."""
    for name, text in files.items():
        path = folder / (name.replace("_in_", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))


THEIRS = "NAME = 'mine'\n"
LATE = ("statistics", "colorsys")
"""Modules of the standard library that nothing has imported by then."""


NAMES = ("mcp", "httpx", "yaml", "dotenv", "anyio", *LATE)


def test_each_gets_its_own(tmp_path: Path) -> None:
    bots = {f"bot_{name}": f"import {name}\nseen = [{name}.NAME, {name}.__file__]"
            for name in NAMES}  # fmt: skip
    write(tmp_path, **dict.fromkeys(NAMES, THEIRS), **bots)
    then = "\n    ".join(
        f"seen = import_file(Path({str(tmp_path / f'bot_{name}.py')!r})).seen\n"
        f"    print('theirs:', *seen)\n"
        f"    import {name}; print('ours:', {name}.__file__)"
        for name in NAMES
    )
    lines = engine(tmp_path, f"bot_{NAMES[0]}.py", then).splitlines()[1:]
    for name, theirs, ours in zip(NAMES, lines[::2], lines[1::2], strict=True):
        assert theirs == f"theirs: mine {tmp_path / f'{name}.py'}"
        assert ours.startswith("ours: ") and not ours.startswith(f"ours: {tmp_path}")


def test_what_is_loaded_already_is_not_theirs_either(tmp_path: Path) -> None:
    write(tmp_path, asyncio=THEIRS, bot="from asyncio import NAME\nseen = [NAME]")
    output = engine(tmp_path, "bot.py", "import asyncio; print('ours:', asyncio.run.__name__)")
    assert output == "theirs: mine\nours: run\n"


def test_a_package_its_parts_and_every_form_of_import(tmp_path: Path) -> None:
    write(
        tmp_path,
        mcp_in___init__="from .deep import NAME\n",
        mcp_in_deep="import mcp.other\nNAME = mcp.other.NAME\n",
        mcp_in_other=THEIRS,
        helper="""
            def late():
                from mcp import deep
                return deep.NAME
            """,
        bot="""
            import helper
            import mcp.deep
            import mcp.other as other
            from mcp.deep import NAME
            from mcp import other as again
            seen = [mcp.deep.NAME, other.NAME, NAME, again.NAME, helper.late()]
            """,
    )
    output = engine(tmp_path, "bot.py", "import mcp.client; print('ours:', mcp.client.__name__)")
    assert output == "theirs: mine mine mine mine mine\nours: mcp.client\n"


def test_a_provider_that_is_called_like_a_package(tmp_path: Path) -> None:
    write(
        tmp_path,
        mcp="seen = ['mine']",
        pkg_in_mcp_in___init__="",
        pkg_in_mcp_in_bot="seen = ['mine']",
    )
    then = "import mcp; print('ours:', hasattr(mcp, 'Client'))"
    assert engine(tmp_path, "mcp.py", then) == "theirs: mine\nours: True\n"
    assert engine(tmp_path / "pkg", "mcp/bot.py", then) == "theirs: mine\nours: True\n"


def test_the_root_of_a_project_has_no_say_in_the_standard_library(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("")
    bot = "import statistics, mcp\nseen = [hasattr(statistics, 'NAME'), mcp.NAME]"
    write(tmp_path, statistics=THEIRS, mcp=THEIRS, bots_in_bot=bot)
    then = "import statistics, mcp; print('ours:', statistics.mean([1]), hasattr(mcp, 'Client'))"
    assert engine(tmp_path / "bots", "bot.py", then) == "theirs: False mine\nours: 1 True\n"


def test_their_other_modules_are_found_as_ever(tmp_path: Path) -> None:
    write(tmp_path, mcp=THEIRS, tools="import json\nseen = [json.loads('1')]",
          bot="from tools import seen")  # fmt: skip
    assert engine(tmp_path, "bot.py") == "theirs: 1\n"


@pytest.mark.slow
def test_litellm_is_the_real_one(tmp_path: Path) -> None:
    write(tmp_path, litellm=THEIRS, openai=THEIRS, tiktoken=THEIRS,
          bot="import litellm, openai\nseen = [litellm.NAME, openai.NAME]")  # fmt: skip
    then = (
        "from convtui.models.litellm_client import load_litellm;"
        " import openai; print('ours:', load_litellm().acompletion.__name__, openai.AsyncOpenAI)"
    )
    output = engine(tmp_path, "bot.py", then)
    assert output.startswith("theirs: mine mine\nours: acompletion <class 'openai.AsyncOpenAI'>")


def test_nothing_is_done_where_no_name_is_in_doubt(tmp_path: Path) -> None:
    write(tmp_path, bot=THEIRS, utils=THEIRS, my_mcp=THEIRS)
    modules = OwnModules()
    path = list(sys.path)
    try:
        modules.add(tmp_path, own=True)
        modules.add(tmp_path, own=True)
        assert sys.path == [str(tmp_path), *path]
    finally:
        sys.path[:] = path
    assert modules.find_spec("utils", None) is None
    assert modules.for_them("utils", str(tmp_path / "bot.py")) == "utils"
    assert not modules.protects("utils")


def test_the_command_does_not_look_into_the_working_directory(tmp_path: Path) -> None:
    for name in ("yaml", "click", "asyncio", "platformdirs"):
        (tmp_path / f"{name}.py").write_text("print('shadowed', flush=True)\nraise SystemExit(9)\n")
    done = subprocess.run(
        [sys.executable, "-m", "convtui.cli", "where"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "shadowed" not in done.stdout
