"""A request with the affinity header goes to the replica that has its image."""

import httpx
import pytest

from server.api.affinity import AFFINITY_HEADER
from tests.api.pictures import body, green_triangle, image_part, text_part, user
from tests.api.running import metric
from tests.scale.replicas import Replicas

# Replicas start, and come back, on cores that all share.
pytestmark = pytest.mark.timeout(600)

IMAGES = 8
ROUNDS = 4
HITS = "llava:image_cache_hits_total"


def test_images_are_encoded_once(replicas: Replicas) -> None:
    hits = replicas.sum(HITS)
    with httpx.Client(base_url=replicas.url, timeout=60) as http:
        for _ in range(ROUNDS):
            for number in range(IMAGES):
                message = user(image_part(green_triangle(200 + number)), text_part("What is it?"))
                http.post(
                    "/v1/chat/completions",
                    json=body(message, max_tokens=1),
                    headers={AFFINITY_HEADER: f"conversation-{number}"},
                ).raise_for_status()
    assert replicas.sum(HITS) - hits >= IMAGES * (ROUNDS - 1)


def test_the_answer_leads_back_to_its_replica(replicas: Replicas) -> None:
    hits = replicas.sum(HITS)
    with httpx.Client(base_url=replicas.url, timeout=60) as http:
        for number in range(IMAGES):
            headers: dict[str, str] = {}
            message = user(image_part(green_triangle(230 + number)), text_part("What is it?"))
            for _ in range(ROUNDS):
                answer = http.post(
                    "/v1/chat/completions", json=body(message, max_tokens=1), headers=headers
                ).raise_for_status()
                headers = {AFFINITY_HEADER: answer.headers[AFFINITY_HEADER]}
    assert replicas.sum(HITS) - hits >= IMAGES * (ROUNDS - 1)


def test_both_replicas_get_requests_without_it(replicas: Replicas) -> None:
    sample = "llava:prompt_tokens_total"
    before = {each.name: metric(each.url, sample) for each in replicas.wait()}
    for _ in range(24):  # each goes to either, by chance
        request = body(user("Hello"), max_tokens=1)
        httpx.post(f"{replicas.url}/v1/chat/completions", json=request).raise_for_status()
    assert all(metric(each.url, sample) > before[each.name] for each in replicas.wait())
