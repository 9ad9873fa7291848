"""Property tests without a deadline: a busy machine is no counterexample."""

from hypothesis import settings

settings.register_profile("skyhold", deadline=None, database=None)
settings.load_profile("skyhold")
