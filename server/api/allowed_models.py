"""Which models a tenant may use: all that are served, unless its key names some."""

from server.api.auth import Tenant
from server.api.runtime import Runtime
from server.errors import ModelNotFound


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
