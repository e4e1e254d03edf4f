"""The arguments of the kinds that convert files to PDF, and spreadsheets to other formats."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, SecretStr

from checkback.kinds.documents.args.common import DocumentArgs, OutputArgs, PagesArgs

MAX_HTML_CHARACTERS = 5_000_000


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class ToPdfArgs(PagesArgs):
    """Arguments of ``document.to_pdf`` and ``csv.to_pdf``."""

    pages: str = Field(
        "", max_length=2000, description="Pages of the result to keep, the first is 0."
    )
    autosize: bool = Field(
        False, description="Make one page for each worksheet, as large as the worksheet."
    )


class WorksheetArgs(DocumentArgs):
    """Arguments of the kinds ``excel.to_csv``, ``excel.to_json`` and so on."""

    worksheet_index: Annotated[str, BeforeValidator(_as_text)] = Field(
        "",
        max_length=10,
        description="Number of the worksheet, the first is 1. Default: the first.",
    )


class WorkbookArgs(DocumentArgs):
    """Arguments of ``excel.to_pdf``."""

    worksheet_index: Annotated[str, BeforeValidator(_as_text)] = Field(
        "",
        max_length=10,
        description="Number of the worksheet, the first is 1. Default: all worksheets.",
    )
    autosize: bool = Field(
        False, description="Make one page for each worksheet, as large as the worksheet."
    )


class PaperArgs(BaseModel):
    """Page size and margins."""

    margins: str = Field(
        "",
        max_length=100,
        description="Margins as in CSS: one length such as 10mm, or top right bottom left.",
    )
    paper_size: str = Field(
        "",
        max_length=40,
        description="A4, Letter and so on, or a width and height such as 200mm 300mm.",
    )
    orientation: str = Field("", max_length=20, description="Portrait or Landscape.")


def _lower_case(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


class PrintArgs(PaperArgs):
    """Print options."""

    media_type: Annotated[Literal["print", "screen", "none", ""], BeforeValidator(_lower_case)] = (
        Field("print", description="The CSS media type.")
    )
    header: str = Field(
        "",
        max_length=100_000,
        description="HTML above each page. Elements with the class pageNumber, totalPages, title, "
        "date or url are filled in.",
    )
    footer: str = Field("", max_length=100_000, description="HTML below each page, as in `header`.")
    print_background: bool = Field(True, description="Print backgrounds.")
    do_not_wait_full_load: bool = Field(
        False, description="Do not wait until everything has loaded."
    )


class WebpageToPdfArgs(PrintArgs, OutputArgs):
    """Arguments of ``webpage.to_pdf``. A browser opens the URL, so it is not a source file."""

    url: str = Field(
        min_length=8, max_length=4096, description="URL of the page, with http:// or https://."
    )
    httpusername: str = Field("", max_length=200, description="User name for the page's server.")
    httppassword: SecretStr | None = Field(None, description="Password for the page's server.")
    password: SecretStr | None = Field(None, description="Not used.")


class HtmlToPdfArgs(PrintArgs, OutputArgs):
    """Arguments of ``html.to_pdf``."""

    html: str = Field(min_length=1, max_length=MAX_HTML_CHARACTERS, description="The HTML.")
    httpusername: str = Field("", max_length=200, description="Not used.")
    httppassword: SecretStr | None = Field(None, description="Not used.")
    password: SecretStr | None = Field(None, description="Not used.")


class EmailToPdfArgs(PaperArgs, DocumentArgs):
    """Arguments of ``email.to_pdf``."""

    embed_attachments: bool = Field(
        True, description="Attach the e-mail's attachments to the PDF as files."
    )
    convert_attachments: bool = Field(
        True, description="Add attachments as pages, if they can be converted."
    )
