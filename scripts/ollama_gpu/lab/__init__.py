"""The lab: stands in for the outside world on one machine, so that roles install real things by production's ways."""
