"""`revoke` and `remove`: end a key, with or without a trace in the file."""

from server.keys.commands.options import DEFAULT_FILE, KeysFile, Name, build_missing_error
from server.keys.commands.tables import find_table
from server.keys.edit import edit_keys
from server.keys.key_file import TABLE


def revoke_key(name: Name, keys_file: KeysFile = DEFAULT_FILE) -> None:
    """End a key: new requests with it get 401. Its name stays taken; to reuse it, `remove`."""
    with edit_keys(keys_file) as document:
        find_table(document, name, keys_file)["disabled"] = True
    print(f"'{name}' is revoked.")


def remove_key(name: Name, keys_file: KeysFile = DEFAULT_FILE) -> None:
    """Take a key out of the file."""
    with edit_keys(keys_file) as document:
        if name not in document.get(TABLE, {}):
            raise build_missing_error(keys_file, name)
        del document[TABLE][name]  # type: ignore[union-attr]  # `edit_keys` has parsed it
    print(f"'{name}' is removed.")
