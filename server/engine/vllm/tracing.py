"""vLLM's own span of each request, in the request's trace."""

from typing import Final

from vllm.v1.engine.async_llm import AsyncLLM

# vLLM only checks whether an endpoint is set.
PLACEHOLDER_ENDPOINT: Final = "that of this process's tracer provider"


def enable_tracing(llm: AsyncLLM) -> None:
    """Have vLLM record a span for each request with this process's tracer provider.

    vLLM's option `otlp_traces_endpoint` does the same, but builds a second provider and exporter
    here, and one in the engine's process, which then cannot end while the collector is down.
    """
    llm.observability_config.otlp_traces_endpoint = PLACEHOLDER_ENDPOINT
    llm.output_processor.tracing_enabled = True
