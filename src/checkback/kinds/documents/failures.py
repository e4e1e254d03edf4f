"""Why a document job fails, in our own words: a code, one sentence, and what to do next.

Nothing here comes from a document or a library's message. The dialect of PDF.co has a number for
each code (spec: its table of error codes, 441 to 454).
"""

from __future__ import annotations

from enum import StrEnum

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
    """The document is encrypted, and what was given does not open it."""
    return _final(
        DocumentCode.PASSWORD_NEEDED,
        "The document is protected, and the password that was given does not open it.",
        "Submit the job again with the right password.",
    )


def invalid_document(what: str = "PDF") -> JobFailed:
    """The file is damaged, or is not what it should be. ``what`` is a word of ours."""
    return _final(
        DocumentCode.INVALID_DOCUMENT,
        f"The file is damaged or is not a {what} file.",
        "Check the file by opening it; its name's ending does not decide what it is.",
    )


def page_range(page_count: int) -> JobFailed:
    """The argument ``pages`` names a page that there is not, or is no list of pages."""
    return _final(
        DocumentCode.INVALID_PAGES,
        f"pages does not fit the document, which has {page_count} pages.",
        "Write pages as in 0,2-4,!0: numbers, ranges, and ! to count from the end.",
    )


def index_out_of_range(count: int, what: str = "worksheets") -> JobFailed:
    """An index names something that there is not."""
    return _final(
        DocumentCode.INDEX_OUT_OF_RANGE,
        f"The index is out of range: the file has {count} {what}.",
        "Count from 1, or leave the index out for the first.",
    )


def permission_denied() -> JobFailed:
    """The document's author does not allow it, and the job was to mind that."""
    return _final(
        DocumentCode.PERMISSION_DENIED,
        "The document's author does not allow this.",
        "Give the owner's password, or leave CheckPermissions out of profiles.",
    )


def undecipherable() -> JobFailed:
    """A source is not what its key and algorithm would have made."""
    return _final(
        DocumentCode.INVALID_DOCUMENT,
        "The source could not be decrypted.",
        "Check the DataDecryption options in profiles.",
    )


def invalid_option(name: str, expected: str) -> JobFailed:
    """An argument has a form that only the job could judge. Both texts are ours."""
    return _final(
        DocumentCode.INVALID_OPTION, f"{name} is not {expected}.", "Correct it and submit again."
    )


def invalid_rect() -> JobFailed:
    """The argument ``rect`` is not four numbers."""
    return invalid_option(
        "rect", "four numbers: x, y, width and height in points from the top left"
    )


def invalid_pattern() -> JobFailed:
    """The regular expression cannot be read."""
    return invalid_option("search", "a regular expression that can be read")


def pattern_too_slow(page_index: int) -> JobFailed:
    """The search of a page did not end within its time limit."""
    return _final(
        DocumentCode.PATTERN_TOO_SLOW,
        f"`search` took too long on the page with the index {page_index}.",
        "Use a regular expression without nested repetition such as (a+)+, or search for plain text.",
    )


def too_large(what: str, limit: str) -> JobFailed:
    """Something of the document passes a limit. Both texts are ours."""
    return _final(
        DocumentCode.TOO_LARGE,
        f"{what} is larger than allowed: {limit}.",
        "Split the document, or ask for less.",
    )


def too_many_pages(limit: int) -> JobFailed:
    """The document has more pages than one job takes."""
    return _final(
        DocumentCode.TOO_LARGE,
        f"The document has more than {limit} pages.",
        "Name fewer pages with the argument pages, or split it first.",
    )


def unsupported(what: str, hint: str = "Convert the file to a plain PDF first.") -> JobFailed:
    """The document uses something that is not supported here. Both texts are ours."""
    return _final(DocumentCode.UNSUPPORTED, f"{what} is not supported.", hint)


def invalid_html() -> JobFailed:
    """There is no HTML, or no browser could make pages of it."""
    return _final(
        DocumentCode.INVALID_HTML,
        "The HTML could not be made into pages.",
        "Check the HTML and its address.",
    )


def program_missing(program: str, install: str, without: str) -> JobFailed:
    """A program that this job needs is not there. ``without`` says what works without it."""
    return _final(
        DocumentCode.PROGRAM_MISSING,
        f"This job needs {program}, which is not installed on the server.",
        f"Install it as root with `{install}`. {without}",
    )


def program_failed(program: str) -> JobFailed:
    """A program ran and made nothing of use."""
    return JobFailed(
        DocumentCode.PROGRAM_FAILED,
        f"{program} could not process the file.",
        retryable=False,
        hint="The file may be damaged or protected; open it by hand to see.",
    )


def source_blocked() -> JobFailed:
    """The source's address is one that jobs may not reach."""
    return _final(
        DocumentCode.ADDRESS_BLOCKED,
        "The source's address may not be reached from here.",
        "Use a public address, upload the file, or allow the host with CHECKBACK_ALLOW_HOSTS=host:port.",
    )


def source_status(status: int) -> JobFailed:
    """The source's server answered with an error."""
    if status in (401, 403, 407):
        return _final(
            DocumentCode.SOURCE_FORBIDDEN,
            f"The source's server refused the download with {status}.",
            "Make the file readable for everybody, give httpusername and httppassword, or upload it.",
        )
    if status in (404, 410):
        return source_not_found(f"The source's server has no such file; it answered {status}.")
    return JobFailed(
        DocumentCode.SOURCE_UNREACHABLE,
        f"The source's server answered {status}.",
        retryable=status in (408, 425, 429) or status >= 500,
        hint="Try again later, or upload the file.",
    )


def source_unreachable() -> JobFailed:
    """The source's server does not answer."""
    return JobFailed(
        DocumentCode.SOURCE_UNREACHABLE,
        "The source could not be downloaded: its server does not answer.",
        hint="Check the address, or upload the file.",
    )


def source_not_found(message: str = "The uploaded file is gone.") -> JobFailed:
    """An uploaded file or a result that was named as source has expired."""
    return _final(
        DocumentCode.SOURCE_NOT_FOUND, message, "Upload the file again; uploads are kept for a day."
    )


def _final(code: str, message: str, hint: str) -> JobFailed:
    return JobFailed(code, message, retryable=False, hint=hint)
