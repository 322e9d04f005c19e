"""The record of a request that has passed the gate."""

from fastapi import Request

from server.api.auth import Tenant
from server.api.gate_state import get_gate_state
from server.api.runtime import Runtime
from server.api.scope import route_path
from server.telemetry.caller import Caller
from server.telemetry.request_record import RequestRecord
from server.telemetry.traceparent import read_trace_id


def build_record(request: Request, tenant: Tenant, id_: str) -> RequestRecord:
    """Return the record of a request; `id_` is the response's id."""
    runtime: Runtime = request.app.state.runtime
    meter = get_gate_state(request).meter
    return RequestRecord(
        id_,
        runtime.metrics,
        Caller(tenant.address, tenant.label, tenant.key_name, tenant.cache_partition, meter),
        http_request_id=request.state.request_id,
        endpoint=route_path(request.scope),
        trace_id=read_trace_id(request.scope["headers"]),
        refusals=runtime.refusal_log,
        on_end=runtime.report_usage,
    )
