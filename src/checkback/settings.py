"""Every setting, its default, and one line of meaning. Read here by ``app`` and ``cli``, passed on
as plain values.

Each is an environment variable ``CHECKBACK_<NAME>``. Settings of the *server* are read by
``checkback serve``, which publishes them: a client that is configured otherwise is refused with a
hint. Settings of the *door* belong to the process that reads them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

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
    """Whose a setting is."""

    SERVER = "server"
    DOOR = "door"
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
        "A Redis or Valkey server to use instead of the embedded one: redis://, rediss:// or unix://.",
        Belongs.BOTH,
        secret=True,
    )
    prefix: str = _setting(
        "bull", "Prefix of all keys in the store; on Redis Cluster write {bull}.", Belongs.BOTH
    )
    secret_key: str | None = _setting(
        None,
        "Seals secret arguments and makes idempotent ids; without it a file in the data folder does. Servers "
        "that share a store need the same one.",
        Belongs.BOTH,
        secret=True,
    )
    host: str = _setting(
        "127.0.0.1", "Address that the HTTP doors listen on; another one needs tokens."
    )
    port: int = _setting(8787, "Port of the HTTP doors; 0 takes a free one.")
    hosts: tuple[str, ...] = _setting(
        (), "Further host names under which the HTTP doors may be called, as name or name:port."
    )
    tokens: Path | None = _setting(
        None,
        "TOML file of owners and hashed tokens, made by `checkback token add`; without it tokens.toml in the "
        "data folder, if there is one.",
    )
    allow_hosts: tuple[str, ...] = _setting(
        (), "Private addresses that jobs may reach, as host:port, or host:*."
    )
    deny_networks: tuple[str, ...] = _setting(
        (), "Public addresses and networks that no job may reach, as 203.0.113.0/24."
    )
    kinds: tuple[str, ...] = _setting(
        (), "Python modules with kinds of your own, by name, or as the path of a .py file."
    )
    queues: tuple[str, ...] = _setting(
        (), "Queues to serve beyond page-analyze, documents and jobs."
    )
    browser: str | None = _setting(
        None, "Browser program for page analysis; without it an installed one is found."
    )
    sandbox: str = _setting(
        "auto",
        "Which sandbox jobs that read strangers' bytes run in: auto (Landlock, else bubblewrap), bubblewrap, "
        "or none.",
    )
    accept_missing_sandbox: bool = _setting(
        False, "Run such jobs also where the sandbox is missing; each result then says so."
    )
    appendfsync: str = _setting(
        "always", "When the embedded store writes to disk: always, everysec or no."
    )
    store_memory_mb: int = _setting(
        1024,
        "Memory for the embedded store's data, in MB; the last tenth is kept for jobs that were accepted. "
        "0 sets no limit.",
    )
    page_concurrency: int = _setting(
        lambda: min(_cores(), 4), "Page analyses that run at once in one worker."
    )
    document_concurrency: int = _setting(_cores, "Document jobs that run at once in one worker.")
    job_concurrency: int = _setting(
        lambda: 4 * _cores(), "Other jobs that run at once in one worker, for each queue."
    )
    keep_completed_hours: float = _setting(24.0, "How long completed jobs can be read, in hours.")
    keep_failed_hours: float = _setting(
        168.0, "How long failed and cancelled jobs can be read, in hours."
    )
    lock_seconds: float = _setting(
        30.0,
        "How long a worker holds a job without a sign of life; then another worker may run it. The same "
        "for all workers; with less than 20, a short outage of the store runs jobs twice.",
    )
    grace_seconds: float = _setting(
        25.0, "What running jobs get to finish when a worker is stopped, in seconds."
    )
    idle_minutes: float = _setting(
        15.0,
        "A server that was started in the background ends after so long without clients and jobs.",
    )
    owner_jobs: int = _setting(
        1000, "Jobs that one owner may have that have not ended; 0 for any number. Not for admins."
    )
    queue_jobs: int = _setting(
        50_000, "Jobs that may wait in one queue, whoever's they are; 0 for any number."
    )
    owner_requests: float = _setting(
        500.0,
        "Requests of one owner each second, over ten seconds; 0 for any number. Not for admins.",
    )
    owner_submits: float = _setting(
        50.0,
        "Submits and retries of one owner each second, over ten seconds; 0 for any number. Not for admins.",
    )
    job_checks: float = _setting(
        20.0,
        "Questions of one owner about one job each second, over ten seconds; 0 for any number. Not for "
        "admins.",
    )
    owner_uploads: int = _setting(
        8, "Uploads of one owner that may be under way at once; 0 for any number. Not for admins."
    )
    owner_upload_gb: float = _setting(
        5.0, "What one owner's uploads may take on the disk, in GB; 0 for no limit. Not for admins."
    )
    owner_artifact_gb: float = _setting(
        10.0,
        "What the results of one owner's jobs may take on the disk, in GB; 0 for no limit. Not for admins.",
    )
    job_disk_gb: float = _setting(
        4.0,
        "What the temporary files and results of one job may take on the disk while it runs, in GB; 0 for no "
        "limit.",
    )
    owner_upload_files: int = _setting(
        1000, "Uploads of one owner that are kept, by number; 0 for any number. Not for admins."
    )
    owner_store_mb: int = _setting(
        256,
        "Memory that the jobs of one owner may take in the store, in MB, and never more than a quarter of "
        "CHECKBACK_STORE_MEMORY_MB; 0 for no limit. Not for admins.",
    )
    owner_streams: int = _setting(
        200,
        "Event streams, long waits and subscriptions of one owner that may be open at once; 0 for any "
        "number. Not for admins.",
    )
    max_deadline_seconds: float = _setting(
        3600.0,
        "Longest deadline_seconds that a submit may name, unless the kind's own is longer; 0 for 24 hours. "
        "Not for admins.",
    )
    owner_sessions: int = _setting(
        100,
        "MCP sessions of one owner over HTTP; a further one ends the longest idle. 0 for any number. Not for "
        "admins.",
    )
    disk_budget_gb: float = _setting(
        50.0, "What artifacts and uploads may take on the disk together, in GB; 0 for no limit."
    )
    callback_secret: str | None = _setting(
        None,
        "Signs callbacks; without it a key made from the data folder's secret does.",
        secret=True,
    )
    pdfco_key: str | None = _setting(
        None, "Key for jobs that run at PDF.co; without it calls bring their own.", secret=True
    )
    pdfco_key_owners: tuple[str, ...] = _setting(
        ("local",), "Owners whose jobs may use that key; admins may, too. Others bring their own."
    )
    pdfco_url: str = _setting("https://api.pdf.co", "Where PDF.co's API is.")
    production: bool = _setting(True, "Hide internal details of errors from callers.")
    public_url: str | None = _setting(
        None,
        "Address under which clients reach this server, such as https://jobs.example.com; links to files "
        "begin with it. Default: the address that a request was sent to.",
    )
    tool_names: str = _setting(
        "underscore",
        "How MCP tools are listed: underscore (page_analyze) or dotted (page.analyze). auto: underscore.",
        Belongs.DOOR,
    )
    toolsets: tuple[str, ...] = _setting(
        ("pages", "documents", "jobs"),
        "Which MCP tools there are: pages, documents and jobs, with commas, or lean: a few for every kind.",
        Belongs.DOOR,
    )
    log_level: str = _setting("info", "What the server logs: debug, info, warning or error.")
    log_format: str = _setting(
        "text", "How log lines look: text, or json for one object in each line."
    )

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
        """What artifacts and uploads may take together; 0 is no limit."""
        return int(self.disk_budget_gb * 1e9)

    @property
    def owner_store_bytes(self) -> int:
        """What the jobs of one owner may take in the store; 0 is no limit."""
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
        """The server's own settings as JSON, for clients to compare theirs with; no secrets."""
        return {
            one.name: _plain(getattr(self, one.name))
            for one in fields(self)
            if one.metadata["belongs"] is Belongs.SERVER and not one.metadata["secret"]
        }


