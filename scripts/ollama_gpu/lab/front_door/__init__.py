"""The load balancers of an environment as one HAProxy that follows the embedded Elastic Load Balancing."""

from .door import IMAGE, FrontDoor
from .health import TargetHealth
from .metrics import Traffic
from .ports import Ports, ports
from .view import FrontDoorView, read

__all__ = ["IMAGE", "FrontDoor", "FrontDoorView", "Ports", "TargetHealth", "Traffic", "ports", "read"]
