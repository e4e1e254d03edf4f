"""What is asked of a job before it is accepted: a known kind, valid arguments, sources that the
caller may use.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from checkback.core import heavy, ids
from checkback.core.errors import Forbidden, TooLarge
from checkback.security.addresses import AddressPolicy, check_url
from checkback.security.auth.callers import Caller
from checkback.security.encryption import SecretCipher
from checkback.service.sources import Sources
from checkback.storage.uploads import KEEP_SECONDS

if TYPE_CHECKING:
    from checkback.kinds.registry import Kind

MAX_ARGS_BYTES = 256 * 1024


class Submissions:
    """Checks submissions, and makes what is stored of them. Nothing is stored here."""

    def __init__(
        self,
        sealer: SecretCipher,
        addresses: AddressPolicy,
        sources: Sources,
        pdfco_key_owners: Iterable[str],
    ) -> None:
        self._sealer = sealer
        self._addresses = addresses
        self._sources = sources
        self._pdfco_key_owners = frozenset(pdfco_key_owners)

    async def admit(
        self, caller: Caller, kind: str, args: Mapping[str, Any], delay_seconds: float
    ) -> tuple[Kind, dict[str, Any], str]:
        """The kind, the arguments as they are stored, and the hash that recognizes the same
        request.

        Raises UnknownKind, InvalidInput, Forbidden or TooLarge.
        """
        # Imported here: a command that only reads a state must not wait for pydantic (checkback
        # check has 300 ms).
        from checkback.kinds import registry

        found = registry.get(kind)
        if found.uses_pdfco and not args.get("api_key"):
            self._check_pdfco_key(caller)
        light = heavy.is_light(args)
        given = await heavy.run(found.admitted, args, self._addresses, light=light)
        if found.sources:
            given = await self._sources.resolve(caller, found, given, delay_seconds + KEEP_SECONDS)
        sealed, args_hash = await heavy.run(self._seal, found.name, given, light=light)
        return found, sealed, args_hash

    def check_callback(self, callback: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """A callback as it is stored: its URL may contain a key of its receiver. Raises
        InvalidInput for an address that may not be reached.
        """
        if callback is None:
            return None
        url = str(callback["url"])
        check_url(url, self._addresses)
        return {**callback, "url": self._sealer.seal_text(url)}

    def may_use_pdfco_key(self, caller: Caller) -> bool:
        """Whether this caller's jobs may run at PDF.co with the server's own key, which costs its
        credits.
        """
        return caller.is_admin or caller.owner in self._pdfco_key_owners

    def _check_pdfco_key(self, caller: Caller) -> None:
        if not self.may_use_pdfco_key(caller):
            raise Forbidden(
                "Your jobs may not use this server's PDF.co key.",
                hint="Send your own key as `api_key`, or ask the operator to add your name to "
                "CHECKBACK_PDFCO_KEY_OWNERS.",
            )

    def _seal(self, kind: str, args: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
        sealed = self._sealer.seal(args)
        if len(json.dumps(sealed, allow_nan=False)) > MAX_ARGS_BYTES:
            raise TooLarge(
                f"The arguments are larger than the limit of {MAX_ARGS_BYTES // 1024} KB."
            )
        return sealed, ids.hash_of({"kind": kind, "args": self._sealer.fingerprint(args)})
