"""The arguments of the kinds that make PDFs out of PDFs and pictures."""

from __future__ import annotations

from typing import Annotated, Any, Literal

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
    """What ``pdf.split`` takes."""

    pages: str = Field(
        min_length=1,
        max_length=2000,
        description="Parts, the first page is 1: 1-2,4- makes two files, * one of every page.",
    )


class ImageToPdfArgs(ManySourcesArgs):
    """What ``image.to_pdf`` takes."""

    pages: str = Field("", max_length=2000, description="Pages of the result, the first is 0.")


class SearchableArgs(PagesArgs):
    """What ``pdf.make_searchable`` takes."""

    lang: str = Field("eng", max_length=60, description="Languages of the scans, as in eng+deu.")


def _algorithm(value: Any) -> Any:
    if isinstance(value, str):
        known = {
            one.lower(): one for one in ("AES_256bit", "AES_128bit", "RC4_128bit", "RC4_40bit")
        }
        return known.get(value.lower(), value) if value else "AES_256bit"
    return value


class AddPasswordArgs(DocumentArgs):
    """What ``pdf.add_password`` takes."""

    owner_password: SecretStr = Field(
        min_length=1, max_length=127, description="Password for everything."
    )
    user_password: SecretStr | None = Field(
        None, max_length=127, description="Password that opens the document; none if left out."
    )
    encryption_algorithm: Annotated[Algorithm, BeforeValidator(_algorithm)] = Field(
        "AES_256bit", description="The RC4 ones are broken: for old readers only."
    )
    allow_accessibility_support: bool = Field(False, description="Let programs read the text out.")
    allow_assembly_document: bool = Field(
        False, description="Let pages be added, removed and turned."
    )
    allow_print_document: bool = Field(False, description="Let it be printed.")
    allow_fill_forms: bool = Field(False, description="Let forms be filled in.")
    allow_modify_document: bool = Field(False, description="Let it be changed.")
    allow_content_extraction: bool = Field(False, description="Let text and pictures be copied.")
    allow_modify_annotations: bool = Field(False, description="Let comments be changed.")
    print_quality: Literal["HighResolution", "LowResolution", ""] = Field(
        "", description="LowResolution prints in lower quality only."
    )


class _Item(BaseModel):
    """Clients send more than is known here, and numbers as texts: both are taken."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)


class AnnotationItem(_Item):
    """Text, or a new form field, to put on pages. Points from the top left of the page as people
    see it.
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
    pages: Pages = Field("", max_length=2000, description="Pages, the first is 0; all if left out.")
    text: Annotated[str, BeforeValidator(_as_text)] = Field("", max_length=100_000)
    id: Annotated[str, BeforeValidator(_as_text)] = Field(
        "", max_length=200, description="Name of a new form field."
    )
    size: Annotated[float, Field(gt=0, le=1000)] = Field(
        12.0, description="Of the font, in points."
    )
    color: str = Field("", max_length=20, description="As in #FF0000.")
    link: str = Field("", max_length=2000, description="An address that a click opens.")
    font_name: str = Field("", max_length=80, alias="fontName")
    font_bold: bool = Field(False, alias="fontBold")
    font_italic: bool = Field(False, alias="fontItalic")
    font_underline: bool = Field(False, alias="fontUnderline")
    font_strikeout: bool = Field(False, alias="fontStrikeout")
    alignment: str = Field(
        "left", max_length=20, description="left, center or right, within width."
    )
    transparent: bool = Field(True, description="False: a white box behind the text.")


class ImageItem(_Item):
    """A picture, or the first page of a PDF, to put on pages."""

    # Its address is looked at before the job is accepted, under this very name: take no other
    # spelling.
    url: Source
    x: Points = 0.0
    y: Points = 0.0
    width: Length = None
    height: Length = None
    pages: Pages = Field("", max_length=2000, description="Pages, the first is 0; all if left out.")
    link: str = Field("", max_length=2000, description="An address that a click opens.")


class FieldItem(_Item):
    """A value for a field of the document's form."""

    field_name: str = Field(
        max_length=2000,
        validation_alias=AliasChoices("fieldName", "fieldname", "field_name", "name"),
        serialization_alias="fieldName",
    )
    pages: Pages = Field(
        "", max_length=2000, description="Not needed: a field's name says which it is."
    )
    text: Annotated[str | bool, BeforeValidator(_as_text)] = Field(
        "", description="The value; true or false for a check box, an option's name for the others."
    )


class EditArgs(DocumentArgs):
    """What ``pdf.edit`` takes."""

    annotations: list[AnnotationItem] = Field(
        default_factory=list[AnnotationItem], max_length=MAX_ITEMS
    )
    images: list[ImageItem] = Field(default_factory=list[ImageItem], max_length=100)
    fields: list[FieldItem] = Field(default_factory=list[FieldItem], max_length=MAX_ITEMS)
    flatten: bool = Field(False, description="Make fields and comments part of the pages.")
