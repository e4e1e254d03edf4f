"""The kinds of job: ``@job`` registers a function, entry points and ``--import`` load modules.

A caller sends the name of a kind, never a path to code: no request makes the server import
anything.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.metadata
import importlib.util
import inspect
import logging
import math
import re
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, cast, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.json_schema import GenerateJsonSchema

from checkback.core import queue_codec as queue_codecs
from checkback.core.error_text import did_you_mean, quoted
from checkback.core.errors import InvalidInput, UnknownKind
from checkback.core.queue_codec import QueueCodec
from checkback.core.tool_names import PORTABLE, RESERVED, underscore
from checkback.kinds import source_arguments
from checkback.kinds.argument_errors import describe
from checkback.kinds.context import Environment, JobContext
from checkback.security.addresses import AddressPolicy

ENTRY_POINTS = "checkback.kinds"
DEFAULT_QUEUE = "jobs"

_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
_MISSING: Any = ...


class MemoryLimit(StrEnum):
    """How a memory limit is enforced."""

    #: RLIMIT_AS in the child: exact, but programs such as Chromium reserve far more than they use.
    ADDRESS_SPACE = "address_space"
    #: The worker watches the memory that the whole process tree really uses.
    RESIDENT = "resident"


WarmFactory = Callable[[Environment], AbstractAsyncContextManager[Any]]
Admit = Callable[[Any, AddressPolicy], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of job: its name, its function, the model of its arguments, and its limits."""

    name: str
    function: Callable[..., Any]
    args_model: type[BaseModel]
    title: str
    description: str
    queue: str = DEFAULT_QUEUE
    #: Running time of one attempt, in seconds.
    deadline_seconds: float = 600.0
    attempts: int = 1
    #: Wait before the second attempt; doubles with each further one.
    backoff_seconds: float = 2.0
    #: Maximum number of jobs at once in one worker process; None for the worker's own limit.
    concurrency: int | None = None
    #: True: its jobs only wait for other jobs, so they occupy no slot of their queue.
    waits: bool = False
    #: False: an attempt whose worker was lost is not run again.
    safe_to_repeat: bool = True
    #: True: its outcome depends on its arguments alone, so a crash or timeout is not retried.
    deterministic: bool = False
    memory_bytes: int | None = None
    memory_limit: MemoryLimit = MemoryLimit.RESIDENT
    #: Makes the resource that a warm child keeps between jobs. None: each job has a new child.
    warm: WarmFactory | None = None
    #: Whether its jobs get credentials for the egress proxy.
    network: bool = False
    #: Whether its processes can access only the system's programs and their own folder
    #: (``security.sandbox``). For kinds that read untrusted files.
    sandbox: bool = False
    #: Refuses arguments before the job is accepted and anything is stored.
    admit: Admit | None = None
    phases: tuple[str, ...] = ()
    #: Annotations of the kind's MCP tool, for hosts that ask a person before some calls.
    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False
    #: Whether it reaches beyond this machine; None for the value of ``network``.
    open_world: bool | None = None
    #: The kinds of the jobs that its jobs may start; None for any kind. A built-in kind with None
    #: may start no jobs.
    starts: tuple[str, ...] | None = None
    #: Whether its jobs make one file or a list of files; PDF.co's clients get a link to the list.
    outputs: Literal["one", "many"] = "one"
    #: How other programs that share its queue know its jobs; None: by its name and its arguments.
    queue_codec: QueueCodec | None = None
    #: Whether the function accepts its arguments as one model; else as separate parameters.
    takes_model: bool = False
    context_parameter: str | None = field(default=None)

    @property
    def is_built_in(self) -> bool:
        """Whether the kind is part of checkback."""
        return self.function.__module__.startswith(_OURS)

    @property
    def uses_pdfco(self) -> bool:
        """Whether its jobs run at PDF.co, with the server's key."""
        return self.is_built_in and self.name.startswith("pdfco.")

    def may_start(self, other: str) -> bool:
        """Whether a job of this kind may start a job of that kind."""
        return not self.is_built_in if self.starts is None else other in self.starts

    @property
    def sources(self) -> tuple[str, ...]:
        """The arguments that name source files, as paths: ``url``, ``urls``, ``images.url``."""
        return source_arguments.paths(self.args_model)

    @property
    def source_kinds(self) -> dict[str, str]:
        """The source arguments that accept only files of jobs of one kind, and that kind."""
        return source_arguments.of_kinds(self.args_model)

    def args_schema(self) -> dict[str, Any]:
        """The JSON schema of the arguments. A type that JSON schema cannot describe accepts
        anything in it, and is checked for each job.
        """
        try:
            schema = self.args_model.model_json_schema(schema_generator=_OpenSchema)
        except Exception as error:
            # A type of the user may have an invalid schema. The other kinds must still be listed.
            logger.warning("The arguments of the kind %s cannot be described: %s", self.name, error)
            return {"type": "object", "properties": {}}
        return cast("dict[str, Any]", _as_json(schema))

    def check_args(self, args: object) -> BaseModel:
        """The arguments as a validated model. Raises InvalidInput, which names each invalid
        field.
        """
        try:
            return self.args_model.model_validate(args)
        except ValidationError as error:
            raise InvalidInput(describe(error, self.args_model)) from None

    def parameters(self, model: BaseModel, context: Any) -> dict[str, Any]:
        """The keyword arguments of the function, from its validated arguments."""
        if self.takes_model:
            names = [
                name
                for name in inspect.signature(self.function).parameters
                if name != self.context_parameter
            ]
            parameters: dict[str, Any] = {names[0] if names else "args": model}
        else:
            parameters = {name: getattr(model, name) for name in type(model).model_fields}
        if self.context_parameter:
            parameters[self.context_parameter] = context
        return parameters

    def admitted(self, args: object, policy: AddressPolicy) -> dict[str, Any]:
        """The arguments as sent, after all checks that do not need the job. Raises InvalidInput."""
        model = self.check_args(args)
        if self.admit is not None:
            self.admit(model, policy)
        return model.model_dump(mode="python", by_alias=True, exclude_unset=True)


