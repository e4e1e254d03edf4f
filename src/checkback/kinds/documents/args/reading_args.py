"""The arguments of the kinds that read PDFs, in addition to the shared ones."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from checkback.kinds.documents.args.common import DocumentArgs, PagesArgs


class ImageArgs(PagesArgs):
    """Arguments of ``pdf.to_image``."""

    type: Literal["jpg", "png", "webp", "tiff"] = Field("jpg", description="Image format.")
    resolution_dpi: float | None = Field(
        None,
        ge=10,
        le=1200,
        description="Resolution in pixels per inch. Default: 120.",
    )


class FindTextArgs(PagesArgs):
    """Arguments of ``pdf.find_text``."""

    search: str = Field(min_length=1, max_length=2000, description="The text to look for.")
    matching: Literal["SmartMatch", "ExactMatch", "None"] | None = Field(
        None,
        description="ExactMatch finds whole words in the same case; other values ignore both.",
    )
    regex: bool = Field(False, description="Treat `search` as a regular expression.")


class InvoiceArgs(DocumentArgs):
    """Arguments of ``pdf.parse_invoice``."""

    lang: str = Field(
        "eng",
        max_length=60,
        pattern=r"^[A-Za-z0-9_+,/-]*$",
        description="Languages of scanned pages, as in eng+deu.",
    )
