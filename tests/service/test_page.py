"""The page in Chromium, with drawn people and a camera that shows one of them."""

from __future__ import annotations

import io
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from PIL import Image

from mfr.service.app import create_app
from mfr.service.demo import make_demo
from mfr.service.service import Service
from mfr.service.settings import Settings
from tests.service.toy_service import wait_until

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]
PAGES = [
    *("people", "people/1", "enrol", "verify", "identify", "watch", "operating-point", "audit"),
    "keys",
]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("demo")
    place, photos = make_demo(folder)
    service = Service(Settings(collections={"demo": str(place)}, state=folder / "state"))
    service.open_all()
    server = uvicorn.Server(uvicorn.Config(create_app(service), port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}", photos
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def browser(demo: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Its camera shows Ada."""
    frame = Image.new("RGB", (640, 480), (90, 90, 90))
    frame.paste(Image.open(demo[1] / "Ada.png").resize((440, 440)), (100, 20))
    data = io.BytesIO()
    frame.save(data, "JPEG", quality=95)
    camera = tmp_path_factory.mktemp("camera") / "ada.mjpeg"
    camera.write_bytes(data.getvalue() * 30)
    arguments = [
        *("--no-sandbox", "--disable-gpu", "--use-fake-ui-for-media-stream"),
        *("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={camera}"),
    ]
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """Fails a test whose page logs an error or asks another host."""
    context = browser.new_context(permissions=["camera"])
    one = context.new_page()
    wrong: list[str] = []
    one.on("pageerror", lambda error: wrong.append(str(error)))
    one.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    asked: list[str] = []
    one.on("request", lambda request: asked.append(request.url))
    one.set_default_timeout(20_000)
    yield one
    context.close()
    assert wrong == []
    assert {url.split("/")[2].split(":")[0] for url in asked if url.startswith("http")} == {
        "127.0.0.1"
    }


def test_everything_can_be_done_by_mouse_and_keyboard(page: Any, demo: tuple[str, Path]) -> None:
    address, photos = demo
    page.goto(f"{address}/#identify")
    page.set_input_files("input[type=file]", photos / "Cleo.png")
    page.get_by_text("Cleo", exact=True).first.wait_for()
    assert "match" not in page.locator("[role=alert]").all_inner_texts()

    page.goto(f"{address}/#enrol")
    page.get_by_label("Enrol as").fill("new <b>person</b>")
    page.get_by_label("in spite of doubts").check()
    page.locator("input[type=file]").first.set_input_files([photos / "Ben.png", photos / "Ada.png"])
    page.get_by_role("button", name="Enrol", exact=True).click()
    page.get_by_text("new <b>person</b> is enrolled").wait_for()
    page.get_by_text("Look at what is kept").click()
    page.get_by_label("Consent").fill("said yes")
    page.get_by_label("Groups, with commas between").fill("guests, day")
    page.get_by_role("button", name="Save").press("Enter")
    page.get_by_text("Saved.").wait_for()
    page.reload()
    assert page.get_by_label("Groups, with commas between").input_value() == "day, guests"

    page.get_by_role("button", name="Erase this person").click()
    page.get_by_role("dialog").get_by_role("button", name="Erase").click()
    page.get_by_role("heading", name="The person is erased").wait_for()
    link = page.locator("pre").inner_text()
    page.goto(f"{address}/#audit")
    page.get_by_role("button", name="Check the log").click()
    page.get_by_text("Each entry follows").wait_for()
    assert page.locator("pre").inner_text() == link and re.fullmatch("[0-9a-f]{64}", link)
    page.goto(f"{address}/#people")
    page.get_by_label("Search").fill("person")
    page.get_by_text("Nobody fits.").wait_for()


def test_two_photos_and_a_claim_are_verified(page: Any, demo: tuple[str, Path]) -> None:
    address, photos = demo
    page.goto(f"{address}/#verify")
    inputs = page.locator("input[type=file]")
    inputs.nth(0).set_input_files(photos / "Greta.png")
    inputs.nth(1).set_input_files(photos / "Farid.png")
    page.get_by_text("Not the same person").wait_for()
    claim = page.get_by_label("Somebody who is enrolled")
    claim.fill("Greta")
    claim.press("Tab")
    page.get_by_text("The same person", exact=True).wait_for()


def test_the_camera_hints_and_its_photo_is_enrolled(page: Any, demo: tuple[str, Path]) -> None:
    page.goto(f"{demo[0]}/#enrol")
    page.get_by_text("Use the camera").first.click()
    page.get_by_role("button", name="Use the camera").click()
    page.get_by_text(re.compile("This is good|Not good enough yet")).wait_for()
    page.get_by_role("button", name="Take a photo").click()
    page.locator(".thumbs img").wait_for()
    page.get_by_label("Enrol as").fill("Ada")
    page.get_by_label("in spite of doubts").check()
    page.get_by_role("button", name="Enrol", exact=True).click()
    page.get_by_text("1 added").wait_for()


def test_the_rates_move_with_the_threshold(page: Any, demo: tuple[str, Path]) -> None:
    page.goto(f"{demo[0]}/#operating-point")
    told = page.locator("main [role=status]")
    told.get_by_text("(FMR)").wait_for()
    before = told.inner_text()
    page.get_by_label("Threshold").press("ArrowRight")
    assert told.inner_text() != before
    assert page.locator("svg.chart rect.mated").count() > 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_axe_finds_nothing_serious_and_nothing_is_wider_than_the_screen(
    browser: Any, demo: tuple[str, Path], scheme: str, width: int
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True
    )
    page = context.new_page()
    for name in [*PAGES, "docs"]:
        page.goto(f"{demo[0]}/docs" if name == "docs" else f"{demo[0]}/#{name}")
        page.wait_for_function("document.querySelectorAll('main h1, main h1 ~ *').length > 1")
        page.wait_for_load_state("networkidle")
        found = axe.Axe().run(page).response["violations"]
        bad = [each["id"] for each in found if each["impact"] in ("serious", "critical")]
        told = [(each["id"], each["nodes"][0]["html"]) for each in found if each["id"] in bad]
        assert told == [], name
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    context.close()


def test_keys_are_made_asked_for_and_revoked(browser: Any, demo: tuple[str, Path]) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.goto(f"{demo[0]}/#keys")
    page.get_by_label("For whom").fill("the page")
    page.get_by_label("admin: all of it").check()
    page.get_by_role("button", name="Make the key").click()
    key = page.locator("pre").inner_text()
    assert re.fullmatch(r"mfr_[0-9a-f]{12}_[\w-]{43}", key)
    page.goto(f"{demo[0]}/#people")
    page.reload()
    page.get_by_label("Key", exact=True).fill(key)
    page.get_by_role("button", name="Use it").click()
    page.get_by_text("Cleo").first.wait_for()
    page.goto(f"{demo[0]}/#keys")
    page.get_by_role("button", name="Revoke the page").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    # From now on nobody is let in without a key, so this stands last.
    page.get_by_text("This service asks for a key").wait_for()
    context.close()
