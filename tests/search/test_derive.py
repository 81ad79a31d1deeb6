from __future__ import annotations

import copy
from collections import Counter
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from lutbench.errors import UsageError
from lutbench.events import Event, StepProgress
from lutbench.search import derive
from lutbench.search.budget import WINDOW
from lutbench.search.data.digits import digits
from lutbench.search.data.options import DataOptions
from lutbench.search.derive import Derived, Ranking, calibrate, draw_nets, rank
from lutbench.search.finders import Effort, from_theta
from lutbench.search.gates import candidate_mask, fixed_path, probabilities
from lutbench.search.latency import choice_positions, latency_model, net_at
from lutbench.search.objective import Budget, Objective, budget, product
from lutbench.search.supernet import Supernet
from lutbench.search.train import evaluate
from lutbench.space.fbnet import fbnet
from tests.search.made import SMALL, Blobs, made_lut

MODEL = latency_model(made_lut(), SMALL)
FBNET = fbnet(224, 1.0)


def random_probabilities(seed: int = 0, certainty: float = 1.0) -> Tensor:
    mask = candidate_mask(SMALL)
    return probabilities(certainty * torch.randn(mask.shape, generator=torch.Generator().manual_seed(seed)), mask)


def test_the_first_net_is_the_most_probable_and_all_differ() -> None:
    shares = random_probabilities()
    nets = draw_nets(shares, [MODEL], 6, seed=0)
    assert choice_positions(nets[0]) == tuple(shares.argmax(1).tolist())
    assert len({net.candidates_text for net in nets}) == 6
    assert draw_nets(shares, [MODEL], 6, seed=0) == nets != draw_nets(shares, [MODEL], 6, seed=1)


def test_later_nets_are_samples_of_p_theta() -> None:
    shares = random_probabilities(2).double()
    counts: Counter[int] = Counter()
    for seed in range(600):
        counts[choice_positions(draw_nets(shares, [MODEL], 2, seed)[1])[0]] += 1
    found = torch.tensor([counts[position] / 600 for position in range(4)], dtype=shares.dtype)
    first = shares.amax(1).prod()  # the second net is a sample of all but the first, the most probable one
    expected = shares[0].clone()
    expected[shares[0].argmax()] -= first
    torch.testing.assert_close(found, expected / (1 - first), atol=0.06, rtol=0)


def test_a_certain_theta_gives_one_net() -> None:
    assert len(draw_nets(random_probabilities(certainty=1e4), [MODEL], 6, seed=0)) == 1
    with pytest.raises(UsageError):
        draw_nets(random_probabilities(), [MODEL], 0, seed=0)


def test_nets_for_budgets_of_two_devices_keep_to_both() -> None:
    models = [latency_model(made_lut(FBNET, seed, device=f"d{seed}"), FBNET) for seed in (0, 1)]
    shares = torch.full((22, 9), 1 / 9, dtype=torch.float64)
    targets_us = [1.4 * model.net_us(model.fastest) for model in models]
    nets = draw_nets(shares, models, 4, 0, targets_us)
    assert len(nets) == 4
    for net in nets:
        ratios = [model.net_us(net) / target for model, target in zip(models, targets_us, strict=True)]
        assert WINDOW < max(ratios) <= 1


def test_a_subnet_computes_what_the_path_through_the_supernet_does() -> None:
    supernet = Supernet(SMALL, 4, 16, seed=0).eval()
    images = torch.randn(3, 3, 16, 16)
    for positions in ((0, 3, 1, 0), (2, 1, 0, 1)):
        alone = supernet.subnet(positions)
        torch.testing.assert_close(
            alone(images), supernet(images, fixed_path(positions, supernet.mask)), rtol=1e-4, atol=1e-5
        )
    own = {id(p) for p in supernet.parameters()}
    assert not own & {id(p) for p in alone.parameters()}  # a copy: nothing of the supernet changes with it


def test_calibration_takes_the_statistics_of_the_net_alone() -> None:
    data = Blobs()
    net = Supernet(SMALL, 4, 16, seed=0).subnet((0, 0, 0, 0))
    weights = copy.deepcopy(dict(net.named_parameters()))
    calibrate(net, data, batch_size=64)
    (images, _), *_ = data.plain_batches(64, "w")
    first = next(part for part in net.modules() if isinstance(part, nn.Conv2d))(images)
    norm = next(part for part in net.modules() if isinstance(part, nn.BatchNorm2d))
    torch.testing.assert_close(norm.running_mean, first.mean((0, 2, 3)))
    assert norm.momentum == 0.1 and not net.training
    assert all(torch.equal(p, weights[name]) for name, p in net.named_parameters())


