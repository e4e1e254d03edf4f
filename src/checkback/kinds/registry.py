"""Which kinds of job exist: ``@job`` puts a function here, entry points and ``--import`` load
modules.

A kind's name, never a path to code, is what a caller sends: nothing is imported on a caller's word.
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
from typing import Any, cast, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.json_schema import GenerateJsonSchema

from checkback.core.error_text import did_you_mean, quoted
from checkback.core.errors import InvalidInput, UnknownKind
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
    """How a memory limit is held."""

    #: RLIMIT_AS in the child: exact, but programs such as Chromium reserve far more than they use.
    ADDRESS_SPACE = "address_space"
    #: The worker watches what the whole process tree really holds.
    RESIDENT = "resident"


WarmFactory = Callable[[Environment], AbstractAsyncContextManager[Any]]
Admit = Callable[[Any, AddressPolicy], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of job: a name, a function, the form of its arguments, and its limits."""

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
    #: How many may run at once in one worker process; None for the worker's own limit.
    concurrency: int | None = None
    #: True: its jobs only wait for others, so they hold no slot of their queue.
    waits: bool = False
    #: False: an attempt whose worker was lost is not run again.
    safe_to_repeat: bool = True
    #: True: its end depends on its arguments alone, so a crash or running out of time is not tried
    #: again.
    deterministic: bool = False
    memory_bytes: int | None = None
    memory_limit: MemoryLimit = MemoryLimit.RESIDENT
    #: Makes what a warm child keeps between jobs. None: each job has a fresh child.
    warm: WarmFactory | None = None
    #: Whether a job gets a key to the egress proxy.
    network: bool = False
    #: Whether its processes see only the system's programs and their own folder
    #: (``guard.sandbox``). For kinds that read strangers' bytes.
    sandbox: bool = False
    #: Refuses arguments at the door, before anything is stored.
    admit: Admit | None = None
    phases: tuple[str, ...] = ()
    #: What the kind's MCP tool says of itself, for hosts that ask a person before some calls.
    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False
    #: Whether it reaches beyond this machine; None for what ``network`` says.
    open_world: bool | None = None
    #: The kinds of which its jobs may start others; None for any. Of a built-in kind None means
    #: none.
    starts: tuple[str, ...] | None = None
    #: How the function takes its arguments: as one model, or spread over its parameters.
    takes_model: bool = False
    context_parameter: str | None = field(default=None)

    @property
    def is_built_in(self) -> bool:
        """Whether it comes with checkback, and is not one of its user's own."""
        return self.function.__module__.startswith(_OURS)

    @property
    def uses_pdfco(self) -> bool:
        """Whether its jobs run at PDF.co, and get the server's key for that."""
        return self.is_built_in and self.name.startswith("pdfco.")

    def may_start(self, other: str) -> bool:
        """Whether a job of this kind may start one of that name."""
        return not self.is_built_in if self.starts is None else other in self.starts

    @property
    def sources(self) -> tuple[str, ...]:
        """The arguments that name files to work on, as paths: ``url``, ``urls``, ``images.url``."""
        return source_arguments.paths(self.args_model)

    @property
    def source_kinds(self) -> dict[str, str]:
        """Of those arguments, the ones that take a file of a job of one kind
        alone, and that kind.
        """
        return source_arguments.of_kinds(self.args_model)

    def args_schema(self) -> dict[str, Any]:
        """The JSON schema of the arguments. What JSON cannot describe is open, and checked with
        each job.
        """
        try:
            schema = self.args_model.model_json_schema(schema_generator=_OpenSchema)
        except Exception as error:
            # A type of the user's own may bring a broken description; the other kinds are still to
            # be listed.
            logger.warning("The arguments of the kind %s cannot be described: %s", self.name, error)
            return {"type": "object", "properties": {}}
        return cast("dict[str, Any]", _as_json(schema))

    def check_args(self, args: object) -> BaseModel:
        """The arguments as a checked model. Raises InvalidInput that names each wrong field."""
        try:
            return self.args_model.model_validate(args)
        except ValidationError as error:
            raise InvalidInput(describe(error, self.args_model)) from None

    def admitted(self, args: object, policy: AddressPolicy) -> dict[str, Any]:
        """The arguments as given, checked in every way that does not need the job. Raises
        InvalidInput.
        """
        model = self.check_args(args)
        if self.admit is not None:
            self.admit(model, policy)
        return model.model_dump(mode="python", by_alias=True, exclude_unset=True)


