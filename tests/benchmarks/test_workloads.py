"""Workloads: their names, and the requests of small ones."""

from pathlib import Path

import pytest

from benchmarks.requests import RequestOptions, UniqueNumbers
from benchmarks.workloads import ALL_WORKLOADS, find_workload
from server.protocol.chat.request import parse_chat_request


def test_names_and_titles_are_unique() -> None:
    assert len({each.name for each in ALL_WORKLOADS}) == len(ALL_WORKLOADS)
    assert len({each.title for each in ALL_WORKLOADS}) == len(ALL_WORKLOADS)


def test_each_is_found_by_its_name() -> None:
    assert [find_workload(each.name) for each in ALL_WORKLOADS] == list(ALL_WORKLOADS)
    assert find_workload("W8 mixed").title.startswith("text stream beside")


@pytest.mark.parametrize("name", ["W0", "w1", "", "W8"])
def test_other_names_are_unknown(name: str) -> None:
    with pytest.raises(KeyError):
        find_workload(name)


def test_each_lasts_and_has_clients_that_ask_for_tokens() -> None:
    for work in ALL_WORKLOADS:
        assert work.length > 0
        assert work.groups
        assert len({group.name for group in work.groups}) == len(work.groups)
        assert all(group.clients > 0 and group.max_tokens > 0 for group in work.groups)


def test_titles_tell_the_number_of_clients_and_whether_they_stream() -> None:
    for work in ALL_WORKLOADS:
        first = work.groups[0]
        if "clients" in work.title and len(work.groups) == 1:
            assert f"{first.clients} clients" in work.title
            assert first.stream == ("streamed" in work.title)


@pytest.mark.parametrize(
    ("name", "images"), [("W1", 0), ("W2", 0), ("W3", 1), ("W9 small", 1), ("S3", 1)]
)
def test_small_ones_ask_what_the_server_understands(name: str, images: int, tmp_path: Path) -> None:
    group = find_workload(name).groups[0]
    options = RequestOptions("llava-tiny", group.max_tokens, group.stream)
    conversation = group.conversation(options, UniqueNumbers(0), tmp_path)
    request = parse_chat_request(conversation.build_next_body())
    assert len(request.images) == images
    assert (request.token_limit, request.stream) == (group.max_tokens, group.stream)
