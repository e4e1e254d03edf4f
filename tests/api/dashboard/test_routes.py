"""The web page over HTTP, without a browser: who may see and change what, and what is escaped."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette

from checkback.api import dashboard
from checkback.api.middleware.authentication import AuthenticationMiddleware
from checkback.core.states import State
from checkback.security.auth.authenticator import Authenticator, GuessLimit
from checkback.security.auth.callers import Caller, Scope
from checkback.security.auth.token_files import add_token
from checkback.security.host_check import HostList
from checkback.service import Service

BASE = "http://127.0.0.1:8787"
UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"
ADA = Caller("ada")


@pytest.fixture
def token(tmp_path: Any) -> dict[str, str]:
    file = tmp_path / "tokens.toml"
    return {
        "ada": add_token(file, "ada"),
        "bob": add_token(file, "bob"),
        "reader": add_token(file, "ada", [Scope.READ]),
        "file": str(file),
    }


@pytest.fixture
async def http(
    service: Service, token: dict[str, str], tmp_path: Any
) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser without any cookie, for HTTP only."""
    authenticator = Authenticator(folder_token="cb_local", token_file=tmp_path / "tokens.toml")
    guesses = GuessLimit(limit=3)

    async def workers() -> int:
        return 1

    routes = dashboard.build_routes(
        service, authenticator=authenticator, guesses=guesses, workers=workers
    )
    gate = AuthenticationMiddleware(
        Starlette(routes=routes),
        authenticator=authenticator,
        allowed=HostList.of(8787),
        guesses=guesses,
    )
    transport = httpx2.ASGITransport(gate)
    async with httpx2.AsyncClient(transport=transport, base_url=BASE, timeout=30) as client:
        yield client


async def sign_in(http: httpx2.AsyncClient, token: str) -> str:
    """Sign in; the token that forms carry."""
    response = await http.post("/signin", data={"token": token}, headers={"origin": BASE})
    assert response.status_code == 303, response.text
    cookie = response.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    page = await http.get("/")
    found = re.search(r'name="form_token" value="(\w+)"', page.text)
    assert found is not None
    return found[1]


async def start(service: Service, **args: Any) -> str:
    return (await service.submit(ADA, "test.say", args or {"words": "x"})).job.id


async def test_strangers_see_the_page_to_sign_in_and_nothing_else(
    http: httpx2.AsyncClient, service: Service
) -> None:
    job_id = await start(service)
    for path in ("/", f"/jobs/{job_id}", "/submit", "/submit/test.say", "/changes"):
        response = await http.get(path)
        assert response.status_code == 401
        assert "Sign in" in response.text
        assert job_id not in response.text.replace(path, "")
    assert (await http.post(f"/jobs/{job_id}/cancel")).status_code == 401
    assert (await service.get(ADA, job_id)).state is State.WAITING


async def test_a_wrong_token_is_told_and_guessing_gets_slow(http: httpx2.AsyncClient) -> None:
    answers = [await http.post("/signin", data={"token": f"cb_{n}"}) for n in range(5)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
    assert [answer.headers.get("retry-after") for answer in answers] == [
        None,
        None,
        None,
        "30",
        "30",
    ]


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_another_site_can_sign_nobody_in(
    http: httpx2.AsyncClient, token: dict[str, str], site: str
) -> None:
    headers = {"sec-fetch-site": site}
    response = await http.post("/signin", data={"token": token["ada"]}, headers=headers)
    assert response.status_code == 403
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    ("form", "headers", "status"),
    [
        ({}, {}, 403),  # the cookie alone
        ({"form_token": "0" * 64}, {}, 403),
        ({"form_token": "right"}, {"origin": "https://evil.example"}, 403),
        ({"form_token": "right"}, {"origin": "null"}, 403),
        ({"form_token": "right"}, {"origin": BASE}, 303),
    ],
)
async def test_only_a_form_of_ours_changes_anything(
    http: httpx2.AsyncClient,
    service: Service,
    token: dict[str, str],
    form: dict[str, str],
    headers: dict[str, str],
    status: int,
) -> None:
    job_id = await start(service)
    right = await sign_in(http, token["ada"])
    data = {key: right if value == "right" else value for key, value in form.items()}
    response = await http.post(f"/jobs/{job_id}/cancel", data=data, headers=headers)
    assert response.status_code == status
    expected = State.CANCELLED if status == 303 else State.WAITING
    assert (await service.get(ADA, job_id)).state is expected


