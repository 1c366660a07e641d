"""A collection on the page, in a real Chromium: one progress, the bad named, those retried."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.inputs.speech import recording, write_wav
from tests.integration.conftest import StartCluster
from tests.integration.ways_in.browser import PHONE, launched, visit
from tests.integration.ways_in.listed import Listed
from tests.servers.api import serving

OPTIONS = {"model": "fake", "language": "en", "aligner": "none"}
SHOWN = 50  # lines of a kind, until more are asked for
MINUTES_20 = 1_200_000  # milliseconds, for 500 files on two busy cores


@pytest.mark.parametrize(
    ("files", "every"),
    [(40, 10), pytest.param(500, 25, marks=[pytest.mark.heavy, pytest.mark.timeout(1800)])],
)
def test_a_list_is_dropped_watched_and_its_bad_lines_are_tried_again(
    start_cluster: StartCluster,
    s3_shared_client: Any,
    s3_endpoint: str,
    bucket: str,
    tmp_path: Path,
    files: int,
    every: int,
) -> None:
    sound = write_wav(tmp_path / "speech.wav", recording(2, seed=97)[0]).read_bytes()
    listed = Listed(s3_shared_client, bucket, sound, files, every, OPTIONS)
    listed.put()
    cluster = start_cluster(workers=2, source_buckets=bucket, s3_endpoint_url=s3_endpoint)
    path = tmp_path / "may.jsonl"
    path.write_bytes(listed.text)
    good, bad, hopeless = files - len(listed.bad), len(listed.bad), len(listed.hopeless)
    failed = bad - hopeless
    with (
        launched() as browser,
        serving(cluster.connection) as address,
        visit(browser, address, tmp_path) as visitor,
    ):
        page = visitor.page
        page.wait_for_selector("#intake-title")
        assert not page.is_visible("#collections")
        page.set_input_files("#files", [str(path)])
        page.click("#collection-rows .row-name >> text=may.jsonl")
        page.wait_for_selector("#collection-name:text-is('may.jsonl')")
        page.wait_for_selector("#collection-progress")
        visitor.picture("collection-1-progress")
        assert visitor.accessibility_violations() == []

        page.wait_for_selector(f"#collection-retry:text-is('Try {bad} again')", timeout=MINUTES_20)
        counts = page.inner_text("#collection-counts")
        assert counts == f"{good} of {files} done, {failed} failed, {hopeless} refused"
        lines = page.locator(".bad-line")
        assert lines.count() == bad
        for place, (line, code) in enumerate(listed.bad.items()):
            assert lines.nth(place).inner_text().startswith(f"Line {line}: ")
            assert lines.nth(place).locator("code").inner_text() == code
        visitor.picture("collection-2-bad", whole=True)
        assert page.locator("#collection-good .row").count() == min(good, SHOWN)
        assert page.is_visible("#collection-good .load-more") == (good > SHOWN)
        assert visitor.accessibility_violations() == []

        listed.mend()
        page.click("#collection-retry")
        page.wait_for_selector("#collection-step:text-is('Trying again')")
        page.wait_for_selector(f"#collection-retry:text-is('Try {hopeless} again')")
        assert page.inner_text("#collection-counts") == (
            f"{good + failed} of {files} done, {hopeless} refused"
        )
        assert page.locator(".bad-line code").all_inner_texts() == list(listed.hopeless.values())
        page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        visitor.picture("collection-3-phone", whole=True)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

        page.click("#collection-delete")
        page.click("#confirm-yes")
        page.wait_for_selector("#collections", state="hidden")
        visitor.wait_until("document.querySelectorAll('#job-rows .row').length === 0", 300.0)


def test_several_recordings_and_a_folder_of_a_bucket_are_collections_on_the_page(
    start_cluster: StartCluster,
    s3_shared_client: Any,
    s3_endpoint: str,
    bucket: str,
    tmp_path: Path,
) -> None:
    sound = write_wav(tmp_path / "speech.wav", recording(2, seed=97)[0]).read_bytes()
    for number in range(3):
        s3_shared_client.put_object(Bucket=bucket, Key=f"calls/{number}.wav", Body=sound)
    s3_shared_client.put_object(Bucket=bucket, Key="calls/notes.txt", Body=b"no sound")
    cluster = start_cluster(workers=2, source_buckets=bucket, s3_endpoint_url=s3_endpoint)
    files = []
    for name, body in (("one.wav", sound), ("two.wav", sound + b"\0"), ("bad.wav", b"no sound")):
        files.append(tmp_path / name)
        files[-1].write_bytes(body)
    with (
        launched() as browser,
        serving(cluster.connection) as address,
        visit(browser, address, tmp_path) as visitor,
    ):
        page = visitor.page
        page.wait_for_selector("#intake-title")
        page.get_by_text("More", exact=True).click()
        page.fill("#option-other-model", "fake")
        page.select_option("#option-language", "en")
        soon = (datetime.now() + timedelta(hours=5)).strftime("%Y-%m-%dT%H:%M")
        page.fill("#option-ready-by", soon)
        visitor.picture("collection-4-options", whole=True)
        held: list[Any] = []  # the first upload waits until the page was looked at
        page.route("**/v1/uploads", lambda route: held.append(route))
        page.set_input_files("#files", [str(path) for path in files])
        page.fill(".upload-group input", "Calls of May")
        visitor.picture("collection-5-uploads", whole=True)
        assert visitor.accessibility_violations() == []
        page.unroute("**/v1/uploads")
        visitor.wait_until("document.querySelectorAll('.upload-group .upload').length === 3")
        row = page.locator("#collection-rows .row", has_text="Calls of May")
        row.locator(".status-partial").wait_for(timeout=MINUTES_20)
        assert "ready by" in row.inner_text()
        assert page.locator(".upload-group").count() == 0
        page.click("#collection-rows .row-name >> text=Calls of May")
        page.wait_for_selector("#collection-retry:text-is('Try 1 again')")
        assert page.inner_text("#collection-counts") == "2 of 3 done, 1 failed"
        (line,) = page.locator(".bad-line").all_inner_texts()
        assert "bad.wav" in line and "unreadable_audio" in line
        done = page.locator("#collection-good .row")
        assert [row.split("\n")[0] for row in done.all_inner_texts()] == ["one.wav", "two.wav"]
        assert visitor.accessibility_violations() == []
        page.click("#collection-retry")
        page.wait_for_selector("#collection-step:text-is('Trying again')")
        page.wait_for_selector("#collection-retry:text-is('Try 1 again')", timeout=MINUTES_20)
        visitor.picture("collection-6-files", whole=True)
        page.click("#collection-good .row-name >> text=two.wav")
        page.wait_for_selector("#job-name:text-is('two.wav')")
        page.go_back()

        page.click("#collection-view .back")
        page.click("#bucket summary")
        page.fill("#bucket-prefix", "s3://elsewhere/calls/")
        visitor.expected = ("403",)  # the console tells of each refused request
        page.click("#bucket-submit")
        page.wait_for_selector("#bucket-error:not([hidden])")
        page.fill("#bucket-prefix", f"s3://{bucket}/calls/")
        page.fill("#bucket-suffix", ".wav, .mp3")
        page.fill("#bucket-name", "A folder")
        visitor.picture("collection-7-bucket", whole=True)
        assert visitor.accessibility_violations() == []
        page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        visitor.picture("collection-8-bucket-phone", whole=True)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.click("#bucket-submit")
        row = page.locator("#collection-rows .row", has_text="A folder")
        row.locator(".status-completed").wait_for(timeout=MINUTES_20)
        assert "3 of 3 done" in row.inner_text()
