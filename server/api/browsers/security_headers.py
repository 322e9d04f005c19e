"""Headers of pages: they load nothing from elsewhere, and no other page may frame them."""


def build_security_headers(
    *, script: str = "'self'", style: str = "'self'", base: str = "'none'"
) -> dict[str, str]:
    """Return the headers; `script`, `style` and `base` are sources of a Content-Security-Policy."""
    policy = (
        f"default-src 'none'; script-src {script}; style-src {style}; img-src 'self' data: blob:; "
        f"connect-src 'self'; base-uri {base}; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "cache-control": "no-cache",
        "content-security-policy": policy,
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
