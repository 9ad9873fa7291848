"""Whether the servers can do their work: probes, the verdict of `/readyz`, the remedies of `skyhold doctor`."""
