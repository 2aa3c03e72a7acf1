"""What Jittor compiles: with less work, with a word on how far it is, and ahead of the first run."""
