"""Jittor on the CPU before any reader of networks is imported."""

from jdart.runtime import start

start("cpu")
