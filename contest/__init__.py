"""What a contest, an entry on disk, a finding and an error are; imports the standard library, PyYAML and click only.

Pillow is asked for inside the functions that look at pixels or draw letters. Everything else stands on this package.
"""
