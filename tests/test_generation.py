"""Traces of generation are the model's own states at its own tokens; what is sampled is exact."""

import numpy as np
import pytest
from model_builders import CONFIGS, forward
from scipy import stats
from zspace.errors import ModelError, ParameterError
from zspace.sources import models
from zspace.states import capture, generation
from zspace.states.generation import sampling

torch = pytest.importorskip("torch", reason="the extra `models` is not installed")

PROMPTS = ["abc", "hello there, friend", "x", "a b c d"]


@pytest.fixture(scope="module", params=CONFIGS)
def model(request, folders):
    return models.load(folders[request.param])


def written(model, seed=0, **options):
    options = {"n_steps": 12, "temperature": 0.8, **options}
    return capture.traces(model, PROMPTS, rng=np.random.default_rng(seed), **options)


def by_hand(model, prompt, trace):
    """States of prompt and continuation from `output_hidden_states`, and logits: (L+1, 1+T, d), (T, V)."""
    ids = np.concatenate([models.tokenize(model, [prompt])[0][0], trace.tokens])
    states, out = forward(model, ids)
    n = trace.n_steps
    return states[:, -n - 1 :].double().numpy(), out.logits[0, -n - 1 : -1].double()


def test_traces_equal_states_by_hand(model):
    for prompt, trace in zip(PROMPTS, written(model, vectors=[0, 2]), strict=True):
        states, logits = by_hand(model, prompt, trace)
        update, step = np.diff(states, axis=0)[:, 1:], np.diff(states, axis=1)
        np.testing.assert_allclose(trace.update_energy, (update**2).sum(-1), rtol=1e-4)
        np.testing.assert_allclose(trace.step_energy, (step**2).sum(-1), rtol=1e-4, atol=1e-6)
        log_p = logits.log_softmax(-1).numpy()
        own = log_p[np.arange(trace.n_steps), trace.tokens]
        np.testing.assert_allclose(trace.log_probability, own, atol=1e-4)
        np.testing.assert_allclose(trace.entropy, -(np.exp(log_p) * log_p).sum(-1), atol=1e-4)
        for layer in (0, 2):
            np.testing.assert_allclose(trace.vectors[layer], states[layer, 1:], rtol=1e-3, atol=1e-4)


def test_what_is_written_depends_on_neither_batch_nor_neighbours(model):
    together, alone = written(model), written(model, batch_size=1)
    for a, b in zip(together, alone, strict=True):
        assert a.tokens.tolist() == b.tokens.tolist()
        np.testing.assert_allclose(a.update_energy, b.update_energy, rtol=1e-4)
    other = written(model, seed=1)
    assert any(a.tokens.tolist() != b.tokens.tolist() for a, b in zip(together, other, strict=True))


def test_sampling_leaves_the_global_random_stream_alone(llama):
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    first = written(llama)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(4)
    assert [t.tokens.tolist() for t in written(llama)] == [t.tokens.tolist() for t in first]


def test_replay_gives_the_trace_of_the_model_and_another_one_of_a_twin(model):
    traces = written(model, vectors=[3])
    again = generation.replay(model, PROMPTS, [t.tokens for t in traces], vectors=[3])
    for a, b in zip(traces, again, strict=True):
        np.testing.assert_allclose(a.update_energy, b.update_energy, rtol=1e-4)
        np.testing.assert_allclose(a.log_probability, b.log_probability, atol=1e-4)
        np.testing.assert_allclose(a.vectors[3], b.vectors[3], rtol=1e-3, atol=1e-4)
        assert b.stopped == "replay"
    twin = models.random_twin(model, 0)
    foreign = generation.replay(twin, PROMPTS, [t.tokens for t in traces])
    assert foreign[0].tokens.tolist() == traces[0].tokens.tolist()
    assert np.abs(foreign[0].update_energy / traces[0].update_energy - 1).min() > 1e-3


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_sample_follows_the_distribution_at_its_temperature(temperature):
    logits = torch.tensor([[0.0, 1.0, 2.0, -torch.inf, 0.5]])
    uniforms = torch.from_numpy(np.random.default_rng(0).random(4000))
    chosen, log_p, entropy = sampling.sample(logits.expand(4000, -1), uniforms, temperature)
    p = torch.softmax(logits[0].double() / temperature, 0).numpy()
    counts = np.bincount(chosen.numpy(), minlength=5)
    assert counts[3] == 0
    possible = p > 0
    assert stats.chisquare(counts[possible], 4000 * p[possible]).pvalue > 1e-3
    own = torch.log_softmax(logits[0].double(), 0).numpy()
    np.testing.assert_allclose(log_p.numpy(), own[chosen.numpy()], atol=1e-5)
    np.testing.assert_allclose(entropy.numpy(), -np.sum(np.exp(own[possible]) * own[possible]), atol=1e-5)
    # the other temperature's shares are another distribution
    wrong = torch.softmax(logits[0].double() / (1.5 - temperature), 0).numpy()
    assert stats.chisquare(counts[possible], 4000 * wrong[possible]).pvalue < 1e-6


def test_a_trace_ends_before_its_stop_string_or_the_end_token(llama):
    for seed in range(3):
        free = written(llama, seed, n_steps=40, temperature=2.0)
        # bytes that spell no character have no place in a text
        stop = next(c for t in free for c in t.text[3:] if c.isascii() and c.isalnum())
        cut = written(llama, seed, n_steps=40, temperature=2.0, stop=[stop])
        for a, b in zip(free, cut, strict=True):
            if stop in a.text:
                assert b.stopped == "text"
                assert b.text == a.text[: a.text.index(stop)]
                np.testing.assert_array_equal(a.tokens[: b.n_steps], b.tokens)
                np.testing.assert_allclose(a.update_energy[:, : b.n_steps], b.update_energy, rtol=1e-4)
            else:
                assert (a.stopped, a.n_steps) == (b.stopped, b.n_steps)
            if b.stopped == "length":
                assert b.n_steps == 40
    ends = sampling.end_tokens(llama)
    assert all(not np.isin(t.tokens, ends).any() for t in free)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_steps": 0}, "n_steps=0"),
        ({"temperature": 0}, "temperature=0"),
        ({"stop": "ab"}, "stop='ab'"),
        ({"stop": [""]}, "stop="),
        ({"vectors": [4]}, "layers 0 to 3"),
        ({"batch_size": 0}, "batch_size=0"),
    ],
)
def test_traces_say_what_is_wrong(llama, options, words):
    with pytest.raises(ParameterError, match=words):
        written(llama, **options)


def test_prompts_that_leave_no_room_are_refused(llama):
    words = "row 0: . tokens and 5001 to come, .* knows 2048 positions. Shorten it or ask for fewer steps"
    with pytest.raises(ModelError, match=words):
        generation.traces(llama, ["abc"], rng=np.random.default_rng(0), n_steps=5000)
    with pytest.raises(ParameterError, match="one continuation"):
        generation.replay(llama, ["abc", "d"], [np.array([5])])


def test_energies_that_are_not_finite_name_the_block(llama, monkeypatch):
    class Hooks(models.ReducingHooks):
        def take(self):
            return [h * (torch.inf if layer == 2 else 1) for layer, h in enumerate(super().take())]

    monkeypatch.setattr(models, "ReducingHooks", Hooks)
    with pytest.raises(ModelError, match="block 1 adds is not finite"):
        written(llama)
