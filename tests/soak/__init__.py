"""A long run of mixed chats with everything that happens to a fleet inside: what fails, what leaks."""
