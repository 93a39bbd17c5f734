"""Saved states of foreign code come into the store as they are, or the message says why they cannot."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from builders import three_seeds
from zspace.errors import AbsentStatesError, AmbiguousStatesWarning, StoreError
from zspace.sources.models import TRAINED, Subject
from zspace.states import arrays, imported, store, subjects

torch = pytest.importorskip("torch", reason="the extra `models` is not installed")
pytest.importorskip("transformers", reason="the extra `models` is not installed")

from model_builders import forbid_loading, sample_corpus  # noqa: E402
from safetensors.torch import save_file  # noqa: E402  (of the same extra)

pytestmark = pytest.mark.usefixtures("runs")
LANGUAGES = ("en", "sw")
LAYERS, WIDTH = 4, 6  # five items: no two axes are of one length


@pytest.fixture
def corpus():
    return sample_corpus(LANGUAGES)


def random_states(rng, n: int = 5) -> np.ndarray:
    return rng.standard_normal((LAYERS, n, WIDTH)).astype(np.float32)


@pytest.fixture
def saved(rng) -> dict[str, np.ndarray]:
    """What somebody may have saved: two languages of the model and of one twin, and their token ids."""
    names = [f"{variant}{code}" for variant in ("", "random-0/") for code in LANGUAGES]
    found = {name: random_states(rng) for name in names}
    ids = rng.integers(0, 50, (2, 5, 7))
    kept = np.arange(7) < rng.integers(1, 8, (2, 5, 1))
    return found | dict(zip(("token_ids/en", "token_ids/sw"), np.where(kept, ids, -1), strict=True))


def nested(flat: dict) -> dict:
    """A dict of dicts from names with slashes, as foreign code would save it."""
    tree: dict = {}
    for name, value in flat.items():
        *above, last = name.split("/")
        place = tree
        for key in above:
            place = place.setdefault(key, {})
        place[last] = torch.tensor(value)
    return tree


def write_npz(folder: Path, content: dict) -> Path:
    np.savez(folder / "states.npz", **content)
    return folder / "states.npz"


def write_pt(folder: Path, content: dict) -> Path:
    torch.save(nested(content), folder / "states.pt")
    return folder / "states.pt"


def write_lists(folder: Path, content: dict) -> Path:
    """As transformers gives `hidden_states`: a tuple of one tensor for each layer."""
    tuples = {n: tuple(map(torch.tensor, a)) if a.ndim == 3 else torch.tensor(a) for n, a in content.items()}
    torch.save(tuples, folder / "states.pt")
    return folder / "states.pt"


def write_safetensors(folder: Path, content: dict) -> Path:
    save_file({name: torch.tensor(value) for name, value in content.items()}, folder / "states.safetensors")
    return folder / "states.safetensors"


def write_yaml(folder: Path, content: dict) -> Path:
    """A mapping to a file of each kind: one .npy, and arrays by name of a .pt and a .npz."""
    first, second, *rest = content
    np.save(folder / "one.npy", content[first])
    (folder / "deep").mkdir(exist_ok=True)
    torch.save({"a": {"b": torch.from_numpy(content[second])}, "other": torch.zeros(1)}, folder / "two.pt")
    np.savez(folder / "deep" / "rest.npz", **{f"array {i}": content[name] for i, name in enumerate(rest)})
    places = {first: "one.npy", second: "two.pt:a/b"}
    places |= {name: f"deep/rest.npz:array {i}" for i, name in enumerate(rest)}
    (folder / "states.yaml").write_text(yaml.safe_dump(places))
    return folder / "states.yaml"


WRITERS = {
    "npz": write_npz,
    "pt": write_pt,
    "tuples": write_lists,
    "safetensors": write_safetensors,
    "yaml": write_yaml,
}
every_format = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


@every_format
def test_read_gives_every_array_by_its_name(tmp_path, saved, write, monkeypatch):
    path = write(tmp_path, saved)
    monkeypatch.chdir("/")  # files of a mapping lie beside it, not where one happens to be
    found = arrays.read(path)
    assert found.keys() == saved.keys()
    for name, array in saved.items():
        np.testing.assert_array_equal(found[name], array)


def test_read_names_the_array_of_an_npy_by_its_file(tmp_path, rng):
    np.save(tmp_path / "sw.npy", random_states(rng))
    assert list(arrays.read(tmp_path / "sw.npy")) == ["sw"]


@pytest.mark.parametrize("make", [torch.tensor, lambda a: tuple(map(torch.tensor, a))])
def test_read_names_the_one_array_of_a_pt_by_its_file(tmp_path, rng, make):
    states = random_states(rng)
    torch.save(make(states), tmp_path / "sw.pt")
    found = arrays.read(tmp_path / "sw.pt")
    assert list(found) == ["sw"]
    np.testing.assert_array_equal(found["sw"], states)


@pytest.mark.parametrize("kind", ["pt", "safetensors"])
def test_read_widens_bfloat16_without_changing_a_bit(tmp_path, rng, kind):
    tensor = torch.from_numpy(1000 * random_states(rng)).bfloat16().requires_grad_()
    path = tmp_path / f"states.{kind}"
    (save_file if kind == "safetensors" else torch.save)({"en": tensor}, path)
    (found,) = arrays.read(path).values()
    # a bfloat16 is the upper half of a float32
    halves = tensor.detach().view(torch.int16).numpy().view(np.uint16)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.view(np.uint32), halves.astype(np.uint32) << 16)


def test_read_keeps_language_codes_that_yaml_takes_for_something_else(tmp_path, rng):
    for code in ("no", "1e5", "null"):
        np.save(tmp_path / f"{code}.npy", random_states(rng))
    lines = ("no: no.npy", "random-0:", "  no: no.npy", "  1e5: 1e5.npy", "  null: null.npy")
    (tmp_path / "states.yaml").write_text("\n".join(lines))
    expected = {"no", "random-0/no", "random-0/1e5", "random-0/null"}
    assert set(arrays.read(tmp_path / "states.yaml")) == expected


class Trap:
    """An object that leaves a file behind when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".pt", ".safetensors"])
