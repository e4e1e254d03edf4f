"""Pages that are not like most: other scripts, frames, shadows, canvases, walls, no page at all."""

from __future__ import annotations

from typing import Any

import pytest

from checkback.core.errors import JobFailed
from tests.kinds.pages.report.test_schema import faults

pytestmark = pytest.mark.chromium

QUICK: dict[str, Any] = {
    "responsiveOptions": {"viewports": [{"name": "phone", "width": 375, "height": 667}]}
}
LAYOUT: dict[str, Any] = {"features": {"motion": False}, "responsiveOptions": {"enabled": False}}


def document(body: str, head: str = "", attributes: str = 'lang="en"') -> str:
    return (
        f"<!doctype html><html {attributes}><head><meta charset=utf-8><title>A special page</title>"
        f'<meta name=viewport content="width=device-width">{head}</head><body>{body}</body></html>'
    )


def sections(report: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(section["type"], section.get("heading")) for section in report["layout"]["sections"]]


SENTENCE = "This sentence is here so that the page has some text to read and to measure. "

RTL = """<style>body{margin:0}nav{display:flex;gap:20px;padding:20px}h1{font-size:44px}
.hero{padding:140px 60px;background:#0b3d2e;color:#fff}
.cards{display:flex;gap:20px;padding:60px}.cards div{flex:1;min-height:260px}</style>
<header><nav><a href=/a>الرئيسية</a><a href=/b>الخدمات</a><a href=/c>اتصل بنا</a></nav></header><main>
<section class=hero><h1>نبني لكم مواقع أفضل</h1><p>نص قصير يصف ما نقدمه لكم كل يوم.</p></section>
<section><div class=cards><div><h3>سرعة</h3><p>وصف قصير للميزة الأولى التي نقدمها لكم هنا.</p></div>
<div><h3>أمان</h3><p>وصف قصير للميزة الثانية التي نقدمها لكم هنا.</p></div>
<div><h3>دعم</h3><p>وصف قصير للميزة الثالثة التي نقدمها لكم هنا.</p></div></div></section></main>
<footer style="padding:40px"><p>© 2026 جميع الحقوق محفوظة</p></footer>"""


async def test_a_page_from_right_to_left(site: Any, analyze: Any) -> None:
    site.put("/rtl", document(RTL, attributes='lang="ar" dir="rtl"'))
    report = (await analyze("/rtl", **QUICK)).report
    assert (report["lang"], report["dir"]) == ("ar", "rtl")
    assert sections(report) == [
        ("navigation", None), ("hero", "نبني لكم مواقع أفضل"), ("feature", None), ("footer", None),
    ]  # fmt: skip
    cards = report["layout"]["sections"][2]["children"]
    assert [card["heading"] for card in sorted(cards, key=lambda card: -card["box"][0])] == [
        "سرعة",
        "أمان",
        "دعم",
    ]
    assert not report["responsive"]["viewports"][0]["overflowX"]
    assert faults(report) == []


async def test_a_page_from_right_to_left_that_is_too_wide(site: Any, analyze: Any) -> None:
    wide = (
        '<h1>عنوان الصفحة</h1><div style="width:900px;background:#eee">'
        + "نص طويل جدا " * 30
        + "</div>"
    )
    site.put("/rtl-wide", document(wide, attributes='lang="ar" dir="rtl"'))
    viewport = (await analyze("/rtl-wide", **QUICK)).report["responsive"]["viewports"][0]
    # The overflow lies at negative x, to the left of the window.
    assert (viewport["overflowX"], viewport["overflowPixels"] > 500) == (True, True)


async def test_a_page_in_japanese(site: Any, analyze: Any) -> None:
    text = "これは日本語の文章です。ページの構造を調べるために書かれています。" * 12
    chapters = "".join(
        f"<h2>第{n}章 潮の満ち引き</h2><p>{text}</p><p>{text}</p><p>{text}</p>" for n in (1, 2, 3)
    )
    site.put(
        "/ja",
        document(f"<main><h1>潮の案内</h1><p>{text}</p>{chapters}</main>", attributes='lang="ja"'),
    )
    report = (await analyze("/ja", **LAYOUT)).report
    assert [heading for kind, heading in sections(report) if kind == "content"][-3:] == [
        "第1章 潮の満ち引き", "第2章 潮の満ち引き", "第3章 潮の満ち引き",
    ]  # fmt: skip
    assert report["content"]["words"] > 1000
    assert not {"no-content", "little-content"} & rules(report)


