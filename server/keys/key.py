"""One API key: its hashes, its expiry and its limits."""

from datetime import UTC, date, datetime, time
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from server.keys.secret import HASH_PREFIX

ALL_MODELS: Final = "*"
# The resources limited per minute, by their names in headers, and the fields of their limits.
PER_MINUTE: Final = {
    "requests": "requests_per_minute",
    "image-tokens": "image_tokens_per_minute",
    "output-tokens": "output_tokens_per_minute",
}


def _as_utc(value: object) -> object:
    """Read a date as its first moment, and a time without a zone as UTC.

    Raises `ValueError` for a number, which would be read as seconds since 1970.
    """
    if isinstance(value, int | float):
        raise ValueError("write a date such as 2027-06-30")
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if isinstance(value, datetime) and value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    return value


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Moment = Annotated[datetime, BeforeValidator(_as_utc)]
Hash = Annotated[str, Field(pattern=rf"^{HASH_PREFIX}[0-9a-f]{{64}}$")]
Limit = Annotated[int, Field(strict=True, gt=0)]
ModelNames = Annotated[tuple[str, ...], Field(min_length=1), BeforeValidator(_as_list)]


class PreviousHash(BaseModel):
    """The hash of a replaced secret, and when the secret expires."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hash: Hash
    expires: Moment


class KeyLimits(BaseModel):
    """A key's limits; None means no limit of its own.

    `priority` decides the order in which waiting requests are served, `weight` the key's share
    among keys of equal priority.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests_per_minute: Limit | None = None
    image_tokens_per_minute: Limit | None = None
    output_tokens_per_minute: Limit | None = None
    concurrent_requests: Limit | None = None
    models: ModelNames = (ALL_MODELS,)
    priority: Annotated[int, Field(strict=True, ge=-100, le=100)] = 0
    weight: Annotated[float, Field(ge=0.001, le=1000)] = 1.0

    @property
    def rate_limits(self) -> dict[str, int]:
        """The limits per minute that are set, by resource."""
        limits = {resource: getattr(self, field) for resource, field in PER_MINUTE.items()}
        return {resource: limit for resource, limit in limits.items() if limit is not None}

    def allows_model(self, name: str) -> bool:
        """Whether requests may name a model."""
        return ALL_MODELS in self.models or name in self.models


class ApiKey(KeyLimits):
    """A key as stored in the file: hashes only, never the secret itself."""

    name: str
    hash: Hash
    previous: tuple[PreviousHash, ...] = ()
    created: Moment | None = None
    expires: Moment | None = None
    disabled: bool = False


def has_expired(expires: datetime | None, now: datetime) -> bool:
    """Return whether that moment has passed; None never passes."""
    return expires is not None and expires <= now
