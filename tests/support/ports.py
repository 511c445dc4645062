"""Ports for servers that tests start."""

from deploy.brokers.ports import free_port

__all__ = ["free_port"]
