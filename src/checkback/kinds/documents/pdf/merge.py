"""Several PDFs joined into one that keeps what belongs to their pages, and their attached files."""

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

    Form fields stay fields, renamed where two parts use the same name for different fields;
    bookmarks, links, layers and attachments are kept. ``password`` opens the parts that need one.
    """
    with Pdf.new() as merged:
        for done, part in enumerate(parts, 1):
            with open_with(part, password) as source:
                if len(merged.pages) + len(source.pages) > max_pages:
                    raise failures.too_many_pages(max_pages)
                _refuse_dynamic_form(source)
                merged.add_pages_from(source)
                _carry_form_defaults(source, merged)
                _carry_attachments(source, merged)
            part_done(done, len(parts))
        merged.save(target)
        return len(merged.pages)


def open_with(path: Path, password: str) -> Pdf:
    """Open a PDF, with the password where that opens it: an owner's one allows everything.

    A job that works on many files has one password, and other files may need none.
    """
    try:
        return Pdf.open(path, password=password)
    except pikepdf.PasswordError:
        if not password:
            raise
        return Pdf.open(path)


def _refuse_dynamic_form(source: Pdf) -> None:
    """A form of XFA alone has one page that asks for another reader; joining those helps nobody."""
    form = source.Root.get(Name.AcroForm)
    if form is not None and Name.XFA in form and not list(source.acroform.fields):
        raise failures.unsupported(
            "A dynamic form (XFA)", "Print the form to a PDF with Adobe Reader first."
        )


def _carry_form_defaults(source: Pdf, merged: Pdf) -> None:
    """Fields without appearances are drawn by the reader, if the document asks it to."""
    form = source.Root.get(Name.AcroForm)
    if form is not None and Name.AcroForm in merged.Root and form.get(Name.NeedAppearances):
        merged.Root.AcroForm.NeedAppearances = True


def _carry_attachments(source: Pdf, merged: Pdf) -> None:
    for name in source.attachments:
        unique, number = name, 1
        while unique in merged.attachments:
            number += 1
            unique = f"{number}-{name}"
        given = source.attachments[name]
        file = given.get_file()
        merged.attachments[unique] = pikepdf.AttachedFileSpec(
            merged,
            file.read_bytes(),
            description=given.description,
            filename=given.filename or name,
            mime_type=file.mime_type,
        )
