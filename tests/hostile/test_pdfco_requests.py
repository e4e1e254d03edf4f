"""Requests to PDF.co's API that are broken: refused in its own form, never an error of the
server's.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from serving import Heard, Victim, ask, get, head, post

FORM = "multipart/form-data; boundary=x"
PART = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
LAST = b"\r\n--x--\r\n"
FILE = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nwords\r\n'

BROKEN_FORMS = {
    "no boundary": ("multipart/form-data", FILE + b"--x--\r\n"),
    "empty boundary": ("multipart/form-data; boundary=", FILE + b"--x--\r\n"),
    "another boundary": ("multipart/form-data; boundary=y", FILE + b"--x--\r\n"),
    "long boundary": ("multipart/form-data; boundary=" + "y" * 20_000, FILE),
    "boundary of no ASCII": ("multipart/form-data; boundary=\xff\xfe", FILE),
    "nothing": (FORM, b""),
    "text": (FORM, b"words"),
    "no end": (FORM, FILE),
    "cut in a header": (FORM, FILE[:30]),
    "no disposition": (FORM, b"--x\r\nContent-Type: text/plain\r\n\r\nwords\r\n--x--\r\n"),
    "no name": (FORM, b"--x\r\nContent-Disposition: form-data\r\n\r\nwords\r\n--x--\r\n"),
    "header without colon": (FORM, b"--x\r\nnothing\r\n\r\nwords\r\n--x--\r\n"),
    "header with a space in its name": (FORM, b"--x\r\nContent Disposition: x\r\n\r\nwords\r\n--x--\r\n"),
    "NUL in a header": (FORM, b"--x\r\nContent-Disposition: form-data; name=\"\x00\"\r\n\r\nw\r\n--x--\r\n"),
    "bare LF": (FORM, FILE.replace(b"\r\n", b"\n") + b"--x--\n"),
    "bad bytes in a field": (FORM, PART + b"\xff\xfe" + LAST),
    "unknown charset": (FORM + "; charset=nothing", PART + b"w" + LAST),
    "two files": (FORM, FILE + FILE + b"--x--\r\n"),
    "many fields": (FORM, (PART + b"w\r\n") * 300 + b"--x--\r\n"),
    "many headers": (FORM, b"--x\r\n" + b"A: b\r\n" * 5000 + b"\r\nw\r\n--x--\r\n"),
    "long header": (FORM, PART[:-5] + b"a" * 100_000 + b'"\r\n\r\nw' + LAST),
    "pairs of no form": ("application/x-www-form-urlencoded", b"&&&===%zz%%%"),
    "too many pairs": ("application/x-www-form-urlencoded", b"a=b&" * 3000),
}  # fmt: skip


def refused(answer: Heard) -> dict[str, Any]:
    """What an answer says that refuses a request in PDF.co's form."""
    assert 400 <= answer.status < 500, answer.raw[:1000]
    said = json.loads(answer.body)
    assert (said["error"], said["status"]) == (True, answer.status), said
    assert said["message"]
    return said


@pytest.mark.parametrize(
    "path", ["/v1/file/upload", "/file/upload", "/v1/pdf/info", "/v1/job/check"]
)
@pytest.mark.parametrize("name", BROKEN_FORMS)
def test_a_broken_form_is_refused(victim: Victim, path: str, name: str) -> None:
    kind, body = BROKEN_FORMS[name]
    before = (victim.home / "test.log").read_text().count(" failed.")
    lines = {"content-type": kind, "content-length": str(len(body))}
    refused(ask(victim, head("POST", path, victim, lines) + body))
    assert (victim.home / "test.log").read_text().count(" failed.") == before


NUMBERS: list[Any] = [
    "1e999",
    "-1e999",
    "nan",
    "inf",
    "-Infinity",
    "abc",
    "",
    " ",
    "1" * 400,
    "0x10",
    "1_0",
    "½",
    [],
    {},
    [1],
]


@pytest.mark.parametrize("value", [*NUMBERS, int("9" * 400)], ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize("parameter", ["expiration", "expiration in a profile", "dpi", "x"])
def test_a_number_that_is_none_is_refused_or_means_nothing(
    victim: Victim, parameter: str, value: Any
) -> None:
    body: dict[str, Any] = {"url": "https://files.example/a.pdf", "async": True}
    path = "/v1/pdf/info"
    if parameter == "x":
        path, body["annotations"] = (
            "/v1/pdf/edit/add",
            [{"text": "a", "x": value, "y": 1, "pages": "0"}],
        )
    elif parameter == "dpi":
        path, body["profiles"] = (
            "/v1/pdf/convert/to/png",
            json.dumps({"RenderingResolution": value}),
        )
    elif parameter == "expiration":
        body["expiration"] = value
    else:
        body["profiles"] = json.dumps({"std_params": {"expiration": value}})
    answer = post(victim, path, json.dumps(body).encode())
    if answer.status != 200:
        refused(answer)


@pytest.mark.parametrize(
    "value", [value for value in NUMBERS if isinstance(value, str) and value.isascii()]
)
def test_a_number_in_an_address_that_is_none_is_refused_or_means_nothing(
    victim: Victim, value: str
) -> None:
    answer = get(
        victim,
        f"/v1/pdf/info?url=https://files.example/a.pdf&async=true&expiration={value.strip()}",
    )
    if answer.status != 200:
        refused(answer)


ADDRESSES = ["http://[", "http://[::1", "//", "http:", "http://a:b", "http://a:99999/", "upload:",
             "artifact:", "\x00", "cache:", "filetoken:x", "http://" + "a." * 5000,
             "data:text/plain,x", "file:///etc/passwd", "a" * 100_000, "http://\ud83d/"]  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda value: repr(value)[:30])
@pytest.mark.parametrize(
    "path",
    [
        "pdf/info",
        "pdf/merge",
        "file/upload/url",
        "file/hash",
        "file/delete",
        "pdf/convert/from/url",
    ],
)
def test_an_address_that_is_none_is_refused(victim: Victim, path: str, address: str) -> None:
    refused(post(victim, f"/v1/{path}", json.dumps({"url": address, "async": True}).encode()))
