"""The content and signature of a callback: made here, because the engine does not know the APIs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from checkback.core.job import JSON, Job
from checkback.core.states import State
from checkback.engine.worker.webhooks import WebhookSettings
from checkback.security.encryption import SecretCipher, derive, load_secret
from checkback.security.signed_urls import LinkSigner
from checkback.settings import Settings


def callback_settings(settings: Settings) -> WebhookSettings:
    """Callbacks in PDF.co's format, as a check would return, with new links."""
    secret = load_secret(settings.home, settings.secret_key)
    chosen = settings.callback_secret
    signer = LinkSigner(derive(secret, "links"))

    def render(job: Job, context: Mapping[str, Any]) -> JSON:
        # Imported at the first callback: most workers never send one.
        from checkback.api.signed_files import FileLinks, valid_until
        from checkback.dialects.pdfco import responses

        links = FileLinks(signer, str(context.get("base_url", "")))
        until = valid_until(context.get("expiration"))
        made = links.of_job(job, until) if job.state is State.COMPLETED else {}
        return responses.check(job, links=made, valid_till=until, duration_ms=0)

    key = chosen.encode() if chosen else derive(secret, "callbacks")
    return WebhookSettings(render, key, SecretCipher(secret).open)
