"""Errors that end a program at its start: a setting is missing or invalid."""


class MissingSettingError(Exception):
    """A setting that has no default is not set; the message names it."""


class BadSettingError(Exception):
    """A setting has an invalid value; the message names the setting and the right form."""
