"""Imported by the server that trials are forked from, for what its imports cost.

The first optimiser of a process makes torch import its compiler, two seconds that every child
would spend again.
"""

import torch

from . import local

torch.optim.AdamW([torch.zeros(1)])

__all__ = ["local"]
