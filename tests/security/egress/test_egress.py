"""The egress proxy as a job meets it: a real process, real sockets, hostile input on both sides."""

import asyncio
import json
from typing import Any

import pytest

from checkback.security.egress.client import Incident

PUBLIC = "8.8.8.8"


def status(answer: bytes) -> int:
    """The status of an answer, or of the last one where several follow each other."""
    return int(answer.rpartition(b"HTTP/1.1 ")[2][:3])


def header(answer: bytes, name: str) -> str | None:
    for line in answer.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        field, _, value = line.partition(b":")
        if field.decode().lower() == name.lower():
            return value.strip().decode()
    return None


async def test_without_a_key_nobody_is_served(
    start_proxy: Any, client_of: Any, canary: Any
) -> None:
    proxy = await start_proxy(allow_hosts=(f"127.0.0.1:{canary.port}",))
    client = client_of(await proxy.grant("job"))
    url = f"http://127.0.0.1:{canary.port}/".encode()
    bad_keys = [b"", b"Proxy-Authorization: Basic eDp5\r\n", b"Proxy-Authorization: Bearer x\r\n"]
    bad_keys += [
        b"Proxy-Authorization: Basic !!!\r\n",
        client.key + client.key,
        b"Authorization: Basic eDp5\r\n",
    ]
    for bad in bad_keys:
        answer = await client.send(b"GET " + url + b" HTTP/1.1\r\n" + bad + b"\r\n")
        assert status(answer) == 407
        assert header(answer, "Proxy-Authenticate") == 'Basic realm="checkback", charset="UTF-8"'
    assert status(await client.send(b"CONNECT " + url[7:-1] + b" HTTP/1.1\r\n\r\n")) == 407
    assert canary.heard == []


async def test_a_request_leaves_in_origin_form_without_what_was_meant_for_the_proxy(
    start_proxy: Any, client_of: Any, site: Any
) -> None:
    proxy = await start_proxy({"shop.test": [[PUBLIC]]}, {PUBLIC: site.port})
    client = client_of(await proxy.grant("job"))
    extra = b"Host: other.test\r\nProxy-Connection: keep-alive\r\nConnection: keep-alive, X-Mine, Host\r\n"
    extra += b"X-Mine: 1\r\nTE: trailers\r\nKeep-Alive: 5\r\nX-Checkback-Any: 1\r\nAccept: */*\r\n"
    answer = await client.get("http://shop.test/a?b=c", extra)
    assert status(answer) == 200
    assert answer.endswith(b"\r\n\r\nhello")
    assert header(answer, "Connection") == "close"
    assert site.asked == [
        b"GET /a?b=c HTTP/1.1\r\nHost: shop.test\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    ]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:{port}/", "loopback"),
        ("http://127.1:{port}/", "loopback"),
        ("http://2130706433:{port}/", "loopback"),
        ("http://0x7f.1:{port}/", "loopback"),
        ("http://0:{port}/", "unspecified"),
        ("http://localhost:{port}/", "loopback"),
        ("http://a.b.localhost:{port}/", "loopback"),
        ("http://[::1]:{port}/", "loopback"),
        ("http://[::ffff:127.0.0.1]:{port}/", "loopback"),
        ("http://[64:ff9b::7f00:1]:{port}/", "loopback"),
        ("http://[::7f00:1]:{port}/", "translation"),
        ("http://[fd00::1]/", "private"),
        ("http://169.254.169.254/latest/meta-data/", "metadata"),
        ("http://metadata.google.internal/", "metadata"),
        ("http://private.test/", "private"),
        ("http://two-faced.test/", "loopback"),
        ("http://mapped.test/", "loopback"),
        (f"http://{PUBLIC}:22/", "port"),
        ("http://shop.test:{port}/", "port"),
    ],
)
async def test_a_private_address_is_refused_and_remembered(
    start_proxy: Any, client_of: Any, canary: Any, url: str, reason: str
) -> None:
    names = {
        "private.test": [["10.0.0.1"]],
        "two-faced.test": [[PUBLIC, "127.0.0.1"]],
        "shop.test": [[PUBLIC]],
    }
    names["mapped.test"] = [["::ffff:127.0.0.1"]]
    proxy = await start_proxy(names, {PUBLIC: canary.port, "10.0.0.1": canary.port})
    grant = await proxy.grant("job")
    client = client_of(grant)
    url = url.format(port=canary.port)
    answer = await client.get(url)
    assert status(answer) == 403
    assert header(answer, "X-Checkback-Blocked") == reason
    authority = url.split("/")[2]
    tunnel, _, writer = await client.connect(
        authority if authority.rpartition(":")[2].isdigit() else f"{authority}:80"
    )
    writer.close()
    assert status(tunnel) == 403
    report = await proxy.revoke(grant)
    assert [(incident.reason, incident.count) for incident in report.blocked] == [(reason, 2)]
    assert canary.heard == []


