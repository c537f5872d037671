"""Packs: many encoded images in few files, unpacked beside the manifest as they are.

A module a format gives a `Pack`; `data_tools.importing.packs.unpacking.import_pack` does the rest.
"""
