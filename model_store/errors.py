"""Errors about stored models.

StoreError           the message is written for the user
├─ UnknownModel      no model of that name or at that path
├─ NoManifest        the model's folder holds no manifest, so nothing can be checked
├─ InvalidManifest   this version cannot read the manifest
├─ ConversionError   a release cannot be converted as it stands
└─ PullError         the hub refused, or a download differs from its listing
   └─ PickleRefused  the weights are pickles only, and loading a pickle runs code
"""


class StoreError(Exception):
    """The base of all errors that end a command with a message instead of a traceback."""


class UnknownModel(StoreError):
    """No model of that name or at that path; the message lists the places searched."""


class NoManifest(StoreError):
    """The model's folder holds no manifest."""


class InvalidManifest(StoreError):
    """The manifest is malformed; the message names the field."""


class ConversionError(StoreError):
    """The release cannot be converted as it stands; the message names the file or the key."""


class PullError(StoreError):
    """A model could not be pulled from the hub."""


class PickleRefused(PullError):
    """The repository has its weights as pickles only."""
