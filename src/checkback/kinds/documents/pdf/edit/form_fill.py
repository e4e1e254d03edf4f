"""Puts values into the fields of a PDF's form, for each type of field in its own way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pikepdf import AcroFormField, Array, Dictionary, Name, Pdf, String

from checkback.kinds.documents import failures
from checkback.kinds.documents.args.making_args import FieldItem
from checkback.kinds.documents.pdf.merge import refuse_dynamic_form

COMBO, EDITABLE, MULTILINE = 1 << 17, 1 << 18, 1 << 12
_EDITABLE_COMBO = COMBO | EDITABLE
_YES = frozenset(("true", "yes", "on", "1", "x", "checked", "ja", "oui"))
_NO = frozenset(("", "false", "no", "off", "0", "unchecked", "nein", "non"))


def fill(pdf: Pdf, items: Sequence[FieldItem], log: Callable[[str], None]) -> list[Any]:
    """Set the values of the fields; returns the widgets that must be drawn again.

    Raises the failures ``unsupported`` and ``invalid_option``, which names the number of the item.
    """
    refuse_dynamic_form(pdf)
    _remove_xfa(pdf)
    fields = _by_name(pdf)
    widgets: list[Any] = []
    for number, item in enumerate(items):
        field = _find(fields, item.field_name)
        if field is None:
            raise failures.invalid_option(
                f"fields[{number}].fieldName",
                f"the name of one of the {len(fields)} fields of the form",
                item.field_name,
            )
        text = str(item.text).lower() if isinstance(item.text, bool) else item.text
        widgets += _set(field, text, number, log)
    return widgets


def _remove_xfa(pdf: Pdf) -> None:
    """Remove XFA, which repeats the values of the fields."""
    form = pdf.Root.get(Name.AcroForm)
    if form is not None and Name.XFA in form:
        del form[Name.XFA]


def _by_name(pdf: Pdf) -> dict[str, list[AcroFormField]]:
    """The fields of the form by their full names; several entries are the buttons of one field."""
    by_name: dict[str, list[AcroFormField]] = {}
    for field in pdf.acroform.fields:
        by_name.setdefault(field.fully_qualified_name, []).append(field)
    return by_name


def _find(fields: dict[str, list[AcroFormField]], name: str) -> list[AcroFormField] | None:
    """The field of this full name, or the only one whose last part or label is the name."""
    if name in fields:
        return fields[name]
    wanted = name.strip().lower()
    same = [buttons for full, buttons in fields.items() if wanted in _names(full, buttons[0])]
    return same[0] if len(same) == 1 else None


def _names(full_name: str, field: AcroFormField) -> tuple[str, str, str]:
    """The names by which a field can be found, in lower case."""
    lowered = full_name.lower()
    return lowered, lowered.rpartition(".")[2], field.alternate_name.lower()


def _set(
    buttons: list[AcroFormField], text: str, number: int, log: Callable[[str], None]
) -> list[Any]:
    field = buttons[0]
    if field.is_text:
        return _set_text(buttons, text, number, log)
    if field.is_choice:
        return _set_choice(field, text, number)
    if field.is_radio_button:
        _set_radio(buttons, text, number)
        return []
    if field.is_checkbox:
        _set_checkbox(buttons, text, number)
        return []
    raise failures.unsupported(
        "A field of this type", "Only text, choices and check boxes can be filled in."
    )


def _set_text(
    fields: list[AcroFormField], text: str, number: int, log: Callable[[str], None]
) -> list[Any]:
    value, cut_to = _fitted(fields[0], text)
    if cut_to is not None:
        log(f"fields[{number}]: the field accepts {cut_to} characters; the rest was cut.")
    widgets: list[Any] = []
    for field in fields:
        holder = _value_holder(field.obj)
        holder.V = String(value)
        if Name.RV in holder:
            del holder[Name.RV]  # the value again, with styles
        widgets += _widgets(holder)
    return _undrawn(widgets)


def _fitted(field: AcroFormField, text: str) -> tuple[str, int | None]:
    """The text as the field accepts it, and the maximum length if it was cut."""
    value = text.replace("\r\n", "\n").replace("\r", "\n")
    if not field.flags & MULTILINE:
        value = value.replace("\n", " ")
    max_length = field.get_inheritable_field_value("/MaxLen")
    if max_length is None or len(value) <= int(max_length):
        return value, None
    return value[: int(max_length)], int(max_length)


def _set_choice(field: AcroFormField, text: str, number: int) -> list[Any]:
    holder = _value_holder(field.obj)
    options = _options(field)
    value = _choice_value(field, options, text, number)
    holder.V = String(value)
    _set_position(field, holder, [export for export, _ in options], value)
    return _undrawn(_widgets(holder))


def _choice_value(
    field: AcroFormField, options: list[tuple[str, str]], text: str, number: int
) -> str:
    """The value of the option that the text names, or the text if the field accepts any."""
    value = _option_value(options, text)
    if value is not None:
        return value
    is_editable = field.flags & _EDITABLE_COMBO == _EDITABLE_COMBO
    if text and not is_editable:
        raise failures.invalid_option(
            f"fields[{number}].text", f"one of the {len(options)} options of the field"
        )
    return text


def _option_value(options: list[tuple[str, str]], text: str) -> str | None:
    """The value of the option that the text names, by its value or its label."""
    for export, label in options:
        if text in (export, label):
            return export
    wanted = text.lower()
    same = [export for export, label in options if wanted in (export.lower(), label.lower())]
    return same[0] if len(same) == 1 else None


def _set_position(field: AcroFormField, holder: Any, values: list[str], value: str) -> None:
    """Set the position of a list's selected option; other choices have none."""
    if value in values and not field.flags & COMBO:
        holder.I = Array([values.index(value)])
    elif Name.I in holder:
        del holder[Name.I]


