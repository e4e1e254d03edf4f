"""Values put into the fields of a PDF's form, each kind of field in its own way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pikepdf import AcroFormField, Array, Dictionary, Name, Pdf, String

from checkback.kinds.documents import failures
from checkback.kinds.documents.args.making_args import FieldItem

COMBO, EDITABLE, MULTILINE = 1 << 17, 1 << 18, 1 << 12
_YES = frozenset(("true", "yes", "on", "1", "x", "checked", "ja", "oui"))
_NO = frozenset(("", "false", "no", "off", "0", "unchecked", "nein", "non"))


def fill(pdf: Pdf, items: Sequence[FieldItem], log: Callable[[str], None]) -> list[Any]:
    """Set the fields' values; returns the widgets that must be drawn afresh.

    Raises the failures unsupported and invalid_option, the latter with the number of the item.
    """
    _refuse_dynamic_form(pdf)
    fields = _by_name(pdf)
    widgets: list[Any] = []
    for number, item in enumerate(items):
        field = _find(fields, item.field_name)
        if field is None:
            raise failures.invalid_option(
                f"fields[{number}].fieldName", f"the name of one of the form's {len(fields)} fields"
            )
        text = str(item.text).lower() if isinstance(item.text, bool) else item.text
        widgets += _set(field, text, number, log)
    return widgets


def _refuse_dynamic_form(pdf: Pdf) -> None:
    """XFA says a second time what the fields say; what is not kept in step goes."""
    form = pdf.Root.get(Name.AcroForm)
    if form is None or Name.XFA not in form:
        return
    if not list(pdf.acroform.fields):
        raise failures.unsupported(
            "A dynamic form (XFA)", "Print the form to a PDF with Adobe Reader first."
        )
    del form[Name.XFA]


def _by_name(pdf: Pdf) -> dict[str, list[AcroFormField]]:
    """The form's fields by their full names; several entries are the buttons of one field."""
    found: dict[str, list[AcroFormField]] = {}
    for field in pdf.acroform.fields:
        found.setdefault(field.fully_qualified_name, []).append(field)
    return found


def _find(fields: dict[str, list[AcroFormField]], name: str) -> list[AcroFormField] | None:
    """The field of this full name, or the only one whose last part or label is the name."""
    if name in fields:
        return fields[name]
    wanted = name.strip().lower()
    same = [
        found
        for full, found in fields.items()
        if wanted
        in (full.lower(), full.lower().rpartition(".")[2], found[0].alternate_name.lower())
    ]
    return same[0] if len(same) == 1 else None


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
        "A field of this kind", "Only text, choices and check boxes can be filled in."
    )


def _set_text(
    fields: list[AcroFormField], text: str, number: int, log: Callable[[str], None]
) -> list[Any]:
    field = fields[0]
    value = text.replace("\r\n", "\n").replace("\r", "\n")
    if not field.flags & MULTILINE:
        value = value.replace("\n", " ")
    longest = field.get_inheritable_field_value("/MaxLen")
    if longest is not None and len(value) > int(longest):
        log(f"fields[{number}]: the field takes {int(longest)} characters; the rest was cut.")
        value = value[: int(longest)]
    widgets: list[Any] = []
    for one in fields:
        top = _value_holder(one.obj)
        top.V = String(value)
        if Name.RV in top:
            del top[Name.RV]  # the value a second time, with styles
        widgets += _widgets(top)
    return _undrawn(widgets)


def _set_choice(field: AcroFormField, text: str, number: int) -> list[Any]:
    top = _value_holder(field.obj)
    options = _options(field)
    chosen = next((export for export, label in options if text in (export, label)), None)
    if chosen is None:
        same = [
            export for export, label in options if text.lower() in (export.lower(), label.lower())
        ]
        chosen = same[0] if len(same) == 1 else None
    if chosen is None:
        if text and not (field.flags & COMBO and field.flags & EDITABLE):
            raise failures.invalid_option(
                f"fields[{number}].text", f"one of the field's {len(options)} options"
            )
        chosen = text
    top.V = String(chosen)
    positions = [at for at, (export, _) in enumerate(options) if export == chosen]
    if positions and not field.flags & COMBO:
        top.I = Array(positions[:1])
    elif Name.I in top:
        del top[Name.I]
    return _undrawn(_widgets(top))


def _options(field: AcroFormField) -> list[tuple[str, str]]:
    """The field's options, each by what is stored and what is shown."""
    given: Any = field.get_inheritable_field_value("/Opt")
    if not isinstance(given, Array):
        return []
    found: list[tuple[str, str]] = []
    for option in given:
        if isinstance(option, Array) and len(option) == 2:
            found.append((str(option[0]), str(option[1])))
        else:
            found.append((str(option), str(option)))
    return found


def _set_checkbox(buttons: list[AcroFormField], text: str, number: int) -> None:
    for button in buttons:
        top = _value_holder(button.obj)
        for widget in _widgets(top):
            on = _on_state(widget) or "/Yes"
            value = text.strip().lower()
            if text in (on, on[1:]) or value in _YES:
                checked = True
            elif value in _NO:
                checked = False
            else:
                raise failures.invalid_option(
                    f"fields[{number}].text", "true or false, as a check box takes"
                )
            state = Name(on) if checked else Name.Off
            top.V = state
            widget.AS = state


def _set_radio(buttons: list[AcroFormField], text: str, number: int) -> None:
    top = _value_holder(buttons[0].obj)
    widgets = _widgets(top)
    states = [_on_state(widget) for widget in widgets]
    wanted = _radio_state(buttons[0], states, text)
    if wanted is None and text.strip().lower() not in ("", "off"):
        raise failures.invalid_option(
            f"fields[{number}].text", f"one of the field's {len(states)} choices"
        )
    top.V = Name(wanted) if wanted else Name.Off
    for widget, state in zip(widgets, states, strict=True):
        widget.AS = Name(wanted) if wanted is not None and state == wanted else Name.Off


def _radio_state(field: AcroFormField, states: list[str | None], text: str) -> str | None:
    """The state that is meant: by its own name, or by the label that the field gives it."""
    for state in states:
        if state is not None and text in (state, state[1:]):
            return state
    labels = [label for _, label in _options(field)]
    if text in labels and labels.index(text) < len(states):
        return states[labels.index(text)]
    same = [one for one in states if one is not None and one[1:].lower() == text.strip().lower()]
    return same[0] if len(same) == 1 else None


def _on_state(widget: Any) -> str | None:
    """What a button's widget is called when it is on."""
    appearance = widget.get(Name.AP)
    normal: Any = appearance.get(Name.N) if isinstance(appearance, Dictionary) else None
    if not isinstance(normal, Dictionary):
        return None
    return next((str(key) for key in normal if key != "/Off"), None)


def _value_holder(obj: Any) -> Any:
    """The object that has the field's value: its widgets may be kids without a
    name of their own.
    """
    for _ in range(32):
        parent = obj.get(Name.Parent)
        if Name.T in obj or not isinstance(parent, Dictionary):
            return obj
        obj = parent
    raise failures.invalid_document()


def _widgets(top: Any) -> list[Any]:
    kids = top.get(Name.Kids)
    if isinstance(kids, Array) and len(kids):
        return [kid for kid in kids if isinstance(kid, Dictionary) and Name.T not in kid]
    return [top]


def _undrawn(widgets: list[Any]) -> list[Any]:
    for widget in widgets:
        if Name.AP in widget:
            del widget[Name.AP]
    return widgets
