"""What tests of whole conversations share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from convtui.engine.conversation.wiring import EngineModels
from convtui.models.litellm_client import load_litellm
from convtui.secrets.redactor import Redactor


@pytest.fixture
async def models() -> AsyncIterator[EngineModels]:
    """Models that are asked over HTTP."""
    load_litellm()
    made = EngineModels(Redactor())
    yield made
    await made.close()