def rules(report: dict[str, Any]) -> set[str]:
    axes: list[Any] = list(report["quality"]["axes"].values())
    return {item["rule"] for axis in axes for item in axis["deductions"]}


async def test_a_page_without_a_doctype(site: Any, analyze: Any) -> None:
    site.put("/quirks", f"<TITLE>Old</TITLE><BODY><H1>An old page</H1><P>{SENTENCE * 5}</P></BODY>")
    report = (await analyze("/quirks", **QUICK)).report
    assert report["seo"]["compatMode"] == "BackCompat"
    assert {"quirks-mode", "no-viewport", "no-language"} <= rules(report)
    assert report["layout"]["headings"][0][:2] == [1, "An old page"]


async def test_a_page_that_is_all_frames(site: Any, analyze: Any) -> None:
    site.put("/inner", document(f"<h1>Inner page</h1><p>{SENTENCE * 10}</p>"))
    site.put(
        "/frames",
        document('<iframe src="/inner" title="Inner" style="width:100%;height:800px"></iframe>'),
    )
    ran = await analyze("/frames", **LAYOUT)
    assert "CONTENT_IN_FRAMES" in ran.warnings
    assert ran.report["content"]["frames"] == 1
    # The frame is a separate page: nothing in it is reported as this page's.
    assert ran.report["layout"]["headings"] == []
    assert "no-content" in rules(ran.report)


async def test_a_frameset(site: Any, analyze: Any) -> None:
    site.put("/inner", document(f"<h1>Inner page</h1><p>{SENTENCE}</p>"))
    site.put(
        "/frameset",
        "<title>Set</title><frameset cols='50%,50%'><frame src=/inner><frame src=/inner></frameset>",
    )
    ran = await analyze("/frameset", **LAYOUT)
    assert ran.result["completedPhases"] == ["ingest", "layout", "quality"]
    assert ran.report["quality"]["grade"] == "F"


SHADOW = """<my-page></my-page><script>
customElements.define("my-page", class extends HTMLElement { connectedCallback() {
  this.attachShadow({mode: "open"}).innerHTML = `<style>.hero{padding:160px 60px;background:#134}
  h1{color:#fff;font-size:48px}p{color:#cde}</style>
  <section class=hero><h1>Drawn in a shadow</h1><p>SENTENCE</p></section>
  <section style="padding:60px"><h2>Second part</h2><p>SENTENCESENTENCE</p>
  <img src="/none.png" width=90 height=90></section>`;
}});</script>""".replace("SENTENCE", SENTENCE)


async def test_what_is_in_a_shadow_tree_belongs_to_the_page(site: Any, analyze: Any) -> None:
    site.put("/shadow", document(SHADOW))
    report = (await analyze("/shadow", **LAYOUT)).report
    assert report["content"]["shadowRoots"] == 1
    assert [heading[1] for heading in report["layout"]["headings"]] == [
        "Drawn in a shadow",
        "Second part",
    ]
    assert sections(report)[0] == ("hero", "Drawn in a shadow")
    assert report["design"]["colors"]["background"][0][0] in ("#ffffff", "#113344")
    missing = next(
        rule for rule in report["accessibility"]["violations"] if rule["id"] == "image-alt"
    )
    assert "my-page" in missing["nodes"][0]["selector"]


CANVAS = """<canvas id=c width=1200 height=800></canvas><script>const context = c.getContext("2d");
context.fillStyle = "#336699"; context.fillRect(0, 0, 1200, 800); context.fillStyle = "#fff";
context.font = "48px sans-serif"; context.fillText("Painted words", 100, 200);</script>"""


async def test_a_page_that_is_only_a_canvas(site: Any, analyze: Any) -> None:
    site.put("/canvas", document(CANVAS))
    ran = await analyze("/canvas", **LAYOUT)
    assert "CANVAS_ONLY" in ran.warnings
    assert ran.report["content"]["canvases"] == 1
    assert "Painted" not in str(ran.report["layout"])
    assert ran.report["quality"]["overallScore"] < 40


async def test_a_page_that_is_only_for_printers(site: Any, analyze: Any) -> None:
    style = "<style>@media screen { main { display: none } }</style>"
    site.put("/print", document(f"<main><h1>On paper</h1><p>{SENTENCE * 8}</p></main>", style))
    ran = await analyze("/print", **LAYOUT)
    assert "HIDDEN_CONTENT" in ran.warnings
    assert ran.report["layout"]["sectionCount"] == 0
    assert ran.report["layout"]["headings"] == []
    assert "no-content" in rules(ran.report)


