"""Terraform, typed: running it (adapter), what it says (events, errors, causes), where it comes from (installation)."""
