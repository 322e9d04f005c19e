"""Runs all checks that need no PyTorch, and keeps what they open and read."""

import re
from collections.abc import Callable, Collection, Iterable
from contextlib import ExitStack
from importlib.util import find_spec
from socket import socket
from typing import Any, Final, TypeVar

from model_store.errors import StoreError
from server.checkpoint.config import Checkpoint, CheckpointError
from server.engine.problems import Problem
from server.keys.configured import read_key_ring
from server.keys.errors import KeysFileError
from server.listening import AddressTaken, HostUnusable, listen
from server.process.machine import has_gpu_device
from server.settings import Settings
from server.start.appending import check_appendable
from server.start.contradictions import find_contradictions
from server.start.model_checks import (
    find_model_folder,
    find_model_problems,
    find_template_problems,
    read_readable_checkpoint,
)
from server.startup import Startup
from server.telemetry.usage_file import UsageFile
from server.tls import build_tls_options

FLAG: Final = re.compile(r"--([a-z]+(?:-[a-z]+)*)")

T = TypeVar("T")


class Preparation:
    """Checks the settings, opens the sockets and reads the model's configuration.

    `problems` lists all problems. The rest is usable only if there are none. `checkpoint` is None
    for a model that is to be pulled. A check without a start, which may run beside a server with
    the same settings, creates no file and reports a port in use in `notes`.
    """

    def __init__(
        self,
        settings: Settings,
        faulty: Collection[str],
        stack: ExitStack,
        *,
        only_checks: bool = False,
        listens: bool = True,
    ) -> None:
        """`faulty` names settings that are known to be wrong and have their defaults in `settings`.

        `stack` closes the sockets. Without `listens`, no sockets are opened: another process has
        them.
        """
        self.settings = settings
        self.problems: list[Problem] = []
        self.notes: list[Problem] = []
        self._only_checks = only_checks
        self._faulty = frozenset(faulty)
        self._add(find_contradictions(settings))
        self._add(find_template_problems(settings))
        self._check_engine()
        self.tls: dict[str, Any] = (
            self._attempt("ssl_certfile", lambda: build_tls_options(settings)) or {}
        )
        self.listener = self._listen(stack) if listens else None
        self.admin_listener = self._listen_for_admin(stack) if listens else None
        self.keys = self._attempt(
            "keys_file" if settings.keys_file else "api_keys", lambda: read_key_ring(settings)
        )
        self.usage_file = self._open_usage_file()
        self.checkpoint = self._read_model()

    def build_startup(self, checkpoint: Checkpoint) -> Startup:
        """Return what the server needs; only valid without problems."""
        assert self.listener is not None  # noqa: S101 - without it there is a problem
        assert self.keys is not None  # noqa: S101
        return Startup(
            settings=self.settings,
            checkpoint=checkpoint,
            listener=self.listener,
            admin_listener=self.admin_listener,
            tls=self.tls,
            keys=self.keys,
            usage_file=self.usage_file,
        )

    def _open_usage_file(self) -> UsageFile | None:
        path = self.settings.usage_log
        if path is None:
            return None
        if self._only_checks:
            return self._attempt("usage_log", lambda: check_appendable(path))
        return self._attempt("usage_log", lambda: UsageFile(path))

    def _check_engine(self) -> None:
        if find_spec("vllm") is None:
            self._add([("", "no engine is installed: run make setup")])
        elif self.settings.accelerator == "cuda" and not has_gpu_device():
            self._add([("accelerator", "no GPU found: use --accelerator cpu")])

    def _listen(self, stack: ExitStack) -> socket | None:
        if self._faulty & {"host", "port", "uds"}:
            return None
        host, port, uds = self.settings.host, self.settings.port, self.settings.uds
        return self._attempt(
            "uds" if uds else "port",
            lambda: stack.enter_context(listen(host, port, uds)),
            host_name="host",
        )

    def _listen_for_admin(self, stack: ExitStack) -> socket | None:
        host, port = self.settings.admin_host, self.settings.admin_port
        if port is None or self._faulty & {"admin_host", "admin_port"}:
            return None
        return self._attempt(
            "admin_port",
            lambda: stack.enter_context(listen(host, port, None)),
            host_name="admin_host",
        )

    def _read_model(self) -> Checkpoint | None:
        if "model" in self._faulty:
            return None
        folder = self._attempt("model", lambda: find_model_folder(self.settings.model))
        if folder is None:
            return None
        checkpoint = self._attempt("model", lambda: read_readable_checkpoint(folder))
        if checkpoint is not None:
            self._add(find_model_problems(self.settings, checkpoint))
        return checkpoint

    def _attempt(self, name: str, action: Callable[[], T], host_name: str = "") -> T | None:
        """Return the action's result, or record its error as a problem of the named setting."""
        try:
            return action()
        except HostUnusable as error:
            self._add([(host_name, str(error))])
            return None
        except AddressTaken as error:
            (self.notes if self._only_checks else self.problems).append((name, str(error)))
            return None
        except (StoreError, CheckpointError, KeysFileError, OSError) as error:
            self._add([(name, str(error))])
            return None

    def _add(self, problems: Iterable[Problem]) -> None:
        """Record problems, except those that follow from a setting known to be wrong."""
        self.problems.extend(each for each in problems if not self._follows_from_faulty(*each))

    def _follows_from_faulty(self, name: str, text: str) -> bool:
        """Whether a problem concerns a faulty setting, or was found by comparison with one."""
        named = {flag.replace("-", "_") for flag in FLAG.findall(text)}
        return bool(self._faulty & {name, *named})
