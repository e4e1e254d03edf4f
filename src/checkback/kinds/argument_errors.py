"""What is wrong with some arguments, in sentences that name each parameter.

pydantic says "url: Field required"; agents and people read "`url` is required." Values are repeated
only where they cannot be secret: numbers, and words that are not one of a fixed set.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from checkback.core.error_text import did_you_mean, quoted

MAX_SENTENCES = 8
"""Of very many errors, the first ones are reported."""

_HOST = re.compile(r"[A-Za-z0-9.-]{1,80}")

Problem = Mapping[str, Any]
"""One entry of ``ValidationError.errors()``."""


def describe(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """What is wrong, one sentence for each parameter. With the ``model``, an unknown parameter gets
    the known one that is most like it.
    """
    sentences: list[str] = []
    for where, problems in _by_parameter(error).items():
        sentences.append(_sentence(where, problems, model))
        if len(sentences) == MAX_SENTENCES:
            break
    return " ".join(sentences)


def _by_parameter(error: ValidationError) -> dict[str, list[Problem]]:
    """The problems by the path of their parameter: the alternatives of a union come together."""
    found: dict[str, list[Problem]] = {}
    for problem in error.errors(include_url=False):
        found.setdefault(_parameter(problem), []).append(problem)
    return found


def _parameter(problem: Problem) -> str:
    """The path of the parameter, without the alternative of a union."""
    path = tuple(problem["loc"])
    if len(path) > 1 and _is_alternative(path[-1]):
        path = path[:-1]
    return ".".join(map(str, path))


def _is_alternative(part: int | str) -> bool:
    """Whether a part of a path is the name that pydantic gives to one type of a union."""
    return isinstance(part, str) and (part in _TYPE_NAMES or "[" in part)


_TYPE_NAMES = frozenset(
    {"str", "int", "float", "bool", "none", "constrained-str", "constrained-int"}
)


def _sentence(where: str, problems: list[Problem], model: type[BaseModel] | None) -> str:
    first = problems[0]
    if first["type"] == "missing":
        return f"`{where}` is required."
    if first["type"] == "extra_forbidden":
        return f"Unknown argument `{where}`.{_suggestion(first['loc'], model)}"
    if first["type"] in ("value_error", "assertion_error"):
        return _own_sentence(where, first)
    return _requirement_sentence(where, problems)


def _requirement_sentence(where: str, problems: list[Problem]) -> str:
    """What the parameter must be: one of the alternatives of a union."""
    requirements = dict.fromkeys(map(_requirement, problems))
    subject = f"`{where}`" if where else "The arguments"
    sentence = f"{subject} {' or '.join(requirements).replace(' or must be ', ' or ')}"
    if sentence.endswith("?"):
        return sentence
    return f"{sentence}{_shown(problems[0])}."


def _suggestion(path: tuple[int | str, ...], model: type[BaseModel] | None) -> str:
    """The parameter that was probably meant instead of the unknown one, in the same object."""
    for part in path[:-1]:
        model = _model_at(model, part) if model is not None else None
    return did_you_mean(str(path[-1]), _parameters(model)) if model is not None else ""


def _model_at(model: type[BaseModel], part: int | str) -> type[BaseModel] | None:
    """The model of the objects in one parameter; for the index of a list, the model itself."""
    if isinstance(part, int):
        return model
    for name, field in model.model_fields.items():
        if part in (name, field.alias):
            return next(_models_in(field.annotation), None)
    return None


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _parameters(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _own_sentence(where: str, problem: Problem) -> str:
    """The sentence of a check that the kind itself brings; it need not name the parameter."""
    said = str(problem["msg"]).partition(", ")[2].rstrip(".")
    if not where:
        return f"{said[:1].upper()}{said[1:]}."
    name = where.rpartition(".")[2]
    if re.match(rf"{re.escape(name)}\b", said):
        return f"`{where}`{said[len(name) :]}."
    return f"`{where}`: {said}."


def _requirement(problem: Problem) -> str:
    """What the parameter must be, as the end of a sentence."""
    write = _REQUIREMENTS.get(problem["type"])
    if write is None:
        said = str(problem["msg"]).rstrip(".")
        return f"is not valid: {said[:1].lower()}{said[1:]}"
    if isinstance(write, str):
        return write
    return write(problem)


def _with_limit(text: str, key: str) -> Callable[[Problem], str]:
    """A requirement that has a limit in it, which pydantic gives in ``ctx``."""

    def write(problem: Problem) -> str:
        limit = problem["ctx"][key]
        return text.format(f"{limit:g}" if isinstance(limit, float) else limit)

    return write


def _too_short(problem: Problem) -> str:
    if str(problem["loc"][-1]).lower().endswith("url"):
        return f"must be an http or https URL{_url_instead(problem['input'])}"
    least = problem["ctx"]["min_length"]
    return "must not be empty" if least == 1 else f"must have at least {least} characters"


def _url_instead(given: object) -> str:
    """What was sent instead of a URL, when it is plainly a host name."""
    text = str(given)
    if not _HOST.fullmatch(text):
        return ""
    return f"; got {quoted(text)}. Did you mean https://{text}?"


def _list_too_short(problem: Problem) -> str:
    least = problem["ctx"]["min_length"]
    return "must not be empty" if least == 1 else f"must have at least {least} items"


def _choice(problem: Problem) -> str:
    return f"must be {str(problem['ctx']['expected']).replace(chr(39), '')}"


def _shown(problem: Problem) -> str:
    """The value, where it is a number or should have been one of a few words."""
    value = problem["input"]
    if isinstance(value, str) and problem["type"] in ("literal_error", "enum"):
        return f"; got {quoted(value)}"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"; got {str(value)[:40]}" if is_number else ""


_WHOLE = "must be a whole number"
_NUMBER = "must be a number"
_TRUTH = "must be true or false"
_LIST = "must be a list"
_OBJECT = "must be an object"
_REQUIREMENTS: dict[str, str | Callable[[Problem], str]] = {
    "string_type": "must be a string",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": "must be a smaller whole number",
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "must be a finite number",
    "bool_type": _TRUTH,
    "bool_parsing": _TRUTH,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "dict_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "none_required": "must be null",
    "string_too_short": _too_short,
    "string_too_long": _with_limit("must have at most {} characters", "max_length"),
    "string_pattern_mismatch": _with_limit("must match the pattern {}", "pattern"),
    "too_short": _list_too_short,
    "too_long": _with_limit("must have at most {} items", "max_length"),
    "greater_than": _with_limit("must be greater than {}", "gt"),
    "greater_than_equal": _with_limit("must be at least {}", "ge"),
    "less_than": _with_limit("must be less than {}", "lt"),
    "less_than_equal": _with_limit("must be at most {}", "le"),
    "literal_error": _choice,
    "enum": _choice,
    "timezone_aware": "must be a time with a time zone",
    "datetime_parsing": "must be a date and time, such as 2026-01-31T12:00:00Z",
    "datetime_from_date_parsing": "must be a date and time, such as 2026-01-31T12:00:00Z",
}
