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


def _picture_of(job_id: str, given: object) -> str:
    """The source that is the screenshot of a job. Raises ValueError if another one was given."""
    if job_id.startswith("artifact:"):
        return _checked_picture(job_id.partition("/")[0] + "/", given)
    try:
        return file_of(job_id, PICTURE)
    except Exception as error:
        raise ValueError(str(error)) from None


def _checked_picture(of_job: str, given: object) -> str:
    screenshot = str(given or f"{of_job}{PICTURE}")
    if not screenshot.startswith(of_job) or not screenshot.endswith(f"/{PICTURE}"):
        raise ValueError("leave `picture` out: it follows from the job")
    return screenshot


class PageCropArgs(BaseModel):
    """Which parts of which screenshot."""

    model_config = ConfigDict(extra="forbid")

    job: PageJob
    sections: list[Annotated[str, Field(max_length=20)]] = Field(
        default=[],
        max_length=MAX_CROPS,
        description="Section ids from the report, such as s2. Default: all sections, unless box "
        "is set.",
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
        return given | {"picture": _picture_of(given["job"], given.get("picture"))}


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
    crops: list[Fields] = []
    missing: list[str] = []
    for number, (name, about, box) in enumerate(wanted, 1):
        crop_box = _within(box, whole)
        if crop_box is None:
            missing.append(name)
            continue
        crops.append(_save_crop(ctx, whole, name, crop_box, about))
        if crop_box[3] < box[1] + box[3]:
            crops[-1]["cut"] = True
        ctx.progress(100 * number / len(wanted))
    return {"crops": crops, "missing": missing}


def _within(box: Box, whole: Image.Image) -> Box | None:
    """Left, top, right and bottom of the part of a box that the screenshot shows."""
    x, y, width, height = box
    left, top = max(0, x), max(0, y)
    right, bottom = min(whole.width, x + width), min(whole.height, y + height)
    if right <= left or bottom <= top:
        return None
    return left, top, right, bottom


def _save_crop(
    ctx: JobContext, whole: Image.Image, name: str, crop_box: Box, about: Fields
) -> Fields:
    """Save one crop as a file; its entry in the result."""
    left, top, right, bottom = crop_box
    body = io.BytesIO()
    whole.crop(crop_box).save(body, "JPEG", quality=QUALITY)
    artifact = ctx.artifact(f"section-{name}.jpg", body.getvalue(), "image/jpeg")
    return {
        "id": name,
        **about,
        "box": [left, top, right - left, bottom - top],
        "artifact": artifact.name,
    }


def _opened(body: bytes) -> Image.Image:
    """The screenshot of a page. Raises JobFailed if the file is not one."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # the size is checked below, before anything is decoded
    try:
        with Image.open(io.BytesIO(body), formats=["JPEG"]) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise not_a_report()
            return picture.convert("RGB")
    except (OSError, ValueError, SyntaxError):
        raise not_a_report() from None


def _wanted(args: PageCropArgs, report: Fields) -> list[tuple[str, Fields, Box]]:
    """Name, type and box of each part that is wanted."""
    wanted = [
        (section["id"], {"type": section["type"]}, _box(section["box"]))
        for section in _wanted_sections(args, report)
    ]
    if args.box is not None:
        wanted.append(("box", {}, args.box))
    return wanted[:MAX_CROPS]


def _wanted_sections(args: PageCropArgs, report: Fields) -> list[Fields]:
    """The sections that are named; all if there is neither a name nor a box. Raises JobFailed."""
    listed: list[Fields] = report.get("layout", {}).get("sections", [])
    if not args.sections:
        return [] if args.box else listed
    sections = {section["id"]: section for section in listed}
    _check_known(args.sections, sections)
    return [sections[name] for name in args.sections]


def _check_known(names: list[str], sections: dict[str, Fields]) -> None:
    """Raise JobFailed if the report has no section with one of these ids."""
    unknown = [name for name in names if name not in sections]
    if unknown:
        raise JobFailed(
            "invalid_input",
            f"{len(unknown)} of the {len(names)} section ids are not in the report.",
            retryable=False,
            hint="Use ids from layout.sections of the report.",
        )


def _box(values: list[int]) -> Box:
    x, y, width, height = values
    return x, y, width, height
