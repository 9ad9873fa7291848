"""A whole Skyhold on one machine, in the extra `embedded`: real servers from wheels, `skyhold up`, simulated customers.

The service never imports it; `skyhold` finds its commands by their entry points.
"""
