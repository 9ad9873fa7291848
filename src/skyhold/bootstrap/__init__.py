"""The only place where objects meet: settings become pools, clients and stores, and those a worker or an API.

One module for each thing that is put together, so that a command loads no more than it needs.
"""
