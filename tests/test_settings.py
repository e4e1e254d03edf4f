"""The settings table: read, refused, passed on."""

from __future__ import annotations

from pathlib import Path

import pytest

from checkback import settings as table
from checkback.core.errors import InvalidInput


def test_a_setting_is_read_from_its_variable() -> None:
    found = table.read(
        {"CHECKBACK_PORT": "9", "CHECKBACK_ALLOW_HOSTS": "a:1, b:2", "CHECKBACK_PRODUCTION": "no"}
    )
    assert (found.port, found.allow_hosts, found.production) == (9, ("a:1", "b:2"), False)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CHECKBACK_PORT", "x"),
        ("CHECKBACK_PRODUCTION", "perhaps"),
        ("CHECKBACK_APPENDFSYNC", "daily"),
        ("CHECKBACK_TOOL_NAMES", "long"),
        ("CHECKBACK_PAGE_CONCURRENCY", "0"),
        ("CHECKBACK_NONSENSE", "1"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(variable: str, value: str) -> None:
    with pytest.raises(InvalidInput, match=variable):
        table.read({variable: value})


def test_settings_survive_the_way_to_another_process() -> None:
    given = table.Settings(
        home=Path("/x"), kinds=("a", "b"), hosts=("h",), production=False, grace_seconds=1.5, secret_key="s"
    )
    assert table.read(table.to_environment(given)) == given


def test_what_a_server_publishes_holds_no_secret() -> None:
    published = table.Settings(redis_url="redis://:password@x", secret_key="canary").published()
    assert "password" not in str(published)
    assert "canary" not in str(published)
    assert "allow_hosts" in published
