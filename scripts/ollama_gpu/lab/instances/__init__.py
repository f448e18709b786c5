"""Each running EC2 instance of the embedded AWS as a systemd container with a metadata service of its own."""

from .following import container, metadata_container, reconcile

__all__ = ["container", "metadata_container", "reconcile"]
