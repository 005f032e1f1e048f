"""Hand a network over to other tools: timm's folders, ONNX, torch.export, with a model card; each file is checked."""
