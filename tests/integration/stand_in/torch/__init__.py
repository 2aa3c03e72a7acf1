"""In the place of jtorch's: not PyTorch."""
