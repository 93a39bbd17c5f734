"""Stacked networks: gradients, independence of companions, going on after an interruption, keeping states."""

import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from machines import environment
from zspace import files
from zspace.errors import ConvergenceError, StoreError
from zspace.sources.worlds import World, bayes_task_r2, replicate
from zspace.states import networks
from zspace.states.networks import Recipe, kept, stacked

torch = pytest.importorskip("torch", reason="the extra `models` is not installed")
from zspace.states.networks.examples import CHUNK, Examples, tanh  # noqa: E402 (torch or none of this file)

SEEDS = (0, 1, 2)
THREE = (0.5, 0.3, 0.2)
SMALL = Recipe(depth=2, width=12, steps=1000, batch=16)
PLAIN = World(4, THREE)
FLAGGED = World(4, THREE, flag=True, transform="invertible", condition_number=3)
CENTRED = World(4, THREE, centroid=True, target="private", noise=0.3, seed=1)
# one world of every kind, all of one size
MIXED = (
    PLAIN,
    FLAGGED,
    CENTRED,
    World(4, THREE, target="linear", transform="near_identity", condition_number=2),
    World(4, THREE[::-1], latent="laplace", noise=0),
    World(4, THREE, latent="sign", target="private", flag=0.5, seed=5),
    World(4, THREE, latent="sign", target="linear", centroid=0.3, shared_dim=2),
)
needs_cuda = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no CUDA device: the CPU's networks are tested without it"
)
DEVICES = ("cpu", pytest.param("cuda", marks=needs_cuda))


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def trained():
    """Two kinds of net in two kinds of world, two seeds each."""
    return networks.train((FLAGGED, PLAIN, CENTRED), (0, 1), residual=(True, False, True), recipe=SMALL)


def streams(worlds):
    return [stacked._streams(world.seed, 0)[1] for world in worlds]


def assert_same(one, other, atol=0.0):
    for when in ("weights", "initial"):
        assert getattr(one, when).keys() == getattr(other, when).keys()
        for name, array in getattr(one, when).items():
            np.testing.assert_allclose(array, getattr(other, when)[name], atol=atol, rtol=0, err_msg=name)
    np.testing.assert_allclose(one.loss, other.loss, atol=atol, rtol=0)


def row_of(batch, world, seed):
    return int(np.flatnonzero((batch.world_index == world) & (batch.seeds == seed))[0])


def by_hand(weights, m, residual, inputs, depth):
    """States and output of network m in float64 NumPy, as the module's first lines define them."""
    w = {name: a[m].astype(float) for name, a in weights.items()}
    h = [inputs @ w["input"] + w["input_bias"]]
    for k in range(depth):
        h.append((h[-1] if residual else 0) + np.tanh(h[-1] @ w[f"block_{k}"] + w[f"block_{k}_bias"]))
    return np.stack(h), h[-1] @ w["output"] + w["output_bias"]


class Interrupted(Exception):
    """Stands for whatever ends a training."""


def interrupt(step, function, *args, **options):
    """Call a function whose training is ended before it goes on from `step`."""
    advance = stacked._Run.advance

    def interrupted(run):
        if run.step >= step:
            raise Interrupted
        advance(run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stacked._Run, "advance", interrupted)
        with pytest.raises(Interrupted):
            function(*args, **options)


def count_chunks(monkeypatch):
    """Numbers of the steps that training goes on from, as they are taken."""
    steps, advance = [], stacked._Run.advance

    def counted(run):
        steps.append(run.step)
        advance(run)

    monkeypatch.setattr(stacked._Run, "advance", counted)
    return steps


# One step.


