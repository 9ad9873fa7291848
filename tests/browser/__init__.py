"""The pages in a real browser; a package, so that its stacks end with it and not with the run."""
