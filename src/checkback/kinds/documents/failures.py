"""Why a document job fails: a code, one sentence, and a hint that says what to do next.

No text comes from a document or from a library's message. The dialect of PDF.co has a number for
each code (spec: its table of error codes, 441 to 454).
"""

from __future__ import annotations

from enum import StrEnum

from checkback.core.error_text import quoted
from checkback.core.errors import JobFailed


class DocumentCode(StrEnum):
    """The codes that document jobs add to those that every job can fail with."""

    ADDRESS_BLOCKED = "address_blocked"
    INDEX_OUT_OF_RANGE = "index_out_of_range"
    INVALID_DOCUMENT = "invalid_document"
    INVALID_HTML = "invalid_html"
    INVALID_OPTION = "invalid_option"
    INVALID_PAGES = "invalid_pages"
    PATTERN_TOO_SLOW = "pattern_too_slow"
    PERMISSION_DENIED = "permission_denied"
    PASSWORD_NEEDED = "password_needed"  # noqa: S105 - a code
    PROGRAM_FAILED = "program_failed"
    PROGRAM_MISSING = "program_missing"
    SOURCE_FORBIDDEN = "source_forbidden"
    SOURCE_NOT_FOUND = "source_not_found"
    SOURCE_UNREACHABLE = "source_unreachable"
    TOO_LARGE = "too_large"
    UNSUPPORTED = "unsupported"


def password_needed() -> JobFailed:
    """The document is encrypted, and the password is missing or wrong."""
    return _final(
        DocumentCode.PASSWORD_NEEDED,
        "The document is protected, and the password is missing or wrong.",
        "Submit the job again with the correct `password`.",
    )


def invalid_document(expected: str = "a PDF file") -> JobFailed:
    """The file is damaged, or its type is not the expected one (``an image``)."""
    return _final(
        DocumentCode.INVALID_DOCUMENT,
        f"The file is damaged or is not {expected}.",
        "Open the file to check it. Its content decides its type, not the extension of its name.",
    )


def invalid_pages(pages: str, page_count: int) -> JobFailed:
    """The argument ``pages`` is not a list of pages, or names a page that does not exist."""
    return _final(
        DocumentCode.INVALID_PAGES,
        f"`pages` {quoted(pages)} does not fit the document, which has "
        f"{_counted(page_count, 'page')}.",
        "Write pages as in 0,2-4,!0: numbers, ranges, and ! to count from the end.",
    )


def index_out_of_range(index: int, count: int) -> JobFailed:
    """There is no worksheet with that number."""
    numbers = "1" if count == 1 else f"a number from 1 to {count}"
    return _final(
        DocumentCode.INDEX_OUT_OF_RANGE,
        f"`worksheet_index` is {index}, but the file has {_counted(count, 'worksheet')}.",
        f"Use {numbers}, or omit `worksheet_index`.",
    )


def permission_denied() -> JobFailed:
    """The document's permissions forbid it, and the options say that the job must follow them."""
    return _final(
        DocumentCode.PERMISSION_DENIED,
        "The document's permissions do not allow this, and CheckPermissions is set.",
        "Pass the owner password as `password`, or remove CheckPermissions from `profiles`.",
    )


def decryption_failed() -> JobFailed:
    """A source was not encrypted with the key and algorithm of ``profiles``."""
    return _final(
        DocumentCode.INVALID_DOCUMENT,
        "The source could not be decrypted.",
        "Check the algorithm, key and IV of the DataDecryption options in `profiles`.",
    )


def invalid_option(name: str, expected: str, value: str | None = None) -> JobFailed:
    """An argument has a value that only the job could check. Never pass a secret ``value``."""
    got = "" if value is None else f"; got {quoted(value)}"
    return _final(
        DocumentCode.INVALID_OPTION,
        f"`{name}` must be {expected}{got}.",
        f"Correct `{name}` and submit the job again.",
    )


def invalid_rect(value: str) -> JobFailed:
    """The argument ``rect`` is not four numbers."""
    return invalid_option(
        "rect", "four numbers: x, y, width and height in points from the top left", value
    )