def test_read_refuses_pickled_objects_and_runs_none_of_their_code(tmp_path, suffix):
    trap, path = tmp_path / "sprung", tmp_path / f"states{suffix}"
    objects = np.array([Trap(trap)], dtype=object)
    {
        ".npz": lambda: np.savez(path, en=objects),
        ".npy": lambda: np.save(path, objects),
        ".pt": lambda: torch.save({"en": Trap(trap)}, path),
        ".safetensors": lambda: path.write_bytes(pickle.dumps(Trap(trap))),
    }[suffix]()
    message = rf"^states{suffix} cannot be read as {suffix} \(.*pickled objects are refused\.$"
    with pytest.raises(StoreError, match=message):
        arrays.read(path)
    assert not trap.exists()
    if suffix == ".pt":  # the trap does spring where objects are unpickled
        torch.load(path, weights_only=False)
        assert trap.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"en": []}, r"^states.pt: en is a list of tensors of the shapes none; expected one shape and type"),
        (
            {"en": [torch.zeros(2), torch.zeros(3)]},
            r"^states.pt: en is a list of tensors of the shapes \(2,\), \(3,\); expected one shape and ty",
        ),
        ({"en": [torch.zeros(2), "x"]}, r"^states.pt: en\[1\] is a str; expected a tensor, or a list of"),
        ({"meta": {"layers": 3}}, r"^states.pt: meta/layers is a int; expected a tensor, or a list of tens"),
        (3, r"^states.pt: states is a int; expected a tensor, or a list of tensors\.$"),
        ({"en": np.zeros(2)}, r"states.pt cannot be read as .pt \(UnpicklingError: .* Save plain arrays"),
    ],
)
def test_read_refuses_what_is_no_dict_of_tensors(tmp_path, content, words):
    torch.save(content, tmp_path / "states.pt")
    with pytest.raises(StoreError, match=words):
        arrays.read(tmp_path / "states.pt")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("states.npz", b"PK rubbish", r"states.npz cannot be read as .npz \("),
        ("states.pt", b"rubbish", r"states.pt cannot be read as .pt \("),
        ("states.bin", b"", r"states.bin ends in .bin; expected .npz, .npy, .safetensors, .pt"),
        ("states", b"", r"states ends in no suffix; expected .npz"),
        ("states.yaml", b"en: [", r"states.yaml is not valid YAML"),
        ("states.yaml", b"\xff\xfe\xff", r"states.yaml is not valid YAML"),
        ("states.yaml", b"- en.npy", r"states.yaml is no mapping; expected lines like `en: english.npz`"),
        ("states.yaml", b"en: en.npy", r"no file .*en.npy; expected one of .npz, .* or a .yaml mapping"),
        ("states.yaml", b"en: two.npz", r"en names two.npz, which holds x, y; say FILE:ARRAY"),
        ("states.yaml", b"en: two.npz:z", r"states.yaml: two.npz has no array 'z'; it holds x, y"),
        ("states.yaml", b"en: none.npz", r"en names none.npz, which holds nothing; say FILE:ARRAY"),
        ("states.yaml", b"en: states.yaml", r"en names 'states.yaml'; expected FILE or FILE:ARRAY"),
        ("states.yaml", b"en:", r"en names ''; expected FILE or FILE:ARRAY, with a FILE ending in .npz"),
    ],
)
def test_read_says_what_is_wrong_with_a_file(tmp_path, name, content, words):
    np.savez(tmp_path / "two.npz", x=np.zeros(2), y=np.zeros(2))
    np.savez(tmp_path / "none.npz")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StoreError, match=words):
        arrays.read(tmp_path / name)


