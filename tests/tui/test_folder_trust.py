"""The settings of a folder count after a yes; a no is remembered until they change."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar, cast

import pytest
from textual.screen import Screen

from convtui.config.settings import Config, load_config
from convtui.errors import ConvtuiError
from convtui.tui.folder_trust import trusted_settings
from convtui.tui.saved_state import SavedState

T = TypeVar("T")


class Cloned:
    """A folder with settings that nobody has trusted, and what the user says about them."""

    def __init__(self, folder: Path) -> None:
        self.home, self.work = folder / "home", folder / "work"
        self.work.mkdir()
        self.write('api_base = "http://one.example"\n')
        self.saved = SavedState(self.home / "state.json")
        self.says: bool | None = None
        self.asked = 0

    def write(self, text: str) -> None:
        (self.work / "convtui.toml").write_text(text)

    def config(self) -> Config:
        return load_config({}, {"CONVTUI_HOME": str(self.home)}, self.work)

    async def settings(self) -> Config:
        return await trusted_settings(self.config(), self.saved, self._ask)

    async def _ask(self, screen: Screen[T]) -> T | None:
        self.asked += 1
        return cast("T | None", self.says)


@pytest.fixture
def cloned(tmp_path: Path) -> Cloned:
    return Cloned(tmp_path)


@pytest.mark.parametrize("no", [False, None])
async def test_a_no_is_remembered_until_the_settings_change(cloned: Cloned, no: bool) -> None:
    cloned.says = no
    assert (await cloned.settings()).api_base is None
    assert (await cloned.settings()).api_base is None
    assert cloned.asked == 1
    cloned.write('api_base = "http://two.example"\n')
    await cloned.settings()
    assert cloned.asked == 2


async def test_a_yes_applies_at_once_and_is_kept(cloned: Cloned) -> None:
    cloned.says = True
    assert (await cloned.settings()).api_base == "http://one.example"
    kept = await cloned.settings()
    assert kept.api_base == "http://one.example"
    assert cloned.asked == 1


async def test_trust_that_cannot_be_stored_is_an_error(cloned: Cloned) -> None:
    cloned.says = True
    cloned.home.write_text("not a folder")
    with pytest.raises(ConvtuiError):
        await cloned.settings()