def invalid_pattern(value: str) -> JobFailed:
    """The regular expression does not compile."""
    return invalid_option("search", "a valid regular expression", value)


def pattern_too_slow(page_index: int, seconds: float) -> JobFailed:
    """The search of a page did not end within its time limit."""
    return _final(
        DocumentCode.PATTERN_TOO_SLOW,
        f"`search` took longer than {seconds:g} s on the page with index {page_index}.",
        "Use a regular expression without nested repetition such as (a+)+, or search for plain "
        "text.",
    )


def too_large(what: str, limit: str) -> JobFailed:
    """A part of the document exceeds a limit."""
    return _final(
        DocumentCode.TOO_LARGE,
        f"{what} exceeds the limit of {limit}.",
        "Split the document, or request less of it.",
    )


def too_many_pages(limit: int) -> JobFailed:
    """The document has more pages than one job processes."""
    return _final(
        DocumentCode.TOO_LARGE,
        f"The document exceeds the limit of {limit} pages.",
        "Select fewer pages with `pages`, or split the document first.",
    )


def unsupported(what: str, hint: str = "Convert the file to a plain PDF first.") -> JobFailed:
    """The document uses a feature that is not supported."""
    return _final(DocumentCode.UNSUPPORTED, f"{what} is not supported.", hint)


def invalid_html() -> JobFailed:
    """The browser could not print the HTML or the page."""
    return _final(
        DocumentCode.INVALID_HTML,
        "The browser could not make a PDF from the HTML.",
        "Check the HTML, or the URL of the page.",
    )


def program_missing(program: str, install: str, without: str) -> JobFailed:
    """A program that this job needs is not installed. ``without`` says what works without it."""
    return _final(
        DocumentCode.PROGRAM_MISSING,
        f"This job needs {program}, which is not installed on the server.",
        f"Install it as root with `{install}`. {without}",
    )


def program_failed(program: str) -> JobFailed:
    """A program ran, but produced no usable output."""
    return _final(
        DocumentCode.PROGRAM_FAILED,
        f"{program} could not process the file.",
        "Open the file to check whether it is damaged or protected.",
    )


def source_blocked() -> JobFailed:
    """Jobs may not connect to the source's address."""
    return _final(
        DocumentCode.ADDRESS_BLOCKED,
        "This server may not connect to the address of the source.",
        "Use a public address, upload the file, or allow the host with "
        "CHECKBACK_ALLOW_HOSTS=host:port.",
    )


def source_status(status: int) -> JobFailed:
    """The source's server answered with an error."""
    if status in (401, 403, 407):
        return _final(
            DocumentCode.SOURCE_FORBIDDEN,
            f"The source's server refused the download with status {status}.",
            "Make the file public, pass `httpusername` and `httppassword`, or upload the file.",
        )
    if status in (404, 410):
        return _final(
            DocumentCode.SOURCE_NOT_FOUND,
            f"The source's server does not have this file: it answered with status {status}.",
            "Check the URL, or upload the file.",
        )
    return JobFailed(
        DocumentCode.SOURCE_UNREACHABLE,
        f"The source's server answered with status {status}.",
        retryable=status in (408, 425, 429) or status >= 500,
        hint="Try again later, or upload the file.",
    )


def source_unreachable() -> JobFailed:
    """The source's server does not respond."""
    return JobFailed(
        DocumentCode.SOURCE_UNREACHABLE,
        "The source could not be downloaded: its server does not respond.",
        hint="Check the URL, or upload the file.",
    )


def upload_expired() -> JobFailed:
    """The uploaded file that a source names was deleted."""
    return _final(
        DocumentCode.SOURCE_NOT_FOUND,
        "The uploaded file no longer exists.",
        "Upload the file again. Uploads are kept for a day after their last use.",
    )


def result_expired() -> JobFailed:
    """The job result that a source names was deleted."""
    return _final(
        DocumentCode.SOURCE_NOT_FOUND,
        "The job result that is the source no longer exists.",
        "Run the job that made the result again, or upload the file.",
    )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _final(code: str, message: str, hint: str) -> JobFailed:
    return JobFailed(code, message, retryable=False, hint=hint)