def test_calibration_leaves_out_a_last_batch_of_one_image() -> None:
    """Where maps are 1 x 1, one image has no variance; a share of images that leaves one over is nothing unusual."""
    data = Blobs(resolution=4)
    nets = [Supernet(SMALL, 4, 4, seed=0).subnet((0, 0, 0, 0)) for _ in range(2)]
    assert [len(images) for images, _ in data.plain_batches(21, "w")] == [21, 21, 21, 1]
    calibrate(nets[0], data, batch_size=21)
    data._part = lambda _part: list(range(63))  # type: ignore[method-assign]
    calibrate(nets[1], data, batch_size=21)
    pairs = zip(nets[0].buffers(), nets[1].buffers(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_nets_are_ranked_by_the_searchs_loss_and_the_supernet_is_left_as_it_was() -> None:
    supernet, shares = Supernet(SMALL, 4, 16, seed=0), random_probabilities()
    before = copy.deepcopy(supernet.state_dict())
    nets = [net_at(SMALL, positions, f"n{positions}") for positions in ((0, 0, 0, 0), (3, 3, 1, 1), (2, 2, 1, 1))]
    events: list[Event] = []
    by_loss = Budget((1e6,))
    ranking = Ranking(supernet, [MODEL], shares, Blobs(), 16, by_loss, events.append)
    ranked = rank(ranking, nets)
    losses = [one.score.loss for one in ranked]
    assert losses == sorted(losses) and {one.net for one in ranked} == set(nets)
    fast_first = rank(replace(ranking, objective=product([MODEL], 1.0, 60.0), report=lambda _: None), nets)
    latencies = [one.predicted_us["host"] for one in fast_first]
    assert latencies == sorted(latencies)
    for one in ranked:
        assert one.predicted_us == {"host": MODEL.net_us(one.net)}
        chosen = shares[range(4), list(choice_positions(one.net))]
        assert one.log_probability == pytest.approx(chosen.log().sum().item(), rel=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())
    assert [event.done for event in events if isinstance(event, StepProgress)] == [1, 2, 3]


def test_views_are_augmented_looks_at_theta_s_share_alike_for_every_net() -> None:
    data = digits(DataOptions(16))
    supernet, net = Supernet(SMALL, 10, 16, seed=0), net_at(SMALL, (0, 0, 0, 0), "net")
    ranking = Ranking(supernet, [MODEL], random_probabilities(), data, 64, Budget((1e6,)), lambda _: None)
    scores = [rank(replace(ranking, views=views), [net])[0].score for views in (0, 1, 3, 3)]
    assert [score.images for score in scores] == [views * data.count("theta") for views in (1, 1, 3, 3)]
    assert scores[2] == scores[3] and len({score.loss for score in scores}) == 3
    alone = supernet.subnet((0, 0, 0, 0))
    calibrate(alone, data, 64)
    as_it_is = evaluate(alone, data.plain_batches(64, "theta"))
    assert scores[0].accuracy == as_it_is.accuracy
    assert scores[0].loss == pytest.approx(as_it_is.loss, rel=1e-5)  # sums of another order: nets are judged quickly
    looks = [evaluate(alone, data.train_batches(64, view, 0, "theta")).loss for view in range(3)]
    assert scores[2].loss == pytest.approx(sum(looks) / 3)


@pytest.mark.parametrize("views", [0, 2])
def test_images_are_augmented_once_for_all_nets_unless_they_are_many(
    views: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    supernet = Supernet(SMALL, 4, 16, seed=0)
    nets = [net_at(SMALL, positions, f"n{positions}") for positions in ((0, 0, 0, 0), (2, 2, 1, 1), (1, 0, 1, 0))]
    looked_at: list[list[str]] = []

    class Counted(Blobs):
        def _part(self, part: str) -> list[int]:
            looked_at[-1].append(part)
            return super()._part(part)

    found = []
    for most_bytes in (derive.MOST_KEPT_BYTES, 1):
        monkeypatch.setattr(derive, "MOST_KEPT_BYTES", most_bytes)
        ranking = Ranking(
            supernet, [MODEL], random_probabilities(), Counted(), 16, Budget((1e6,)), lambda _: None, views
        )
        looked_at.append([])
        found.append(rank(ranking, nets))
    assert found[0] == found[1]
    counts = [made.count("theta") - len(nets) for made in looked_at]  # each net asks how many there are
    per_look = 2 if views else 1  # Blobs looks up a part's positions twice where it draws an order
    assert counts == [per_look * max(1, views), per_look * max(1, views) * len(nets)]


@pytest.mark.parametrize("targeted", [False, True])
def test_further_rounds_find_better_nets(targeted: bool) -> None:
    """theta prefers the slowest candidates; the best nets are elsewhere."""
    supernet, data = Supernet(SMALL, 4, 16, seed=0), Blobs()
    shares = probabilities(MODEL.tensor().float() / 10, candidate_mask(SMALL))
    high_us = MODEL.net_us(MODEL.fastest) * 1.3
    targets_us = [high_us] if targeted else None
    objective: Objective = budget([MODEL], targets_us) if targets_us else product([MODEL], 1.0, 60.0)

    def nets(rounds: int) -> tuple[Derived, ...]:
        ranking = Ranking(supernet, [MODEL], shares, data, 16, objective, lambda _: None)
        found = from_theta(ranking, Effort(4, rounds, 0, targets_us))
        assert (
            len({one.net.choice for one in found}) == len(found)
            and from_theta(ranking, Effort(4, rounds, 0, targets_us)) == found
        )
        if targeted:
            assert all(WINDOW * high_us < one.predicted_us["host"] <= high_us for one in found)
        return found

    first, all_rounds = nets(1), nets(8)
    assert len(all_rounds) > len(first)

    def loss(one: Derived) -> float:
        return objective.of_net(one.score.loss, [*one.predicted_us.values()])

    assert [*map(loss, all_rounds)] == sorted(map(loss, all_rounds))
    assert loss(all_rounds[0]) <= loss(first[0]) if targeted else loss(all_rounds[0]) < loss(first[0])