async def test_an_allowed_host_is_reached_and_its_neighbour_is_not(
    start_proxy: Any, client_of: Any, site: Any, canary: Any
) -> None:
    proxy = await start_proxy(allow_hosts=(f"127.0.0.1:{site.port}", "localhost:*"))
    client = client_of(await proxy.grant("job"))
    assert status(await client.get(f"http://127.0.0.1:{site.port}/")) == 200
    assert status(await client.get(f"http://localhost:{site.port}/")) == 200
    assert status(await client.get(f"http://127.0.0.1:{canary.port}/")) == 403
    assert status(await client.get(f"http://[::1]:{site.port}/")) == 403
    assert canary.heard == []


async def test_a_redirect_to_a_private_address_leads_nowhere(
    start_proxy: Any, client_of: Any, site: Any, canary: Any
) -> None:
    proxy = await start_proxy({"shop.test": [[PUBLIC]]}, {PUBLIC: site.port})
    client = client_of(await proxy.grant("job"))
    target = f"http://127.0.0.1:{canary.port}/"
    site.answer = f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()
    location = header(await client.get("http://shop.test/"), "Location")
    assert location == target
    assert status(await client.get(location)) == 403
    assert canary.heard == []


async def test_a_name_that_changes_its_address_is_checked_again(
    start_proxy: Any, client_of: Any, site: Any, canary: Any
) -> None:
    names = {"rebind.test": [[PUBLIC], ["127.0.0.1"], ["169.254.169.254"]]}
    proxy = await start_proxy(names, {PUBLIC: site.port}, pin_seconds=0)
    client = client_of(await proxy.grant("job"))
    answers = [await client.get("http://rebind.test/") for _ in range(3)]
    assert [status(answer) for answer in answers] == [200, 403, 403]
    assert [header(answer, "X-Checkback-Blocked") for answer in answers] == [
        None,
        "loopback",
        "metadata",
    ]


async def test_a_name_keeps_its_address_for_a_while_but_only_for_its_job(
    start_proxy: Any, client_of: Any, site: Any
) -> None:
    proxy = await start_proxy({"rebind.test": [[PUBLIC], ["127.0.0.1"]]}, {PUBLIC: site.port})
    first, second = client_of(await proxy.grant("first")), client_of(await proxy.grant("second"))
    assert status(await first.get("http://rebind.test/")) == 200
    assert status(await first.get("http://rebind.test/")) == 200
    assert status(await second.get("http://rebind.test/")) == 403


async def test_a_tunnel_carries_bytes_both_ways_until_both_ends_are_done(
    start_proxy: Any, client_of: Any
) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"got:" + await reader.read())
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        proxy = await start_proxy(
            {"shop.test": [[PUBLIC]]}, {PUBLIC: server.sockets[0].getsockname()[1]}
        )
        grant = await proxy.grant("job")
        answer, reader, writer = await client_of(grant).connect("shop.test:443")
        assert status(answer) == 200
        payload = b"x" * 1_000_000
        writer.write(payload)
        writer.write_eof()
        assert await reader.read() == b"got:" + payload
        report = await proxy.revoke(grant)
        assert (report.connections, report.bytes) == (1, 2 * len(payload) + 4)


