# Untyped: its values are Any at the border.
from typing import Any

def __getattr__(name: str) -> Any: ...
