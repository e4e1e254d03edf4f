"""E-mails, eml and msg, as safe HTML with their attachments.

No part of an e-mail runs or loads anything: scripts, forms and frames are removed, and images are
shown only if the e-mail contains them. Loading a remote image would reveal who read the e-mail, and
when.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_binary_file, policy
from email.message import Message
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from checkback.core.errors import JobFailed
from checkback.kinds.documents import failures
from checkback.kinds.documents.files.sniff import FileType
from checkback.kinds.documents.mail.sanitizer import safe_html
from checkback.storage.uploads import plain_name

if TYPE_CHECKING:
    import oxmsg
    from oxmsg.attachment import Attachment as Attached

MAX_ATTACHMENTS = 500
MAX_PARTS = 2000
MAX_HEADER_CHARACTERS = 256 * 1024
"""Limit of one header. Parsing ten megabytes of header takes gigabytes of memory."""
_SHOWN_IMAGES = re.compile(r"image/(png|jpe?g|gif|webp|bmp)", re.IGNORECASE)

_STYLE = """
body{font-family:Arial,"Liberation Sans",sans-serif;font-size:10.5pt;margin:0;color:#111}
table.head{border-collapse:collapse;width:100%;border-bottom:1px solid #888;margin-bottom:12px}
table.head th{text-align:left;vertical-align:top;padding:1px 10px 1px 0;white-space:nowrap;color:#555}
table.head td{width:100%;overflow-wrap:anywhere}
pre{white-space:pre-wrap;overflow-wrap:anywhere;font-family:inherit}
img{max-width:100%}
"""
# The second line of defense after the sanitized HTML; the third is that the browser has no network.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file attached to an e-mail."""

    #: A plain file name.
    name: str
    media_type: str
    content: bytes


@dataclass(slots=True)
class Mail:
    """The content of an e-mail. All of it is untrusted."""

    headers: list[tuple[str, str]]
    #: As sent; empty for an e-mail without HTML.
    html: str = ""
    text: str = ""
    attachments: list[Attachment] = field(default_factory=list[Attachment])
    #: Images inside the text, as data: URLs, by their content id.
    images: dict[str, str] = field(default_factory=dict[str, str])

    def to_html(self) -> str:
        """The e-mail as a page that loads nothing."""
        head = "".join(map(_table_row, self._shown_headers()))
        body = safe_html(self.html, self.images) if self.html.strip() else _as_html(self.text)
        return (
            f'<!DOCTYPE html><html><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
            f"<title>{html.escape(self.subject)}</title><style>{_STYLE}</style></head>"
            f'<body><table class="head">{head}</table><div>{body}</div></body></html>'
        )

    def _shown_headers(self) -> list[tuple[str, str]]:
        """The headers, and the names of the attachments."""
        if not self.attachments:
            return self.headers
        names = ", ".join(attachment.name for attachment in self.attachments)
        return [*self.headers, ("Attachments", names)]

    @property
    def subject(self) -> str:
        """The subject line, or an empty text."""
        return next((value for name, value in self.headers if name == "Subject"), "")


def _table_row(header: tuple[str, str]) -> str:
    name, value = map(html.escape, header)
    return f"<tr><th>{name}</th><td>{value}</td></tr>"


@contextmanager
def _reported_as_invalid() -> Generator[None]:
    """Report any error of a library as an invalid e-mail: broken e-mails make them raise any."""
    try:
        yield
    except (JobFailed, MemoryError):
        raise
    except Exception as error:
        raise failures.invalid_document("an e-mail") from error


def read_mail(path: Path, file_type: FileType) -> Mail:
    """Read an eml or msg file. Raises the failures invalid_document and too_large."""
    if file_type is FileType.MSG:
        return _read_msg(path)
    if file_type is not FileType.EML:
        raise failures.invalid_document("an e-mail")
    with _reported_as_invalid(), path.open("rb") as file:
        return _from_message(message_from_binary_file(file, policy=policy.default))


def _from_message(message: Message) -> Mail:
    # This checks the headers before any of them is read: reading a header parses it.
    parts = _leaves(message)
    mail = Mail(_headers({name: _header(message, name) for name in _HEADERS}))
    for number, part in enumerate(parts):
        if number >= MAX_PARTS:
            raise failures.too_large("The e-mail", f"{MAX_PARTS} parts")
        _take_part(part, mail)
    return mail


def _header(message: Message, name: str) -> str:
    """The text of a header; if the library cannot parse it, as it was sent."""
    try:
        return str(message.get(name, ""))
    except Exception:
        sent = [value for key, value in message.raw_items() if key.lower() == name.lower()]
        return str(sent[0]) if sent else ""


def _leaves(message: Message) -> list[Message]:
    """The parts with content. An attached e-mail is one part: its own parts are not listed."""
    leaves: list[Message] = []
    waiting = [message]
    while waiting and len(leaves) <= MAX_PARTS:
        part = waiting.pop(0)
        _refuse_long_headers(part)
        if part.get_content_maintype() == "multipart":
            waiting[:0] = _subparts(part)
        else:
            leaves.append(part)
    return leaves


def _refuse_long_headers(part: Message) -> None:
    for _, value in part.raw_items():
        if len(value) > MAX_HEADER_CHARACTERS:
            raise failures.too_large(
                "A header of the e-mail", f"{MAX_HEADER_CHARACTERS // 1024} KB"
            )


def _subparts(part: Message) -> list[Message]:
    """The direct parts of a part; none if it has none."""
    payload: Any = part.get_payload()
    items = cast("list[object]", payload) if isinstance(payload, list) else []
    return [item for item in items if isinstance(item, Message)]


def _take_part(part: Message, mail: Mail) -> None:
    """Add a part to the e-mail: as its text, as an image inside of it, or as an attachment."""
    if _is_text(part):
        _take_text(part, mail)
        return
    media_type, content = part.get_content_type(), _content_of(part)
    _add_file(mail, _content_id(part), part.get_filename(), media_type, content)


def _add_file(
    mail: Mail, content_id: str | None, name: str | None, media_type: str, content: bytes
) -> None:
    """Add an image that the text shows by its id, or another file as an attachment."""
    if content_id and _SHOWN_IMAGES.fullmatch(media_type):
        mail.images[content_id] = _data_url(media_type, content)
    elif len(mail.attachments) < MAX_ATTACHMENTS:
        file_name = _file_name(name, media_type)
        mail.attachments.append(Attachment(file_name, media_type, content))


def _is_text(part: Message) -> bool:
    """Whether the part is text of the e-mail itself, and not an attached text file."""
    if part.get_content_disposition() == "attachment" or part.get_filename() is not None:
        return False
    return part.get_content_type() in ("text/plain", "text/html")


def _take_text(part: Message, mail: Mail) -> None:
    text = _text_of(part)
    if part.get_content_type() == "text/html":
        mail.html = mail.html or text
    else:
        mail.text = f"{mail.text}\n{text}" if mail.text else text


def _content_id(part: Message) -> str:
    """The id by which the HTML refers to the part; an empty text for an attachment."""
    cid = str(part.get("Content-ID", "")).strip().strip("<>")
    return "" if part.get_content_disposition() == "attachment" else cid


def _content_of(part: Message) -> bytes:
    if part.get_content_type() == "message/rfc822":
        return b"".join(map(bytes, _subparts(part)[:1]))
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _text_of(part: Message) -> str:
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    try:
        return content.decode(part.get_content_charset() or "utf-8")
    except (LookupError, ValueError):
        # Some codecs raise errors of their own, and some charset names do not exist.
        return _guessed_text(content)


def _guessed_text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


_HEADERS = ("From", "To", "Cc", "Date", "Subject")


def _headers(values: Mapping[str, str | None]) -> list[tuple[str, str]]:
    """The headers that have a text, each in one line."""
    lines = {name: " ".join((values.get(name) or "").split()) for name in _HEADERS}
    return [(name, line) for name, line in lines.items() if line]


def _read_msg(path: Path) -> Mail:
    try:
        import oxmsg
    except ImportError:
        raise failures.program_missing(
            "python-oxmsg",
            "pip install 'checkback[documents]'",
            "E-mails as eml files work without it.",
        ) from None
    with _reported_as_invalid():
        return _from_outlook(oxmsg.Message.load(path.read_bytes()))


def _from_outlook(message: object) -> Mail:
    import oxmsg

    assert isinstance(message, oxmsg.Message)
    mail = Mail(_outlook_headers(message), html=message.html_body or "", text=message.body or "")
    attachments = islice(message.attachments, MAX_ATTACHMENTS)
    for attachment in filter(_is_contained, attachments):
        _take_attachment(attachment, mail)
    return mail


def _is_contained(attachment: Attached) -> bool:
    """Whether the attachment is in the file: it may also be a link."""
    return attachment.attached_by_value


def _take_attachment(attachment: Attached, mail: Mail) -> None:
    """Add an attachment to the e-mail: as an image inside of it, or as an attached file."""
    content = attachment.file_bytes
    if content is None:
        return
    media_type = attachment.mime_type or "application/octet-stream"
    cid = attachment.properties.str_prop_value(_PID_ATTACH_CONTENT_ID)
    shown_cid = cid if f"cid:{cid}" in mail.html else None
    _add_file(mail, shown_cid, attachment.file_name, media_type, content)


def _outlook_headers(message: oxmsg.Message) -> list[tuple[str, str]]:
    """The headers of an msg file, which has them as a block of headers or as single properties."""
    sent = {name.lower(): value for name, value in message.message_headers.items()}
    return _headers(
        {
            "From": message.sender,
            "To": sent.get("to") or _recipients(message),
            "Cc": sent.get("cc"),
            "Date": sent.get("date") or _sent_date(message),
            "Subject": message.subject,
        }
    )


def _recipients(message: oxmsg.Message) -> str:
    names = [recipient.name or recipient.email_address for recipient in message.recipients]
    return ", ".join(filter(None, names))


def _sent_date(message: oxmsg.Message) -> str:
    date = message.sent_date
    return date.isoformat(sep=" ") if date else ""


_PID_ATTACH_CONTENT_ID = 0x3712


def _data_url(media_type: str, content: bytes) -> str:
    return f"data:{media_type.lower()};base64,{base64.b64encode(content).decode()}"


def _file_name(name: str | None, media_type: str) -> str:
    default = "message.eml" if media_type == "message/rfc822" else "attachment"
    return plain_name(name or "", default=default)


def _as_html(text: str) -> str:
    return f"<pre>{html.escape(text)}</pre>"
