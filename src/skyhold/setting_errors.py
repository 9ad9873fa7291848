"""What a program ends with at its start if a setting is missing or cannot be meant."""


class MissingSettingError(Exception):
    """A setting that has no default is not set; the message names it."""


class BadSettingError(Exception):
    """A setting has a value that cannot be meant; the message names it and says what would be right."""
