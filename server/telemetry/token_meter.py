"""The interface that counts a request's tokens as they are made, for the limits of API keys."""

from typing import Final, Protocol


class TokenMeter(Protocol):
    """Counts the tokens of one request against the limits of the key `key_name`."""

    @property
    def key_name(self) -> str:
        """The name of an API key, empty without one."""

    def reserve_output_tokens(self, num_tokens: int) -> None:
        """Reserve the requested tokens. Raises `TooManyRequests` while none may be used."""

    def check_image_tokens(self) -> None:
        """Raise `TooManyRequests` while no image tokens may be used."""

    def charge_image_tokens(self, num_tokens: int) -> None:
        """Count an image before it is encoded. Raises `TooManyRequests` while none may be used."""

    def mark_submitted(self) -> None:
        """Note that the engine works on the request from now on."""

    def charge_output_tokens(self, num_tokens: int) -> None:
        """Count generated tokens."""

    def end_generation(self) -> None:
        """Release the reserved tokens: nothing more is generated."""


class _Unmetered:
    key_name = ""

    def reserve_output_tokens(self, num_tokens: int) -> None:
        pass

    def check_image_tokens(self) -> None:
        pass

    def charge_image_tokens(self, num_tokens: int) -> None:
        pass

    def mark_submitted(self) -> None:
        pass

    def charge_output_tokens(self, num_tokens: int) -> None:
        pass

    def end_generation(self) -> None:
        pass


UNMETERED: Final[TokenMeter] = _Unmetered()
