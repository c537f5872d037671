"""Packs, which hold many encoded images in few files, are unpacked unchanged beside the manifest.

Each format has a module with its `Pack`; `data_tools.importing.packs.unpacking.import_pack` does
everything else.
"""
