"""The web page as people use it: in Chromium, against a whole server with a worker.

Every page is also photographed, at three widths and in the dark, into ``build/screenshots``.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from browsing import SIZES, Site, is_sound
from outside import released

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(180)]


async def test_a_list_shows_what_happens_as_it_happens(site: Site, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    async with site.page() as page:
        await page.goto(f"{site.url}/")
        await expect(page.get_by_text("No jobs yet")).to_be_visible()
        await expect(page.get_by_text("checkback submit")).to_be_visible()
        await is_sound(page, "empty")
        await expect(page.locator("#live-state")).to_have_text(
            "Live: changes appear automatically."
        )
        job_id = await site.submit("test.gate", path=str(gate))
        row = page.locator("table.jobs tbody tr", has_text="test.gate")
        await expect(row.locator(".state-active")).to_be_visible()
        gate.touch()
        await expect(row.locator(".state-completed")).to_be_visible()
        await expect(row).to_contain_text("not read yet")
        await page.get_by_role("button", name="Pause").click()
        other = await site.run("test.add", a=1, b=2)
        await expect(page.locator("a.job-link")).to_have_count(1)
        await page.get_by_role("button", name="Resume").click()
        await expect(page.locator("a.job-link")).to_have_count(2)
        await page.get_by_label("Search").fill(f"kind:test.add {other[:30]}")
        await page.get_by_role("button", name="Find").click()
        await expect(page).to_have_url(f"{site.url}/?q=kind%3Atest.add+{other[:30]}")
        await expect(page.locator("a.job-link")).to_have_count(1)
        await page.get_by_role("link", name="failed 0").click()
        await expect(page.get_by_text("Nothing found")).to_be_visible()
        assert (await site.job(job_id))["state"] == "completed"


async def test_an_analysis_is_followed_to_its_end_and_shown(site: Site, demo_site: str) -> None:
    async with site.page() as page:
        # The site answers on demand: at first, and again when the page is loaded in other sizes.
        job_id = await site.submit(
            "page.analyze",
            url=f"http://{demo_site}/?hold=followed",
            responsiveOptions={"reload": True},
        )
        await page.goto(f"{site.url}/jobs/{job_id}")
        await page.evaluate("window.loadedOnce = true")
        says = page.locator(".says")
        await expect(says).to_contain_text("ingest")
        released["followed"].release()
        await expect(says).to_contain_text("responsive")
        released["followed"].release(20)
        await expect(says).to_contain_text("Completed", timeout=60_000)
        assert await page.evaluate("window.loadedOnce")  # it moved without being loaded again
        await expect(page.get_by_role("heading", name="Findings")).to_be_visible()
        await expect(page.locator(".grade")).to_contain_text("of 100, grade")
        boxes = page.locator(".section-box text")
        assert "hero" in await boxes.all_inner_texts() + await boxes.all_text_contents()
        shown = "document.querySelector('.page-shot image').getBoundingClientRect().height > 500"
        assert await page.evaluate(shown)
        for size, (width, height) in SIZES.items():
            await page.set_viewport_size({"width": width, "height": height})
            await is_sound(page, f"analysis-{size}")


async def test_two_analyses_of_a_page_are_compared(site: Site, demo_site: str) -> None:
    address = f"http://{demo_site}/"
    before = await site.run("page.analyze", url=address)
    after = await site.run("page.analyze", url=address)
    async with site.page() as page:
        await page.goto(f"{site.url}/jobs/{after}")
        await expect(page.get_by_label("with the analysis of this URL from")).to_contain_text(
            before[-4:]
        )
        await page.get_by_role("button", name="Compare").click()
        await expect(page.get_by_role("heading", name="What changed")).to_be_visible()
        await expect(page.get_by_role("link", name=address)).to_have_count(2)
        await expect(page.locator("tr", has_text="overall")).to_contain_text("→")
        await is_sound(page, "comparison")


async def test_a_job_is_cancelled_after_a_question_and_run_again(
    site: Site, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    async with site.page() as page:
        job_id = await site.submit("test.gate", path=str(gate))
        await page.goto(f"{site.url}/jobs/{job_id}")
        yes = page.get_by_role("button", name="Yes, cancel the job")
        await expect(yes).to_be_hidden()
        await page.get_by_text("Cancel …").click()
        await is_sound(page, "cancel")
        await yes.click()
        await expect(page.locator("h1 .state-cancelled")).to_be_visible()
        gate.touch()
        again = page.get_by_role("button", name="Run it again")
        while (await site.job(job_id))["attempts"][
            "made"
        ] == 0:  # its last process is still being stopped
            pass
        await again.click()
        await expect(page.locator("h1 .state-completed")).to_be_visible()
        await expect(page.locator(".says")).to_contain_text("Completed in")


async def test_a_job_is_deleted_after_a_question(site: Site) -> None:
    job_id = await site.run("test.add", a=1, b=2)
    async with site.page() as page:
        await page.goto(f"{site.url}/jobs/{job_id}")
        yes = page.get_by_role("button", name="Yes, delete the job")
        await expect(yes).to_be_hidden()
        await page.get_by_text("Delete …").click()
        await is_sound(page, "delete")
        await yes.click()
        await page.wait_for_url(f"{site.url}/")
        await expect(page.locator(f'a[href="/jobs/{job_id}"]')).to_have_count(0)
    assert (await site.job(job_id))["error"]["code"] == "job_not_found"


async def test_a_failure_comes_first_with_what_to_do(site: Site) -> None:
    async with site.page() as page:
        job_id = await site.run("test.fail", message="It broke.")
        await page.goto(f"{site.url}/jobs/{job_id}")
        first = page.locator("section").first
        await expect(first.get_by_role("heading", name="Why it failed")).to_be_visible()
        await expect(first.get_by_text("It broke.")).to_be_visible()
        await is_sound(page, "failure")


async def test_a_job_is_submitted_by_its_form_with_a_file(site: Site, tmp_path: Path) -> None:
    async with site.page() as page:
        await page.goto(f"{site.url}/submit")
        await is_sound(page, "kinds")
        await page.get_by_role("link", name="test.add").click()
        await page.get_by_label("A (required)").fill("1")
        await page.get_by_label("B (required)").fill("2")
        await page.get_by_role("button", name="Submit").click()
        await expect(page.locator("h1 .state-completed")).to_be_visible()
        await expect(page.get_by_text("3", exact=True).first).to_be_visible()

        table = tmp_path / "table.csv"
        table.write_text("a,b\n1,2\n")
        await page.goto(f"{site.url}/submit/csv.to_pdf")
        await page.locator("#file-url").set_input_files(table)
        await expect(page.get_by_text("table.csv was uploaded.")).to_be_visible()
        await is_sound(page, "submit")
        await page.get_by_role("button", name="Submit").click()
        await expect(page.locator("h1 .state-completed")).to_be_visible()

        await page.get_by_role("button", name="Show pages of table.pdf").click()
        await expect(page.locator("h1 .state-completed")).to_be_visible()
        picture = page.locator(".shots img")
        await expect(picture).to_have_count(1)
        await expect(picture).to_have_js_property("complete", value=True)
        assert await picture.evaluate("(image) => image.naturalHeight") > 300
        await is_sound(page, "document")


async def test_everything_can_be_done_by_keyboard(site: Site) -> None:
    for number in range(3):
        await site.run("test.add", a=number, b=0)
    async with site.page() as page:
        await page.goto(f"{site.url}/")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        await page.keyboard.press("j")
        await page.keyboard.press("j")
        links = page.locator("a.job-link")
        await expect(links.nth(1)).to_be_focused()
        await page.keyboard.press("k")
        await expect(links.nth(0)).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("h1")).to_contain_text("test.add")
        await page.goto(f"{site.url}/")
        await page.keyboard.press("/")
        await page.keyboard.type("state:failed")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("Nothing found")).to_be_visible()


async def test_it_works_without_javascript(site: Site, tmp_path: Path) -> None:
    async with site.page(java_script_enabled=False) as page:
        await page.goto(f"{site.url}/submit/test.gate")
        await page.get_by_label("Path (required)").fill(str(tmp_path / "gate"))
        await page.get_by_role("button", name="Submit").click()
        await expect(page.locator("h1")).to_contain_text("test.gate")
        await page.get_by_text("Cancel …").click()
        await page.get_by_role("button", name="Yes, cancel the job").click()
        await expect(page.locator("h1 .state-cancelled")).to_be_visible()
        await page.get_by_role("link", name="Jobs", exact=True).click()
        newest = page.locator("table.jobs tbody tr", has_text="test.gate").first
        await expect(newest).to_contain_text("cancelled")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_is_sound_on_a_phone_in_light_and_dark(site: Site, scheme: str) -> None:
    done = await site.run("test.say", words="hello " * 50)
    failed = await site.run("test.fail", message="It broke.")
    async with site.page("phone", color_scheme=scheme) as page:
        for name, path in (
            ("list", "/"), ("done", f"/jobs/{done}"), ("failed", f"/jobs/{failed}"),
            ("submit", "/submit/page.analyze"), ("kinds", "/submit"),
        ):  # fmt: skip
            await page.goto(site.url + path)
            await is_sound(page, f"phone-{scheme}-{name}")
