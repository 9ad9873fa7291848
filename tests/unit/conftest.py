"""Property tests without a deadline: a slow example is not a counterexample."""

from hypothesis import settings

settings.register_profile("skyhold", deadline=None, database=None)
settings.load_profile("skyhold")