def opened(corpus, pooling: str = "mean", subject: Subject = TRAINED):
    """The imported states of one subject."""
    return subjects.open_states("mine", corpus, [subject], poolings=[pooling], strict=True)[subject]


@every_format
def test_add_then_open_states_gives_the_arrays_back(tmp_path, corpus, saved, write, monkeypatch):
    found = imported.add(write(tmp_path, saved), "mine", corpus)
    assert found.variants == ("trained", "random-0")
    assert (found.languages, found.poolings) == (LANGUAGES, ("mean",))
    forbid_loading(monkeypatch)
    datasets = subjects.open_states("mine", sample_corpus(("sw", "en")), [TRAINED, Subject("random", 0)])
    for subject, prefix in ((TRAINED, ""), (Subject("random", 0), "random-0/")):
        dataset = datasets[subject]
        known = {"model": "mine", "variant": subject.kind, "seed": subject.seed}
        assert known.items() <= dataset.attrs.items()
        assert dataset["language"].values.tolist() == ["sw", "en"]
        assert dataset["item"].values.tolist() == corpus.items["item"].tolist()
        for code in LANGUAGES:
            states = dataset["states"].sel(language=code, pooling="mean").values
            np.testing.assert_array_equal(states, saved[f"{prefix}{code}"])
            ids = [row[row >= 0].tolist() for row in saved[f"token_ids/{code}"]]
            found = [row[row >= 0].tolist() for row in dataset["token_ids"].sel(language=code).values]
            assert found == ids
            assert dataset["n_tokens"].sel(language=code).values.tolist() == [len(row) for row in ids]


def test_add_keeps_poolings_apart_by_name(tmp_path, corpus, rng):
    names = [f"trained/{code}/{pooling}" for code in LANGUAGES for pooling in ("trimmed", "mean")]
    content = {name: random_states(rng) for name in names}
    found = imported.add(write_npz(tmp_path, content), "mine", corpus, pooling="last")
    assert found.poolings == ("mean", "trimmed")
    dataset = opened(corpus, "trimmed")
    for name, states in content.items():
        _, code, pooling = name.split("/")
        np.testing.assert_array_equal(dataset["states"].sel(language=code, pooling=pooling), states)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ">f4"])
