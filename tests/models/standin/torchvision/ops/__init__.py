"""Of torchvision.ops."""