def read(environment: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """The settings of this process. Raises InvalidInput that names the variable which is wrong, or
    unknown."""
    given = os.environ if environment is None else environment
    known = {one.name: one for one in fields(Settings)}
    values: dict[str, Any] = {}
    for variable, text in given.items():
        if not variable.startswith(PREFIX):
            continue
        name = variable[len(PREFIX) :].lower()
        if name not in known:
            raise InvalidInput(
                f"{variable} is no setting.", hint="docs/settings.md lists them all."
            )
        if text != "":
            values[name] = _parse(variable, text, str(known[name].type))
    values.update({name: value for name, value in overrides.items() if value is not None})
    values["kinds"] = tuple(_absolute(module) for module in values.get("kinds", ()))
    settings = Settings(**values)
    _check(settings)
    return settings


def explicit(environment: Mapping[str, str], overrides: Mapping[str, Any]) -> set[str]:
    """The names of settings that somebody chose for this process, by variable or by option."""
    chosen = {
        variable[len(PREFIX) :].lower() for variable in environment if variable.startswith(PREFIX)
    }
    return chosen | {name for name, value in overrides.items() if value is not None}


def _parse(variable: str, text: str, kind: str) -> Any:
    try:
        if "tuple" in kind:
            return tuple(part.strip() for part in text.split(",") if part.strip())
        if "bool" in kind:
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[
                text.lower()
            ]
        if "int" in kind:
            return int(text)
        if "float" in kind:
            return float(text)
        return Path(text).expanduser().absolute() if "Path" in kind else text
    except (KeyError, ValueError):
        raise InvalidInput(
            f"{variable} has a value that it cannot have.", hint="docs/settings.md describes it."
        ) from None


def _absolute(module: str) -> str:
    """A file of kinds by its whole path: the server and its workers run in other folders."""
    return str(Path(module).expanduser().resolve()) if module.endswith(".py") else module


def _check(settings: Settings) -> None:
    choices = {
        "sandbox": ("auto", "bubblewrap", "none"),
        "appendfsync": ("always", "everysec", "no"),
        "tool_names": ("underscore", "dotted", "auto"),
        "log_level": ("debug", "info", "warning", "error"),
        "log_format": ("text", "json"),
    }
    for name, allowed in choices.items():
        if getattr(settings, name) not in allowed:
            raise InvalidInput(
                f"{PREFIX}{name.upper()} is one of {', '.join(allowed)}.",
                hint="Correct it and start again.",
            )
    for name, (least, most) in _RANGES.items():
        if not least <= getattr(settings, name) <= most:
            raise InvalidInput(
                f"{PREFIX}{name.upper()} is a number from {least} to {most}.",
                hint="Correct it and start again.",
            )
    if not re.fullmatch(r"[!-~]{1,100}", settings.prefix):
        raise InvalidInput(
            f"{PREFIX}PREFIX is a word without spaces, 100 characters at most.",
            hint="bull is the usual one.",
        )
    if unknown := set(settings.toolsets) - TOOLSETS:
        raise InvalidInput(
            f"Unknown set of tools {sorted(unknown)[0][:40]!r} in {PREFIX}TOOLSETS.",
            hint="Use pages, documents, jobs or lean, with commas between them.",
        )
    if settings.public_url is not None and not _is_base_url(settings.public_url):
        raise InvalidInput(
            f"Invalid value for {PREFIX}PUBLIC_URL: expected an http or https URL without query or user.",
            hint="Write the scheme, the host and, where needed, port and path: https://jobs.example.com",
        )
    for queue in settings.queues:
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", queue):
            raise InvalidInput(
                f"{queue[:64]!r} in {PREFIX}QUEUES is no name for a queue.",
                hint="Use letters, digits and . _ -, 64 at most, with commas between names.",
            )


def _is_base_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    rest = (
        parts.query
        or parts.fragment
        or "@" in parts.netloc
        or not text.isprintable()
        or " " in text
    )
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not rest


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(cast("tuple[str, ...]", value))
    return str(value) if isinstance(value, Path) else value


def with_values(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """The settings with some of their values replaced."""
    return replace(settings, **values)


def to_environment(settings: Settings) -> dict[str, str]:
    """The settings as variables, for a process of ours that must have the same."""
    variables: dict[str, str] = {}
    for one in fields(settings):
        value = getattr(settings, one.name)
        if value is None:
            continue
        text = ",".join(cast("tuple[str, ...]", value)) if isinstance(value, tuple) else str(value)
        variables[PREFIX + one.name.upper()] = text
    return variables
