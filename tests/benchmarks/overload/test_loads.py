"""The loads: groups of clients, and their JSON."""

import json
from pathlib import Path

from benchmarks.overload.loads import (
    FLOOD_CLIENTS,
    LOADS,
    POLITE_CLIENTS,
    Kind,
    Patience,
    build_fairness_groups,
    build_overload_groups,
    build_questions,
    build_saturating_groups,
    dump_groups,
    load_groups,
)
from benchmarks.requests import UniqueNumbers


def test_overload_has_ten_times_the_clients_half_of_them_hasty() -> None:
    [text, *_] = LOADS
    assert [each.clients for each in build_saturating_groups(text, 16)] == [16]
    groups = build_overload_groups(text, 16)
    assert [(each.clients, each.patience) for each in groups] == [
        (80, Patience.POLITE),
        (80, Patience.HASTY),
    ]


def test_a_flood_has_its_own_key() -> None:
    [alone] = build_fairness_groups(("a", "b"), with_flood=False)
    polite, flood = build_fairness_groups(("a", "b"), with_flood=True)
    assert alone == polite
    assert (polite.api_key, polite.clients) == ("a", POLITE_CLIENTS)
    assert (flood.api_key, flood.clients) == ("b", FLOOD_CLIENTS)


def test_groups_survive_json() -> None:
    groups = [*build_fairness_groups(("a", "b"), with_flood=True)]
    groups += build_overload_groups(LOADS[-1], 8)
    assert load_groups(dump_groups(groups)) == groups


def test_text_has_no_image(tmp_path: Path) -> None:
    build = build_questions(Kind.TEXT, "m", UniqueNumbers(1), tmp_path)
    first, second = json.loads(build()), json.loads(build())
    assert first != second
    assert first["max_tokens"] == first["min_tokens"] == 32
    assert [part["type"] for part in first["messages"][0]["content"]] == ["text"]


def test_an_image_is_new_in_each_request(tmp_path: Path) -> None:
    build = build_questions(Kind.WEB, "m", UniqueNumbers(1), tmp_path)
    urls = {json.loads(build())["messages"][0]["content"][0]["image_url"]["url"] for _ in range(3)}
    assert len(urls) == 3
