"""Settings that contradict each other, or need each other."""

from collections.abc import Iterator

from server.engine.problems import Problem
from server.settings import Settings


def find_contradictions(settings: Settings) -> Iterator[Problem]:
    """Yield problems of settings that are each valid by themselves."""
    yield from _find_missing(settings)
    yield from _find_address_problems(settings)
    if settings.max_num_batched_tokens < settings.max_num_seqs:
        yield (
            "max_num_batched_tokens",
            f"must be at least --max-num-seqs {settings.max_num_seqs}: each sequence takes a token",
        )
    for domain in set(settings.fetch_allow_domains) & set(settings.fetch_deny_domains):
        yield "fetch_deny_domains", f"{domain} is also in --fetch-allow-domains: take one out"
    names = settings.served_model_names
    for name in sorted({each for each in names if names.count(each) > 1}):
        yield "served_model_name", f"names {name!r} twice: take one out"


def _find_missing(settings: Settings) -> Iterator[Problem]:
    if settings.protect_all and not settings.needs_key:
        yield "protect_all", "needs --keys-file or --api-keys"
    if settings.ssl_certfile is None:
        for name in ("ssl_keyfile", "ssl_keyfile_password", "ssl_ca_certs"):
            if getattr(settings, name):
                yield name, "needs --ssl-certfile"
    if settings.ssl_cert_reqs and settings.ssl_ca_certs is None:
        yield "ssl_cert_reqs", "needs --ssl-ca-certs"


def _find_address_problems(settings: Settings) -> Iterator[Problem]:
    if settings.admin_port == settings.port != 0 and settings.uds is None:
        yield "admin_port", "is also --port: take another, or 0 for a free one"
    if settings.uds is not None and "port" in settings.model_fields_set:
        yield "port", "has no effect with --uds: leave out one of them"
    if settings.admin_port is None and "admin_host" in settings.model_fields_set:
        yield "admin_host", "needs --admin-port"
