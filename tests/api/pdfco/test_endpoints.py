"""PDF.co's HTTP API over the whole stack: gate, routes, service, store, and a worker where jobs
run.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import http.server
import io
import json
import re
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pikepdf
import pytest
from starlette.applications import Starlette
from starlette.types import ASGIApp

from checkback.api.middleware.authentication import AuthenticationMiddleware
from checkback.api.pdfco import endpoints
from checkback.api.signed_files import SignedFilesApi
from checkback.security.auth.authenticator import Authenticator
from checkback.security.auth.callers import LOCAL, Caller
from checkback.security.host_check import HostList
from checkback.service import Service
from checkback.settings import Settings
from made_files import pdf_of, text_at

UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"
TEXT = b"some text, and some more of it\n"


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files without a word."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """A server with files, on a port that the jobs of this test may reach."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "notes.txt").write_bytes(TEXT)
    handler = functools.partial(QuietHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def settings(settings: Settings, site: str) -> Settings:
    return replace(settings, allow_hosts=(site.removeprefix("http://"),))


@pytest.fixture
def application(service: Service, authenticator: Authenticator) -> ASGIApp:
    routes = [
        *SignedFilesApi(service).routes(),
        *endpoints.build_routes(service, is_own_token=authenticator.knows),
    ]
    return AuthenticationMiddleware(
        Starlette(routes=routes), authenticator=authenticator, allowed=HostList.of(8787)
    )


@pytest.fixture
async def api(application: ASGIApp, tokens: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """Ada's client, as PDF.co's users send their key."""
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(application),
        base_url="http://127.0.0.1:8787",
        headers={"x-api-key": tokens.ada},
        timeout=60,
    ) as client:
        yield client


def other(api: httpx2.AsyncClient, token: str | None) -> dict[str, str]:
    """The headers of another caller."""
    return {"x-api-key": token or ""}


# --- Uploads and links ----------------------------------------------------------------------------


async def test_a_file_is_uploaded_as_a_form_and_read_back_by_its_link(
    api: httpx2.AsyncClient,
) -> None:
    answer = (await api.post("/v1/file/upload", files={"file": ("../a b.txt", TEXT)})).json()
    assert (answer["error"], answer["status"], answer["name"]) == (False, 200, "a b.txt")
    assert isinstance(answer["credits"], int)
    found = await api.get(answer["url"], headers=other(api, None))
    assert found.content == TEXT
    assert found.headers["content-disposition"].startswith("attachment")
    assert found.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("prefix", ["", "data:text/plain;base64,"])
async def test_a_file_is_uploaded_as_base64(api: httpx2.AsyncClient, prefix: str) -> None:
    body = {"file": prefix + base64.b64encode(TEXT).decode(), "name": "x.txt"}
    answer = (await api.post("/v1/file/upload/base64", json=body)).json()
    assert (await api.get(answer["url"])).content == TEXT


async def test_a_file_of_many_pieces_is_uploaded_as_base64(
    api: httpx2.AsyncClient, service: Service
) -> None:
    content = bytes(range(256)) * 12_001
    body = {"file": base64.b64encode(content).decode(), "name": "x.bin"}
    answer = (await api.post("/v1/file/upload/base64", json=body)).json()
    assert (await api.get(answer["url"])).content == content


@pytest.mark.parametrize("place", [10, 70_000])
async def test_base64_that_ends_before_its_end_is_refused(
    api: httpx2.AsyncClient, place: int
) -> None:
    text = base64.b64encode(bytes(90_000)).decode()
    broken = text[:place] + "=" + text[place + 1 :]
    response = await api.post("/v1/file/upload/base64", json={"file": broken})
    assert response.status_code == 400
    assert response.json()["message"].startswith("`file` must be valid base64.")


async def test_a_large_body_of_many_values_is_refused_before_it_is_parsed(
    api: httpx2.AsyncClient,
) -> None:
    body = b'{"file":"aGVsbG8=","a":[' + b"{}," * 1_000_000 + b"{}]}"
    headers = {"content-type": "application/json"}
    response = await api.post("/v1/file/upload/base64", content=body, headers=headers)
    assert response.status_code == 413
    assert "10000 values" in response.json()["message"]


async def test_what_is_not_base64_is_refused(api: httpx2.AsyncClient) -> None:
    response = await api.post("/v1/file/upload/base64", json={"file": "no base64!"})
    assert (response.status_code, response.json()["error"]) == (400, True)


async def test_a_presigned_address_takes_one_file_without_a_token(api: httpx2.AsyncClient) -> None:
    query = {"name": "big.pdf", "contenttype": "application/pdf"}
    answer = (await api.get("/v1/file/upload/get-presigned-url", params=query)).json()
    early = await api.get(answer["url"])
    assert early.status_code == 404
    nobody = other(api, None)
    assert (await api.put(answer["presignedUrl"], content=TEXT, headers=nobody)).status_code == 200
    assert (await api.get(answer["url"], headers=nobody)).content == TEXT
    assert (
        await api.put(answer["presignedUrl"], content=b"again", headers=nobody)
    ).status_code == 403
    assert (await api.get(answer["url"])).content == TEXT


async def test_a_presigned_address_takes_no_file_after_the_first_was_removed(
    api: httpx2.AsyncClient,
) -> None:
    answer = (await api.get("/v1/file/upload/get-presigned-url", params={"name": "a.txt"})).json()
    nobody = other(api, None)
    assert (await api.put(answer["presignedUrl"], content=TEXT, headers=nobody)).status_code == 200
    assert (await api.post("/v1/file/delete", json={"url": answer["url"]})).status_code == 200
    assert (
        await api.put(answer["presignedUrl"], content=b"again", headers=nobody)
    ).status_code == 403
    assert (await api.get(answer["url"])).status_code == 404


@pytest.mark.parametrize("change", [("sig=", "sig=x"), ("exp=1", "exp=2"), (".txt", ".exe")])
async def test_an_edited_link_is_refused_in_the_same_words(
    api: httpx2.AsyncClient, change: tuple[str, str]
) -> None:
    answer = (await api.post("/v1/file/upload", files={"file": ("a.txt", TEXT)})).json()
    response = await api.get(answer["url"].replace(*change))
    assert response.status_code == 403
    assert response.json()["error"]["message"] == "This link is not valid, or it has expired."
    assert (await api.put(answer["url"], content=b"x")).status_code in (403, 405)


@pytest.mark.usefixtures("worker")
async def test_a_file_is_uploaded_by_its_address(api: httpx2.AsyncClient, site: str) -> None:
    answer = (await api.get("/file/upload/url", params={"url": f"{site}/notes.txt"})).json()
    assert answer["name"] == "notes.txt"
    assert (await api.get(answer["url"])).content == TEXT
    missing = await api.post("/v1/file/upload/url", json={"url": f"{site}/nothing.txt"})
    assert (missing.status_code, missing.json()["errorCode"]) == (404, 404)


@pytest.mark.usefixtures("worker")
async def test_the_hash_of_files_here_and_elsewhere(api: httpx2.AsyncClient, site: str) -> None:
    upload = (await api.post("/v1/file/upload", files={"file": ("a.txt", TEXT)})).json()
    expected = hashlib.md5(TEXT, usedforsecurity=False).hexdigest()
    for url in (upload["url"], f"{site}/notes.txt"):
        assert (await api.post("/v1/file/hash", json={"url": url})).json()["hash"] == expected


async def test_a_deleted_file_is_gone(api: httpx2.AsyncClient, tokens: Any) -> None:
    upload = (await api.post("/v1/file/upload", files={"file": ("a.txt", TEXT)})).json()
    body = {"url": upload["url"]}
    refused = await api.post("/v1/file/delete", json=body, headers=other(api, tokens.bob))
    assert refused.status_code == 404
    assert (await api.post("/v1/file/delete", json=body)).json()["error"] is False
    assert (await api.get(upload["url"])).status_code == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("file/upload/base64", {"file": "aGVsbG8="}),
        ("file/upload/url", {"url": "https://example.com/a.pdf"}),
        ("file/upload/get-presigned-url", {"name": "a.pdf"}),
        ("file/delete", {"url": "mine"}),
        ("pdf/info", {"url": "mine", "async": True}),
    ],
)
async def test_a_token_that_only_reads_hands_in_and_removes_nothing(
    api: httpx2.AsyncClient, service: Service, tokens: Any, path: str, body: dict[str, Any]
) -> None:
    mine = (await api.post("/v1/file/upload", files={"file": ("a.txt", TEXT)})).json()["url"]
    reader = other(api, tokens.reader)
    body = {key: mine if value == "mine" else value for key, value in body.items()}
    assert (await api.post(f"/v1/{path}", json=body, headers=reader)).status_code == 403
    form = await api.post("/v1/file/upload", files={"file": ("b.txt", TEXT)}, headers=reader)
    assert form.status_code == 403
    assert (await api.get(mine)).content == TEXT
    assert (await service.list(Caller("ada"))).jobs == []


