"""Layers as compiled kernels for the CPU, where Jittor's own graph of small operations is slow."""
