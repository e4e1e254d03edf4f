"""Result files: our names, their contents, no way out of the folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from checkback.storage.artifacts import ArtifactStore, AttemptArtifacts

JOB = "01a201ae-de92-792d-a279-f3d27cb99f9e"


def test_a_file_is_stored_under_a_name_of_ours_with_its_hash(tmp_path: Path) -> None:
    made = AttemptArtifacts(tmp_path, 2).write("report.json", b"{}", "application/json")
    assert (tmp_path / made.id).read_bytes() == b"{}"
    assert ArtifactStore(tmp_path).path(JOB, made) == tmp_path / JOB / "2" / made.id
    assert "report" not in made.id
    assert (made.size_bytes, made.sha256) == (2, hashlib.sha256(b"{}").hexdigest())


def test_a_path_is_moved_in(tmp_path: Path) -> None:
    source = tmp_path / "made"
    source.write_text("x")
    made = AttemptArtifacts(tmp_path / "out", 1).write("x.txt", source, "text/plain")
    assert (tmp_path / "out" / made.id).read_text() == "x"
    assert not source.exists()


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "/etc/x",
        "a\\b",
        "a\0b",
        "a\nb",
        "x" * 201,
        "a:b",
        "a*",
        "\u202egpj.exe",
    ],
)
def test_what_is_no_plain_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="plain file name"):
        AttemptArtifacts(tmp_path, 1).write(name, b"", "text/plain")
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_used_once_in_an_attempt(tmp_path: Path) -> None:
    attempt = AttemptArtifacts(tmp_path, 1)
    attempt.write("x.txt", b"", "text/plain")
    with pytest.raises(ValueError, match="already"):
        attempt.write("x.txt", b"", "text/plain")


def test_only_the_named_attempt_is_kept(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    for attempt in (1, 2):
        store.folder(JOB, attempt).mkdir(parents=True)
    store.keep_only(JOB, 2)
    assert [one.name for one in (tmp_path / JOB).iterdir()] == ["2"]
    store.remove(JOB)
    assert store.job_ids() == []
