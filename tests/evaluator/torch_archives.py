"""Archives of torch's, written anew with something else in them."""

import zipfile


def changed(path, change, which="data.pkl", **options):
    """Write an archive anew with other records: the pickle, or those whose names end otherwise."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, change(data) if name.endswith(which) else data, **options)
