"""Runs hosts against checkback and prints what became of each step.

``python -m tests.acceptance.hosts.run [HOST ...]``; without names, all. Frameworks are installed
from PyPI into environments of their own, programs from npm, all into the folder that
CHECKBACK_HOSTS names (default: the cache of the user). Nothing is sent anywhere but to this machine
and the registries.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import platformdirs

from tests.acceptance.hosts.script import IMAGE, STEPS, UUID, outcome
from tests.acceptance.hosts.scripted_model import scripted_model

HERE = Path(__file__).parent
HOSTS = Path(
    os.environ.get("CHECKBACK_HOSTS")
    or platformdirs.user_cache_dir("checkback-hosts", appauthor=False)
)
SERVER = [sys.executable, "-m", "checkback", "mcp", "--import", str(HERE / "host_kinds.py")]
SECONDS = 300

FRAMEWORKS = {
    "langchain": ("langchain", "langchain-openai", "langchain-mcp-adapters"),
    "openai-agents": ("openai-agents",),
    "pydantic-ai": ("pydantic-ai-slim[openai,mcp]",),
    "llama-index": ("llama-index-core", "llama-index-tools-mcp", "llama-index-llms-openai-like"),
}
TYPESCRIPT = {
    "typescript-sdk-1": "@modelcontextprotocol/sdk@1",
    "typescript-sdk-2": "@modelcontextprotocol/client@2",
}


@dataclasses.dataclass
class Report:
    """What became of a host."""

    host: str
    version: str
    outcome: dict[str, str]
    tools: int
    faults: list[str]
    error: str = ""

    @property
    def passed(self) -> bool:
        return not self.faults and all(step.startswith("ok") for step in self.outcome.values())


@contextmanager
def data_folder() -> Generator[dict[str, str]]:
    """Variables with a separate data folder, whose server ends with this."""
    home = tempfile.mkdtemp(prefix="checkback-host-")
    variables = {"CHECKBACK_HOME": f"{home}/data", "CHECKBACK_PORT": "0"}
    try:
        yield variables
    finally:
        subprocess.run(
            [sys.executable, "-m", "checkback", "stop"],
            env=os.environ | variables,
            capture_output=True,
        )
        shutil.rmtree(home, ignore_errors=True)


def framework(name: str) -> Report:
    """A Python framework, as its own documents show it."""
    python = HOSTS / name / "bin" / "python"
    packages = FRAMEWORKS[name]
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "-q", "--allow-existing", HOSTS / name], check=True)
    subprocess.run([uv, "pip", "install", "-q", "-U", "--python", python, *packages], check=True)
    ask = "import importlib.metadata as m, sys; "
    ask += "print(*[f'{n} {m.version(n)}' for n in sys.argv[1:]], sep=', ')"
    names = [package.partition("[")[0] for package in packages] + ["mcp"]
    version = subprocess.run(
        [python, "-c", ask, *names], capture_output=True, text=True
    ).stdout.strip()
    with data_folder() as variables:
        return run_framework(name, python, version, variables)


def run_framework(name: str, python: Path, version: str, variables: dict[str, str]) -> Report:
    """Run a framework that is installed."""
    with scripted_model() as (url, told):
        done = subprocess.run(
            [python, HERE / "python_host.py", name, url, *SERVER],
            env=os.environ | variables, capture_output=True, text=True, timeout=SECONDS,
        )  # fmt: skip
    error = done.stderr[-2000:] if done.returncode else ""
    return Report(name, version, told.outcome, len(told.tools), told.faults, error)


def typescript(name: str) -> Report:
    """One of the SDKs, whose own client makes the calls."""
    folder = HOSTS / name
    version = npm(folder, TYPESCRIPT[name])
    with data_folder() as variables:
        return run_typescript(name, "node", folder, version, variables)


def run_typescript(
    name: str, node: str, folder: Path, version: str, variables: dict[str, str]
) -> Report:
    """Run an SDK that is installed in a folder."""
    steps = json.dumps([dataclasses.asdict(step) for step in STEPS])
    done = subprocess.run(
        [node, HERE / "typescript.mjs", name[-1], folder, *SERVER],
        input=steps, env=os.environ | variables, capture_output=True, text=True, timeout=SECONDS,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout or '{"tools": [], "answers": []}')
    return Report(
        name, version, outcome(found["answers"]), len(found["tools"]), [], done.stderr[-2000:]
    )


def npm(folder: Path, package: str) -> str:
    """Install a package of npm's into a folder; gives its version."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"private": true}')
    subprocess.run(
        ["npm", "install", "--silent", "--no-audit", "--no-fund", package], cwd=folder, check=True
    )
    name = package[: package.rindex("@")] if package.rfind("@") > 0 else package
    return f"{name} {json.loads((folder / 'node_modules' / name / 'package.json').read_text())['version']}"


def program(name: str) -> Report:
    """A program with its own agent, with the scripted model behind it and a separate home folder."""
    package, configure = PROGRAMS[name]
    version = npm(HOSTS / name, package)
    with data_folder() as variables, scripted_model() as (url, told):
        home = Path(variables["CHECKBACK_HOME"]).parent
        command, more = configure(home, url, variables)
        command[0] = str(HOSTS / name / "node_modules" / ".bin" / command[0])
        try:
            done = subprocess.run(
                command, cwd=home, env=os.environ | variables | {"HOME": str(home), "PWD": str(home)} | more,
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS,
            )  # fmt: skip
            error = (done.stdout + done.stderr)[-2000:]
        except subprocess.TimeoutExpired:
            error = f"It did not end within {SECONDS} s."
    return Report(name, version, told.outcome, len(told.tools), told.faults, error)


Configured = tuple[list[str], dict[str, str]]


