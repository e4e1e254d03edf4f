"""The input of page.analyze: the wire format's keys and limits, nothing else."""

import subprocess
import sys
from typing import Any

import pytest

from checkback.core.errors import AddressBlocked, InvalidInput
from checkback.kinds import registry
from checkback.kinds.pages.jobs.analyze import PHASES
from checkback.kinds.pages.jobs.args import PageAnalyzeArgs, unused_keys
from checkback.security.addresses import AddressPolicy

URL = "https://example.com/"


def test_the_kind_is_registered_with_its_phases() -> None:
    kind = registry.get("page.analyze")
    assert (kind.queue, kind.phases, kind.network) == ("page-analyze", PHASES, True)
    assert kind.args_model is PageAnalyzeArgs


def test_a_door_can_list_the_kind_without_loading_a_browser() -> None:
    code = "import sys, checkback.kinds.pages.jobs.analyze; "
    code += "print({'playwright', 'PIL', 'protego'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


def test_defaults_are_those_of_the_wire_format() -> None:
    args = PageAnalyzeArgs(url=URL)
    assert (args.timeout, args.waitUntil, args.summary, args.run_async) == (
        600_000,
        "networkidle",
        False,
        None,
    )
    assert (args.layoutOptions.viewport.width, args.layoutOptions.viewport.height) == (1440, 900)
    sizes = [(item.name, item.width, item.height) for item in args.responsiveOptions.viewports]
    assert sizes == [("desktop", 1920, 1080), ("tablet", 768, 1024), ("mobile", 375, 667)]
    assert unused_keys(args) == []


def test_the_schema_shows_the_names_of_the_wire() -> None:
    schema = PageAnalyzeArgs.model_json_schema()
    assert schema["additionalProperties"] is False
    assert "async" in schema["properties"]
    assert "run_async" not in schema["properties"]
    assert schema["required"] == ["url"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": URL, "depth": 3},
        {"url": URL, "timeout": 4999},
        {"url": URL, "layoutOptions": {"viewport": {"width": 100}}},
        {"url": URL, "responsiveOptions": {"viewports": []}},
        {"url": URL, "qualityTimeout": 60_001},
        {"url": URL, "layoutOptions": {"zoom": 2}},
        {},
    ],
)
def test_unknown_keys_and_values_beyond_the_limits_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        registry.get("page.analyze").check_args(wrong)


def test_both_spellings_of_an_alias_are_read() -> None:
    for name in ("include_html", "includeHtml"):
        args = PageAnalyzeArgs.model_validate({"url": URL, "layoutOptions": {name: True}})
        assert args.layoutOptions.include_html


def test_keys_without_use_are_accepted_and_named() -> None:
    args = PageAnalyzeArgs.model_validate(
        {
            "url": URL,
            "async": True,
            "visionOptions": {"visionForceCpu": True},
            "layoutOptions": {"useVision": True, "include_html": True},
            "motionOptions": {"detection_mode": "video", "analyze_frames": True},
        }
    )
    expected = {"visionOptions", "layoutOptions.useVision", "motionOptions.analyze_frames"}
    assert set(unused_keys(args)) == expected


def test_what_is_stored_can_be_read_again() -> None:
    sent = {"url": URL, "async": True, "layoutOptions": {"includeHtml": True}}
    args = PageAnalyzeArgs.model_validate(sent)
    stored = args.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert PageAnalyzeArgs.model_validate(stored) == args
    assert unused_keys(PageAnalyzeArgs.model_validate(stored)) == []


def test_a_private_address_is_refused_at_the_door() -> None:
    admit = registry.get("page.analyze").admit
    assert admit is not None
    with pytest.raises(AddressBlocked):
        admit(PageAnalyzeArgs(url="http://127.0.0.1/"), AddressPolicy())
    admit(PageAnalyzeArgs(url=URL), AddressPolicy())
