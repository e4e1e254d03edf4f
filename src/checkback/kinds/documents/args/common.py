"""The arguments that document kinds share."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from checkback.kinds.documents.args.profiles import ProfileOptions, read_options

MAX_SOURCES = 100
MAX_URL_CHARACTERS = 4096
MAX_PROFILES_CHARACTERS = 20_000

SOURCE = {"checkback": "source"}
"""Marks, in the JSON schema, a field that names a source file: the shell accepts ``file=PATH`` for
it.
"""

Source = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_URL_CHARACTERS,
        description="The file: an http(s) URL, or upload:ID or artifact:JOB/NAME as returned.",
        json_schema_extra={**SOURCE},
    ),
]


def _as_text(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict) else value


def _readable(value: SecretStr) -> SecretStr:
    read_options(value.get_secret_value())
    return value


Profiles = Annotated[
    Annotated[SecretStr, Field(max_length=MAX_PROFILES_CHARACTERS), AfterValidator(_readable)]
    | None,
    BeforeValidator(_as_text),
    Field(
        description="More options, by PDF.co's names, as a JSON object or its text. Kept secret.",
    ),
]


class OutputArgs(BaseModel):
    """For kinds that make files."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        "", max_length=500, description="Name of the result. Its extension is corrected."
    )
    # Secret, because it can contain encryption keys.
    profiles: Profiles = None
    expiration: int | None = Field(
        None,
        ge=1,
        le=1440,
        description="Minutes for which links to the result work. Default: 60.",
    )

    @property
    def options(self) -> ProfileOptions:
        """The options in ``profiles``."""
        return read_options(self.profiles.get_secret_value()) if self.profiles else ProfileOptions()


class LoginArgs(OutputArgs):
    """For kinds that download their sources."""

    httpusername: str = Field("", max_length=200, description="User name for the source's server.")
    httppassword: SecretStr | None = Field(None, description="Password for the source's server.")


class DocumentArgs(LoginArgs):
    """For kinds that work on one file."""

    url: Source
    password: SecretStr | None = Field(None, description="Password that opens the document.")


class PagesArgs(DocumentArgs):
    """For kinds that work on some pages of a file."""

    pages: str = Field(
        "",
        max_length=2000,
        description="Pages, the first is 0: numbers and ranges with commas (0,2-4,7-). !0 is the "
        "last.",
    )


class TextArgs(PagesArgs):
    """For kinds that read the text of a file."""

    unwrap: bool = Field(False, description="Join the lines of a paragraph.")
    rect: str = Field(
        "",
        max_length=100,
        description="Only this part of each page: x y width height, in points from the top left.",
    )
    lang: str = Field(
        "eng",
        max_length=60,
        pattern=r"^[A-Za-z0-9_+,/-]*$",
        description="Languages of scanned pages, as in eng+deu.",
    )
    line_grouping: str = Field(
        "", max_length=20, description="How the lines of a table row are grouped: 1, 2 or 3."
    )
    inline: bool = Field(False, description="Include the content in the result if it is small.")


class ManySourcesArgs(LoginArgs):
    """For kinds that make one file from many."""

    urls: list[Source] = Field(
        min_length=1,
        max_length=MAX_SOURCES,
        description="The files, in order.",
        json_schema_extra={**SOURCE},
    )
    password: SecretStr | None = Field(None, description="Password that opens the documents.")


def revealed(secret: SecretStr | None) -> str:
    """A password as text; an empty text without a password."""
    return secret.get_secret_value() if secret is not None else ""
