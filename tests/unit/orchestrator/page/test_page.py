"""The page's files: how they are served, and what must hold in all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from orchestrator.api.routes import page

DIRECTORY = Path(page.__file__).parents[2] / "page"
SOURCES = sorted(path for path in DIRECTORY.rglob("*") if path.suffix in page.MEDIA_TYPES)
LONGEST_FILE = 250  # lines
READABLE, VISIBLE = 4.5, 3.0  # contrasts of text and of a control's edge, by WCAG 2.2 AA
# What is written in each colour of text, on which grounds.
GROUNDS = {
    **dict.fromkeys(("ink", "muted", "accent", "bad", "warn", "good"), ("paper", "sheet", "wash")),
    **dict.fromkeys((f"voice-{number}" for number in range(8)), ("paper", "sheet")),
    "on-accent": ("accent",),
    "on-found-now": ("found-now",),
}


@pytest.fixture
def client() -> Iterator[TestClient]:
    application = FastAPI()
    application.include_router(page.router)
    with TestClient(application, raise_server_exceptions=True) as opened:
        yield opened


def test_the_page_comes_with_a_policy_that_runs_nothing_but_its_own_files(
    client: TestClient,
) -> None:
    reply = client.get("/")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["referrer-policy"] == "no-referrer"


def test_whatever_the_page_asks_for_is_there(client: TestClient) -> None:
    named: set[str] = set()
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        named.update(re.findall(r'/page/([\w./]+)"', text))
        for module in re.findall(r'from "(\.[\w./]+)"', text):
            named.add((path.parent / module).resolve().relative_to(DIRECTORY).as_posix())
    assert named | {"index.html"} == {path.relative_to(DIRECTORY).as_posix() for path in SOURCES}
    for name in named:
        reply = client.get(f"/page/{name}")
        assert reply.status_code == 200
        assert reply.headers["content-type"] == page.MEDIA_TYPES[Path(name).suffix]
        assert client.head(f"/page/{name}").content == b""


def test_what_a_browser_has_already_is_not_sent_again(client: TestClient) -> None:
    etag = client.get("/page/page.js").headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}'):
        reply = client.get("/page/page.js", headers={"If-None-Match": known})
        assert (reply.status_code, reply.content) == (304, b"")
        assert reply.headers["etag"] == etag
    assert client.get("/page/page.js", headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "__init__.py",
        "..%2Fapi%2Fpage.py",
        "..%2f__init__.py",
        "%2e%2e/page.py",
        "no.js",
        "job.js",
        "job",
        "",
        "%00",
    ],
)
def test_nothing_but_the_pages_files_is_served(client: TestClient, name: str) -> None:
    assert client.get(f"/page/{name}").status_code == 404


def test_only_files_of_a_page_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("a {}")
    (tmp_path / "notes.txt").write_text("not for the page")
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "a.js").write_text("")
    assert list(page.read_page(tmp_path)) == ["a.css", "job/a.js"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_a_file_has_a_readable_size_and_no_way_from_data_to_markup(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_FILE
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text)
    assert not re.search(r"\sstyle=|\son[a-z]+=\"|<script>|javascript:", text)
    assert not re.search(r"(src|href)=\"(https?:)?//|url\(|@import", text)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_colour_can_be_read_on_its_ground(scheme: int) -> None:
    colours = {name: shades[scheme] for name, shades in declared_colours().items()}
    for name, grounds in GROUNDS.items():
        for ground in grounds:
            found = contrast(colours[name], colours[ground])
            assert found >= READABLE, f"{name} on {ground}: {found:.2f}"
    for ground in ("found", "now", "wash", "doubt", "doubt-word"):
        assert contrast(colours["ink"], colours[ground]) >= READABLE, ground
    for ground in ("paper", "sheet"):
        assert contrast(colours["edge"], colours[ground]) >= VISIBLE, ground


def declared_colours() -> dict[str, tuple[str, str]]:
    """Name to light and dark; the voices by their class."""
    text = (DIRECTORY / "styles" / "colours.css").read_text(encoding="utf-8")
    text = re.sub(r"\.(voice-\d) \{ --voice:", r"--\1:", text)
    found = {}
    for name, value in re.findall(r"--([\w-]+): (.+?);", text):
        shades = re.findall(r"#[0-9a-f]{6}", value)
        if shades:
            found[name] = (shades[0], shades[-1])
    return found


def contrast(one: str, other: str) -> float:
    """WCAG's ratio of two colours."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    """WCAG's relative luminance of #rrggbb."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
