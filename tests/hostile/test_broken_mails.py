"""Mails that parsers stumble over: each is read, or is an invalid document; nothing is an error of
ours.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkback.core.errors import JobFailed
from checkback.kinds.documents.files.sniff import FileType
from checkback.kinds.documents.mail.message import Mail, read_mail
from checkback.kinds.documents.mail.sanitizer import safe_html

HTML = (
    "<![", "<!", "<!--", "-->", "<!DOCTYPE ", "]]>", "<![CDATA[", "<![if ", "<![endif]>", "<?", "?>", '">',
    '<a href="', "&#", "&#x110000;", "&#99999999999;", "<script", "</script", "<style>", "</", "\0", "[", "]",
    "<svg>", "<", ">", "&", '"', "'", "=", " ", "x", "é",
)  # fmt: skip
NAMES = (
    "Subject", "From", "To", "Date", "Content-Type", "Content-Transfer-Encoding", "Content-Disposition",
    "Content-ID", "MIME-Version",
)  # fmt: skip
VALUES = (
    "=?utf-8?B?", "=?x?q?", "?=", "text/html", "text/html; charset=", "multipart/mixed; boundary=a", "base64",
    "message/rfc822", "attachment; filename=", "utf-7", "undefined", "punycode", "idna", "hex", "\0",
    "uuencode", "quoted-printable", "a@b", "<", ">", ";", "*0*=", "*=utf-8''%ff", "(", ")", ",", ":", "@",
    "[", "]", "\xff", "1 Jan 99999", "\t",
)  # fmt: skip
html_of_any_kind = st.lists(st.sampled_from(HTML), max_size=25).map("".join)
header = st.tuples(
    st.sampled_from(NAMES), st.lists(st.sampled_from(VALUES), max_size=5).map("".join)
)


def read(folder: Path, content: bytes) -> Mail:
    path = folder / "mail.eml"
    path.write_bytes(content)
    mail = read_mail(path, FileType.EML)
    assert mail.to_html().startswith("<!DOCTYPE html>")
    return mail


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("<![<![", "&lt;![&lt;!["),
        ("a<![if !mso]>b<![endif]>c", "abc"),
        ("<![CDATA[x]]>z", "z"),
        ("<![script]><b>x", "<b>x</b>"),
        ("<![", "&lt;!["),
    ],
)
def test_a_section_that_is_none_is_a_comment(source: str, shown: str) -> None:
    # A section without an end is nothing to browsers and to some versions of Python, and text to
    # others.
    assert safe_html(source, {}) in ({shown, ""} if ">" not in source else {shown})


@pytest.mark.parametrize(
    "head",
    [
        b"From: [",
        b"From: a@[",
        b"To: x:;@,",
        b"Content-Type: text/plain; charset=\0",
        b"Content-Type: text/plain; charset=undefined",
        b"Content-Type: text/plain; charset=punycode",
    ],
)
def test_a_broken_header_hides_no_text(tmp_path: Path, head: bytes) -> None:
    mail = read(tmp_path, b"Subject: Offer\n" + head + b"\n\nThe text.\xff\n")
    assert (mail.subject, mail.text[:9]) == ("Offer", "The text.")


@given(html_of_any_kind)
def test_any_html_is_cleaned(source: str) -> None:
    with contextlib.suppress(JobFailed):
        assert "<script" not in safe_html(source, {}).lower()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(header, max_size=6), html_of_any_kind)
def test_any_mail_is_read_or_invalid(
    tmp_path: Path, headers: list[tuple[str, str]], body: str
) -> None:
    lines = [f"{name}: {value}" for name, value in headers]
    content = "\n".join([*lines, "", body, "--a", *lines, "", body, "--a--"])
    with contextlib.suppress(JobFailed):
        read(tmp_path, content.encode())