def test_add_takes_any_floating_point_numbers(tmp_path, corpus, saved, dtype):
    saved["en"] = saved["en"].astype(dtype)
    imported.add(write_npz(tmp_path, saved), "mine", corpus)
    states = opened(corpus)["states"].sel(language="en", pooling="mean")
    assert states.dtype == np.float32
    np.testing.assert_array_equal(states, saved["en"].astype(np.float32))


def test_add_without_token_ids_has_none(tmp_path, corpus, saved):
    content = {name: array for name, array in saved.items() if not name.startswith("token_ids/")}
    assert not imported.add(write_npz(tmp_path, content), "mine", corpus).has_tokens
    dataset = opened(corpus)
    assert (dataset["token_ids"].values == store.NO_TOKEN).all()
    assert (dataset["n_tokens"].values == 0).all()
    assert imported.add(write_npz(tmp_path, saved), "mine", corpus).has_tokens


def test_add_after_norm_leaves_out_the_last_layer(tmp_path, corpus, saved):
    path = write_npz(tmp_path, saved)
    for last_layer, layers in (("before-norm", LAYERS), ("after-norm", LAYERS - 1)):
        imported.add(path, "mine", corpus, last_layer=last_layer)
        states = opened(corpus)["states"].sel(pooling="mean")
        assert states.sizes["layer"] == layers
        np.testing.assert_array_equal(states.sel(language="sw"), saved["sw"][:layers])


def test_add_takes_one_embedding_for_all_items_where_only_the_last_token_counts(tmp_path, corpus, saved):
    for code in LANGUAGES:
        saved[code][0] = saved[code][0, 0]
    path = write_npz(tmp_path, saved)
    assert imported.add(path, "mine", corpus, pooling="last").poolings == ("last",)
    with pytest.raises(StoreError, match="trained/en/mean: layer 0 is the same for all items"):
        imported.add(path, "mine", corpus)


def replaced(name, make):
    return lambda content: content.update({name: make(content[name])})


def with_value(name, place, value):
    def change(array):
        array = array.astype(np.result_type(array, type(value)))
        array[place] = value
        return array

    return replaced(name, change)


def renamed(old, new):
    return lambda content: content.update({new: content.pop(old)})


