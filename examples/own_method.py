"""A training method of your own: aggregation whose deployed weights are an average of the steps'.

    python -m examples.own_method

In a run file: method = "examples.own_method:AveragedAggregation"
"""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from data_tools.splitting import split_dataset
from data_tools.synth.dataset import synthesise
from mfr.config import make_run_config
from mfr.training import trainer
from mfr.training.methods.aggregation import RandomAggregation
from mfr.training.methods.network import FaceNetwork


class AveragedAggregation(RandomAggregation):
    """Keeps an exponential moving average of the backbone's weights, also across a resumption."""

    def attach(self, network: FaceNetwork) -> None:
        super().attach(network)
        self.average = {
            name: weight.detach().clone() for name, weight in network.backbone.named_parameters()
        }

    def after_step(self, network: FaceNetwork, step: int) -> None:
        keep = float(self.config.options.get("keep", 0.9))  # type: ignore[arg-type]
        for name, weight in network.backbone.named_parameters():
            self.average[name].mul_(keep).add_(weight.detach(), alpha=1 - keep)

    def state_dict(self) -> dict[str, Tensor]:
        return self.average

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        for name, tensor in tensors.items():
            self.average[name].copy_(tensor)


def main() -> None:
    data, domains = Path("own-method/data"), ["daylight", "nir"]
    synthesise(data, identities=16, images=3, domains=domains, seed=0)
    split_dataset(data, test=0.3, val=0.2, seed=0)
    config = {
        **{"data": data, "sources": domains, "backbone": "smallfacenet"},
        **{"method": "examples.own_method:AveragedAggregation", "options": {"keep": 0.8}},
        **{"steps": 5, "identities": 4, "beta": 0.1},
    }
    result = trainer.start(make_run_config(config), "own-method/run")
    print(f"{result.step} steps; the model is {result.model}")


if __name__ == "__main__":
    main()
