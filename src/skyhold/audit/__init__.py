"""The invariants of product.md, section 4, checked over all stores. It reads and says; repairs are not its business."""
