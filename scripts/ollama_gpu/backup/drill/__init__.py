"""Disaster drill: create content, back it up, delete it, restore it, and compare."""