def test_tanh_in_place_is_that_of_torch():
    x = torch.linspace(-30, 30, 600_001)
    found = x.clone()
    assert tanh(found) is found
    assert (found - torch.tanh(x)).abs().max() < 2e-7
    exact = torch.linspace(-30, 30, 10_001, dtype=torch.float64)
    assert (tanh(exact.clone()) - torch.tanh(exact)).abs().max() < 1e-15


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("depth", [1, 3])
def test_gradients_equal_those_of_autograd(rng, dtype, tolerance, depth):
    """Plain and residual nets in one stack; the control is the gradient of the other kind."""
    shapes = {"input": (7, 9), **{f"block_{k}": (9, 9) for k in range(depth)}, "output": (9, 4)}
    weights = {}
    for name, shape in shapes.items():
        weights[name] = torch.tensor(rng.normal(0, 0.5, (3, *shape)), dtype=dtype)
        weights[f"{name}_bias"] = torch.tensor(rng.normal(0, 0.5, (3, 1, shape[1])), dtype=dtype)
    inputs, targets = (torch.tensor(rng.standard_normal((3, 20, n)), dtype=dtype) for n in (7, 4))
    skip = torch.tensor([0.0, 1.0, 0.0], dtype=dtype)[:, None, None]
    leaves = {name: w.clone().requires_grad_() for name, w in weights.items()}
    h = inputs @ leaves["input"] + leaves["input_bias"]
    for k in range(depth):
        h = skip * h + torch.tanh(h @ leaves[f"block_{k}"] + leaves[f"block_{k}_bias"])
    loss = (h @ leaves["output"] + leaves["output_bias"] - targets).square().mean((1, 2))
    loss.sum().backward()
    before = {name: w.clone() for name, w in weights.items()}
    errors, found = stacked._gradients(weights, inputs, targets, skip, depth)
    torch.testing.assert_close(errors, loss.detach(), rtol=tolerance, atol=tolerance)
    assert found.keys() == weights.keys()
    for name, leaf in leaves.items():
        torch.testing.assert_close(found[name], leaf.grad, rtol=tolerance, atol=tolerance, msg=name)
        torch.testing.assert_close(weights[name], before[name], rtol=0, atol=0)
    _, other = stacked._gradients(weights, inputs, targets, 1 - skip, depth)
    assert (other["input"] - leaves["input"].grad).abs().amax((1, 2)).min() > 0.01


# Examples.


@pytest.mark.parametrize("device", DEVICES)
def test_chunks_are_what_the_worlds_show_and_ask(device):
    examples = Examples(MIXED, streams(MIXED), 8, device)
    again = Examples(MIXED, streams(MIXED), 8, device)
    for _ in range(2):
        inputs, targets = (a.cpu().numpy() for a in examples.chunk())
        assert inputs.shape == (len(MIXED), CHUNK, 8, 7)
        assert targets.shape == (len(MIXED), CHUNK, 8, 4)
        language, latents, noise = (a.cpu().numpy() for a in again._draw())
        for i, world in enumerate(MIXED):
            shown = world.show(latents[i], language[i], noise[i])
            flat = inputs[i].reshape(-1, 7)
            np.testing.assert_allclose(flat[:, : world.input_dim], shown, atol=1e-5)
            assert world.flag or (flat[:, 4:] == 0).all()
            answers = [world.solve(z, k) for z, k in zip(latents[i], language[i], strict=True)]
            np.testing.assert_allclose(targets[i].reshape(-1, 4), answers, atol=1e-5)
    assert np.abs(inputs[0] - inputs[1]).max() > 0.1


def test_examples_of_a_network_are_its_own():
    """In a stack, alone, or in another order; two chunks in a row are not the same."""
    together = Examples(MIXED, streams(MIXED), 4, "cpu")
    backwards = Examples(MIXED[::-1], streams(MIXED[::-1]), 4, "cpu")
    alone = Examples(MIXED[2:3], streams(MIXED[2:3]), 4, "cpu")
    first, reverse, single = (e.chunk() for e in (together, backwards, alone))
    for a, b, c in zip(first, reverse, single, strict=True):
        torch.testing.assert_close(a, b.flip(0), rtol=0, atol=1e-6)
        torch.testing.assert_close(a[2:3], c, rtol=0, atol=1e-6)
    assert (first[0] - together.chunk()[0]).abs().mean() > 0.1


