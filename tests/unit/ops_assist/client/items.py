"""Items for tests of the pure parts."""

from ops_assist.client.outbox import Item


def item(name: str, *, service: str = "checkout", urgent: bool = False, size: int = 10) -> Item:
    """An item of `size` bytes."""
    return Item(name, service, urgent, b"x" * size)
