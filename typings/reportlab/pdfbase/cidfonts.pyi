# The part of reportlab that checkback uses; the package ships no types.
class UnicodeCIDFont:
    fontName: str
    def __init__(self, face: str, isVertical: bool = ..., isHalfWidth: bool = ...) -> None: ...
