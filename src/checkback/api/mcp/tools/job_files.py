"""Files of jobs for agents: an image as something that the model can see, any file into a folder
that the user allows.

An image can be untrusted, and a broken or huge one would cost an agent its whole conversation:
model APIs refuse the request that contains it. So each is opened and, if needed, shrunk by a
separate process (``checkback.api.mcp.tools.image_converter``) without rights and with little
memory.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mcp_types import ImageContent

from checkback.core.error_text import quoted
from checkback.core.errors import Conflict, InvalidInput, TooLarge

MAX_PICTURE_BYTES = 700_000
"""Limit of the image itself: as base64, with the rest of the result, it stays below 1 MB."""

MAX_SIDE = 2000
"""Pixels. Some model APIs refuse larger images, and all of them scale them down."""

MAX_SOURCE_BYTES = 64 * 1024 * 1024
PICTURE_SECONDS = 30.0
MAX_NAME_BYTES = 255
PROGRAM = Path(__file__).with_name("image_converter.py")


@dataclass(frozen=True, slots=True)
class JobImage:
    """An image that every host can show, and its size in pixels before and after."""

    block: ImageContent
    width: int
    height: int
    original_width: int
    original_height: int
    #: How many pages the file has, of which the first is shown.
    pages: int

    @property
    def is_scaled(self) -> bool:
        return (self.width, self.height) != (self.original_width, self.original_height)


async def read_picture(path: Path) -> JobImage:
    """The image in a file. Raises InvalidInput for a file that is not an image, and TooLarge."""
    if path.stat().st_size > MAX_SOURCE_BYTES:
        raise TooLarge(
            "This image is too large to be shown here.", hint="Open the file at its url."
        )
    with path.open("rb") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", str(PROGRAM), str(MAX_PICTURE_BYTES), str(MAX_SIDE),
            stdin=file,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={},
            start_new_session=True,
        )  # fmt: skip
    try:
        async with asyncio.timeout(PICTURE_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        output = b""
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    head, _, content = output.partition(b"\n")
    if process.returncode != 0 or not content:
        raise InvalidInput(
            "This file cannot be shown as an image.", hint="Open the file at its url."
        )
    found = json.loads(head)
    block = ImageContent(
        type="image", data=base64.b64encode(content).decode(), mime_type=found["media_type"]
    )
    return JobImage(
        block,
        found["width"],
        found["height"],
        found["original_width"],
        found["original_height"],
        found["pages"],
    )


def save_file(source: Path, folder: Path, name: str) -> Path:
    """Copy a file into ``folder`` under a new name. Raises InvalidInput for a name that is not
    plain, Conflict if the name exists: nothing is overwritten, no link is followed.
    """
    _check_name(name)
    where = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            target = os.open(name, flags, 0o600, dir_fd=where)
        except FileExistsError:
            raise Conflict(
                f"`save_as`: the folder {folder} already has a file {quoted(name)}.",
                hint="Choose another name.",
            ) from None
        try:
            with os.fdopen(target, "wb") as output, source.open("rb") as content:
                shutil.copyfileobj(content, output)
        except BaseException:
            os.unlink(name, dir_fd=where)
            raise
    finally:
        os.close(where)
    return folder / name


def _check_name(name: str) -> None:
    if not (_is_plain(name) and _is_short(name)):
        raise InvalidInput(
            f"`save_as` must be a plain file name; got {quoted(name)}.",
            hint="Remove folders, control characters and leading dots from the name.",
        )


def _is_plain(name: str) -> bool:
    has_folder = "/" in name or "\\" in name
    return name.isprintable() and not has_folder and not name.startswith(".")


def _is_short(name: str) -> bool:
    try:
        return 0 < len(name.encode()) <= MAX_NAME_BYTES
    except UnicodeEncodeError:
        return False
