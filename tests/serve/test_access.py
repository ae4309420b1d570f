"""Who gets in: only who knows the address, and only pages of the server itself."""

from __future__ import annotations

import logging

import aiohttp
import pytest

from tests.serve.conftest import Start

SESSION = "0" * 32


@pytest.mark.parametrize(
    "path",
    ["", "page.js", f"ws/{SESSION}", "download/key", "static/js/textual.js", "static/", "../"],
)
async def test_without_the_token_everything_is_refused(start: Start, path: str) -> None:
    served = await start()
    wrong = served.token[:-1] + ("a" if served.token[-1] != "a" else "b")
    for root in ("", f"{wrong}/", "%C3%A9/"):
        async with served.client.get(
            f"{served.origin}/{root}{path}", headers={"Origin": served.origin}
        ) as response:
            assert response.status == 403
            assert served.token not in await response.text()


async def test_with_the_token_the_page_and_its_parts_are_there(start: Start) -> None:
    served = await start()
    for path in ("", "page.js", "static/js/textual.js", "static/css/xterm.css"):
        async with served.client.get(served.address + path) as response:
            assert response.status == 200, path
            assert response.headers["Referrer-Policy"] == "no-referrer"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
    async with served.client.get(served.address) as response:
        text = await response.text()
        assert "<title>convtui &lt;demo&gt;</title>" in text
        assert "http" not in text, "nothing comes from elsewhere"
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    for path in ("static/", "download/key", "static/../server.py"):
        async with served.client.get(served.address + path) as response:
            assert response.status in (403, 404), path


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example"])
async def test_a_name_that_leads_here_from_elsewhere_is_refused(start: Start, host: str) -> None:
    served = await start()
    async with served.client.get(served.address, headers={"Host": host}) as response:
        assert response.status == 403


async def test_a_socket_of_another_page_is_refused(start: Start) -> None:
    served = await start("prints")
    port = served.origin.rsplit(":", 1)[1]
    others = ["http://evil.example", f"http://localhost:{port}", "http://127.0.0.1:1", "null", None]
    for origin in others:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await served.client.ws_connect(f"{served.address}ws/{SESSION}", origin=origin)
        assert refused.value.status == 403, origin


async def test_the_token_is_in_no_log(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    served = await start()
    async with served.page(await served.offered()) as page:
        await page.until("pid ")
    async with served.client.get(served.address + "nothing") as response:
        assert response.status == 404
    served.stop.set()
    await served.over
    ours = [record for record in caplog.records if "client" not in record.name]
    assert not any(served.token in record.getMessage() for record in ours)
    assert not any(served.token in text for text in served.said)


async def test_every_server_has_a_token_of_its_own(start: Start) -> None:
    tokens = {(await start()).token for _ in range(3)}
    assert len(tokens) == 3
    assert all(len(token) >= 32 for token in tokens)
