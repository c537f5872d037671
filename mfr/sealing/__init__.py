"""Galleries that nobody can read without their key (AES-256-GCM, NIST SP 800-38D).

A gallery's *data key* seals what it holds; the user's *master key* only wraps the data key, so that
a new master key rewrites nothing else.
"""
