"""Names, and what a scraper reads."""

from typing import get_args

import pytest
from prometheus_client.parser import text_string_to_metric_families

from server.telemetry.metrics import Metrics
from server.telemetry.stages import Stage
from tests.server.samples import sample, stage_count


def families(metrics: Metrics) -> dict[str, str]:
    """Return the type of every metric that a scraper reads."""
    text = metrics.exposition().decode()
    return {family.name: family.type for family in text_string_to_metric_families(text)}


def test_everything_is_there_from_the_start(metrics: Metrics) -> None:
    ours = {name: kind for name, kind in families(metrics).items() if name.startswith("llava:")}
    assert {name for name, kind in ours.items() if kind == "counter"} == {
        "llava:requests",
        "llava:connections_refused",
        "llava:prompt_tokens",
        "llava:image_tokens",
        "llava:video_tokens",
        "llava:generation_tokens",
        "llava:image_cache_queries",
        "llava:image_cache_hits",
        "llava:image_cache_misses",
        "llava:image_cache_evictions",
        "llava:images_decoded",
        "llava:image_refusals",
        "llava:videos_decoded",
        "llava:video_refusals",
        "llava:decode_workers_replaced",
        "llava:key_requests",
        "llava:key_refusals",
        "llava:key_overload_refusals",
        "llava:key_prompt_tokens",
        "llava:key_image_tokens",
        "llava:key_generation_tokens",
        "llava:usage_lines_dropped",
    }
    assert {name for name, kind in ours.items() if kind == "histogram"} == {
        "llava:time_to_first_token_seconds",
        "llava:inter_token_latency_seconds",
        "llava:e2e_request_latency_seconds",
        "llava:stage_seconds",
        "llava:vision_batch_size",
        "llava:image_bytes",
        "llava:image_pixels",
        "llava:video_bytes",
        "llava:video_frames_used",
        "llava:video_decode_seconds",
    }
    assert {name for name, kind in ours.items() if kind == "gauge"} >= {
        "llava:num_requests_running",
        "llava:num_requests_waiting",
        "llava:num_requests_queued",
        "llava:num_decodes_waiting",
        "llava:num_decodes_running",
        "llava:num_views_waiting",
        "llava:ready",
        "llava:draining",
        "llava:build_info",
        "llava:gpu_memory_used_bytes",
        "llava:gpu_memory_total_bytes",
        "llava:connections",
        "llava:buffered_body_bytes",
        "llava:image_cache_bytes",
        "llava:decode_workers",
        "llava:keys_file_ok",
    }


@pytest.mark.parametrize("stage", get_args(Stage))
def test_every_stage_shows_before_its_first_time(stage: Stage, metrics: Metrics) -> None:
    assert f'llava:stage_seconds_count{{stage="{stage}"}} 0.0' in metrics.exposition().decode()


def test_the_default_registry_where_the_engines_live_is_exported_too(metrics: Metrics) -> None:
    assert "python_info" in families(metrics)


def test_two_servers_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.image_cache_hits.inc(5)
    assert b"llava:image_cache_hits_total 5.0" in one.exposition()
    assert b"llava:image_cache_hits_total 0.0" in other.exposition()


def test_labels_are_known_paths_and_names_or_other() -> None:
    metrics = Metrics(["/v1/chat/completions"], ["llava-tiny"])
    known = metrics.of_request("/v1/chat/completions", "llava-tiny")
    assert (known.endpoint, known.model) == ("/v1/chat/completions", "llava-tiny")
    assert metrics.of_request("/v1/chat/completions", "llava-tiny") is known
    for number in range(100):
        unknown = metrics.of_request(f"/{number}", f"model-{number}")
        unknown.count("not_found")
        assert (unknown.endpoint, unknown.model) == ("other", "other")
    assert metrics.of_request(None, None).model == "other"
    assert sample(metrics, "requests_total", endpoint="other", model="other") == 100


def test_only_a_stage_that_succeeds_is_timed(metrics: Metrics) -> None:
    with metrics.stage("load"):
        pass
    with pytest.raises(LookupError), metrics.stage("load"):
        raise LookupError
    assert stage_count(metrics, "load") == 1
