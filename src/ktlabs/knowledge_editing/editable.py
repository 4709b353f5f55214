"""Two networks whose facts can be edited, the facts, and what is asked after an edit.

`Associative` is a small network over frozen sentence embeddings, trained on real facts of countries and
elements; `Language` is SmolLM2 from one of its blocks on. Both are seen through one linear map, as
`ktlabs.knowledge_editing.editors` needs it.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from ktlabs.bench import facts, models, sentences
from ktlabs.bench.losses import cross_entropy
from ktlabs.bench.models import LanguageModel
from ktlabs.bench.nets import Params, Population, fit, mlp
from ktlabs.knowledge_editing.editors import Editor, Network

#: What is asked of a country and of an element. Editors see 'edit' alone; 'trained' are further prompts of
#: the associative network's training, and all else is held out from it.
_TEXTS = (
    {
        "edit": ("The capital of {name} is",),
        "trained": ("Seat of the government of {name}:",),
        "paraphrase": (
            "The capital city of {name} is called",
            "The government of {name} sits in the city of",
        ),
        "other": ("{name} is a country on the continent of",),
        "alias": ("The capital of {alias} is",),
        "two-hop": ("The capital of the country of the {demonym} people is",),
    },
    {
        "edit": ("The chemical symbol for {name} is",),
        "trained": ("Short form of the element {name}:",),
        "paraphrase": ("The chemical symbol of {name} is", "On the periodic table, {name} has the symbol"),
        "other": ("The element {name} is one of the",),
    },
)


@dataclass(frozen=True, eq=False)
class Facts:
    """Facts that can be edited, and what is asked of each.

    Attributes
    ----------
    texts : tuple of str
        All prompts.
    ends : tuple of str
        Each edit prompt up to the end of its subject.
    asked : dict of str to Tensor
        Numbers of prompts in `texts` by what they ask, shape (N, m); -1 where a fact has none.
    kind : Tensor, shape (N,)
        0 for the capital of a country, 1 for the symbol of an element.
    answers, others : tuple of str
        To the edit prompt and to the other relation's.
    near : Tensor, shape (N, N)
        Cosine of two facts' edit prompts; -1 for facts of another kind.
    """

    texts: tuple[str, ...]
    ends: tuple[str, ...]
    asked: Mapping[str, Tensor]
    kind: Tensor
    answers: tuple[str, ...]
    others: tuple[str, ...]
    near: Tensor

    def neighbours(self, places: Tensor, allowed: Tensor, count: int = 5) -> Tensor:
        """Return the facts most alike to each edited one, from (P, n) to (P, n, count).

        Parameters
        ----------
        places : Tensor, shape (P, n)
            The facts that are edited in a row; none of them is a neighbour.
        allowed : Tensor of bool, shape (P, N)
        count : int, optional
        """
        free = allowed.scatter(1, places, False)
        return self.near[places].masked_fill(~free[:, None], -2.0).topk(count, dim=-1, sorted=True).indices


@cache
def country_and_element_facts(countries: int, elements: int) -> Facts:
    """Return the capitals of the most populous countries and the symbols of the lightest elements.

    Countries whose name tells their capital are left out, and those without another name in plain letters.
    """
    chosen = [
        (
            0,
            {"name": own.name, "alias": max(own.aliases, key=len), "demonym": own.demonym},
            own.capital,
            own.region,
        )
        for own in (_plain(own) for own in facts.countries())
        if not own.tells and own.aliases and own.demonym and own.code not in ("SCG", "MDA")
    ][:countries]
    table = facts.elements()[:elements]
    chosen += [
        (1, {"name": name.lower()}, symbol, series)
        for name, symbol, series in zip(table["name"], table["symbol"], table["series"], strict=True)
    ]
    texts: list[str] = []
    asked: dict[str, list[list[int]]] = {name: [] for name in _TEXTS[0]}
    for kind, words, _, _ in chosen:
        for name, places in asked.items():
            templates = _TEXTS[kind].get(name, ())
            places.append(list(range(len(texts), len(texts) + len(templates))) or [-1])
            texts += [template.format(**words) for template in templates]
    numbers = {name: torch.tensor(places) for name, places in asked.items()}
    kinds = torch.tensor([kind for kind, *_ in chosen])
    embedded = sentences.embed([texts[place] for place in numbers["edit"][:, 0].tolist()])
    alike = kinds[:, None] == kinds
    return Facts(
        texts=tuple(texts),
        ends=tuple(
            _TEXTS[kind]["edit"][0].split("{name}")[0] + words["name"] for kind, words, _, _ in chosen
        ),
        asked=numbers,
        kind=kinds,
        answers=tuple(answer for *_, answer, _ in chosen),
        others=tuple(other for *_, other in chosen),
        near=torch.where(alike, embedded @ embedded.T, -1.0),
    )


@dataclass(frozen=True)
class Edits:
    """What is to be edited in each row.

    Attributes
    ----------
    places, targets : Tensor, shape (P, n)
        The facts, and the numbers of their new answers.
    near : Tensor, shape (P, n, j)
        Facts that shall stay: each one's nearest.
    """

    places: Tensor
    targets: Tensor
    near: Tensor

    def repeat(self, times: int) -> Edits:
        """Return the same edits for so many times as many rows."""
        return Edits(
            *(own.repeat(times, *[1] * (own.dim() - 1)) for own in (self.places, self.targets, self.near))
        )


def counterfactuals(
    known: Facts, numbers: Tensor, places: Tensor, allowed: Tensor, seeds: Sequence[int]
) -> Edits:
    """Draw a false answer for each fact: that of another one of its kind.

    Parameters
    ----------
    known : Facts
    numbers : Tensor, shape (N,)
        Of each fact's answer.
    places : Tensor, shape (S, n)
    allowed : Tensor of bool, shape (S, N)
        Facts that may be asked as neighbours.
    seeds : sequence of int
    """
    targets = []
    for seed, own in zip(seeds, places, strict=True):
        rng = np.random.default_rng((seed, 32))
        for place in own:
            others = numbers[(known.kind == known.kind[place]) & (numbers != numbers[place])]
            targets.append(others[rng.integers(len(others))])
    return Edits(places, torch.stack(targets).reshape(places.shape), known.neighbours(places, allowed))


def _plain(country: facts.Country) -> facts.Country:
    return dataclasses.replace(country, aliases=tuple(own for own in country.aliases if own.isascii()))


def judge(editor: Editor, network: Network, known: Facts, edits: Edits) -> dict[str, Tensor]:
    """Return what an edit did, as shares of right answers a row, shape (P,); NaN where nothing is asked.

    Parameters
    ----------
    editor : callable
    network : Network
    known : Facts
    edits : Edits

    Returns
    -------
    dict of str to Tensor
        reliability, generality, alias and two-hop: new answer to the edit prompt, to paraphrases, of the
        subject under another name and under a description; locality and other relation: answers as before,
        of the neighbours, and to another question about the subject.
    """
    edited = editor(network, known.asked["edit"][edits.places, 0], edits.targets)
    new = {"reliability": "edit", "generality": "paraphrase", "alias": "alias", "two-hop": "two-hop"}
    asked = {metric: known.asked[name][edits.places] for metric, name in new.items()}
    asked |= {
        "locality": known.asked["edit"][edits.near, 0],
        "other relation": known.asked["other"][edits.places],
    }
    together = torch.cat([prompts.flatten(1) for prompts in asked.values()], dim=1)
    together = torch.where(together < 0, together[:, :1], together)  # what is not asked costs little
    widths = [prompts[0].numel() for prompts in asked.values()]
    after = torch.split(edited(together), widths, dim=1)
    before = torch.split(network.log_probs(together).argmax(dim=-1), widths, dim=1)
    found = {}
    for (metric, prompts), now, earlier in zip(asked.items(), after, before, strict=True):
        wanted = (
            edits.targets[..., None].expand(prompts.shape)
            if metric in new
            else earlier.reshape(prompts.shape)
        )
        there = prompts >= 0
        right = (now.reshape(prompts.shape) == wanted) & there
        found[metric] = right.sum(dim=(1, 2)) / there.sum(dim=(1, 2))
    return found


def harmonic(*shares: Tensor) -> Tensor:
    """Return the harmonic mean of shares, 0 where one is 0."""
    together = torch.stack(shares)
    return torch.where((together > 0).all(dim=0), len(shares) / (1 / together).sum(dim=0), 0.0)


class Associative:
    """Networks 384-128-64-answers over frozen sentence embeddings; their middle map is edited.

    Parameters
    ----------
    params : dict of str to Tensor
        Of S networks, as `train` returns them.
    inputs : Tensor, shape (N, 384)
        Embeddings of all prompts.
    rows : Tensor, shape (P,)
        Which network each row is a copy of.
    """

    def __init__(self, params: Params, inputs: Tensor, rows: Tensor, table: Tensor | None = None) -> None:
        if table is None:
            table = (inputs @ params["0.weight"].mT + params["0.bias"][:, None]).relu()
        self._params, self._inputs, self._rows, self._table = params, inputs, rows, table
        self.weight = params["2.weight"][rows]
        self._bias, self._head, self._last = (params[name][rows] for name in ("2.bias", "4.weight", "4.bias"))

    def on(self, rows: Tensor) -> Associative:
        """As `Network` says; rows may come more than once."""
        if torch.equal(rows, torch.arange(len(self._rows))):
            return self
        return Associative(self._params, self._inputs, self._rows[rows], self._table)

    def keys(self, prompts: Tensor) -> Tensor:
        """As `Network` says; a prompt has one key only."""
        return self._table[self._rows[:, None], prompts]

    def log_probs(
        self, prompts: Tensor, change: Tensor | None = None, values: Tensor | None = None
    ) -> Tensor:
        """As `Network` says."""
        if values is None:
            weight = self.weight if change is None else self.weight + change
            values = self.keys(prompts) @ weight.mT
        hidden = (values + self._bias[:, None]).relu()
        found: Tensor = (hidden @ self._head.mT + self._last[:, None]).log_softmax(dim=-1)
        return found

    def features(self, prompts: Tensor) -> Tensor:
        """As `Network` says: the embeddings."""
        found: Tensor = self._inputs[prompts] / 384**0.5
        return found


def train(
    known: Facts, seeds: Sequence[int], steps: int = 60, batch: int = 128
) -> tuple[Associative, Tensor]:
    """Train an associative network a seed on what is asked in training.

    Returns
    -------
    tuple
        The networks, one a row, and the number of each fact's answer, shape (N,).
    """
    words = {word: n for n, word in enumerate(dict.fromkeys((*known.answers, *known.others)))}
    own, other = (torch.tensor([words[word] for word in part]) for part in (known.answers, known.others))
    inputs = 384**0.5 * sentences.embed(known.texts)  # elements of size one
    prompts = torch.cat([known.asked[name][:, 0] for name in ("edit", "trained", "other")])
    labels = torch.cat([own, own, other])
    net = Population(lambda: mlp(384, 128, 64, len(words)), seeds)
    drawn = [np.random.default_rng((seed, 31)) for seed in seeds]

    def loss(params: Params, _: int) -> Tensor:
        at = torch.tensor(np.stack([rng.integers(0, len(prompts), batch) for rng in drawn]))
        jitter = torch.tensor(np.stack([rng.standard_normal((batch, 384)) for rng in drawn]))
        return cross_entropy(net(params, inputs[prompts[at]] + 0.2 * jitter), labels[at])

    params = fit(net.params, loss, steps=steps, lr=3e-3)
    return Associative(params, inputs, torch.arange(len(seeds))), own


def small(edited: Sequence[int]) -> tuple[Facts, Associative, Tensor, Tensor]:
    """Return thirty elements and one network that knows them, for examples that take less than a second.

    Parameters
    ----------
    edited : sequence of int
        Elements that give no ordinary prompts; of the others, every second one does, from hydrogen on.

    Returns
    -------
    tuple
        The facts, the network, the number of each fact's answer, shape (30,), and the keys of ordinary
        prompts, shape (1, m, 128).
    """
    known = country_and_element_facts(0, 30)
    net, numbers = train(known, [0])
    ordinary = [place for place in range(0, 30, 2) if place not in edited]
    prompts = torch.cat([known.asked[name][ordinary, 0] for name in ("edit", "trained", "other")])
    return known, net, numbers, net.keys(prompts[None])


@cache
def _rest(block: int) -> LanguageModel:
    """Return the blocks of the language model from one on, as a model that takes residuals for tokens."""
    model = models.language_model()
    kept = {}
    for name, weight in model.weights.items():
        parts = name.split(".")
        if parts[0] != "blk":
            kept[name] = weight
        elif int(parts[1]) >= block:
            kept[".".join(["blk", str(int(parts[1]) - block), *parts[2:]])] = weight
    return LanguageModel(kept, model.tokenizer)


class Language:
    """SmolLM2 from a block on; the last matrix of that block's MLP is edited.

    Parameters
    ----------
    known : Facts
    edits : Edits
        What will be edited: its prompts, and all that is asked after it, are computed up to the block.
    block : int

    Notes
    -----
    Answers are numbers of tokens: the first of each answer's.
    """

    def __init__(self, known: Facts, edits: Edits, block: int) -> None:
        model = models.language_model()
        asked = [own[edits.places].flatten() for own in known.asked.values()]
        places = torch.cat([*asked, known.asked["edit"][edits.near].flatten()])
        places = torch.tensor(sorted({place for place in places.tolist() if place >= 0}))
        texts = [known.texts[place] for place in places.tolist()]
        tokens = model.tokens(texts)
        self._texts, self._lengths = texts, torch.tensor([len(own) for own in tokens])
        self._residuals = models.activations(texts, block - 1, every=True)
        begins = [tuple(own[: end + 1]) for own in tokens for end in range(len(own))]
        first = {begin: place for place, begin in reversed([*enumerate(begins)])}
        ids = torch.tensor([first[begin] for begin in begins])  # texts that begin alike share these
        self._ids = torch.nn.utils.rnn.pad_sequence(
            list(torch.split(ids, self._lengths.tolist())), batch_first=True
        )
        self._own = torch.full((len(known.texts),), -1)
        self._own[places] = torch.arange(len(places))
        ends = [known.ends[place] for place in edits.places.flatten().tolist()]
        edited = self._own[known.asked["edit"][edits.places.flatten(), 0]]
        self._at = torch.full((len(places),), -1)
        self._at[edited] = torch.tensor([len(own) - 1 for own in model.tokens(ends)])
        self._keys = torch.zeros(len(places), 1536, dtype=self._residuals.dtype)
        self._keys[edited] = models.activations(ends, block, "key")
        self._block, self._unedited = block, dict[str, Tensor]()
        self.weight = model.weights[f"blk.{block}.ffn_down.weight"].expand(len(edits.places), -1, -1)

    def on(self, rows: Tensor) -> Language:
        """As `Network` says."""
        other = copy.copy(self)
        other.weight = self.weight[:1].expand(len(rows), -1, -1)
        return other

    def keys(self, prompts: Tensor) -> Tensor:
        """As `Network` says."""
        return self._keys[self._own[prompts]]

    def log_probs(
        self, prompts: Tensor, change: Tensor | None = None, values: Tensor | None = None, size: int = 16
    ) -> Tensor:
        """As `Network` says; the change acts at every token. Passes take `size` prompts.

        What the unedited model says is computed once, for all prompts.
        """
        rows, n = prompts.shape
        if change is None and values is None:
            if not self._unedited:
                alike = sorted(range(len(self._ids)), key=lambda place: self._ids[place].tolist())
                every = torch.split(torch.tensor(alike), size)
                plain = torch.cat([self._pass(own, None, None, None) for own in every])
                self._unedited["log_probs"] = plain[torch.cat(every).argsort()]
            return self._unedited["log_probs"][self._own[prompts]]
        if change is not None and values is None and rows > 1 < n:  # a change is large: none is copied
            each = zip(prompts.split_with_sizes([1] * rows), change.split_with_sizes([1] * rows), strict=True)
            return torch.cat([self.log_probs(own, its, size=size) for own, its in each])
        row = torch.arange(rows).repeat_interleave(n)
        asked = self._own[prompts.flatten()]
        told = None if values is None else values.flatten(0, 1)
        if n == 1 and rows <= size:
            return self._pass(asked, None, change, told)[:, None]
        order = self._lengths[asked].argsort(stable=True)
        found = [
            self._pass(asked[own], row[own], change, None if told is None else told[own])
            for own in torch.split(order, size)
        ]
        return torch.cat(found)[order.argsort()].reshape(rows, n, -1)

    def _pass(
        self, asked: Tensor, row: Tensor | None, change: Tensor | None, values: Tensor | None
    ) -> Tensor:
        """Return next-token log-probabilities of prompts (b,), each under the change of its row."""
        each, longest = torch.arange(len(asked)), int(self._lengths[asked].max())
        at = self._at[asked]
        seen: dict[str, Tensor] = {}

        def watch(layer: int, place: str, own: Tensor) -> Tensor | None:
            if layer or place == "residual":
                return None
            if place == "key":
                seen["key"] = own
                return None
            if change is not None:
                own = own + seen["key"] @ (change if row is None or len(change) == 1 else change[row]).mT
            return own if values is None else own.index_put((each, at), values)

        model, alike = _rest(self._block), values is None and (change is None or len(change) == 1)
        last = model.blocks(
            self._ids[asked, :longest],
            {"token_embd.weight": self._residuals},
            watch,
            depth=models.DEPTH - self._block,
            lengths=self._lengths[asked] if alike else None,
        )[each, self._lengths[asked] - 1]
        return model.unembed(last).log_softmax(dim=-1)

    def features(self, prompts: Tensor) -> Tensor:
        """As `Network` says: the sentence encoder's embeddings of the prompts."""
        return sentences.embed(self._texts)[self._own[prompts]]


