"""How this node checks that a server is the one it was looking for."""

import ssl
from functools import cache
from pathlib import Path


@cache
def node_tls() -> ssl.SSLContext:
    """Certificates of the system's authorities, host names checked, HTTP/1.1. Cannot be relaxed.

    A machine without a store of its own (small containers) gets the one of `certifi`.
    """
    paths = ssl.get_default_verify_paths()
    context = ssl.create_default_context()
    if not any(path and Path(path).exists() for path in (paths.cafile, paths.capath)):
        import certifi

        context.load_verify_locations(certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
