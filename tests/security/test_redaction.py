"""What looks like a key is masked; what does not is left as it stands, and no text takes long."""

from __future__ import annotations

import logging
import time

import pytest

from checkback.security.redaction import RedactingFormatter, Redactor, redact

# Put together here, so that no scanner of repositories takes them for real ones.
TAIL = "4eC39HqLyjWDarjtT1zdp7dc"
KEYS = [
    "sk-" + TAIL,
    "sk-ant-api03-" + TAIL,
    "sk_live_" + TAIL,
    "ghp_" + TAIL,
    "github_pat_" + TAIL,
    "glpat-" + TAIL,
    "xoxb-" + "1234567890-" + TAIL,
    "AKIA" + "IOSFODNN7EXAMPLE",
    "AIza" + TAIL + TAIL[:11],
    "ya29." + TAIL,
    "hf_" + TAIL,
    "cb_" + TAIL,
    "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxIn0." + TAIL,
    "-----BEGIN RSA PRIVATE KEY-----\nMIIB" + TAIL + "\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\nMIIB" + TAIL,
]
HIDDEN = [
    ("Authorization: Bearer " + TAIL, "Authorization: Bearer ***"),
    ("authorization: Basic dXNlcjpwYXNz", "authorization: Basic ***"),
    ("sent Bearer abc123def", "sent Bearer ***"),
    ("GET https://ada:lovelace@example.com/x", "GET https://***@example.com/x"),
    ("redis://:s3cret@host:6379/0", "redis://***@host:6379/0"),
    ("password=hunter2 next", "password=*** next"),
    ("db_password: 'hunter2'", "db_password: '***'"),
    ('{"api_key": "hunter2", "a": 1}', '{"api_key": "***", "a": 1}'),
    ("?token=hunter2&page=3", "?token=***&page=3"),
    ("https://x.test/a?key=hunter2&b=1", "https://x.test/a?key=***&b=1"),
    ("X-Amz-Signature=abcdef&x=1", "X-Amz-Signature=***&x=1"),
    ("Cookie: session=abc; x=1", "Cookie: ***; x=1"),
    ("PGPASSWORD=hunter2", "PGPASSWORD=***"),
]
KEPT = [
    "The document needs a password.",
    "Basic understanding of tokens: 3",
    "a bearer of good news arrived",
    "https://example.com/a?page=3&q=mail@example.com",
    "sk-chasing-dot-before-the-fold",
    "task-4 skipped, risk-free; sketch of a kiosk-system-with-many-words",
    "e0cddc42-98de-833d-81f4-6e1a30aa73bb",
    'File "/srv/app.py", line 3, in <module>',
    "the keyboard, a monkey and the secretary",
    "upload:0123456789abcdef0123456789abcdef",
    "",
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("around", ["{}", "it said {}!", "x={}&y", "'{}'", "\n{}\n"])
def test_keys_of_well_known_makers_are_masked(key: str, around: str) -> None:
    told = redact(around.format(key))
    assert TAIL[:8] not in told
    assert "IOSFODNN" not in told
    assert "***" in told


@pytest.mark.parametrize(("text", "told"), HIDDEN)
def test_secrets_are_masked_where_they_are_named(text: str, told: str) -> None:
    assert redact(text) == told


@pytest.mark.parametrize("text", KEPT)
def test_other_text_is_left_as_it_stands(text: str) -> None:
    assert redact(text) == text


def test_known_secrets_are_masked_whatever_they_look_like() -> None:
    known = Redactor(["tree", "tree house", "abc"])
    assert known("a tree house and a tree, abc") == "a *** and a ***, abc"


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "sk-",
        "eyJ",
        "://",
        "-----BEGIN PRIVATE KEY-----",
        "password",
        "bearer ",
        "x-amz-",
        "=",
        "token:",
    ],
)
def test_no_text_takes_long(piece: str) -> None:
    text = piece * (400_000 // len(piece))
    started = time.process_time()
    told = redact(text)
    assert time.process_time() - started < 2
    assert told.startswith("[cut]")


def test_log_lines_and_tracebacks_are_masked() -> None:
    formatter = RedactingFormatter("%(levelname)s %(message)s")
    try:
        raise RuntimeError(KEYS[0])
    except RuntimeError:
        import sys

        record = logging.LogRecord(
            "x", logging.ERROR, "x.py", 1, "failed: %s", (KEYS[3],), sys.exc_info()
        )
    told = formatter.format(record)
    assert TAIL not in told
    assert "RuntimeError: ***" in told
