"""Images that are very large, rotated, of other formats, broken, or too many."""

import base64
import os

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.api.pictures import circle_and_square, encoded
from tests.server.page.browsing import (
    SCENE,
    ask,
    build_file,
    parse_body,
    pick_files,
    read_answer,
    read_failure,
    wait_until_ready,
)

ORIENTATION = 0x0112
TURNED_LEFT = 6  # the stored image has to be rotated clockwise


def build_rotated_photo() -> bytes:
    """Build a JPEG of 24 megapixels that is stored rotated, as cameras do."""
    upright = circle_and_square(4000, 6000)
    exif = Image.Exif()
    exif[ORIENTATION] = TURNED_LEFT
    return encoded(upright.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif)


def test_a_large_photo_is_scaled_down_upright(page: Page) -> None:
    pick_files(page, build_file("photo.jpg", build_rotated_photo(), "image/jpeg"))
    expect(page.locator("#tray")).to_contain_text("Scaled down here from 4000x6000")
    expect(page.locator("#tray")).to_contain_text("to 2309x3464")
    size = "image => image.decode().then(() => [image.naturalWidth, image.naturalHeight])"
    assert page.locator("#tray img").evaluate(size) == [2309, 3464]
    turn = ask(page, "Where is the blue square?")
    assert read_answer(turn) == "bottom right"
    expect(turn).to_contain_text("Scaled down here")


def test_a_small_picture_is_sent_as_it_is(page: Page) -> None:
    pick_files(page, SCENE)
    with page.expect_request("**/v1/chat/completions") as request:
        ask(page, "Describe the image.")
    url = parse_body(request.value)["messages"][0]["content"][0]["image_url"]["url"]
    header, _, payload = url.partition(",")
    assert header == "data:image/png;base64"
    assert base64.b64decode(payload) == SCENE["buffer"]


@pytest.mark.parametrize("image_format", ["TIFF", "JPEG2000", "PPM"])
def test_what_only_the_server_reads_is_sent_without_a_preview(
    page: Page, image_format: str
) -> None:
    picture = encoded(circle_and_square(), image_format)
    pick_files(page, build_file("scan", picture))
    expect(page.locator("#tray")).to_contain_text("This browser cannot show it")
    assert read_answer(ask(page, "What color is the circle?")) == "red"


def test_what_is_no_picture_is_refused_at_once(page: Page) -> None:
    wait_until_ready(page)
    files = [
        build_file("notes.txt", b"text"),
        build_file("empty.png", b""),
    ]
    page.set_input_files("#files", files)
    problems = page.locator("#problems .problem")
    expect(problems).to_have_count(2)
    expect(problems.nth(0)).to_contain_text("“notes.txt” is no picture")
    expect(problems.nth(1)).to_contain_text("“empty.png” is no picture")
    expect(page.locator("#tray li")).to_have_count(0)
    expect(page.get_by_role("button", name="Send")).to_be_disabled()


def test_a_broken_picture_gets_the_servers_own_message(page: Page) -> None:
    pick_files(page, build_file("broken.png", SCENE["buffer"][:900], "image/png"))
    turn = ask(page, "What is this?")
    said = read_failure(turn)
    assert "The image is damaged or cut short." in said
    assert "status 400" in said
    assert "type invalid_request_error" in said
    assert "code image_corrupt" in said
    assert "param messages[0].content[0].image_url.url" in said
    pick_files(page, SCENE)
    assert read_answer(ask(page, "What color is the star?")) == "blue"
    expect(turn).to_contain_text("Later questions are sent without this turn.")


def test_too_much_for_the_server_is_said(page: Page) -> None:
    pick_files(page, *(build_file(f"{n}.png", SCENE["buffer"]) for n in range(5)))
    expect(ask(page, "What is this?")).to_contain_text("too_many_images")
    page.get_by_role("button", name="New chat").click()
    noise = [Image.frombytes("RGB", (700, 700), os.urandom(700 * 700 * 3)) for _ in range(3)]
    pick_files(page, *(build_file(f"{n}.png", encoded(image)) for n, image in enumerate(noise)))
    said = read_failure(ask(page, "What is this?"))
    assert "exceeds the limit of 4194304 bytes" in said
    assert "status 413" in said