class _OpenSchema(GenerateJsonSchema):
    """Describes a type without a JSON schema as one that accepts anything: one such argument must
    not prevent all other kinds from being listed.
    """

    def emit_warning(self, kind: Any, detail: str) -> None:
        """Ignore warnings about defaults that are not JSON: these are left out."""

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> dict[str, Any]:
        return {}


def _as_json(value: Any) -> Any:
    """The value without what JSON cannot represent: infinite numbers are left out, and unpaired
    surrogates replaced.
    """
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value).items()
        return {_as_json(key): _as_json(item) for key, item in pairs if not _is_infinite(item)}
    if isinstance(value, list):
        return [_as_json(item) for item in cast("list[Any]", value) if not _is_infinite(item)]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    return value


def _is_infinite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


_kinds: dict[str, Kind] = {}
_preloads: list[str] = []
#: The refused kind of each module, from when it was loaded.
_refused: dict[str, KindRefused] = {}
#: For each module that ``load_available`` left out, the reason.
_failed: dict[str, str] = {}
_OURS = "checkback.kinds."

logger = logging.getLogger(__name__)


class KindRefused(ValueError):
    """A kind that cannot be registered. The message is one sentence with the reason."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


class ModuleNotLoaded(ImportError):
    """A module of kinds that cannot be imported. The message is one sentence with the module and
    the error.
    """


def job(
    name: str,
    *,
    title: str | None = None,
    args: type[BaseModel] | None = None,
    queue: str = DEFAULT_QUEUE,
    deadline_seconds: float = 600.0,
    attempts: int = 1,
    backoff_seconds: float = 2.0,
    concurrency: int | None = None,
    waits: bool = False,
    safe_to_repeat: bool = True,
    deterministic: bool = False,
    memory_bytes: int | None = None,
    memory_limit: MemoryLimit = MemoryLimit.RESIDENT,
    warm: WarmFactory | None = None,
    network: bool = False,
    sandbox: bool = False,
    admit: Admit | None = None,
    phases: Iterable[str] = (),
    read_only: bool = False,
    destructive: bool = False,
    idempotent: bool = False,
    open_world: bool | None = None,
    starts: Iterable[str] | None = None,
    outputs: Literal["one", "many"] = "one",
    queue_codec: QueueCodec | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function, ``async def`` or ``def``, as a kind of job.

    The model of the arguments is ``args``, or the pydantic model of the function's only parameter,
    or is made from its parameters. A parameter annotated with JobContext receives the context. The
    function itself stays callable as before. Raises KindRefused, a ValueError, for a name that is
    already used, here or by another tool, and for parameters that a kind cannot have.
    """
    make = functools.partial(
        Kind,
        name=name,
        title=title or name.replace(".", " ").replace("_", " ").capitalize(),
        queue=queue,
        deadline_seconds=deadline_seconds,
        attempts=attempts,
        backoff_seconds=backoff_seconds,
        concurrency=concurrency, waits=waits,
        safe_to_repeat=safe_to_repeat, deterministic=deterministic,
        memory_bytes=memory_bytes, memory_limit=memory_limit,
        warm=warm, network=network, sandbox=sandbox, admit=admit,
        phases=tuple(phases),
        read_only=read_only, destructive=destructive, idempotent=idempotent, open_world=open_world,
        starts=None if starts is None else tuple(starts),
        outputs=outputs, queue_codec=queue_codec,
    )  # fmt: skip
    return functools.partial(_register, make, args)


