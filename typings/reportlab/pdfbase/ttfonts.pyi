# The part of reportlab that checkback uses; the package ships no types.
class TTFError(Exception): ...

class TTFontFace:
    charToGlyph: dict[int, int]

class TTFont:
    face: TTFontFace
    fontName: str
    def __init__(
        self, name: str, filename: str, validate: int = ..., subfontIndex: int = ...
    ) -> None: ...
