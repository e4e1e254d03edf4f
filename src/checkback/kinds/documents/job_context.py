"""What every document job does around its real work: fetch, lock itself in, tell progress, keep
results.

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
from collections.abc import Generator, Iterable, Sequence
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


@dataclass(slots=True)
class DocumentWork:
    """One document job at work. Its methods are for the job's own thread."""

    ctx: JobContext
    #: Scratch space of this attempt, removed after it.
    folder: Path
    sources: Sequence[SourceFile]
    #: Files that some argument named beside the document, such as images.
    more: Sequence[SourceFile] = ()
    name: str = ""
    options: ProfileOptions = field(default_factory=ProfileOptions)
    _outputs: list[str] = field(default_factory=list[str])

    @property
    def source(self) -> SourceFile:
        """The only source, or the first."""
        return self.sources[0]

    def page_done(self, done: int, total: int) -> None:
        """Say that ``done`` of ``total`` pages are through."""
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
        """Keep a result file and return its name: the argument ``name`` or the source's, with our
        ending.

        ``suffix`` tells several outputs apart (``_page3``). ``name`` overrides all, for
        attachments. A name that is taken gets a number.
        """
        if name is not None:
            wanted = plain_name(name)
        else:
            stem = result_stem(self.name, "") or (
                self.sources[0].stem if self.sources else "document"
            )
            wanted = f"{stem}{suffix}.{extension}"
        unique, number = wanted, 1
        while unique in self._outputs:
            number += 1
            unique = f"{Path(wanted).stem}-{number}{Path(wanted).suffix}"
        self.ctx.artifact(unique, wrapped(content, self.options))
        self._outputs.append(unique)
        return unique

    def result(
        self,
        *,
        page_count: int | None = None,
        body: JSON = None,
        inline: bool = False,
        **facts: JSON,
    ) -> dict[str, JSON]:
        """The job's result. ``body`` is left out when it is large: the outputs have it anyhow.

        What a document says is marked untrusted: it is data, never instructions.
        """
        made: dict[str, JSON] = {
            "untrusted": True,
            "page_count": page_count,
            "outputs": self._outputs,
            **facts,
        }
        limit = MAX_INLINE_BYTES if inline else MAX_BODY_BYTES
        if body is not None and len(json.dumps(body)) <= limit:
            made["body"] = body
        return made


@contextmanager
def document_work(
    args: OutputArgs, ctx: JobContext, *, offline: bool = True, more: Iterable[str] = ()
) -> Generator[DocumentWork]:
    """Fetch the job's sources, then lock the process in, then let the work begin.

    ``offline`` takes the network away for good, from this process and every program that it starts;
    leave it only for work that renders pages from the network, through the proxy. ``more`` are
    further sources. What libraries raise inside becomes a failure in our words.
    """
    ctx.phase("fetch")
    login = _login(args)
    named = _fetch(_named_sources(args), "source", ctx, login)
    others = _fetch(more, "more", ctx, Login())
    _limit(resource.RLIMIT_FSIZE, MAX_FILE_BYTES)
    _limit(resource.RLIMIT_CPU, int(ctx.deadline) + 5)
    if offline and not cut_network():
        ctx.log("The network could not be taken from this job: the system has no way for it.")
    options = args.options
    if options.unknown:
        ctx.log(f"Options in profiles that mean nothing here: {', '.join(options.unknown)}.")
    for path in dict.fromkeys(source.path for source in (*named, *others)):
        unwrap(path, options)
    ctx.phase("convert")
    ctx.progress(FETCHED_PERCENT)
    work = DocumentWork(ctx, ctx.folder, named, others, name=args.name, options=options)
    try:
        yield work
    except (JobFailed, MemoryError):
        raise
    except Exception as error:
        if str(error).endswith("std::bad_alloc"):
            # The PDF library below pikepdf tells of its own want of memory as of a damaged file.
            raise MemoryError from error
        failure = _translate(error)
        if failure is None:
            raise
        raise failure from error
    ctx.progress(CONVERTED_PERCENT)


def _fetch(sources: Iterable[str], prefix: str, ctx: JobContext, login: Login) -> list[SourceFile]:
    """The files of all sources; one that is named several times is one file."""
    files: dict[str, SourceFile] = {}
    named = list(sources)
    for source in named:
        if source not in files:
            files[source] = fetch_source(source, ctx.folder / f"{prefix}-{len(files)}", ctx, login)
    return [files[source] for source in named]


def _named_sources(args: OutputArgs) -> list[str]:
    if isinstance(args, DocumentArgs):
        return [args.url]
    return list(args.urls) if isinstance(args, ManySourcesArgs) else []


def _login(args: OutputArgs) -> Login:
    if not isinstance(args, LoginArgs):
        return Login()
    secret = args.httppassword.get_secret_value() if args.httppassword else ""
    return Login(args.httpusername, secret)


def _translate(error: Exception) -> JobFailed | None:
    """What a library means by its exception; None for what is our own mistake.

    The libraries are asked for by name: whoever raised one of their exceptions has imported them.
    """
    pdfium, pikepdf, pillow, calamine = (
        sys.modules.get(name) for name in ("pypdfium2", "pikepdf", "PIL", "python_calamine")
    )
    if pdfium is not None and isinstance(error, pdfium.PdfiumError):
        return (
            failures.password_needed()
            if getattr(error, "err_code", None) == 4
            else failures.invalid_document()
        )
    if pikepdf is not None:
        if isinstance(error, pikepdf.PasswordError):
            return failures.password_needed()
        # Its exceptions have no base of their own; some are RuntimeErrors of the library below it.
        if isinstance(error, pikepdf.PdfError) or type(error).__module__.startswith("pikepdf."):
            return failures.invalid_document()
    if pillow is not None:
        from PIL import Image, UnidentifiedImageError

        if isinstance(error, Image.DecompressionBombError):
            return failures.too_large("The image", "100 megapixels")
        if isinstance(error, UnidentifiedImageError):
            return failures.invalid_document("picture")
    if calamine is not None and isinstance(error, calamine.CalamineError):
        encrypted = isinstance(error, calamine.PasswordError)
        return failures.password_needed() if encrypted else failures.invalid_document("spreadsheet")
    if isinstance(error, zipfile.BadZipFile | RecursionError):
        return failures.invalid_document("document")
    return None


def _limit(what: int, value: int) -> None:
    _, hard = resource.getrlimit(what)
    least = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (least, hard))
