"""Office files that name files of the machine, or of another owner's job, in every way that is
known.

Three runs of the same documents: with both lines down the baits are seen, so they are real; with
either line alone nothing is seen.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

import pytest

import office_baits
import walled_office
from archive_bombs import svg_reading, zip_of
from checkback.security.auth.callers import LOCAL, Caller
from checkback.security.sandbox import policy
from checkback.service import Service
from checkback.settings import Settings
from document_jobs import COMPLETED, ending, run_within
from office_baits import Baits, documents, is_shown

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]

NAMES = sorted(documents(Baits(Path("/nowhere"))))
needs_landlock = pytest.mark.skipif(
    not policy.standing().landlock, reason="needs a kernel with Landlock"
)
Converted = Callable[[str, bool], Path]


@pytest.fixture(scope="module")
def baits(tmp_path_factory: pytest.TempPathFactory) -> Baits:
    return Baits.put(tmp_path_factory.mktemp("machine") / "baits")


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory, baits: Baits) -> Converted:
    """The folder where all documents were converted behind these walls, cleaned before or not."""
    made: dict[tuple[str, bool], Path] = {}

    def convert(mode: str, clean: bool) -> Path:
        if (mode, clean) not in made:
            folder = tmp_path_factory.mktemp("converted")
            folder.chmod(0o711)
            work = folder / "work"
            work.mkdir()
            for name, content in documents(baits).items():
                (work / name).write_bytes(content)
            command = [sys.executable, walled_office.__file__, str(work), mode, str(int(clean))]
            subprocess.run(command, check=True, timeout=200)
            made[mode, clean] = work
        return made[mode, clean]

    return convert


def test_with_both_lines_down_the_baits_are_seen(converted: Converted) -> None:
    folder = converted("open", False)
    seen = {name for name in NAMES if is_shown(folder / f"{name}.pdf")}
    assert {"styles.odt", "svg.odt", "svg.docx", "fields.rtf"} <= seen


@needs_landlock
@pytest.mark.parametrize("name", NAMES)
def test_the_kernel_alone_shows_no_file_of_the_machine(converted: Converted, name: str) -> None:
    made = converted("auto", False) / f"{name}.pdf"
    assert made.is_file()
    assert not is_shown(made)


@pytest.mark.parametrize("name", NAMES)
def test_the_second_line_alone_shows_no_file_of_the_machine(
    converted: Converted, name: str
) -> None:
    made = converted("open", True) / f"{name}.pdf"
    assert made.is_file()
    assert not is_shown(made)


@pytest.mark.skipif(
    policy.standing(policy.BUBBLEWRAP).bubblewrap is None, reason="needs bubblewrap"
)
def test_bubblewrap_alone_shows_no_file_of_the_machine(converted: Converted) -> None:
    folder = converted("bubblewrap", False)
    for name in NAMES:
        assert (folder / f"{name}.pdf").is_file()
        assert not is_shown(folder / f"{name}.pdf"), name


# --- Through jobs ---------------------------------------------------------------------------------


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, document_concurrency=2, kinds=("sample_kinds", "walled_kinds"))


def mail_with(content: bytes, name: str, html: str) -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@b.c", "d@e.f", "x"
    mail.set_content(html, subtype="html")
    mail.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return mail.as_bytes()


async def outputs(service: Service, job: Any) -> list[Path]:
    return [(await service.artifact(LOCAL, job.id, one.id))[1] for one in job.artifacts]


@pytest.mark.chromium
@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("how", ["odt", "zip", "eml", "html", "svg"])
async def test_a_job_shows_no_file_of_the_machine(service: Service, baits: Baits, how: str) -> None:
    odt = office_baits.documents(baits)["styles.odt"]
    html = "<html><body>words" + "".join(
        f"<img src='{a}'><iframe src='{a}'></iframe><object data='{a}'></object>"
        for a in baits.addresses
    )
    content = {
        "odt": odt,
        "zip": zip_of({"a.odt": odt}),
        "eml": mail_with(odt, "a.odt", html),
        "html": html.encode(),
        "svg": svg_reading(baits.addresses[0]),
    }[how]
    kind = {"zip": "pdf.merge", "eml": "email.to_pdf"}.get(how, "document.to_pdf")
    job = await run_within(60, service, kind, content, f"a.{how}")
    assert ending(job) == COMPLETED
    for path in await outputs(service, job):
        assert not is_shown(path)
    warnings = cast("dict[str, Any]", job.result).get("warnings", ())
    codes = [warning["code"] for warning in warnings]
    assert codes == (["links_removed"] if how in ("odt", "zip", "eml") else [])


@needs_landlock
@pytest.mark.usefixtures("worker")
async def test_one_owners_document_shows_nothing_of_another_owners_job(service: Service) -> None:
    ada = Caller("ada")
    held = await service.submit(ada, "walled.hold", {"word": office_baits.WORD})
    pid, folder = await told(service, ada, held.job.id)
    places = [
        f"file:///proc/{pid}/cwd/source-0",
        f"file:///proc/{pid}/root{folder}/source-0",
        f"file://{folder}/source-0",
    ]
    sections = "".join(
        f'<text:section text:name="S{number}"><text:section-source xlink:href="{place}"/></text:section>'
        for number, place in enumerate(places)
    )
    document = office_baits.text_document(f"<text:p>words</text:p>{sections}")
    job = await run_within(60, service, "document.to_pdf", document, "a.odt")
    assert ending(job) == COMPLETED
    for path in await outputs(service, job):
        assert not is_shown(path)
    # The same by a program of the worst kind, in another job.
    paths = [place.removeprefix("file://") for place in places]
    args = {"reads": [*paths, f"/proc/{pid}/environ", f"/proc/{pid}/fd", folder], "writes": [f"{folder}/x"],
            "connects": [], "signals": [pid]}  # fmt: skip
    probed = await service.submit(LOCAL, "walled.probe", args)
    found = cast("dict[str, str]", (await service.wait(LOCAL, probed.job.id, 100)).result)
    tried = {
        name: how for name, how in found.items() if name.split()[0] in ("read", "write", "signal")
    }
    assert len(tried) == 14
    assert "done" not in tried.values()
    assert (found["own"], found["program"]) == ("done", "done")
    await service.cancel(ada, held.job.id)


async def told(service: Service, owner: Caller, job_id: str) -> tuple[int, str]:
    """What the holding job says of itself, as soon as it does."""
    async for job in service.watch(owner, job_id):
        if job.phase == "held":
            break
    (line,) = await service.log(owner, job_id)
    number, _, folder = line.partition(" ")
    return int(number), folder