WALL = f"""<main><section style="padding:100px"><h1>The page itself</h1><p>{SENTENCE * 6}</p></section></main>
<div role="dialog" style="position:fixed;inset:0;background:rgba(0,0,0,.8)">
<div style="background:#fff;margin:15% auto;width:600px;padding:40px"><h2>TITLE</h2><p>WORDS</p>
<button>OK</button><button>No</button></div></div>"""


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("We value your privacy", "We and our partners use cookies to measure visits."),
        ("Ihre Einwilligung", "Wir bitten um Ihre Zustimmung zur Verarbeitung Ihrer Daten."),
    ],
)
async def test_a_wall_that_asks_for_consent(
    site: Any, analyze: Any, title: str, words: str
) -> None:
    site.put("/wall", document(WALL.replace("TITLE", title).replace("WORDS", words)))
    ran = await analyze("/wall", **LAYOUT)
    wall = next(item for item in ran.report["warnings"] if item["code"] == "CONSENT_WALL")
    assert wall["message"] == "A request for consent covers 100% of the window."
    assert "The page itself" in [heading[1] for heading in ran.report["layout"]["headings"]]


async def test_other_layers_and_small_bars_are_no_wall(site: Any, analyze: Any) -> None:
    other = WALL.replace("TITLE", "Winter sale").replace(
        "WORDS", "Half price on everything this week."
    )
    site.put("/sale", document(other))
    assert "CONSENT_WALL" not in (await analyze("/sale", **LAYOUT)).warnings
    place = "position:fixed;bottom:0;width:100%;height:80px"
    bar = f"<div style='{place}'>We use cookies. <button>OK</button></div>"
    site.put("/bar", document(f"<h1>Page</h1><p>{SENTENCE * 6}</p>{bar}"))
    assert "CONSENT_WALL" not in (await analyze("/bar", **LAYOUT)).warnings


async def test_a_check_for_robots_is_not_the_page(site: Any, analyze: Any) -> None:
    site.put(
        "/check",
        document("<h1>Just a moment...</h1><p>Checking your browser before you go on.</p>"),
    )
    ran = await analyze("/check", **LAYOUT)
    assert "ROBOT_CHECK" in ran.warnings
    site.put(
        "/about",
        document(
            f"<h1>How we fight robots</h1><p>{SENTENCE * 40} A captcha asks: not a robot?</p>"
        ),
    )
    assert "ROBOT_CHECK" not in (await analyze("/about", **LAYOUT)).warnings


@pytest.mark.parametrize("status", ["404 Not Found", "410 Gone", "403 Forbidden"])
async def test_a_page_of_an_error_is_not_judged(site: Any, analyze: Any, status: str) -> None:
    site.put("/missing", document(f"<h1>Nothing here</h1><p>{SENTENCE * 6}</p>"), status=status)
    with pytest.raises(JobFailed) as failed:
        await analyze("/missing", **LAYOUT)
    assert failed.value.code == "HTTP_ERROR"
    assert status[:3] in failed.value.message


@pytest.mark.parametrize(
    "media_type", ["application/pdf", "text/plain", "image/png", "application/json"]
)
async def test_a_file_is_not_a_page(site: Any, analyze: Any, media_type: str) -> None:
    site.put("/file", "%PDF-1.7 {}", media_type=media_type)
    with pytest.raises(JobFailed) as failed:
        await analyze("/file", **LAYOUT)
    assert failed.value.code == "NOT_HTML"


DASHBOARD = """<style>body{margin:0;display:flex;font:14px sans-serif}
aside{width:220px;min-height:1300px;background:#123}
aside a{display:block;padding:12px;color:#fff}main{flex:1}.row{display:flex;gap:20px;padding:20px}
.panel{flex:1;background:#fff;border:1px solid #ccd;padding:20px}.number{font-size:28px}</style>
<aside><a href=/1>Overview</a><a href=/2>Orders</a><a href=/3>People</a><a href=/4>Reports</a>
<a href=/5>Settings</a><a href=/6>Help</a></aside><main><div class=row><h1>Overview</h1></div>
<div class=row>TILES</div>
<div class=row><div class=panel style="flex:2;height:400px"><h2>Sales by month</h2><canvas></canvas></div>
<div class=panel style="height:400px"><h2>Sources</h2><canvas></canvas></div></div>
<div class=row><div class=panel style="height:300px"><h2>Latest orders</h2><p>None yet.</p></div></div>
</main>""".replace(
    "TILES",
    "".join(
        f"<div class=panel><p>{name}</p><p class=number>{number}</p></div>"
        for name, number in (
            ("Orders", "1,204"),
            ("Returns", "38"),
            ("Visitors", "9,910"),
            ("Share", "42%"),
        )
    ),
)


