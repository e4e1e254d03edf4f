"""What is measured agrees with the tools of the field, and what a caller may choose makes a
difference.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright

from checkback.kinds.browser.page_load import Budgets
from checkback.kinds.browser.session import find_browser
from checkback.kinds.pages.audits.accessibility import axe_source, axe_tier

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(120)]

HERE = Path(__file__).parents[1]
LITTLE = {"responsiveOptions": {"enabled": False}}
WORDS = "<p>Some words of a paragraph that is long enough to be seen.</p>"


@pytest.mark.node
async def test_lcp_and_cls_are_those_of_web_vitals(
    site: Any, analyze: Any, npm: Callable[[str], Path]
) -> None:
    packages = await asyncio.to_thread(npm, "webvitals")
    library = packages / "node_modules" / "web-vitals" / "dist" / "web-vitals.iife.js"
    site.put("/vitals.js", library.read_text(), media_type="text/javascript")
    box = "<div style='height:300px;background:#ccd'></div>"
    site.put(
        "/",
        f"""<!doctype html><html lang=en><title>x</title><script src=/vitals.js></script><script>
        const tell = ({{ name, value }}) => document.documentElement.setAttribute('data-' + name, value);
        for (const on of [webVitals.onLCP, webVitals.onCLS, webVitals.onFCP, webVitals.onTTFB])
          on(tell, {{reportAllChanges: true}});
        setTimeout(() => document.querySelector('h1').insertAdjacentHTML('beforebegin', "{box}"), 60);
        setTimeout(() => document.querySelector('h1').insertAdjacentHTML('beforebegin', "{box}"), 120);
        setTimeout(() => {{ document.querySelector('p').style.fontSize = '40px' }}, 90);
        </script><h1>Hello there</h1>{WORDS * 3}""",
    )
    ran = await analyze("/", layoutOptions={"include_html": True}, **LITTLE)
    html = ran.recorder.files["page.html"].decode()
    theirs = {
        name.lower(): float(value)
        for name, value in re.findall(r'data-(lcp|cls|fcp|ttfb)="([\d.]+)"', html)
    }
    ours = ran.report["performance"]
    assert ours["cls"] > 0.1
    assert ours["lcpElement"] == "p"
    assert ours["cls"] == pytest.approx(theirs["cls"], rel=0.05)
    for name in ("lcp", "fcp", "ttfb"):
        assert ours[f"{name}Ms"] == pytest.approx(theirs[name], rel=0.05, abs=5), name


#: One rule a line, with whether it matches something in ``RULES_PAGE``.
RULES = """
p {} /* yes */
.gone {} /* no */
.gone, h1 {} /* yes */
#here::before {} /* yes */
::selection {} /* yes */
h1 > :before {} /* no */
.md\\:wide {} /* yes */
.md\\:tall {} /* no */
:is(.gone, h1) {} /* yes */
a:not(.gone) {} /* yes */
a:hover {} /* no */
a[title="x.y, z"] {} /* yes */
@media print { p {} /* no */ }
@media (min-width: 100px) { .card {} /* yes */ }
@supports (display: nosuch) { p {} /* no */ }
@layer base { h1 { color: red } /* yes */ }
.card { color: red; /* yes */
  & .inner {} /* yes */
  .gone & {} /* no */
}
"""
RULES_PAGE = f"""<!doctype html><title>x</title><link rel=stylesheet href=/own.css>
<link rel=stylesheet href="http://localhost:PORT/other.css"><style>{RULES}</style>
<style disabled media=all id=off>p {{}}</style><script>off.disabled = true</script>
<h1 id=here>Rules</h1>{WORDS}<a href=/ class="md:wide" title="x.y, z">link</a>
<div class=card><i class=inner>in</i></div><div id=host></div><script>
const tree = host.attachShadow({{mode: "open"}});
tree.innerHTML = "<style>:host {{}} b {{}} u {{}}</style><b>bold</b>";
const sheet = new CSSStyleSheet();
sheet.replaceSync(".late {{}}");
document.adoptedStyleSheets = [sheet];
</script>"""


async def test_rules_count_as_used_where_they_match_something(site: Any, analyze: Any) -> None:
    site.put("/own.css", "@import '/imported.css'; h1 {} h2 {}", media_type="text/css")
    site.put("/imported.css", "p {} h3 {}", media_type="text/css")
    site.put("/other.css", "h1 {} h4 {} p {}", media_type="text/css")
    site.put("/", RULES_PAGE.replace("PORT", str(site.port)))
    css = (await analyze("/", **LITTLE)).report["css"]
    # Half of own.css and imported.css is used; of the shadow tree two rules of three, of the other
    # host two.
    rules = RULES.count("/*") + 2 + 2 + 3 + 1 + 3
    used = RULES.count("/* yes */") + 1 + 1 + 2 + 0 + 2
    assert css["rules"] == rules
    assert css["unusedPercent"] == round(100 * (1 - used / rules), 1)


@asynccontextmanager
async def axe_page(url: str) -> AsyncGenerator[Page]:
    """A page in a separate browser, with axe in it."""
    async with (
        async_playwright() as playwright,
        await playwright.chromium.launch(
            executable_path=find_browser(None).path, args=["--no-sandbox"]
        ) as browser,
    ):
        page = await browser.new_page(viewport={"width": 1440, "height": 900})
        await page.goto(url)
        await page.evaluate(axe_source())
        yield page


FAULTS = (
    "<!doctype html><html><head><title></title></head><body><div role=nosuch>x</div><img src=x>"
    "<a href=/></a><input><select></select><button></button><ul><div>x</div></ul><h1>A</h1><h4>B</h4>"
    "<table><tr><th></th></tr></table><div aria-labelledby=no role=img></div><div id=a></div><p id=a>x"
    "<label for=a>y</label><iframe srcdoc=x></iframe><div tabindex=5>z</div><p style='color:#aaa'>pale"
)


@pytest.mark.parametrize(
    ("path", "more", "tier"),
    [
        ("/", 0, "standard"),
        ("/faults", 0, "standard"),
        ("/faults", 3500, "reduced"),
        ("/faults", 8500, "core"),
    ],
)
async def test_axe_finds_what_a_full_run_finds_for_every_rule_of_the_tier(
    site: Any, analyze: Any, path: str, more: int, tier: str
) -> None:
    site.put("/faults", FAULTS + "<i></i>" * more)
    ran = await analyze(path, **LITTLE)
    part = ran.report["accessibility"]
    ours = {rule["id"]: rule["count"] for rule in part["violations"]}
    async with axe_page(site.url(path)) as page:
        # All rules but its slowest one, which no tier has. What passes is not described, element by
        # element.
        options = {"rules": {"color-contrast": {"enabled": False}}, "resultTypes": ["violations"]}
        run = "(options) => axe.run(options).then((result) => result.violations)"
        found: list[dict[str, Any]] = await page.evaluate(run, options)
    theirs = {
        rule["id"]: len(rule["nodes"]) for rule in found if _is_in(axe_tier(100 + more)[1], rule)
    }
    assert part["tier"] == tier
    assert ours == theirs
    assert len(ours) >= (1 if path == "/" else 5 if tier == "core" else 10)


def _is_in(options: dict[str, Any], rule: dict[str, Any]) -> bool:
    """Whether a rule of axe is in the set that these options run."""
    if not options.get("rules", {}).get(rule["id"], {}).get("enabled", True):
        return False
    chosen = options.get("runOnly")
    if chosen is None:
        return True
    return rule["id"] in chosen["values"] or bool(set(rule["tags"]) & set(chosen["values"]))


# For each element: what axe says, and whether it is among ours. Run on the page itself, so
# selectors count.
COMPARE = """async ([failures, unknowns]) => {
  const rule = {elementRef: true, runOnly: {type: "rule", values: ["color-contrast"]}};
  const found = await axe.run(document, rule);
  const elements = (key) => found[key].flatMap((rule) => rule.nodes.map((node) => node.element));
  const ours = (list) => list.map((selector) => {
    const all = document.querySelectorAll(selector);
    return all.length === 1 ? all[0] : null;
  });
  const shown = (list) => list.map((element) => element ? element.outerHTML.slice(0, 120) : "no element");
  const [failed, open, mine, unknown] = [
    elements("violations"), elements("incomplete"), ours(failures), ours(unknowns)];
  return {
    theirs: failed.length,
    agreed: failed.filter((element) => mine.includes(element)).length,
    missed: shown(failed.filter((element) => !mine.includes(element) && !unknown.includes(element))),
    invented: shown(mine.filter((element) => !failed.includes(element) && !open.includes(element))),
  };
}"""


@pytest.mark.parametrize("path", ["/", "/tides.html", "/contrast", "/everything"])
async def test_contrast_fails_at_the_same_elements_as_with_axe(
    site: Any, analyze: Any, path: str
) -> None:
    for name in ("contrast", "everything"):
        site.put(f"/{name}", (HERE / f"{name}.html").read_text("utf-8"))
    contrast = (await analyze(path, **LITTLE)).report["accessibility"]["contrast"]
    assert len(contrast["failures"]) == contrast["failed"]
    assert len(contrast["unknowns"]) == contrast["unknownsTotal"]
    selectors = [[entry["selector"] for entry in contrast[key]] for key in ("failures", "unknowns")]
    async with axe_page(site.url(path)) as page:
        found: dict[str, Any] = await page.evaluate(COMPARE, selectors)
    assert (found["missed"], found["invented"]) == ([], [])
    assert found["agreed"] >= {"/": 4, "/contrast": 30}.get(path, 0)
    if path == "/contrast":
        assert (found["theirs"] - found["agreed"], contrast["unknownsTotal"]) == (2, 8)
        reasons = {"painted text", "opacity", "picture behind", "gradient", "something between"}
        assert {entry["reason"] for entry in contrast["unknowns"]} == reasons


MOVING = """<!doctype html><html lang=en><title>x</title><style>
@keyframes turn { to { transform: rotate(1turn) } } @keyframes never { to { opacity: 0 } }
.turns { animation: turn 1s linear infinite; width: 200px; height: 200px;
  background: linear-gradient(red, blue) }
