"""Holds our judgement of text's contrast to axe's, element by element, on real sites.

    python benchmarks/contrast.py --sites SITES.json --folder FOLDER [--only agency,maint-zh]

One load of each site; the snapshot is taken, then axe runs its rule ``color-contrast`` on the same
page. Counted are elements: what axe fails (``axe``), and of those what we fail too (``both``), call
unknown (``unknown``) or let pass (``missed``); what we fail and axe lets pass (``invented``); what
we fail where axe leaves it open (``open``) or does not look (``beyond``). The second line holds
what axe cannot decide, and how much of that we can't either. Ends with 1 where anything was missed
or invented.
"""

# pyright: basic

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import Any

from corpus_sites import fetch, served
from playwright.async_api import Browser, async_playwright

from checkback.kinds.browser.session import find_browser
from checkback.kinds.pages.audits.accessibility import axe_source
from checkback.kinds.pages.audits.contrast import judge_texts
from checkback.kinds.pages.dom.snapshot import STYLES, parse

SETTLE_MS = 1500
COLUMNS = ("axe", "both", "unknown", "missed", "invented", "open", "beyond")
#: Keeps axe's elements by what it says of them. A text of several shadow trees has no element here.
RUN = """async () => {
  const rule = {runOnly: {type: "rule", values: ["color-contrast"]}, elementRef: true, iframes: false};
  const result = await axe.run(document, rule);
  const elements = (rules) => new Set(rules.flatMap((one) => one.nodes.map((node) => node.element)));
  globalThis.__theirs = {
    failed: elements(result.violations), open: elements(result.incomplete), passed: elements(result.passes)};
}"""
COMPARE = """() => {
  const {failed, open, passed} = globalThis.__theirs;
  const ours = (value) => [...document.querySelectorAll(`[data-contrast=${value}]`)];
  const [mine, unknown] = [new Set(ours("fails")), new Set(ours("unknown"))];
  const count = (elements, test) => [...elements].filter(test);
  const shown = (list) => list.slice(0, 5).map((element) => element.outerHTML.slice(0, 100));
  const missed = count(failed, (one) => !mine.has(one) && !unknown.has(one));
  const invented = count(mine, (one) => passed.has(one) && !failed.has(one) && !open.has(one));
  return {
    axe: failed.size, both: count(failed, (one) => mine.has(one)).length,
    unknown: count(failed, (one) => !mine.has(one) && unknown.has(one)).length,
    missed: missed.length, invented: invented.length,
    open: count(mine, (one) => open.has(one)).length,
    beyond: count(mine, (one) => !failed.has(one) && !open.has(one) && !passed.has(one)).length,
    undecided: open.size, undecidedByBoth: count(open, (one) => unknown.has(one)).length,
    ourUnknown: unknown.size, examples: shown([...missed, ...invented]),
  };
}"""


async def compare(browser: Browser, url: str) -> dict[str, Any]:
    """What both say of one page."""
    page = await browser.new_page(viewport={"width": 1440, "height": 900})
    try:
        await page.goto(url, wait_until="load")
        await page.wait_for_timeout(SETTLE_MS)  # a page that moves never looks the same twice
        devtools: Any = await page.context.new_cdp_session(page)
        await devtools.send("Animation.setPlaybackRate", {"playbackRate": 0})
        wanted = {"computedStyles": list(STYLES), "includePaintOrder": True}
        tree = parse(await devtools.send("DOMSnapshot.captureSnapshot", wanted), STYLES)
        await page.evaluate(axe_source())
        await page.evaluate(RUN)
        verdicts: dict[int, str] = {}
        for text in judge_texts(tree):
            said = "unknown" if text.ratio is None else "fails" if text.fails else ""
            if said and verdicts.get(text.node.backend_id) != "fails":
                verdicts[text.node.backend_id] = said
        await devtools.send("DOM.getDocument", {"depth": 0})
        asked = {"backendNodeIds": list(verdicts)}
        pushed = await devtools.send("DOM.pushNodesByBackendIdsToFrontend", asked)
        for node, said in zip(pushed["nodeIds"], verdicts.values(), strict=True):
            value = {"nodeId": node, "name": "data-contrast", "value": said}
            await devtools.send("DOM.setAttributeValue", value)
        found: dict[str, Any] = await page.evaluate(COMPARE)
        return found
    finally:
        await page.close()


async def run(options: argparse.Namespace) -> int:
    """Compare on each site; the number of elements that were missed or invented."""
    only: set[str] = set(filter(None, options.only.split(",")))
    wrong = 0
    print(f"{'':<20}" + "".join(f"{name:>10}" for name in COLUMNS))
    async with (
        async_playwright() as playwright,
        await playwright.chromium.launch(
            executable_path=find_browser(None).path, args=["--no-sandbox"]
        ) as browser,
    ):
        for site in json.loads(options.sites.read_text("utf-8")):
            if only and site["name"] not in only:
                continue
            with served(fetch(site, options.folder)) as host:
                found = await compare(browser, f"http://{host}/{site['entry']}")
            print(
                f"{site['name']:<20}" + "".join(f"{found[name]:>10}" for name in COLUMNS),
                flush=True,
            )
            print(
                f"  axe cannot decide {found['undecided']}, neither can we {found['undecidedByBoth']};"
                f" unknown to us {found['ourUnknown']}"
            )
            for example in found["examples"]:
                print(f"  {example!r}")
            wrong += found["missed"] + found["invented"]
    print(f"missed or invented: {wrong}")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--sites", type=Path, required=True, help="list of sites, see corpus_sites.py"
    )
    parser.add_argument("--folder", type=Path, required=True, help="folder with the unpacked sites")
    parser.add_argument("--only", default="", help="names, with commas between")
    raise SystemExit(1 if asyncio.run(run(parser.parse_args())) else 0)


if __name__ == "__main__":
    main()