BAD_ARRAYS = {
    "items first": (
        replaced("sw", lambda a: a.swapaxes(0, 1)),
        r"trained/sw/mean has shape \(5, 4, 6\); expected \(layers, items, hidden\) with the 5 items of "
        r"letters/spelled-out and at least 2 layers. The items seem to be on axis 0: move that axis to the",
    ),
    "items last": (replaced("en", lambda a: a.swapaxes(1, 2)), "seem to be on axis 2: move that axis to the"),
    "other items": (
        replaced("en", lambda a: a[:, 1:]),
        r"\(4, 4, 6\); expected .* the 5 items .* 2 layers\.$",
    ),
    "no layers": (
        replaced("en", lambda a: a[0]),
        r"trained/en/mean has shape \(5, 6\); expected \(layers, it",
    ),
    "one layer": (replaced("en", lambda a: a[:1]), r"shape \(1, 5, 6\); expected .* at least 2 layers\.$"),
    "ints": (
        replaced("random-0/en", lambda a: (9 * a).astype(int)),
        r"random-0/en/mean holds int64; expected floating-point numbers",
    ),
    "NaN": (
        with_value("en", (2, 1, 0), np.nan),
        r"trained/en/mean: layer 2 has numbers that are not finite in float32. float16 overflows .* bfloat16",
    ),
    "too large": (with_value("sw", (1, 4, 5), 1e300), r"trained/sw/mean: layer 1 has numbers that are not f"),
    "constant layer": (
        with_value("random-0/sw", (2,), 3.0),
        r"random-0/sw/mean: layer 2 is the same for all items, so nothing can be told apart",
    ),
    "fewer layers in one language": (
        replaced("sw", lambda a: a[1:]),
        r"states.npz: trained/sw/mean has shape \(3, 5, 6\), trained/en/mean has \(4, 5, 6\); all must "
        r"have the same layers, items and hidden size",
    ),
    "another width": (
        replaced("random-0/en", lambda a: a[..., 2:]),
        r"random-0/en/mean has shape \(4, 5, 4\)",
    ),
    "a twin without a language": (
        lambda content: content.pop("random-0/sw"),
        r"random-0 has \['en/mean'\], trained has \['en/mean', 'sw/mean'\]; every variant needs each lang",
    ),
    "a language without a pooling": (
        lambda content: content.update({"trained/en/last": content["en"]}),
        r"trained has \['en/last', 'en/mean', 'sw/mean'\]; every variant needs each language in each pooling",
    ),
    "unknown language": (
        renamed("sw", "xx"),
        r"array 'xx' is none of LANGUAGE, VARIANT/LANGUAGE, VARIANT/LANGUAGE/POOLING or token_ids/LANGUAGE, "
        r"with a language of the corpus \(en, sw\) and a pooling \(mean, last, median, trimmed\)",
    ),
    "unknown pooling": (renamed("sw", "trained/sw/max"), r"array 'trained/sw/max' is none of LANGUAGE"),
    "a name too long": (renamed("sw", "a/b/sw/mean"), r"array 'a/b/sw/mean' is none of LANGUAGE"),
    "unknown variant": (
        renamed("random-0/sw", "shuffled-0/sw"),
        r"unknown variant 'shuffled-0'; known: trained, random-SEED, random-blocks-SEED, "
        r"permuted-embeddings-SEED, re-rounded-SEED",
    ),
    "one array under two names": (
        lambda content: content.update({"trained/en/mean": content["en"] + 1}),
        r"states.npz holds trained/en/mean twice, under a short and a long name",
    ),
    "no trained states": (
        lambda content: [content.pop(code) for code in LANGUAGES],
        r"states.npz holds no states of the trained model; expected arrays named by language",
    ),
    "token ids of other items": (
        replaced("token_ids/sw", lambda ids: ids[:4]),
        r"token_ids/sw has shape \(4, 7\) and type int64; expected \(5, longest text\) whole numbers, padded",
    ),
    "flat token ids": (replaced("token_ids/en", np.ravel), r"has shape \(35,\) and type int64; expec"),
    "token ids as floats": (
        replaced("token_ids/en", lambda ids: ids.astype(float)),
        r"token_ids/en has shape \(5, 7\) and type float64; expected .* whole numbers, padded with -1",
    ),
    "a text without tokens": (
        with_value("token_ids/en", (3,), -1),
        r"token_ids/en: .* row 3 has no token; padding is -1, special tokens are left out, and each text",
    ),
    "padding of another number": (
        with_value("token_ids/en", (0, 0), -100),
        r"token_ids/en: ids are below -1",
    ),
    "token ids of some": (
        lambda content: content.pop("token_ids/sw"),
        r"has token ids of en, but none of sw; give those of every language",
    ),
    "one array for two languages": (
        lambda content: content.update(sw=content["en"]),
        r"^trained/en/mean and trained/sw/mean are the same numbers: one array was given twice\.$",
    ),
    "one array for two subjects": (
        lambda content: content.update({"random-0/sw": content["sw"]}),
        r"^trained/sw/mean and random-0/sw/mean are the same numbers",
    ),
    "two items alike": (
        lambda content: content["sw"].__setitem__((slice(None), 3), content["sw"][:, 1]),
        r"^trained/sw/mean: the items 'item-1' and 'item-3' have the same states in all layers, but other te",
    ),
    "one array of ids for two languages": (
        lambda content: content.update({"token_ids/sw": content["token_ids/en"]}),
        r"^token_ids/en and token_ids/sw are the same ids, but the texts are not\.$",
    ),
    "tokens without ids": (
        lambda content: content.update(en=np.repeat(content["en"][:, :, None], 6, axis=2)),
        r"^trained/en/mean has shape \(4, 5, 6, 6\), with an axis of tokens; give token_ids/en of shape \(5,",
    ),
    "token ids of another language": (
        renamed("token_ids/sw", "token_ids/xx"),
        r"array 'token_ids/xx' is none of",
    ),
}


