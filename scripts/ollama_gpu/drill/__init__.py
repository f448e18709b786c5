"""The rehearsal of a disaster: content is written, backed up, destroyed for real, restored, and looked at."""
