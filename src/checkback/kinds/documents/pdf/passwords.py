"""Protection of PDFs: four algorithms, and the permissions that readers follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pikepdf import Encryption, Permissions

from checkback.kinds.documents.args.making_args import Algorithm

# RC4 is insecure and only for readers of the 1990s; it cannot leave metadata readable.
_REVISIONS: dict[Algorithm, Literal[2, 3, 4, 6]] = {
    "AES_256bit": 6,
    "AES_128bit": 4,
    "RC4_128bit": 3,
    "RC4_40bit": 2,
}


@dataclass(frozen=True, slots=True)
class Allowed:
    """What people without the owner password may do. Readers may ignore it: it hides nothing."""

    accessibility: bool = False
    assembly: bool = False
    printing: bool = False
    printing_in_full: bool = True
    forms: bool = False
    changes: bool = False
    copying: bool = False
    comments: bool = False


def encryption(owner: str, user: str, algorithm: Algorithm, allowed: Allowed) -> Encryption:
    """The encryption of a file, for ``Pdf.save``."""
    revision = _REVISIONS[algorithm]
    permissions = Permissions(
        accessibility=allowed.accessibility,
        extract=allowed.copying,
        modify_annotation=allowed.comments,
        modify_assembly=allowed.assembly,
        modify_form=allowed.forms,
        modify_other=allowed.changes,
        print_lowres=allowed.printing,
        print_highres=allowed.printing and allowed.printing_in_full,
    )
    with_aes = revision >= 4
    return Encryption(
        owner=owner, user=user, R=revision, allow=permissions, aes=with_aes, metadata=with_aes
    )