def _options(field: AcroFormField) -> list[tuple[str, str]]:
    """The field's options, each as the value that is stored and the label that is shown."""
    entries: Any = field.get_inheritable_field_value("/Opt")
    return [_option(entry) for entry in entries] if isinstance(entries, Array) else []


def _option(entry: Any) -> tuple[str, str]:
    if isinstance(entry, Array) and len(entry) == 2:
        return str(entry[0]), str(entry[1])
    return str(entry), str(entry)


def _set_checkbox(buttons: list[AcroFormField], text: str, number: int) -> None:
    for button in buttons:
        holder = _value_holder(button.obj)
        for widget in _widgets(holder):
            state = _checkbox_state(text, _on_state(widget) or "/Yes", number)
            holder.V = state
            widget.AS = state


def _checkbox_state(text: str, on: str, number: int) -> Name:
    """The state of a box that is ``on`` when it is checked. Raises the failure of another text."""
    value = text.strip().lower()
    if text in (on, on[1:]) or value in _YES:
        return Name(on)
    if value in _NO:
        return Name.Off
    raise failures.invalid_option(f"fields[{number}].text", "true or false")


def _set_radio(buttons: list[AcroFormField], text: str, number: int) -> None:
    holder = _value_holder(buttons[0].obj)
    widgets = _widgets(holder)
    states = list(map(_on_state, widgets))
    chosen = _radio_state(buttons[0], states, text)
    if not chosen and text.strip().lower() not in ("", "off"):
        raise failures.invalid_option(
            f"fields[{number}].text", f"one of the {len(states)} choices of the field"
        )
    on = Name(chosen) if chosen else Name.Off
    holder.V = on
    for widget, state in zip(widgets, states, strict=True):
        widget.AS = on if state == chosen else Name.Off


def _radio_state(field: AcroFormField, states: list[str], text: str) -> str:
    """The state that the text names: by the state's own name, or by its label in the field."""
    named = [state for state in filter(None, states) if text in (state, state[1:])]
    if named:
        return named[0]
    labels = [label for _, label in _options(field)][: len(states)]
    return states[labels.index(text)] if text in labels else _similar_state(states, text)


def _similar_state(states: list[str], text: str) -> str:
    """The only state with the name ``text`` in any case; else an empty text."""
    wanted = text.strip().lower()
    same = [state for state in filter(None, states) if state[1:].lower() == wanted]
    return same[0] if len(same) == 1 else ""


def _on_state(widget: Any) -> str:
    """The name of the state of a button's widget when it is on; an empty text without one."""
    appearance = widget.get(Name.AP)
    normal: Any = appearance.get(Name.N) if isinstance(appearance, Dictionary) else None
    if not isinstance(normal, Dictionary):
        return ""
    return next((str(key) for key in normal if key != "/Off"), "")


def _value_holder(obj: Any) -> Any:
    """The object that has the value of the field: its widgets may be children without a name."""
    for _ in range(32):
        parent = obj.get(Name.Parent)
        if Name.T in obj or not isinstance(parent, Dictionary):
            return obj
        obj = parent
    raise failures.invalid_document()


def _widgets(holder: Any) -> list[Any]:
    kids = holder.get(Name.Kids)
    if isinstance(kids, Array) and len(kids):
        return [kid for kid in kids if isinstance(kid, Dictionary) and Name.T not in kid]
    return [holder]


def _undrawn(widgets: list[Any]) -> list[Any]:
    """Remove the appearances of the widgets, and return the widgets."""
    for widget in widgets:
        if Name.AP in widget:
            del widget[Name.AP]
    return widgets