def claude_code(home: Path, url: str, variables: dict[str, str]) -> Configured:
    server = {"command": SERVER[0], "args": SERVER[1:], "env": variables}
    (home / "mcp.json").write_text(json.dumps({"mcpServers": {"checkback": server}}))
    more = {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "none",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    allowed = ["--strict-mcp-config", "--allowedTools", "mcp__checkback,ToolSearch"]
    return ["claude", "-p", "Go.", "--mcp-config", str(home / "mcp.json"), *allowed], more


def codex(home: Path, url: str, variables: dict[str, str]) -> Configured:
    (home / ".codex").mkdir()
    pairs = ", ".join(f"{name} = {json.dumps(value)}" for name, value in variables.items())
    (home / ".codex" / "config.toml").write_text(
        'model = "scripted"\nmodel_provider = "scripted"\napproval_policy = "never"\n'
        '[model_providers.scripted]\nname = "scripted"\nwire_api = "responses"\nenv_key = "OPENAI_API_KEY"\n'
        f'base_url = "{url}/v1"\n'
        f"[mcp_servers.checkback]\ncommand = {json.dumps(SERVER[0])}\nargs = {json.dumps(SERVER[1:])}\nrequired = true\n"
        f"env = {{ {pairs} }}\n"
    )
    return ["codex", "exec", "--skip-git-repo-check", "Go."], {"OPENAI_API_KEY": "none"}


def gemini_cli(home: Path, url: str, variables: dict[str, str]) -> Configured:
    (home / ".gemini").mkdir()
    server = {"command": SERVER[0], "args": SERVER[1:], "env": variables, "trust": True}
    settings = {
        "mcpServers": {"checkback": server},
        "security": {"auth": {"selectedType": "gemini-api-key"}},
    }
    (home / ".gemini" / "settings.json").write_text(json.dumps(settings))
    more = {
        "GEMINI_API_KEY": "none",
        "GOOGLE_GEMINI_BASE_URL": url,
        "GEMINI_CLI_TRUST_WORKSPACE": "true",
    }
    return ["gemini", "-y", "-m", "scripted", "-p", "Go."], more


def opencode(home: Path, url: str, variables: dict[str, str]) -> Configured:
    model = {"name": "scripted", "tool_call": True}
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": f"{url}/v1", "apiKey": "none"},
        "models": {"scripted": model},
    }
    server = {"type": "local", "command": SERVER, "environment": variables, "enabled": True}
    settings = {
        "provider": {"scripted": provider},
        "mcp": {"checkback": server},
        "autoupdate": False,
    }
    (home / "opencode.json").write_text(json.dumps(settings))
    return ["opencode", "run", "-m", "scripted/scripted", "Go."], {}


Configure = Callable[[Path, str, dict[str, str]], Configured]
PROGRAMS: dict[str, tuple[str, Configure]] = {
    "claude-code": ("@anthropic-ai/claude-code", claude_code),
    "codex": ("@openai/codex", codex),
    "gemini-cli": ("@google/gemini-cli", gemini_cli),
    "opencode": ("opencode-ai", opencode),
}


def inspector(name: str) -> Report:
    """The MCP Inspector, called once for each step from the shell."""
    version = npm(HOSTS / name, "@modelcontextprotocol/inspector")
    command = [str(HOSTS / name / "node_modules" / ".bin" / "mcp-inspector"), "--cli"]
    answers: list[str] = []
    with data_folder() as variables:
        config = Path(variables["CHECKBACK_HOME"]).parent / "mcp.json"
        server = {"type": "stdio", "command": SERVER[0], "args": SERVER[1:], "env": variables}
        config.write_text(json.dumps({"mcpServers": {"checkback": server}}))
        command += ["--config", str(config), "--server", "checkback"]
        listed = subprocess.run(
            [*command, "--method", "tools/list"], capture_output=True, text=True, timeout=SECONDS
        )
        for step in STEPS:
            arguments = dict(step.arguments)
            if step.job_of is not None:
                found = UUID.search(answers[[one.name for one in STEPS].index(step.job_of)])
                arguments["job_id"] = found.group() if found else ""
            pairs = [
                part
                for key, value in arguments.items()
                for part in ("--tool-arg", f"{key}={value}")
            ]
            call = [*command, "--method", "tools/call", "--tool-name", step.tool, *pairs]
            done = subprocess.run(call, capture_output=True, text=True, timeout=SECONDS)
            is_picture = '"type": "image"' in done.stdout or '"type":"image"' in done.stdout
            answers.append(done.stdout[-4000:] + done.stderr[-500:] + (IMAGE if is_picture else ""))
    tools = len(json.loads(listed.stdout or '{"tools": []}')["tools"])
    return Report(name, version, outcome(answers), tools, [], listed.stderr[-2000:])


RUNNERS: dict[str, Callable[[str], Report]] = {
    **dict.fromkeys(FRAMEWORKS, framework),
    **dict.fromkeys(TYPESCRIPT, typescript),
    **dict.fromkeys(PROGRAMS, program),
    "inspector": inspector,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hosts", nargs="*", choices=[*RUNNERS, []], help="(all)")
    passed = True
    for name in parser.parse_args().hosts or RUNNERS:
        report = RUNNERS[name](name)
        passed &= report.passed
        seen = ", and saw the picture" if report.outcome["picture"] == "ok, seen" else ""
        told = (
            f"all {len(STEPS)} steps{seen}"
            if report.passed
            else json.dumps(report.outcome, indent=1)
        )
        sys.stdout.write(f"{name} ({report.version}): {report.tools} tools, {told}\n")
        for line in report.faults if report.passed else [*report.faults, report.error]:
            sys.stdout.write(f"  {line}\n")
        sys.stdout.flush()
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
