"""Re-rounded weights: the step of every quantised layout by flipping bits, and the noise of the twins."""

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `models` is not installed")
transformers = pytest.importorskip("transformers", reason="the extra `models` is not installed")
gguf = pytest.importorskip("gguf", reason="the extra `models` is not installed")

import tiny_gguf  # noqa: E402
from model_builders import SMALL, checksum, random_network  # noqa: E402
from zspace.errors import ModelError  # noqa: E402
from zspace.sources import models  # noqa: E402
from zspace.sources.models import Subject, rounding, weights  # noqa: E402

Kind = gguf.GGMLQuantizationType
D = 256  # the smallest width of the K layouts
COMMON = SMALL | {"hidden_size": D, "num_hidden_layers": 1}
# Layouts with the number of their codes, each on another parameter of one block. The first five are written
# by gguf's own quantiser; the others it only reads, so that their blocks hold random codes and scales.
LAYOUTS = {
    "Q4_0": ("model.layers.0.self_attn.q_proj.weight", 16),
    "Q4_1": ("model.layers.0.self_attn.k_proj.weight", 16),
    "Q5_0": ("model.layers.0.self_attn.v_proj.weight", 32),
    "Q5_1": ("model.layers.0.self_attn.o_proj.weight", 32),
    "Q8_0": ("model.layers.0.mlp.gate_proj.weight", 256),
    "Q4_K": ("model.layers.0.mlp.up_proj.weight", 16),
    "Q5_K": ("model.layers.0.mlp.down_proj.weight", 32),
    "Q6_K": ("model.embed_tokens.weight", 64),
}
NAMES = {name: layout for layout, (name, _) in LAYOUTS.items()}
SCALES = {"Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)}  # bytes of a block at which a float16 scale begins
QUANTISED_BY_GGUF = [layout for layout in LAYOUTS if not layout.endswith("K")]
Z = 4.5  # standard errors that a mean may be off


def random_blocks(layout: str, shape: tuple[int, int], rng) -> np.ndarray:
    """Blocks of random bytes whose scales are small positive numbers."""
    _, size = gguf.GGML_QUANT_SIZES[Kind[layout]]
    blocks = rng.integers(0, 256, (shape[0] * shape[1] // D, size), dtype=np.uint8)
    for start, ceiling in zip(SCALES[layout], (2e-4, 1e-3), strict=False):
        scales = rng.uniform(ceiling / 2, ceiling, (len(blocks), 1)).astype(np.float16)
        blocks[:, start : start + 2] = scales.view(np.uint8)
    return blocks.reshape(shape[0], -1)


def tiny_network(kind: str, **changes):
    """A random network of one block whose norms are not at their defaults."""
    return random_network(transformers.AutoConfig.for_model(kind, **COMMON | changes), noise=0.02)


def in_q8(_name: str, values: np.ndarray):
    """The encoder that keeps norms and biases and quantises all else to Q8_0."""
    if values.ndim == 1:
        return values, None
    return gguf.quants.quantize(values, Kind.Q8_0), Kind.Q8_0


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A folder for models, and a cache of converted ones for this module alone."""
    folder = tmp_path_factory.mktemp("quantised")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZSPACE_CACHE", str(folder / "cache"))
        yield folder


@pytest.fixture(scope="module")
def mixed(cache):
    """A GGUF file with a parameter in every layout: the model, its steps, its bytes and what they are of."""
    rng = np.random.default_rng(20)
    network = tiny_network("qwen2", intermediate_size=D, num_key_value_heads=2, tie_word_embeddings=True)
    data = {}

    def encode(name, values):
        if name not in NAMES:
            return values, None
        layout = NAMES[name]
        if layout in QUANTISED_BY_GGUF:
            data[name] = gguf.quants.quantize(values, Kind[layout])
        else:
            data[name] = random_blocks(layout, values.shape, rng)
        return data[name], Kind[layout]

    tiny_gguf.write(cache / "mixed.gguf", network, encode)
    model = models.load(cache / "mixed.gguf")
    return model, rounding.steps(model.origin), data, network


def values_of(network, name: str) -> np.ndarray:
    return network.get_parameter(name).detach().float().numpy()


def steps_by_flipping_bits(block: np.ndarray, kind) -> np.ndarray:
    """Step of each weight of a block: the least change by a bit that belongs to this weight alone."""
    flips = np.eye(8 * len(block), dtype=np.uint8)
    flipped = np.packbits(np.unpackbits(block) ^ flips, axis=1)
    with np.errstate(all="ignore"):
        change = np.abs(gguf.quants.dequantize(flipped, kind) - gguf.quants.dequantize(block[None], kind))
    own = change[(change != 0).sum(1) == 1]
    return np.where(own > 0, own, np.inf).min(0)


def noise_in_steps(mixed, seed: int, names=NAMES) -> list[np.ndarray]:
    """What a re-rounded twin differs by, in units of the step; groups without a step left out."""
    model, steps, *_ = mixed
    twin = models.re_rounded_twin(model, seed)
    found = []
    for name in names:
        difference = values_of(twin.network, name).astype(float) - values_of(model.network, name)
        step = steps[name][..., None].astype(float)
        grouped = difference.reshape(*steps[name].shape, rounding.GROUP)
        assert not grouped[steps[name] == 0].any()
        found.append(grouped[steps[name] > 0] / step[steps[name] > 0])
    return found


# The step -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_steps_are_what_a_flipped_bit_changes(mixed, layout, rng):
    _, steps, data, _ = mixed
    name, _ = LAYOUTS[layout]
    width, size = gguf.GGML_QUANT_SIZES[Kind[layout]]
    blocks = data[name].reshape(len(data[name]), -1, size)
    for row, column in zip(rng.choice(len(blocks), 12), rng.choice(blocks.shape[1], 12), strict=True):
        block = blocks[row, column]
        expected = steps_by_flipping_bits(block, Kind[layout])
        expected[np.isinf(expected)] = 0  # a group whose scale is zero: no bit changes anything
        found = np.repeat(steps[name][row], rounding.GROUP).reshape(-1, width)[column]
        largest = np.abs(gguf.quants.dequantize(block[None], Kind[layout])).max() + 32 * found.max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=4 * np.finfo(np.float32).eps * largest)
        assert found.max() > 0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_steps_put_the_stored_weights_on_a_lattice(mixed, layout):
    model, steps, *_ = mixed
    name, n_codes = LAYOUTS[layout]
    held = steps[name] > 0
    stored = values_of(model.network, name).reshape(*held.shape, rounding.GROUP)[held].astype(float)
    step = steps[name][held][:, None].astype(float)
    codes = (stored - stored[:, :1]) / step
    # float32 rounding of the weights and of the two numbers whose difference is the step
    allowed = 4 * np.finfo(np.float32).eps * (np.abs(stored).max(1) / step[:, 0] + 2 * n_codes) * n_codes
    assert np.all(np.abs(codes - codes.round()) <= allowed[:, None])
    assert np.all(np.ptp(codes.round(), axis=1) < n_codes)
    apart = np.diff(np.sort(codes.round(), axis=1), axis=1)
    assert np.any(apart == 1)  # half of the step would be a lattice of them as well
    assert len(np.unique(step)) > 10


def test_steps_follow_the_rows_that_a_conversion_moves(cache):
    """Queries and keys of a Llama are stored with the rows of a head in another order."""
    network = tiny_network("llama", intermediate_size=64, num_key_value_heads=2)
    name = "model.layers.0.self_attn.q_proj.weight"
    with torch.no_grad():
        network.get_parameter(name).mul_(torch.arange(1.0, D + 1)[:, None])
    tiny_gguf.write(cache / "rows.gguf", network, in_q8)
    model = models.load(cache / "rows.gguf")
    steps = rounding.steps(model.origin)
    stored = values_of(model.network, name)
    assert not np.allclose(stored, values_of(network, name), rtol=0.1)  # the rows did move
    assert {"lm_head.weight", "model.embed_tokens.weight"} < set(steps)  # not tied: each its own
    largest = np.abs(stored).reshape(D, -1, 32).max(2)
    per_block = steps[name][:, ::2]
    np.testing.assert_array_equal(per_block, steps[name][:, 1::2])
    np.testing.assert_allclose(largest / per_block, 127, rtol=1e-5)  # what Q8_0 gives its largest weight


def test_steps_of_experts_are_found_in_their_merged_parameters(cache):
    shape = {"hidden_size": 32, "intermediate_size": 32, "head_dim": 8, "num_key_value_heads": 2}
    experts = {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 768}
    network = tiny_network("qwen3_moe", **shape, **experts)
    tiny_gguf.write(cache / "experts.gguf", network, in_q8)
    model = models.load(cache / "experts.gguf")
    twin = models.re_rounded_twin(model, 0)
    for name in ("gate_up_proj", "down_proj"):
        name = f"model.layers.0.mlp.experts.{name}"
        stored, original = values_of(model.network, name), values_of(network, name)
        moved = np.abs(values_of(twin.network, name) - stored)
        largest = np.abs(original).reshape(*original.shape[:-1], -1, 32).max(-1)
        half_a_step = np.repeat(largest / 127 / 2, 32, axis=-1)
        assert np.all(moved <= 1.001 * half_a_step)  # the scale is a float16 number
        assert moved.mean() > 0.4 * half_a_step.mean()


def test_steps_are_computed_once_and_anew_for_another_file(cache, capsys):
    network = tiny_network("qwen2", intermediate_size=32, num_key_value_heads=2)
    path = cache / "once.gguf"
    tiny_gguf.write(path, network, in_q8)
    first = rounding.steps(weights.find(path))
    assert "converting once to steps" in capsys.readouterr().err
    again = rounding.steps(weights.find(path))
    assert "converting" not in capsys.readouterr().err
    assert {n: s.tobytes() for n, s in again.items()} == {n: s.tobytes() for n, s in first.items()}
    with torch.no_grad():
        network.get_parameter("model.embed_tokens.weight").mul_(3)
    tiny_gguf.write(path, network, in_q8)
    other = rounding.steps(weights.find(path))
    name = "model.embed_tokens.weight"
    np.testing.assert_allclose(other[name], 3 * first[name], rtol=2e-3)
    assert not list((cache / "cache").rglob("*.gguf"))


# The twins ----------------------------------------------------------------------------------------


def test_re_rounded_twin_moves_no_weight_by_more_than_half_a_step(mixed):
    model, steps, *_ = mixed
    for name, noise in zip(NAMES, noise_in_steps(mixed, 0), strict=True):
        # the sum of weight and noise is a float32 number
        slack = np.finfo(np.float32).eps * np.abs(values_of(model.network, name)).max()
        assert np.abs(noise).max() <= 0.5 + slack / steps[name][steps[name] > 0].min()
        assert np.abs(noise).max() > 0.499


def test_re_rounded_twin_adds_independent_uniform_noise(mixed):
    """Of a uniform variable on a step: mean 0, variance 1/12, and 1/180 for the variance of its square."""
    by_layout = noise_in_steps(mixed, 1)
    for noise in [*by_layout, np.concatenate(by_layout)]:
        n = noise.size
        assert abs(noise.mean()) < Z * np.sqrt(1 / 12 / n)
        assert abs((noise**2).mean() - 1 / 12) < Z * np.sqrt(1 / 180 / n)
        neighbours = (noise[:, 1:] * noise[:, :-1]).mean()
        assert abs(neighbours) < Z / 12 / np.sqrt(noise[:, 1:].size)
    same_shape = [by_layout[list(LAYOUTS).index(layout)] for layout in ("Q4_0", "Q5_1")]
    assert abs((same_shape[0] * same_shape[1]).mean()) < Z / 12 / np.sqrt(same_shape[0].size)


@pytest.mark.parametrize("layout", QUANTISED_BY_GGUF)
def test_re_rounded_twin_moves_weights_as_far_as_quantising_did(mixed, layout):
    """What gguf's quantiser changed on the network's own weights, of which the twin knows nothing."""
    model, steps, _, network = mixed
    name, _ = LAYOUTS[layout]
    stored = values_of(model.network, name)
    lost = values_of(network, name) - stored
    drawn = values_of(models.re_rounded_twin(model, 2).network, name) - stored
    assert 0.94 < np.sqrt((lost**2).mean() / (drawn**2).mean()) < 1.06
    beyond = np.abs(lost) > np.repeat(steps[name], rounding.GROUP, axis=1) / 2
    assert beyond.mean() < 0.01  # cut off at the end of their block's range


def test_re_rounded_twin_follows_its_seed_and_leaves_the_trained_model(mixed):
    model, steps, *_ = mixed
    before, random_state = checksum(model.network), torch.get_rng_state()
    first, again, other = (models.twin(model, Subject("re-rounded", seed)) for seed in (3, 3, 4))
    assert checksum(first.network) == checksum(again.network)
    assert checksum(model.network) == before
    assert torch.equal(torch.get_rng_state(), random_state)
    for name in steps:
        pair = [values_of(twin.network, name) for twin in (first, other)]
        assert (pair[0] != pair[1]).mean() > 0.9, name
    assert (first.subject, first.name) == (Subject("re-rounded", 3), "mixed")
    path = model.origin.location
    assert first.identity() == models.identity(path, subject=Subject("re-rounded", 3))
    assert first.identity() != other.identity() != model.identity()


def test_re_rounded_twin_shares_what_is_exact_in_the_file(mixed):
    model, steps, *_ = mixed
    twin = models.re_rounded_twin(model, 0)
    assert set(steps) == set(NAMES)
    trained = dict(model.network.named_parameters())
    assert len(trained.keys() - steps.keys()) == 6  # three norms, three biases
    for name, own in trained.items():
        assert (own.data_ptr() == twin.network.get_parameter(name).data_ptr()) == (name not in steps), name
    assert not any(parameter.requires_grad for parameter in twin.network.parameters())


def test_re_rounded_twin_keeps_the_dtype_of_the_model(mixed):
    path = mixed[0].origin.location
    half = models.load(path, dtype="bfloat16")
    twin = models.re_rounded_twin(half, 5)
    exact = models.re_rounded_twin(mixed[0], 5)
    for name, parameter in twin.network.named_parameters():
        assert parameter.dtype == half.network.get_parameter(name).dtype == torch.bfloat16
        gap = np.abs(values_of(twin.network, name) - values_of(exact.network, name))
        size = np.abs(values_of(exact.network, name)) + np.abs(values_of(mixed[0].network, name))
        assert np.all(gap <= 2.0**-8 * size)  # rounded to bfloat16 before the noise and after it


# What cannot be re-rounded ------------------------------------------------------------------------


def test_steps_of_a_hub_model_are_refused():
    with pytest.raises(ModelError, match=r"qwen3-0\.6b has weights that are not known .* quantised \(hub\)"):
        rounding.steps(weights.find("qwen3-0.6b"))


def test_re_rounded_twin_of_a_network_made_in_memory_or_of_a_twin_is_refused(mixed):
    model = mixed[0]
    with pytest.raises(ModelError, match="mixed was made in memory"):
        models.re_rounded_twin(dataclasses.replace(model, origin=None), 0)
    with pytest.raises(ModelError, match="made from the trained model; this one is 're-rounded-0'"):
        models.re_rounded_twin(models.re_rounded_twin(model, 0), 1)


def test_steps_of_an_unknown_layout_are_refused_by_its_name(cache, rng):
    network = tiny_network("qwen2", intermediate_size=D, num_key_value_heads=2)
    width, size = gguf.GGML_QUANT_SIZES[Kind.Q3_K]

    def encode(name, values):
        if not name.endswith("up_proj.weight"):
            return in_q8(name, values)
        return np.zeros((len(values), values.shape[1] // width * size), np.uint8), Kind.Q3_K

    tiny_gguf.write(cache / "unknown.gguf", network, encode)
    before = sorted(p.name for p in (cache / "cache").iterdir() if p.is_dir())
    with pytest.raises(ModelError, match=r"blk\.0\.ffn_up\.weight is quantised as Q3_K; known: Q4_0, .*Q6_K"):
        rounding.steps(weights.find(cache / "unknown.gguf"))
    assert sorted(p.name for p in (cache / "cache").iterdir() if p.is_dir()) == before


def test_steps_of_a_file_without_quantised_weights_are_refused(cache):
    network = tiny_network("qwen2", intermediate_size=32, num_key_value_heads=2)
    tiny_gguf.write(cache / "exact.gguf", network)
    with pytest.raises(ModelError, match="exact: its GGUF file holds no quantised weights"):
        rounding.steps(weights.find(cache / "exact.gguf"))

    def half(_name, values):
        return (values.astype(np.float16), Kind.F16) if values.ndim == 2 else (values, None)

    tiny_gguf.write(cache / "half.gguf", network, half)
    with pytest.raises(ModelError, match="half: its GGUF file holds no quantised weights"):
        rounding.steps(weights.find(cache / "half.gguf"))


def test_steps_of_parameters_that_a_conversion_turns_are_refused(cache):
    network = tiny_network("gpt2", hidden_size=64, max_position_embeddings=1024)

    def encode(name, values):
        return in_q8(name, values) if ".c_" in name else (values, None)

    tiny_gguf.write(cache / "turned.gguf", network, encode)
    models.load(cache / "turned.gguf")
    with pytest.raises(
        ModelError, match=r"turned: .*c_attn\.weight has rows that are not blocks of one step"
    ):
        rounding.steps(weights.find(cache / "turned.gguf"))
