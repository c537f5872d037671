"""Layers whose second derivatives are as fast as their first.

PyTorch has no fast kernels for the derivatives of the backward passes of convolution, batch
normalisation and PReLU. All three layers are closed under differentiation, though: derivatives of
any order consist of the same few operations, which do have fast kernels. While `closed_layers` is
entered, such functions replace PyTorch's in any network; values and gradients stay the same up to
rounding. There is a module with the formulas of each layer.

Attention and weight normalisation are slower when spelt out, so they are replaced only where a
second derivative will be taken (`differentiated_twice`), which PyTorch's fused kernels do not have,
or have wrong.

Under `torch.func.vmap`, T tasks with separate parameters become T groups of channels.
"""

from mfr.meta.closed_layers.mode import CLOSED, Layers, closed_layers, differentiated_twice

__all__ = ["CLOSED", "Layers", "closed_layers", "differentiated_twice"]
