"""The home screen: choose persona and provider and start, or open a saved run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from textual import events
from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from convtui.actions.registry import Keymap
from convtui.errors import UsageError
from convtui.text.boundary import visible
from convtui.tui.drawing.frames import PANE, entitle
from convtui.tui.screens.action_screen import ActionScreen
from convtui.tui.screens.handlers import Handler
from convtui.tui.timers import call_once
from convtui.tui.widgets.keybar import KeyBar

if TYPE_CHECKING:
    from textual.widgets import Input, OptionList, Select

    from convtui.tui.screens.home.choices import Offer, Template

RECENT = 30
CHECK_AFTER = 0.15
"""Seconds after the last change before the choice is checked."""
_FIELDS = ("provider", "sessions", "user_model", "max_turns", "max_total_words", "warm_slots")


class PickerScreen(ActionScreen):
    """Persona, provider, sessions, limits, warm template; recent runs beside or below them."""

    KEY_CONTEXTS = ("picker",)
    AUTO_FOCUS = None
    DEFAULT_CSS = """
    PickerScreen { layout: vertical; }
    PickerScreen #home { height: 1fr; layout: horizontal; }
    PickerScreen #new { width: 1fr; }
    PickerScreen #recent { width: 1fr; }
    PickerScreen Horizontal { height: auto; }
    PickerScreen Horizontal > Select SelectCurrent { padding: 0 1 !important; }
    PickerScreen Horizontal > Select > SelectOverlay { border: round $border; }
    PickerScreen .name { width: 13; height: 1; color: $text-muted; }
    PickerScreen Horizontal > Input, PickerScreen Horizontal > Select { width: 1fr; }
    PickerScreen Horizontal > Input { height: 1; border: none; padding: 0 1; background: $surface; }
    PickerScreen Horizontal > Input:focus { border: none; background: $panel; }
    PickerScreen .about { color: $text-muted; height: auto; margin: 0 0 1 13; }
    PickerScreen #check { height: auto; margin: 1 0; }
    PickerScreen #start, PickerScreen #start:focus, PickerScreen #start:hover {
        margin: 0; width: auto; min-width: 22; text-style: bold;
        background: $primary; color: $background; background-tint: $primary 0%;
    }
    PickerScreen #start:disabled { background: $panel; color: $text-muted; }
    PickerScreen #no-runs { color: $text-muted; height: auto; }
    PickerScreen.-narrow #home { layout: vertical; }
    PickerScreen.-narrow #new { height: auto; max-height: 80%; }
    PickerScreen.-narrow #recent { height: 1fr; }
    PickerScreen.-narrow .about { display: none; }
    PickerScreen.-narrow #check { margin: 0; }
    """

    def __init__(self, keymap: Keymap, *, cwd: Path | None = None) -> None:
        super().__init__(keymap)
        self._cwd = cwd or Path.cwd()
        self._timer: Timer | None = None
        self._ready = False
        self._starting = False
        self._chosen_warm = ""
        self._templates: list[Template] = []
        self.problem = ""

    def compose(self) -> ComposeResult:
        yield Static(
            Content.assemble(
                (" convtui ", "bold $text-accent"),
                (" a simulated user talks to your provider; watch it, stop it, change it",
                 "$text-muted"),
            ),
            id="home-title",
            classes="screen-title",
            markup=False,
        )  # fmt: skip
        with Container(id="home"):
            new = VerticalScroll(id="new", classes=PANE, can_focus=False)
            entitle(new, "new conversation")
            yield new
            with Container(id="recent", classes=f"{PANE} -below") as recent:
                entitle(recent, "recent runs")
                yield Static(id="no-runs", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        self.set_class(self.app.size.width < 100, "-narrow")
        self.refresh_footer()
        self.call_after_refresh(lambda: self.spawn(self._load()))

    async def _load(self) -> None:
        # Loading and styling these widgets takes longer than the first frame.
        from textual.suggester import SuggestFromList

        from convtui.tui.screens.home import choices
        from convtui.tui.screens.home.form import ChoiceForm
        from convtui.tui.screens.home.recent_runs import RecentRuns

        await self.query_one("#new").mount(ChoiceForm())
        self.query_one("#start").focus()
        untouched = {field: self._input(field).value for field in _FIELDS}
        config = self.capp.config
        own = config.paths.config_dir / "personas" if config is not None else None
        remembered = (await self.capp.recall()).get("picker")
        remembered = remembered if isinstance(remembered, dict) else {}
        await self.query_one("#recent").mount(RecentRuns(id="recent-list"))
        offers = await asyncio.to_thread(choices.personas, self._cwd, own)
        self._show_personas(offers, str(remembered.get("persona") or "demo"))
        for field in _FIELDS:
            value = remembered.get(field)
            if isinstance(value, str) and self._input(field).value == untouched[field]:
                self._input(field).value = value
        if remembered.get("first") in ("persona", "provider"):
            self._select("first").value = remembered["first"]
        await self._load_templates(str(remembered.get("warm") or ""))
        self._ready = True
        await self._check()
        await self._load_runs()
        if self.is_current:
            self.capp.warm_up()
        provider_offers = await asyncio.to_thread(choices.providers, self._cwd)
        self._input("provider").suggester = SuggestFromList(
            [offer.spec for offer in provider_offers]
        )

    def _show_personas(self, offers: list[Offer], chosen: str) -> None:
        select = self._select("persona")
        select.set_options([(Content(offer.label), offer.spec) for offer in offers])
        specs = [offer.spec for offer in offers]
        if specs:
            select.value = chosen if chosen in specs else "demo" if "demo" in specs else specs[0]

    async def _load_templates(self, chosen: str) -> None:
        from convtui.tui.screens.home import choices
        from convtui.tui.screens.home.form import COLD

        templates = self._templates = await asyncio.to_thread(choices.templates, self._warm_dir())
        select = self._select("warm")
        select.set_options(
            [(Content(COLD), ""), *((Content(offer.label), offer.spec) for offer in templates)]
        )
        select.value = chosen if any(offer.spec == chosen for offer in templates) else ""
        self._show_slots()

    def choose_warm(self, name: str) -> None:
        """Selects a template when this screen is shown again."""
        self._chosen_warm = name

    def _open_warm(self) -> None:
        from convtui.tui.screens.warm.screen import WarmScreen

        self.app.push_screen(WarmScreen(self.keymap, self._warm_dir(), self._runs_dir()))

    def _show_slots(self) -> None:
        """Shows the field for slots if the template has any."""
        chosen = str(self._select("warm").value)
        slots = next((offer.slots for offer in self._templates if offer.spec == chosen), ())
        self.query_one("#line_warm_slots").set_class(bool(slots), "-wanted")
        if slots:
            self._input("warm_slots").placeholder = "; ".join(f"{name}=..." for name in slots)

    async def _load_runs(self) -> None:
        from convtui.log.run_summary import list_runs
        from convtui.tui.screens.home.recent_runs import RecentRuns

        folder = self._runs_dir()
        runs = await asyncio.to_thread(lambda: list(islice(list_runs(folder), RECENT)))
        for listed in self.query(RecentRuns):
            listed.show(runs, more="all saved runs ...")
            listed.display = bool(runs)
        empty = self.query_one("#no-runs", Static)
        empty.display = not runs
        empty.update("None yet. Conversations are saved and listed here.")

    def _warm_dir(self) -> Path:
        from convtui.config.paths import Paths

        config = self.capp.config
        return (config.paths if config is not None else Paths.find()).warm_dir

    def _runs_dir(self) -> Path:
        from convtui.config.paths import Paths

        config = self.capp.config
        return config.runs_dir if config is not None else Paths.find().runs_dir

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width < 100, "-narrow")

    # --- the choice

    def _input(self, field: str) -> Input:
        from textual.widgets import Input

        return self.query_one(f"#{field}", Input)

    def _select(self, field: str) -> Select[str]:
        from textual.widgets import Select

        return cast("Select[str]", self.query_one(f"#{field}", Select))

    def choice(self) -> dict[str, str]:
        """The values of all fields, by field."""
        chosen = {field: self._input(field).value.strip() for field in _FIELDS}
        chosen["persona"] = str(self._select("persona").value)
        chosen["first"] = str(self._select("first").value)
        chosen["warm"] = str(self._select("warm").value)
        return chosen

    def flags(self) -> dict[str, Any]:
        """The choice as flags of `convtui debug`. Raises `UsageError` for an invalid value."""
        from convtui.tui.screens.home import choices

        chosen = self.choice()
        flags: dict[str, Any] = {
            "persona": chosen["persona"],
            "provider": chosen["provider"] or "demo",
            "user_model": chosen["user_model"] or None,
            "provider_speaks_first": True if chosen["first"] == "provider" else None,
        }
        sessions = [name.strip() for name in chosen["sessions"].split(",") if name.strip()]
        flags["sessions"] = sessions or None
        for field, word in (("max_turns", "turns"), ("max_total_words", "words")):
            text = chosen[field]
            if text and not text.isdecimal():
                raise UsageError(f"{word}: write a whole number, not {text!r}")
            flags[field] = int(text) if text else None
        if chosen["warm"]:
            flags["warm"] = chosen["warm"]
            if self.query_one("#line_warm_slots").has_class("-wanted"):
                flags["set"] = choices.slot_flags(chosen["warm_slots"])
        config = self.capp.config
        if config is not None:
            flags["user_model"] = flags["user_model"] or config.user_model
            flags["api_base"], flags["user_api_base"] = config.api_base, config.user_api_base
        return flags

    async def _check(self) -> None:
        """Shows whether the choice can run."""
        from convtui.tui.screens.home import choices

        try:
            scenario = await asyncio.to_thread(
                choices.check, self.flags(), self._cwd, self._warm_dir()
            )
        except UsageError as error:
            self.problem = str(error)
            text = Content.assemble(("not yet: ", "bold $text-error"), visible(self.problem))
        else:
            self.problem = ""
            persona = scenario.persona
            text = Content.assemble(
                ("ready: ", "bold $text-success"),
                f"{visible(persona.name)} ({persona.simulator}) talks to"
                f" {visible(scenario.provider.spec.short)}"
                + (f", warm: {visible(scenario.warm.use)}" if scenario.warm else ""),
            )
        failed = self.capp.last_failure
        if failed and not self.problem:
            text = Content.assemble(("setup failed: ", "bold $text-error"), visible(failed))
        if not self.query("#check"):
            return  # the screen was closed meanwhile
        self.query_one("#check", Static).update(text)
        self.query_one("#start").disabled = bool(self.problem)

    def _changed(self) -> None:
        if not self._ready:
            return
        self.capp.last_failure = ""
        if self._timer is not None:
            self._timer.stop()
        self._timer = call_once(self, CHECK_AFTER, lambda: self.spawn(self._check()))

    def on_input_changed(self) -> None:
        self._changed()

    def on_select_changed(self) -> None:
        if self._ready:
            self._show_slots()
        self._changed()

    # --- starting

    async def on_input_submitted(self) -> None:
        await self.start()

    async def on_button_pressed(self) -> None:
        await self.start()

    async def start(self) -> None:
        """Starts the conversation if the choice can run."""
        from convtui.tui.screens.home import choices

        if self._starting or not self._ready:
            return
        self._starting = True
        try:
            self.capp.last_failure = ""
            await self._check()
            if self.problem:
                return
            scenario = await asyncio.to_thread(
                choices.check, self.flags(), self._cwd, self._warm_dir()
            )
            await self.capp.remember(picker=self.choice())
            config = self.capp.config
            spec = await asyncio.to_thread(choices.start_spec, scenario, config)
            await self.capp.start_run(spec, python=config.python if config is not None else None)
        finally:
            self._starting = False

    async def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Opens the selected run, or the list of all runs."""
        from convtui.tui.screens.home.recent_runs import RecentRuns

        if isinstance(event.option_list, RecentRuns):
            event.stop()
            run = event.option_list.chosen(event.option_index)
            if run is not None:
                self.capp.replay(run.path)
            else:
                from convtui.tui.screens.runs.screen import RunsScreen

                self.app.push_screen(RunsScreen(self.keymap, self._runs_dir()))

    async def on_screen_resume(self) -> None:
        """Refreshes after a run, which may have failed to start."""
        if self._ready:
            self.capp.warm_up()
            chosen, self._chosen_warm = self._chosen_warm or str(self._select("warm").value), ""
            await self._load_templates(chosen)
            await self._check()
            await self._load_runs()

    # --- keys

    def footer_ids(self) -> Sequence[str]:
        return (
            "picker.start",
            "picker.next_field",
            "warm.open",
            "app.palette",
            "app.quit",
            "app.help",
        )

    def handlers(self) -> Iterable[Handler]:
        yield Handler("picker.start", self.start)
        yield Handler("picker.next_field", self._next_field)
        yield Handler("picker.previous_field", self._previous_field)
        yield Handler("warm.open", self._open_warm)

    def _next_field(self) -> None:
        self.focus_next()

    def _previous_field(self) -> None:
        self.focus_previous()
