"""The shapes in which a secret may lie somewhere: as it is, and as programs write it down for one
another.
"""

from __future__ import annotations

import base64
import re
import zlib

_GZIP = b"\x1f\x8b"


def forms(mark: str) -> re.Pattern[bytes]:
    """Finds a mark as it is, in base64 wherever it begins, with characters
    escaped, in hexadecimal.
    """
    plain = mark.encode()
    found = {plain, plain.hex().encode(), plain.hex().upper().encode(), mark.encode("utf-16-le")}
    for before in range(3):
        written = base64.b64encode(b"\0" * before + plain)
        # The first and the last characters also tell of what stands beside the mark.
        found.add(written[-(-before * 8 // 6) : len(plain) * 8 // 6])
    found.add("".join(f"%{byte:02x}" for byte in plain).encode())
    found.add("".join(f"\\u{byte:04x}" for byte in plain).encode())
    found.add("".join(f"&#{byte};" for byte in plain).encode())
    return re.compile(b"|".join(map(re.escape, found)), re.IGNORECASE)


def unpacked(content: bytes) -> bytes:
    """What a gzipped file holds; any other as it is."""
    return zlib.decompress(content, wbits=31) if content.startswith(_GZIP) else content
