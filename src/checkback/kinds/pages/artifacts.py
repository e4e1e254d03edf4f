"""The files that a page analysis leaves: screenshots, design tokens, the HTML and the report."""

from __future__ import annotations

import io
import json
from typing import Any

from PIL import Image

from checkback.core.job import Artifact
from checkback.kinds.context import JobContext
from checkback.kinds.pages.audits.design_tokens import design_tokens, tokens_as_css

Fields = dict[str, Any]


class PageArtifacts:
    """Writes a job's files and remembers them."""

    def __init__(self, ctx: JobContext) -> None:
        self._ctx = ctx
        self.files: list[Artifact] = []
        #: The screenshots, as the report lists them.
        self.screenshots: list[Fields] = []

    def has(self, name: str) -> bool:
        return any(artifact.name == name for artifact in self.files)

    def add_text(self, name: str, text: str, media_type: str) -> None:
        """Write a file as UTF-8. Half of a surrogate pair, which only JavaScript allows, is
        replaced.
        """
        content = text.encode("utf-8", "replace")
        self.files.append(self._ctx.artifact(name, content, media_type))

    def add_tokens(self, design: Fields) -> None:
        """Write the page's look for other tools: as design tokens and as CSS variables."""
        tokens = design_tokens(design)
        if tokens:
            text = json.dumps(tokens, ensure_ascii=False, indent=1)
            self.add_text("tokens.json", text, "application/json")
            self.add_text("tokens.css", tokens_as_css(tokens), "text/css")

    def add_screenshot(self, name: str, image: bytes | None, viewport: str) -> None:
        """Write a screenshot, unless the browser could not take it."""
        if image is None:
            return
        artifact = self._ctx.artifact(name, image, "image/jpeg")
        with Image.open(io.BytesIO(image)) as opened:
            width, height = opened.size
        self.files.append(artifact)
        entry = {
            "id": artifact.id,
            "name": name,
            "kind": "screenshot",
            "viewport": viewport,
            "width": width,
            "height": height,
            "bytes": artifact.size_bytes,
        }
        self.screenshots.append(entry)
