"""What the gate hands to the routes behind it."""

from dataclasses import dataclass

from fastapi import Request

from server.api.admission.arrivals import Arrival
from server.telemetry.token_meter import TokenMeter


@dataclass(frozen=True, slots=True)
class GateState:
    """The place of a request's body, where one is kept, and what counts the request's tokens."""

    arrival: Arrival | None
    meter: TokenMeter

    def end_arrival(self) -> None:
        """Give back the place that was kept for the body, now that it is there."""
        if self.arrival is not None:
            self.arrival.release()


def get_gate_state(request: Request) -> GateState:
    """Return the state of a request that has passed the gate."""
    state: GateState = request.state.gate
    return state
