"""A collection on the page, in a real Chromium: one progress, the bad named, those retried."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.inputs.speech import recording, write_wav
from tests.integration.conftest import StartCluster
from tests.integration.ways_in.browser import PHONE, launched, visit
from tests.integration.ways_in.listed import Listed
from tests.servers.api import serving

OPTIONS = {"model": "fake", "language": "en", "aligner": "none"}
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