async def test_nothing_costs_credits(api: httpx2.AsyncClient) -> None:
    assert (await api.get("/v1/account/credit/balance")).json() == {"remainingCredits": 0}


# --- Checks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["/v1", ""])
async def test_a_check_takes_five_forms(api: httpx2.AsyncClient, prefix: str) -> None:
    done = await submit(api, "pdf/info", url="https://example.com/a.pdf")
    job_id, path = done["jobId"], f"{prefix}/job/check"
    answers = [
        await api.post(path, json={"jobId": job_id}),
        await api.post(path, json={"jobid": job_id}),
        await api.post(path, data={"jobid": job_id}),
        await api.post(
            path, content=json.dumps({"jobid": job_id}), headers={"content-type": "text/plain"}
        ),
        await api.get(path, params={"JobId": job_id}),
    ]
    for answer in answers:
        assert answer.status_code == 200
        assert (answer.json()["status"], answer.json()["jobId"]) == ("working", job_id)
        assert "error" not in answer.json()


@pytest.mark.parametrize(
    "job_id", [UNKNOWN, "6YSZD3U872ZYYFEDMQCQSGEEO8YSF5WA--151-300", "nonsense"]
)
async def test_what_there_is_not_is_working_and_with_force_unknown(
    api: httpx2.AsyncClient, job_id: str
) -> None:
    answer = (await api.post("/v1/job/check", json={"jobId": job_id})).json()
    assert answer["status"] == "working"
    forced = (await api.post("/v1/job/check", json={"jobId": job_id, "force": True})).json()
    assert forced["status"] == "unknown"


