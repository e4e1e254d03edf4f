"""Reads an image from standard input, and writes one that every host can show. Run as a script, by
its path.

``python -I picture_program.py MAX_BYTES MAX_SIDE`` writes a line of JSON (media type, size in
pixels before and after), then the image: unchanged if it fits, else a smaller one. A file that
Pillow cannot read to its end has exit code 1. What it reads can be hostile, so it gives up its
rights, its network and most of its memory before it reads.
"""

from __future__ import annotations

import io
import json
import os
import pwd
import resource
import sys

from PIL import Image

SAME = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif"}
"""Formats that hosts show as they are."""

READ = (*SAME, "TIFF", "BMP")
WITHOUT_PALETTE = ("JPEG", "WEBP")
MOVING = ("image/gif", "image/webp")
"""Returned unchanged, these are shown with all their frames."""
MAX_PIXELS = 100_000_000
MEMORY_BYTES = 1 << 30
CPU_SECONDS = 20


def main(max_bytes: int, max_side: int) -> int:
    """Read, convert, write."""
    import_everything()
    confine()
    content = sys.stdin.buffer.read()
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    try:
        with Image.open(io.BytesIO(content), formats=READ) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                return 1
            original, pages = picture.size, int(getattr(picture, "n_frames", 1))
            media_type, written, size = shown(content, picture, max_bytes, max_side)
    except Exception:
        return 1
    head = {
        "media_type": media_type,
        "width": size[0],
        "height": size[1],
        "original_width": original[0],
        "original_height": original[1],
        "pages": pages if media_type not in MOVING else 1,
    }
    sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + written)
    return 0


def import_everything() -> None:
    """Read and shrink one image of every format.

    Pillow imports much when it first needs it, and later no file can be opened.
    """
    Image.init()
    for form in READ:
        _shrink_sample("RGB", form)
        if form not in WITHOUT_PALETTE:
            _shrink_sample("P", form)


def _shrink_sample(mode: str, form: str) -> None:
    buffer = io.BytesIO()
    Image.new(mode, (2, 2)).save(buffer, form)
    with Image.open(buffer, formats=READ) as picture:
        shown(buffer.getvalue(), picture, 1 << 20, 1)


def shown(
    content: bytes, picture: Image.Image, max_bytes: int, max_side: int
) -> tuple[str, bytes, tuple[int, int]]:
    """Media type, bytes and size of what is shown of an image."""
    fits = len(content) <= max_bytes and max(picture.size) <= max_side
    if fits and picture.format in SAME:
        picture.load()
        return SAME[picture.format], content, picture.size
    picture.thumbnail((max_side, max_side))
    flat = Image.new("RGB", picture.size, "white")
    colors = picture.convert("RGBA")
    flat.paste(colors, mask=colors.getchannel("A"))
    side = max_side
    while True:
        flat.thumbnail((side, side))
        buffer = io.BytesIO()
        flat.save(buffer, "JPEG", quality=85)
        if buffer.tell() <= max_bytes:
            return "image/jpeg", buffer.getvalue(), flat.size
        side = side * 3 // 4


def confine() -> None:
    """Give up rights, files and memory, for good."""
    if os.geteuid() == 0:
        try:
            entry = pwd.getpwnam("nobody")
            user, group = entry.pw_uid, entry.pw_gid
        except KeyError:
            user, group = 65534, 65534
        os.setgroups([])
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
