"""Capacity planning, simulation of a day, and cost estimates of an environment."""
