"""Asks once whether the settings of a project's folder may name hosts, commands and code."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convtui.config.settings import Config
    from convtui.tui.saved_state import SavedState
    from convtui.tui.screens.screen_context import AskScreen


async def trusted_settings(config: Config, saved_state: SavedState, ask: AskScreen) -> Config:
    """The settings with those of the folder if the user trusts them, else `config`.

    A refusal is remembered until the settings change. Raises `ConvtuiError` if the trust cannot
    be stored, or the settings cannot be read again.
    """
    untrusted = config.untrusted
    if untrusted is None:
        return config
    refused = (await saved_state.recall()).get("untrusted_folders")
    refused = refused if isinstance(refused, dict) else {}
    folder = str(untrusted.folder.resolve())
    if refused.get(folder) == untrusted.digest:
        return config
    from convtui.tui.screens.dialogs.consent import Consent

    yes = await ask(
        Consent(
            "Trust this folder's settings?",
            f"{untrusted.file} has settings that apply only in a trusted folder ({untrusted.why}):",
            untrusted.rows,
            yes="Yes, trust this folder",
            no="No, ignore these settings",
        )
    )
    if not yes:
        await saved_state.remember(untrusted_folders={**refused, folder: untrusted.digest})
        return config
    from convtui.config.trusted_folders import trust_folder

    await asyncio.to_thread(trust_folder, config.paths, untrusted.folder, untrusted.settings)
    return await asyncio.to_thread(config.again)
