"""Layers whose second derivatives are as fast as their first.

PyTorch differentiates the backward pass of a convolution, of batch normalisation and of PReLU by
slow detours. All three are closed under differentiation, though: what a derivative of any order
needs is again one of a few operations that have fast kernels. `closed_layers` puts such functions
in PyTorch's place while a network runs, whatever network it is; values and gradients stay what they
are up to rounding. A module a layer holds its formulas.

Under `torch.func.vmap`, T tasks with parameters of their own are T groups of channels.
"""

from mfr.meta.closed_layers.mode import closed_layers

__all__ = ["closed_layers"]
