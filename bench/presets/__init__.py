"""Versioned benchmark presets, one TOML file each."""
