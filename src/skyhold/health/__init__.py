"""Health of the servers: probes, the verdict of `/readyz`, the remedies of `skyhold doctor`."""
