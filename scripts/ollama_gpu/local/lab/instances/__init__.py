"""Runs each EC2 instance of the embedded AWS as a systemd container with a metadata service."""

from .reconciliation import container, metadata_container, reconcile

__all__ = ["container", "metadata_container", "reconcile"]
