"""How many users an environment serves: streams, slots, memory, processes, instances; and a day of it, simulated."""
