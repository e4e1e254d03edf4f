from __future__ import annotations

from typing import Any

import pytest

from checkback.core.errors import InvalidInput
from checkback.dialects.pdfco.mcp_tools import TOOLS
from checkback.dialects.pdfco.requests import (
    ENDPOINTS,
    arguments,
    flag,
    flattened,
    lowered,
    source_url,
)
from checkback.kinds import registry

URL = "https://example.com/a.pdf"


def args_of(path: str, **parameters: Any) -> dict[str, Any]:
    return arguments(ENDPOINTS[path], flattened(lowered({"url": URL, **parameters})))


def test_every_endpoint_stands_for_a_kind_that_knows_its_arguments() -> None:
    for endpoint in ENDPOINTS.values():
        fields = registry.get(endpoint.kind).args_model.model_fields
        names = {info.alias or name for name, info in fields.items()}
        legacy = {"annotationsstring", "imagesstring", "fieldsstring"}
        assert set(endpoint.arguments.values()) - legacy <= names, endpoint.path
        assert set(endpoint.fixed) <= names, endpoint.path


def test_every_tool_has_an_endpoint_and_its_parameters_are_known_there() -> None:
    own = {"url", "html", "expiration", "api_key", "provider", "type", "encrypt"}
    for tool in TOOLS:
        endpoint = ENDPOINTS[tool.endpoint]
        known = set(endpoint.arguments) | {name.replace("_", "") for name in endpoint.arguments}
        for parameter in tool.parameters:
            name = parameter.name.lower()
            if name in own or (
                tool.name == "pdf_to_image" and name in ("unwrap", "rect", "lang", "line_grouping")
            ):
                continue
            assert name.replace("_", "") in {one.replace("_", "") for one in known}, (
                tool.name,
                name,
            )


def test_names_are_read_in_any_case_and_unknown_ones_ignored() -> None:
    args = args_of("pdf/find", SEARCHString="x", REGEXsearch="True", nonsense=1, LineGrouping="0")
    assert args == {"url": URL, "search": "x", "regex": True}


def test_empty_texts_and_nulls_are_not_given() -> None:
    assert args_of("pdf/convert/to/text", pages="", password=None, rect="") == {"url": URL}


def test_texts_of_a_form_become_what_they_stand_for() -> None:
    args = args_of(
        "pdf/edit/add",
        fields='[{"fieldName": "a", "text": "b"}]',
        flatten="true",
        expiration="99999",
    )
    assert args["fields"] == [{"fieldName": "a", "text": "b"}]
    assert args["flatten"] is True
    assert args["expiration"] == 1440


def test_profiles_may_override_parameters() -> None:
    args = args_of("pdf/convert/to/text", pages="0", profiles='{"std_params": {"Pages": "1-2"}}')
    assert args["pages"] == "1-2"


def test_a_list_of_addresses_is_parted_at_its_commas_and_not_within() -> None:
    args = args_of("pdf/merge2", url="https://a.example/x,y.pdf, https://b.example/2.pdf,upload:1")
    assert args["urls"] == ["https://a.example/x,y.pdf", "https://b.example/2.pdf", "upload:1"]


@pytest.mark.parametrize("url", [None, "", "  ", 5])
def test_a_missing_source_is_refused(url: Any) -> None:
    with pytest.raises(InvalidInput, match="`url` is required"):
        args_of("pdf/info", url=url)


def test_html_is_no_address() -> None:
    assert arguments(ENDPOINTS["pdf/convert/from/html"], {"html": "<p>x</p>"}) == {
        "html": "<p>x</p>"
    }


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("cache:https://a.example/x.pdf", "https://a.example/x.pdf"),
        ("www.example.com/x.pdf", "https://www.example.com/x.pdf"),
        ("bucket.s3.amazonaws.com/x.pdf", "https://bucket.s3.amazonaws.com/x.pdf"),
        (
            "https://drive.google.com/file/d/1AbC-_9/view?usp=sharing",
            "https://drive.google.com/uc?export=download&id=1AbC-_9",
        ),
        ("https://www.dropbox.com/s/k/x.pdf?dl=0", "https://www.dropbox.com/s/k/x.pdf?dl=1"),
        ("upload:00", "upload:00"),
        ("http://127.0.0.1:1/x", "http://127.0.0.1:1/x"),
    ],
)
def test_addresses_as_clients_write_them(given: str, meant: str) -> None:
    assert source_url(given) == meant


def test_a_file_in_foreign_storage_is_refused() -> None:
    with pytest.raises(InvalidInput, match="own storage"):
        source_url("filetoken://abc")


def test_the_older_texts_of_edit() -> None:
    args = args_of(
        "pdf/edit/add",
        annotationsString="10;20;0-;Hello;24+bold+italic;Arial;FF0000;https://a.example;true|1;2;0;x",
        imagesString="5;6;0;www.example.com/i.png;;70;80",
        fieldsString="1;name;Joan|2;other;y",
    )
    assert args["annotations"] == [
        {
            "x": 10.0, "y": 20.0, "pages": "0-", "text": "Hello", "size": 24.0, "fontBold": True,
            "fontItalic": True, "fontName": "Arial", "color": "FF0000", "link": "https://a.example",
            "transparent": True,
        },
        {"x": 1.0, "y": 2.0, "pages": "0", "text": "x"},
    ]  # fmt: skip
    assert args["images"] == [
        {
            "x": 5.0,
            "y": 6.0,
            "pages": "0",
            "url": "https://www.example.com/i.png",
            "width": 70.0,
            "height": 80.0,
        }
    ]
    assert args["fields"] == [
        {"pages": "1", "fieldName": "name", "text": "Joan"},
        {"pages": "2", "fieldName": "other", "text": "y"},
    ]


@pytest.mark.parametrize(
    ("given", "meant"), [("True", True), ("0", False), (1, True), (None, False), ("", False)]
)
def test_yes_and_no(given: Any, meant: bool) -> None:
    assert flag("async", given) is meant


def test_neither_yes_nor_no_is_refused() -> None:
    with pytest.raises(InvalidInput, match="`async` must be true or false"):
        flag("async", "perhaps")
