"""``page.crop``: images of single sections, cut from the screenshot of an analysis."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from checkback.core.errors import JobFailed
from checkback.kinds.context import JobContext
from checkback.kinds.pages.jobs.stored_report import (
    PAGE_ANALYZE,
    PICTURE,
    PageJob,
    file_of,
    not_a_report,
    read_file,
    read_report,
)
from checkback.kinds.registry import MemoryLimit, job

if TYPE_CHECKING:
    from PIL import Image

MAX_CROPS = 40
QUALITY = 85
MAX_PIXELS = 100_000_000
"""Twice the size of the largest screenshot."""

Fields = dict[str, Any]
Box = tuple[int, int, int, int]


def _sane(box: Box) -> Box:
    if box[2] < 1 or box[3] < 1 or min(box) < 0:
        raise ValueError("a box is x, y, width and height in pixels of the page")
    return box


class PageCropArgs(BaseModel):
    """Which parts of which screenshot."""

    model_config = ConfigDict(extra="forbid")

    job: PageJob
    sections: list[Annotated[str, Field(max_length=20)]] = Field(
        default=[],
        max_length=MAX_CROPS,
        description="Section ids from the report, such as s2. Default: all sections, unless box is set.",
    )
    box: Annotated[Box, AfterValidator(_sane)] | None = Field(
        default=None, description="x, y, width, height of any other area, in page pixels."
    )
    picture: str = Field(
        default="",
        max_length=300,
        description="Follows from the job; leave it out.",
        json_schema_extra={"checkback": "source", "of_kind": PAGE_ANALYZE, "listed": "no"},
    )

    @model_validator(mode="before")
    @classmethod
    def _with_picture(cls, values: Any) -> Any:
        """Add the screenshot, which is looked up and checked as the report is."""
        if not isinstance(values, dict) or not isinstance(values.get("job"), str):  # pyright: ignore[reportUnknownMemberType]
            return values  # pyright: ignore[reportUnknownVariableType]
        given: Fields = dict(values)  # pyright: ignore[reportUnknownArgumentType]
        job_id = given["job"]
        if job_id.startswith("artifact:"):
            of_job = job_id.partition("/")[0] + "/"
            screenshot = str(given.get("picture") or f"{of_job}{PICTURE}")
            if not screenshot.startswith(of_job) or not screenshot.endswith(f"/{PICTURE}"):
                raise ValueError("leave `picture` out: it follows from the job")
            return given | {"picture": screenshot}
        try:
            return given | {"picture": file_of(job_id, PICTURE)}
        except Exception as error:
            raise ValueError(str(error)) from None


@job(
    "page.crop",
    title="Crop sections of a page",
    read_only=True,
    sandbox=True,
    deterministic=True,
    deadline_seconds=300,
    memory_bytes=1 << 30,
    memory_limit=MemoryLimit.ADDRESS_SPACE,
)
def crop(args: PageCropArgs, ctx: JobContext) -> Fields:
    """Crop images of sections out of the full-page screenshot of a completed page.analyze job.

    Nothing is loaded again. Each image becomes a file (section-s1.jpg), which job.result shows;
    sections below the end of the screenshot are listed as missing.
    """
    report = read_report(args.job, ctx)
    wanted = _wanted(args, report)
    whole = _opened(read_file(args.picture, ctx))
    cut: list[Fields] = []
    missing: list[str] = []
    for number, (name, about, box) in enumerate(wanted):
        x, y = max(0, box[0]), max(0, box[1])
        right, bottom = min(whole.width, box[0] + box[2]), min(whole.height, box[1] + box[3])
        if right <= x or bottom <= y:
            missing.append(name)
            continue
        body = io.BytesIO()
        whole.crop((x, y, right, bottom)).save(body, "JPEG", quality=QUALITY)
        artifact = ctx.artifact(f"section-{name}.jpg", body.getvalue(), "image/jpeg")
        whole_of_it = bottom == box[1] + box[3]
        entry = {
            "id": name,
            **about,
            "box": [x, y, right - x, bottom - y],
            "artifact": artifact.name,
        }
        cut.append(entry if whole_of_it else entry | {"cut": True})
        ctx.progress(100 * (number + 1) / len(wanted))
    return {"crops": cut, "missing": missing}


def _opened(body: bytes) -> Image.Image:
    """The screenshot of a page. Raises JobFailed if the file is not one."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # looked at here, before anything of it is unpacked
    try:
        with Image.open(io.BytesIO(body), formats=["JPEG"]) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise not_a_report()
            return picture.convert("RGB")
    except (OSError, ValueError, SyntaxError):
        raise not_a_report() from None


def _wanted(args: PageCropArgs, report: Fields) -> list[tuple[str, Fields, Box]]:
    """Name, type and box of each part that is wanted."""
    sections: dict[str, Fields] = {
        item["id"]: item for item in report.get("layout", {}).get("sections", [])
    }
    names = args.sections or ([] if args.box else list(sections))
    unknown = [name for name in names if name not in sections]
    if unknown:
        raise JobFailed(
            "invalid_input",
            f"The report has no section of {len(unknown)} of these ids.",
            retryable=False,
            hint="The report lists its sections under layout.sections.",
        )
    found = [
        (name, {"type": sections[name]["type"]}, _box(sections[name]["box"])) for name in names
    ]
    if args.box is not None:
        found.append(("box", {}, args.box))
    return found[:MAX_CROPS]


def _box(values: list[int]) -> Box:
    x, y, width, height = values
    return x, y, width, height
