"""Where a process of this machine is reached, whatever address it listens on."""

from typing import Final

_EVERY_ADDRESS: Final = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not listened on


def local_url(host: str, port: int) -> str:
    """The address of a port on this machine; `host` is the setting HOST."""
    name = "127.0.0.1" if host in _EVERY_ADDRESS else host
    return f"http://{f'[{name}]' if ':' in name else name}:{port}"