class _OpenSchema(GenerateJsonSchema):
    """Describes a type without a JSON schema as one that accepts anything: one such argument must
    not keep every other kind from being listed.
    """

    def emit_warning(self, kind: Any, detail: str) -> None:
        """A default that is not JSON is left out; nobody needs to be warned of it."""

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> dict[str, Any]:
        return {}


def _as_json(value: Any) -> Any:
    """Without what no JSON can hold: infinite numbers are left out, halves of surrogate pairs
    replaced.
    """
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value).items()
        return {_as_json(key): _as_json(part) for key, part in pairs if not _is_infinite(part)}
    if isinstance(value, list):
        return [_as_json(part) for part in cast("list[Any]", value) if not _is_infinite(part)]
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value


def _is_infinite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


_kinds: dict[str, Kind] = {}
_preloads: list[str] = []
#: By module, the kind that was refused when it was loaded.
_refused: dict[str, KindRefused] = {}
#: By module, why ``load_available`` left it out.
_failed: dict[str, str] = {}
_OURS = "checkback.kinds."

logger = logging.getLogger(__name__)


class KindRefused(ValueError):
    """A kind that cannot be registered; the text is one sentence that says why."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


class ModuleNotLoaded(ImportError):
    """A module of kinds that cannot be imported; the text is one sentence with the module and the
    error.
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
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function, ``async def`` or ``def``, as a kind of job.

    The form of the arguments is ``args``, or the function's one parameter that is a pydantic model,
    or is made from its parameters. A parameter annotated with JobContext receives the context. The
    function itself stays callable as before. Raises KindRefused, a ValueError, for a name that is
    taken or leads to another tool, and for parameters that a kind cannot have.
    """
    made = functools.partial(
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
    )  # fmt: skip
    return functools.partial(_register, made, args)


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
    """Put a kind into the registry. Raises KindRefused for a bad name, one taken by another
    function, and one under which agents would call another tool.
    """
    tool = underscore(kind.name)
    if not _NAME.fullmatch(kind.name) or not PORTABLE.fullmatch(tool):
        rule = "use lower-case words joined by dots, 64 characters at most"
        raise KindRefused(kind.name, f"{kind.name[:80]!r} is not a name for a kind: {rule}.")
    known = _kinds.get(kind.name)
    if known is not None and _origin(known.function) != _origin(kind.function):
        where = known.function.__module__
        raise KindRefused(kind.name, f"The kind {kind.name!r} is registered already, by {where}.")
    if tool in RESERVED and not kind.function.__module__.startswith(_OURS):
        raise KindRefused(
            kind.name, f"The kind {kind.name!r} has the name of the tool {tool}: rename it."
        )
    for other in _kinds:
        if other != kind.name and underscore(other) == tool:
            both = f"The kinds {other!r} and {kind.name!r}"
            raise KindRefused(
                kind.name, f"{both} would both be the tool {tool}: rename one of them."
            )
    _kinds[kind.name] = kind


def get(name: str) -> Kind:
    """The kind of that name. Raises UnknownKind."""
    try:
        return _kinds[name]
    except KeyError:
        raise unknown(name) from None


def unknown(name: str) -> UnknownKind:
    """The error for a kind that is not registered. It says why that kind was refused, and names the
    modules that ``load_available`` left out: one of them may have it.
    """
    reasons = [str(one) for one in _refused.values() if one.kind == name]
    reasons += [reason[:300] for reason in _failed.values()]
    message = f"Unknown kind {quoted(name)}.{did_you_mean(name, _kinds)}"
    return UnknownKind(" ".join([message, *reasons]))


def find(name: str) -> Kind | None:
    """The kind of that name, or None."""
    return _kinds.get(name)


def all_kinds() -> list[Kind]:
    """Every registered kind, by name."""
    return [_kinds[name] for name in sorted(_kinds)]


def load(modules: Iterable[str] = ()) -> None:
    """Import every module that registers kinds: the installed entry points, then ``modules``.

    A module is named as in Python, or by the path of its file (``/home/ada/own_kind.py``), which
    every process finds, whatever its folder. Each is imported once. Raises ModuleNotLoaded for one
    that cannot be imported. A kind that is refused ends its module's import and nothing else:
    ``refused`` tells of it.
    """
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        _load(entry.value, entry.load)
    for module in modules:
        _load(module, functools.partial(_import_module, module))


def load_built_in() -> None:
    """Import the modules of the built-in kinds alone."""
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        if entry.value.startswith(_OURS):
            _load(entry.value, entry.load)


def load_available(modules: Iterable[str] = ()) -> dict[str, str]:
    """Like ``load``, but without the modules that cannot be imported. Returns the reason for each
    of those.

    For a process that lists kinds and runs none: one bad module must not hide all others.
    """
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        _try(entry.value, entry.load)
    for module in modules:
        _try(module, functools.partial(_import_module, module))
    return failed()


def failed() -> dict[str, str]:
    """The modules that ``load_available`` left out, and why."""
    return dict(_failed)


def refused() -> list[KindRefused]:
    """The kinds that modules brought and that were refused when these were loaded."""
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
        what = " ".join(f"{type(error).__name__}: {error}".split())[:300].rstrip(".: ")
        raise ModuleNotLoaded(
            f"{module} cannot be imported: {what}{_place(module, error)}."
        ) from error
    else:
        _refused.pop(module, None)


def _place(module: str, error: BaseException) -> str:
    """The line of the user's own module at which its import ended, where that is known."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.removesuffix(".py").endswith(module.removesuffix(".py").replace(".", "/"))
    ]
    return f" (line {lines[-1]})" if lines else ""