@pytest.mark.parametrize("force", [True, False])
async def test_another_owners_job_is_answered_as_none(
    api: httpx2.AsyncClient, tokens: Any, force: bool
) -> None:
    job_id = (await submit(api, "pdf/info", url="https://example.com/a.pdf"))["jobId"]
    mine, none = job_id, UNKNOWN
    answers: list[dict[str, Any]] = []
    for one in (mine, none):
        body = {"jobId": one, "force": force}
        answer = (await api.post("/v1/job/check", json=body, headers=other(api, tokens.bob))).json()
        answers.append({key: value for key, value in answer.items() if key != "jobId"})
    assert answers[0] == answers[1]


async def test_a_cancelled_job_is_aborted(api: httpx2.AsyncClient, service: Service) -> None:
    from checkback.security.auth.callers import Caller

    job_id = (await submit(api, "pdf/info", url="https://example.com/a.pdf"))["jobId"]
    await service.cancel(Caller("ada"), job_id)
    assert (await api.post("/v1/job/check", json={"jobId": job_id})).json()["status"] == "aborted"


async def submit(api: httpx2.AsyncClient, path: str, **parameters: Any) -> dict[str, Any]:
    response = await api.post(f"/v1/{path}", json={"async": True, **parameters})
    assert response.status_code == 200, response.text
    return response.json()


# --- Submissions ----------------------------------------------------------------------------------


async def test_a_submission_is_answered_before_its_source_is_fetched(
    api: httpx2.AsyncClient,
) -> None:
    answer = await submit(
        api, "pdf/convert/to/text", url="https://unreachable.example/big.pdf", name="out.pdf"
    )
    assert (answer["error"], answer["status"], answer["name"]) == (False, 200, "out.txt")
    assert isinstance(answer["credits"], int)
    assert isinstance(answer["remainingCredits"], int)
    assert answer["outputLinkValidTill"].endswith("+00:00")
    early = await api.get(answer["url"])
    assert early.status_code == 404  # not public before the job succeeded