.link { transition: color .2s } .link:hover { color: red }
</style><h1>Hello there</h1><div class=turns></div><a class=link href=/>A link</a>
<div style='height:1200px'></div><canvas width=100 height=100></canvas><canvas id=deep></canvas>
<canvas id=blank></canvas><script>
const deep = document.getElementById('deep').getContext('webgl', {preserveDrawingBuffer: true});
deep.clearColor(1, 0, 0, 1); deep.clear(deep.COLOR_BUFFER_BIT);
const blink = () => document.querySelector('a').animate([{opacity: 0}, {}], {duration: 120, id: 'blink'});
setInterval(blink, 300);
const pen = document.querySelector('canvas').getContext('2d');
let hue = 0;
const draw = () => { pen.fillStyle = `hsl(${hue += 7} 90% 50%)`; pen.fillRect(0, 0, 99, 99) };
setInterval(draw, 20);
</script>"""


async def motion(site: Any, analyze: Any, mode: str, **options: Any) -> dict[str, Any]:
    site.put("/moving", MOVING)
    features = {"layout": False, "quality": False}
    ran = await analyze(
        "/moving", features=features, motionOptions={"detection_mode": mode, **options}, **LITTLE
    )
    return ran.report["motion"]


async def test_the_detection_mode_says_which_patterns_are_listed(site: Any, analyze: Any) -> None:
    wait = {"js_animation_options": {"waitTime": 700}}
    listed: dict[str, set[str]] = {}
    for mode in ("css", "runtime", "hybrid"):
        part = await motion(site, analyze, mode, **({} if mode == "css" else wait))
        listed[mode] = {f"{pattern['type']} {pattern['name']}" for pattern in part["patterns"]}
        assert part["mode"] == mode
        assert part.get("watchedMs", 0) == (0 if mode == "css" else 700)
        canvases = [(canvas["context"], canvas["active"]) for canvas in part["canvas"]["list"]]
        assert canvases == [("2d", True), ("webgl", False), (None, False)]
    assert {"css_animation turn", "css_transition .link color", "keyframes never"} <= listed["css"]
    # The blinking comes and goes: seen for certain only by who looks for a while.
    assert listed["runtime"] == {"css_animation turn", "script blink"}
    assert listed["hybrid"] >= listed["css"] | {"script blink"}


async def test_frames_show_where_the_page_moves(site: Any, analyze: Any) -> None:
    part = await motion(site, analyze, "video", js_animation_options={"waitTime": 0})
    frames = part["frames"]
    assert (frames["captured"], frames["reachedEnd"]) == (8, True)
    x, y, width, height = frames["moving"][0]["box"]
    assert x < 100 < x + width
    assert y < 300
    assert height < 400
    assert {pattern["type"] for pattern in part["patterns"]} <= {"css_animation", "script"}
    assert "frames" not in await motion(site, analyze, "css")


async def test_a_reload_shows_what_phones_get(site: Any, analyze: Any) -> None:
    site.put(
        "/",
        "<!doctype html><html lang=en><title>x</title><nav><a href=/a>One</a> <a href=/b>Two</a></nav>"
        f"<h1>Hello there</h1>{WORDS}<section style='height:900px'><h2>Wide</h2>{WORDS}</section><script>"
        "if (navigator.userAgent.includes('Mobile') && 'ontouchstart' in window)"
        " document.querySelector('nav').style.display = 'none'</script>",
    )
    sizes = [
        {"name": "wide", "width": 1000, "height": 700},
        {"name": "phone", "width": 375, "height": 667},
    ]
    for reload in (False, True):
        asked = len(site.asked)
        ran = await analyze("/", responsiveOptions={"reload": reload, "viewports": sizes})
        part = ran.report["responsive"]
        assert part["method"] == ("reload" if reload else "resize")
        assert [viewport["navigation"] for viewport in part["viewports"]] == [
            "expanded",
            "collapsed" if reload else "expanded",
        ]
        assert site.asked[asked:].count("/") == (3 if reload else 1)
        assert ran.report["network"]["countByType"]["document"] == 1
        assert part["viewports"][1]["hiddenSections"] in ([], ["s1"])


async def test_a_very_large_page_ends_as_a_truncated_report(site: Any, analyze: Any) -> None:
    small = Budgets(elements_with_all_styles=1500, elements_resized=1000)
    rows = "".join(f"<p>Row {number} <b>of</b> many</p>" for number in range(1000))
    site.put("/rows", f"<!doctype html><html lang=en><title>x</title><h1>Rows</h1>{rows}")
    ran = await analyze("/rows", budgets=small)
    assert ran.result["completedPhases"] == ["ingest", "layout", "motion", "quality", "responsive"]
    assert {"SNAPSHOT_LIGHT", "RESIZE_LIGHT", "PICTURE_CUT"} <= ran.warnings
    assert ran.report["truncated"] is True
    assert "colors" not in ran.report["design"]
    assert ran.report["responsive"]["viewports"][2]["navigation"] == "unknown"
    assert (await analyze("/tides.html", **LITTLE)).report["truncated"] is False
