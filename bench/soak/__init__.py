"""A long run of mixed chats during everything that can happen to a fleet: which chats fail, and what leaks."""
