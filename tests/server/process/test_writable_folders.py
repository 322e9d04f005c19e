"""Processes without a folder to write in, or without a home."""

import os
import tempfile
from pathlib import Path

import pytest

from server.process.writable_folders import check_temporary_folder, provide_home


def test_without_a_temporary_folder_there_is_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    check_temporary_folder()
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/proc/nowhere"])
    with pytest.raises(OSError, match="TMPDIR"):
        check_temporary_folder()


def test_a_home_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with provide_home():
        assert os.environ["HOME"] == str(tmp_path)


def test_without_a_home_there_is_a_private_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: 3_999_999_999)  # has no name
    with provide_home():
        home = Path.home()
        assert home.stat().st_mode & 0o777 == 0o700
    assert not home.exists()
