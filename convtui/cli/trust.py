"""`convtui trust`: which folders' settings may name hosts, commands and code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from convtui.cli.common import echo, example, json_flag, print_json, say, says_yes, table
from convtui.errors import UsageError
from convtui.files.regular import is_dir

if TYPE_CHECKING:
    from convtui.config.paths import Paths


@click.command(
    "trust", epilog=example("convtui trust", "convtui trust --list", "convtui trust DIR --revoke")
)
@click.argument("folder", required=False, metavar="[DIR]")
@click.option("--list", "listing", is_flag=True, help="Print the folders that are trusted.")
@click.option("--revoke", is_flag=True, help="Trust the folder no more.")
@click.option("--yes", is_flag=True, help="Do not ask; for scripts.")
@json_flag
def command(folder: str | None, listing: bool, revoke: bool, yes: bool, as_json: bool) -> int:
    """Lets the settings of a folder's convtui.toml name hosts, commands and code.

    A folder that you cloned is nobody's word: hosts (api_base), models, providers, programs,
    environment files and paths outside the folder count in its convtui.toml only when you have
    trusted it. Shows what that would allow, then asks. When these settings change, it asks again.

    A scenario file counts as yours when you name it, and ./scenario.yaml when you type `convtui
    debug` or `convtui run` in its folder, as a Makefile does for `make`: that runs its code. A log
    is never a word of yours; going on with one of somebody else's asks (--trust).
    """
    from convtui.config.paths import Paths
    from convtui.config.trusted_folders import revoke_folder, trust_folder

    paths = Paths.find()
    if listing:
        return _list(paths, as_json=as_json)
    root = Path(folder) if folder is not None else Path.cwd()
    if revoke:
        # Also a folder that is gone, and one whose file is gone.
        home = _project(root) or root
        gone = revoke_folder(paths, home)
        say(f"{home.resolve()}: {'not trusted any more' if gone else 'was not trusted'}")
        return 0
    if not is_dir(root):
        raise UsageError(f"{root}: there is no such folder")
    project = _project(root)
    if project is None:
        say(f"{root.resolve()}: there is no convtui.toml here or above: nothing to trust")
        return 0
    named = _named(project)
    if named is None:
        say(f"{project.resolve()}: nothing in its convtui.toml needs trust")
        return 0
    rows, settings = named
    say(f"{project.resolve()}: its convtui.toml names")
    for row in rows:
        say(f"  - {row}")
    if not yes and not says_yes("Trust this folder with that?"):
        raise UsageError("not trusted; --yes trusts it without asking")
    trust_folder(paths, project, settings)
    say("trusted; `convtui trust --revoke` takes it back")
    return 0


def _project(folder: Path) -> Path | None:
    from convtui.config.settings import project_file

    file = project_file(folder.absolute())
    return None if file is None else file.parent


def _named(folder: Path) -> tuple[list[str], dict[str, object]] | None:
    """A folder's settings that need trust, as lines and as data; None if there are none.

    Raises `UsageError`.
    """
    from convtui.config.settings import PROJECT_FILE, config_problems, load_toml, project_settings
    from convtui.config.trusted_folders import Untrusted
    from convtui.errors import DataFileError

    file = folder / PROJECT_FILE
    data, lines = load_toml(file)
    problems = config_problems(data, lines, file, project=True)
    if problems:
        raise DataFileError(problems)
    settings = project_settings(data, file)
    return (Untrusted(file, settings, "").rows, settings) if settings else None


def _list(paths: Paths, *, as_json: bool) -> int:
    from convtui.config.trusted_folders import digest_of, read_trusted
    from convtui.errors import ConvtuiError

    rows = []
    for folder, digest in sorted(read_trusted(paths).items()):
        state = "gone"
        if is_dir(Path(folder)):
            try:
                named = _named(Path(folder))
                same = named is not None and digest_of(named[1]) == digest
                state = "trusted" if same else "changed: asks again"
            except ConvtuiError:
                state = "cannot be read"
        rows.append((folder, state))
    if as_json:
        print_json([{"path": folder, "state": state} for folder, state in rows])
    elif rows:
        table([[state, folder] for folder, state in rows])
    else:
        echo("No folder is trusted.")
    return 0
