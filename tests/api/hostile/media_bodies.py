"""Hostile bytes and images."""

import json
import zlib

from tests.api import bombs
from tests.api.hostile.building import (
    CHAT,
    CONTEXT,
    INVALID,
    JSON,
    MANY,
    PICTURE,
    REFUSED_IMAGE,
    RESPONSES,
    TOKENIZE,
    ask,
    chat,
    hostile,
    large_pictures,
    noise,
    response,
)
from tests.api.pictures import image_part, user

BYTES = {
    "a lone surrogate": hostile(
        CHAT,
        lambda: (
            b'{"model":"llava-tiny","max_tokens":1,"messages":[{"role":"user",'
            b'"content":"\\ud800"}]}'
        ),
        JSON,
        INVALID,
        None,
    ),
    "surrogates only": hostile(
        CHAT,
        lambda: json.dumps(chat(user("@"))).encode().replace(b"@", b"\\udfff\\ud800" * 2_000_000),
        JSON,
        INVALID,
        CONTEXT,
    ),
    "no UTF-8": hostile(
        CHAT, lambda: b'{"model": "' + b"\xff\xfe" * 5_000_000 + b'"}', JSON, INVALID
    ),
    "an overlong encoding": hostile(CHAT, lambda: b'{"model": "\xc0\xaf"}', JSON),
    "UTF-16": hostile(CHAT, lambda: json.dumps(chat()).encode("utf-16"), JSON),
    "UTF-32": hostile(CHAT, lambda: json.dumps(chat()).encode("utf-32"), JSON),
    "byte order marks": hostile(CHAT, lambda: b"\xef\xbb\xbf" * 1_000_000, JSON),
    "zeros": hostile(CHAT, lambda: bytes(60_000_000), JSON),
    "white space around a request": hostile(
        CHAT, lambda: b" " * 30_000_000 + json.dumps(chat()).encode() + b"\n" * 30_000_000, None
    ),
    "white space only": hostile(CHAT, lambda: b" " * 60_000_000, JSON),
    "nothing": hostile(CHAT, lambda: b"", JSON),
    "null": hostile(RESPONSES, lambda: b"null", INVALID),
    "a string that does not end": hostile(CHAT, lambda: b'{"model": "' + b"a" * MANY, JSON),
    "commas": hostile(CHAT, lambda: b"[" + b"," * 60_000_000, INVALID, JSON),
    "colons and quotes": hostile(CHAT, lambda: b'":' * 20_000_000, INVALID),
    "backslashes": hostile(CHAT, lambda: b'{"model": "' + b"\\\\" * MANY + b'"}', INVALID),
    "compressed zeros": hostile(CHAT, lambda: zlib.compress(bytes(60_000_000)), JSON),
}

IMAGES = {
    "30 MB that are no image": hostile(
        CHAT, lambda: chat(ask(image_part(noise(30_000_000)))), *REFUSED_IMAGE
    ),
    "30 MB that are no image, for a response": hostile(
        RESPONSES,
        lambda: response(
            [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "input_image",
                            "image_url": image_part(noise(30_000_000))["image_url"]["url"],
                        },
                        {"type": "input_text", "text": "What?"},
                    ],
                }
            ]
        ),
        *REFUSED_IMAGE,
    ),
    "a data URL without a comma": hostile(
        CHAT,
        lambda: chat(ask(image_part("data:image/png;base64" + "A" * 30_000_000))),
        *REFUSED_IMAGE,
    ),
    "a media type of 30 MB": hostile(
        CHAT,
        lambda: chat(ask(image_part("data:" + "a;" * 15_000_000 + "base64,AAAA"))),
        *REFUSED_IMAGE,
    ),
    "percent signs": hostile(
        CHAT,
        lambda: chat(ask(image_part("data:image/png;base64," + "%41" * MANY))),
        *REFUSED_IMAGE,
    ),
    "base64 of white space": hostile(
        CHAT,
        lambda: chat(ask(image_part("data:image/png;base64," + " \n" * MANY))),
        *(*REFUSED_IMAGE, INVALID),
    ),
    "an address of ten million letters": hostile(
        CHAT,
        lambda: chat(ask(image_part("http://" + "a" * MANY))),
        "image_url_invalid",
        "image_url_forbidden",
    ),
    "a path of ten million dots": hostile(
        CHAT,
        lambda: chat(ask(image_part("file:///" + "../" * (MANY // 3)))),
        "image_url_invalid",
        "image_url_forbidden",
    ),
    "an unknown scheme": hostile(
        CHAT,
        lambda: chat(ask(image_part("a" * MANY + "://x"))),
        "image_url_invalid",
        "image_url_forbidden",
    ),
    "sixteen of the largest": hostile(
        CHAT,
        lambda: chat(ask(*large_pictures())),
        None,
        "image_too_large",
        "image_corrupt",
        CONTEXT,
    ),
    "one too many": hostile(
        CHAT, lambda: chat(ask(*[image_part(PICTURE)] * 17)), "too_many_images"
    ),
    "a bomb": hostile(
        CHAT, lambda: chat(ask(image_part(bombs.png(30_000, 30_000)))), "image_too_large"
    ),
    "to tokenize": hostile(
        TOKENIZE,
        lambda: {"messages": [ask(image_part(noise(30_000_000)))]},
        *(*REFUSED_IMAGE, None),
    ),
}
