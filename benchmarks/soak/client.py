"""Sends the requests of a soak and judges each response."""

import asyncio
import time
from typing import Final

import httpx

from benchmarks.soak.requests import SoakRequest
from benchmarks.soak.timeline import ABORTED, OK, OUTAGE, OVERLOADED, REFUSED, Timeline

# A response that takes longer counts as a hang.
TIMEOUT_S: Final = 60.0
SLOW_PAUSE_S: Final = 0.05
ABORTED_EVENTS: Final = 3
# Seconds to pause if the server cannot be reached.
RECONNECT_S: Final = 0.2
# Most idle connections that a client keeps after a flood.
MAX_IDLE: Final = 10
STREAM_ENDS: Final = ("data: [DONE]",)


class SoakClient:
    """One API key's connections."""

    def __init__(self, url: str, api_key: str, timeline: Timeline) -> None:
        self._timeline = timeline
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={"authorization": f"Bearer {api_key}"},
            timeout=TIMEOUT_S,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=MAX_IDLE),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def send(self, request: SoakRequest) -> str:
        """Send a request; record and return its outcome."""
        started, was_outage = time.monotonic(), self._timeline.is_outage
        try:
            async with asyncio.timeout(TIMEOUT_S):
                outcome = await self._judge(request)
        except (httpx.HTTPError, TimeoutError) as error:
            outcome = type(error).__name__
        if outcome not in (OK, ABORTED, REFUSED) and (was_outage or self._timeline.is_outage):
            outcome = OUTAGE
        self._timeline.record(request.kind, outcome, time.monotonic() - started)
        return outcome

    async def probe(self, request: SoakRequest) -> bool:
        """Send a request that is not recorded. Return whether it was answered."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._judge(request) == OK
        except (httpx.HTTPError, TimeoutError):
            return False

    async def read_metric(self, name: str) -> float:
        """Return the sum of a metric's samples."""
        text = (await self._http.get("/metrics")).raise_for_status().text
        lines = [line for line in text.splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    async def _judge(self, request: SoakRequest) -> str:
        async with self._http.stream("POST", request.path, json=request.body) as response:
            if response.status_code != 200:
                await response.aread()
                return _judge_refusal(request, response)
            if request.is_bad:
                return "200 for bad input"
            if request.streams:
                return await _read_stream(request, response)
            await response.aread()
            return OK


def _judge_refusal(request: SoakRequest, response: httpx.Response) -> str:
    status = response.status_code
    if status == 400 and (request.is_bad or _is_fetch_error(request, response)):
        return REFUSED
    if status in (429, 503) and "retry-after" in response.headers:
        return OVERLOADED
    return f"status {status}: {response.text[:200]}"


def _is_fetch_error(request: SoakRequest, response: httpx.Response) -> bool:
    return request.may_fail and '"image_fetch_failed"' in response.text


async def _read_stream(request: SoakRequest, response: httpx.Response) -> str:
    last = ""
    num_events = 0
    async for line in response.aiter_lines():
        if not line:
            continue
        last, num_events = line, num_events + 1
        if request.aborts and num_events >= ABORTED_EVENTS:
            return ABORTED  # leaving the response closes the connection
        if request.reads_slowly:
            await asyncio.sleep(SLOW_PAUSE_S)
    return OK if last in STREAM_ENDS else f"stream ended with {last[:200]}"
