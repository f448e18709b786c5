"""Supplies that the lab serves in place of public download sites, one module each; their inputs are in their keys."""
