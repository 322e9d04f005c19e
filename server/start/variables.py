"""The known `LLAVA_*` variables, and mistakes in those that are set."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from server.settings.options import ENV_PREFIX, Option, list_options
from server.start.mistakes import Mistake, find_nearest

# Read by other parts of this repository: the model store, and the terminal's client.
OTHER_VARIABLES: Final = ("LLAVA_STORE", "LLAVA_URL", "LLAVA_API_KEY")
# Kubernetes sets these in every pod for a Service whose name begins with llava.
SERVICE_LINK: Final = re.compile(
    r"LLAVA_.*(SERVICE_(HOST|PORT)(_.*)?|PORT(_\d+_(TCP|UDP|SCTP).*)?)"
)
SERVICE_URL: Final = re.compile(r"(tcp|udp|sctp)://")


def find_variable_mistakes(
    environ: Mapping[str, str], more: Sequence[Option] = ()
) -> Iterator[Mistake]:
    """Yield a mistake for each `LLAVA_*` variable that is unknown, or set to nothing.

    `more` are options in addition to the server's.
    """
    settings = [option.variable for option in (*more, *list_options())]
    known = {*settings, *OTHER_VARIABLES}
    in_kubernetes = "KUBERNETES_SERVICE_HOST" in environ
    for name, text in environ.items():
        upper = name.upper()
        if not upper.startswith(ENV_PREFIX) or upper in OTHER_VARIABLES:
            continue
        if upper not in known:
            if not (in_kubernetes and SERVICE_LINK.fullmatch(upper)):
                yield _explain_unknown(name, known)
        elif not text:
            setting = upper.removeprefix(ENV_PREFIX).lower()
            yield Mistake(name, "is empty; unset it, or give it a value", setting)
        elif in_kubernetes and SERVICE_URL.match(text):
            yield Mistake(
                f"{name}={text}",
                "Kubernetes sets it for the Service of that name; rename the Service, or set"
                " enableServiceLinks: false in the pod's spec",
            )


def _explain_unknown(name: str, known: Iterable[str]) -> Mistake:
    """Suggest a variable by what follows the prefix, which all have."""
    nearest = find_nearest(
        name.upper().removeprefix(ENV_PREFIX), (each.removeprefix(ENV_PREFIX) for each in known)
    )
    remedy = f"; did you mean {ENV_PREFIX}{nearest}?" if nearest else ""
    return Mistake(name, f"no such setting{remedy}", (nearest or "").lower())
