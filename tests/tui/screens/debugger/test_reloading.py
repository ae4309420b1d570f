"""What follows a reload, and a provider that cannot be loaded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from textual.app import App

from convtui.analysis.rehook.preview import Made, Preview
from convtui.client.engine_client import EngineHandle, EngineState
from convtui.client.link import ConversationLink
from convtui.errors import EngineError
from convtui.protocol import ContinueFrom, StartSpec
from convtui.tui.screens.debugger import provider_reload
from convtui.tui.screens.debugger.reload_diff import ReloadDiff
from convtui.tui.screens.debugger.reloaded_turn import ReloadedTurn
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.screens.dialogs.provider_error import ErrorPane, split_error, what_failed
from convtui.tui.screens.external_editor import at_line
from convtui.tui.screens.help import HelpScreen
from convtui.tui.widgets.keybar import KeyBar
from tests.tui.harness.fake_handle import FakeHandle
from tests.tui.harness.live_app import LiveApp
from tests.tui.harness.sample import header, turn, until

OPENING = [
    header(),
    {"type": "session.entered", "session": 1, "session_type": "intake", "duration": 0.1},
    {"type": "session.started", "session": 1, "session_type": "intake",
     "first_speaker": "persona", "max_turns": 20},
    *turn(1, "persona", "Hello there."),
    *turn(2, "provider", "Good day."),
]  # fmt: skip
SAME = Made([], "Good day.", False, None, True)
OTHER = Made([], "GOOD DAY.", False, None, True)


class Reloading(LiveApp):
    """A run whose code can be reloaded; `preview` is what the new code makes of the last turn."""

    def __init__(self, folder: Path) -> None:
        scenario = {"provider": {"use": "bot.py:Bot"}, "source": {"base": str(folder)}}
        super().__init__(folder, OPENING, scenario, continue_run=self._go_on)
        self.preview: Preview | EngineError = Preview("Good day.", SAME, SAME)
        self.next = FakeHandle(self.handle.log_path)
        self.reloads = 0
        self.refuse = ""
        self.asks = False
        """Whether the new engine asks first how the provider is to be brought back."""

    async def _go_on(
        self, handle: ConversationLink, spec: StartSpec, parent: ContinueFrom
    ) -> EngineHandle:
        self.reloads += 1
        if self.refuse:
            raise EngineError(self.refuse)
        self.handle.state = EngineState.CLOSED
        if self.asks:
            self.next.held(
                ("replay", "replay"),
                ("continue", "go on without its state"),
                reason="cannot_restore",
                stage="restore",
            )
        else:
            self.next.held(("go", "go on"))
        return cast(EngineHandle, self.next)


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reloading:
    made = Reloading(tmp_path)

    class Turn(ReloadedTurn):
        async def preview(self, spec: StartSpec, python: str | None) -> Preview:
            if isinstance(made.preview, EngineError):
                raise made.preview
            return made.preview

    async def last_turn(*_: object) -> ReloadedTurn:
        return Turn("turn 1:2, the provider's last", [], 1, 2, tmp_path / "a.jsonl", 0)

    monkeypatch.setattr(provider_reload, "reloaded_turn", last_turn)
    return made


@pytest.mark.parametrize(
    ("preview", "words"),
    [
        (Preview("Good day.", SAME, SAME), "Turn 1:2: nothing changes with the new code."),
        (
            Preview("Good day.", SAME, SAME, without_setup=True),
            "Turn 1:2: nothing changes with the new code. It was tried without its setup().",
        ),
        (Preview("Good day.", None, None, {"message": "x"}), "a hook fails as it did before"),
    ],
)
async def test_a_reload_that_changes_nothing_is_a_line(
    live: Reloading, preview: Preview, words: str
) -> None:
    live.preview = preview
    async with live.app.run_test(size=(120, 26)) as pilot:
        await live.begin(pilot)
        live.handle.held(("go", "go on"))
        await pilot.press("R")
        await until(pilot, lambda: words in live.notices())
        assert isinstance(live.app.screen, DebuggerScreen)
        await pilot.press("s")
        await until(pilot, lambda: live.next.orders)
        assert live.next.orders[-1][0] == "step_stage"


async def test_a_change_is_a_page_from_which_keys_act_on_the_conversation(live: Reloading) -> None:
    live.preview = Preview("Good day.", SAME, OTHER, None, ["text"])
    async with live.app.run_test(size=(120, 26)) as pilot:
        await live.begin(pilot)
        live.handle.held(("go", "go on"))
        await pilot.press("R")
        await until(pilot, lambda: isinstance(live.app.screen, ReloadDiff))
        await pilot.press("R")
        await until(pilot, lambda: live.reloads == 2)
        await until(pilot, lambda: isinstance(live.app.screen, ReloadDiff))
        await pilot.press("s")
        await until(pilot, lambda: live.next.orders and live.next.orders[-1][0] == "step_stage")
        assert isinstance(live.app.screen, DebuggerScreen)


async def test_the_question_about_state_comes_before_the_page(live: Reloading) -> None:
    live.preview = Preview("Good day.", SAME, OTHER, None, ["text"])
    live.asks = True
    async with live.app.run_test(size=(120, 26)) as pilot:
        await live.begin(pilot)
        live.handle.held(("go", "go on"))
        await pilot.press("R")
        await until(pilot, lambda: live.screen.conversation.hold == live.next.hold)
        assert isinstance(live.app.screen, DebuggerScreen)
        await pilot.press("c")
        await until(pilot, lambda: live.next.orders)
        assert live.next.orders[-1][1]["choice"] == "continue"
        live.next.tell({"type": "provider.restored", "mode": "unrestored"})
        assert isinstance(live.app.screen, DebuggerScreen), "it does not stand there yet"
        live.next.held(("go", "go on"))
        await until(pilot, lambda: isinstance(live.app.screen, ReloadDiff))
        before = len(live.next.orders)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(live.app.screen, DebuggerScreen))
        assert len(live.next.orders) == before, "Enter closes the page and answers no hold"


async def test_a_key_of_the_page_never_answers_a_later_hold(live: Reloading) -> None:
    live.preview = Preview("Good day.", SAME, OTHER, None, ["text"])
    async with live.app.run_test(size=(120, 26)) as pilot:
        await live.begin(pilot)
        live.handle.held(("go", "go on"))
        await pilot.press("R")
        await until(pilot, lambda: isinstance(live.app.screen, ReloadDiff))
        live.next.orders.append(("pause", {}))
        live.next.held(("continue", "go on without"), reason="error")
        await pilot.press("c")
        await until(pilot, lambda: isinstance(live.app.screen, DebuggerScreen))
        assert [order for order, _ in live.next.orders] == ["pause"]


async def test_a_page_never_opens_over_what_somebody_reads(live: Reloading) -> None:
    live.preview = EngineError("it hangs\nbot.py:9")
    async with live.app.run_test(size=(120, 26)) as pilot:
        await live.begin(pilot)
        live.handle.held(("go", "go on"))
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(live.app.screen, HelpScreen))
        live.screen.perform("provider.reload")
        await until(pilot, lambda: "the new code cannot be tried: it hangs" in live.notices())
        assert isinstance(live.app.screen, HelpScreen)


async def test_what_an_engine_warns_of_is_told_once(live: Reloading) -> None:
    async with live.app.run_test(size=(120, 26)) as pilot:
        await live.begin(pilot)
        near = "post_proces_response() is no hook; did you mean post_process_response()?"
        live.handle.tell(
            {"type": "warning", "code": "near_name", "message": near},
            {"type": "warning", "code": "repeat", "message": "of a turn", "session": 1, "turn": 2},
        )
        await until(pilot, lambda: near in live.notices())
        live.screen.repaint()
        assert live.notices().count(near) == 1
        assert "of a turn" not in live.notices(), "a mark of the turn says so"


def saving(file: Path, done: Callable[[], bool]) -> Callable[[], bool]:
    """Saves a file until that is noticed: the watch begins a moment after the screen."""

    def saved() -> bool:
        if not done():
            file.write_text(file.read_text() + "#\n")
        return done()

    return saved


async def test_after_a_failed_setup_a_save_loads_the_code_again(
    live: Reloading, tmp_path: Path
) -> None:
    file = tmp_path / "bot.py"
    file.write_text("")
    live.handle.transcript.header["provider"] = {"modules": []}
    async with live.app.run_test(size=(120, 26)) as pilot:
        await until(pilot, lambda: live.handle.state is EngineState.RUNNING)
        live.handle.held(("again", "try again"), reason="error", stage="setup", turn=None)
        await until(pilot, saving(file, lambda: live.reloads > 0))


async def test_try_again_uses_the_code_as_it_is_saved_now(
    live: Reloading, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    # The watcher is slower than the key.
    monkeypatch.setattr("convtui.tui.sources.watch.changed", never)
    file = tmp_path / "bot.py"
    file.write_text("")
    live.handle.transcript.header["provider"] = {"modules": []}
    async with live.app.run_test(size=(120, 26)) as pilot:
        await until(pilot, lambda: live.handle.state is EngineState.RUNNING)
        live.handle.held(("again", "try again"), reason="error", stage="setup", turn=None)
        await until(pilot, lambda: live.screen.parts.provider.retry.loaded)
        await pilot.press("enter")
        await until(pilot, lambda: live.handle.orders)
        assert live.last[0] == "release" and not live.reloads, "the code is as it was loaded"
        file.write_text("# mended\n")
        live.handle.held(("again", "try again"), reason="error", stage="setup", turn=None)
        await pilot.press("enter")
        await until(pilot, lambda: live.reloads == 1)
        assert [order for order, _ in live.handle.orders].count("release") == 1


async def test_nothing_is_said_beside_the_pane_that_watches_the_code(
    live: Reloading, tmp_path: Path
) -> None:
    file = tmp_path / "bot.py"
    file.write_text("")
    live.refuse = f"{file}: cannot be imported\n{file}:1 in <module>: import nothing"
    async with live.app.run_test(size=(120, 26)) as pilot:
        await live.begin(pilot)
        live.handle.held(("go", "go on"))
        live.screen.tell("bot.py changed: R reloads it.")
        await pilot.press("R")
        await until(pilot, lambda: isinstance(live.app.screen, ErrorPane))
        pane = live.app.screen
        assert isinstance(pane, ErrorPane)
        await until(pilot, saving(file, lambda: pane.tries > 0))
        assert live.notices() == ""


async def test_the_line_that_failed_opens_in_the_editor(tmp_path: Path) -> None:
    opened: list[tuple[Path, int]] = []

    async def edit(path: Path, line: int) -> None:
        opened.append((path, line))

    async def attempt() -> None:
        raise EngineError("no")

    file = tmp_path / "bot.py"
    file.write_text("import nothing\n")
    live = LiveApp(tmp_path, OPENING, {})
    error: dict[str, Any] = {"message": "no", "location": [str(file), 1]}
    async with live.app.run_test() as pilot:
        for given in (None, edit):
            await live.app.push_screen(
                ErrorPane("x", error=lambda: error, attempt=attempt, edit=given)
            )
            await until(pilot, lambda: live.app.screen.query_one(KeyBar).items)
            offered = [item.key for item in live.app.screen.query_one(KeyBar).items]
            assert offered == [*(["E"] if given else []), "enter", "esc"]
            await pilot.press("E")
        await until(pilot, lambda: opened)
    assert opened == [(file, 1)]


@pytest.mark.parametrize(
    ("message", "frames", "why", "what", "left"),
    [
        (
            "/p/bot.py: cannot be imported",
            ["bot.py:2 in <module>: import nothing", "ModuleNotFoundError: No module named 'x'"],
            "ModuleNotFoundError: No module named 'x'",
            "/p/bot.py: cannot be imported",
            ["bot.py:2 in <module>: import nothing"],
        ),
        (
            "/p/bot.py: cannot be imported",
            ["/p/bot.py:2", "    if True", "           ^", "SyntaxError: expected ':'"],
            "SyntaxError: expected ':'",
            "/p/bot.py: cannot be imported",
            ["/p/bot.py:2", "    if True", "           ^"],
        ),
        ("there is no 'Bot' in it", [], "there is no 'Bot' in it", "", []),
        ("", ["bot.py:3 in f: x"], "the engine gave no reason", "", ["bot.py:3 in f: x"]),
        ("setup() failed: KeyError: 'a'", ["bot.py:3 in f: x", "KeyError: 'a'"],
         "setup() failed: KeyError: 'a'", "", ["bot.py:3 in f: x"]),
    ],
)  # fmt: skip
def test_an_error_begins_with_why(
    message: str, frames: list[str], why: str, what: str, left: list[str]
) -> None:
    error = {"type": "ProviderLoadError", "message": message, "frames": frames}
    assert split_error(error) == (why, what, left)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["vim"], ["vim", "+7", "/a b/bot.py"]),
        (["/usr/bin/nano", "-w"], ["/usr/bin/nano", "-w", "+7", "/a b/bot.py"]),
        (["code", "--wait"], ["code", "--wait", "--goto", "/a b/bot.py:7"]),
        (["hx"], ["hx", "/a b/bot.py:7"]),
        (["charm"], ["charm", "--line", "7", "/a b/bot.py"]),
        (["ed"], ["ed", "/a b/bot.py"]),
    ],
)
def test_each_editor_is_told_the_line_in_its_way(command: list[str], words: list[str]) -> None:
    assert at_line(command, Path("/a b/bot.py"), 7) == words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ({"type": "ProviderLoadError"}, "cannot be loaded"),
        ({"type": "HookError", "hook": "setup"}, "cannot be set up"),
        ({"type": "EngineError"}, "cannot take over"),
        (None, "cannot take over"),
    ],
)
def test_the_title_says_what_failed(error: dict[str, Any] | None, words: str) -> None:
    assert what_failed(error, "cannot take over") == words


async def test_keys_that_can_do_nothing_on_the_error_say_so() -> None:
    async def attempt() -> None:
        raise EngineError("still")

    class Shown(App[None]):
        def on_mount(self) -> None:
            error = {"type": "X", "message": "broken"}
            self.push_screen(ErrorPane("bot.py:Bot", error=lambda: error, attempt=attempt))

    app = Shown()
    async with app.run_test() as pilot:
        await until(pilot, lambda: isinstance(app.screen, ErrorPane))

        def said(words: str) -> bool:
            return any(words in notice.message for notice in app._notifications)

        await pilot.press("E")
        await until(pilot, lambda: said("set VISUAL or EDITOR"))
        await pilot.press("question_mark")
        await until(pilot, lambda: said("Saving a corrected file tries again"))
