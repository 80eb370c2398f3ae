"""What went wrong with urllib, as one of the closed statuses."""

import http.client
import ssl
import urllib.error
import urllib.request

from curate.images.bodies import DiskError
from curate.images.status import FetchError, of_http


def classified(error: BaseException, http_status: int | None = None) -> FetchError:
    """The FetchError for any error of a fetch. Its words hold no address, port or count that another run would not see."""
    if isinstance(error, FetchError):
        return error
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return of_http(error.code)
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, BaseException):
        return classified(error.reason, http_status)
    status, words = _named(error)
    return FetchError(status, words, http_status)


def _named(error: BaseException) -> tuple[str, str]:
    if isinstance(error, DiskError):
        return "lost", str(error)
    if isinstance(error, TimeoutError):
        return "timeout", "no answer in time"
    if isinstance(error, ssl.SSLError):
        return "tls_error", getattr(error, "verify_message", "") or error.reason or "TLS failed"
    if isinstance(error, ConnectionRefusedError):
        return "connection_error", "connection refused"
    if isinstance(error, http.client.IncompleteRead):
        return "connection_error", "the body ends before its declared length"
    # Which of reset, abort and an empty line a dying server causes is a matter of timing: one sentence for all.
    if isinstance(error, ConnectionError):
        return "connection_error", "the connection broke off"
    if isinstance(error, http.client.InvalidURL):
        return "unexpected", f"InvalidURL: {error}"
    if isinstance(error, http.client.HTTPException):
        return "connection_error", "the answer is not HTTP"
    if isinstance(error, OSError):
        return "connection_error", error.strerror or type(error).__name__
    return "unexpected", f"{type(error).__name__}: {error}"
