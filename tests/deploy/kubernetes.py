"""The manifests, as `kubectl apply -k` would send them."""

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

K8S: Final = Path(__file__).parents[2] / "deploy" / "k8s"
OVERLAYS: Final = ("cpu", "gpu")


@cache
def render(overlay: str) -> tuple[dict[str, Any], ...]:
    """Return an overlay's objects; skips the test where there is no kubectl."""
    return tuple(render_kustomization(K8S / "overlays" / overlay))


def render_kustomization(folder: Path) -> list[dict[str, Any]]:
    """Return the objects of a kustomization; skips the test where there is no kubectl."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl found, which renders the overlays")
    command = [kubectl, "kustomize", str(folder)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return list(yaml.safe_load_all(text))


def find(overlay: str, kind: str) -> dict[str, Any]:
    """Return an overlay's only object of a kind."""
    (found,) = [item for item in render(overlay) if item["kind"] == kind]
    return found


def container(overlay: str) -> dict[str, Any]:
    """Return the server's container."""
    (only,) = find(overlay, "Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(only)
