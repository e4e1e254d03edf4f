"""Names of files that others chose: a server of a source, an upload, a mail. They are only ever
shown.
"""

from __future__ import annotations

import html
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from typing import Any
from urllib.parse import quote

import pytest

from checkback.security.auth.callers import LOCAL
from checkback.service import Service
from checkback.settings import Settings
from document_jobs import COMPLETED, ending, run
from serving import Victim, get, post

NEVER = set('\0\r\n/\\<>"\u202e')

DISPOSITIONS = [
    'attachment; filename="../../../etc/passwd"',
    "attachment; filename=/etc/cron.d/x",
    "attachment; filename*=UTF-8''..%2F..%2Fx%00%0D%0Aset-cookie%3A%20a.pdf",
    "attachment; filename*=UTF-8''%E2%80%AEfdp.exe",
    'attachment; filename="<script>alert(1)</script>.pdf"',
    "attachment; filename*=no-such-charset''%FF%FE.pdf",
    "attachment; filename*0=\"a/../\"; filename*1=\"b.pdf\"; filename*999999999=x",
    'attachment; filename="' + "x" * 4000 + '.pdf"',
    'attachment; filename="=?utf-8?B?Li4vLi4veA==?="',
    'attachment; filename=".."',
    ";;;=;\"",
]  # fmt: skip


@pytest.fixture
def source() -> Iterator[str]:
    """A server that calls what it sends whatever the number in the path says."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Disposition", DISPOSITIONS[int(self.path[1:])])
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"words")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def settings(settings: Settings, source: str) -> Settings:
    return replace(settings, allow_hosts=(source,))


def is_plain(name: str) -> bool:
    return 0 < len(name.encode()) <= 120 and not set(name) & NEVER and name not in (".", "..")


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("number", range(len(DISPOSITIONS)), ids=[one[:60] for one in DISPOSITIONS])
async def test_a_source_is_called_by_a_plain_name_whatever_its_server_says(
    service: Service, source: str, number: int
) -> None:
    submitted = await service.submit(LOCAL, "file.fetch", {"url": f"http://{source}/{number}"})
    job = await service.wait(LOCAL, submitted.job.id, 30)
    assert ending(job) == COMPLETED, job.failure
    (artifact,) = job.artifacts
    assert is_plain(artifact.name), artifact.name
    _, path = await service.artifact(LOCAL, job.id, artifact.id)
    assert path.read_bytes() == b"words"


@pytest.mark.slow
@pytest.mark.chromium
@pytest.mark.usefixtures("worker")
async def test_what_a_mail_carries_is_written_nowhere_by_its_name(service: Service) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@b.c", "d@e.f", "x"
    mail["Date"] = "Tue, 24 Nov 2026 10:00:00 +0000"
    mail.set_content("words of the mail")
    for name in (
        "../../../outside.txt",
        "/etc/cron.d/x",
        "<img src=x onerror=alert(1)>.txt",
        "y" * 4000,
    ):
        mail.add_attachment(b"attached", maintype="text", subtype="plain", filename=name)
    job = await run(service, "email.to_pdf", mail.as_bytes(), "a.eml")
    assert ending(job) == COMPLETED, job.failure
    assert [artifact.name for artifact in job.artifacts] == ["a.pdf"]


SHOWN = [
    "<script>alert(1)</script>.pdf",
    "' onmouseover='alert(1)' x='.pdf",
    "&lt;b&gt;&amp;#60;.pdf",
    "{{ 7 * 7 }}{% raw %}.pdf",
    "javascript:alert(1)",
    "\u202egpj.exe",
    "x" * 490 + ".pdf",
]


def test_a_name_of_four_thousand_letters_is_refused_or_cut(victim: Victim) -> None:
    name = "x" * 4096 + ".pdf"
    refused = post(victim, f"/api/uploads?name={name}", b"content", {"content-type": "text/plain"})
    assert refused.status == 422
    assert len(refused.body) < 1000
    form = f'content-disposition: form-data; name="file"; filename="{name}"\r\n\r\nhello'
    kind = {"content-type": "multipart/form-data; boundary=--x"}
    cut = post(victim, "/v1/file/upload", f"----x\r\n{form}\r\n----x--\r\n".encode(), kind)
    assert cut.status == 200, cut.raw
    assert is_plain(cut.json()["name"])


@pytest.mark.parametrize("name", SHOWN, ids=lambda name: name[:40])
def test_a_files_name_stands_in_the_web_page_as_text(victim: Victim, name: str) -> None:
    made = post(
        victim, f"/api/uploads?name={quote(name)}", b"content", {"content-type": "text/plain"}
    ).json()
    body = json.dumps({"kind": "file.fetch", "args": {"url": f"upload:{made['id']}"}}).encode()
    job_id = post(victim, "/api/jobs", body).json()["id"]
    job = get(victim, f"/api/jobs/{job_id}?wait=30").json()
    assert job["state"] == "completed", job
    (artifact,) = job["artifacts"]
    assert is_plain(artifact["name"])
    page = get(victim, f"/jobs/{job_id}")
    assert page.status == 200
    text = page.body.decode()
    # Exactly as it is when its references are read, so nothing of it was taken for the page's own.
    assert f">{html.escape(artifact['name'])}</a>".replace("&#x27;", "&#39;") in text
    assert "alert(1)</script>" not in text
    served = get(victim, artifact["url"])
    assert served.body == b"content"
    assert served.headers["content-disposition"].startswith("attachment")
