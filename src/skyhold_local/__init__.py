"""A whole Skyhold on one machine, of the extra `embedded`: real servers from wheels, `skyhold up`, a crowd to watch.

The service never imports it; `skyhold` finds its commands by their entry points.
"""
