"""Settings are read from variables, strictly: what is wrong is refused by its name."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from checkback import InvalidInput
from checkback.app.daemon import prepare_home
from checkback.settings import Settings, explicit, read, to_environment


def test_nothing_set_gives_the_defaults() -> None:
    assert read({}) == Settings()
    assert read({"PATH": "/bin", "CHECKBACK_PORT": ""}) == Settings()


def test_variables_are_read_by_their_kind() -> None:
    settings = read(
        {
            "CHECKBACK_HOME": "~/jobs",
            "CHECKBACK_PORT": "0",
            "CHECKBACK_KINDS": "one, two.three,",
            "CHECKBACK_PRODUCTION": "No",
            "CHECKBACK_GRACE_SECONDS": "1.5",
        }
    )
    assert settings.home == Path("~/jobs").expanduser()
    assert (settings.port, settings.kinds, settings.production) == (0, ("one", "two.three"), False)
    assert math.isclose(settings.grace_seconds, 1.5)


def test_an_option_goes_before_its_variable() -> None:
    assert read({"CHECKBACK_PORT": "1000"}, port=2000, host=None).port == 2000
    assert explicit({"CHECKBACK_PORT": "1", "PATH": ""}, {"host": "::1", "kinds": None}) == {
        "port",
        "host",
    }


def test_a_file_of_kinds_is_named_by_its_whole_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert read({"CHECKBACK_KINDS": "mine.py,module"}).kinds == (
        str(tmp_path / "mine.py"),
        "module",
    )


def test_a_process_of_ours_gets_the_same_settings() -> None:
    settings = read(
        {"CHECKBACK_KINDS": "a,b", "CHECKBACK_PRODUCTION": "0", "CHECKBACK_HOSTS": "jobs.example"}
    )
    assert read(to_environment(settings)) == settings


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CHECKBACK_NOPE", "1"),
        ("CHECKBACK_PORT", "x"),
        ("CHECKBACK_PORT", "65536"),
        ("CHECKBACK_PORT", "-1"),
        ("CHECKBACK_PRODUCTION", "maybe"),
        ("CHECKBACK_LOG_LEVEL", "loud"),
        ("CHECKBACK_APPENDFSYNC", "never"),
        ("CHECKBACK_TOOL_NAMES", "dots"),
        ("CHECKBACK_JOB_CONCURRENCY", "0"),
        ("CHECKBACK_KEEP_COMPLETED_HOURS", "nan"),
        ("CHECKBACK_KEEP_COMPLETED_HOURS", "inf"),
        ("CHECKBACK_KEEP_FAILED_HOURS", "-1"),
        ("CHECKBACK_GRACE_SECONDS", "-0.1"),
        ("CHECKBACK_IDLE_MINUTES", "0"),
        ("CHECKBACK_PREFIX", "a b"),
        ("CHECKBACK_QUEUES", "good,bad:name"),
    ],
)
def test_what_is_wrong_is_refused_by_its_name(variable: str, value: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read({variable: value})
    assert variable in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        (
            "CHECKBACK_PROT",
            "1",
            "Unknown setting CHECKBACK_PROT. Did you mean CHECKBACK_PORT?",
        ),
        ("CHECKBACK_NOPE", "1", "Unknown setting CHECKBACK_NOPE."),
        (
            "CHECKBACK_PORT",
            "x",
            'Invalid value for CHECKBACK_PORT: expected a whole number; got "x".',
        ),
        (
            "CHECKBACK_PORT",
            "65536",
            "Invalid value for CHECKBACK_PORT: expected a number from 0 to 65535; got 65536.",
        ),
        (
            "CHECKBACK_PRODUCTION",
            "maybe",
            "Invalid value for CHECKBACK_PRODUCTION: expected true or false.",
        ),
        (
            "CHECKBACK_LOG_FORMAT",
            "xml",
            'Invalid value for CHECKBACK_LOG_FORMAT: expected text or json; got "xml".',
        ),
        (
            "CHECKBACK_TOOLSETS",
            "page",
            'Unknown toolset "page" in CHECKBACK_TOOLSETS. Did you mean pages?',
        ),
    ],
)
def test_an_error_says_what_is_expected(variable: str, value: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read({variable: value})
    assert caught.value.message == message


def test_a_data_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="cannot be created") as caught:
        prepare_home(tmp_path / "file" / "home")
    assert "CHECKBACK_HOME" in caught.value.hint


@pytest.mark.parametrize(
    "url",
    [
        *(
            "jobs.example.com",
            "ftp://x",
            "https://",
            "https://user:pw@x",
            "https://x?a=1",
            "https://x#a",
        ),
        *("https://x y", "https://x:port", "javascript:alert(1)"),
    ],
)
def test_a_public_address_that_links_cannot_begin_with_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="CHECKBACK_PUBLIC_URL"):
        read({"CHECKBACK_PUBLIC_URL": url})


def test_a_public_address_may_have_a_port_and_a_path() -> None:
    url = "https://jobs.example.com:8443/checkback"
    assert read({"CHECKBACK_PUBLIC_URL": url}).public_url == url


def test_sets_of_tools_and_forms_of_names_are_those_that_there_are() -> None:
    assert read({"CHECKBACK_TOOLSETS": "lean,pages"}).toolsets == ("lean", "pages")
    assert read({}).tool_names == "underscore"
    assert read({"CHECKBACK_TOOL_NAMES": "auto"}).tool_names == "auto"
    for variables in ({"CHECKBACK_TOOLSETS": "lean,all"}, {"CHECKBACK_TOOL_NAMES": "dots"}):
        with pytest.raises(InvalidInput, match="CHECKBACK_TOOL"):
            read(variables)