async def test_a_dashboard_is_told_by_its_rows_of_panels(site: Any, analyze: Any) -> None:
    site.put("/dashboard", document(DASHBOARD))
    report = (await analyze("/dashboard", **LAYOUT)).report
    assert [kind for kind, _ in sections(report)] == ["navigation", "stats", "content", "content"]
    assert sections(report)[1:] == [
        ("stats", "Overview"), ("content", "Sales by month"), ("content", "Latest orders"),
    ]  # fmt: skip
    tiles = report["layout"]["sections"][1]["children"]
    assert [(tile["role"], tile["text"]) for tile in tiles] == [
        ("card", "Orders 1,204"), ("card", "Returns 38"), ("card", "Visitors 9,910"), ("card", "Share 42%"),
    ]  # fmt: skip


async def test_a_page_of_a_hundred_parts_has_forty_sections_at_most(
    site: Any, analyze: Any
) -> None:
    part = "<section style='padding:80px;background:#{0}'><h2>Part {1}</h2><p>{2}</p></section>"
    parts = "".join(part.format("eee" if n % 2 else "fff", n, SENTENCE * 3) for n in range(100))
    site.put("/hundred", document(f"<main>{parts}</main>"))
    layout = (await analyze("/hundred", **LAYOUT)).report["layout"]
    assert 20 <= layout["sectionCount"] == len(layout["sections"]) <= 40
    bottoms = [section["box"][1] + section["box"][3] for section in layout["sections"]]
    assert bottoms[-1] >= layout["pageSize"][1] - 10


def cards(*texts: str) -> str:
    return "<div class=row>" + "".join(f"<div class=card>{text}</div>" for text in texts) + "</div>"


FACE = '<img src="/face.png" width=64 height=64 style="border-radius:50%" alt="">'
STYLE = """<style>body{margin:0;font:16px sans-serif}.part{padding:70px 120px}.grey{background:#eee}
.row{display:flex;gap:30px}.card{flex:1}.bar{padding:6px 120px}.hero{padding:140px;background:#eef}
a.b{display:inline-block;padding:12px 24px;background:#06c;color:#fff}a{margin-right:16px}</style>"""


def parts_without_landmarks() -> str:
    points = cards(*(f"<h4>Point {n}</h4><p>{SENTENCE}</p>" for n in range(3)))
    voices = cards(*(f"{FACE}<p>{SENTENCE}</p><p>Ann Miller</p>" for _ in range(3)))
    plans = cards(*(f"<h4>{n}</h4><p>${n}9/month</p><a class=b href=/b>Buy</a>" for n in (1, 2, 3)))
    questions = "".join(f"<h4>Can I do thing number {n}?</h4><p>{SENTENCE}</p>" for n in range(4))
    columns = cards(*["".join(f"<a href=/{n}>Link {n}</a><br>" for n in range(4))] * 3)
    return f"""<div class="bar grey"><a href=/tel>Call us</a><a href=/en>English</a></div>
<div class=bar><a href=/>Brand</a><a href=/1>Product</a><a href=/2>Pricing</a><a href=/3>Docs</a></div>
<div class=hero><div style="font-size:52px">Ship things that matter</div><p>{SENTENCE}</p>
<a class=b href=/go>Start now</a></div>
<div class=part><h2>Everything you need</h2>{points}</div>
<div class="part grey"><h2>What our customers think</h2>{voices}</div>
<div class=part><h2>Choose</h2>{plans}</div>
<div class="part grey"><h2>Before you ask</h2>{questions}</div>
<div class=part><h2>Stay up to date</h2>
<form><input type=email aria-label=mail><button>Subscribe</button></form></div>
<div class=part style="background:#222">{columns}</div>
<div class=bar style="background:#000;color:#fff">Copyright 2026 Brand Inc.</div>"""


async def test_sections_are_found_without_a_single_landmark(site: Any, analyze: Any) -> None:
    site.put("/divs", document(parts_without_landmarks(), STYLE))
    report = (await analyze("/divs", **LAYOUT)).report
    assert sections(report) == [
        ("navigation", None), ("hero", "Ship things that matter"), ("feature", "Everything you need"),
        ("testimonial", "What our customers think"), ("pricing", "Choose"), ("faq", "Before you ask"),
        ("cta", "Stay up to date"), ("footer", None),
    ]  # fmt: skip
    assert report["layout"]["landmarks"] == []