@pytest.mark.parametrize("latent", ["gaussian", "sign", "laplace"])
def test_training_draws_come_as_the_world_says(latent):
    world = World(4, THREE, latent=latent)
    language, latents, noise = Examples([world], streams([world]), 1000, "cpu")._draw()
    share = np.bincount(language[0], minlength=3) / 25_000
    np.testing.assert_allclose(share, THREE, atol=4 * 0.5 / np.sqrt(25_000))
    kurtosis = {"gaussian": 3, "sign": 1, "laplace": 6}
    for draws, fourth in ((latents[0], kurtosis[latent]), (noise[0], 3)):
        np.testing.assert_allclose(draws.mean(0), 0, atol=0.03)
        np.testing.assert_allclose(draws.square().mean(0), 1, atol=0.06)
        assert draws.pow(4).mean() == pytest.approx(fourth, rel=0.08)


# Training.


@pytest.mark.parametrize("recipe", [replace(SMALL, steps=250), Recipe(steps=250, width=64, batch=32)])
def test_networks_do_not_depend_on_their_companions_or_their_order(recipe):
    alone = networks.train([FLAGGED], [1], residual=True, recipe=recipe)
    among = networks.train(MIXED[:3], [0, 1], residual=[False, True, False], recipe=recipe)
    reordered = networks.train(
        [CENTRED, FLAGGED, PLAIN], [1, 0], residual=[False, True, False], recipe=recipe
    )
    assert_same(among.select([row_of(among, 1, 1)]), alone, 1e-6)
    assert_same(reordered.select([row_of(reordered, 1, 1)]), alone, 1e-6)
    for world, place in ((0, 2), (2, 0)):
        for seed in (0, 1):
            one, other = among.select([row_of(among, world, seed)]), [row_of(reordered, place, seed)]
            assert_same(one, reordered.select(other), 1e-6)
    other = among.select([row_of(among, 1, 0)])
    for name, array in alone.weights.items():
        assert np.abs(array - other.weights[name]).max() > 0.01, name


def test_a_seed_and_a_world_draw_everything_anew_and_nothing_else_does(trained):
    assert trained.worlds == tuple(replicate(w, s) for w in (FLAGGED, PLAIN, CENTRED) for s in (0, 1))
    assert trained.world_index.tolist() == [0, 0, 1, 1, 2, 2]
    assert trained.seeds.tolist() == [0, 1] * 3
    assert trained.residual.tolist() == [True, True, False, False, True, True]
    assert len(trained) == 6
    blocks = trained.initial["block_0"]
    assert np.abs(blocks[0] - blocks[1]).max() > 0.1  # another seed
    assert np.abs(blocks[2] - blocks[4]).max() > 0.1  # another seed of the world
    np.testing.assert_array_equal(blocks[0], blocks[2])  # another kind of world begins with the same weights
    for name, array in trained.initial.items():
        fan_in = {"input": 4, "input_bias": 4}.get(name, SMALL.width)
        assert np.abs(array[2]).max() <= 1 / np.sqrt(fan_in)
        assert np.abs(array[2:]).max() > 0.7 / np.sqrt(fan_in)
    assert np.abs(trained.initial["input"][0]).max() <= 1 / np.sqrt(7)  # its flag's columns count


def test_training_lowers_the_loss_but_not_below_the_bayes_bound(rng):
    recipe = Recipe(depth=2, width=48, steps=1000, batch=64)
    batch = networks.train((FLAGGED, PLAIN, CENTRED), SEEDS, residual=(True, False, True), recipe=recipe)
    assert batch.loss.shape == (9, 40)
    assert np.isfinite(batch.loss).all()
    assert (batch.loss[:3, -1] < 0.15 * batch.loss[:3, 0]).all()  # told the language
    assert (batch.loss[:, -1] < 0.95 * batch.loss[:, 0]).all()
    for m, world in enumerate(batch.worlds):
        found = world.sample_mixture(4000, rng=rng)
        one = batch.select([m])
        errors = ((networks.outputs(one, found.inputs[None])[0] - found.targets) ** 2).mean(1)
        before = (networks.outputs(one, found.inputs[None], initial=True)[0] - found.targets) ** 2
        # the last steps saw examples as new as these
        assert errors.mean() == pytest.approx(batch.loss[m, -1], rel=0.2)
        assert before.mean() > errors.mean()
        bound = bayes_task_r2(world, rng=rng)
        spread = ((found.targets - found.targets.mean(0)) ** 2).mean()
        error = np.hypot(bound.standard_error, errors.std() / np.sqrt(4000) / spread)
        assert bound.r2 - 0.15 < 1 - errors.mean() / spread < bound.r2 + 3 * error


