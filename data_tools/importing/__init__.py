"""Importers: what others ship becomes rows of the manifest, with its licence and its protocol.

One module a format; all end in `data_tools.importing.adding.add_rows`.
"""
