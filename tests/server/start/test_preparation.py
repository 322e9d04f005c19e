"""What is checked before PyTorch is imported."""

import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from model_store.store import find_model
from server.settings import Settings
from server.start.preparation import Preparation


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Close what the checks open."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a copy of the embedded model that may be changed."""
    return Path(shutil.copytree(find_model("llava-tiny"), tmp_path / "model"))


def problems(stack: ExitStack, **settings: object) -> list[tuple[str, str]]:
    """Return what is wrong with settings."""
    port = {} if "uds" in settings else {"port": 0}
    checked = Settings.model_validate(port | settings)
    return Preparation(checked, (), stack).problems


def test_what_is_right_is_opened_and_read(stack: ExitStack) -> None:
    prepared = Preparation(Settings(port=0, admin_port=0), (), stack)
    assert prepared.problems == []
    assert prepared.listener is not None
    assert prepared.admin_listener is not None
    assert prepared.checkpoint is not None
    assert prepared.tls == {}


@pytest.mark.parametrize(
    ("settings", "name", "said"),
    [
        ({"protect_all": True}, "protect_all", "needs --keys-file or --api-keys"),
        ({"ssl_keyfile": __file__}, "ssl_keyfile", "needs --ssl-certfile"),
        ({"ssl_ca_certs": __file__}, "ssl_ca_certs", "needs --ssl-certfile"),
        ({"ssl_cert_reqs": "required"}, "ssl_cert_reqs", "needs --ssl-ca-certs"),
        ({"ssl_certfile": __file__}, "ssl_certfile", "the files of --ssl-… cannot be used"),
        ({"admin_host": "::1"}, "admin_host", "needs --admin-port"),
        ({"served_model_name": "a,a"}, "served_model_name", "names 'a' twice: take one out"),
        (
            {"fetch_allow_domains": "a.org", "fetch_deny_domains": "A.org"},
            "fetch_deny_domains",
            "a.org is also in --fetch-allow-domains: take one out",
        ),
        (
            {"max_num_batched_tokens": 100},
            "max_num_batched_tokens",
            "must be at least --max-num-seqs 256: each sequence takes a token",
        ),
        (
            {"max_model_len": 100_000},
            "max_model_len",
            "exceeds this model's 2048: take 2048 at most, or leave it out",
        ),
        ({"kv_cache_dtype": "nvfp4", "accelerator": "cpu"}, "kv_cache_dtype", "needs a GPU"),
        ({"keys_file": "/no/such/file"}, "keys_file", "does not exist"),
        ({"usage_log": "/no/such/file"}, "usage_log", "create the folder /no/such for the"),
        ({"conv_mode": "chatml"}, "conv_mode", "did you mean chatml_direct?"),
        ({"port": 9000, "admin_port": 9000}, "admin_port", "is also --port"),
        ({"model": "llava-tin"}, "model", "did you mean llava-tiny?"),
        ({"model": "/no/such/model"}, "model", "and not a checkpoint's path"),
        ({"model": str(Path(__file__).parent)}, "model", "is not a checkpoint: no config.json"),
        ({"lora_adapters": {"a": "/"}}, "lora_adapters", "is missing, or no PEFT configuration"),
        ({"uds": "/no/such/folder/socket"}, "uds", "No such file or directory; create the folder"),
        ({"host": "no.such.host.invalid"}, "host", "cannot listen on no.such.host.invalid:0"),
        ({"host": "192.0.2.1"}, "host", "this machine has no such address"),
        ({"admin_port": 0, "admin_host": "192.0.2.1"}, "admin_host", "has no such address"),
        ({"uds": "s", "port": 1}, "port", "has no effect with --uds: leave out one of them"),
    ],
)
def test_problems(settings: dict[str, object], name: str, said: str, stack: ExitStack) -> None:
    [(named, text)] = problems(stack, **settings)
    assert named == name
    assert said in text


