"""What a model is called and where it comes from, as sentences and not as settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mfr.model_record import ModelRecord

_DRAWN: Final = re.compile(r"(.+) on (.+), seed \d+")
_TOLD: Final = frozenset({"method", "steps", "identities", "init", "sources", "weights", "seed"})
"""Settings of a recipe that have a place in its first sentence."""


def names_of(models: Sequence[str]) -> list[str]:
    """Short names of models, all different: of 'runs/first/model.safetensors' it is 'first'.

    Args:
        models: paths of files, or names of pretrained models.
    """
    names: list[str] = []
    for model in models:
        name, number = _short(model), 2
        while name in names:
            name, number = f"{_short(model)}-{number}", number + 1
        names.append(name)
    return names


def _short(model: str) -> str:
    path = Path(model)
    # The name that 'mfr train' gives every model says nothing, its directory does.
    if path.name == "model.safetensors" and path.absolute().parent.name:
        return path.absolute().parent.name
    return path.stem if path.suffix else path.name


def title_of(record: ModelRecord, name: str = "") -> str:
    """The run, its method and its network: 'first (mfr, mobilefacenet)'."""
    method = str(record.recipe.get("method", ""))
    if not name:
        return f"{record.backbone} ({method})" if method else record.backbone
    details = [one for one in (method, record.backbone) if one and one != name]
    return f"{name} ({', '.join(details)})" if details else name


def recipe_sentences(record: ModelRecord) -> list[str]:
    """How a model was trained: what matters most in a sentence, then every other setting."""
    recipe = record.recipe
    if not recipe:
        return ["How it was trained is not recorded."]
    if "method" not in recipe:
        weights = recipe.get("weights")
        told = f"The weights are those of {weights}" if weights else "Weights of another program"
        return [f"{told}; how they were trained is not recorded."]
    parts = [f"Trained by {recipe['method']}"]
    if "steps" in recipe:
        parts.append(f"for {recipe['steps']} steps")
    if "identities" in recipe:
        parts.append(f"of {recipe['identities']} identities a side")
    start = recipe.get("init")
    parts.append(f"from the weights {start}" if start else "from random weights")
    if "seed" in recipe:
        parts.append(f"with seed {recipe['seed']}")
    others = {key: value for key, value in recipe.items() if key not in _TOLD}
    return [f"{' '.join(parts)}.", *([f"Settings: {in_words(others)}."] if others else [])]


def data_sentences(record: ModelRecord) -> list[str]:
    """What a model was trained on."""
    data = record.data
    if not data:
        return ["What it was trained on is not recorded."]
    if "sources" not in data:
        return [f"Trained on {data['name']}." if "name" in data else f"{in_words(data)}."]
    sources = list(data["sources"])
    if not sources:
        return ["It was trained on no domain."]
    sentences = [f"Trained on {_domains(sources)}{_how_many(data)}."]
    if simulated := list(data.get("simulated", ())):
        sentences.append(f"Beside them stood simulated domains: {_listed(simulated)}.")
    left = {name: count for name, count in dict(data.get("left_out") or {}).items() if count}
    if left:
        told = ", ".join(f"{count} of {name}" for name, count in left.items())
        sentences.append(f"Left out were identities with a single image: {told}.")
    if isinstance(split := data.get("split"), Mapping):
        sentences.append(f"The split of its dataset: {in_words(split)}.")
    return sentences


def domain_status(record: ModelRecord, domain: str, made_from: Iterable[str | None] = ()) -> str:
    """Whether a model was trained on a domain, in a word or two.

    'seen' if it was a source; 'simulated from SOURCE' if such a condition was drawn on a source in
    training; 'drawn on SOURCE, which was seen' if its pictures were made of a source's, by a
    condition that was not drawn in training; 'unseen' otherwise; 'not known' where the model does
    not say.

    Args:
        domain: its name.
        made_from: where its images come from, the manifest's column ``source``, in which
            'mfr data simulate' writes 'CONDITION on SOURCE, seed 0'.
    """
    if "sources" not in record.data:
        return "not known"
    sources = record.data["sources"]
    if domain in sources:
        return "seen"
    drawn = {
        match.groups() for text in set(made_from) if text and (match := _DRAWN.fullmatch(text))
    }
    simulated = []
    for one in record.data.get("simulated", ()):
        source, _, condition = str(one).partition("+")
        named = condition and _names_condition(domain, source, condition)
        if domain == one or named or (condition, source) in drawn:
            simulated.append(source)
    if simulated:
        return f"simulated from {_listed(simulated)}"
    seen = sorted({source for _, source in drawn if source in sources})
    if not seen:
        return "unseen"
    return f"drawn on {_listed(seen)}, which {'was' if len(seen) == 1 else 'were'} seen"


def _names_condition(domain: str, source: str, condition: str) -> bool:
    """Whether a domain is called after a condition on a source: lfw_mask, lfw-low-resolution."""
    plain, wanted = (text.lower().replace("-", "_") for text in (domain, f"{source}_{condition}"))
    return plain == wanted


def in_words(value: Any) -> str:
    """Settings as words: names with spaces, values after them; what is empty is left out."""
    if isinstance(value, Mapping):
        told = [
            f"{str(key).replace('_', ' ')} {in_words(one)}"
            for key, one in value.items()
            if one not in (None, "", {}, [])
        ]
        return ", ".join(told)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return _listed(in_words(one) for one in value)
    return str(value)


def _how_many(data: Mapping[str, Any]) -> str:
    counts = [f"{data[key]} {key}" for key in ("identities", "images") if key in data]
    return f": {' and '.join(counts)}" if counts else ""


def _domains(names: Sequence[str]) -> str:
    return f"{'domain' if len(names) == 1 else 'domains'} {_listed(names)}"


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    return " and ".join([", ".join(every[:-1]), every[-1]] if len(every) > 1 else every)
