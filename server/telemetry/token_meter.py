"""What counts a request's tokens as they are made; the limits of API keys are behind it."""

from typing import Final, Protocol


class TokenMeter(Protocol):
    """Counts the tokens of one request; `owner` is whose limits they are held against."""

    @property
    def owner(self) -> str:
        """The name of an API key, empty without one."""

    def check_image_tokens(self) -> None:
        """Raise `TooManyRequests` while no image tokens may be used."""

    def charge_image_tokens(self, num_tokens: int) -> None:
        """Count an image before it is encoded. Raises `TooManyRequests` while none may be used."""

    def charge_output_tokens(self, num_tokens: int) -> None:
        """Count tokens that are generated."""


class _Unmetered:
    owner = ""

    def check_image_tokens(self) -> None:
        pass

    def charge_image_tokens(self, num_tokens: int) -> None:
        pass

    def charge_output_tokens(self, num_tokens: int) -> None:
        pass


UNMETERED: Final[TokenMeter] = _Unmetered()
