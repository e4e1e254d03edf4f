"""Whole files, wrapped as PDF.co's users request it: encrypted by AES with their key, or as base64
text.

Files are encrypted first, then encoded. The mode is CBC with PKCS7 padding, as in the vendor's
samples.
"""

from __future__ import annotations

import base64
from pathlib import Path

from checkback.kinds.documents import failures
from checkback.kinds.documents.args.profiles import Cipher, ProfileOptions

_BLOCK_BITS = 128


def wrapped(content: bytes | str | Path, options: ProfileOptions) -> bytes | str | Path:
    """A result, encrypted and encoded if the options say so."""
    if options.encryption is None and not options.as_base64:
        return content
    data = _bytes_of(content)
    if options.encryption is not None:
        data = encrypt(data, options.encryption)
    return base64.b64encode(data) if options.as_base64 else data


def _bytes_of(content: bytes | str | Path) -> bytes:
    if isinstance(content, Path):
        return content.read_bytes()
    return content.encode() if isinstance(content, str) else content


def unwrap(path: Path, options: ProfileOptions) -> None:
    """Decrypt a source in place if the options say so. Raises the failure of a wrong key."""
    if options.decryption is not None:
        path.write_bytes(decrypt(path.read_bytes(), options.decryption))


def encrypt(data: bytes, cipher: Cipher) -> bytes:
    """The encrypted data."""
    from cryptography.hazmat.primitives.ciphers import Cipher as Aes
    from cryptography.hazmat.primitives.ciphers import algorithms, modes
    from cryptography.hazmat.primitives.padding import PKCS7

    padder = PKCS7(_BLOCK_BITS).padder()
    writer = Aes(algorithms.AES(cipher.key), modes.CBC(cipher.iv)).encryptor()
    return writer.update(padder.update(data) + padder.finalize()) + writer.finalize()


def decrypt(data: bytes, cipher: Cipher) -> bytes:
    """The decrypted data. Raises the failure ``invalid_document`` for a wrong key."""
    from cryptography.hazmat.primitives.ciphers import Cipher as Aes
    from cryptography.hazmat.primitives.ciphers import algorithms, modes
    from cryptography.hazmat.primitives.padding import PKCS7

    reader = Aes(algorithms.AES(cipher.key), modes.CBC(cipher.iv)).decryptor()
    unpadder = PKCS7(_BLOCK_BITS).unpadder()
    try:
        return unpadder.update(reader.update(data) + reader.finalize()) + unpadder.finalize()
    except ValueError:
        raise failures.decryption_failed() from None
