"""PDF.co's endpoints and parameters, and the kinds and arguments of checkback that they stand for.

Parameter names are not case-sensitive, unknown ones are ignored, and values may be texts if they
come from a form or a query, as real clients send them (spec section 1).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from checkback.core.errors import InvalidInput
from checkback.dialects.pdfco.mcp_tools import PERMISSIONS
from checkback.dialects.pdfco.profiles import STANDARD, parse_profiles

Fields = dict[str, Any]

_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off", "")
_LIST = re.compile(r"\s*,\s*(?=https?://|www\.|cache:|upload:|artifact:|filetoken:)", re.IGNORECASE)
_DRIVE = re.compile(r"https://drive\.google\.com/file/d/([\w-]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint of the API: the kind that does its work, and how its parameters are called
    there.
    """

    path: str
    kind: str
    #: The file extension of the result.
    extension: str
    #: Our argument for each parameter of this endpoint, by its lower-case name.
    arguments: Mapping[str, str]
    #: Arguments that the endpoint itself implies, such as the type of an image.
    fixed: Mapping[str, Any]
    required: str = "url"


Texts = Mapping[str, str]
_BASE: Texts = {
    "name": "name",
    "password": "password",
    "profiles": "profiles",
    "httpusername": "httpusername",
    "httppassword": "httppassword",
    "expiration": "expiration",
}
_PAGES: Texts = {**_BASE, "pages": "pages"}
_TEXT: Texts = {
    **_PAGES,
    "unwrap": "unwrap",
    "rect": "rect",
    "lang": "lang",
    "linegrouping": "line_grouping",
    "inline": "inline",
}
_IMAGE: Texts = {**_PAGES, "resolution": "resolution_dpi"}
_OFFICE: Texts = {**_PAGES, "autosize": "autosize"}
_SHEET: Texts = {**_BASE, "worksheetindex": "worksheet_index"}
_WEB: Texts = {
    **_BASE,
    "margins": "margins",
    "papersize": "paper_size",
    "orientation": "orientation",
    "mediatype": "media_type",
    "header": "header",
    "footer": "footer",
    "printbackground": "print_background",
    "donotwaitfullload": "do_not_wait_full_load",
}
_EMAIL: Texts = {
    **_BASE,
    "embedattachments": "embed_attachments",
    "convertattachments": "convert_attachments",
    "margins": "margins",
    "papersize": "paper_size",
    "orientation": "orientation",
}
_EDIT: Texts = {
    **_BASE,
    "annotations": "annotations",
    "images": "images",
    "fields": "fields",
    "flatten": "flatten",
    "annotationsstring": "annotationsstring",
    "imagesstring": "imagesstring",
    "fieldsstring": "fieldsstring",
}
_FIND: Texts = {
    **_PAGES,
    "searchstring": "search",
    "wordmatchingmode": "matching",
    "regexsearch": "regex",
}
_PROTECT: Texts = {
    **_BASE,
    "owner_password": "owner_password",
    "ownerpassword": "owner_password",
    "user_password": "user_password",
    "userpassword": "user_password",
    "encryption_algorithm": "encryption_algorithm",
    "encryptionalgorithm": "encryption_algorithm",
    "print_quality": "print_quality",
    "printquality": "print_quality",
    **{
        spelling: f"allow_{what}"
        for what in PERMISSIONS
        for spelling in (f"allow_{what}", f"allow{what.replace('_', '')}")
    },
}


