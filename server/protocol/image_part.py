"""The base of image parts, which remember the field that held their image."""

from abc import abstractmethod
from typing import Any, Self

from pydantic import ModelWrapValidatorHandler, PrivateAttr, model_validator

from server.protocol.image_source import ImageSource, find_image_source
from server.protocol.wire import WireModel


class LocatedImage(WireModel):
    """An image part in any API's spelling."""

    _field: str = PrivateAttr("image_url.url")

    @property
    def field(self) -> str:
        """The path of the field that held the image, within the part."""
        return self._field

    def at(self, field: str) -> Self:
        """Set the path of the field, and return the part."""
        self._field = field
        return self

    @classmethod
    @abstractmethod
    def _translate(cls, source: ImageSource) -> dict[str, Any]:
        """Return the fields of this model."""

    @model_validator(mode="wrap")
    @classmethod
    def _translate_spelling(cls, value: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(value, dict):
            return validate(value)
        source = find_image_source(value)
        return validate(source.extra_fields | cls._translate(source)).at(source.field)
