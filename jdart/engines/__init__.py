"""Other engines than jdart's own: each a process of its own interpreter that trains or draws, and tells how far it is.

`NAME.py` is the stand-alone script that this interpreter runs, `NAME.sh` installs what it needs.
"""