def test_training_does_not_touch_the_generators_of_anyone_else():
    state = np.random.get_state()[1].copy()  # noqa: NPY002 (the global one is what must not move)
    torch_state = torch.get_rng_state()
    one, again = (networks.train([PLAIN], [0], recipe=replace(SMALL, steps=25)) for _ in range(2))
    assert_same(one, again)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_residual_once_is_residual_for_every_world():
    flags, recipe = (True, [True, True], [True, False]), replace(SMALL, steps=25)
    once, each, other = (networks.train([PLAIN, FLAGGED], [0], residual=r, recipe=recipe) for r in flags)
    assert_same(once, each)
    assert_same(once.select([0]), other.select([0]), 1e-6)
    assert np.abs(once.weights["block_0"][1] - other.weights["block_0"][1]).max() > 1e-3


@pytest.mark.parametrize("device", DEVICES)
def test_training_on_a_device_is_that_of_the_cpu_at_first(device, tmp_path):
    options = {"residual": True, "recipe": replace(SMALL, steps=50)}
    checkpoint = tmp_path / "a.safetensors"
    found = networks.train(MIXED, [0, 1], **options, device=device, checkpoint=checkpoint)
    expected = networks.train(MIXED, [0, 1], **options)
    assert_same(found, expected, 1e-3)


# Trains what the test below does, in a process of its own: libraries read their setting once.
ELSEWHERE = """
import sys
from test_stacked_networks import MIXED, SMALL, networks
networks.save(networks.train(MIXED[:3], [0, 1], residual=True, recipe=SMALL), sys.argv[1])
"""


def test_training_is_the_same_with_the_instructions_of_an_older_processor(tmp_path):
    """Not to the last bit, in float32, but to the third digit; the control is another seed."""
    command = [sys.executable, "-c", ELSEWHERE, str(tmp_path / "nets")]
    subprocess.run(command, env=environment("sse", tmp_path), cwd=Path(__file__).parent, check=True)
    there = networks.load(tmp_path / "nets")
    here = networks.train(MIXED[:3], [0, 1], residual=True, recipe=SMALL)
    np.testing.assert_allclose(there.loss[:, -1], here.loss[:, -1], rtol=1e-4)
    assert_same(there, here, 1e-3)
    assert np.abs(here.weights["output"][0] - here.weights["output"][1]).max() > 0.1


# Interruptions.


