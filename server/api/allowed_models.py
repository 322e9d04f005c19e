"""The models that a tenant may use: all that are served, unless its key names some."""

from dataclasses import replace

from server.api.auth import Tenant
from server.api.runtime import Runtime
from server.errors import ModelNotFound
from server.keys.key import ALL_MODELS
from server.protocol.policy import RequestPolicy


def check_model_allowed(runtime: Runtime, tenant: Tenant, name: str) -> None:
    """Raise `ModelNotFound` for a model that is not served, or that the tenant's key may not use.

    The message names only models that the key may use: others are as if the server did not have
    them, as in OpenAI's API.
    """
    served = [each for each in runtime.model_names if is_model_allowed(tenant, each)]
    if name not in served:
        raise ModelNotFound.build(name, served)


def is_model_allowed(tenant: Tenant, name: str) -> bool:
    """Whether a tenant may use a model of this name."""
    return tenant.key is None or tenant.key.allows_model(name)


def build_policy(runtime: Runtime, tenant: Tenant) -> RequestPolicy:
    """Return the policy for a tenant's bodies.

    A key that may not use the server's default model has a default of its own: the first of its
    models that is served.
    """
    default = runtime.policy.default_model
    if tenant.key is None or tenant.key.allows_model(default or ALL_MODELS):
        return runtime.policy
    own = next((name for name in tenant.key.models if name in runtime.model_names), default)
    return replace(runtime.policy, default_model=own)
