"""The arguments of the kinds that make PDFs from PDFs and images."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from checkback.kinds.documents.args.common import DocumentArgs, ManySourcesArgs, PagesArgs, Source

Algorithm = Literal["AES_256bit", "AES_128bit", "RC4_128bit", "RC4_40bit"]
MAX_ITEMS = 2000


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _number_or_none(value: Any) -> Any:
    return None if value == "" else value


Pages = Annotated[str, BeforeValidator(_as_text)]
Points = Annotated[float, Field(ge=-20_000, le=20_000)]
Length = Annotated[
    Annotated[float, Field(gt=0, le=20_000)] | None, BeforeValidator(_number_or_none)
]


class SplitArgs(DocumentArgs):
    """Arguments of ``pdf.split``."""

    pages: str = Field(
        min_length=1,
        max_length=2000,
        description="Parts, the first page is 1: 1-2,4- makes two files, * makes one file for "
        "each page.",
    )


class ImageToPdfArgs(ManySourcesArgs):
    """Arguments of ``image.to_pdf``."""

    pages: str = Field(
        "", max_length=2000, description="Pages of the result to keep, the first is 0."
    )


class SearchableArgs(PagesArgs):
    """Arguments of ``pdf.make_searchable``."""

    lang: str = Field(
        "eng", max_length=60, description="Languages of the scanned pages, as in eng+deu."
    )


def _algorithm(value: Any) -> Any:
    """The algorithm's name in its own spelling; AES_256bit for an empty text."""
    return _ALGORITHMS.get(value.lower(), value) if isinstance(value, str) else value


_ALGORITHMS = {"": "AES_256bit", **{name.lower(): name for name in get_args(Algorithm)}}


class AddPasswordArgs(DocumentArgs):
    """Arguments of ``pdf.add_password``."""

    owner_password: SecretStr = Field(
        min_length=1, max_length=127, description="Password that allows everything."
    )
    user_password: SecretStr | None = Field(
        None, max_length=127, description="Password that opens the document. Default: none."
    )
    encryption_algorithm: Annotated[Algorithm, BeforeValidator(_algorithm)] = Field(
        "AES_256bit", description="RC4 is insecure: use it for old readers only."
    )
    allow_accessibility_support: bool = Field(
        False, description="Allow screen readers to read the text."
    )
    allow_assembly_document: bool = Field(
        False, description="Allow adding, removing and rotating pages."
    )
    allow_print_document: bool = Field(False, description="Allow printing.")
    allow_fill_forms: bool = Field(False, description="Allow filling in forms.")
    allow_modify_document: bool = Field(False, description="Allow changing the document.")
    allow_content_extraction: bool = Field(False, description="Allow copying text and images.")
    allow_modify_annotations: bool = Field(False, description="Allow changing comments.")
    print_quality: Literal["HighResolution", "LowResolution", ""] = Field(
        "", description="LowResolution allows printing in lower quality only."
    )


class _Item(BaseModel):
    """Clients send unknown fields, and numbers as texts: both are accepted."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)


class AnnotationItem(_Item):
    """Text, or a new form field, to put on pages. Positions are in points from the top left of the
    page as it is displayed.
    """

    type: str = Field(
        "Text",
        max_length=40,
        description="Text, Link, TextField, TextFieldMultiline, Checkbox or CheckboxChecked.",
    )
    x: Points = 0.0
    y: Points = 0.0
    width: Length = None
    height: Length = None
    pages: Pages = Field("", max_length=2000, description="Pages, the first is 0. Default: all.")
    text: Annotated[str, BeforeValidator(_as_text)] = Field("", max_length=100_000)
    id: Annotated[str, BeforeValidator(_as_text)] = Field(
        "", max_length=200, description="Name of the new form field."
    )
    size: Annotated[float, Field(gt=0, le=1000)] = Field(12.0, description="Font size in points.")
    color: str = Field("", max_length=20, description="Color, as in #FF0000.")
    link: str = Field("", max_length=2000, description="URL that a click opens.")
    font_name: str = Field("", max_length=80, alias="fontName")
    font_bold: bool = Field(False, alias="fontBold")
    font_italic: bool = Field(False, alias="fontItalic")
    font_underline: bool = Field(False, alias="fontUnderline")
    font_strikeout: bool = Field(False, alias="fontStrikeout")
    alignment: str = Field(
        "left", max_length=20, description="Alignment within `width`: left, center or right."
    )
    transparent: bool = Field(True, description="False draws a white box behind the text.")


class ImageItem(_Item):
    """An image, or the first page of a PDF, to put on pages."""

    # The address is checked before the job is accepted, by this exact field name: accept no other
    # spelling.
    url: Source
    x: Points = 0.0
    y: Points = 0.0
    width: Length = None
    height: Length = None
    pages: Pages = Field("", max_length=2000, description="Pages, the first is 0. Default: all.")
    link: str = Field("", max_length=2000, description="URL that a click opens.")


class FieldItem(_Item):
    """A value for a field of the document's form."""

    field_name: str = Field(
        max_length=2000,
        validation_alias=AliasChoices("fieldName", "fieldname", "field_name", "name"),
        serialization_alias="fieldName",
    )
    pages: Pages = Field(
        "", max_length=2000, description="Not used: the field is found by its name."
    )
    text: Annotated[str | bool, BeforeValidator(_as_text)] = Field(
        "",
        description="The value. For a check box true or false, for a list or radio buttons an "
        "option.",
    )


class EditArgs(DocumentArgs):
    """Arguments of ``pdf.edit``."""

    annotations: list[AnnotationItem] = Field(
        default_factory=list[AnnotationItem], max_length=MAX_ITEMS
    )
    images: list[ImageItem] = Field(default_factory=list[ImageItem], max_length=100)
    fields: list[FieldItem] = Field(default_factory=list[FieldItem], max_length=MAX_ITEMS)
    flatten: bool = Field(False, description="Make form fields and comments part of the pages.")
