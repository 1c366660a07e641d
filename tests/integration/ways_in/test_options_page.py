"""The page's form for new recordings in a real Chromium: several languages, a vocabulary."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from orchestrator.cluster.connection import Cluster, open_cluster
from orchestrator.collections.places import record
from orchestrator.collections.records import Collection
from orchestrator.jobs.vocabularies import put_vocabulary
from orchestrator.local.redis_server import RedisServer
from tasks.runs.options import JobOptions
from tasks.runs.vocabulary import Vocabulary
from tests.inputs.speech import recording, write_wav
from tests.integration.cluster import TENANT, quick_settings
from tests.integration.ways_in.browser import DESKTOP, PHONE, launched, visit
from tests.servers.api import serving


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A Redis and a store without workers, so that jobs wait as they were accepted."""
    server = RedisServer(tmp_path)
    server.start()
    settings = quick_settings(
        tmp_path, redis_url=SecretStr(server.url), store_url=(tmp_path / "store").as_uri()
    )
    opened = open_cluster(settings)
    yield opened
    opened.close()
    server.stop()


def accepted(cluster: Cluster, address: str) -> JobOptions:
    """The options of the job whose page has that address."""
    return cluster.records.manifest(TENANT, address.rpartition("/")[2]).options


def test_a_recording_in_several_languages_with_a_vocabulary_is_submitted(
    cluster: Cluster, tmp_path: Path
) -> None:
    sound = write_wav(tmp_path / "panel.wav", recording(2)[0])
    with (
        launched() as browser,
        serving(cluster) as address,
        visit(browser, address, tmp_path) as visitor,
    ):
        visitor.expected = ("422", "404")
        page = visitor.page
        page.get_by_text("More", exact=True).click()
        assert not page.is_visible("#option-vocabulary")  # there is none yet
        put_vocabulary(cluster.store, TENANT, "legal", Vocabulary(hot_words=("Ayşe",)))
        page.reload()
        page.get_by_text("More", exact=True).click()
        page.select_option("#option-vocabulary", "legal")
        page.fill("#option-languages", "German, Klingon")
        page.get_by_text("More", exact=True).click()
        page.set_input_files("#files", str(sound))
        page.wait_for_selector("#option-languages[aria-invalid] + #option-error")
        assert page.inner_text("#option-error").startswith("'Klingon' is not a language")
        visitor.picture("options-1-refused", whole=True)
        assert visitor.accessibility_violations() == []
        page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        state, buttons = (
            page.locator(f".upload > .upload-{part}").bounding_box()
            for part in ("state", "buttons")
        )
        assert state and buttons and buttons["y"] >= state["y"] + state["height"]
        page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})

        page.fill("#option-languages", "German, Spanish")
        assert not page.is_visible("#option-error")
        page.click(".upload >> text=Try again")
        page.click(".row-name >> text=panel.wav")
        page.wait_for_selector("#job-name:text-is('panel.wav')")
        found = accepted(cluster, page.url)
        assert (found.language, found.languages) == (None, ("de", "es"))
        assert found.vocabulary == "legal@1" and found.hotwords == "Ayşe"

        page.click("#job-view .back")
        page.reload()  # the choice is remembered, and shown as it was made
        page.get_by_text("More", exact=True).click()
        visitor.wait_until("document.getElementById('option-vocabulary').value === 'legal'")
        assert page.input_value("#option-languages") == "German, Spanish"
        page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        visitor.picture("options-2-phone", whole=True)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_refused_collection_is_tried_again_with_what_was_mended(
    cluster: Cluster, tmp_path: Path
) -> None:
    files = [write_wav(tmp_path / f"{number}.wav", recording(2)[0]) for number in range(2)]
    with (
        launched() as browser,
        serving(cluster) as address,
        visit(browser, address, tmp_path) as visitor,
    ):
        visitor.expected = ("422",)
        page = visitor.page
        page.get_by_text("More", exact=True).click()
        page.fill("#option-languages", "any, de")
        page.set_input_files("#files", [str(path) for path in files])
        page.wait_for_selector(".upload-group.failed >> text=any and auto")
        page.wait_for_selector("#option-languages[aria-invalid] + #option-error")
        page.fill("#option-languages", "")
        page.select_option("#option-language", "de")
        page.click(".upload-group > .upload-buttons >> text=Try again")
        page.wait_for_selector(".upload-group", state="detached")
        page.click("#collection-rows .row-name")
        page.wait_for_selector("#collection-name:visible")
        key = record(TENANT, page.url.rpartition("/")[2])
        found = Collection.model_validate_json(cluster.store.get(key))
        assert found.options["language"] == "de" and "languages" not in found.options
