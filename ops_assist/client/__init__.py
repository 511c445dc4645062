"""Sends an application's events to the gateway, from `logging` or from asyncio: bounded, retried, never in the way.

Imports the standard library and msgspec alone, so that an application may import it for nothing else.
"""

from ops_assist.client.async_client import AsyncClient
from ops_assist.client.handler import OpsAssistHandler
from ops_assist.client.limits import Limits
from ops_assist.client.stats import Stats

__all__ = ["AsyncClient", "Limits", "OpsAssistHandler", "Stats"]