@pytest.mark.parametrize(
    ("body", "number"),
    [
        ({}, 400),
        ({"url": "filetoken://x"}, 400),
        ({"url": "http://169.254.169.254/latest/meta-data"}, 403),
        ({"url": "file:///etc/passwd"}, 403),
        (
            {
                "url": "https://example.com/a.pdf",
                "pages": 5,
                "httppassword": ["x"],
                "unwrap": "maybe",
            },
            400,
        ),
        (
            {
                "url": "https://example.com/a.pdf",
                "async": True,
                "callback": "http://127.0.0.1:1/hook",
            },
            403,
        ),
        ({"url": "https://example.com/a.pdf", "provider": "elsewhere"}, 400),
    ],
)
async def test_bad_requests_are_refused_at_the_door(
    api: httpx2.AsyncClient, body: dict[str, Any], number: int
) -> None:
    response = await api.post("/v1/pdf/convert/to/text", json=body)
    answer = response.json()
    assert (response.status_code, answer["status"], answer["errorCode"]) == (number, number, number)
    assert answer["error"] is True
    assert answer["message"]


async def test_a_body_that_is_no_object_is_refused(api: httpx2.AsyncClient) -> None:
    for content in (b"[1]", b"{", b'{"url": NaN}', b'{"url": 1, "url": 2}'):
        response = await api.post(
            "/v1/pdf/info", content=content, headers={"content-type": "application/json"}
        )
        assert (response.status_code, response.json()["error"]) == (400, True)


async def test_without_a_valid_key_nothing_is_done(application: ASGIApp) -> None:
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(application), base_url="http://127.0.0.1:8787"
    ) as client:
        for path in ("job/check", "pdf/info", "file/upload", "account/credit/balance"):
            response = await client.post(f"/v1/{path}", headers={"x-api-key": "wrong"})
            assert (response.status_code, response.json()["errorCode"]) == (401, 401)


async def test_an_endpoint_that_there_is_not(api: httpx2.AsyncClient) -> None:
    response = await api.post("/v1/pdf/translate", json={})
    assert (response.status_code, response.json()["errorCode"]) == (404, 404)


# --- Whole jobs -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("worker")
async def test_a_document_goes_through_upload_job_check_and_link(
    api: httpx2.AsyncClient, service: Service, made_pdf: bytes
) -> None:
    from checkback.security.auth.callers import Caller

    upload = (await api.post("/v1/file/upload", files={"file": ("report.pdf", made_pdf)})).json()
    done = await submit(api, "pdf/convert/to/text", url=upload["url"])
    assert done["name"] == "report.txt"
    await service.wait(Caller("ada"), done["jobId"], 50)
    answer = (await api.post("/v1/job/check", json={"jobId": done["jobId"]})).json()
    assert (answer["status"], answer["message"], answer["pageCount"]) == ("success", "Success", 2)
    assert isinstance(answer["jobDuration"], int)
    for url in (done["url"], answer["url"]):
        assert "Second page" in (await api.get(url, headers=other(api, None))).text
    # And the result is a source, too.
    hashed = (await api.post("/v1/file/hash", json={"url": answer["url"]})).json()["hash"]
    assert (
        hashed
        == hashlib.md5((await api.get(answer["url"])).content, usedforsecurity=False).hexdigest()
    )


@pytest.mark.usefixtures("worker")
async def test_several_files_are_a_list_of_links(
    api: httpx2.AsyncClient, service: Service, made_pdf: bytes
) -> None:
    from checkback.security.auth.callers import Caller

    upload = (await api.post("/v1/file/upload", files={"file": ("report.pdf", made_pdf)})).json()
    done = await submit(api, "pdf/split", url=upload["url"], pages="*")
    await service.wait(Caller("ada"), done["jobId"], 50)
    answer = (await api.post("/v1/job/check", json={"jobId": done["jobId"]})).json()
    assert answer["status"] == "success"
    for url in (done["url"], answer["url"]):
        assert url.partition("?")[0].endswith(".json")
        parts = json.loads((await api.get(url)).content)
        assert len(parts) == 2
        for part in parts:
            assert (await api.get(part)).content.startswith(b"%PDF-")