@pytest.mark.parametrize("device", DEVICES)
def test_training_goes_on_from_its_last_checkpoint_as_if_nothing_had_happened(tmp_path, monkeypatch, device):
    options = {"residual": [True, False, True], "recipe": SMALL, "device": device}
    whole = networks.train(MIXED[3:6], (0, 1), **options)
    path = tmp_path / "below" / "training.safetensors"
    interrupt(675, networks.train, MIXED[3:6], (0, 1), **options, checkpoint=path)
    with monkeypatch.context() as patch:
        steps = count_chunks(patch)
        resumed = networks.train(MIXED[3:6], (0, 1), **options, checkpoint=path)
    assert steps == list(range(500, 1000, CHUNK))
    assert_same(resumed, whole)
    with monkeypatch.context() as patch:
        steps = count_chunks(patch)
        assert_same(networks.train(MIXED[3:6], (0, 1), **options, checkpoint=path), whole)
    assert steps == []
    anew = networks.train(MIXED[3:6], (2, 3), **options)
    assert np.abs(anew.weights["output"] - whole.weights["output"]).max() > 0.01


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A checkpoint after 250 steps of 500."""
    path = tmp_path_factory.mktemp("checkpoint") / "training.safetensors"
    interrupt(250, networks.train, [PLAIN], [0], recipe=replace(SMALL, steps=500), checkpoint=path)
    return path


@pytest.mark.parametrize(
    ("worlds", "seeds", "residual", "change"),
    [
        ([replace(PLAIN, noise=0.2)], [0], False, {}),
        ([replace(PLAIN, seed=1)], [0], False, {}),
        ([replace(PLAIN, share=(0.3, 0.5, 0.2))], [0], False, {}),
        ([PLAIN], [1], False, {}),
        ([PLAIN], [0, 1], False, {}),
        ([PLAIN], [0], True, {}),
        ([PLAIN], [0], False, {"steps": 750}),
        ([PLAIN], [0], False, {"batch": 17}),
        ([PLAIN], [0], False, {"learning_rate": 1e-3}),
    ],
)
def test_checkpoint_of_another_training_is_refused(checkpoint, worlds, seeds, residual, change):
    before = checkpoint.read_bytes()
    options = {"residual": residual, "recipe": replace(SMALL, **{"steps": 500} | change)}
    with pytest.raises(StoreError, match=r"training\.safetensors is a checkpoint of another training"):
        networks.train(worlds, seeds, **options, checkpoint=checkpoint)
    assert checkpoint.read_bytes() == before


def test_checkpoint_with_a_changed_byte_is_refused(checkpoint, tmp_path, rng, record_property):
    whole, path = checkpoint.read_bytes(), tmp_path / "changed.safetensors"
    places = rng.choice([i for i, byte in enumerate(whole) if not chr(byte).isspace()], 20, replace=False)
    for at in places:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ int(rng.integers(1, 256))]) + whole[at + 1 :])
        with pytest.raises(StoreError, match=rf"^{path} .*delete it"):
            networks.train([PLAIN], [0], recipe=replace(SMALL, steps=500), checkpoint=path)
    record_property("byte edits", len(places))


@pytest.mark.parametrize("harm", ["empty", "text", "cut", "other"])
def test_checkpoint_that_cannot_be_read_is_refused(checkpoint, tmp_path, harm):
    from safetensors.numpy import save

    content = checkpoint.read_bytes()
    harmed = {
        "empty": b"",
        "text": b"not a checkpoint, " * 20,
        "cut": content[: len(content) // 2],
        "other": save({"loss": np.zeros(3)}),
    }
    path = tmp_path / "harmed.safetensors"
    path.write_bytes(harmed[harm])
    messages = {"other": "of another training"}
    with pytest.raises(StoreError, match=messages.get(harm, "cannot be read as a checkpoint .*delete it")):
        networks.train([PLAIN], [0], recipe=replace(SMALL, steps=500), checkpoint=path)
    path.write_bytes(content)  # the control: whole, it is gone on from
    assert len(networks.train([PLAIN], [0], recipe=replace(SMALL, steps=500), checkpoint=path)) == 1


# States.


@pytest.mark.parametrize("initial", [False, True])
def test_states_and_outputs_equal_the_equations(trained, rng, initial):
    inputs = rng.standard_normal((6, 3, 5, 7)).astype(np.float32)
    hidden = networks.states(trained, inputs, initial=initial)
    found = networks.outputs(trained, inputs, initial=initial)
    assert (hidden.shape, hidden.dtype) == ((6, 3, 3, 5, 12), np.float32)
    assert (found.shape, found.dtype) == ((6, 3, 5, 4), np.float32)
    weights = trained.initial if initial else trained.weights
    for m in range(6):
        expected, output = by_hand(weights, m, trained.residual[m], inputs[m], SMALL.depth)
        np.testing.assert_allclose(hidden[m], expected, atol=2e-5)
        np.testing.assert_allclose(found[m], output, atol=2e-5)
        other, _ = by_hand(weights, m, not trained.residual[m], inputs[m], SMALL.depth)
        assert np.abs(hidden[m, 1] - other[1]).max() > 0.1
    still = networks.states(trained, inputs, initial=not initial)
    assert np.abs(still - hidden).max() > 0.1


def test_inputs_without_flag_are_those_with_a_flag_of_zero(trained, rng):
    inputs = rng.standard_normal((6, 5, 4)).astype(np.float32)
    padded = np.concatenate([inputs, np.zeros((6, 5, 3), np.float32)], -1)
    np.testing.assert_array_equal(networks.states(trained, inputs), networks.states(trained, padded))


def test_select_takes_networks_by_index_and_by_mask(trained, rng):
    inputs = rng.standard_normal((6, 5, 7))
    all_states = networks.states(trained, inputs)
    for rows in ([4, 1], np.array([4, 1]), trained.residual, trained.seeds == 1, slice(2, 4)):
        wanted = np.arange(6)[rows]
        part = trained.select(wanted if isinstance(rows, slice) else rows)
        assert len(part) == len(wanted)
        assert part.worlds == tuple(trained.worlds[i] for i in wanted)
        np.testing.assert_array_equal(part.seeds, trained.seeds[wanted])
        np.testing.assert_array_equal(part.residual, trained.residual[wanted])
        np.testing.assert_array_equal(part.loss, trained.loss[wanted])
        np.testing.assert_array_equal(part.initial["block_1"], trained.initial["block_1"][wanted])
        np.testing.assert_allclose(networks.states(part, inputs[wanted]), all_states[wanted], atol=1e-6)
    with pytest.raises(IndexError):
        trained.select([6])


@pytest.mark.parametrize("shape", [(6, 5, 8), (6, 5, 5), (6, 5, 3), (5, 5, 7), (6, 7), (7,), ()])
def test_states_refuse_inputs_of_another_shape(trained, shape):
    with pytest.raises(ValueError, match=r"inputs have shape .*; expected \(6, \.\.\., n, 4 or 7\)"):
        networks.states(trained, np.zeros(shape))


# On disk.


def test_save_and_load_round_trip_exactly(trained, tmp_path):
    networks.save(trained, tmp_path / "nets")
    found = networks.load(tmp_path / "nets")
    assert_same(found, trained)
    assert found.worlds == trained.worlds
    assert found.recipe == trained.recipe
    for name in ("world_index", "seeds", "residual"):
        one, other = getattr(found, name), getattr(trained, name)
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    for name, array in trained.weights.items():
        assert found.weights[name].dtype == array.dtype
    networks.save(found.select([3]), tmp_path / "nets")  # in place of the other
    assert networks.load(tmp_path / "nets").worlds == trained.worlds[3:4]


def test_load_names_the_folder_where_nothing_is(tmp_path):
    with pytest.raises(StoreError, match=r"no trained networks in .*nowhere; expected networks\.json"):
        networks.load(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["networks.json", "weights.safetensors"])
def test_load_refuses_a_changed_byte_and_names_the_file(trained, tmp_path, rng, name, record_property):
    networks.save(trained, tmp_path / "nets")
    path = tmp_path / "nets" / name
    whole = path.read_bytes()
    harmed = [whole[:-1], whole + b"\0", b""]
    for at in rng.choice([i for i, byte in enumerate(whole) if not chr(byte).isspace()], 20, replace=False):
        harmed.append(whole[:at] + bytes([whole[at] ^ int(rng.integers(1, 256))]) + whole[at + 1 :])
    for content in harmed:
        path.write_bytes(content)
        with pytest.raises(StoreError, match=f"^{path} is damaged or foreign: .* Delete the folder"):
            networks.load(tmp_path / "nets")
    path.write_bytes(whole)
    assert_same(networks.load(tmp_path / "nets"), trained)
    record_property("byte edits", len(harmed))


def test_ensure_refuses_networks_that_were_exchanged(runs):
    for seed in (0, 1):
        networks.ensure([PLAIN], [seed], recipe=replace(SMALL, steps=25))
    first, second = (p for p in (runs / "networks").iterdir() if p.is_dir())
    first.rename(first.with_name("kept"))
    second.rename(first)
    first.with_name("kept").rename(second)
    for seed in (0, 1):
        with pytest.raises(StoreError, match="other networks than the folder's name says"):
            networks.ensure([PLAIN], [seed], recipe=replace(SMALL, steps=25))


def forbid_training(monkeypatch):
    def forbidden(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(kept, "train", forbidden)


def test_ensure_trains_once_and_then_reads(runs, monkeypatch):
    options = {"residual": [True, False], "recipe": replace(SMALL, steps=250)}
    first = networks.ensure([FLAGGED, PLAIN], [0, 1], **options)
    assert_same(first, networks.train([FLAGGED, PLAIN], [0, 1], **options))
    (folder,) = (p for p in (runs / "networks").iterdir() if p.is_dir())
    assert sorted(p.name for p in folder.iterdir()) == ["networks.json", "weights.safetensors"]
    assert not list(runs.glob("networks/*.checkpoint"))
    forbid_training(monkeypatch)
    again = networks.ensure([FLAGGED, PLAIN], [0, 1], **options)
    assert_same(first, again)
    assert first.worlds == again.worlds
    asked = {"worlds": [FLAGGED, PLAIN], "seeds": [0, 1]} | options
    for changed in (
        {"recipe": replace(SMALL, steps=275)},
        {"recipe": replace(SMALL, steps=250, width=13)},
        {"recipe": replace(SMALL, steps=250, learning_rate=1e-3)},
        {"residual": [False, True]},
        {"worlds": [PLAIN, FLAGGED]},
        {"worlds": [FLAGGED, replace(PLAIN, noise=0.2)]},
        {"seeds": [0, 2]},
    ):
        with pytest.raises(AssertionError, match="trained again"):
            networks.ensure(**asked | changed)
    monkeypatch.setattr(files, "source_fingerprint", lambda *_: "other code")
    with pytest.raises(AssertionError, match="trained again"):
        networks.ensure([FLAGGED, PLAIN], [0, 1], **options)


def test_ensure_goes_on_from_where_it_was_interrupted(runs, monkeypatch):
    options = {"recipe": replace(SMALL, steps=500)}
    interrupt(300, networks.ensure, [CENTRED], [0], **options)
    assert len(list(runs.glob("networks/*.checkpoint"))) == 1
    steps = count_chunks(monkeypatch)
    found = networks.ensure([CENTRED], [0], **options)
    assert steps == list(range(250, 500, CHUNK))
    assert_same(found, networks.train([CENTRED], [0], **options))
    assert not list(runs.glob("networks/*.checkpoint"))


def test_ensure_knows_a_training_however_its_numbers_were_typed(runs, monkeypatch):
    first = networks.ensure([PLAIN], [0, 1], recipe=replace(SMALL, steps=25))
    forbid_training(monkeypatch)
    typed = World(**{**asdict(PLAIN), "dim": np.int64(4), "share": np.array(THREE), "seed": np.int64(0)})
    found = networks.ensure((typed,), np.arange(2), residual=np.False_, recipe=replace(SMALL, steps=25))
    assert_same(first, found)


# Refusals.


@pytest.mark.parametrize(
    ("worlds", "seeds", "options", "message"),
    [
        ([], [0], {}, "found 0 worlds, 1 seeds"),
        ([PLAIN], [], {}, "found 1 worlds, 0 seeds"),
        ([PLAIN], [0], {"residual": [True, False]}, "residual for 2; .*once or for every world"),
        ([PLAIN, World(5, THREE)], [0], {}, r"\(4, 3\), \(5, 3\)\] do not stack"),
        ([PLAIN, World(4, (1, 1))], [0], {}, r"\(4, 2\), \(4, 3\)\] do not stack; train them apart"),
        ([PLAIN], [0], {"recipe": replace(SMALL, steps=30)}, "positive multiple of 25"),
        ([PLAIN], [0], {"recipe": replace(SMALL, steps=0)}, "positive multiple of 25"),
        ([PLAIN], [0], {"recipe": replace(SMALL, depth=0)}, "sizes at least 1"),
        ([PLAIN], [0], {"recipe": replace(SMALL, width=0)}, "sizes at least 1"),
        ([PLAIN], [0], {"recipe": replace(SMALL, batch=0)}, "sizes at least 1"),
    ],
)
def test_training_refuses_what_does_not_stack(worlds, seeds, options, message):
    with pytest.raises(ValueError, match=message):
        networks.train(worlds, seeds, **options)


def test_a_loss_that_is_not_finite_ends_the_training_and_names_the_network():
    recipe = replace(SMALL, steps=250, learning_rate=1e30)
    words = r"network 0 \(World\(dim=4.*not finite after 25 steps; take a"
    with pytest.raises(ConvergenceError, match=words):
        networks.train([PLAIN], [0], recipe=recipe)