async def test_a_websocket_may_be_opened_by_upgrade(start_proxy: Any, client_of: Any) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" in head
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhi"
        )
        writer.write(await reader.readexactly(4))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        proxy = await start_proxy(
            {"shop.test": [[PUBLIC]]}, {PUBLIC: server.sockets[0].getsockname()[1]}
        )
        client = client_of(await proxy.grant("job"))
        reader, writer = await client.open()
        writer.write(b"GET http://shop.test/ws HTTP/1.1\r\n" + client.key)
        writer.write(b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert status(await reader.readuntil(b"\r\n\r\n")) == 101
        writer.write(b"ping")
        assert await reader.read() == b"hiping"
        writer.close()


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: shop.test\r\n",
        b"GET https://shop.test/ HTTP/1.1\r\n",
        b"GET ftp://shop.test/ HTTP/1.1\r\n",
        b"GET http://user:password@shop.test/ HTTP/1.1\r\n",
        b"GET http://shop.test@127.0.0.1/ HTTP/1.1\r\n",
        b"GET http://shop.test\\@127.0.0.1/ HTTP/1.1\r\n",
        b"GET http://shop.test:99999/ HTTP/1.1\r\n",
        b"GET http://shop.test:0/ HTTP/1.1\r\n",
        b"GET http://[::1%25lo]/ HTTP/1.1\r\n",
        b"GET http:///etc/passwd HTTP/1.1\r\n",
        b"GET http://shop.test/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n",
        b"GET http://shop.test/ HTTP/2.0\r\n",
        b"GET  http://shop.test/ HTTP/1.1\r\n",
        b"GET http://shop.test/ HTTP/1.1 \r\n",
        b"OPTIONS * HTTP/1.1\r\n",
        b"CONNECT shop.test HTTP/1.1\r\n",
        b"CONNECT http://shop.test:443/ HTTP/1.1\r\n",
        b"CONNECT user@shop.test:443 HTTP/1.1\r\n",
        b"GET http://shop.test/ HTTP/1.1\r\nA : b\r\n",
        b"GET http://shop.test/ HTTP/1.1\r\nA: b\r\n c\r\n",
        b"GET http://shop.test/ HTTP/1.1\r\nA: b\nB: c\r\n",
        b"GET http://shop.test/ HTTP/1.1\r\nA: b\rB: c\r\n",
        b"GET http://shop.test/ HTTP/1.1\r\nA: b\0c\r\n",
        b"GET http://shop.test/ HTTP/1.1\r\nno colon\r\n",
        b"POST http://shop.test/ HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        b"POST http://shop.test/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
        b"POST http://shop.test/ HTTP/1.1\r\nContent-Length: 1, 1\r\n",
        b"POST http://shop.test/ HTTP/1.1\r\nContent-Length: +1\r\n",
        b"POST http://shop.test/ HTTP/1.1\r\nContent-Length: -1\r\n",
        b"POST http://shop.test/ HTTP/1.1\r\nContent-Length: 0x1\r\n",
        b"POST http://shop.test/ HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n",
        b"POST http://shop.test/ HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n",
        b"POST http://shop.test/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"POST http://shop.test/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n",
        b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\r\n",
    ],
)
async def test_a_request_that_could_be_read_two_ways_is_refused(
    start_proxy: Any, client_of: Any, site: Any, head: bytes
) -> None:
    proxy = await start_proxy({"shop.test": [[PUBLIC]]}, {PUBLIC: site.port})
    client = client_of(await proxy.grant("job"))
    assert status(await client.send(head + client.key + b"\r\n")) in (400, 407)
    assert site.asked == []


