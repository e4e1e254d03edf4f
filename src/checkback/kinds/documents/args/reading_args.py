"""The arguments of the kinds that read PDFs, beyond those that all share."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from checkback.kinds.documents.args.common import DocumentArgs, PagesArgs


class ImageArgs(PagesArgs):
    """How to draw pages."""

    type: Literal["jpg", "png", "webp", "tiff"] = Field(
        "jpg", description="The format of the pictures."
    )
    resolution_dpi: float | None = Field(
        None,
        ge=10,
        le=1200,
        description="Points of the picture for each inch of the page; 120 if left out.",
    )


class FindTextArgs(PagesArgs):
    """What to look for."""

    search: str = Field(min_length=1, max_length=2000, description="The text to look for.")
    matching: Literal["SmartMatch", "ExactMatch", "None"] | None = Field(
        None, description="ExactMatch takes whole words in the same case; the others neither."
    )
    regex: bool = Field(False, description="Take the text for a regular expression.")


class InvoiceArgs(DocumentArgs):
    """Which invoice to read."""

    lang: str = Field(
        "eng",
        max_length=60,
        pattern=r"^[A-Za-z0-9_+,/-]*$",
        description="Languages of scans, as in eng+deu.",
    )
