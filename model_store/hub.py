"""What a hub says of a repository, and its files, downloaded so that they can go on after a cut."""

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

TIMEOUT_S: Final = 30.0
LOG_IN: Final = "set HF_TOKEN or run `hf auth login`"


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file as the hub lists it; `sha256` is known of files in LFS only, `blob_id` of all."""

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

    def snapshot(self, repo: str, revision: str) -> HubSnapshot:
        """Resolve a branch, a tag or a commit, and list what is there. Raises `PullError`."""
        with self._explained(repo, revision):
            info = HfApi(self.endpoint).model_info(
                repo, revision=revision, files_metadata=True, timeout=TIMEOUT_S
            )
        if info.sha is None:
            raise PullError(f"the hub at {self.endpoint} does not say the commit of {repo}")
        return HubSnapshot(repo, info.sha, tuple(map(_listed, info.siblings or ())))

    def download(self, snapshot: HubSnapshot, file: HubFile, target: Path, stop: Event) -> None:
        """Download a file to `target`, going on from what an earlier attempt left beside it.

        Raises `PullError`, or `Stopped` soon after `stop` is set; what has come is kept. (To
        restart inside a file is why this is not snapshot_download, which throws parts away.)
        """
        part = target.with_name(f"{target.name}.part")
        part.parent.mkdir(parents=True, exist_ok=True)
        if part.exists() and part.stat().st_size > file.size:
            part.unlink()
        url = hf_hub_url(snapshot.repo, file.path, revision=snapshot.commit, endpoint=self.endpoint)
        with self._explained(snapshot.repo, snapshot.commit), part.open("ab") as content:
            http_get(
                url,
                content,
                resume_size=part.stat().st_size,
                headers=build_hf_headers(),
                expected_size=file.size,
                displayed_filename=file.path,
                tqdm_class=_stoppable(stop),
            )
        part.replace(target)

    @contextmanager
    def _explained(self, repo: str, revision: str) -> Iterator[None]:
        """Turn what huggingface_hub raises into one line each."""
        try:
            yield
        except HfHubHTTPError as error:
            raise PullError(self._refusal(error, repo, revision)) from None
        except OfflineModeIsEnabled:
            raise PullError(f"HF_HUB_OFFLINE is set, so {repo} cannot be pulled") from None
        except HFValidationError as error:
            raise PullError(f"{repo!r} is not a hub id: {_line(error)}") from None
        except httpx2.HTTPError as error:
            reason = _line(error) or type(error).__name__
            raise PullError(f"cannot reach the hub at {self.endpoint}: {reason}") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or _line(error)
            raise PullError(f"cannot pull {repo}: {reason}") from None

    def _refusal(self, error: HfHubHTTPError, repo: str, revision: str) -> str:
        match error:
            case GatedRepoError():
                return f"{repo} is gated: accept its terms at {self.endpoint}/{repo}, then {LOG_IN}"
            case RepositoryNotFoundError():
                return f"the hub at {self.endpoint} has no {repo}, or it is private: then {LOG_IN}"
            case RevisionNotFoundError():
                return f"{repo} has no revision {revision!r}"
        said = f" ({' '.join(error.server_message.split())})" if error.server_message else ""
        return f"the hub answered {error.response.status_code}{said} for {error.response.url}"


def _listed(file: RepoSibling) -> HubFile:
    if file.size is None:
        raise PullError(f"the hub does not say the size of {file.rfilename}")
    sha256 = file.lfs.sha256 if file.lfs else None
    return HubFile(file.rfilename, file.size, sha256, file.blob_id)


class Stopped(Exception):
    """The download was told to stop."""


def _stoppable(stop: Event) -> type[hub_bar]:
    """Return huggingface_hub's progress bar, made to end its download when `stop` is set."""

    class Bar(hub_bar):
        def update(self, n: float | None = 1) -> bool | None:
            if stop.is_set():
                raise Stopped
            shown: Any = super().update(n)
            return bool(shown)

    return Bar


def _line(error: Exception) -> str:
    """The first line of an error's message; huggingface_hub's run over many."""
    return next(iter(str(error).strip().splitlines()), "")
