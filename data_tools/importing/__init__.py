"""Importers, which turn published datasets into manifest rows, with their licence and protocols.

There is one module for each format. All of them end in `data_tools.importing.adding.add_rows`.
"""
