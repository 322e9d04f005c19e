"""vLLM's own span of each request, in the request's trace."""

from typing import Final

from vllm.v1.engine.async_llm import AsyncLLM

# vLLM only looks whether there is an endpoint.
PLACEHOLDER_ENDPOINT: Final = "that of this process's tracer provider"


def enable_tracing(llm: AsyncLLM) -> None:
    """Have vLLM record a span for each request, by the tracer provider of this process.

    vLLM's option `otlp_traces_endpoint` does the same, but builds a second provider and exporter
    here, and one in the engine's process, which a collector that is down keeps from ending.
    """
    llm.observability_config.otlp_traces_endpoint = PLACEHOLDER_ENDPOINT
    llm.output_processor.tracing_enabled = True
