"""The arguments of the kinds that make PDFs of other files, and other files of spreadsheets."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, SecretStr

from checkback.kinds.documents.args.common import DocumentArgs, OutputArgs, PagesArgs

MAX_HTML_CHARACTERS = 5_000_000


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class ToPdfArgs(PagesArgs):
    """What ``document.to_pdf`` and ``csv.to_pdf`` take."""

    pages: str = Field("", max_length=2000, description="Pages of the result, the first is 0.")
    autosize: bool = Field(False, description="One page for each worksheet, as large as it is.")


class WorksheetArgs(DocumentArgs):
    """What the kinds for spreadsheets take."""

    worksheet_index: Annotated[str, BeforeValidator(_as_text)] = Field(
        "", max_length=10, description="Which worksheet, the first is 1; the first if left out."
    )


class WorkbookArgs(DocumentArgs):
    """What ``excel.to_pdf`` takes."""

    worksheet_index: Annotated[str, BeforeValidator(_as_text)] = Field(
        "", max_length=10, description="Which worksheet, the first is 1; all if left out."
    )
    autosize: bool = Field(False, description="One page for each worksheet, as large as it is.")


class PaperArgs(BaseModel):
    """How large pages are."""

    margins: str = Field(
        "", max_length=100, description="Margins as in CSS: 10mm, or top right bottom left."
    )
    paper_size: str = Field(
        "", max_length=40, description="A4, Letter and so on, or as in 200mm 300mm."
    )
    orientation: str = Field("", max_length=20, description="Portrait or Landscape.")


def _medium(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


class PrintArgs(PaperArgs):
    """How a page is printed."""

    media_type: Annotated[Literal["print", "screen", "none", ""], BeforeValidator(_medium)] = Field(
        "print", description="The CSS medium."
    )
    header: str = Field(
        "",
        max_length=100_000,
        description="HTML above each page; classes pageNumber, totalPages, title, date, url are filled in.",
    )
    footer: str = Field("", max_length=100_000, description="HTML below each page, as header.")
    print_background: bool = Field(True, description="Print backgrounds.")
    do_not_wait_full_load: bool = Field(
        False, description="Do not wait until everything has loaded."
    )


class WebpageToPdfArgs(PrintArgs, OutputArgs):
    """What ``webpage.to_pdf`` takes. The address is opened in a browser; it is no file to fetch."""

    url: str = Field(
        min_length=8, max_length=4096, description="The page, with http:// or https://."
    )
    httpusername: str = Field("", max_length=200, description="User name for the page's server.")
    httppassword: SecretStr | None = Field(None, description="Password for the page's server.")
    password: SecretStr | None = Field(None, description="Not used.")


class HtmlToPdfArgs(PrintArgs, OutputArgs):
    """What ``html.to_pdf`` takes."""

    html: str = Field(min_length=1, max_length=MAX_HTML_CHARACTERS, description="The HTML.")
    httpusername: str = Field("", max_length=200, description="Not used.")
    httppassword: SecretStr | None = Field(None, description="Not used.")
    password: SecretStr | None = Field(None, description="Not used.")


class EmailToPdfArgs(PaperArgs, DocumentArgs):
    """What ``email.to_pdf`` takes."""

    embed_attachments: bool = Field(True, description="Put attachments into the PDF as files.")
    convert_attachments: bool = Field(
        True, description="Add attachments as pages where that can be done."
    )
