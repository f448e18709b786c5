"""Replaces the CloudWatch agent on an instance of the lab, with the agent's configuration file.

It runs inside the instance with Debian's packages: Python's standard library and boto3. It follows the configuration,
and exits with a message when the configuration needs something that it does not support.
"""
