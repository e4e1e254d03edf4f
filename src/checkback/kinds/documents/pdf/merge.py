"""Joins several PDFs into one that keeps what belongs to their pages, and their attached files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pikepdf
from pikepdf import Name, Pdf

from checkback.kinds.documents import failures


def merge(
    parts: Sequence[Path],
    target: Path,
    *,
    password: str = "",
    max_pages: int,
    part_done: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Write the pages of all parts to ``target`` and return how many there are.

    Form fields, bookmarks, links, layers and attachments are kept. Fields are renamed if two parts
    use the same name for different fields. ``password`` opens the parts that need one.
    """
    with Pdf.new() as merged:
        for done, part in enumerate(parts, 1):
            with open_with(part, password) as source:
                if len(merged.pages) + len(source.pages) > max_pages:
                    raise failures.too_many_pages(max_pages)
                refuse_dynamic_form(source)
                merged.add_pages_from(source)
                _carry_form_defaults(source, merged)
                _carry_attachments(source, merged)
            part_done(done, len(parts))
        merged.save(target)
        return len(merged.pages)


def open_with(path: Path, password: str) -> Pdf:
    """Open a PDF, with the password if it fits. The owner password allows everything.

    A job with many files has one password, and some of the files may need none.
    """
    try:
        return Pdf.open(path, password=password)
    except pikepdf.PasswordError:
        if not password:
            raise
        return Pdf.open(path)


def refuse_dynamic_form(source: Pdf) -> None:
    """Refuse a form with XFA only: its one page only says that another reader is needed."""
    form = source.Root.get(Name.AcroForm)
    if form is not None and Name.XFA in form and not list(source.acroform.fields):
        raise failures.unsupported(
            "A dynamic form (XFA)", "Print the form to a PDF with Adobe Reader first."
        )


def _carry_form_defaults(source: Pdf, merged: Pdf) -> None:
    """Keep the setting that makes readers draw fields without appearances."""
    form = source.Root.get(Name.AcroForm)
    if form is not None and Name.AcroForm in merged.Root and form.get(Name.NeedAppearances):
        merged.Root.AcroForm.NeedAppearances = True


def _carry_attachments(source: Pdf, merged: Pdf) -> None:
    for name in source.attachments:
        unique, number = name, 1
        while unique in merged.attachments:
            number += 1
            unique = f"{number}-{name}"
        attachment = source.attachments[name]
        file = attachment.get_file()
        merged.attachments[unique] = pikepdf.AttachedFileSpec(
            merged,
            file.read_bytes(),
            description=attachment.description,
            filename=attachment.filename or name,
            mime_type=file.mime_type,
        )
