"""asvit: design Vision Transformers without training them (As-ViT, ICLR 2022)."""