async def test_a_token_of_one_session_fits_no_other(
    http: httpx2.AsyncClient, service: Service, token: dict[str, str]
) -> None:
    job_id = await start(service)
    bobs = await sign_in(http, token["bob"])
    await sign_in(http, token["ada"])
    assert (await http.post(f"/jobs/{job_id}/cancel", data={"form_token": bobs})).status_code == 403


async def test_a_job_of_somebody_else_is_one_that_does_not_exist(
    http: httpx2.AsyncClient, service: Service, token: dict[str, str]
) -> None:
    job_id = await start(service)
    form_token = await sign_in(http, token["bob"])
    theirs, nobodys = await http.get(f"/jobs/{job_id}"), await http.get(f"/jobs/{UNKNOWN}")
    assert (theirs.status_code, nobodys.status_code) == (404, 404)
    assert theirs.text == nobodys.text
    assert job_id not in (await http.get("/")).text
    assert f"/jobs/{job_id}" not in (await http.get(f"/?q={job_id}")).text
    assert (await http.get("/?q=owner:ada")).status_code == 403
    assert (
        await http.post(f"/jobs/{job_id}/cancel", data={"form_token": form_token})
    ).status_code == 404


async def test_who_may_only_read_is_offered_no_button_and_refused(
    http: httpx2.AsyncClient, service: Service, token: dict[str, str]
) -> None:
    job_id = await start(service)
    form_token = await sign_in(http, token["reader"])
    page = (await http.get(f"/jobs/{job_id}")).text
    assert "/cancel" not in page
    assert (
        await http.post(f"/jobs/{job_id}/cancel", data={"form_token": form_token})
    ).status_code == 403


async def test_what_others_wrote_is_shown_as_text(
    http: httpx2.AsyncClient, service: Service, token: dict[str, str]
) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>\x1b[2J"
    job_id = await start(service, words=evil)
    await sign_in(http, token["ada"])
    response = await http.get(f"/jobs/{job_id}")
    assert response.status_code == 200
    assert "<script>alert" not in response.text
    assert "<img src=x" not in response.text
    assert "&lt;script&gt;" in response.text
    assert (await http.get("/", params={"q": evil})).text.count("<script") == 1  # our own
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


async def test_a_secret_argument_is_never_shown(
    http: httpx2.AsyncClient, service: Service, token: dict[str, str]
) -> None:
    form_token = await sign_in(http, token["ada"])
    form = {
        "url": "http://nowhere.invalid/a.pdf",
        "password": "correct-horse",
        "form_token": form_token,
    }
    # After an error the form keeps its values, except the password.
    refused = await http.post(
        "/submit/pdf.to_text", data=form | {"pages": "x" * 5000, "nonsense": "1"}
    )
    assert "correct-horse" not in refused.text
    taken = await http.post("/submit/pdf.to_text", data=form)
    assert taken.status_code == 303, taken.text
    page = await http.get(taken.headers["location"])
    assert "correct-horse" not in page.text
    assert "***" in page.text


async def test_wrong_input_keeps_what_was_filled_in(
    http: httpx2.AsyncClient, service: Service, token: dict[str, str]
) -> None:
    form_token = await sign_in(http, token["ada"])
    form = {"a": "12", "b": "many", "form_token": form_token}
    response = await http.post("/submit/test.add", data=form)
    assert response.status_code == 422
    assert 'value="12"' in response.text
    assert "is not a number" in response.text
    assert (await service.list(ADA)).jobs == []


async def test_a_whole_id_is_found(
    http: httpx2.AsyncClient, service: Service, token: dict[str, str]
) -> None:
    job_id = await start(service)
    await start(service)
    await sign_in(http, token["ada"])
    page = (await http.get(f"/?q={job_id}")).text
    assert page.count('class="job-link"') == 1
    assert f"/jobs/{job_id}" in page
