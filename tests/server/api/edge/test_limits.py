"""Counts of connections."""

import pytest

from server.api.edge.limits import ConnectionLimits, ConnectionTable, build_address_key

ADDRESS = "192.0.2.1"


def test_admission_and_release() -> None:
    table = ConnectionTable(ConnectionLimits(max_connections=3, max_connections_per_address=2))
    assert table.admit(ADDRESS) is None
    assert table.admit(ADDRESS) is None
    assert table.admit(ADDRESS) == "connections_per_address"
    assert table.admit(None) is None
    assert table.admit("192.0.2.2") == "connections"
    assert (table.open_connections, table.count_connections(ADDRESS)) == (3, 2)
    table.release(ADDRESS)
    assert table.admit("192.0.2.2") is None
    for address in (ADDRESS, "192.0.2.2", None):
        table.release(address)
    assert table.open_connections == table.count_connections(ADDRESS) == 0


def test_lingering() -> None:
    table = ConnectionTable(ConnectionLimits(max_lingering=1))
    assert table.start_linger()
    assert not table.start_linger()
    table.end_linger()
    assert table.start_linger()


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (ADDRESS, "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("::ffff:192.0.2.1", ADDRESS, True),
        ("fe80::1%eth0", "fe80::1", True),
    ],
)
def test_what_counts_as_one_address(one: str, other: str, is_same: bool) -> None:
    assert (build_address_key(one) == build_address_key(other)) is is_same
