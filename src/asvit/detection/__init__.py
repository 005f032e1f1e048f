"""Detection (Section 5.3): Cascade Mask R-CNN on the backbones that asvit designs, and on those of timm."""