@pytest.mark.usefixtures("worker")
async def test_a_call_that_waits_gets_the_result_or_the_error(
    api: httpx2.AsyncClient, made_pdf: bytes
) -> None:
    upload = (await api.post("/v1/file/upload", files={"file": ("report.pdf", made_pdf)})).json()
    whole = {"url": upload["url"], "inline": True}
    answer = (await api.post("/v1/pdf/convert/to/text", json=whole)).json()
    assert answer["error"] is False
    assert "First page" in answer["body"]
    info = (await api.post("/v1/pdf/info", json={"url": upload["url"]})).json()
    assert info["info"]["PageCount"] == 2
    damaged = (
        await api.post("/v1/file/upload", files={"file": ("no.pdf", b"not a PDF at all")})
    ).json()
    response = await api.post("/v1/pdf/info", json={"url": damaged["url"]})
    assert (response.status_code, response.json()["errorCode"]) == (442, 442)


async def test_a_call_that_waits_too_long_is_told_to_be_async(
    service: Service, authenticator: Authenticator, tokens: Any
) -> None:
    routes = endpoints.build_routes(service, is_own_token=authenticator.knows, sync_seconds=0.05)
    gate = AuthenticationMiddleware(
        Starlette(routes=routes), authenticator=authenticator, allowed=HostList.of(8787)
    )
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(gate),
        base_url="http://127.0.0.1:8787",
        headers={"x-api-key": tokens.ada},
    ) as client:
        response = await client.post("/v1/pdf/info", json={"url": "https://example.com/a.pdf"})
    assert (response.status_code, response.json()["errorCode"]) == (445, 445)


@pytest.mark.usefixtures("worker")
async def test_a_failed_job_says_why_without_being_an_error(
    api: httpx2.AsyncClient, service: Service, site: str
) -> None:
    from checkback.security.auth.callers import Caller

    done = await submit(api, "pdf/convert/to/text", url=f"{site}/notes.txt")
    await service.wait(Caller("ada"), done["jobId"], 50)
    answer = (await api.post("/v1/job/check", json={"jobId": done["jobId"]})).json()
    assert (answer["status"], answer["errorCode"]) == ("failed", 442)
    assert "error" not in answer
    assert "url" not in answer
    assert (await api.get(done["url"])).status_code == 404


@pytest.fixture
def made_pdf() -> bytes:
    """Two pages of text."""
    import io

    from reportlab.pdfgen.canvas import Canvas

    buffer = io.BytesIO()
    canvas = Canvas(buffer)
    for text in ("First page", "Second page"):
        canvas.drawString(72, 700, text)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


async def test_a_key_of_theirs_goes_with_a_job_there_and_a_token_of_ours_does_not(
    api: httpx2.AsyncClient, service: Service, tokens: Any
) -> None:
    body = {"url": "https://example.com/a.pdf", "provider": "pdfco", "async": True}
    answer = (await api.post("/v1/pdf/info", json={**body, "api_key": "their-key"})).json()
    args: Any = (await service.get_with_args(Caller("ada"), answer["jobId"])).args
    assert "api_key" in args
    assert "their-key" not in str(args)
    # Our own token is not a key: without her own key there is the server's, which Ada's jobs may
    # not use.
    refused = await api.post("/v1/pdf/info", json={**body, "api_key": tokens.ada})
    assert refused.status_code == 403
    assert [job.id for job in (await service.list(Caller("ada"))).jobs] == [answer["jobId"]]
    mine = await api.post(
        "/v1/pdf/info", json={**body, "api_key": tokens.ada}, headers=other(api, tokens.local)
    )
    args = (await service.get_with_args(LOCAL, mine.json()["jobId"])).args
    assert "api_key" not in args
    assert tokens.ada not in str(args)


# --- Options in profiles --------------------------------------------------------------------------

KEYS = "'{0}Algorithm': 'AES128', '{0}Key': 'HelloThisKey1234', '{0}IV': 'TreloThisKey1234'"


