"""A server without tokens believes everybody on this machine, but no page of another site."""

from __future__ import annotations

import httpx2
import pytest
from starlette.applications import Starlette

from checkback.api.middleware.authentication import AuthenticationMiddleware
from checkback.api.pdfco import endpoints
from checkback.security.auth.authenticator import Authenticator
from checkback.security.auth.callers import LOCAL
from checkback.security.host_check import HostList
from checkback.service import Service

BASE = "http://127.0.0.1:8787"
START = "/v1/pdf/info?async=true&url=https://example.com/a.pdf"


@pytest.mark.parametrize(
    ("site", "status"),
    [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)],
)
async def test_a_picture_on_another_site_starts_no_job_though_no_token_is_asked_for(
    service: Service, site: str, status: int
) -> None:
    authenticator = Authenticator(no_token=True)
    routes = endpoints.build_routes(service, is_own_token=authenticator.knows)
    gate = AuthenticationMiddleware(
        Starlette(routes=routes), authenticator=authenticator, allowed=HostList.of(8787)
    )
    transport = httpx2.ASGITransport(gate)
    async with httpx2.AsyncClient(transport=transport, base_url=BASE) as browser:
        answer = await browser.get(START, headers={"sec-fetch-site": site})
    assert answer.status_code == status
    assert len((await service.list(LOCAL)).jobs) == (status == 200)
