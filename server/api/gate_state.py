"""The state that the gate passes on to the routes."""

from dataclasses import dataclass

from fastapi import Request

from server.api.admission.arrivals import Arrival
from server.telemetry.token_meter import TokenMeter


@dataclass(frozen=True, slots=True)
class GateState:
    """The place reserved for a request's body, if any, and the request's token meter."""

    arrival: Arrival | None
    meter: TokenMeter

    def end_arrival(self) -> None:
        """Release the place reserved for the body, which has arrived."""
        if self.arrival is not None:
            self.arrival.release()


def get_gate_state(request: Request) -> GateState:
    """Return the state of a request that has passed the gate."""
    state: GateState = request.state.gate
    return state
