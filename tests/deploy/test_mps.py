"""The component for MPS starts the image's own script, by which the server gets no options."""

import os
from pathlib import Path

from tests.deploy.kubernetes import K8S, render_kustomization
from tests.docker.dockerfile import DOCKERFILES

ROOT = Path(__file__).parents[2]


def test_the_command_is_the_images_script(tmp_path: Path) -> None:
    k8s = os.path.relpath(K8S, tmp_path)
    (tmp_path / "kustomization.yaml").write_text(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
        f"resources: [{k8s}/overlays/gpu]\ncomponents: [{k8s}/components/mps]\n"
    )
    (deployment,) = [
        item for item in render_kustomization(tmp_path) if item["kind"] == "Deployment"
    ]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    init, _, script = container["command"]
    assert (init, script) == ("tini", "/opt/llava/with_mps.sh")
    assert "args" not in container
    copies = [
        line
        for line in DOCKERFILES[0].read_text(encoding="utf-8").splitlines()
        if line.startswith("COPY")
    ]
    assert any("docker/with_mps.sh" in line and line.endswith("/opt/llava/") for line in copies)