@pytest.mark.parametrize(("change", "words"), BAD_ARRAYS.values(), ids=BAD_ARRAYS)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_add_says_what_is_wrong_with_an_array_and_imports_nothing(
    tmp_path, corpus, saved, change, words, runs
):
    change(saved)
    with pytest.raises(StoreError, match=words):
        imported.add(write_npz(tmp_path, saved), "mine", corpus)
    assert imported.find("mine", corpus) is None
    assert not list(runs.rglob("*.zarr"))


def test_add_after_norm_needs_a_layer_more(tmp_path, corpus, rng):
    path = write_npz(tmp_path, {code: random_states(rng)[:2] for code in LANGUAGES})
    with pytest.raises(StoreError, match=r"shape \(2, 5, 6\); expected .* and at least 3 layers"):
        imported.add(path, "mine", corpus, last_layer="after-norm")
    imported.add(path, "mine", corpus)


@pytest.mark.parametrize(
    "name", ["gemma-3-270m", "", "a/b", "a b", "a:b", "a\\b", ".", "..", "a\nb", "a\0b", "a\ud800"]
)
def test_add_refuses_a_name_that_is_taken_or_no_name(tmp_path, corpus, saved, name):
    words = r"cannot be imported as '.*take a name without .*models.yaml does not use"
    with pytest.raises(StoreError, match=words):
        imported.add(write_npz(tmp_path, saved), name, corpus)


@pytest.mark.parametrize("option", [{"pooling": "max"}, {"last_layer": "normed"}])
def test_add_refuses_unknown_options(tmp_path, corpus, saved, option):
    ((name, value),) = option.items()
    known = "expected one of mean, last, median, trimmed and one of before-norm, after-norm"
    with pytest.raises(StoreError, match=rf"{name}='{value}'.*; {known}"):
        imported.add(write_npz(tmp_path, saved), "mine", corpus, **option)


@pytest.mark.parametrize("name", ["modèle", "m" * 300, "模型"])
def test_add_takes_long_names_and_names_of_any_script(tmp_path, corpus, saved, name):
    added = imported.add(write_npz(tmp_path, saved), name, corpus)
    assert imported.find(name, corpus) == added
    assert imported.find(f"{name}m", corpus) is None


def residual_stream(rng, n_layers: int, n: int, width: int) -> np.ndarray:
    """States whose norms grow over the layers, around a mean that items share."""
    added = rng.standard_normal((n_layers, n, width)) + 3 * rng.standard_normal((n_layers, 1, width))
    return added.cumsum(0).astype(np.float32)


@three_seeds
@pytest.mark.parametrize(
    ("n_layers", "width", "axes", "words"),
    [
        (5, 16, (0, 1), r"as many layers as items \(5\), and by their norms these axes are exchanged"),
        (4, 5, (1, 2), r"as many items as hidden \(5\), and by their means these axes are exchanged"),
    ],
)
def test_add_tells_exchanged_axes_of_one_length(tmp_path, corpus, rng, n_layers, width, axes, words):
    content = {code: residual_stream(rng, n_layers, 5, width) for code in LANGUAGES}
    imported.add(write_npz(tmp_path, content), "mine", corpus)
    exchanged = {code: array.swapaxes(*axes) for code, array in content.items()}
    with pytest.raises(StoreError, match=rf"^trained/en/mean has {words}; expected \(layers, items, hidden"):
        imported.add(write_npz(tmp_path, exchanged), "mine", corpus)
    content = {code: rng.standard_normal((n_layers, 5, width)) for code in LANGUAGES}
    with pytest.warns(AmbiguousStatesWarning, match=r"do not tell which axis is which; make sure"):
        imported.add(write_npz(tmp_path, content), "mine", corpus)


