"""How many requests the server works on at once, from the settings and the machine."""

from typing import Final

from server.api.admission.admission import Admission
from server.api.admission.cost import Cost
from server.api.admission.fair_queue import EQUAL, Standing
from server.devices import choose_accelerator
from server.keys.key_ring import KeyRing
from server.lifecycle import Lifecycle
from server.process.defaults import default_concurrent_requests, default_pending_image_mib
from server.settings import Settings
from server.telemetry.metrics import Metrics

KIB: Final = 1024
MIB: Final = 1024 * KIB


def build_admission(
    settings: Settings, lifecycle: Lifecycle, metrics: Metrics, keys: KeyRing
) -> Admission:
    """Return the admission, with as many permits as the settings and the machine allow."""
    on_cpu = choose_accelerator(settings) == "cpu"
    sequences = settings.max_concurrent_requests or default_concurrent_requests(on_cpu=on_cpu)
    image_mib = settings.max_pending_image_mib or default_pending_image_mib(settings)
    return Admission(
        lifecycle,
        capacity=Cost(sequences, int(image_mib * MIB)),
        max_queue_s=settings.max_queue_s,
        metrics=metrics,
        get_standing=lambda tenant: _find_standing(keys, tenant),
    )


def _find_standing(keys: KeyRing, tenant: str) -> Standing:
    """Return the priority and weight of a tenant's API key, equal for tenants without a key."""
    key = keys.keys.get(tenant)
    return EQUAL if key is None else Standing(key.priority, key.weight)
