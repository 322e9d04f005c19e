"""Counts the tokens of one request against its key's limits."""

from server.api.rate_limits.key_usage import KeyUsage
from server.api.rate_limits.resources import IMAGE_TOKENS, OUTPUT_TOKENS


class RequestMeter:
    """Counts one request, and its tokens as they are made.

    `take_back`, `end_generation` and `release` are idempotent.
    """

    def __init__(self, usage: KeyUsage, expected_tokens: int) -> None:
        self._usage = usage
        self._reserved = expected_tokens
        self._num_output_tokens = 0
        self._has_images = False
        self._is_counted = True
        self._is_submitted = False
        self._is_running = True
        usage.start(self)
        usage.reserve(expected_tokens)

    @property
    def key_name(self) -> str:
        """The key's name."""
        return self._usage.key.name

    def reserve_output_tokens(self, num_tokens: int) -> None:
        """Reserve the requested tokens, which are now known. Raises `KeyLimitExceeded`.

        The request passes while others leave anything free, so that each passes at some time.
        """
        self._usage.check_output_tokens(self._reserved)
        self._free(self._reserved - self._usage.clip_output_tokens(num_tokens))

    def check_image_tokens(self) -> None:
        """Refuse while no image tokens are free. Raises `KeyLimitExceeded`."""
        self._usage.check_image_tokens()

    def charge_image_tokens(self, num_tokens: int) -> None:
        """Count an image; the request's first one is refused while none are free.

        The others pass: a started request is not aborted. Raises `KeyLimitExceeded`.
        """
        if not self._has_images:
            self._usage.check_image_tokens()
            self._has_images = True
        self._usage.add(IMAGE_TOKENS, num_tokens)

    def mark_submitted(self) -> None:
        """Note that the engine works on the request from now on."""
        self._is_submitted = True

    def charge_output_tokens(self, num_tokens: int) -> None:
        """Count generated tokens, in place of reserved ones."""
        self._num_output_tokens += num_tokens
        self._free(min(num_tokens, self._reserved))
        self._usage.add(OUTPUT_TOKENS, num_tokens)

    def end_generation(self) -> None:
        """Release the reserved tokens: nothing more is generated.

        The tokens of an answer that is not streamed are known only at its end. If it is cut short
        before, its reservation counts instead.
        """
        if self._is_submitted and not self._num_output_tokens:
            self.charge_output_tokens(self._reserved)
        self._free(self._reserved)

    def take_back(self) -> None:
        """Do not count the request: it is refused through no fault of its own."""
        if self._is_counted and self._is_running:
            self._is_counted = False
            self._usage.take_back(self)

    def release(self) -> None:
        """Count the request's end."""
        if self._is_running:
            self._is_running = False
            self.end_generation()
            self._usage.end(self, self._num_output_tokens)

    def _free(self, num_tokens: int) -> None:
        self._reserved -= num_tokens
        self._usage.reserve(-num_tokens)
