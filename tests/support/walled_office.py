"""Converts the office files of a folder by LibreOffice, as a job's process does, with or without
its walls.

Run as ``python walled_office.py FOLDER MODE CLEAN``: MODE is a value of CHECKBACK_SANDBOX, or
``open`` for no walls at all, CLEAN is 1 to take links out first. Leaves ``NAME.pdf`` beside each
file that could be converted.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from checkback.core.errors import JobFailed
from checkback.kinds import registry, sandboxing
from checkback.kinds.context import Environment
from checkback.kinds.documents.files.sniff import sniff
from checkback.kinds.documents.office import libreoffice
from checkback.security.sandbox import policy


def main(folder: Path, mode: str, clean: bool) -> None:
    registry.load()
    files = sorted(folder.iterdir())
    if mode != "open":
        user = policy.user_for_child(os.getpid())
        if user is not None:
            for path in (folder, *files):
                os.chown(path, *user)
        sandboxing.shut_in(
            registry.get("document.to_pdf"), sandboxing.Own(folder), Environment(sandbox=mode)
        )
        if not policy.cut_network():
            sys.exit("the network could not be cut")
    for path in files:
        try:
            libreoffice.office_to_pdf(path, sniff(path), folder, clean=clean).rename(f"{path}.pdf")
        except JobFailed as error:
            print(path.name, error.code)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "1")
