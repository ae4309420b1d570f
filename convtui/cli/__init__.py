"""The command line. Each command is a module of its own, imported when it runs or is asked about.

Exit codes: 0 done; 1 a check found something, or a bug in convtui; 2 bad usage, configuration or
file; 3 the conversation failed; 130 interrupted.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword
from typing import Any, Final

import click

from convtui import __version__
from convtui.cli.common import Group, theme_flag
from convtui.errors import ConvtuiError, UsageError, nearest

_COMMANDS: Final[dict[str, str]] = {
    "demo": "Watch a live conversation now: no key, no network.",
    "debug": "Run a scenario in the debugger: pause, inspect, edit.",
    "run": "Run a scenario without a screen.",
    "batch": "Run many conversations at once, resume them, compare them.",
    "replay": "Replay a saved run, or follow one that is being written.",
    "serve": "Use the program in a browser on this machine.",
    "show": "Print a log for people, pipes or programs.",
    "runs": "List and search saved runs.",
    "compare": "Compare two runs or branches, or many runs with --ab.",
    "profile": "Profile runs: tools, errors, early against late, times.",
    "warm": "Build and manage templates for warm starts.",
    "rehook": "Run a provider's hooks again over saved runs.",
    "import": "Import the transcripts of other tools as logs.",
    "compress": "Summarise the history of a saved conversation.",
    "compress-check": "Check whether tools work as well after a compression.",
    "export": "Share a log: as a page, Markdown, a bundle, or for other tools.",
    "check": "Check scenarios, personas, themes, settings and logs.",
    "probe": "Test a provider under difficult conditions.",
    "init": "Write a starter provider, persona and scenario.",
    "providers": "List providers and the ways to name one.",
    "personas": "List the built-in personas, or those of a table.",
    "themes": "List the themes and where each comes from.",
    "config": "Show every setting, its value and its origin.",
    "where": "Show every path in use.",
    "trust": "Let a folder's settings name hosts, commands and code.",
    "schema": "Print a JSON Schema for editors.",
    "completion": "Print a completion script for bash, zsh or fish.",
    "help": "Print a page of the manual.",
}
_MACHINE_ERRORS: Final = frozenset({
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE,
    errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP, errno.ESTALE,
})  # fmt: skip
"""What can happen to any file: full and read-only disks, limits, locked folders, names too long."""
EPILOG: Final = """\b
Example:
  convtui demo                  watch a conversation now
  convtui init mine             write a provider of your own
  convtui debug mine/scenario.yaml
  convtui batch demo            forty conversations at once
  convtui help start            read the manual
"""


class _Commands(Group):
    """Lists all commands with their short helps without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"convtui.cli.{_module(cmd_name)}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


def _module(command: str) -> str:
    """The module of a command; names that are Python keywords get an underscore."""
    name = command.replace("-", "_")
    return f"{name}_" if iskeyword(name) else name


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", message="convtui %(version)s")
@theme_flag
@click.pass_context
def commands(ctx: click.Context, theme: str | None) -> Any:
    """A terminal debugger for conversations between a simulated user and an LLM provider.

    Without a command: choose persona and provider on the screen.
    """
    if ctx.invoked_subcommand is None:
        from convtui.cli.picker import pick

        return pick(theme)
    if theme is not None:
        ctx.default_map = {ctx.invoked_subcommand: _with_theme(ctx, theme)}
    return None


def _with_theme(ctx: click.Context, theme: str) -> dict[str, str]:
    """The theme as the default of the command's own flag. Raises `UsageError` without one."""
    name = ctx.invoked_subcommand or ""
    command = commands.get_command(ctx, name)
    if command is not None and all(flag.name != "theme" for flag in command.params):
        raise UsageError(f"--theme is for the screen, and `convtui {name}` has none")
    return {"theme": theme}


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command line and exits with its code."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        # Foreign text may have characters that the terminal's encoding lacks.
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    code = _run(argv)
    if argv is None:
        # Everything is done: another ctrl+c must not turn the exit code into a signal's.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)


def _open_closed_streams() -> None:
    """Puts nothing in the place of standard streams that were closed, as by `>&-`.

    Python has None there, and the next file that is opened would get the number.
    """
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123


def _run(argv: Sequence[str] | None) -> int:
    try:
        result = commands.main(
            args=None if argv is None else list(argv), prog_name="convtui", standalone_mode=False
        )
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone, as in `convtui show LOG | head`; the interpreter must not fail again
        # when it flushes at exit.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted")
        return 130
    except click.ClickException as error:
        _say(_usage(error))
        return error.exit_code
    except ConvtuiError as error:
        _say(str(error) or type(error).__name__)
        return error.exit_code
    except OSError as error:
        if error.errno == errno.ENOENT and _is_nowhere():
            _say("the folder in which this was started is not there any more; go to another one")
            return UsageError.exit_code
        if error.errno not in _MACHINE_ERRORS:
            return _crashed(error)
        from convtui.printing.output import STDOUT

        if error.filename != STDOUT and not _stdout_fails():
            _say(f"{error.filename or 'cannot go on'}: {error.strerror}")
            return UsageError.exit_code
        _say(f"{STDOUT}: {error.strerror}")
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001 - reported and written to a crash file
        return _crashed(error)
    return result if isinstance(result, int) else 0


def _is_nowhere() -> bool:
    """Whether the working directory was deleted."""
    try:
        os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        return True
    return False


def _stdout_fails() -> bool:
    """Whether what is still to be printed cannot be."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        return True
    return False


def _crashed(error: Exception) -> int:
    """Reports a bug of ours: one line on standard error, the traceback in a file."""
    if os.environ.get("CONVTUI_TRACEBACK"):
        import traceback

        # Its message may be foreign text: it is printed like everything else.
        _say("".join(traceback.format_exception(error)))
        return 1
    from convtui.cli.crash import write_crash

    _say(write_crash(error))
    return 1


def _say(message: str) -> None:
    from convtui.printing.output import Output

    with contextlib.suppress(OSError):
        Output(sys.stderr).line(f"convtui: {message}")


def _usage(error: click.ClickException) -> str:
    """The message of a usage error, with the nearest flag for an unknown one."""
    message = error.format_message()
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "convtui"
    if isinstance(error, click.NoSuchOption):
        known = [
            name
            for parameter in (context.command.get_params(context) if context is not None else ())
            for name in (*parameter.opts, *parameter.secondary_opts)
        ]
        near = nearest(error.option_name, known)
        message = f"unknown flag {error.option_name}" + (f", did you mean {near}?" if near else "")
    return f"{message.rstrip()}\nSee `{path} --help`."
