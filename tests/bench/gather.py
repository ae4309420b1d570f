"""Many conversations as VERA-MH has them: its simulator's loop for each, gathered. The reference.

Written anew: two clients speak in turn, the whole history goes to the provider with each call.
`python -m tests.bench.gather URL COUNT REPLIES` has them with models of an endpoint by litellm.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

Message = dict[str, str]
Client = Callable[[list[Message]], Awaitable[str]]


async def conversation(persona: Client, provider: Client, replies: int) -> list[Message]:
    """Both sides in turn, until the provider has replied so often."""
    history: list[Message] = []
    for _ in range(replies):
        history.append({"role": "user", "content": await persona(history)})
        history.append({"role": "assistant", "content": await provider(history)})
    return history


async def gathered(persona: Client, provider: Client, count: int, replies: int) -> None:
    """All at once."""
    await asyncio.gather(*(conversation(persona, provider, replies) for _ in range(count)))


async def scripted(history: list[Message]) -> str:
    """A persona that calls no model."""
    return f"line {len(history) // 2} of the script, with some words"


def model(url: str) -> Client:
    """A client of an endpoint."""
    import litellm

    async def ask(history: list[Message]) -> str:
        answer = await litellm.acompletion(
            model="openai/provider-1!first=0.2", messages=history, api_base=url, api_key="none"
        )
        return str(answer.choices[0].message.content)

    return ask


if __name__ == "__main__":
    endpoint, conversations, turns = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    asyncio.run(gathered(scripted, model(endpoint), conversations, turns))
