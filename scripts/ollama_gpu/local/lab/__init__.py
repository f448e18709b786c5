"""The lab of ENV=local: containers on one machine in place of EC2, load balancers, data stores and download sites.

Roles install real software in it, the same way as in production.
"""