def _register(
    make: Callable[..., Kind], args: type[BaseModel] | None, function: Callable[..., Any]
) -> Callable[..., Any]:
    try:
        model, takes_model, context_parameter = _args_model(function, args)
    except Exception as error:
        name = str(cast("functools.partial[Kind]", make).keywords["name"])
        raise KindRefused(name, f"The kind {name!r} cannot be registered: {error}") from error
    add(
        make(
            function=function,
            args_model=model,
            description=inspect.getdoc(function) or "",
            takes_model=takes_model,
            context_parameter=context_parameter,
        )
    )
    return function


def add(kind: Kind) -> None:
    """Register a kind. Raises KindRefused for an invalid name, for one that another function uses,
    and for one whose MCP tool has the name of another tool.
    """
    reason = _reason_to_refuse(kind)
    if reason is not None:
        raise KindRefused(kind.name, reason)
    _kinds[kind.name] = kind
    if kind.queue_codec is not None:
        queue_codecs.register(kind.queue_codec)


def _reason_to_refuse(kind: Kind) -> str | None:
    tool = underscore(kind.name)
    if not _NAME.fullmatch(kind.name) or not PORTABLE.fullmatch(tool):
        rule = "use lower-case words joined by dots, 64 characters at most"
        return f"{kind.name[:80]!r} is not a valid name for a kind: {rule}."
    known = _kinds.get(kind.name)
    if known is not None and _origin(known.function) != _origin(kind.function):
        return f"The kind {kind.name!r} is already registered, by {known.function.__module__}."
    if tool in RESERVED and not kind.is_built_in:
        return f"The kind {kind.name!r} has the name of the tool {tool}: rename it."
    other = _kind_with_tool(tool, kind.name)
    if other is not None:
        both = f"The kinds {other!r} and {kind.name!r}"
        return f"{both} would both be the tool {tool}: rename one of them."
    return None


def _kind_with_tool(tool: str, name: str) -> str | None:
    """The kind that has the same MCP tool as the kind ``name``."""
    for other in _kinds:
        if other != name and underscore(other) == tool:
            return other
    return None


def get(name: str) -> Kind:
    """The kind with that name. Raises UnknownKind."""
    try:
        return _kinds[name]
    except KeyError:
        raise unknown(name) from None


def unknown(name: str) -> UnknownKind:
    """The error for a kind that is not registered. It gives the reason if the kind was refused, and
    the modules that ``load_available`` left out: one of them may have the kind.
    """
    reasons = [str(refusal) for refusal in _refused.values() if refusal.kind == name]
    reasons += [reason[:300] for reason in _failed.values()]
    message = f"Unknown kind {quoted(name)}.{did_you_mean(name, _kinds)}"
    return UnknownKind(" ".join([message, *reasons]))


def find(name: str) -> Kind | None:
    """The kind with that name, or None."""
    return _kinds.get(name)


def all_kinds() -> list[Kind]:
    """Every registered kind, by name."""
    return [_kinds[name] for name in sorted(_kinds)]


def load(modules: Iterable[str] = ()) -> None:
    """Import every module that registers kinds: the installed entry points, then ``modules``.

    A module is named as in Python, or by the path of its file (``/home/ada/own_kind.py``), which
    every process finds from any folder. Each module is imported once. Raises ModuleNotLoaded for
    one that cannot be imported. A refused kind only ends the import of its module; ``refused``
    returns it.
    """
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        _load(entry.value, entry.load)
    for module in modules:
        _load(module, functools.partial(_import_module, module))


def load_built_in() -> None:
    """Import the modules of the built-in kinds only."""
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        if entry.value.startswith(_OURS):
            _load(entry.value, entry.load)


def load_available(modules: Iterable[str] = ()) -> dict[str, str]:
    """Like ``load``, but without the modules that cannot be imported. Returns the reason for each
    of these.

    For a process that lists kinds and runs none: one bad module must not hide all others.
    """
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        _try(entry.value, entry.load)
    for module in modules:
        _try(module, functools.partial(_import_module, module))
    return failed()


