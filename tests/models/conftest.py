"""litellm is imported once for the whole area: it takes seconds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from convtui.models.litellm_client import LitellmClients, load_litellm
from convtui.secrets.redactor import Redactor
from tests.fakes.openai_server import OpenAIServerThread

KEY = "sk-planted-0123456789abcdef"


@pytest.fixture(scope="session")
def warmed() -> LitellmClients:
    """Clients with litellm loaded and warmed."""
    clients = LitellmClients(Redactor([KEY]), load=load_litellm)
    clients.warm()
    return clients


@pytest.fixture
async def litellm_clients(warmed: LitellmClients) -> AsyncIterator[LitellmClients]:
    """Those, their connections closed while the loop that they belong to runs."""
    yield warmed
    await warmed.aclose()


@pytest.fixture
def server() -> Iterator[OpenAIServerThread]:
    """A fresh loopback server."""
    with OpenAIServerThread(persona_turns=2) as running:
        yield running
