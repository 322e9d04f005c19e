"""`file:` URLs, only within named folders, whatever the path."""

import os
from pathlib import Path

import pytest

from server.images.fetch.errors import DataTooLarge, FetchError, FetchFailed, UrlForbidden
from server.images.fetch.errors import UrlInvalid as Invalid
from server.images.fetch.local_file import LocalFileReader

BODY = b"an image"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of images next to a secret file."""
    folder = tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    (folder / "a b.png").write_bytes(BODY)
    (folder / "large.png").write_bytes(bytes(1001))
    (folder / "out.png").symlink_to(tmp_path / "secret")
    (folder / "in.png").symlink_to(folder / "a b.png")
    (folder / "up").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "images2").mkdir()
    (tmp_path / "images2" / "x").write_bytes(b"secret")
    return folder


async def read(folder: Path, url: str) -> bytes:
    return await LocalFileReader([folder], 1000).read(url.replace("DIR", str(folder)))


@pytest.mark.parametrize(
    "url",
    [
        *["file://DIR/a%20b.png", "FILE://localhostDIR/a%20b.png", "file://DIR/in.png"],
        *["file://DIR/sub/../a%20b.png", "file://DIR/%61%20b.png", "file://DIR/up/images/in.png"],
    ],
)
async def test_inside(url: str, folder: Path) -> None:
    assert await read(folder, url) == BODY


@pytest.mark.parametrize(
    ("url", "error"),
    [
        *[("file:///etc/passwd", UrlForbidden), ("file:///no/such", UrlForbidden)],
        *[("file://DIR/../secret", UrlForbidden), ("file://DIR/../none", UrlForbidden)],
        *[("file://DIR/%2e%2e/secret", UrlForbidden), ("file://DIR2/x", UrlForbidden)],
        *[("file://DIR/..%2Fsecret", UrlForbidden), ("file://DIR/up/x", UrlForbidden)],
        *[("file://DIR/out.png", UrlForbidden), ("file://hostDIR/in.png", UrlForbidden)],
        *[("file://DIR\\in.png", UrlForbidden), ("file://DIR/a b.png", UrlForbidden)],
        *[("file://DIR/none.png", FetchFailed), ("file://DIR/sub", FetchFailed)],
        *[("file://DIR/pipe", FetchFailed), ("file://DIR", FetchFailed)],
        ("file://DIR/large.png", DataTooLarge),
        *[("file:DIR/in.png", Invalid), ("file://", Invalid), ("file://DIR/in.png?x", Invalid)],
        *[("file://DIR/in%00.png", Invalid), ("file://DIR/%zz", Invalid), ("file:", Invalid)],
    ],
)
async def test_refused(url: str, error: type[FetchError], folder: Path) -> None:
    with pytest.raises(FetchError) as caught:
        await read(folder, url)
    assert type(caught.value) is error
    assert str(folder.parent) not in caught.value.args[0]


async def test_no_file_is_allowed_by_default(folder: Path) -> None:
    for url in (f"file://{folder}/in.png", "file:///no/such", "file:"):
        with pytest.raises(UrlForbidden):
            await LocalFileReader([], 1000).read(url)


async def test_a_folder_that_is_replaced_by_a_link_during_the_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = f"{folder}/up/secret"
    files = LocalFileReader([folder], 1000)
    monkeypatch.setattr("server.images.fetch.local_file.os.path.realpath", lambda _: there)
    with pytest.raises(UrlForbidden):
        await files.read(f"file://{there}")
