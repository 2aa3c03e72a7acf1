"""The sections of a configuration: frozen dataclasses, a module each."""
