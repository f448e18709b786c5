"""A stand-in for the CloudWatch agent in the lab's instances, because the lab cannot download the agent itself."""

from .installation import ensure as ensure
