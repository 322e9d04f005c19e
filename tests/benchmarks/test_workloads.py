"""Suites and their workloads: names, clients, and the requests of small ones."""

from pathlib import Path

import pytest

from benchmarks.requests import RequestOptions, UniqueNumbers
from benchmarks.suites import CPU, GPU, REHEARSAL, SUITES, TINY, Suite
from server.protocol.chat.request import parse_chat_request


@pytest.fixture(params=SUITES.values(), ids=list(SUITES))
def suite(request: pytest.FixtureRequest) -> Suite:
    """Return each suite."""
    found: Suite = request.param
    return found


def test_names_and_titles_are_unique(suite: Suite) -> None:
    assert len(set(suite.names)) == len(suite.workloads)
    assert len(set(suite.titles.values())) == len(suite.workloads)


def test_each_is_found_by_its_name(suite: Suite) -> None:
    assert [suite.find(each.name) for each in suite.workloads] == list(suite.workloads)
    assert set(suite.engine_workloads) <= set(suite.names)


@pytest.mark.parametrize("name", ["W0", "w1", "", "W8"])
def test_other_names_are_unknown(name: str) -> None:
    with pytest.raises(KeyError):
        TINY.find(name)


def test_each_lasts_and_has_clients_that_ask_for_tokens(suite: Suite) -> None:
    for work in suite.workloads:
        assert work.length > 0
        assert work.groups
        assert len({group.name for group in work.groups}) == len(work.groups)
        assert all(group.clients > 0 and group.max_tokens > 0 for group in work.groups)


def test_titles_tell_the_number_of_clients_and_whether_they_stream(suite: Suite) -> None:
    for work in suite.workloads:
        first = work.groups[0]
        if "clients" in work.title and len(work.groups) == 1:
            assert f"{first.clients} clients" in work.title
            assert first.stream == ("streamed" in work.title)


def test_the_workloads_of_a_gpu_are_those_of_the_embedded_model_with_more_clients() -> None:
    assert GPU.names == REHEARSAL.names == TINY.names
    text, beside = GPU.find("W1").groups[0], GPU.find("W8 mixed").groups[1]
    assert (text.clients, text.max_tokens, beside.clients) == (64, 64, 16)
    assert set(CPU.names).isdisjoint(GPU.names)


@pytest.mark.parametrize(
    ("suite", "name", "images"),
    [(TINY, "W1", 0), (TINY, "W2", 0), (GPU, "W3", 1), (GPU, "W9 small", 1), (CPU, "S3", 1)],
    ids=lambda value: value.name if isinstance(value, Suite) else None,
)
def test_small_ones_ask_what_the_server_understands(
    suite: Suite, name: str, images: int, tmp_path: Path
) -> None:
    group = suite.find(name).groups[0]
    options = RequestOptions("llava-tiny", group.max_tokens, group.stream)
    conversation = group.conversation(options, UniqueNumbers(0), tmp_path)
    request = parse_chat_request(conversation.build_next_body())
    assert len(request.images) == images
    assert (request.token_limit, request.stream) == (group.max_tokens, group.stream)