def test_ports_in_use(stack: ExitStack) -> None:
    taken = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    port = taken.getsockname()[1]
    found = problems(stack, port=port, admin_port=port)
    assert [name for name, _ in found] == ["admin_port", "port", "admin_port"]
    assert found.pop(0)[1].startswith("is also --port")
    for _, text in found:
        assert text == (
            f"cannot listen on 127.0.0.1:{port}: Address already in use; stop what listens there,"
            " or use another port (0 picks a free one)"
        )


def test_a_usage_log_without_a_reader_is_told(stack: ExitStack, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for only_checks in (True, False):
        prepared = Preparation(
            Settings(port=0, usage_log=tmp_path / "fifo"), (), stack, only_checks=only_checks
        )
        assert [name for name, _ in prepared.problems] == ["usage_log"]


def test_a_check_alone_runs_beside_a_server(stack: ExitStack, tmp_path: Path) -> None:
    log = tmp_path / "usage"
    running = Preparation(Settings(uds=tmp_path / "socket", admin_port=0, usage_log=log), (), stack)
    assert running.admin_listener is not None
    running.admin_listener.listen()
    log.unlink()
    settings = running.settings.model_copy(
        update={"admin_port": running.admin_listener.getsockname()[1]}
    )
    checked = Preparation(settings, (), stack, only_checks=True)
    assert checked.problems == []
    assert [name for name, _ in checked.notes] == ["uds", "admin_port"]
    assert not log.exists()
    settings = settings.model_copy(
        update={"usage_log": tmp_path / "no" / "usage", "uds": log / "x"}
    )
    faulty = Preparation(settings, (), stack, only_checks=True)
    assert [name for name, _ in faulty.problems] == ["uds", "usage_log"]


def test_a_gpu_that_is_not_there(stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.process.machine.GPU_DEVICES", ())
    [problem] = problems(stack, accelerator="cuda")
    assert problem == ("accelerator", "no GPU found: use --accelerator cpu")


def test_no_engine(stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.start.preparation.find_spec", lambda _: None)
    assert problems(stack) == [("", "no engine is installed: run make setup")]


def test_damaged_models(stack: ExitStack, model: Path) -> None:
    (model / "tokenizer.json").unlink()
    [(name, text)] = problems(stack, model=str(model))
    assert (name, "has no usable tokenizer.json" in text) == ("model", True)
    (model / "config.json").write_text("{}")
    [(_, text)] = problems(stack, model=str(model))
    assert "holds a model of type None, not a LLaVA" in text


def test_scaled_positions_may_reach_further(stack: ExitStack, model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    config["text_config"]["rope_scaling"] = {"rope_type": "linear", "factor": 2.0}
    (model / "config.json").write_text(json.dumps(config))
    assert problems(stack, model=str(model), max_model_len=4096) == []


@pytest.mark.parametrize(
    ("text", "allows"),
    [("1", True), (" True ", True), ("0", False), ("false", False), ("", False)],
)
def test_vllms_variable_allows_a_longer_context(
    text: str, allows: bool, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_ALLOW_LONG_MAX_MODEL_LEN", text)
    assert (problems(stack, max_model_len=100_000) == []) is allows


def test_a_model_of_the_hub_is_read_later(stack: ExitStack) -> None:
    prepared = Preparation(Settings(port=0, model="org/name@v1"), (), stack)
    assert (prepared.problems, prepared.checkpoint) == ([], None)


@pytest.mark.parametrize(
    ("faulty", "settings"),
    [
        ("max_num_batched_tokens", {"max_num_batched_tokens": 1}),
        ("max_num_seqs", {"max_num_batched_tokens": 100}),
        ("keys_file", {"protect_all": True}),
        ("model", {"max_model_len": 4096}),
        ("host", {"uds": "/no/such/folder/socket"}),
        ("admin_host", {"admin_port": 0, "admin_host": "192.0.2.1"}),
    ],
)
def test_what_follows_from_a_known_mistake_is_not_told(
    faulty: str, settings: dict[str, object], stack: ExitStack
) -> None:
    port = {} if "uds" in settings else {"port": 0}
    checked = Settings.model_validate(port | settings)
    assert Preparation(checked, (), stack).problems
    assert Preparation(checked, (faulty,), stack).problems == []
