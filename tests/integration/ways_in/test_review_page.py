"""The review of a doubtful transcript on the page, in a real Chromium, alone and by two at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest
from pydantic import SecretStr

from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.local.redis_server import RedisServer
from tests.inputs.doubted import DOUBTED, INVENTED, RIGHT, WRONG, publish, publish_sound
from tests.inputs.examples import a_manifest, a_plan, write_records
from tests.inputs.speech import recording
from tests.integration.cluster import quick_settings
from tests.integration.ways_in.browser import DESKTOP, PHONE, Visit, launched, visit
from tests.servers.api import serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

TEXT = "We met a nice team."
CLOSE_SECONDS = 0.05
BELOW = """document.querySelector(".line.chosen").getBoundingClientRect().top
    >= document.querySelector(".reading-tools").getBoundingClientRect().bottom"""

# A paragraph paints nothing beside itself.
WHOLE = """(() => {
    const line = document.querySelector(".line.chosen");
    return line.getBoundingClientRect().left - 4
        >= line.closest(".paragraph").getBoundingClientRect().left;
})()"""
# In a single column, what Tab reaches later is farther down.
ORDERED = """(() => {
    const all = [...document.querySelectorAll(".reading input, .reading select, .time")];
    const tops = all.map((each) => each.getBoundingClientRect().top);
    return tops.length > 4 && tops.every((top, at) => at === 0 || top >= tops[at - 1]);
})()"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as started:
        yield started


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A Redis and a store without workers: what they would write is there already."""
    home = tmp_path_factory.mktemp("cluster")
    server = RedisServer(home)
    server.start()
    settings = quick_settings(
        home, redis_url=SecretStr(server.url), store_url=(home / "store").as_uri()
    )
    opened = open_cluster(settings)
    publish_sound(opened, recording(DOUBTED.duration)[0])
    yield opened
    opened.close()
    server.stop()


@pytest.fixture(scope="module")
def address(cluster: Cluster) -> Iterator[str]:
    with serving(cluster) as found:
        yield found


_numbers = count(1)


@pytest.fixture
def job(cluster: Cluster) -> str:
    """A new job with doubtful lines."""
    return publish(cluster, job=f"doubted-{next(_numbers)}")


def opened(visitor: Visit, address: str, job: str) -> Page:
    visitor.page.goto(f"{address}/#/jobs/{job}")
    visitor.page.wait_for_selector("#review-count:visible")
    return visitor.page


def line(page: Page, at: int) -> str:
    """How the line at that place among the four looks."""
    return (page.locator(".line", has=page.locator(".word")).nth(at)).get_attribute("class") or ""


def lines(page: Page) -> list[str]:
    return page.locator("#transcript .line").all_text_contents()


def seconds(page: Page) -> float:
    return float(page.evaluate("document.getElementById('audio').currentTime"))


def exported(address: str, job: str, query: str) -> str:
    with urlopen(f"{address}/v1/jobs/{job}/transcript?{query}") as reply:
        return str(reply.read().decode())


def test_lines_are_heard_corrected_confirmed_refused_put_back_and_exported(
    browser: Browser, address: str, job: str, tmp_path: Path
) -> None:
    with visit(browser, address, tmp_path) as visitor:
        page = opened(visitor, address, job)
        assert page.inner_text("#review-count") == "4 of 4 to check"
        looks = [line(page, at) for at in range(4)]
        assert looks == ["line flagged"] * 3 + ["line"]
        assert page.locator("#transcript .doubted").all_text_contents() == ["an", "ice"]
        visitor.picture("review-1-opened")

        page.keyboard.press("n")  # the worst
        assert line(page, INVENTED) == "line flagged chosen"
        assert "models write where nothing is said" in page.inner_text("#review-why")
        assert seconds(page) == pytest.approx(3.0, abs=CLOSE_SECONDS)
        page.click("#review-refuse")
        page.wait_for_selector("#transcript .line.refused")
        assert page.inner_text("#review-count") == "3 of 4 to check"
        page.keyboard.press("n")  # speech without text: no line to say anything of
        assert "no words in the text" in page.inner_text("#review-why")
        assert page.locator("#review-correct").count() == 0
        page.click("#review-next")
        assert line(page, WRONG) == "line flagged chosen"
        visitor.picture("review-2-place")
        page.click("#review-play")
        visitor.wait_until("!document.getElementById('audio').paused")
        visitor.wait_until("document.getElementById('audio').paused")
        assert seconds(page) == pytest.approx(2.5, abs=0.4)  # it stops at the line's end

        page.keyboard.press("e")
        assert page.input_value("#review-text") == "We met an ice cream."
        page.fill("#review-text", "Anything")
        page.keyboard.press("Escape")
        page.get_by_label("Take: We met a nice team.").click()
        page.wait_for_selector("#transcript .line.corrected")
        assert lines(page)[WRONG] == TEXT
        assert page.locator("#transcript .doubted").count() == 0
        page.click("#review-correct")
        page.fill("#review-text", "We met a nice, old team.")
        visitor.picture("review-3-editor")
        page.click(".word >> text=watching!")  # to hear another line: what is written stays
        assert seconds(page) == pytest.approx(4.0, abs=CLOSE_SECONDS)
        page.click("#review-next")
        page.click(".notice >> [aria-label=Close]")
        assert page.input_value("#review-text") == "We met a nice, old team."
        page.focus("#review-text")
        page.keyboard.press("Enter")
        page.wait_for_selector(".line >> text=old")
        page.click(".word >> text=sails")  # the words behind have other numbers now
        assert seconds(page) == pytest.approx(6.8, abs=CLOSE_SECONDS)
        assert line(page, RIGHT) == "line flagged chosen"
        page.keyboard.press("c")
        page.wait_for_selector("#transcript .line.confirmed")
        assert page.inner_text("#review-count") == "1 of 4 to check"
        assert "Found right, just now." in page.inner_text("#review-why")
        page.fill("#find-text", "old team. thanks")
        page.wait_for_selector(".found-now")
        assert page.locator(".found-now").all_text_contents() == ["old", "team.", "Thanks"]
        page.fill("#find-text", "")
        page.wait_for_selector(".found", state="detached")
        visitor.picture("review-4-settled")

        page.click("#downloads summary")
        with page.expect_download() as download:
            page.click("#downloads a[href*='format=srt']")
        subtitles = Path(download.value.path()).read_text(encoding="utf-8")
        assert "We met a nice, old team." in subtitles and "Thanks" not in subtitles
        body = json.loads(exported(address, job, "format=json"))
        assert body["corrections"] == {
            "version": 4, "corrected": 1, "refused": 1, "confirmed": 1,
        }  # fmt: skip
        assert "Thanks for watching!" in exported(address, job, "format=txt&corrections=off")

        page.reload()
        page.wait_for_selector("#transcript .line.corrected")
        expected = [segment.text for segment in DOUBTED.segments]
        assert lines(page) == ["We met a nice, old team.", *expected[1:]]
        page.click(".word >> text=Thanks")
        page.click("#review-none")
        page.wait_for_selector("#transcript .line.refused", state="detached")
        assert line(page, INVENTED) == "line flagged chosen"
        assert "Thanks" in exported(address, job, "format=srt")


def test_two_browsers_lose_nothing_of_each_other(
    browser: Browser, address: str, job: str, tmp_path: Path
) -> None:
    with visit(browser, address, tmp_path) as first, visit(browser, address, tmp_path) as second:
        second.expected = ("409",)
        one, other = opened(first, address, job), opened(second, address, job)
        one.click(".word >> text=met")
        one.click("#review-correct")
        one.fill("#review-text", "Theirs.")
        one.keyboard.press("Enter")
        one.wait_for_selector("#transcript .line.corrected")

        other.click(".word >> text=Thanks")  # another line: both are kept
        other.keyboard.press("x")
        other.wait_for_selector("#transcript .line.refused")
        other.wait_for_selector("#transcript .line.corrected >> text=Theirs.")
        other.click(".word >> text=Theirs.")
        other.click("#review-correct")
        other.fill("#review-text", "Mine.")
        one.click(".word >> text=Theirs.")
        one.click("#review-none")  # meanwhile
        one.wait_for_selector("#transcript .line.corrected", state="detached")
        other.keyboard.press("Enter")
        other.wait_for_selector(".notice >> text=Another editor has changed this line")
        assert lines(other)[WRONG] == "We met an ice cream."
        assert other.input_value("#review-text") == "Mine."  # what was written is not lost
        second.picture("review-conflict")
        other.click("#review-editor >> text=Save")
        other.wait_for_selector("#transcript .line.corrected >> text=Mine.")
        one.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # back on this page
        one.wait_for_selector("#transcript .line.corrected >> text=Mine.")
        one.wait_for_selector("#transcript .line.refused")


def test_a_line_without_a_doubt_is_chosen_and_corrected_with_the_keyboard_alone(
    browser: Browser, address: str, job: str, tmp_path: Path
) -> None:
    with visit(browser, address, tmp_path) as visitor:
        page = opened(visitor, address, job)
        page.keyboard.press("n")
        assert line(page, INVENTED) == "line flagged chosen"
        for _ in range(3):
            page.keyboard.press(".")
        assert line(page, RIGHT) == "line flagged chosen"
        for _ in range(5):
            page.keyboard.press(".")
        assert line(page, 3) == "line chosen"
        page.keyboard.press(",")
        assert line(page, RIGHT) == "line flagged chosen"
        page.keyboard.press(".")
        page.keyboard.press("e")
        assert page.input_value("#review-text") == "No doubt here."
        page.fill("#review-text", "No doubt at all.")
        page.keyboard.press("Enter")
        page.wait_for_selector("#transcript .line.corrected >> text=No doubt at all.")


@pytest.mark.parametrize(
    ("task", "languages"), [("transcribe", ["de", "fr"]), ("translate", ["en"])]
)
def test_text_has_its_language_and_that_of_a_translation_is_english(
    browser: Browser,
    cluster: Cluster,
    address: str,
    tmp_path: Path,
    task: str,
    languages: list[str],
) -> None:
    job = f"of-{task}"
    manifest = a_manifest(job, language="de", task=task)
    write_records(cluster.store, manifest, a_plan(DOUBTED.duration))
    first, *rest = DOUBTED.segments
    publish(
        cluster,
        replace(DOUBTED, language="de", segments=(first, replace(rest[0], language="fr"))),
        job=job,
    )
    with visit(browser, address, tmp_path) as visitor:
        page = opened(visitor, address, job)
        found = page.locator("#transcript, #transcript [lang]")
        assert [each.get_attribute("lang") for each in found.all()] == languages
        name = "German" if task == "transcribe" else "German, in English"
        assert page.locator(f"#job-meta >> text={name}").last.inner_text() == name


@pytest.mark.parametrize(("scheme", "size"), [("dark", DESKTOP), ("light", PHONE)])
def test_nobody_is_kept_out_of_the_review(
    browser: Browser, address: str, job: str, tmp_path: Path, scheme: str, size: tuple[int, int]
) -> None:
    name = f"{scheme}-{'phone' if size == PHONE else 'desktop'}"
    phone = {"is_mobile": True, "has_touch": True} if size == PHONE else {}
    with visit(browser, address, tmp_path, size, color_scheme=scheme, **phone) as visitor:
        page = opened(visitor, address, job)

        def look(what: str) -> None:
            visitor.picture(f"review-{what}-{name}")
            assert visitor.accessibility_violations() == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

        page.click("#review-next")
        page.click("#review-refuse")
        page.wait_for_selector("#transcript .line.refused")
        assert page.evaluate(WHOLE), "the edge of the chosen line is cut off"
        assert size == DESKTOP or page.evaluate(ORDERED), "Tab goes up to the speakers"
        page.select_option("#review-order", "time")
        page.click("#review-next")
        look("place")
        page.click("#review-correct")
        page.evaluate("document.querySelector('.line.chosen').scrollIntoView({block: 'start'})")
        assert page.evaluate(BELOW), "the bar covers the line"
        look("editor")
        page.fill("#review-text", TEXT)
        page.click("#review-editor >> text=Save")
        page.wait_for_selector("#transcript .line.corrected")
        page.click(".legend summary")
        look("legend")