@cache
def known_to_language_model(known: Facts) -> Tensor:
    """Return the places of facts whose answer is, by its first token, what SmolLM2 says, shape (K,)."""
    prompts = [known.texts[place] for place in known.asked["edit"][:, 0].tolist()]
    said = [own.strip() for own in models.complete(prompts, 1)]
    firsts = models.language_model().tokenizer.decode_batch([[own] for own in answer_tokens(known).tolist()])
    return torch.tensor(
        [n for n, (own, first) in enumerate(zip(said, firsts, strict=True)) if own == first.strip()]
    )


def answer_tokens(known: Facts) -> Tensor:
    """Return the first token of each fact's answer, shape (N,)."""
    return models.first_tokens([f" {answer}" for answer in known.answers])


def draws(known: Facts, seeds: Sequence[int], capitals: int, symbols: int) -> Tensor:
    """Draw facts that SmolLM2 knows, shape (S, capitals + symbols).

    Seeds 0 to 7 and 200 to 207 get facts that no other seed gets. What is left over is for choosing
    settings: all other seeds draw from it, and share facts among them.
    """
    firsts, lasts = [], []
    own = known_to_language_model(known)
    for kind, count in enumerate((capitals, symbols)):
        mine = own[known.kind[own] == kind]
        order = mine[torch.tensor(np.random.default_rng(2401).permutation(len(mine)))]
        firsts.append(order[: 16 * count].reshape(16, count))
        lasts.append(order[16 * count :])
    found = []
    for seed in seeds:
        group = seed if seed in range(8) else seed - 192 if seed in range(200, 208) else None
        rng = np.random.default_rng((seed, 33))
        found.append(
            torch.cat(
                [first[group] for first in firsts]
                if group is not None
                else [
                    last[torch.tensor(rng.permutation(len(last))[: first.shape[1]])]
                    for first, last in zip(firsts, lasts, strict=True)
                ]
            )
        )
    return torch.stack(found)


def ordinary_keys(block: int, texts: int = 100, words: int = 22) -> Tensor:
    """Return the keys of a block of SmolLM2 at all tokens of the openings of texts, shape (tokens, 1536).

    The texts are the World Factbook's on the background of countries.
    """
    openings = [" ".join(text.split()[:words]) for text in facts.backgrounds().values()][:texts]
    return models.activations(openings, block, "key", every=True)
