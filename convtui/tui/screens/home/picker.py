"""The home screen: choose persona and provider and start, or open a saved run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.timer import Timer

from convtui.actions.registry import Keymap
from convtui.errors import FieldError, UsageError
from convtui.text.boundary import visible
from convtui.tui.drawing.frames import PANE, entitle
from convtui.tui.screens.action_screen import ActionScreen
from convtui.tui.screens.handlers import Handler
from convtui.tui.screens.library import open_library
from convtui.tui.screens.open_saved import open_saved
from convtui.tui.screens.run_again import run_again
from convtui.tui.textual_compat import is_open
from convtui.tui.timers import call_once
from convtui.tui.widgets.keybar import KeyBar, KeyItem
from convtui.tui.widgets.notice_line import NoticeLine

if TYPE_CHECKING:
    from textual.widgets import Button

    from convtui.library.newest import NewestRuns
    from convtui.log.run_summary import RunSummary
    from convtui.tui.screens.home.choices import Template
    from convtui.tui.screens.home.form import ChoiceForm
    from convtui.tui.widgets.run_list import RunList

RECENT = 50
CHECK_AFTER = 0.15
"""Seconds after the last change before the choice is checked."""
WIDE, LOW = 100, 20
"""Columns from which the rare fields are beside the others; lines below which the form scrolls."""
_FOLDED = ("first", "warm")


class PickerScreen(ActionScreen):
    """The form of a new conversation above the newest saved runs."""

    KEY_CONTEXTS = ("picker",)
    AUTO_FOCUS = None
    DEFAULT_CSS = """
    PickerScreen { layout: vertical; }
    PickerScreen #new, PickerScreen #recent { width: 1fr; }
    PickerScreen #new { height: auto; min-height: 10; }
    PickerScreen #form { height: auto; max-height: 42vh; scrollbar-size-vertical: 1; }
    PickerScreen #recent { height: 1fr; }
    PickerScreen.-low #new { min-height: 8; }
    PickerScreen.-low #form { max-height: 6; }
    """

    def __init__(self, keymap: Keymap, *, cwd: Path | None = None) -> None:
        super().__init__(keymap)
        self._cwd = cwd or Path.cwd()
        self._timer: Timer | None = None
        self._ready = False
        self._starting = False
        self._chosen_warm = ""
        self._templates: list[Template] = []
        self._newest: NewestRuns | None = None
        self.problem = ""

    def compose(self) -> ComposeResult:
        new = Vertical(id="new", classes=PANE)
        entitle(new, "convtui: a new conversation")
        with new:
            yield VerticalScroll(id="form", can_focus=False)
        recent = Vertical(id="recent", classes=f"{PANE} -list -below")
        entitle(recent, "saved runs")
        yield recent
        yield NoticeLine()
        yield KeyBar()

    def on_mount(self) -> None:
        self.set_class(self.app.size.height < LOW, "-low")
        self.refresh_footer()
        self.call_after_refresh(lambda: self.spawn(self._load()))

    async def _load(self) -> None:
        # Loading and styling these widgets takes longer than the first frame.
        from convtui.tui.screens.home import choices
        from convtui.tui.screens.home.form import ChoiceForm, FormEnd
        from convtui.tui.screens.home.recent_runs import RecentRuns

        end = FormEnd()
        form = ChoiceForm(end)
        form.set_class(self.app.size.width >= WIDE, "-wide")
        await self.query_one("#form").mount(form)
        await self.query_one("#new").mount(end)
        self.query_one("#start").focus()
        untouched = form.values()
        config = self.capp.config
        own = config.paths.config_dir / "personas" if config is not None else None
        remembered = (await self.capp.saved_state.recall()).get("picker")
        remembered = remembered if isinstance(remembered, dict) else {}
        await self.query_one("#recent").mount(RecentRuns())
        offers = await asyncio.to_thread(choices.personas, self._cwd, own)
        form.show_personas(offers, str(remembered.get("persona") or "demo"))
        form.fill(remembered, untouched)
        await self._load_templates(str(remembered.get("warm") or ""))
        form.open_if_set()
        self._ready = True
        await self._check()
        await self._load_runs()
        if self.is_current:
            self.capp.runs.warm_up()
        await self._load_completions()

    async def _load_completions(self) -> None:
        from convtui.tui.screens.home import choices
        from convtui.tui.screens.home.completion import CompletingInput, path_completions

        offers = await asyncio.to_thread(choices.providers, self._cwd)
        specs = [offer.spec for offer in offers]

        def providers(text: str) -> list[str]:
            paths = path_completions(text, self._cwd, (".py",), names=True)
            named = [spec for spec in specs if spec.startswith(text) and ":" not in spec]
            return list(dict.fromkeys([*named, *paths]))

        def personas(text: str) -> list[str]:
            return path_completions(text, self._cwd, (".yaml", ".yml", ".tsv"))

        self.query_one("#provider", CompletingInput).complete_with(providers)
        self.query_one("#persona_file", CompletingInput).complete_with(personas)

    async def _load_templates(self, chosen: str) -> None:
        from convtui.tui.screens.home import choices

        self._templates = await asyncio.to_thread(choices.templates, self._warm_dir())
        self._form.show_templates(self._templates, chosen)
        self._form.show_wanted(self._slots())

    def choose_warm(self, name: str) -> None:
        """Selects a template when this screen is shown again."""
        self._chosen_warm = name

    def _open_warm(self) -> None:
        from convtui.tui.screens.warm.screen import WarmScreen

        self.app.push_screen(WarmScreen(self.keymap, self._warm_dir(), self._runs_dir()))

    def _slots(self) -> Sequence[str]:
        """The slots of the chosen template."""
        chosen = str(self._form.select("warm").value)
        return next((offer.slots for offer in self._templates if offer.spec == chosen), ())

    async def _load_runs(self) -> None:
        from convtui.batch.listing import list_batches
        from convtui.library.library import Library
        from convtui.library.newest import NewestRuns

        if self._newest is None:
            self._newest = NewestRuns()
        newest, folder = self._newest, self._runs_dir()
        runs = await asyncio.to_thread(newest.listed, folder, RECENT)
        batches = await asyncio.to_thread(lambda: list_batches(Library(folder))[:RECENT])
        self._show_runs([*runs, *batches])
        # Long logs are long to read: nothing waits for them.
        self.spawn(self._complete_runs(newest, runs, batches), group="complete")

    async def _complete_runs(
        self, newest: NewestRuns, runs: Sequence[RunSummary], batches: Sequence[RunSummary]
    ) -> None:
        completed = await asyncio.to_thread(newest.completed, runs)
        if completed != runs:
            self._show_runs([*completed, *batches])

    def _show_runs(self, runs: Sequence[RunSummary]) -> None:
        from convtui.tui.screens.home.recent_runs import RecentRuns

        if not is_open(self):
            return
        for recent in self.query(RecentRuns):
            recent.show(runs)
        key = self.keymap.shown("library.open")
        subtitle = f"{key} library: search, sort, compare" if runs and key else ""
        entitle(self.query_one("#recent"), "saved runs", subtitle)
        self.refresh_footer()

    def _warm_dir(self) -> Path:
        from convtui.config.paths import Paths

        config = self.capp.config
        return (config.paths if config is not None else Paths.find()).warm_dir

    def _runs_dir(self) -> Path:
        from convtui.config.paths import Paths

        config = self.capp.config
        return config.runs_dir if config is not None else Paths.find().runs_dir

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.height < LOW, "-low")
        for form in self.query("ChoiceForm"):
            form.set_class(event.size.width >= WIDE, "-wide")

    # --- the choice

    @property
    def _form(self) -> ChoiceForm:
        from convtui.tui.screens.home.form import ChoiceForm

        return self.query_one(ChoiceForm)

    def choice(self) -> dict[str, str]:
        """The values of all fields, by field; slots only where the template has some."""
        values = self._form.values()
        return values if self._slots() else {**values, "warm_slots": ""}

    def flags(self) -> dict[str, Any]:
        """The choice as flags of `convtui debug`. Raises `FieldError` for an invalid value."""
        from convtui.tui.screens.home.fields import flags_of

        return flags_of(self.choice())

    async def _check(self) -> None:
        """Shows whether the choice can run."""
        from convtui.tui.screens.home.check import check
        from convtui.tui.screens.home.fields import LABELS

        wrong: FieldError | None = None
        self.problem = ""
        try:
            scenario = await asyncio.to_thread(check, self.flags(), self._cwd, self.capp.config)
        except FieldError as error:
            wrong, self.problem = error, f"{LABELS[error.field]}: {error.problem}"
        except UsageError as error:
            self.problem = str(error)
        if self.problem:
            text = Content.assemble(("not yet: ", "bold $text-error"), visible(self.problem))
        else:
            persona = scenario.persona
            text = Content.assemble(
                ("ready: ", "bold $text-success"),
                f"{visible(persona.name)} ({persona.simulator}) talks to"
                f" {visible(scenario.provider.spec.short)}"
                + (f", warm: {visible(scenario.warm.use)}" if scenario.warm else ""),
            )
        failed = self.capp.runs.last_failure
        if failed and not self.problem:
            text = Content.assemble(("setup failed: ", "bold $text-error"), visible(failed))
        if not self.query("#check"):
            return  # the screen was closed meanwhile
        self._form.show_check(text, wrong)
        self.query_one("#start").disabled = bool(self.problem)
        self.refresh_footer()

    def _changed(self) -> None:
        if not self._ready:
            return
        self.capp.runs.last_failure = ""
        if self._timer is not None:
            self._timer.stop()
        self._timer = call_once(self, CHECK_AFTER, lambda: self.spawn(self._check()))

    def on_input_changed(self) -> None:
        self._changed()

    def on_select_changed(self) -> None:
        if self._ready:
            self._form.show_wanted(self._slots())
        self._changed()

    # --- starting

    async def on_input_submitted(self) -> None:
        await self.start()

    async def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "more":
            self._form.show_more(not self._form.has_more)
            self.call_after_refresh(event.button.scroll_visible, animate=False)
            self.refresh_footer()
        else:
            await self.start()

    async def start(self) -> None:
        """Starts the conversation if the choice can run."""
        from convtui.tui.screens.home.check import check
        from convtui.tui.sources.start import start_spec

        if self._starting or not self._ready:
            return
        self._starting = True
        try:
            self.capp.runs.last_failure = ""
            await self._check()
            if self.problem:
                return
            scenario = await asyncio.to_thread(check, self.flags(), self._cwd, self.capp.config)
            await self.capp.saved_state.remember(picker=self.choice())
            config = self.capp.config
            spec = await asyncio.to_thread(start_spec, scenario, config)
            await self.capp.runs.start(spec, python=config.python if config is not None else None)
        finally:
            self._starting = False

    def on_run_list_selected(self, event: RunList.Selected) -> None:
        event.stop()
        open_saved(self.capp, event.run)

    async def on_screen_resume(self) -> None:
        """Refreshes after a run, which may have failed to start."""
        if self._ready:
            self.capp.runs.warm_up()
            chosen = self._chosen_warm or str(self._form.select("warm").value)
            self._chosen_warm = ""
            await self._load_templates(chosen)
            self._form.open_if_set()
            await self._check()
            await self._load_runs()

    # --- keys

    def footer_ids(self) -> Sequence[str]:
        return (
            "picker.start",
            "runs.again",
            "picker.next_field",
            "library.open",
            "warm.open",
            "app.palette",
            "app.quit",
            "app.help",
        )

    def footer_items(self) -> list[KeyItem]:
        if not self._chooses():
            return super().footer_items()
        # The open list takes these keys itself.
        return [
            KeyItem("enter", "choose", ""),
            KeyItem("esc", "close the list", ""),
        ]

    def handlers(self) -> Iterable[Handler]:
        yield Handler("picker.start", self.start, self._enter_acts, self._enter_label)
        yield Handler("picker.next_field", self._next_field)
        yield Handler("picker.previous_field", self._previous_field)
        yield Handler("library.open", lambda: open_library(self.capp))
        yield Handler("runs.again", self._again, self._can_run_again)
        yield Handler("warm.open", self._open_warm)

    def on_descendant_focus(self) -> None:
        self.refresh_footer()

    def _chooses(self) -> bool:
        """Whether the list of a field is open."""
        from textual.widgets import Select

        return any(select.expanded for select in self.query(Select))

    def _selected_run(self) -> RunSummary | None:
        """The selected run, while the list has the focus."""
        from convtui.tui.widgets.run_list import RunList

        focused = self.focused
        branch = focused.branch if isinstance(focused, RunList) else None
        return branch.run if branch is not None else None

    def _enter_acts(self) -> bool:
        return not self.problem or self._enter_label() is not None

    def _enter_label(self) -> str | None:
        """What Enter does with the focused widget."""
        run = self._selected_run()
        if run is not None:
            return "open run" if run.batch is None else "open batch"
        name = self.focused.id if self.focused is not None else None
        if name == "more":
            return "less" if self._form.has_more else "more"
        return "choose" if name in ("persona", *_FOLDED) else None

    def _can_run_again(self) -> bool:
        run = self._selected_run()
        return run is not None and run.batch is None

    async def _again(self) -> None:
        run = self._selected_run()
        if run is not None:
            await run_again(self.capp, run.path)

    def _next_field(self) -> None:
        self.focus_next()

    def _previous_field(self) -> None:
        self.focus_previous()
