"""Stands in for the CloudWatch agent on an instance of the lab, by the agent's own configuration file.

Runs inside the instance with what Debian has: Python's standard library and boto3. It does what the configuration
says, and ends with a sentence where that asks for something that it cannot do.
"""