def test_add_takes_items_that_are_alike_where_their_texts_are(tmp_path, corpus, saved):
    texts = {code: (*rows[:4], rows[0]) for code, rows in corpus.texts.items()}
    for name in (*LANGUAGES, "random-0/en", "random-0/sw"):
        saved[name][:, 4] = saved[name][:, 0]
    path = write_npz(tmp_path, saved)
    imported.add(path, "mine", replace(corpus, texts=texts))
    with pytest.raises(StoreError, match="'item-0' and 'item-4' have the same states"):
        imported.add(path, "mine", corpus)


@pytest.mark.parametrize("pooling", ["mean", "last", "median", "trimmed"])
def test_add_pools_states_of_every_token_over_those_that_have_an_id(tmp_path, corpus, rng, pooling):
    ids = {code: np.where(rng.random((5, 9)) < 0.6, rng.integers(0, 50, (5, 9)), -1) for code in LANGUAGES}
    for one in ids.values():
        one[:, 4] = 7
    tokens = {code: rng.standard_normal((LAYERS, 5, 9, WIDTH)).astype(np.float32) for code in LANGUAGES}
    for code, states in tokens.items():
        states[:, ids[code] < 0] = np.nan  # what stands at padding does not matter
    content = tokens | {f"token_ids/{code}": one for code, one in ids.items()}
    imported.add(write_npz(tmp_path, content), "mine", corpus, pooling=pooling)
    found = opened(corpus, pooling)["states"].sel(pooling=pooling)
    for code in LANGUAGES:
        for row, layer in np.ndindex(5, LAYERS):
            inner = tokens[code][layer, row, ids[code][row] >= 0]
            if pooling == "trimmed":
                inner = inner[1:] if len(inner) > 1 else inner
                norms = np.argsort(-np.linalg.norm(inner, axis=1), kind="stable")
                inner = inner[norms[min(int(np.ceil(0.1 * len(inner))), len(inner) - 1) :]]
            by = {"last": lambda x: x[-1], "median": lambda x: np.median(x, axis=0)}
            expected = by.get(pooling, lambda x: x.mean(0))(inner)
            np.testing.assert_allclose(found.sel(language=code)[layer, row], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("content", ["", "{", "{}", "[1]", '[{"name": "mine"}]', "[" * 10**5, '"x"', "null"])
def test_find_says_which_record_is_damaged(tmp_path, corpus, saved, runs, content):
    imported.add(write_npz(tmp_path, saved), "mine", corpus)
    (record,) = (runs / "states" / "imported").glob("*.json")
    record.write_text(content)
    if content == "{}":  # an empty record is of nothing
        record.write_text('{"name": 3}')
    with pytest.raises(
        StoreError, match=rf"^{record}, the record of what was imported as 'mine', is damaged"
    ):
        imported.find("mine", corpus)


def test_add_again_replaces_what_the_name_stood_for(tmp_path, corpus, saved, rng):
    first = imported.add(write_npz(tmp_path, saved), "mine", corpus)
    content = {code: random_states(rng) for code in LANGUAGES}
    second = imported.add(write_npz(tmp_path, content), "mine", corpus)
    assert imported.find("mine", corpus) == second != first
    states = opened(corpus)["states"].sel(pooling="mean")
    np.testing.assert_array_equal(states.sel(language="en"), content["en"])
    with pytest.raises(StoreError, match="lack random-0"):  # the twin is gone with the rest
        opened(corpus, "mean", Subject("random", 0))
    assert imported.add(write_npz(tmp_path, saved), "mine", corpus) == first


def test_add_that_fails_leaves_the_earlier_import(tmp_path, corpus, saved):
    first = imported.add(write_npz(tmp_path, saved), "mine", corpus)
    with pytest.raises(StoreError):
        imported.add(write_npz(tmp_path, {**saved, "xx": saved["en"]}), "mine", corpus)
    assert imported.find("mine", corpus) == first
    assert imported.find("other", corpus) is None
    np.testing.assert_array_equal(opened(corpus)["states"][0, 0], saved["en"])


def test_add_under_one_name_for_two_corpora_keeps_both(tmp_path, corpus, saved, rng):
    first = imported.add(write_npz(tmp_path, saved), "mine", corpus)
    digits = replace(corpus, version="digits")
    second = imported.add(write_npz(tmp_path, {c: random_states(rng) for c in LANGUAGES}), "mine", digits)
    assert (imported.find("mine", corpus), imported.find("mine", digits)) == (first, second)


def test_open_states_leave_out_what_was_not_imported(tmp_path, corpus, saved, monkeypatch):
    imported.add(write_npz(tmp_path, saved), "mine", corpus)
    forbid_loading(monkeypatch)
    wanted = [Subject("random", 1), Subject("random", 0), TRAINED, Subject("re-rounded", 0)]
    assert list(subjects.open_states("mine", corpus, wanted)) == wanted[1:3]
    with pytest.raises(AbsentStatesError, match=r"lack random-1; they have trained, random-0"):
        subjects.open_states("mine", corpus, wanted, strict=True)


@pytest.mark.parametrize("change", [{"name": "others"}, {"version": "digits"}])
def test_open_states_name_the_corpus_that_imported_states_belong_to(
    tmp_path, corpus, saved, change, monkeypatch
):
    imported.add(write_npz(tmp_path, saved), "mine", corpus)
    forbid_loading(monkeypatch)
    asked = replace(corpus, **change)
    words = rf"of 'mine' belong to letters/spelled-out, not to {asked.name}/{asked.version}\. Load that"
    with pytest.raises(StoreError, match=words):
        opened(asked)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (
            {"subject": Subject("random", 1)},
            r"lack random-1; they have trained, random-0 in en, sw \(mean pool",
        ),
        ({"subject": Subject("re-rounded", 0)}, r"lack re-rounded-0; .* Import what is missing, or ask for"),
        ({"pooling": "last"}, r"lack last pooling; they have"),
        (
            {"corpus": sample_corpus(("en", "fr"))},
            r"lack fr; they have .* for letters/spelled-out as it was loaded then",
        ),
    ],
)
def test_open_states_never_capture_what_was_not_imported(tmp_path, saved, asked, words, monkeypatch):
    imported.add(write_npz(tmp_path, saved), "mine", sample_corpus(LANGUAGES))
    forbid_loading(monkeypatch)
    with pytest.raises(AbsentStatesError, match=words):
        opened(**{"corpus": sample_corpus(LANGUAGES)} | asked)


@pytest.mark.parametrize("other", [{"change": "sw"}, {"n": 4}])
def test_open_states_refuse_imported_ones_of_other_texts(tmp_path, corpus, saved, other):
    imported.add(write_npz(tmp_path, saved), "mine", corpus)
    with pytest.raises(StoreError, match=r"lack these texts and items; .* as it was loaded then"):
        opened(sample_corpus(LANGUAGES, **other))


def test_listing_shows_imported_states_by_their_name(tmp_path, corpus, saved):
    imported.add(write_npz(tmp_path, saved), "mine", corpus)
    table = store.listing()
    assert set(table["model"]) == {"mine"}
    assert list(zip(table["variant"], table["language"], strict=True)) == [
        (variant, code) for variant in ("random", "trained") for code in LANGUAGES
    ]
    assert set(table["layers"]) == {LAYERS - 1}
