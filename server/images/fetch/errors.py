"""Why a URL's data could not be had. Callers tell clients so, as errors about images or videos."""


class FetchError(Exception):
    """Its text is for the client, and holds no internals."""


class UrlInvalid(FetchError):
    """No well-formed http(s), `file:` or base64 `data:` URL."""


class UrlForbidden(FetchError):
    """A URL that leads, or may lead, to where this server fetches nothing from."""


class FetchFailed(FetchError):
    """The URL's server could not be reached or refused."""


class DataTooLarge(FetchError):
    """More bytes than the server allows."""
