"""One HAProxy that serves an environment's load balancers, as the embedded Elastic Load Balancing describes them."""

from .front_door import IMAGE, FrontDoor
from .health import TargetHealth
from .metrics import Traffic
from .ports import Ports, ports
from .view import FrontDoorView, read

__all__ = ["IMAGE", "FrontDoor", "FrontDoorView", "Ports", "TargetHealth", "Traffic", "ports", "read"]