async def test_one_connection_carries_one_request(
    start_proxy: Any, client_of: Any, site: Any
) -> None:
    proxy = await start_proxy({"shop.test": [[PUBLIC]]}, {PUBLIC: site.port})
    client = client_of(await proxy.grant("job"))
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: admin.test\r\n\r\n"
    raw = (
        b"POST http://shop.test/ HTTP/1.1\r\n"
        + client.key
        + b"Content-Length: 3\r\n\r\nabc"
        + smuggled
    )
    assert status(await client.send(raw)) == 200
    assert [asked.rpartition(b"\r\n\r\n")[2] for asked in site.asked] == [b"abc"]


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        (
            b"HTTP/1.1 200 OK\nA: b\n\nbody",
            b"HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\nbody",
        ),
        (b"HTTP/1.0 200\r\n\r\nbody", b"HTTP/1.1 200\r\nConnection: close\r\n\r\nbody"),
        (
            b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\nbodyHTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n1\r\nx\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        ),
        (
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\nnone",
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
            b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
        ),
        (
            b"HTTP/1.1 403 No\r\nX-Checkback-Blocked: private\r\nProxy-Authenticate: Basic\r\nbad\r\n\r\n",
            b"HTTP/1.1 403 No\r\nConnection: close\r\n\r\n",
        ),
    ],
)
async def test_an_answer_comes_back_as_one_and_in_the_servers_name_only(
    start_proxy: Any, client_of: Any, site: Any, sent: bytes, received: bytes
) -> None:
    proxy = await start_proxy({"shop.test": [[PUBLIC]]}, {PUBLIC: site.port})
    client = client_of(await proxy.grant("job"))
    site.answer = sent
    assert await client.get("http://shop.test/") == received


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nA: " + b"a" * 600_000 + b"\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20,
    ],
)
async def test_an_answer_that_is_none_becomes_a_502(
    start_proxy: Any, client_of: Any, site: Any, sent: bytes
) -> None:
    proxy = await start_proxy({"shop.test": [[PUBLIC]]}, {PUBLIC: site.port})
    grant = await proxy.grant("job")
    site.answer = sent
    answer = await client_of(grant).get("http://shop.test/")
    assert status(answer) == 502
    assert (await proxy.report(grant)).failed == (Incident("shop.test", 80, "bad_answer", 1),)


async def test_what_cannot_be_reached_is_told_apart_from_what_may_not(
    start_proxy: Any, client_of: Any
) -> None:
    proxy = await start_proxy({"gone.test": [["1.1.1.1"]]}, allow_hosts=("127.0.0.1:9",))
    grant = await proxy.grant("job")
    client = client_of(grant)
    for url, reason in (
        ("http://nowhere.test/", "dns"),
        ("http://gone.test/", "unreachable"),
        ("http://127.0.0.1:9/", "refused"),
    ):
        answer = await client.get(url)
        assert (status(answer), header(answer, "X-Checkback-Failed")) == (502, reason)
        assert header(answer, "X-Checkback-Blocked") is None
    report = await proxy.report(grant)
    assert (report.blocked, len(report.failed)) == ((), 3)


async def test_a_job_reads_its_own_report_through_the_proxy_and_a_page_does_not(
    start_proxy: Any, client_of: Any
) -> None:
    proxy = await start_proxy()
    client, other = client_of(await proxy.grant("job")), client_of(await proxy.grant("other"))
    await client.get("http://127.0.0.1/")
    url = "http://egress.invalid/report"
    answer = await client.get(url)
    report = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert report["blocked"] == [
        {"host": "127.0.0.1", "port": 80, "reason": "loopback", "count": 1}
    ]
    assert header(answer, "Cross-Origin-Resource-Policy") == "same-origin"
    assert header(answer, "X-Frame-Options") == "DENY"
    assert b'"blocked": []' in await other.get(url)
    assert status(await client.get(url, b"Origin: http://evil.test\r\n")) == 404
    assert status(await client.get(url, b"Referer: http://evil.test/\r\n")) == 404
    assert (
        status(
            await client.send(b"OPTIONS " + url.encode() + b" HTTP/1.1\r\n" + client.key + b"\r\n")
        )
        == 404
    )


async def test_the_list_of_what_was_refused_is_bounded_and_counted(
    start_proxy: Any, client_of: Any
) -> None:
    proxy = await start_proxy(remembered=3)
    grant = await proxy.grant("job")
    for number in range(6):
        await client_of(grant).get(f"http://10.0.0.{number}/")
    report = await proxy.report(grant)
    assert (len(report.blocked), report.blocked_count) == (3, 6)
