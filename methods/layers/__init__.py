"""Bricks that methods share: positions, the transformer block, the trunk of blocks."""
