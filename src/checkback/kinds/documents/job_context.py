"""What every document job does around its real work: it fetches its sources, restricts its own
process, reports progress and keeps results.

with document_work(args, ctx) as work:
    text = read(work.source.path)
    work.output(text, "txt")
    return work.result(page_count=3)
"""

from __future__ import annotations

import json
import resource
import sys
import zipfile
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from checkback.core.errors import JobFailed
from checkback.core.job import JSON
from checkback.kinds.context import JobContext
from checkback.kinds.documents import failures
from checkback.kinds.documents.args.common import (
    DocumentArgs,
    LoginArgs,
    ManySourcesArgs,
    OutputArgs,
    revealed,
)
from checkback.kinds.documents.args.profiles import ProfileOptions
from checkback.kinds.documents.files.encryption import unwrap, wrapped
from checkback.kinds.documents.files.names import result_stem
from checkback.kinds.documents.files.source import Login, SourceFile, fetch_source
from checkback.security.sandbox.policy import cut_network
from checkback.storage.uploads import plain_name

PHASES = ("fetch", "convert")
MAX_PAGES = 5_000
MAX_BODY_BYTES = 24 * 1024
MAX_INLINE_BYTES = 48 * 1024
MAX_FILE_BYTES = 2 << 30
FETCHED_PERCENT, CONVERTED_PERCENT = 10, 95
_PDFIUM_PASSWORD_ERROR = 4


@dataclass(slots=True)
class DocumentWork:
    """A running document job. Its methods are for the job's own thread."""

    ctx: JobContext
    #: Scratch space of this attempt, removed after it.
    folder: Path
    sources: Sequence[SourceFile]
    #: Files that other arguments name in addition to the document, such as images.
    more: Sequence[SourceFile] = ()
    name: str = ""
    options: ProfileOptions = field(default_factory=ProfileOptions)
    _outputs: list[str] = field(default_factory=list[str])

    @property
    def source(self) -> SourceFile:
        """The only source, or the first."""
        return self.sources[0]

    def page_done(self, done: int, total: int) -> None:
        """Report that ``done`` of ``total`` pages are done."""
        share = done / total if total else 1.0
        self.ctx.progress(FETCHED_PERCENT + share * (CONVERTED_PERCENT - FETCHED_PERCENT))

    def output(
        self,
        content: bytes | str | Path,
        extension: str,
        *,
        suffix: str = "",
        name: str | None = None,
    ) -> str:
        """Keep a result file and return its name: the stem of the argument ``name``, or of the
        source, with ``extension``.

        ``suffix`` distinguishes several outputs (``_page3``). ``name`` is the whole name instead,
        for attachments. A name that is already used gets a number.
        """
        default = f"{self._stem()}{suffix}.{extension}"
        unique = self._unique(default if name is None else plain_name(name))
        self.ctx.artifact(unique, wrapped(content, self.options))
        self._outputs.append(unique)
        return unique

    def _stem(self) -> str:
        default = self.sources[0].stem if self.sources else "document"
        return result_stem(self.name, "") or default

    def _unique(self, name: str) -> str:
        unique, number = name, 1
        while unique in self._outputs:
            number += 1
            unique = f"{Path(name).stem}-{number}{Path(name).suffix}"
        return unique

    def result(
        self,
        *,
        page_count: int | None = None,
        body: JSON = None,
        inline: bool = False,
        **facts: JSON,
    ) -> dict[str, JSON]:
        """The job's result. ``body`` is left out when it is large: the outputs contain it too.

        The content of a document is marked as untrusted: it is data, never instructions.
        """
        result: dict[str, JSON] = {
            "untrusted": True,
            "page_count": page_count,
            "outputs": self._outputs,
            **facts,
        }
        limit = MAX_INLINE_BYTES if inline else MAX_BODY_BYTES
        if body is not None and len(json.dumps(body)) <= limit:
            result["body"] = body
        return result


@contextmanager
def document_work(
    args: OutputArgs, ctx: JobContext, *, offline: bool = True, more: Iterable[str] = ()
) -> Generator[DocumentWork]:
    """Fetch the job's sources, restrict the process, and yield the work.

    ``offline`` takes the network away for good, from this process and every program that it
    starts. Leave it out only for work that renders pages from the network, through the proxy.
    ``more`` are further sources. An exception of a library becomes a failure with a text of
    checkback.
    """
    ctx.phase("fetch")
    sources = _fetch(_named_sources(args), "source", ctx, _login(args))
    more_sources = _fetch(more, "more", ctx, Login())
    _restrict_process(ctx, offline=offline)
    options = args.options
    if options.unknown:
        ctx.log(f"Options in profiles without any effect here: {', '.join(options.unknown)}.")
    _decrypt((*sources, *more_sources), options)
    ctx.phase("convert")
    ctx.progress(FETCHED_PERCENT)
    with _translated_errors():
        yield DocumentWork(ctx, ctx.folder, sources, more_sources, args.name, options)
    ctx.progress(CONVERTED_PERCENT)


