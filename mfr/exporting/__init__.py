"""A model written down for other programs: its graph, what it agrees with, and in int8 a guard."""
