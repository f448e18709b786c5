"""A typed interface to Terraform.

Modules: run Terraform (adapter), parse its output (events, errors, causes), find it (installation).
"""
