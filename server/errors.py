"""Errors that clients see, as exceptions that carry their HTTP status.

ApiError                        500 internal_error
├── InvalidRequest              400 invalid_request
│   ├── InvalidJson                 invalid_json
│   ├── InvalidContentEncoding      invalid_content_encoding
│   ├── InvalidValue                invalid_value
│   ├── UnsupportedParameter        unsupported_parameter
│   ├── ContextLengthExceeded       context_length_exceeded
│   ├── TooManyImages               too_many_images
│   ├── TooManyVideos               too_many_videos
│   ├── VideosUnsupported           videos_not_supported
│   ├── ImageError
│   │   ├── ImageUrlInvalid         image_url_invalid
│   │   ├── ImageUrlForbidden       image_url_forbidden
│   │   ├── ImageFetchFailed        image_fetch_failed
│   │   ├── ImageTooLarge           image_too_large
│   │   ├── ImageFormatUnsupported  image_format_unsupported
│   │   └── ImageCorrupt            image_corrupt
│   └── VideoError
│       ├── VideoUrlInvalid         video_url_invalid
│       ├── VideoUrlForbidden       video_url_forbidden
│       ├── VideoFetchFailed        video_fetch_failed
│       ├── VideoTooLarge           video_too_large
│       ├── VideoFormatUnsupported  video_format_unsupported
│       └── VideoCorrupt            video_corrupt
├── Unauthorized                401 invalid_api_key
│   └── ApiKeyExpired               api_key_expired
├── ForbiddenOrigin             403 forbidden_origin
├── ForbiddenHost               403 forbidden_host
├── NotFound                    404 not_found
│   └── ModelNotFound               model_not_found
├── MethodNotAllowed            405 method_not_allowed
├── ClientTooSlow               408 client_too_slow
├── BodyTooLarge                413 request_too_large
├── UnsupportedMediaType        415 unsupported_media_type
│   └── UnsupportedContentEncoding  unsupported_content_encoding
├── TooManyRequests             429 rate_limit_exceeded
│   └── KeyLimitExceeded            rate_limit_exceeded
├── Unavailable                 503 service_unavailable
│   ├── NotReady                    not_ready
│   └── EngineUnavailable           engine_unavailable
└── DeadlineExceeded            504 deadline_exceeded
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, Self

# The only text that a client gets about an unknown exception.
INTERNAL_ERROR_MESSAGE: Final = "The server failed to handle the request."
# Model names listed in a message, at most.
MAX_LISTED_NAMES: Final = 8


class ApiError(Exception):
    """An error as the client sees it: `message` and `param` are sent, so they hold no internals.

    `param` names the offending field as a path into the body, e.g. `messages[0].content`.
    `retry_after` (seconds) becomes the `Retry-After` header; `headers` are those of every such
    response.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str] = "internal_error"
    headers: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self, message: str, param: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message, param, retry_after)
        self.message = message
        self.param = param
        self.retry_after = retry_after

    @property
    def outcome(self) -> str:
        """Its name in metrics and logs: the code, unless clients expect one code for two causes."""
        return self.code

    def at(self, param: str) -> Self:
        """Return the same error, naming `param` as the field at fault, also in the message."""
        message = self.message
        if self.param is not None:
            message = message.replace(f"'{self.param}'", f"'{param}'")
        return type(self)(message, param, self.retry_after)


class InvalidRequest(ApiError):
    """The request is at fault; sending it again will not help."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_request"


class InvalidJson(InvalidRequest):
    """The body is not JSON."""

    code = "invalid_json"


class InvalidContentEncoding(InvalidRequest):
    """The body is not what its `Content-Encoding` says."""

    code = "invalid_content_encoding"


class InvalidValue(InvalidRequest):
    """A field is missing, has the wrong type or is out of range."""

    code = "invalid_value"


class UnsupportedParameter(InvalidRequest):
    """A field that would change the answer and that this server does not support."""

    code = "unsupported_parameter"


class ContextLengthExceeded(InvalidRequest):
    """The prompt, image tokens included, leaves no room in the model's context."""

    code = "context_length_exceeded"


class TooManyImages(InvalidRequest):
    """More images in one request than the server allows."""

    code = "too_many_images"


class ImageError(InvalidRequest):
    """One image of the request cannot be used."""

    code = "image_invalid"


class ImageUrlInvalid(ImageError):
    """No well-formed http(s), `file:` or base64 `data:` URL."""

    code = "image_url_invalid"


class ImageUrlForbidden(ImageError):
    """A URL that leads, or may lead, to an address from which this server fetches no images."""

    code = "image_url_forbidden"


class ImageFetchFailed(ImageError):
    """The image's server could not be reached or refused."""

    code = "image_fetch_failed"


