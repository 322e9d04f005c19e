"""The environment variables that Ray Serve reads on import, in every process of a cluster.

`eval "$(python -m server.scale.ray_variables)"` sets them in a shell, before `ray start`.
"""

import os
import shlex
from pathlib import Path
from typing import Final

from server.api.affinity import AFFINITY_HEADER
from server.scale.free_ports import find_free_ports

# Seconds for which an ending replica takes requests while HAProxy learns of its end.
DEREGISTRATION_S: Final = 5
UNAVAILABLE: Final = (
    '{"error":{"message":"No replica can take the request: try again soon.",'
    '"type":"server_error","param":null,"code":"service_unavailable"}}'
)
# Ray copies this value into the `defaults` of HAProxy's configuration, so more lines are more
# defaults. Each request gets a random affinity header, after the client's if there is one, and goes
# to the replica that the first of them hashes to, unless that replica has a quarter more requests
# than the others. The answer repeats the header, so a client that sends it returns to its replica.
# HAProxy's own errors, which Ray leaves as text, get the API's shape.
BALANCE: Final = f"""hash req.hdr({AFFINITY_HEADER},1)
    hash-type consistent sdbm avalanche
    hash-balance-factor 125
    unique-id-format %[uuid()]
    unique-id-header {AFFINITY_HEADER}
    option forwardfor
    timeout http-request 60s
    http-error status 502 content-type application/json string '{UNAVAILABLE}'
    http-error status 503 content-type application/json string '{UNAVAILABLE}' hdr retry-after 1
    http-error status 504 content-type application/json string '{UNAVAILABLE}'"""

CLUSTER_VARIABLES: Final = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_HAPROXY_BALANCE_ALGORITHM": BALANCE,
    # One event loop for Ray's code and ours: a thread between the two would cost each event of a
    # stream more than HAProxy does.
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "server.scale.proxy_middleware:list_middlewares",
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": str(DEREGISTRATION_S),
    # A new replica that fails while another of its generation runs is replaced like any other.
    "RAY_SERVE_STOP_FAILED_ROLLING_UPDATES": "0",
    # Seconds that a leaving machine waits for its replicas: more than they take to end.
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "75",
    # Ray would give replicas and their engines the lowest priority, 15.
    "RAY_worker_niceness": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def set_ray_variables(folder: Path) -> None:
    """Set the variables for a cluster on this machine only; the operator's values stay.

    HAProxy's files go to `folder`, and its statistics and metrics get free ports, so that several
    clusters can run side by side. Call it before `ray` is imported.
    """
    haproxy = folder / "haproxy"
    stats_port, metrics_port, fallback_port = find_free_ports(3)
    local = {
        "RAY_ENABLE_AUTO_CONNECT": "0",  # no cluster starts when this one has ended
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(haproxy / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(haproxy / "admin.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(haproxy),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(haproxy / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(haproxy / "metrics.sock"),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(stats_port),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(metrics_port),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(fallback_port),
    }
    for name, value in (CLUSTER_VARIABLES | local).items():
        os.environ.setdefault(name, value)


if __name__ == "__main__":
    for name, value in CLUSTER_VARIABLES.items():
        print(f"export {name}={shlex.quote(value)}")
