from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from checkback.core.errors import InvalidInput, TooLarge
from checkback.storage import uploads
from checkback.storage.uploads import UploadStore, UploadUse, plain_name


@pytest.fixture
def store(tmp_path: Path) -> UploadStore:
    return UploadStore(tmp_path / "uploads")


def put(store: UploadStore, content: bytes = b"hello", name: str = "a.txt") -> str:
    with store.begin("ada", name) as writer:
        writer.write(content)
        return writer.finish().id


def test_an_upload_can_be_found_and_read(store: UploadStore) -> None:
    upload = store.find(put(store))
    assert upload is not None
    assert (upload.owner, upload.name, upload.size_bytes) == ("ada", "a.txt", 5)
    assert upload.md5 == "5d41402abc4b2a76b9719d911017c592"
    assert store.path(upload.id).read_bytes() == b"hello"


def test_an_upload_that_was_broken_off_leaves_nothing(store: UploadStore, tmp_path: Path) -> None:
    with pytest.raises(ConnectionError), store.begin("ada", "a.txt") as writer:
        writer.write(b"half")
        raise ConnectionError
    assert list((tmp_path / "uploads").iterdir()) == []


def test_an_upload_past_the_limit_is_refused(tmp_path: Path) -> None:
    store = UploadStore(tmp_path / "uploads", max_bytes=4)
    with pytest.raises(TooLarge), store.begin("ada", "a.txt") as writer:
        writer.write(b"hello")


def test_an_id_takes_one_upload_only(store: UploadStore) -> None:
    known = put(store)
    with pytest.raises(FileExistsError), store.begin("eve", "b.txt", upload_id=known):
        pass
    found = store.find(known)
    assert found is not None
    assert found.owner == "ada"


def test_an_expired_upload_is_gone_before_and_after_the_sweep(
    store: UploadStore, tmp_path: Path
) -> None:
    old, kept = put(store), put(store)
    past = time.time() - 1
    os.utime(tmp_path / "uploads" / old / "record.json", (past, past))
    assert store.find(old) is None
    assert store.sweep() == 1
    assert store.find(kept) is not None
    assert not store.path(old).exists()


def test_keeping_never_shortens(store: UploadStore, tmp_path: Path) -> None:
    known = put(store)
    record = tmp_path / "uploads" / known / "record.json"
    before = record.stat().st_mtime
    store.keep(known, 10)
    assert record.stat().st_mtime == pytest.approx(before, abs=1)
    store.keep(known, 10 * 24 * 3600)
    assert record.stat().st_mtime > time.time() + 9 * 24 * 3600


@pytest.mark.parametrize("wrong", ["", "..", "../../etc", "a" * 31, "A" * 32, "0" * 32])
def test_no_other_id_finds_anything(store: UploadStore, wrong: str) -> None:
    put(store)
    assert store.find(wrong) is None


def test_a_path_is_no_id(store: UploadStore) -> None:
    with pytest.raises(InvalidInput):
        store.path("../secret")


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\a.doc", "a.doc"),
        ("a\0b\n.pdf", "a_b_.pdf"),
        ("\u202egnp.exe", "_gnp.exe"),
        ("", "file"),
        ("...", "file"),
        ("<script>.html", "_script_.html"),
    ],
)
def test_names_are_plain(given: str, plain: str) -> None:
    assert plain_name(given) == plain


def test_a_long_name_keeps_its_ending() -> None:
    name = plain_name("ü" * 400 + ".pdf")
    assert name.endswith(".pdf")
    assert len(name.encode()) <= uploads.MAX_NAME_CHARACTERS


def test_what_an_owner_keeps_is_counted_without_looking_at_all_that_is_there(
    store: UploadStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanned: list[str] = []
    scan = UploadStore._scan  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(UploadStore, "_scan", lambda self: (scanned.append("scan"), scan(self)))  # pyright: ignore
    ids: list[str] = []
    for _ in range(50):
        store.taken("ada")
        with store.begin("ada", "empty.txt") as writer:
            ids.append(writer.finish().id)
    assert store.taken("ada") == UploadUse(50, 0)
    store.remove(ids[0])
    assert (store.taken("ada").files, store.taken("bob").files, scanned) == (49, 0, ["scan"])


def test_uploads_of_another_process_are_counted_after_a_while(
    tmp_path: Path,
) -> None:
    store = UploadStore(tmp_path / "uploads", scan_seconds=0)
    assert store.taken() == UploadUse(0, 0)
    other = UploadStore(store.root)
    with other.begin("ada", "a.txt") as writer:
        writer.write(b"hello")
        writer.finish()
    assert store.taken("ada") == UploadUse(1, 5)