def failed() -> dict[str, str]:
    """The modules that ``load_available`` left out, with the reasons."""
    return dict(_failed)


def refused() -> list[KindRefused]:
    """The kinds that were refused when their modules were loaded."""
    return list(_refused.values())


def _try(module: str, load_it: Callable[[], Any]) -> None:
    try:
        _load(module, load_it)
    except ModuleNotLoaded as error:
        _failed[module] = str(error)
    else:
        _failed.pop(module, None)


def _import_module(module: str) -> None:
    if module.endswith(".py"):
        _import_file(Path(module))
    else:
        importlib.import_module(module)


def _load(module: str, load_it: Callable[[], Any]) -> None:
    try:
        load_it()
    except KindRefused as error:
        if str(error) != str(_refused.get(module)):
            logger.warning("A kind of %s is left out. %s", module, error)
        _refused[module] = error
    except (Exception, SystemExit) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300].rstrip(".: ")
        line = _line_of(module, error)
        raise ModuleNotLoaded(f"{module} cannot be imported: {reason}{line}.") from error
    else:
        _refused.pop(module, None)


def _line_of(module: str, error: BaseException) -> str:
    """The line of the user's module where its import failed, if it is known."""
    path = module.removesuffix(".py").replace(".", "/")
    lines: list[int | None] = []
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename.removesuffix(".py").endswith(path):
            lines.append(frame.lineno)
    return f" (line {lines[-1]})" if lines else ""


def preload(*modules: str) -> None:
    """Let the fork server import ``modules`` once, so that they are already imported in each job's
    process.

    For modules that take long to import, are safe to fork, and are imported by jobs only. A missing
    module is ignored: the job that needs it reports it.
    """
    for module in modules:
        if module not in _preloads:
            _preloads.append(module)


def preloads() -> list[str]:
    """The modules that ``preload`` was called with."""
    return list(_preloads)


def import_preloads(modules: Iterable[str]) -> None:
    """Import the modules of ``preload``; for fork servers only."""
    for module in modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)


def _import_file(path: Path) -> None:
    """Import a file as the module of its name. It can import the files next to it."""
    name = path.stem
    known = sys.modules.get(name)
    if known is not None:
        if Path(known.__file__ or "") != path:
            raise ImportError(f"{path} has the name of another module, {name}: rename it")
        return
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ImportError(f"there is no file {path}")
    module = importlib.util.module_from_spec(spec)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


def _origin(function: Callable[..., Any]) -> tuple[str, str]:
    return function.__module__, function.__qualname__


def _args_model(
    function: Callable[..., Any], model: type[BaseModel] | None
) -> tuple[type[BaseModel], bool, str | None]:
    """The model of the arguments, whether the function accepts it as a whole, and the name of its
    parameter for the context.
    """
    fields, context_parameter = _parameters(function)
    model = model or _only_model(fields)
    if model is not None:
        return model, True, context_parameter
    return _model_of(f"{function.__name__}_args", fields), False, context_parameter


def _model_of(name: str, fields: dict[str, tuple[Any, Any]]) -> type[BaseModel]:
    """A model with these fields, by their types and defaults."""
    definitions: dict[str, Any] = {}
    for field_name, (hint, default) in fields.items():
        definitions[field_name] = (hint, default if default is _MISSING else Field(default))
    return create_model(name, __config__=ConfigDict(extra="forbid"), **definitions)


def _parameters(function: Callable[..., Any]) -> tuple[dict[str, tuple[Any, Any]], str | None]:
    """Type and default of each parameter, and the name of the parameter for the context."""
    hints = get_type_hints(function, include_extras=True)
    context_parameter: str | None = None
    fields: dict[str, tuple[Any, Any]] = {}
    for parameter in inspect.signature(function).parameters.values():
        hint = hints.get(parameter.name, Any)
        if hint is JobContext:
            context_parameter = parameter.name
        elif parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ValueError(
                f"{function.__qualname__} takes *args or **kwargs: name its parameters instead."
            )
        else:
            default = _MISSING if parameter.default is parameter.empty else parameter.default
            fields[parameter.name] = (hint, default)
    return fields, context_parameter


def _only_model(fields: dict[str, tuple[Any, Any]]) -> type[BaseModel] | None:
    """The type of the only parameter, if that is a pydantic model."""
    if len(fields) != 1:
        return None
    ((hint, _),) = fields.values()
    return hint if isinstance(hint, type) and issubclass(hint, BaseModel) else None
