"""Every setting, its default, and one line of meaning. Read here by ``app`` and ``cli``, passed on
as plain values.

Each is an environment variable ``CHECKBACK_<NAME>``. Settings of the *server* are read by
``checkback serve``, which publishes them: a client that is configured otherwise is refused with a
hint. Settings of the *API* belong to the process that reads them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, cast
from urllib.parse import SplitResult, urlsplit

from checkback.core.error_text import did_you_mean, listed, quoted
from checkback.core.errors import InvalidInput

PREFIX = "CHECKBACK_"
TOOLSETS = frozenset({"pages", "documents", "jobs", "lean"})

_RANGES: dict[str, tuple[float, float]] = {
    "port": (0, 65535),
    "store_memory_mb": (0, 1_000_000),
    "page_concurrency": (1, 1000),
    "document_concurrency": (1, 1000),
    "job_concurrency": (1, 1000),
    "keep_completed_hours": (0.001, 87600),
    "keep_failed_hours": (0.001, 87600),
    "grace_seconds": (0, 3600),
    "lock_seconds": (3, 600),
    "idle_minutes": (0.01, 525600),
    "owner_jobs": (0, 1_000_000),
    "queue_jobs": (0, 10_000_000),
    "owner_requests": (0, 1_000_000),
    "owner_submits": (0, 1_000_000),
    "job_checks": (0, 1_000_000),
    "owner_uploads": (0, 10_000),
    "owner_upload_gb": (0, 1_000_000),
    "owner_sessions": (0, 10_000),
    "disk_budget_gb": (0, 1_000_000),
    "owner_artifact_gb": (0, 1_000_000),
    "job_disk_gb": (0, 1_000_000),
    "owner_store_mb": (0, 1_000_000),
    "owner_upload_files": (0, 10_000_000),
    "owner_streams": (0, 1_000_000),
    "max_deadline_seconds": (0, 86400),
}


class Belongs(StrEnum):
    """Which processes read a setting."""

    SERVER = "server"
    #: Read by each process for itself. Its value is older than its name.
    API = "door"
    #: Must be the same everywhere, because it says which server is meant.
    BOTH = "both"


def _setting(
    default: Any, meaning: str, belongs: Belongs = Belongs.SERVER, *, secret: bool = False
) -> Any:
    metadata = {"meaning": meaning, "belongs": belongs, "secret": secret}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _home() -> Path:
    import platformdirs

    return Path(platformdirs.user_data_dir("checkback", appauthor=False))


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one process. ``read`` makes them from the environment."""

    home: Path = _setting(_home, "Data folder: store, artifacts, token, logs.", Belongs.BOTH)
    redis_url: str | None = _setting(
        None,
        "URL of a Redis or Valkey server to use instead of the embedded one: redis://, "
        "rediss:// or unix://.",
        Belongs.BOTH,
        secret=True,
    )
    prefix: str = _setting(
        "bull", "Prefix of all keys in the store; write {bull} for Redis Cluster.", Belongs.BOTH
    )
    secret_key: str | None = _setting(
        None,
        "Key that encrypts secret arguments and derives idempotent ids. Default: a file in "
        "the data folder. Servers that share a store must have the same key.",
        Belongs.BOTH,
        secret=True,
    )
    host: str = _setting(
        "127.0.0.1",
        "Address that the server listens on. Any address that is not loopback requires tokens.",
    )
    port: int = _setting(8787, "Port that the server listens on; 0 selects a free one.")
    hosts: tuple[str, ...] = _setting(
        (), "Additional host names that requests may be addressed to, as name or name:port."
    )
    tokens: Path | None = _setting(
        None,
        "TOML file of owners and hashed tokens, created by `checkback token add`. Default: "
        "tokens.toml in the data folder, if it exists.",
    )
    allow_hosts: tuple[str, ...] = _setting(
        (), "Private addresses that jobs may reach, as host:port or host:*."
    )
    deny_networks: tuple[str, ...] = _setting(
        (), "Public addresses and networks that jobs must not reach, such as 203.0.113.0/24."
    )
    kinds: tuple[str, ...] = _setting(
        (), "Python modules that define your own kinds, by module name or by path of a .py file."
    )
    queues: tuple[str, ...] = _setting(
        (), "Queues to serve in addition to page-analyze, documents and jobs."
    )
    browser: str | None = _setting(
        None, "Path of the browser for page analysis. Default: an installed browser is detected."
    )
    sandbox: str = _setting(
        "auto",
        "Sandbox for jobs that read untrusted content: auto (Landlock, else bubblewrap), "
        "bubblewrap, or none.",
    )
    accept_missing_sandbox: bool = _setting(
        False, "Run such jobs even if the sandbox is not available; each result then says so."
    )
    appendfsync: str = _setting(
        "always", "When the embedded store syncs to disk: always, everysec or no."
    )
    store_memory_mb: int = _setting(
        1024,
        "Memory limit of the embedded store's data, in MB; the last tenth is reserved for "
        "accepted jobs. 0 means no limit.",
    )
    page_concurrency: int = _setting(
        lambda: min(_cores(), 4), "Page analyses that one worker runs at a time."
    )
    document_concurrency: int = _setting(_cores, "Document jobs that one worker runs at a time.")
    job_concurrency: int = _setting(
        lambda: 4 * _cores(), "Other jobs that one worker runs at a time, for each queue."
    )
    keep_completed_hours: float = _setting(24.0, "How long completed jobs are kept, in hours.")
    keep_failed_hours: float = _setting(
        168.0, "How long failed and cancelled jobs are kept, in hours."
    )
    lock_seconds: float = _setting(
        30.0,
        "How long a worker holds a job without renewing its lock, in seconds; after that another "
        "worker may run the job. Must be the same for all workers; below 20, a short outage of "
        "the store makes jobs run twice.",
    )
    grace_seconds: float = _setting(
        25.0, "Time that running jobs have to finish when a worker is stopped, in seconds."
    )
    idle_minutes: float = _setting(
        15.0,
        "Minutes without clients and jobs after which a server that was started in the "
        "background stops.",
    )
    owner_jobs: int = _setting(
        1000, "Unfinished jobs that one owner may have; 0 means no limit. Does not apply to admins."
    )
    queue_jobs: int = _setting(
        50_000, "Jobs that may wait in one queue, of all owners together; 0 means no limit."
    )
    owner_requests: float = _setting(
        500.0,
        "Requests per second of one owner, averaged over ten seconds; 0 means no limit. Does "
        "not apply to admins.",
    )
    owner_submits: float = _setting(
        50.0,
        "Submits and retries per second of one owner, averaged over ten seconds; 0 means no "
        "limit. Does not apply to admins.",
    )
    job_checks: float = _setting(
        20.0,
        "Status checks per second of one owner for one job, averaged over ten seconds; 0 "
        "means no limit. Does not apply to admins.",
    )
    owner_uploads: int = _setting(
        8,
        "Uploads that one owner may have in progress at a time; 0 means no limit. Does "
        "not apply to admins.",
    )
    owner_upload_gb: float = _setting(
        5.0,
        "Disk space for the uploads of one owner, in GB; 0 means no limit. Does not "
        "apply to admins.",
    )
    owner_artifact_gb: float = _setting(
        10.0,
        "Disk space for the job results of one owner, in GB; 0 means no limit. Does not "
        "apply to admins.",
    )
    job_disk_gb: float = _setting(
        4.0,
        "Disk space for the temporary files and results of one running job, in GB; 0 means "
        "no limit.",
    )
    owner_upload_files: int = _setting(
        1000,
        "Number of uploads that are kept for one owner; 0 means no limit. Does not "
        "apply to admins.",
    )
    owner_store_mb: int = _setting(
        256,
        "Memory in the store for the jobs of one owner, in MB, and never more than a quarter "
        "of CHECKBACK_STORE_MEMORY_MB; 0 means no limit. Does not apply to admins.",
    )
    owner_streams: int = _setting(
        200,
        "Event streams, long waits and subscriptions that one owner may have open at a time; "
        "0 means no limit. Does not apply to admins.",
    )
    max_deadline_seconds: float = _setting(
        3600.0,
        "Longest deadline_seconds that a submit may request, unless the kind's own is "
        "longer; 0 means 24 hours. Does not apply to admins.",
    )
    owner_sessions: int = _setting(
        100,
        "MCP sessions over HTTP that one owner may have; one more closes the session that "
        "was idle longest. 0 means no limit. Does not apply to admins.",
    )
    disk_budget_gb: float = _setting(
        50.0, "Disk space for all artifacts and uploads together, in GB; 0 means no limit."
    )
    callback_secret: str | None = _setting(
        None,
        "Key that signs callbacks. Default: a key derived from the data folder's secret.",
        secret=True,
    )
    pdfco_key: str | None = _setting(
        None,
        "API key for jobs that run at PDF.co; without it, each call must bring its own.",
        secret=True,
    )
    pdfco_key_owners: tuple[str, ...] = _setting(
        ("local",),
        "Owners whose jobs may use that key, in addition to admins. All others "
        "must bring their own.",
    )
    pdfco_url: str = _setting("https://api.pdf.co", "Base URL of PDF.co's API.")
    production: bool = _setting(True, "Hide internal details of errors from callers.")
    public_url: str | None = _setting(
        None,
        "URL at which clients reach this server, such as https://jobs.example.com; links to "
        "files begin with it. Default: the address that a request was sent to.",
    )
    tool_names: str = _setting(
        "underscore",
        "Form of the names of MCP tools: underscore (page_analyze) or dotted (page.analyze). "
        "auto means underscore.",
        Belongs.API,
    )
    toolsets: tuple[str, ...] = _setting(
        ("pages", "documents", "jobs"),
        "MCP tools to offer: pages, documents and jobs, separated by commas, or lean (a few "
        "tools for all kinds).",
        Belongs.API,
    )
    log_level: str = _setting(
        "info", "Lowest level that the server logs: debug, info, warning or error."
    )
    log_format: str = _setting("text", "Format of the log: text, or json for one object a line.")

    @property
    def own_valkey(self) -> bool:
        """Whether the store is the embedded one."""
        return self.redis_url is None

    @property
    def artifacts_folder(self) -> Path:
        return self.home / "artifacts"

    @property
    def uploads_folder(self) -> Path:
        return self.home / "uploads"

    @property
    def temporary_folder(self) -> Path:
        return self.home / "tmp"

    @property
    def disk_budget_bytes(self) -> int:
        """Disk space for artifacts and uploads together; 0 means no limit."""
        return int(self.disk_budget_gb * 1e9)

    @property
    def owner_store_bytes(self) -> int:
        """Memory in the store for the jobs of one owner; 0 means no limit."""
        shares = [self.owner_store_mb << 20]
        if self.own_valkey and self.store_memory_mb > 0:
            shares.append((self.store_memory_mb << 20) // 4)
        return min(shares)

    @property
    def concurrency(self) -> dict[str, int]:
        """How many jobs of each queue run at once in one worker."""
        table = {"page-analyze": self.page_concurrency, "documents": self.document_concurrency}
        return table | dict.fromkeys(("jobs", *self.queues), self.job_concurrency)

    def published(self) -> dict[str, Any]:
        """The server's own settings as JSON, so that clients can compare theirs; no secrets."""
        return {
            setting.name: _plain(getattr(self, setting.name))
            for setting in fields(self)
            if setting.metadata["belongs"] is Belongs.SERVER and not setting.metadata["secret"]
        }


def read(environment: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """The settings of this process. Raises InvalidInput that names the variable which is wrong, or
    unknown."""
    values = _from_environment(os.environ if environment is None else environment)
    values.update({name: value for name, value in overrides.items() if value is not None})
    values["kinds"] = tuple(_absolute(module) for module in values.get("kinds", ()))
    settings = Settings(**values)
    _check(settings)
    return settings


def _unknown_setting(variable: str) -> InvalidInput:
    known = [PREFIX + setting.name.upper() for setting in fields(Settings)]
    return InvalidInput(
        f"Unknown setting {variable}.{did_you_mean(variable, known, prefix=PREFIX)}",
        hint="Correct or remove the variable; docs/settings.md lists all settings.",
    )


def explicit(environment: Mapping[str, str], overrides: Mapping[str, Any]) -> set[str]:
    """The names of the settings that were set for this process, by variable or by option."""
    chosen = {
        variable[len(PREFIX) :].lower() for variable in environment if variable.startswith(PREFIX)
    }
    return chosen | {name for name, value in overrides.items() if value is not None}


_SWITCHES = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def _from_environment(variables: Mapping[str, str]) -> dict[str, Any]:
    """The settings that have a variable; an empty one counts as missing."""
    types = {setting.name: str(setting.type) for setting in fields(Settings)}
    values: dict[str, Any] = {}
    for variable, text in variables.items():
        if not variable.startswith(PREFIX):
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name not in types:
            raise _unknown_setting(variable)
        if text != "":
            values[name] = _parse(variable, text, types[name])
    return values


def _parse(variable: str, text: str, kind: str) -> Any:
    """The value of a variable for a setting whose type is written as ``kind``."""
    for name, parse in _PARSERS.items():
        if name in kind:
            return parse(variable, text)
    return text


def _parse_list(_: str, text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _parse_switch(variable: str, text: str) -> bool:
    if text.lower() not in _SWITCHES:
        raise _invalid(variable, "expected true or false")
    return _SWITCHES[text.lower()]


def _parse_whole_number(variable: str, text: str) -> int:
    return _number(variable, text, int, "expected a whole number")


def _parse_number(variable: str, text: str) -> float:
    return _number(variable, text, float, "expected a number")


def _parse_path(_: str, text: str) -> Path:
    return Path(text).expanduser().absolute()


_PARSERS: Mapping[str, Callable[[str, str], Any]] = {
    "tuple": _parse_list,
    "bool": _parse_switch,
    "int": _parse_whole_number,
    "float": _parse_number,
    "Path": _parse_path,
}


def _number(variable: str, text: str, convert: Callable[[str], Any], expected: str) -> Any:
    try:
        return convert(text)
    except ValueError:
        raise _invalid(variable, f"{expected}; got {quoted(text)}") from None


def _invalid(variable: str, expected: str, hint: str | None = None) -> InvalidInput:
    return InvalidInput(
        f"Invalid value for {variable}: {expected}.",
        hint=hint or "Correct the value, then start again; docs/settings.md describes it.",
    )


def _absolute(module: str) -> str:
    """A file of kinds by its whole path: the server and its workers run in other folders."""
    return str(Path(module).expanduser().resolve()) if module.endswith(".py") else module


_CHOICES = {
    "sandbox": ("auto", "bubblewrap", "none"),
    "appendfsync": ("always", "everysec", "no"),
    "tool_names": ("underscore", "dotted", "auto"),
    "log_level": ("debug", "info", "warning", "error"),
    "log_format": ("text", "json"),
}


def _check_choices(settings: Settings) -> None:
    for name, choices in _CHOICES.items():
        value = getattr(settings, name)
        if value not in choices:
            raise _invalid(_variable(name), f"expected {listed(choices)}; got {quoted(value)}")


def _check_ranges(settings: Settings) -> None:
    for name, (least, most) in _RANGES.items():
        value = getattr(settings, name)
        if not least <= value <= most:
            expected = f"expected a number from {least} to {most}; got {value}"
            raise _invalid(_variable(name), expected)


def _check(settings: Settings) -> None:
    _check_choices(settings)
    _check_ranges(settings)
    _check_prefix(settings.prefix)
    _check_toolsets(settings.toolsets)
    _check_public_url(settings.public_url)
    _check_queues(settings.queues)


def _check_prefix(prefix: str) -> None:
    if not re.fullmatch(r"[!-~]{1,100}", prefix):
        raise _invalid(
            _variable("prefix"),
            "expected 1 to 100 ASCII characters without spaces",
            hint="Use bull, the default, unless other programs share the store.",
        )


def _check_public_url(url: str | None) -> None:
    if url is not None and not _is_base_url(url):
        raise _invalid(
            _variable("public_url"),
            "expected an http or https URL without query or user",
            hint="Write the scheme, the host and, if needed, port and path: "
            "https://jobs.example.com",
        )


def _check_queues(queues: tuple[str, ...]) -> None:
    for queue in queues:
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", queue):
            raise _invalid(
                _variable("queues"),
                f"{quoted(queue)} is not a valid queue name",
                hint="Use at most 64 letters, digits and . _ - in a name, and separate names by "
                "commas.",
            )


def _check_toolsets(toolsets: tuple[str, ...]) -> None:
    for name in sorted(set(toolsets) - TOOLSETS):
        raise InvalidInput(
            f"Unknown toolset {quoted(name)} in {_variable('toolsets')}."
            f"{did_you_mean(name, TOOLSETS)}",
            hint="Use pages, documents, jobs or lean, separated by commas.",
        )


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _is_base_url(text: str) -> bool:
    with suppress(ValueError):
        parts = urlsplit(text)
        _ = parts.port  # raises ValueError for one that is not a number
        return text.isprintable() and " " not in text and _has_host_and_path_only(parts)
    return False


def _has_host_and_path_only(parts: SplitResult) -> bool:
    if parts.query or parts.fragment or "@" in parts.netloc:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(cast("tuple[str, ...]", value))
    return str(value) if isinstance(value, Path) else value


def with_values(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """The settings with some of their values replaced."""
    return replace(settings, **values)


def to_environment(settings: Settings) -> dict[str, str]:
    """The settings as variables, for a child process that must have the same."""
    variables: dict[str, str] = {}
    for setting in fields(settings):
        value = getattr(settings, setting.name)
        if value is None:
            continue
        text = ",".join(cast("tuple[str, ...]", value)) if isinstance(value, tuple) else str(value)
        variables[_variable(setting.name)] = text
    return variables
