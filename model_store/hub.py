"""The hub: a repository's listing, and resumable downloads of its files."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Final

import httpx2
from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]
from huggingface_hub.utils import tqdm as hub_bar  # type: ignore[attr-defined]

from model_store.errors import PullError
from model_store.hashing import Progress

TIMEOUT_S: Final = 30.0
LOG_IN: Final = "set HF_TOKEN or run `hf auth login`"


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file in the hub's listing. `sha256` is set for files in LFS only, `blob_id` for all."""

    path: str
    size: int
    sha256: str | None
    blob_id: str | None


@dataclass(frozen=True, slots=True)
class HubSnapshot:
    """A repository at one commit."""

    repo: str
    commit: str
    files: tuple[HubFile, ...]


class Hub:
    """A hub; the default endpoint is `HF_ENDPOINT`'s, the token huggingface_hub's own."""

    def __init__(self, endpoint: str | None = None) -> None:
        self.endpoint = (endpoint or constants.ENDPOINT).rstrip("/")

    def fetch_snapshot(self, repo: str, revision: str) -> HubSnapshot:
        """Resolve a branch, tag or commit, and list its files. Raises `PullError`."""
        with self._translate_errors(repo, revision):
            info = HfApi(self.endpoint).model_info(
                repo, revision=revision, files_metadata=True, timeout=TIMEOUT_S
            )
        if info.sha is None:
            raise PullError(f"the hub at {self.endpoint} does not say the commit of {repo}")
        return HubSnapshot(repo, info.sha, tuple(map(_parse_file, info.siblings or ())))

    def download(
        self, snapshot: HubSnapshot, file: HubFile, target: Path, stop: Event, count: Progress
    ) -> None:
        """Download a file to `target`, resuming from an earlier attempt's `.part` file.

        `count` is called with the size of each received piece. Raises `PullError`, or
        `DownloadStopped` soon after `stop` is set; both keep the `.part` file. (huggingface_hub's
        snapshot_download would delete it.)
        """
        part = target.with_name(f"{target.name}.part")
        part.parent.mkdir(parents=True, exist_ok=True)
        if part.exists() and part.stat().st_size > file.size:
            part.unlink()
        url = hf_hub_url(snapshot.repo, file.path, revision=snapshot.commit, endpoint=self.endpoint)
        with self._translate_errors(snapshot.repo, snapshot.commit), part.open("ab") as content:
            http_get(
                url,
                content,
                resume_size=part.stat().st_size,
                headers=build_hf_headers(),
                expected_size=file.size,
                displayed_filename=file.path,
                tqdm_class=_build_bar(stop, count),
            )
        part.replace(target)

    @contextmanager
    def _translate_errors(self, repo: str, revision: str) -> Iterator[None]:
        """Turn huggingface_hub's errors into a `PullError` of one line."""
        try:
            yield
        except HfHubHTTPError as error:
            raise PullError(self._explain_error(error, repo, revision)) from None
        except OfflineModeIsEnabled:
            raise PullError(
                f"HF_HUB_OFFLINE is set, so {repo} cannot be pulled: unset it, or"
                f" {_describe_copying(repo)}"
            ) from None
        except HFValidationError as error:
            raise PullError(f"{repo!r} is not a hub id: {_first_line(error)}") from None
        except httpx2.HTTPError as error:
            reason = _first_line(error) or type(error).__name__
            raise PullError(
                f"cannot reach the hub at {self.endpoint}: {reason}; set HF_ENDPOINT to a mirror,"
                f" or {_describe_copying(repo)}"
            ) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or _first_line(error)
            raise PullError(f"cannot pull {repo}: {reason}") from None

    def _explain_error(self, error: HfHubHTTPError, repo: str, revision: str) -> str:
        match error:
            case GatedRepoError():
                return f"{repo} is gated: accept its terms at {self.endpoint}/{repo}, then {LOG_IN}"
            case RepositoryNotFoundError():
                return (
                    f"the hub at {self.endpoint} has no {repo}, or it is private: if so, {LOG_IN}"
                )
            case RevisionNotFoundError():
                return f"{repo} has no revision {revision!r}"
        reason = f" ({' '.join(error.server_message.split())})" if error.server_message else ""
        return f"the hub answered {error.response.status_code}{reason} for {error.response.url}"


def _parse_file(file: RepoSibling) -> HubFile:
    if file.size is None:
        raise PullError(f"the hub does not say the size of {file.rfilename}")
    sha256 = file.lfs.sha256 if file.lfs else None
    return HubFile(file.rfilename, file.size, sha256, file.blob_id)


def _describe_copying(repo: str) -> str:
    """Describe how to bring a model to a machine without a network."""
    return (
        f"run 'hf download {repo} --local-dir FOLDER' on a machine that reaches it, copy FOLDER"
        " here, and serve it with --model FOLDER"
    )


class DownloadStopped(Exception):
    """The download stopped, since its `stop` event was set."""


def _build_bar(stop: Event, count: Progress) -> type[hub_bar]:
    """Return huggingface_hub's progress bar, extended to end its download once `stop` is set.

    It also passes the size of each received piece to `count`.
    """

    class Bar(hub_bar):
        def update(self, n: float | None = 1) -> bool | None:
            if stop.is_set():
                raise DownloadStopped
            count(int(n or 0))
            is_refreshed: Any = super().update(n)
            return bool(is_refreshed)

    return Bar


def _first_line(error: Exception) -> str:
    """Return the first line of an error's message; huggingface_hub's have many."""
    return next(iter(str(error).strip().splitlines()), "")
