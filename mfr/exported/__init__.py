"""Exported files: a model's graph in the form of another program, with the model's record in it."""
