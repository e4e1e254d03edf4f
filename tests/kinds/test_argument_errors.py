"""Errors about arguments: our own sentences, which name each parameter."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from checkback.core.errors import UnknownKind
from checkback.kinds import registry
from checkback.kinds.argument_errors import describe


class Size(BaseModel):
    model_config = ConfigDict(extra="forbid")

    width: int = Field(ge=1, le=10)


class Args(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: str = Field(min_length=8, max_length=20)
    size: Size | None = None
    sizes: list[Size] = Field(default=[], max_length=2)
    format: Literal["png", "jpg"] = "png"
    number: int | str = 1
    scale: float = Field(1, gt=0.5)
    inline: bool = True
    lang: str = Field("", pattern="^[a-z]*$")
    profiles: SecretStr = SecretStr("")

    @field_validator("profiles")
    @classmethod
    def _readable(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() not in ("", "{}"):
            raise ValueError("profiles is not a JSON object")
        return value


def described(**args: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        Args.model_validate(args)
    return describe(caught.value, Args)


URL = "https://a.example"


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ({}, "`url` is required."),
        ({"url": 3}, "`url` must be a string; got 3."),
        (
            {"url": "example"},
            '`url` must be an http or https URL; got "example". Did you mean https://example?',
        ),
        ({"url": "a@b?c"}, "`url` must be an http or https URL."),
        ({"url": "https://example.com/long"}, "`url` must have at most 20 characters."),
        ({"url": URL, "urll": 1}, "Unknown argument `urll`. Did you mean url?"),
        ({"url": URL, "zebra": 1}, "Unknown argument `zebra`."),
        ({"url": URL, "format": "gif"}, '`format` must be png or jpg; got "gif".'),
        ({"url": URL, "number": []}, "`number` must be a whole number or a string."),
        ({"url": URL, "scale": 0.1}, "`scale` must be greater than 0.5; got 0.1."),
        ({"url": URL, "inline": "x"}, "`inline` must be true or false."),
        ({"url": URL, "lang": "9"}, "`lang` must match the pattern ^[a-z]*$."),
        ({"url": URL, "size": {"width": 0}}, "`size.width` must be at least 1; got 0."),
        ({"url": URL, "size": 7}, "`size` must be an object; got 7."),
        (
            {"url": URL, "sizes": [{"width": 2.5}]},
            "`sizes.0.width` must be a whole number; got 2.5.",
        ),
        (
            {"url": URL, "sizes": [{"width": 1, "widht": 1}]},
            "Unknown argument `sizes.0.widht`. Did you mean width?",
        ),
        ({"url": URL, "sizes": [{"width": 1}] * 3}, "`sizes` must have at most 2 items."),
    ],
)
def test_each_error_names_its_parameter(args: dict[str, Any], sentence: str) -> None:
    assert described(**args) == sentence


def test_several_errors_are_several_sentences() -> None:
    assert described(inline="x") == "`url` is required. `inline` must be true or false."


def test_the_value_of_a_secret_is_not_repeated() -> None:
    assert described(url=URL, profiles="hunter2") == "`profiles` is not a JSON object."


def test_the_number_of_sentences_is_limited() -> None:
    unknown = {f"unknown_{number}": 1 for number in range(50)}
    assert described(url=URL, **unknown).count("Unknown argument") == 8


def test_an_unknown_kind_gets_a_suggestion() -> None:
    registry.load_built_in()
    with pytest.raises(UnknownKind) as caught:
        registry.get("pdf.to_txt")
    assert caught.value.message == 'Unknown kind "pdf.to_txt". Did you mean pdf.to_text?'
