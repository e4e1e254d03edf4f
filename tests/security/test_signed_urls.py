from __future__ import annotations

import time
from urllib.parse import parse_qsl

import pytest

from checkback.core.errors import InvalidInput
from checkback.security.signed_urls import LinkSigner
from checkback.security.source_refs import (
    ArtifactSource,
    UploadSource,
    change_sources,
    parse_source,
)

SIGNER = LinkSigner(b"k" * 32)
PATH = "/files/job/report ü.pdf"


def query_of(method: str = "GET", path: str = PATH, seconds: float = 60) -> dict[str, str]:
    return dict(parse_qsl(SIGNER.query(method, path, time.time() + seconds)))


def test_a_link_opens_its_own_path_for_get_and_head() -> None:
    assert SIGNER.allows("GET", PATH, query_of())
    assert SIGNER.allows("HEAD", PATH, query_of())


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_a_link_is_good_for_one_method(method: str) -> None:
    assert not SIGNER.allows(method, PATH, query_of())
    assert not SIGNER.allows("GET", PATH, query_of("PUT"))


def test_a_link_ends() -> None:
    assert not SIGNER.allows("GET", PATH, query_of(seconds=-1))


@pytest.mark.parametrize(
    "change", [{"exp": "9999999999"}, {"sig": "x" * 32}, {"sig": ""}, {"exp": "¹²"}, {"exp": ""}]
)
def test_an_edited_link_opens_nothing(change: dict[str, str]) -> None:
    assert not SIGNER.allows("GET", PATH, query_of() | change)


def test_a_link_opens_no_other_path_and_no_other_servers_files() -> None:
    assert not SIGNER.allows("GET", "/files/job/other.pdf", query_of())
    assert not LinkSigner(b"o" * 32).allows("GET", PATH, query_of())


def test_own_links_are_recognised_whatever_host_they_name() -> None:
    query = SIGNER.query("GET", "/files/job-1/a b.pdf", time.time() + 9)
    link = f"https://any.example/files/job-1/a%20b.pdf?{query}"
    assert parse_source(link, SIGNER) == ArtifactSource("job-1", "a b.pdf", signed=True)
    path = "/files/upload/" + "0" * 32 + "/x.pdf"
    link = f"http://127.0.0.1:1{path}?{SIGNER.query('GET', path, time.time() + 9)}"
    assert parse_source(link, SIGNER) == UploadSource("0" * 32, signed=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/files/job/x.pdf?exp=9999999999&sig=no",
        "https://example.com/a",
        "http://[",
        "ftp://x",
    ],
)
def test_an_address_elsewhere_is_no_file_of_ours(url: str) -> None:
    assert parse_source(url, SIGNER) is None


def test_sources_by_name() -> None:
    assert parse_source("upload:abc", SIGNER) == UploadSource("abc")
    assert parse_source("artifact:job/name.pdf", SIGNER) == ArtifactSource("job", "name.pdf")
    with pytest.raises(InvalidInput):
        parse_source("artifact:job", SIGNER)


def test_sources_are_changed_where_they_stand_and_nowhere_else() -> None:
    args = {"url": "a", "urls": ["b", "c"], "images": [{"url": "d", "x": 1}, {"x": 2}], "name": "a"}
    for path in ("url", "urls", "images.url", "missing.url"):
        args = change_sources(args, path, str.upper)
    assert args == {
        "url": "A",
        "urls": ["B", "C"],
        "images": [{"url": "D", "x": 1}, {"x": 2}],
        "name": "a",
    }