def _endpoints() -> list[Endpoint]:
    none: Fields = {}
    rows: list[Endpoint] = []
    for format_name, kind in (
        ("text", "text"), ("text-simple", "text"), ("json", "json"), ("json2", "json"),
        ("json-meta", "json"), ("csv", "csv"), ("xls", "xls"), ("xlsx", "xlsx"), ("xml", "xml"),
        ("html", "html"),
    ):  # fmt: skip
        ending = "txt" if kind == "text" else kind
        rows.append(
            Endpoint(f"pdf/convert/to/{format_name}", f"pdf.to_{kind}", ending, _TEXT, none)
        )
    for picture in ("jpg", "png", "webp", "tiff"):
        rows.append(
            Endpoint(
                f"pdf/convert/to/{picture}",
                "pdf.to_image",
                picture,
                _IMAGE,
                {"type": picture},
            )
        )
    for sheet in ("csv", "json", "html", "txt", "xml", "pdf"):
        rows.append(Endpoint(f"xls/convert/to/{sheet}", f"excel.to_{sheet}", sheet, _SHEET, none))
    rows += [
        Endpoint("pdf/convert/from/doc", "document.to_pdf", "pdf", _OFFICE, none),
        Endpoint("pdf/convert/from/csv", "csv.to_pdf", "pdf", _OFFICE, none),
        Endpoint("pdf/convert/from/image", "image.to_pdf", "pdf", _PAGES, none),
        Endpoint("pdf/convert/from/url", "webpage.to_pdf", "pdf", _WEB, none),
        Endpoint("pdf/convert/from/html", "html.to_pdf", "pdf", {**_WEB, "html": "html"}, none,
                 required="html"),
        Endpoint("pdf/convert/from/email", "email.to_pdf", "pdf", _EMAIL, none),
        Endpoint("pdf/merge", "pdf.merge", "pdf", _BASE, none),
        Endpoint("pdf/merge2", "pdf.merge", "pdf", _BASE, none),
        Endpoint("pdf/split", "pdf.split", "pdf", _PAGES, none),
        Endpoint("pdf/edit/add", "pdf.edit", "pdf", _EDIT, none),
        Endpoint("pdf/info", "pdf.info", "json", _BASE, none),
        Endpoint("pdf/info/fields", "pdf.form_fields", "json", _BASE, none),
        Endpoint("pdf/find", "pdf.find_text", "json", _FIND, none),
        Endpoint("pdf/find/table", "pdf.find_tables", "json", _PAGES, none),
        Endpoint("ai-invoice-parser", "pdf.parse_invoice", "json", _BASE, none),
        Endpoint("pdf/attachments/extract", "pdf.extract_attachments", "json", _BASE, none),
        Endpoint("pdf/security/add", "pdf.add_password", "pdf", _PROTECT, none),
        Endpoint("pdf/security/remove", "pdf.remove_password", "pdf", _BASE, none),
        Endpoint("pdf/makesearchable", "pdf.make_searchable", "pdf", {**_PAGES, "lang": "lang"}, none),
        Endpoint("pdf/makeunsearchable", "pdf.make_unsearchable", "pdf", _PAGES, none),
    ]  # fmt: skip
    return rows


ENDPOINTS: Mapping[str, Endpoint] = {endpoint.path: endpoint for endpoint in _endpoints()}
"""Every endpoint that starts a job, by its path after ``/v1/``."""

MANY_SOURCES = frozenset({"pdf.merge", "image.to_pdf"})
"""Kinds whose ``url`` may be a list of addresses with commas."""


def arguments(endpoint: Endpoint, parameters: Mapping[str, Any]) -> Fields:
    """The arguments of our kind for a request's parameters, as ``flattened`` gives them.

    Empty texts and nulls mean "not given". Raises InvalidInput if the source is missing, or a value
    has the wrong type.
    """
    args: Fields = {**endpoint.fixed, **_given_arguments(endpoint, parameters)}
    args |= _source_arguments(endpoint, _required_text(endpoint, parameters))
    if endpoint.kind == "pdf.edit":
        _add_legacy_lists(args)
        _use_direct_urls(args)
    return args


def _given_arguments(endpoint: Endpoint, parameters: Mapping[str, Any]) -> Fields:
    """The parameters that have a value, as our arguments."""
    args: Fields = {}
    for name, argument in endpoint.arguments.items():
        value = parameters.get(name)
        if value is not None and value != "":
            args[argument] = _CONVERT.get(argument, _as_given)(name, value)
    return args


def _required_text(endpoint: Endpoint, parameters: Mapping[str, Any]) -> str:
    source = parameters.get(endpoint.required)
    if not isinstance(source, str) or not source.strip():
        raise InvalidInput(f"`{endpoint.required}` is required.")
    return source


def _source_arguments(endpoint: Endpoint, source: str) -> Fields:
    if endpoint.required == "html":
        return {"html": source}
    if endpoint.kind in MANY_SOURCES:
        return {"urls": [source_url(part) for part in parts_of(source)]}
    return {"url": source_url(source)}


def parts_of(urls: str) -> list[str]:
    """The URLs of a comma-separated list. A comma inside a URL stays."""
    return [part for part in _LIST.split(urls.strip()) if part.strip()]


def source_url(text: str) -> str:
    """A source as clients write it, as a URL: with a scheme, without ``cache:``, a direct
    download.
    """
    url = re.sub(r"\Acache:", "", text.strip(), flags=re.IGNORECASE)
    if url.lower().startswith("filetoken:"):
        raise InvalidInput(
            "A filetoken: URL names a file in PDF.co's own storage, which this server cannot "
            "reach.",
            hint="Upload the file to this server, or send an http or https URL.",
        )
    if re.match(r"[\w-]+(\.[\w-]+)+(/|$)", url):
        url = f"https://{url}"
    if drive := _DRIVE.match(url):
        return f"https://drive.google.com/uc?export=download&id={drive[1]}"
    if re.match(r"https://(www\.)?dropbox\.com/", url, re.IGNORECASE):
        return _dropbox_download(url)
    return url


