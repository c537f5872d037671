"""Modules that a meta learner promises to take unchanged: (n, 2, 3, 3) -> (n, 3), in float64."""

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint


class Aliased(nn.Module):
    """Its parts have two names each."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(18, 5)
        self.head = nn.Linear(5, 3)
        self.whole = nn.Sequential(nn.Flatten(), self.body, nn.Tanh(), self.head)

    def forward(self, x):
        return self.whole(x)


def repeated():
    """One layer twice in a row."""
    layer = nn.Linear(18, 18)
    return nn.Sequential(nn.Flatten(), layer, nn.Tanh(), layer, nn.Tanh(), nn.Linear(18, 3))


def shared_normalisation():
    normalise = nn.BatchNorm2d(2)
    return nn.Sequential(
        normalise, nn.Conv2d(2, 2, 1), normalise, nn.GELU(), nn.Flatten(), nn.Linear(18, 3)
    )


class Tied(nn.Module):
    """A parameter in two modules."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.head = nn.Linear(18, 18), nn.Linear(18, 18), nn.Linear(18, 3)
        self.two.weight = self.one.weight

    def forward(self, x):
        return self.head(self.two(self.one(x.flatten(1)).tanh()).tanh())


class Checkpointed(nn.Module):
    """Runs its body again during the backward pass."""

    def __init__(self, *body):
        super().__init__()
        self.body = nn.Sequential(*body)
        self.head = nn.Linear(18, 3)

    def forward(self, x):
        return self.head(checkpoint(self.body, x, use_reentrant=False).flatten(1))


def checkpointed():
    return Checkpointed(nn.Flatten(), nn.Linear(18, 18), nn.Tanh(), nn.Linear(18, 18), nn.Tanh())


def checkpointed_convolution():
    return Checkpointed(nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2), nn.GELU())


def checkpointed_dropout():
    return Checkpointed(nn.Conv2d(2, 2, 3, padding=1), nn.Tanh(), nn.Dropout(0.5))


def checkpointed_attention():
    return Checkpointed(Attending("scaled dot product"))


class Gated(nn.Module):
    """The features are scaled by the mean square of the head's weight."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(18, 5), nn.Linear(5, 3)

    def forward(self, x):
        features = self.body(x.flatten(1)).tanh()
        return self.head(Reading.apply(features, self.head.weight, self))


class Reading(torch.autograd.Function):
    """x -> x <w^2>, whose backward pass reads w from the network."""

    @staticmethod
    def forward(ctx, x, weight, network):
        ctx.network = network
        ctx.save_for_backward(x)
        return x * weight.square().mean()

    @staticmethod
    def backward(ctx, g):
        (x,), weight = ctx.saved_tensors, ctx.network.head.weight
        return g * weight.square().mean(), (g * x).sum() * 2 * weight / weight.numel(), None


def dropout():
    return nn.Sequential(
        nn.Flatten(), nn.Linear(18, 6), nn.Tanh(), nn.Dropout(0.5), nn.Linear(6, 3)
    )


class Attending(nn.Module):
    """Self-attention over nine positions of two channels, by one of PyTorch's ways."""

    def __init__(self, way):
        super().__init__()
        self.way = way
        if way == "transformer":
            self.layer = nn.TransformerEncoderLayer(2, 2, 4, dropout=0.0, batch_first=True)
        elif way == "multi-head":
            self.layer = nn.MultiheadAttention(2, 2, batch_first=True)
        else:
            self.layer = nn.Linear(2, 6)

    def forward(self, x):
        x = x.flatten(2).transpose(1, 2)
        if self.way == "transformer":
            return self.layer(x)
        if self.way == "multi-head":
            return self.layer(x, x, x, need_weights=False)[0]
        return x + scaled_dot_product_attention(*self.layer(x).chunk(3, -1))


def attending(way):
    return lambda: nn.Sequential(Attending(way), nn.Flatten(), nn.Linear(18, 3))


class Unused(nn.Module):
    """Has a head that nothing asks for."""

    def __init__(self):
        super().__init__()
        self.auxiliary = nn.Linear(18, 4)
        self.head = nn.Linear(18, 3)

    def forward(self, x):
        return self.head(x.flatten(1)).tanh()


class Remembering(nn.Module):
    """Keeps its last output."""

    def __init__(self):
        super().__init__()
        self.head, self.last, self.kept = nn.Linear(18, 3), None, {}

    def forward(self, x):
        self.last = self.kept["last"] = self.head(x.flatten(1)).tanh()
        return self.last


def weight_normalised():
    """By the hook of torch.nn.utils, which keeps a derived tensor in the layer."""
    body = nn.utils.weight_norm(nn.Linear(18, 5))
    return nn.Sequential(nn.Flatten(), body, nn.Tanh(), nn.Linear(5, 3))


def spectrally_normalised():
    """In training, the estimate of the norm follows the weight, which no derivative sees."""
    body = nn.utils.spectral_norm(nn.Linear(18, 5))
    return nn.Sequential(nn.Flatten(), body, nn.Tanh(), nn.Linear(5, 3))


class Settled(nn.Linear):
    """Always in evaluation mode."""

    def train(self, mode=True):
        return super().train(False)


def settled_spectrally_normalised():
    body = nn.utils.spectral_norm(Settled(18, 5))
    return nn.Sequential(nn.Flatten(), body, nn.Tanh(), nn.Linear(5, 3))


def parametrised():
    body = nn.utils.parametrizations.weight_norm(nn.Linear(18, 5))
    return nn.Sequential(nn.Flatten(), body, nn.Tanh(), nn.Linear(5, 3))


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.body, self.head = kind(2, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.body(x.flatten(2).transpose(1, 2))[0][:, -1])


class Reassigning(nn.Module):
    """Puts a new tensor in its buffer's place instead of changing it."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(18, 3)
        self.register_buffer("mean", torch.zeros(18))

    def forward(self, x):
        x = x.flatten(1)
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
        return self.head(x - self.mean).tanh()


AWKWARD = {
    "aliased": Aliased,
    "repeated": repeated,
    "shared normalisation": shared_normalisation,
    "tied": Tied,
    "checkpointed": checkpointed,
    "checkpointed convolution": checkpointed_convolution,
    "checkpointed dropout": checkpointed_dropout,
    "checkpointed attention": checkpointed_attention,
    "reading in backward": Gated,
    "dropout": dropout,
    "scaled dot product": attending("scaled dot product"),
    "multi-head": attending("multi-head"),
    "transformer": attending("transformer"),
    "unused": Unused,
    "remembering": Remembering,
    "weight norm": weight_normalised,
    "spectral norm": spectrally_normalised,
    "settled spectral norm": settled_spectrally_normalised,
    "parametrised": parametrised,
    "LSTM": lambda: Recurrent(nn.LSTM),
    "GRU": lambda: Recurrent(nn.GRU),
    "reassigning": Reassigning,
}

NOT_SMOOTH = {"spectral norm"}
"""Whose derivatives are not those of differences."""
NO_FORWARD_MODE = {"reading in backward", "spectral norm"}
"""Whose operations PyTorch cannot differentiate in forward mode."""
NO_STACK = {
    *("LSTM", "GRU", "spectral norm", "reading in backward"),
    *("checkpointed", "checkpointed convolution", "checkpointed dropout"),
    "checkpointed attention",
}
"""What does not run under vmap, or not twice."""
