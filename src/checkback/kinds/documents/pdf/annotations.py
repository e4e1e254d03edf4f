"""The annotations of PDF pages: comments, links, and the widgets of form fields."""

from __future__ import annotations

from typing import Any

from pikepdf import Array, Dictionary, Name


def annotations_of(page: Any) -> Any:
    """The array of a page's annotations, which may contain any objects; empty if it has none."""
    annotations = page.obj.get(Name.Annots)
    return annotations if isinstance(annotations, Array) else []


def has_subtype(annotation: Any, subtype: Name) -> bool:
    """Whether the object is an annotation of this type."""
    return isinstance(annotation, Dictionary) and annotation.get(Name.Subtype) == subtype


def is_widget(annotation: Any) -> bool:
    """Whether the object displays a form field."""
    return has_subtype(annotation, Name.Widget)
