"""Secrets in settings that are shown: with their mistakes, and by `--check`."""

import pytest

from server.settings import Settings
from server.settings.secrets import mask_secrets
from server.start.resolved import resolve_all
from server.start.validation import read_settings


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:pa/ss@host:4318", "http://********@host:4318"),
        ("http://token@host", "http://********@host"),
        ('{"hf_token": "hunter2", "x": 1}', '{"hf_token": "********", "x": 1}'),
        ('{"a": {"API-Key":"hunt\\"er2"}}', '{"a": {"API-Key": "********"}}'),
        ('{"api_keys": ["hunter2", "b"]}', '{"api_keys": "********"}'),
        ('[{"auth": {"user": "a", "value": "hunter2"}}]', '[{"auth": "********"}]'),
        ('{"basicAuthHeader": "hunter2"}', '{"basicAuthHeader": "********"}'),
        ('{"Authorization": "Bearer hunter2"}', '{"Authorization": "********"}'),
        (
            '{"accessToken": "hunter2", "credentials": [1]}',
            '{"accessToken": "********", "credentials": "********"}',
        ),
        (
            '{"password": 1234, "client_secrets": {"a": 1}}',
            '{"password": "********", "client_secrets": "********"}',
        ),
        ('{"password": "hunter2', '{"password": ********'),
        ("{'x': 1, 'auth': 'hunter2'}", "{'x': 1, 'auth': ********"),
        ('{"tokenizer_mode": "auto", "num_key_heads": 2, "author": "x"}',) * 2,
        ('{"max_tokens": 5, "use_auth": true, "api_key": null}',) * 2,
        ("http://host:4318/a", "http://host:4318/a"),
    ],
)
def test_secrets_are_masked(text: str, shown: str) -> None:
    assert mask_secrets(text) == shown


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("engine_args", '{"hf_token": "hunter2"}', "a secret: set the variable HF_TOKEN instead"),
        ("otlp_endpoint", "http://user:hunter2@host", "must hold no user and password"),
    ],
)
def test_places_that_would_show_a_secret_are_refused(name: str, text: str, said: str) -> None:
    for values, environ in (({name: text}, {}), ({}, {f"LLAVA_{name.upper()}": text})):
        with pytest.MonkeyPatch.context() as patch:
            for variable, value in environ.items():
                patch.setenv(variable, value)
            _, mistakes = read_settings(values, environ)
        assert said in str(mistakes[name])
        assert "hunter2" not in str(mistakes[name])


def test_a_check_masks_secrets() -> None:
    settings = Settings(engine_args={"additional_config": {"api_key": "hunter2"}})
    shown = {each.option.name: each.value for each in resolve_all(settings, None, {}, {})}
    assert shown["engine_args"] == '{"additional_config": {"api_key": "********"}}'
