"""The server that the doors' tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from serving import Victim, serving


@pytest.fixture(scope="session")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    """One server for the run."""
    with serving(tmp_path_factory.mktemp("victim") / "home") as found:
        yield found
