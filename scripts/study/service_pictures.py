"""The pictures of the tutorial about the service: its page with drawn people, in Chromium.

python -m scripts.study.service_pictures --out docs/tutorials/service
"""

from __future__ import annotations

import argparse
import io
import random
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from mfr.images import read_image
from scripts.lib.served_demo import served_demo


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as name,
        served_demo(Path(name)) as (address, key, photos),
        sync_playwright() as started,
    ):
        folder = Path(name) / "given"
        folder.mkdir()
        (folder / "group.png").write_bytes(_group(photos))
        for number, photo in enumerate(photos):
            (folder / f"{number}.png").write_bytes(photo)
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for scheme, width in (("light", 1100), ("dark", 390)):
            context = browser.new_context(
                viewport={"width": width, "height": 760},
                color_scheme="light" if scheme == "light" else "dark",
            )
            page = context.new_page()
            page.goto(address)
            page.evaluate("key => sessionStorage.setItem('mfr-key', key)", key)
            _tour(page, address, folder, options.out, f"{scheme}-{width}")
            context.close()
        browser.close()


def _tour(page: Any, address: str, given: Path, out: Path, name: str) -> None:
    def shot(what: str) -> None:
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(300)
        data = page.screenshot()
        picture = Image.open(io.BytesIO(data)).convert("P", palette=Image.Palette.ADAPTIVE)
        picture.save(out / f"{what}-{name}.png", optimize=True)

    page.goto(f"{address}/#people")
    page.reload()
    page.get_by_text("Cleo").first.wait_for()
    shot("people")
    page.goto(f"{address}/#identify")
    page.set_input_files("input[type=file]", given / "group.png")
    page.get_by_role("region", name="Faces from left to right").wait_for()
    page.evaluate("document.querySelector('.drop').scrollIntoView()")
    shot("identify")
    page.goto(f"{address}/#operating-point")
    page.locator("svg.chart").wait_for()
    shot("operating-point")
    page.goto(f"{address}/#enrol")
    page.get_by_label("Enrol as").fill(f"guest {name}")
    page.get_by_label("in spite of doubts").check()
    page.locator("input[type=file]").first.set_input_files([given / "0.png", given / "1.png"])
    page.get_by_role("button", name="Enrol", exact=True).click()
    page.get_by_text("is enrolled").wait_for()
    shot("enrol")
    page.get_by_text("Look at what is kept").click()
    page.get_by_role("button", name="Erase this person").click()
    page.get_by_role("dialog").get_by_role("button", name="Erase").click()
    page.get_by_role("heading", name="The person is erased").wait_for()
    shot("erased")


def _group(photos: Sequence[bytes]) -> bytes:
    """Four drawn people in one picture."""
    rng = random.Random(1)
    group = np.full((480, 960, 3), 120, np.uint8)
    for number, data in enumerate(rng.sample(list(photos), 4)):
        one = read_image(data)[..., ::-1]
        side = 220
        group[110 : 110 + side, 15 + 238 * number : 15 + 238 * number + side] = cv2.resize(
            one, (side, side), interpolation=cv2.INTER_AREA
        )
    return bytes(cv2.imencode(".png", group)[1])


if __name__ == "__main__":
    main()
