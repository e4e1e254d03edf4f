"""Whole files as PDF.co's users wrap them: encrypted by AES with a key of their own, or as base64
text.

Encrypted first, then base64. The mode is CBC with PKCS7 padding, so that the vendor's samples open
it.
"""

from __future__ import annotations

import base64
from pathlib import Path

from checkback.kinds.documents import failures
from checkback.kinds.documents.args.profiles import Cipher, ProfileOptions

_BLOCK_BITS = 128


def wrapped(content: bytes | str | Path, options: ProfileOptions) -> bytes | str | Path:
    """A result as the options want it; as it is where they want nothing."""
    if options.encryption is None and not options.as_base64:
        return content
    data = content.read_bytes() if isinstance(content, Path) else content
    data = data.encode() if isinstance(data, str) else data
    if options.encryption is not None:
        data = encrypt(data, options.encryption)
    return base64.b64encode(data) if options.as_base64 else data


def unwrap(path: Path, options: ProfileOptions) -> None:
    """Decrypt a source in place where the options say so. Raises the failure of a wrong key."""
    if options.decryption is not None:
        path.write_bytes(decrypt(path.read_bytes(), options.decryption))


def encrypt(data: bytes, cipher: Cipher) -> bytes:
    """The data encrypted."""
    from cryptography.hazmat.primitives.ciphers import Cipher as Aes
    from cryptography.hazmat.primitives.ciphers import algorithms, modes
    from cryptography.hazmat.primitives.padding import PKCS7

    padder = PKCS7(_BLOCK_BITS).padder()
    writer = Aes(algorithms.AES(cipher.key), modes.CBC(cipher.iv)).encryptor()
    return writer.update(padder.update(data) + padder.finalize()) + writer.finalize()


def decrypt(data: bytes, cipher: Cipher) -> bytes:
    """The data in clear. Raises the failure invalid_document where it was not
    made with this key.
    """
    from cryptography.hazmat.primitives.ciphers import Cipher as Aes
    from cryptography.hazmat.primitives.ciphers import algorithms, modes
    from cryptography.hazmat.primitives.padding import PKCS7

    reader = Aes(algorithms.AES(cipher.key), modes.CBC(cipher.iv)).decryptor()
    unpadder = PKCS7(_BLOCK_BITS).unpadder()
    try:
        return unpadder.update(reader.update(data) + reader.finalize()) + unpadder.finalize()
    except ValueError:
        raise failures.undecipherable() from None
