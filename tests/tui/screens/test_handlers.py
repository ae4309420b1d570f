"""Every action is carried out somewhere, by a part of a screen that knows no other part."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from textual.screen import ModalScreen

from convtui.actions.registry import Keymap, actions
from convtui.client.engine_client import EngineHandle
from convtui.protocol import StartSpec
from convtui.tui import screens
from convtui.tui.app import ConvtuiApp
from convtui.tui.screens.action_screen import ActionScreen
from convtui.tui.screens.compare.ab import ArmsScreen
from convtui.tui.screens.compare.batches import BatchesScreen
from convtui.tui.screens.compare.screen import CompareScreen
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.screens.fleet.screen import FleetScreen
from convtui.tui.screens.handlers import Handler, handler_table
from convtui.tui.screens.home.picker import PickerScreen
from convtui.tui.screens.profile.screen import ProfileScreen
from convtui.tui.screens.rehook.screen import RehookScreen
from convtui.tui.screens.runs.screen import RunsScreen
from convtui.tui.screens.warm.screen import WarmScreen
from convtui.tui.sources.replay import ReplaySource
from convtui.tui.sources.run import LiveRun
from convtui.tui.sources.source import LiveSource
from convtui.tui.widgets.notice_line import NoticeLine
from tests.builders.source_trees import source_trees
from tests.tui.harness.fake_handle import FakeHandle
from tests.tui.harness.fleet import ScriptedFleet, rows_of
from tests.tui.harness.honesty import check_keys
from tests.tui.harness.sample import refund, until, write_log

Make = Callable[[ConvtuiApp, Path], ActionScreen]
FOLDER = Path(screens.__file__).parent
DEEPEST = 3
"""Classes of ours above a class of ours, at the most."""
SCREEN_LINES, PART_LINES = 400, 300


def live(app: ConvtuiApp, _: Path) -> ActionScreen:
    """A debugger on a run."""
    run = LiveRun(
        StartSpec(scenario={}, out_dir="."), make_handle=lambda: cast(EngineHandle, FakeHandle())
    )
    return DebuggerScreen(app.keymap, LiveSource(run.handle), run)


SCREENS: dict[tuple[str, ...], Make] = {
    ("inspector", "outline", "search", "dead", "held", "live", "take_over"): live,
    ("inspector", "outline", "search", "replay"): lambda app, log: DebuggerScreen(
        app.keymap, ReplaySource(log)
    ),
    ("picker",): lambda app, _: PickerScreen(app.keymap),
    ("runs",): lambda app, log: RunsScreen(app.keymap, log.parent),
    ("compare",): lambda app, log: CompareScreen(app.keymap, log, log),
    ("rehook",): lambda app, log: RehookScreen(app.keymap, [log], "nowhere.py:Bot"),
    ("profile",): lambda app, log: ProfileScreen(app.keymap, [log]),
    ("warm",): lambda app, log: WarmScreen(app.keymap, log.parent, log.parent),
    ("arms",): lambda app, log: ArmsScreen(app.keymap, log.parent),
    ("fleet",): lambda app, _: FleetScreen(app.keymap, ScriptedFleet(rows_of(40))),
    ("batches",): lambda app, log: BatchesScreen(app.keymap, log.parent, log.parent),
}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved conversation."""
    return write_log(tmp_path_factory.mktemp("runs") / "a.jsonl", refund())


def heard_in(contexts: tuple[str, ...]) -> set[str]:
    """The actions whose keys are heard in any of `contexts`."""
    return {action.id for action in Keymap().actions_in(*contexts)}