@pytest.mark.parametrize(
    "profiles",
    ["no object at all", "{'OCRMode': 'by magic'}", "{'DataEncryptionAlgorithm': 'AES128'}"],
)
async def test_profiles_that_cannot_be_are_refused_with_444(
    api: httpx2.AsyncClient, service: Service, profiles: str
) -> None:
    body = {"url": "https://example.com/a.pdf", "profiles": profiles, "async": True}
    response = await api.post("/v1/pdf/convert/to/text", json=body)
    assert (response.status_code, response.json()["errorCode"]) == (444, 444)
    assert (await service.list(Caller("ada"))).jobs == []


@pytest.mark.usefixtures("worker")
async def test_results_are_encrypted_and_sources_decrypted_by_the_callers_key(
    api: httpx2.AsyncClient, service: Service
) -> None:
    report = pdf_of(text_at((72, 100, "Plain words")))
    upload = (await api.post("/v1/file/upload", files={"file": ("r.pdf", report)})).json()
    profiles = "{" + KEYS.format("DataEncryption") + "}"
    split = (
        await api.post(
            "/v1/pdf/split", json={"url": upload["url"], "pages": "1", "profiles": profiles}
        )
    ).json()
    encrypted = (await api.get(split["urls"][0])).content
    assert not encrypted.startswith(b"%PDF")
    assert len(encrypted) % 16 == 0
    keys = KEYS.format("DataDecryption")
    body = {"url": split["urls"][0], "inline": True, "profiles": keys}
    assert "Plain words" in (await api.post("/v1/pdf/convert/to/text", json=body)).json()["body"]
    body["profiles"] = keys.replace("Hello", "Jello")
    assert (await api.post("/v1/pdf/convert/to/text", json=body)).json()["errorCode"] == 442
    for job in (await service.list(Caller("ada"))).jobs:
        assert "HelloThisKey1234" not in str(
            (await service.get_with_args(Caller("ada"), job.id)).args
        )


@pytest.mark.usefixtures("worker")
async def test_other_options_of_profiles_do_what_they_say(api: httpx2.AsyncClient) -> None:
    report = pdf_of(text_at((72, 100, "left"), (400, 100, "right")))
    url = (await api.post("/v1/file/upload", files={"file": ("r.pdf", report)})).json()["url"]

    async def text(profiles: str) -> str:
        answer = await api.post("/v1/pdf/convert/to/text", json={"url": url, "profiles": profiles})
        return (await api.get(answer.json()["url"])).text

    assert re.search("left {10,}right", await text(""))
    assert (await text("'PreserveFormattingOnTextExtraction': false")).strip() == "left right"
    encoded = await text("{'outputDataFormat': 'base64'}")
    assert re.search(rb"left +right", base64.b64decode(encoded, validate=True))
    csv = {"url": url, "profiles": "CSVSeparatorSymbol: ;"}
    assert (await api.post("/v1/pdf/convert/to/csv", json=csv)).status_code == 444
    csv["profiles"] = "'CSVSeparatorSymbol': ';'"
    answer = (await api.post("/v1/pdf/convert/to/csv", json=csv)).json()
    assert (await api.get(answer["url"])).text.strip() == "left;right"


@pytest.mark.usefixtures("worker")
async def test_permissions_of_the_author_are_minded_when_asked_for(api: httpx2.AsyncClient) -> None:
    locked = io.BytesIO()
    with pikepdf.open(io.BytesIO(pdf_of(text_at((72, 100, "words"))))) as pdf:
        nothing = pikepdf.Permissions(extract=False, modify_other=False)
        pdf.save(locked, encryption=pikepdf.Encryption(owner="boss", user="", allow=nothing))
    url = (await api.post("/v1/file/upload", files={"file": ("r.pdf", locked.getvalue())})).json()[
        "url"
    ]
    for endpoint in ("pdf/convert/to/text", "pdf/makeunsearchable"):
        answers = [
            (await api.post(f"/v1/{endpoint}", json={"url": url, **more})).json()
            for more in (
                {},
                {"profiles": "{'CheckPermissions': true}"},
                {"profiles": "{'CheckPermissions': true}", "password": "boss"},
            )
        ]
        assert [answer["status"] for answer in answers] == [200, 443, 200], endpoint