def _decrypt(sources: Iterable[SourceFile], options: ProfileOptions) -> None:
    """Decrypt each file once, if the options say so."""
    for path in dict.fromkeys(source.path for source in sources):
        unwrap(path, options)


def _restrict_process(ctx: JobContext, *, offline: bool) -> None:
    """Limit the size of files and the CPU time, and take the network away."""
    _limit(resource.RLIMIT_FSIZE, MAX_FILE_BYTES)
    _limit(resource.RLIMIT_CPU, int(ctx.deadline) + 5)
    if offline and not cut_network():
        ctx.log("The job keeps its network access: this system has no way to take it away.")


@contextmanager
def _translated_errors() -> Generator[None]:
    """Raise the failures that the exceptions of libraries stand for."""
    try:
        yield
    except (JobFailed, MemoryError):
        raise
    except Exception as error:
        failure = _translate(error)
        if failure is None:
            raise
        raise failure from error


def _fetch(sources: Iterable[str], prefix: str, ctx: JobContext, login: Login) -> list[SourceFile]:
    """The files of all sources. A source that is named several times is fetched once."""
    names = list(sources)
    by_source: dict[str, SourceFile] = {}
    for number, source in enumerate(dict.fromkeys(names)):
        target = ctx.folder / f"{prefix}-{number}"
        by_source[source] = fetch_source(source, target, ctx, login)
    return [by_source[source] for source in names]


def _named_sources(args: OutputArgs) -> list[str]:
    if isinstance(args, DocumentArgs):
        return [args.url]
    return list(args.urls) if isinstance(args, ManySourcesArgs) else []


def _login(args: OutputArgs) -> Login:
    if not isinstance(args, LoginArgs):
        return Login()
    return Login(args.httpusername, revealed(args.httppassword))


def _translate(error: Exception) -> Exception | None:
    """What to raise instead of a library's exception; None for an error of our code."""
    for translate in _TRANSLATIONS:
        translated = translate(error)
        if translated is not None:
            return translated
    return None


def _from_memory(error: Exception) -> MemoryError | None:
    # The PDF library below pikepdf reports a lack of memory like a damaged file.
    return MemoryError() if str(error).endswith("std::bad_alloc") else None


# The libraries are looked up by name: code that raises one of their exceptions has imported them.


def _from_pdfium(error: Exception) -> JobFailed | None:
    pdfium = sys.modules.get("pypdfium2")
    if pdfium is None or not isinstance(error, pdfium.PdfiumError):
        return None
    if getattr(error, "err_code", None) == _PDFIUM_PASSWORD_ERROR:
        return failures.password_needed()
    return failures.invalid_document()


def _from_pikepdf(error: Exception) -> JobFailed | None:
    pikepdf = sys.modules.get("pikepdf")
    if pikepdf is None:
        return None
    if isinstance(error, pikepdf.PasswordError):
        return failures.password_needed()
    # Its exceptions have no common base; some are RuntimeErrors of the library below it.
    if isinstance(error, pikepdf.PdfError) or type(error).__module__.startswith("pikepdf."):
        return failures.invalid_document()
    return None


def _from_pillow(error: Exception) -> JobFailed | None:
    if "PIL" not in sys.modules:
        return None
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, Image.DecompressionBombError):
        return failures.too_large("The image", "100 megapixels")
    if isinstance(error, UnidentifiedImageError):
        return failures.invalid_document("an image")
    return None


def _from_calamine(error: Exception) -> JobFailed | None:
    calamine = sys.modules.get("python_calamine")
    if calamine is None or not isinstance(error, calamine.CalamineError):
        return None
    if isinstance(error, calamine.PasswordError):
        return failures.password_needed()
    return failures.invalid_document("a spreadsheet")


def _from_standard_library(error: Exception) -> JobFailed | None:
    if isinstance(error, zipfile.BadZipFile | RecursionError):
        return failures.invalid_document("a readable document")
    return None


_TRANSLATIONS: tuple[Callable[[Exception], Exception | None], ...] = (
    _from_memory,
    _from_pdfium,
    _from_pikepdf,
    _from_pillow,
    _from_calamine,
    _from_standard_library,
)


def _limit(what: int, value: int) -> None:
    _, hard = resource.getrlimit(what)
    soft = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (soft, hard))
