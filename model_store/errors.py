"""What can go wrong with stored models.

StoreError           the message is written for whoever asked for the model
├─ UnknownModel      no model of that name or at that path
├─ NoManifest        the model's folder holds no manifest, so nothing can be checked
├─ InvalidManifest   the manifest is not one that this version reads
├─ ConversionError   a release cannot be converted as it stands
└─ PullError         the hub did not give the model, or what came is not what it announced
   └─ PickleRefused  the weights are pickles only, and loading a pickle runs code
"""


class StoreError(Exception):
    """Base of all errors that end a command with a message instead of a traceback."""


class UnknownModel(StoreError):
    """There is no model of that name or at that path; the message says where was looked."""


class NoManifest(StoreError):
    """The model came without a manifest."""


class InvalidManifest(StoreError):
    """The manifest is malformed; the message names the field."""


class ConversionError(StoreError):
    """The release cannot be converted as it stands; the message names the file or the key."""


class PullError(StoreError):
    """A model could not be pulled from the hub."""


class PickleRefused(PullError):
    """The repository has its weights as pickles only."""