class ImageTooLarge(ImageError):
    """More bytes or pixels than the server allows."""

    code = "image_too_large"


class ImageFormatUnsupported(ImageError):
    """The bytes are not an image of a supported format."""

    code = "image_format_unsupported"


class ImageCorrupt(ImageError):
    """The format is known but the data is damaged or cut short."""

    code = "image_corrupt"


class TooManyVideos(InvalidRequest):
    """More videos in one request than the server allows."""

    code = "too_many_videos"


class VideosUnsupported(InvalidRequest):
    """A video for a model that was trained on images only."""

    code = "videos_not_supported"


class VideoError(InvalidRequest):
    """One video of the request cannot be used."""

    code = "video_invalid"


class VideoUrlInvalid(VideoError):
    """No well-formed http(s), `file:` or base64 `data:` URL."""

    code = "video_url_invalid"


class VideoUrlForbidden(VideoError):
    """A URL that leads, or may lead, to an address from which this server fetches no videos."""

    code = "video_url_forbidden"


class VideoFetchFailed(VideoError):
    """The video's server could not be reached or refused."""

    code = "video_fetch_failed"


class VideoTooLarge(VideoError):
    """More bytes, pixels, frames or seconds than the server allows."""

    code = "video_too_large"


class VideoFormatUnsupported(VideoError):
    """The bytes are not a video of a supported container and codec."""

    code = "video_format_unsupported"


class VideoCorrupt(VideoError):
    """The container is known but the data is damaged or cut short."""

    code = "video_corrupt"


class Unauthorized(ApiError):
    """The API key is missing or unknown."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"
    headers: ClassVar = {"www-authenticate": "Bearer"}  # RFC 9110 asks for it


class ApiKeyExpired(Unauthorized):
    """The API key has expired."""

    code = "api_key_expired"


class ForbiddenOrigin(ApiError):
    """The request comes from a web page of another origin."""

    status = 403
    type = "invalid_request_error"
    code = "forbidden_origin"


class ForbiddenHost(ApiError):
    """The request's `Host` is not one of this server's names."""

    status = 403
    type = "invalid_request_error"
    code = "forbidden_host"


class NotFound(ApiError):
    """No such path."""

    status = 404
    type = "invalid_request_error"
    code = "not_found"


class ModelNotFound(NotFound):
    """The request names a model that this server does not serve."""

    code = "model_not_found"

    @classmethod
    def build(cls, name: str, served: Sequence[str]) -> Self:
        """Return the error for a name; `served` are the valid names."""
        names = ", ".join(f"'{each}'" for each in served[:MAX_LISTED_NAMES]) or "none for this key"
        return cls(f"The model '{name}' does not exist: this server has {names}.", "model")


class MethodNotAllowed(ApiError):
    """The path exists, the method does not."""

    status = 405
    type = "invalid_request_error"
    code = "method_not_allowed"


class ClientTooSlow(ApiError):
    """The client reads its stream so slowly that the generation was aborted."""

    status = 408
    type = "invalid_request_error"
    code = "client_too_slow"


class BodyTooLarge(ApiError):
    """The request body exceeds the limit; it was not decoded."""

    status = 413
    type = "invalid_request_error"
    code = "request_too_large"


class UnsupportedMediaType(ApiError):
    """The body is not declared as JSON."""

    status = 415
    type = "invalid_request_error"
    code = "unsupported_media_type"


class UnsupportedContentEncoding(UnsupportedMediaType):
    """The body's `Content-Encoding` is not supported."""

    code = "unsupported_content_encoding"
    headers: ClassVar = {"accept-encoding": "gzip, deflate, br, zstd"}  # RFC 7694


class TooManyRequests(ApiError):
    """Every permit is taken."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"


class KeyLimitExceeded(TooManyRequests):
    """The API key has used up one of its own limits; the server has capacity for others."""

    @property
    def outcome(self) -> str:
        """A name of its own, so that operators can distinguish it from an overloaded server."""
        return "key_limit_exceeded"


class Unavailable(ApiError):
    """The server cannot answer now; another one, or this one later, may."""

    status = 503
    type = "service_unavailable_error"
    code = "service_unavailable"


class NotReady(Unavailable):
    """The model is loading, or the server is shutting down."""

    code = "not_ready"


class EngineUnavailable(Unavailable):
    """The engine has died or has dropped the request."""

    code = "engine_unavailable"


class DeadlineExceeded(ApiError):
    """The request exceeded its time limit, which includes waiting."""

    status = 504
    type = "timeout_error"
    code = "deadline_exceeded"


class ClientGone(Exception):
    """The client closed the connection; no response is sent."""
