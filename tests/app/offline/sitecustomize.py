"""On the path of an app under test, Python imports this first: a machine without network, which keeps a list of the hosts that were asked for."""

from __future__ import annotations

import os
import sys
from typing import Any

OWN = {None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0"}


def refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host not in OWN:
        with open(os.environ["FOREIGN_HOSTS"], "a") as log:
            log.write(f"{host}\n")
        raise OSError(f"no network here: {host}")


sys.addaudithook(refuse)
