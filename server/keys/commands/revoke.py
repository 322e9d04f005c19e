"""`revoke`: ends a key."""

from server.keys.commands.options import DEFAULT_FILE, KeysFile, Name
from server.keys.commands.tables import find_table, set_field
from server.keys.edit import edit_keys


def revoke_key(name: Name, keys_file: KeysFile = DEFAULT_FILE) -> None:
    """End a key: new requests with it get 401. To free its name, delete its table in the file."""
    with edit_keys(keys_file) as document:
        set_field(find_table(document, name, keys_file), "disabled", True)
    print(f"'{name}' is revoked.")