def preload(*modules: str) -> None:
    """Have the fork server import ``modules`` once, so that each job's process has them without
    waiting.

    For modules that take long to import, may be forked, and are imported by jobs only. What is
    missing is left out: the job that needs it says so.
    """
    _preloads.extend(module for module in modules if module not in _preloads)


def preloads() -> list[str]:
    """What ``preload`` named so far."""
    return list(_preloads)


def import_preloads(modules: Iterable[str]) -> None:
    """Import what ``preload`` named; for fork servers only."""
    for module in modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)


def _import_file(path: Path) -> None:
    """Import a file as the module of its name; what lies beside it can be imported from it."""
    name = path.stem
    known = sys.modules.get(name)
    if known is not None:
        if Path(known.__file__ or "") == path:
            return
        raise ImportError(f"{path} has the name of another module, {name}: rename it")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ImportError(f"there is no file {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
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
    hints = get_type_hints(function, include_extras=True)
    context_parameter: str | None = None
    fields: dict[str, Any] = {}
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
    if model is None and len(fields) == 1:
        (only,) = fields.values()
        if isinstance(only[0], type) and issubclass(only[0], BaseModel):
            model = only[0]
    if model is not None:
        return model, True, context_parameter
    definitions: dict[str, Any] = {
        key: (hint, default if default is _MISSING else Field(default))
        for key, (hint, default) in fields.items()
    }
    made: type[BaseModel] = create_model(
        f"{function.__name__}_args", __config__=ConfigDict(extra="forbid"), **definitions
    )
    return made, False, context_parameter
