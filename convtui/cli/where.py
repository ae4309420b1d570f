"""`convtui where`: every path in use."""

from __future__ import annotations

from pathlib import Path

import click

from convtui.cli.common import example, json_flag, print_json, settings, table


@click.command("where", epilog=example("convtui where", "convtui where --json"))
@json_flag
def command(as_json: bool) -> int:
    """Prints where settings, keys, themes, logs and crash reports are, and which of them exist.

    With the folders whose settings you have trusted (`convtui trust`).
    """
    from convtui.config.paths import builtin_dir
    from convtui.config.seal import private_folder
    from convtui.config.settings import project_file
    from convtui.config.trusted_folders import read_trusted

    config = settings()
    paths = config.paths.as_dict()
    paths["runs_dir"] = config.runs_dir
    if config.keymap_file is not None:
        paths["keymap_file"] = config.keymap_file
    paths["crash_dir"] = config.paths.state_dir / "crashes"
    project = project_file(Path.cwd())
    if project is not None:
        paths["project_file"] = project
    for name in ("themes", "sample_runs"):
        paths[f"builtin_{name}"] = builtin_dir(name)
    paths["builtin_personas"] = Path(__file__).parent.parent / "personas"
    paths["trust_dir"] = private_folder(config.paths)
    trusted = [Path(folder) for folder in read_trusted(config.paths)]
    if as_json:
        print_json(
            {
                **{name: _entry(path) for name, path in paths.items()},
                "trusted_folders": [_entry(path) for path in trusted],
            }
        )
        return 0
    rows = [*paths.items(), *(("trusted_folder", folder) for folder in trusted)]
    table([[n, "exists" if p.exists() else "not there", str(p)] for n, p in rows])
    return 0


def _entry(path: Path) -> dict[str, object]:
    return {"path": str(path), "exists": path.exists()}
