"""The arguments of ``page.analyze``: every input key that a ReftrixMCP client may send.

The names, defaults and limits are the wire format's, camelCase and snake_case mixed as it has them,
so the JSON schema of this model is the tool's input schema. Unknown keys are refused. Keys that
belong to parts which do not exist here (a vision model, a database) are accepted, and
``unused_keys`` names those sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

Milliseconds = Annotated[int, Field(description="Milliseconds.")]
Width = Annotated[int, Field(ge=320, le=4096)]
Height = Annotated[int, Field(ge=240, le=16384)]


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True, frozen=True)


class Viewport(_Options):
    """The size of the window, in CSS pixels."""

    width: Width = 1440
    height: Height = 900


class NamedViewport(_Options):
    """One window size of the responsive comparison."""

    name: str = Field(min_length=1, max_length=40)
    width: Width
    height: Height


class Features(_Options):
    """Which parts of the analysis run."""

    layout: bool = True
    motion: bool = True
    quality: bool = True


class LayoutOptions(_Options):
    """How the page is laid out and captured."""

    fullPage: bool = Field(
        default=True,
        description="Take a screenshot of the whole page, not only of the first window.",
    )
    viewport: Viewport = Viewport()
    include_html: bool = Field(
        default=False,
        validation_alias=AliasChoices("include_html", "includeHtml"),
        description="Keep the page's HTML as an artifact.",
    )
    include_screenshot: bool = Field(
        default=False,
        validation_alias=AliasChoices("include_screenshot", "includeScreenshot"),
        description="Name the artifact with the full-page screenshot in the full answer.",
    )
    saveToDb: bool = True
    autoAnalyze: bool = True
    fetchExternalCss: bool = True
    useVision: bool = True
    perSectionVision: bool = True
    visionBatchSize: int = Field(default=5, ge=1, le=10)
    scrollVision: bool = True
    scrollVisionMaxCaptures: int = Field(default=10, ge=2, le=20)


class JsAnimationOptions(_Options):
    """How long scripts get to start their animations."""

    waitTime: Milliseconds = Field(default=2000, ge=0, le=10_000)
    enableCDP: bool = True
    enableWebAnimations: bool = True
    enableLibraryDetection: bool = True


class MotionOptions(_Options):
    """What counts as motion, and how much of it is listed."""

    detection_mode: Literal["css", "video", "runtime", "hybrid"] = Field(
        default="css",
        description="Which patterns are listed. css: those that the style sheets declare, and "
        "what scripts "
        "animate at the end of the load. runtime: those seen running while the page is watched for "
        "js_animation_options.waitTime. hybrid: both. video: as "
        "runtime, and regions in which two screenshots differ.",
    )
    fetchExternalCss: bool = True
    minDuration: Milliseconds = Field(default=0, ge=0)
    maxPatterns: int = Field(default=500, ge=1, le=4000)
    includeWarnings: bool = True
    saveToDb: bool = True
    enable_frame_capture: bool = False
    frame_capture_options: dict[str, Any] | None = None
    analyze_frames: bool = False
    frame_analysis_options: dict[str, Any] | None = None
    detect_js_animations: bool = True
    js_animation_options: JsAnimationOptions = JsAnimationOptions()
    detect_webgl_animations: bool = True
    webgl_animation_options: dict[str, Any] | None = None
    timeout: Milliseconds = Field(default=300_000, ge=30_000, le=600_000)


class Weights(_Options):
    """How much each axis counts; only their proportions matter."""

    originality: float = Field(default=0.35, ge=0, le=1)
    craftsmanship: float = Field(default=0.40, ge=0, le=1)
    contextuality: float = Field(default=0.25, ge=0, le=1)


class QualityOptions(_Options):
    """How the page is judged."""

    weights: Weights = Weights()
    targetIndustry: str | None = Field(default=None, max_length=100)
    targetAudience: str | None = Field(default=None, max_length=100)
    strict: bool = Field(
        default=True, description="False: minor and moderate accessibility findings cost no points."
    )
    includeRecommendations: bool = True


class NarrativeOptions(_Options):
    """Accepted for clients that send it; there is no narrative model here."""

    enabled: bool = True
    includeVision: bool = True
    visionTimeoutMs: Milliseconds = Field(default=300_000, ge=30_000, le=600_000)
    generateEmbedding: bool = True
    saveToDb: bool = True


class VisionOptions(_Options):
    """Accepted for clients that send it; there is no vision model here."""

    visionTimeoutMs: Milliseconds | None = Field(default=None, ge=1000, le=1_200_000)
    visionImageMaxSize: int | None = Field(default=None, ge=1, le=10_000_000)
    visionForceCpu: bool = False
    visionFallbackToHtmlOnly: bool = True


DEFAULT_VIEWPORTS = (
    NamedViewport(name="desktop", width=1920, height=1080),
    NamedViewport(name="tablet", width=768, height=1024),
    NamedViewport(name="mobile", width=375, height=667),
)


class ResponsiveOptions(_Options):
    """The further window sizes at which the page is measured."""

    enabled: bool = True
    reload: bool = Field(
        default=False,
        description="Load the page again for each size, as a phone does if the window is narrow.",
    )
    viewports: tuple[NamedViewport, ...] = Field(
        default=DEFAULT_VIEWPORTS, min_length=1, max_length=10
    )
    include_screenshots: bool = False
    include_diff_images: bool = False
    diff_threshold: float = Field(default=0.1, ge=0, le=1)
    detect_navigation: bool = True
    detect_visibility: bool = True
    detect_layout: bool = True
    breakpoint_resolution: Literal["range", "precise"] = "range"


PageUrl = Annotated[
    str,
    Field(
        min_length=8, max_length=4096, description="The page to analyze, with http:// or https://."
    ),
]


class PageOptions(_Options):
    """How a page is analyzed: what ``page.analyze`` takes in addition to the page."""

    sourceType: Literal["award_gallery", "user_provided"] = "user_provided"
    usageScope: Literal["inspiration_only", "owned_asset"] = "inspiration_only"
    features: Features = Features()
    summary: bool = Field(default=False, description="Leave the long lists out of the answer.")
    timeout: Milliseconds = Field(default=600_000, ge=5000, le=600_000)
    waitUntil: Literal["load", "domcontentloaded", "networkidle"] = "networkidle"
    timeout_strategy: Literal["strict", "progressive"] = Field(
        default="progressive",
        description="strict: the first phase that runs out of time ends the analysis.",
    )
    partial_results: bool = Field(
        default=True, description="False: a phase that fails makes the whole job fail."
    )
    layoutTimeout: Milliseconds = Field(default=120_000, ge=1000, le=300_000)
    motionTimeout: Milliseconds = Field(default=300_000, ge=1000, le=600_000)
    qualityTimeout: Milliseconds = Field(default=60_000, ge=1000, le=60_000)
    auto_retry: bool = True
    max_retries: int = Field(default=3, ge=1, le=3)
    layout_first: Literal["auto", "always", "never"] = "auto"
    auto_timeout: bool = True
    respect_robots_txt: bool = Field(
        default=True, description="Do not open a page that its site's robots.txt forbids."
    )
    layoutOptions: LayoutOptions = LayoutOptions()
    motionOptions: MotionOptions = MotionOptions()
    qualityOptions: QualityOptions = QualityOptions()
    narrativeOptions: NarrativeOptions = NarrativeOptions()
    visionOptions: VisionOptions = VisionOptions()
    responsiveOptions: ResponsiveOptions = ResponsiveOptions()


class PageAnalyzeArgs(PageOptions):
    """What ``page.analyze`` takes."""

    url: PageUrl
    run_async: bool | None = Field(
        default=None,
        alias="async",
        description="True: return a job id at once; check it with page.getJobStatus.",
    )


_UNUSED = frozenset(
    {
        "auto_retry",
        "max_retries",
        "layout_first",
        "auto_timeout",
        "narrativeOptions",
        "visionOptions",
        "layoutOptions.saveToDb",
        "layoutOptions.autoAnalyze",
        "layoutOptions.fetchExternalCss",
        "layoutOptions.useVision",
        "layoutOptions.perSectionVision",
        "layoutOptions.visionBatchSize",
        "layoutOptions.scrollVision",
        "layoutOptions.scrollVisionMaxCaptures",
        "motionOptions.fetchExternalCss",
        "motionOptions.saveToDb",
        "motionOptions.frame_capture_options",
        "motionOptions.analyze_frames",
        "motionOptions.frame_analysis_options",
        "motionOptions.webgl_animation_options",
        "motionOptions.timeout",
        "responsiveOptions.include_diff_images",
        "responsiveOptions.diff_threshold",
        "responsiveOptions.breakpoint_resolution",
    }
)


def listed_schema(model: type[PageOptions]) -> dict[str, Any]:
    """The arguments as a tool lists them: an agent's context need not carry what has no effect
    here.

    Every key of the wire format can still be sent. Of those without an effect the outer ones are
    listed bare, the inner ones not at all.
    """
    schema = model.model_json_schema()
    properties = schema["properties"]
    for path in sorted(_UNUSED):
        name, _, inner = path.partition(".")
        if inner:
            options = schema["$defs"][properties[name]["$ref"].rpartition("/")[2]]
            options["properties"].pop(inner, None)
            options.pop("additionalProperties", None)
        else:
            properties[name] = _bare(properties[name])
    return schema


def _bare(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": schema.get("type", "object")}


def unused_keys(args: PageAnalyzeArgs) -> list[str]:
    """The keys in ``args`` that the caller sent and that have no effect here, with dots between
    levels.
    """
    return [path for path in _sent_paths(args) if path in _UNUSED]


def _sent_paths(args: PageAnalyzeArgs) -> Iterator[str]:
    """The keys of both levels that the caller sent."""
    for name in _sent_fields(args):
        yield name
        value: object = getattr(args, name)
        if isinstance(value, BaseModel):
            yield from (f"{name}.{inner}" for inner in _sent_fields(value))


def _sent_fields(model: BaseModel) -> list[str]:
    """The fields that the caller sent, in the order of the model."""
    return [name for name in type(model).model_fields if name in model.model_fields_set]
