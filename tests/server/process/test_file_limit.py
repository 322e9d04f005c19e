"""Connections within the limit of open files."""

import pytest

from server.process.file_limit import is_exhausted, limit_connections
from server.settings import Settings


@pytest.mark.parametrize(
    ("num_files", "connections"), [(1_048_576, 4096), (5376, 4096), (1024, 614), (200, 16)]
)
def test_connections_leave_files_for_the_rest(num_files: int, connections: int) -> None:
    assert limit_connections(Settings(), num_files).max_connections == connections


def test_files_are_to_be_had() -> None:
    assert not is_exhausted()