@pytest.mark.parametrize(
    ("contexts", "make"),
    SCREENS.items(),
    ids=lambda value: value[-1] if isinstance(value, tuple) else "screen",
)
async def test_a_screen_does_just_what_is_heard_on_it(
    contexts: tuple[str, ...], make: Make, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = ConvtuiApp(lambda app: make(app, log), state_file=log.parent / "state")
    async with app.run_test(size=(120, 36)) as pilot:
        screen = app.screen
        assert isinstance(screen, ActionScreen)
        assert screen.query(NoticeLine), "what it says would be shown nowhere"
        heard, table = heard_in(contexts), screen.table
        assert heard <= set(table), f"no handler for {sorted(heard - set(table))}"
        if isinstance(screen, DebuggerScreen):
            await screen.complete()
            # Both debuggers have all but what a recording, or a run, has alone.
            heard |= heard_in(
                ("inspector", "outline", "search", "dead", "held", "live", "replay", "take_over")
            )
        assert set(table) <= heard, f"no key for {sorted(set(table) - heard)}"
        for handler in table.values():
            assert isinstance(handler.enabled(), bool)
            label = handler.label()
            assert label is None or label
        check_keys(screen, monkeypatch)
        if isinstance(screen, RehookScreen):
            # It has an engine at work, which is to end before the next screen is looked at.
            await until(pilot, lambda: not screen.running)


def test_every_action_is_heard_on_a_screen() -> None:
    on_screens = {name for contexts in SCREENS for name in heard_in(contexts)}
    only_over_screens = set(actions()) - on_screens
    assert only_over_screens == {"overlay.close"}
    # What lies over a screen has bindings of its own.
    close = actions()["overlay.close"].keys
    for overlay in overlays():
        bound = {key for binding in overlay.BINDINGS for key in keys_of(binding)}
        assert bound >= set(close), overlay


def overlays() -> Iterator[type[ModalScreen[Any]]]:
    """The screens that lie over others and can be closed."""
    for module in modules_of(screens.__name__, FOLDER):
        for _, member in inspect.getmembers(module, inspect.isclass):
            if issubclass(member, ModalScreen) and member.__module__ == module.__name__:
                yield member


def keys_of(binding: Any) -> list[str]:
    """The keys of a binding of Textual's."""
    keys = binding[0] if isinstance(binding, tuple) else binding.key
    return [key.strip() for key in keys.split(",")]


def test_a_row_is_for_a_registered_action_and_there_is_one_for_each() -> None:
    def nothing() -> None:
        """Does nothing."""

    row = Handler("move.up", nothing)
    assert handler_table([row]) == {"move.up": row}
    with pytest.raises(ValueError, match=r"move\.sideways is not a registered action"):
        handler_table([Handler("move.sideways", nothing)])
    with pytest.raises(ValueError, match=r"move\.up has two handlers"):
        handler_table([row, row])


# --- how the parts are made


OWNERS = (
    "debugger/screen.py",
    "debugger/parts.py",
    "fleet/screen.py",
    "runs/screen.py",
    "warm/screen.py",
)
"""The modules that put the parts of a screen together."""


def modules_of(package: str, folder: Path) -> Iterator[Any]:
    """The modules of a package and of the packages in it."""
    for module in pkgutil.walk_packages([str(folder)], f"{package}."):
        if not module.ispkg:
            yield importlib.import_module(module.name)


def sources() -> dict[str, ast.Module]:
    """The modules of screens, by their path."""
    prefix = "tui/screens/"
    return {
        name.removeprefix(prefix): tree
        for name, tree in source_trees().items()
        if name.startswith(prefix)
    }


def gives_handlers(tree: ast.Module) -> bool:
    """Whether it has a class, neither screen nor protocol, that gives handlers."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef) or node.name == "DebuggerParts":
            continue
        bases = " ".join(ast.unparse(base) for base in node.bases)
        if "Screen" in bases or "Protocol" in bases:
            continue
        for child in node.body:
            if isinstance(child, ast.FunctionDef) and child.name == "handlers":
                return True
    return False


def parts() -> list[str]:
    """The modules of parts of screens."""
    return [name for name, tree in sources().items() if gives_handlers(tree)]


def imported_by(tree: ast.Module) -> set[str]:
    """The modules of screens that a module imports, wherever it does, by their path."""
    prefix = f"{screens.__name__}."
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
    return {
        name.removeprefix(prefix).replace(".", "/") + ".py"
        for name in modules
        if name.startswith(prefix)
    }


def test_no_part_of_a_screen_knows_another_or_the_screen() -> None:
    found = parts()
    assert len(found) > 20
    for name, tree in sources().items():
        if name in OWNERS:
            continue
        known = imported_by(tree) & ({*found, *OWNERS} - {name})
        # Other screens open these.
        assert known <= {"runs/screen.py", "warm/screen.py", "fleet/screen.py"}, name
        assert name not in found or known <= {"warm/screen.py"}, name


def test_screens_and_their_parts_are_small() -> None:
    for name in parts():
        assert len((FOLDER / name).read_text().splitlines()) <= PART_LINES, name
    for name in OWNERS:
        assert len((FOLDER / name).read_text().splitlines()) <= SCREEN_LINES, name


def test_no_class_stands_on_a_tower() -> None:
    """Classes of ours above a class of ours, counted in the sources: nothing has to be imported."""
    bases: dict[str, list[str]] = {}
    for tree in source_trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                names = [ast.unparse(base).partition("[")[0] for base in node.bases]
                bases.setdefault(node.name, []).extend(name.rpartition(".")[2] for name in names)

    def above(name: str, seen: tuple[str, ...] = ()) -> int:
        if name not in bases or name in seen:
            return 0
        return max((1 + above(base, (*seen, name)) for base in bases[name] if base in bases),
                   default=0)  # fmt: skip

    tall = {name: above(name) for name in bases if above(name) > DEEPEST}
    assert not tall
