"""Mails, eml and msg, as safe HTML and their attachments.

Nothing of a mail runs or is loaded: scripts, forms and frames are dropped, pictures are shown only
when the mail brings them along. A picture from elsewhere tells its owner who read the mail, and
when.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email import message_from_binary_file, policy
from email.message import Message
from pathlib import Path
from typing import Any, cast

from checkback.core.errors import JobFailed
from checkback.kinds.documents import failures
from checkback.kinds.documents.files.sniff import FileType
from checkback.kinds.documents.mail.sanitizer import safe_html
from checkback.storage.uploads import plain_name

MAX_ATTACHMENTS = 500
MAX_PARTS = 2000
MAX_HEADER_CHARACTERS = 256 * 1024
"""Of one header. To take ten megabytes apart needs gigabytes of memory."""
_SHOWN_PICTURES = re.compile(r"image/(png|jpe?g|gif|webp|bmp)", re.IGNORECASE)

_STYLE = """
body{font-family:Arial,"Liberation Sans",sans-serif;font-size:10.5pt;margin:0;color:#111}
table.head{border-collapse:collapse;width:100%;border-bottom:1px solid #888;margin-bottom:12px}
table.head th{text-align:left;vertical-align:top;padding:1px 10px 1px 0;white-space:nowrap;color:#555}
table.head td{width:100%;overflow-wrap:anywhere}
pre{white-space:pre-wrap;overflow-wrap:anywhere;font-family:inherit}
img{max-width:100%}
"""
# The second wall behind the cleaned HTML; the browser has no network, which is the third.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a mail."""

    #: A plain file name.
    name: str
    media_type: str
    content: bytes


@dataclass(slots=True)
class Mail:
    """What a mail says. All of it is a stranger's."""

    headers: list[tuple[str, str]]
    #: As sent; empty when there is none.
    html: str = ""
    text: str = ""
    attachments: list[Attachment] = field(default_factory=list[Attachment])
    #: Pictures inside the text, as data: addresses, by their content id.
    pictures: dict[str, str] = field(default_factory=dict[str, str])

    def to_html(self) -> str:
        """The mail as a page that needs nothing from anywhere."""
        head = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
            for name, value in self.headers
        )
        if self.attachments:
            names = ", ".join(one.name for one in self.attachments)
            head += f"<tr><th>Attachments</th><td>{html.escape(names)}</td></tr>"
        body = safe_html(self.html, self.pictures) if self.html.strip() else _as_html(self.text)
        return (
            f'<!DOCTYPE html><html><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
            f"<title>{html.escape(self.subject)}</title><style>{_STYLE}</style></head>"
            f'<body><table class="head">{head}</table><div>{body}</div></body></html>'
        )

    @property
    def subject(self) -> str:
        """The subject line, or nothing."""
        return next((value for name, value in self.headers if name == "Subject"), "")


def read_mail(path: Path, file_type: FileType) -> Mail:
    """Read an eml or msg file. Raises the failures invalid_document and too_large."""
    if file_type is FileType.MSG:
        return _read_msg(path)
    if file_type is not FileType.EML:
        raise failures.invalid_document("mail")
    try:
        with path.open("rb") as file:
            message = message_from_binary_file(file, policy=policy.default)
        return _from_message(message)
    except (JobFailed, MemoryError):
        raise
    except (
        Exception
    ) as error:  # the library's parsers stumble over broken headers in ways of their own
        raise failures.invalid_document("mail") from error


def _from_message(message: Message) -> Mail:
    # Before anything is asked of them: their headers are taken apart when they are read.
    parts = _leaves(message)
    mail = Mail(_headers({name: _header(message, name) for name in _HEADERS}))
    for number, part in enumerate(parts):
        if number >= MAX_PARTS:
            raise failures.too_large("The mail", f"{MAX_PARTS} parts")
        _take_part(part, mail)
    return mail


def _header(message: Message, name: str) -> str:
    """A header's text; as it was sent, where the library cannot take it apart."""
    try:
        return str(message.get(name, ""))
    except Exception:
        sent = [value for key, value in message.raw_items() if key.lower() == name.lower()]
        return str(sent[0]) if sent else ""


def _leaves(message: Message) -> list[Message]:
    """The parts that hold something. A mail inside the mail is one of them, not its parts."""
    found: list[Message] = []
    waiting = [message]
    while waiting and len(found) <= MAX_PARTS:
        part = waiting.pop(0)
        _refuse_long_headers(part)
        if part.get_content_maintype() == "multipart":
            waiting[:0] = _inner(part)
            continue
        found.append(part)
    return found


def _refuse_long_headers(part: Message) -> None:
    for _, value in part.raw_items():
        if len(value) > MAX_HEADER_CHARACTERS:
            raise failures.too_large("A header of the mail", f"{MAX_HEADER_CHARACTERS // 1024} KB")


def _inner(part: Message) -> list[Message]:
    """The parts of a part that has some."""
    payload: Any = part.get_payload()
    found = cast("list[object]", payload) if isinstance(payload, list) else []
    return [one for one in found if isinstance(one, Message)]


def _take_part(part: Message, mail: Mail) -> None:
    media_type = part.get_content_type()
    disposition = part.get_content_disposition()
    name = part.get_filename()
    if disposition != "attachment" and name is None and media_type in ("text/plain", "text/html"):
        text = _text_of(part)
        if media_type == "text/html":
            mail.html = mail.html or text
        else:
            mail.text += ("\n" if mail.text else "") + text
        return
    content = _content_of(part)
    cid = str(part.get("Content-ID", "")).strip().strip("<>")
    if cid and disposition != "attachment" and _SHOWN_PICTURES.fullmatch(media_type):
        mail.pictures[cid] = _data_address(media_type, content)
        return
    if len(mail.attachments) < MAX_ATTACHMENTS:
        mail.attachments.append(Attachment(_file_name(name, media_type), media_type, content))


def _content_of(part: Message) -> bytes:
    if part.get_content_type() == "message/rfc822":
        return b"".join(map(bytes, _inner(part)[:1]))
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _text_of(part: Message) -> str:
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    charset = part.get_content_charset() or "utf-8"
    try:
        return content.decode(charset)
    except (
        LookupError,
        ValueError,
    ):  # some codecs have errors of their own, and some names are none
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            return content.decode("cp1252", errors="replace")


_HEADERS = ("From", "To", "Cc", "Date", "Subject")


def _headers(values: Mapping[str, str]) -> list[tuple[str, str]]:
    return [
        (name, " ".join(values[name].split()))
        for name in _HEADERS
        if values.get(name) and values[name].strip()
    ]


def _read_msg(path: Path) -> Mail:
    try:
        import oxmsg
    except ImportError:
        raise failures.program_missing(
            "python-oxmsg",
            "pip install 'checkback[documents]'",
            "Mails as eml files work without it.",
        ) from None
    try:
        return _from_outlook(oxmsg.Message.load(path.read_bytes()))
    except (JobFailed, MemoryError):
        raise
    except Exception as error:  # it has no error of its own for a file that is damaged
        raise failures.invalid_document("mail") from error


def _from_outlook(message: object) -> Mail:
    import oxmsg

    assert isinstance(message, oxmsg.Message)
    given = {name.lower(): value for name, value in message.message_headers.items()}
    recipients = [one.name or one.email_address for one in message.recipients]
    date = message.sent_date
    mail = Mail(
        _headers(
            {
                "From": message.sender or "",
                "To": given.get("to") or ", ".join(one for one in recipients if one),
                "Cc": given.get("cc", ""),
                "Date": given.get("date") or (date.isoformat(sep=" ") if date else ""),
                "Subject": message.subject,
            }
        ),
        html=message.html_body or "",
        text=message.body or "",
    )
    for number, attachment in enumerate(message.attachments):
        content = attachment.file_bytes if attachment.attached_by_value else None
        if content is None or number >= MAX_ATTACHMENTS:
            continue
        media_type = attachment.mime_type or "application/octet-stream"
        cid = attachment.properties.str_prop_value(_PID_ATTACH_CONTENT_ID)
        if cid and f"cid:{cid}" in mail.html and _SHOWN_PICTURES.fullmatch(media_type):
            mail.pictures[cid] = _data_address(media_type, content)
            continue
        mail.attachments.append(
            Attachment(_file_name(attachment.file_name, media_type), media_type, content)
        )
    return mail


_PID_ATTACH_CONTENT_ID = 0x3712


def _data_address(media_type: str, content: bytes) -> str:
    return f"data:{media_type.lower()};base64,{base64.b64encode(content).decode()}"


def _file_name(name: str | None, media_type: str) -> str:
    default = "message.eml" if media_type == "message/rfc822" else "attachment"
    return plain_name(name or "", default=default)


def _as_html(text: str) -> str:
    return f"<pre>{html.escape(text)}</pre>"
