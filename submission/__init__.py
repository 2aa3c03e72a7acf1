"""Check, pack and verify an entry to the contest. Standard library, PyYAML and Pillow only."""
