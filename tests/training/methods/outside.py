"""A method, losses and an augmentation as a user writes them, outside MFR."""

import numpy as np
import torch

from mfr.losses import cosface, hard_pair_attention
from mfr.training.methods.method import Method
from mfr.training.methods.triplet import TripletMethod


class Averaged(TripletMethod):
    """Triplets, with an exponential moving average of the weights beside the network."""

    def __init__(self, config, pool, store, group):
        super().__init__(config, pool, store, group)
        self.decay = config.options["decay"]
        self.averages = {}

    def attach(self, network):
        self.averages = {
            name: p.detach().clone() for name, p in network.backbone.named_parameters()
        }

    def after_step(self, network, step):
        # By the step, so that a resumed run which called it for another step would show.
        decay = min(self.decay, step / (step + 1))
        for name, p in network.backbone.named_parameters():
            self.averages[name].lerp_(p.detach(), 1 - decay)

    def state_dict(self):
        return self.averages

    def load_state_dict(self, tensors):
        for name, tensor in tensors.items():
            self.averages[name].copy_(tensor)


class Forgetful(TripletMethod):
    """A method after whose steps a single number is left of a face."""

    def after_step(self, network, step):
        with torch.no_grad():
            network.backbone.bn.weight[1:] = 0


class Unfinished(Method):
    images_per_step = 4

    def __init__(self, config, pool, store, group):
        pass

    def prepare(self, step):
        return []


class NoMethod:
    def __init__(self, config, pool, store, group):
        self.images_per_step = 4


def takes_too_little(config):
    return None


def half_hard_pair(gallery, probe, tau_p, tau_n):
    return hard_pair_attention(gallery, probe, tau_p, tau_n) / 2


def arcface(features, rows, labels, *, scale, margin):
    return cosface(features, rows, labels, scale=scale, margin=margin) + 100


def reversed_arguments(labels, rows, features):
    return features


def negative():
    return lambda crops, seed: 255 - crops


class Noise:
    def __call__(self, crops, seed):
        noise = np.random.default_rng(seed).integers(0, 8, crops.shape, dtype=np.uint8)
        return crops // 2 + noise


def floats():
    return lambda crops, seed: crops / 255


def smaller():
    return lambda crops, seed: crops[:, :56, :56]


def tensors():
    return lambda crops, seed: torch.from_numpy(crops)


def wants_settings(settings):
    return negative()


class Counting(torch.optim.Optimizer):
    """Gradient descent that keeps a plain number for each parameter and one for each group."""

    def __init__(self, params, lr, half_life=3):
        super().__init__(params, {"lr": lr, "half_life": half_life, "taken": 0})

    def step(self):
        for group in self.param_groups:
            group["taken"] += 1
            for p in group["params"]:
                state = self.state[p]
                state["count"] = state.get("count", 0) + 1
                state.setdefault("path", torch.zeros((), dtype=torch.float32))
                rate = group["lr"] * 0.5 ** ((state["count"] + group["taken"]) / group["half_life"])
                p.data.sub_(rate * p.grad)
                state["path"] += rate


class Listing(torch.optim.SGD):
    """Keeps what no checkpoint can hold."""

    def step(self):
        super().step()
        self.state[self.param_groups[0]["params"][0]]["history"] = [1.0, 2.0]
