"""Every spelling of an address that no job may reach, at every door that takes one (A6, A8)."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from blocked_addresses import BLOCKED_URLS, SPELLINGS
from every_door import as_, call_tool
from serving import Victim, get, post

URLS = [*BLOCKED_URLS, *(f"http://{written}/" for written, _ in SPELLINGS)]


def newest(victim: Victim) -> list[str]:
    return [job["id"] for job in get(victim, "/api/jobs?limit=1").json()["jobs"]]


def test_every_door_refuses_every_spelling_and_starts_nothing(victim: Victim) -> None:
    before = newest(victim)
    for number, url in enumerate(URLS):
        for kind in ("page.analyze", "pdf.info"):
            answer = post(
                victim, "/api/jobs", json.dumps({"kind": kind, "args": {"url": url}}).encode()
            )
            assert (answer.status, answer.json()["error"]["code"]) == (422, "address_blocked"), url
        answer = post(victim, "/v1/pdf/info", json.dumps({"url": url, "async": True}).encode())
        assert (answer.status, answer.json()["error"]) == (403, True), url
        # One check stands behind both tools.
        tool, code = (("page_analyze", b"SSRF_BLOCKED"), ("pdf_info_reader", b'"403: '))[number % 2]
        answer = call_tool(victim, victim.ada, tool, url=url)
        assert answer.status == 200
        assert code in answer.body, (tool, url, answer.body)
    assert newest(victim) == before


def test_no_callback_goes_to_a_spelling_of_a_private_address_or_to_the_server_itself(
    victim: Victim,
) -> None:
    before = newest(victim)
    own = [
        f"http://{host}:{victim.port}/api/jobs"
        for host in ("127.0.0.1", "localhost", "127.1", "[::1]")
    ]
    for url in (*URLS, *own):
        body = {"url": "https://example.com/a.pdf", "async": True, "callback": url}
        answer = post(victim, "/v1/pdf/info", json.dumps(body).encode())
        assert answer.status in (400, 403), url
        assert answer.json()["error"] is True
    assert newest(victim) == before


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Listens at this machine's own name, on a port that jobs may use."""
    with socket.socket() as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for port in (8080, 8443, 443, 80):
            try:
                opened.bind((socket.gethostbyname(socket.gethostname()), port))
            except OSError:
                continue
            break
        else:
            pytest.skip("Every port that jobs may use is taken, or not ours to take.")
        opened.listen()
        opened.setblocking(False)
        yield opened


def test_the_machines_own_name_is_found_out_when_it_is_dialled(
    victim: Victim, listener: socket.socket
) -> None:
    url = f"http://{socket.gethostname()}:{listener.getsockname()[1]}/a.pdf"
    body = json.dumps({"kind": "pdf.info", "args": {"url": url}}).encode()
    answer = post(victim, "/api/jobs", body)
    assert answer.status == 202, answer.raw  # a name is not looked up at the door
    job = get(victim, f"/api/jobs/{answer.json()['id']}?wait=40", as_(victim.ada)).json()
    assert job["state"] == "failed", job
    with pytest.raises(BlockingIOError):
        listener.accept()