def _dropbox_download(url: str) -> str:
    """A link to a page of Dropbox's, as one to the file itself."""
    parts = urlsplit(url)
    rest = [f"{key}={value[0]}" for key, value in parse_qs(parts.query).items() if key != "dl"]
    return parts._replace(query="&".join([*rest, "dl=1"])).geturl()


def flag(name: str, value: Any) -> bool:
    """A truth value in any form that clients write; false for null. Raises InvalidInput that names
    the parameter.
    """
    if value is None:
        return False
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise InvalidInput(f"`{name}` must be true or false.")


def lowered(parameters: Mapping[str, Any]) -> Fields:
    """The parameters with lower-case names."""
    return {str(name).lower(): value for name, value in parameters.items()}


def flattened(parameters: Mapping[str, Any]) -> Fields:
    """The parameters, which have lower-case names, with ``profiles`` as an object, and with its
    ``std_params`` replacing normal parameters (spec section 1.5). Raises InvalidProfiles.
    """
    profiles = parse_profiles(parameters.get("profiles"))
    standard = profiles.pop(STANDARD, None)
    more = lowered(cast("Fields", standard)) if isinstance(standard, dict) else {}
    return {**parameters, **more, "profiles": profiles or None}


def _as_given(_: str, value: Any) -> Any:
    return value


def _as_text(_: str, value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _as_list(name: str, value: Any) -> list[Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise InvalidInput(f"`{name}` must be a list of objects.") from None
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        raise InvalidInput(f"`{name}` must be a list of objects.")
    return cast("list[Any]", value)


def _as_number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InvalidInput(f"`{name}` must be a finite number.")
    return number


def _as_minutes(name: str, value: Any) -> int:
    """Minutes for which a link is valid, at most those of a day."""
    return max(1, min(1440, int(_as_number(name, value))))


_CONVERT: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(
        ("name", "password", "httpusername", "httppassword", "pages", "rect", "lang",
         "line_grouping", "worksheet_index", "search", "matching", "margins", "owner_password",
         "user_password"),
        _as_text,
    ),
    **dict.fromkeys(
        ("unwrap", "inline", "autosize", "regex", "flatten", "print_background",
         "do_not_wait_full_load", "embed_attachments", "convert_attachments"),
        flag,
    ),
    **{argument: flag for argument in _PROTECT.values() if argument.startswith("allow_")},
    **dict.fromkeys(("annotations", "images", "fields"), _as_list),
    "resolution_dpi": _as_number,
    "expiration": _as_minutes,
}  # fmt: skip


def _use_direct_urls(args: Fields) -> None:
    if "images" in args:
        args["images"] = [_with_direct_url(image) for image in args["images"]]


def _add_legacy_lists(args: Fields) -> None:
    """The older texts of edit: items separated by ``|``, their values by ``;`` (spec section
    1.5).
    """
    for name, parse in (
        ("annotations", _annotation),
        ("images", _image),
        ("fields", _field),
    ):
        text = args.pop(f"{name}string", None)
        if isinstance(text, str):
            items = [parse(item.split(";")) for item in text.split("|") if item.strip()]
            args[name] = [*args.get(name, []), *items]


def _with_direct_url(image: Any) -> Any:
    if not isinstance(image, dict):
        return image
    fields = cast("Fields", image)
    url: object = fields.get("url")
    return fields | {"url": source_url(url)} if isinstance(url, str) else fields


def _annotation(parts: list[str]) -> Fields:
    x, y, pages, text, size, font, color, link, transparent = (*parts, *[""] * 9)[:9]
    number, *styles = size.split("+")
    item: Fields = {
        "x": _as_number("x", x),
        "y": _as_number("y", y),
        "pages": pages,
        "text": text,
    }
    if number:
        item["size"] = _as_number("size", number)
    item |= {f"font{style.strip().capitalize()}": True for style in styles if style.strip()}
    item |= {
        key: value
        for key, value in (("fontName", font), ("color", color), ("link", link))
        if value.strip()
    }
    if transparent.strip():
        item["transparent"] = flag("transparent", transparent)
    return item


def _image(parts: list[str]) -> Fields:
    x, y, pages, url, link, width, height = (*parts, *[""] * 7)[:7]
    item: Fields = {
        "x": _as_number("x", x),
        "y": _as_number("y", y),
        "pages": pages,
        "url": source_url(url),
    }
    if link.strip():
        item["link"] = link
    item |= {
        key: _as_number(key, value)
        for key, value in (("width", width), ("height", height))
        if value.strip()
    }
    return item


def _field(parts: list[str]) -> Fields:
    pages, name, value = (*parts, *[""] * 3)[:3]
    return {"pages": pages, "fieldName": name, "text": value}
