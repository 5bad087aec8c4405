"""What an experiment file may hold, and what is refused in one line."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from promptkit import UserError
from promptkit.comparison import list_presets, make_experiment, read_experiment

WHOLE = """
name = "mine"
strategies = ["hard", "soft"]
shots = [16, "full"]
seeds = [3, 5]
data = "reviews-en"

[settings]
max_length = 64
options = { tokens = 4 }

[strategy.soft]
lr = 0.02

[[variants]]
name = "tokens=20"
strategies = ["soft"]
options = { init = "random" }
epochs = 2
"""


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "e.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_settings_lie_over_each_other_from_general_to_particular(tmp_path: Path) -> None:
    experiment = read_experiment(write(tmp_path, WHOLE))
    config = experiment.run_config("soft", experiment.variants[0], 16, 3)
    assert (config.max_length, config.lr, config.epochs, config.shots, config.seed) == (64, 0.02, 2, 16, 3)
    assert config.options == {"tokens": 4, "init": "random"}
    plain = experiment.run_config("hard", None, None, 5)
    assert (plain.lr, plain.shots, plain.options) == (None, None, {"tokens": 4})
    assert experiment.variants_of("hard") == (None,)
    assert [v.name for v in experiment.variants_of("soft") if v] == ["tokens=20"]


def test_the_file_names_the_comparison_unless_something_else_is_compared(tmp_path: Path) -> None:
    path = write(tmp_path, WHOLE.replace('name = "mine"\n', "", 1))
    assert read_experiment(path).title == "e"
    other = read_experiment(path, data="reviews-zh")
    assert other.title.startswith("reviews-zh-")
    assert read_experiment(path, data="reviews-zh", seeds=1).title != other.title
    assert read_experiment(path, data="reviews-zh", name="kept").title == "kept"


def test_options_of_the_command_line_lie_over_the_file(tmp_path: Path) -> None:
    experiment = read_experiment(
        write(tmp_path, WHOLE), settings={"patience": 1}, strategy={"soft": {"options": {"tokens": 9}}}, shots=(4,)
    )
    config = experiment.run_config("soft", None, 4, 3)
    assert (config.patience, config.max_length, config.options["tokens"], config.lr) == (1, 64, 9, 0.02)
    assert experiment.shots == (4,)


def test_a_number_of_seeds_is_the_seeds_from_zero() -> None:
    assert make_experiment(seeds=3).seeds == (0, 1, 2)
    assert make_experiment(seeds=[7]).seeds == (7,)


def test_a_single_value_is_a_list_of_one(tmp_path: Path) -> None:
    variant = "[[variants]]\nname = 'x'\nstrategies = 'soft'\nepochs = 2\n"
    path = write(tmp_path, f"strategies = 'soft'\nbaselines = 'probe'\nshots = 'full'\nseeds = 2\n{variant}")
    experiment = read_experiment(path)
    assert (experiment.strategies, experiment.baselines, experiment.shots) == (("soft",), ("probe",), ("full",))
    assert experiment.variants[0].strategies == ("soft",)
    with pytest.raises(UserError, match=r"variant 'x' sets epochs, which is given as well\.$"):
        read_experiment(path, strategy={"soft": {"epochs": 1}})


@pytest.mark.parametrize("name", sorted(list_presets()))
def test_the_presets_are_sound(name: str) -> None:
    experiment = read_experiment(name)
    assert experiment.title == name
    for strategy in experiment.strategies:
        for variant in experiment.variants_of(strategy):
            experiment.run_config(strategy, variant, 16, 0)


BAD: list[tuple[str, str]] = [
    ("strategis = ['hard']", "no key 'strategis'. Did you mean 'strategies'?"),
    ("[settings]\nmax_lenght = 3", "settings: no key 'max_lenght'. Did you mean 'max_length'?"),
    ("[settings]\nseed = 3", "settings: no key 'seed'"),
    ("[strategy.soft]\nclean = true", "strategy.soft: no key 'clean'. It belongs into 'settings'"),
    ("[strategy.sofd]\nlr = 1.0", "settings for 'sofd', which is not among its strategies"),
    ("[[variants]]\nname = 'x'\nstrategies = ['nope']", "variant 'x': 'nope' is not among"),
    ("[[variants]]\nname = 'x'\n[[variants]]\nname = 'x'", "variant 'x': the name is there twice for 'hard'."),
    (
        "[[variants]]\nname = 'x'\nstrategies = ['hard', 'soft']\n"
        "[[variants]]\nname = 'x'\nstrategies = ['pet', 'soft']",
        "variant 'x': the name is there twice for 'soft'.",
    ),
    ("[[variants]]\nlr = 3.0", "variants.0.name: Field required"),
    ("shots = [0.5]", "shots: give a whole number above 0 or 'full', or a list of such, not 0.5 (got [0.5])"),
    (
        "shots = [4, 'full', 'half']",
        "shots: give a whole number above 0 or 'full', or a list of such, not 'half' (got",
    ),
    ("shots = 'half'", "shots: give a whole number above 0 or 'full', or a list of such (got 'half')"),
    ("shots = []", "shots: give a whole number above 0 or 'full', or a list of such (got [])"),
    ("shots = [16, 16]", "'16' is there twice"),
    ("seeds = 0", "a number of seeds lies between 1 and 1000"),
    ("seeds = []", "seeds: give how many seeds, or a list of whole numbers from 0 to 4294967295 (got [])"),
    ("seeds = '3'", "seeds: give how many seeds, or a list of whole numbers from 0 to 4294967295 (got '3')"),
    (
        "seeds = [1, -1]",
        "seeds: give how many seeds, or a list of whole numbers from 0 to 4294967295, not -1 (got [1, -1])",
    ),
    ("strategies = 3", "strategies: give a list of names (got 3)"),
    ("strategies = {soft = 1}", "strategies: give a list of names (got {'soft': 1})"),
    ("baselines = ['hard', 3]", "baselines: give a list of names, not 3 (got ['hard', 3])"),
    ("[[variants]]\nname = 'x'\nstrategies = 3", "variants.0.strategies: give a list of names (got 3)"),
    ("strategies = ['hard', 'hard']", "'hard' is there twice"),
    ("name = 'my name/x'", "name: a name has letters, digits, spaces and . + - _ only, and begins with a letter"),
    ("= 3", "not valid TOML"),
    ("variants = 3", "variants: give tables, each below [[variants]] (got 3)"),
    ("[variants]\nname = 'x'", "variants: give tables, each below [[variants]] (got {'name': 'x'})"),
    ("[[variants]]\nname = 'x'\nsettings = 1", "variants.0.settings: give a table, such as { epochs = 5 } (got 1)"),
    ("variants = [1]", "variants: give tables, each below [[variants]] (got [1])"),
    ("strategy = {soft = 1}", "strategy.soft: give a table, such as { epochs = 5 } (got 1)"),
    ("settings = 3", "settings: give a table, such as { epochs = 5 } (got 3)"),
    (
        "[strategy.soft]\ntokens = 5",
        "soft: no key 'tokens'. An option of a strategy goes into options = { KEY = VALUE }.",
    ),
    (
        "[[variants]]\nname = 'x'\ntokens = 5",
        "variant 'x': no key 'tokens'. An option of a strategy goes into options = { KEY = VALUE }. Known",
    ),
    (
        "[settings]\ntokens = 5",
        "no key 'tokens'. An option of a strategy goes into options = { KEY = VALUE } below strategy.NAME, or",
    ),
    ("data = 1", "data: Input should be a valid string (got 1)"),
    ("shots = [{a = 1}]", "or a list of such, not {'a': 1} (got [{'a': 1}])"),
    ("seeds = " + "[" * 3_000 + "]" * 3_000, "nested too deep"),
    ("data" + ".a" * 3_000 + " = 1", "nested too deep"),
    ("seeds = " + "9" * 5_000, "not valid TOML"),
    ("[settings]\nlr = nan", "nan is no finite number"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_bad_experiments_are_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        read_experiment(write(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("reference", ["nowhere.toml", "verbalizer"])
def test_an_experiment_that_is_not_there(reference: str) -> None:
    with pytest.raises(UserError, match=r"nowhere\.toml|Did you mean 'verbalizers'"):
        read_experiment(reference)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a = "])
def test_a_file_that_is_no_toml(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"not valid TOML|not UTF-8"):
        read_experiment(str(path))


@pytest.mark.parametrize("text", [text for text, _ in BAD])
def test_what_is_said_of_a_bad_experiment_is_short(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError) as caught:
        read_experiment(write(tmp_path, text))
    assert len(str(caught.value)) < 600


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(UserError, match="is a pipe, not a file"):
        read_experiment(str(tmp_path / "pipe.toml"))


def test_any_damage_to_an_experiment_is_one_line(tmp_path: Path) -> None:
    whole = (list_presets()["length"]).read_bytes()
    draw = random.Random(0)
    for _ in range(300):
        spoilt = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(spoilt))
            spoilt[at : at + draw.choice([0, 1, 5])] = draw.choice(
                [b"", b"[", b"1", b"\xff", b"'", b"=", b"x = 1\n", b"{}"]
            )
        (tmp_path / "spoilt.toml").write_bytes(bytes(spoilt))
        try:
            experiment = read_experiment(str(tmp_path / "spoilt.toml"))
            for strategy in experiment.strategies:
                for variant in experiment.variants_of(strategy):
                    experiment.run_config(strategy, variant, 16, 0)
        except UserError as error:
            assert len(str(error)) < 1_500  # noqa: PT017


def test_bad_values_of_settings_are_refused_when_a_cell_is_made() -> None:
    settings: dict[str, Any] = {"lr": -1}
    with pytest.raises(UserError, match="--lr"):
        make_experiment(settings=settings).run_config("soft", None, 16, 0)


def test_how_to_fetch_is_no_part_of_a_comparison() -> None:
    plain = make_experiment(strategies=["hard"])
    fetched = make_experiment(strategies=["hard"], settings={"download": True, "mirror": "https://me:pass@word"})
    assert plain.title == fetched.title
    assert "pass@word" not in str(fetched.spec)


def test_a_setting_for_all_cells_replaces_a_strategys_own(tmp_path: Path) -> None:
    experiment = read_experiment(write(tmp_path, WHOLE), settings={"lr": 0.1})
    assert experiment.run_config("soft", None, 16, 0).lr == 0.1
    experiment = read_experiment(write(tmp_path, WHOLE), settings={"lr": 0.1}, strategy={"soft": {"lr": 0.3}})
    assert experiment.run_config("soft", None, 16, 0).lr == 0.3


@pytest.mark.parametrize(
    ("given", "twice"),
    [
        ({"settings": {"epochs": 1}}, "epochs"),
        ({"strategy": {"soft": {"options": {"init": "vocab"}}}}, "init"),
    ],
)
def test_what_a_variant_sets_is_not_given_for_all(tmp_path: Path, given: dict[str, Any], twice: str) -> None:
    with pytest.raises(UserError, match=rf"variant 'tokens=20' sets {twice}, which is given as well\.$"):
        read_experiment(write(tmp_path, WHOLE), **given)
    read_experiment(write(tmp_path, WHOLE), settings={"patience": 1}, strategy={"hard": {"epochs": 0}})


@pytest.mark.parametrize("templates", ["{title} It was {mask}.", ["{title} It was {mask}."]])
def test_fields_of_a_single_template_are_read_by_every_cell(templates: Any) -> None:
    experiment = make_experiment(strategies=["hard", "soft"], strategy={"soft": {"templates": templates}})
    assert experiment.settings["fields"] == ["title"]


def test_how_it_is_fetched_leaves_the_name_of_a_file(tmp_path: Path) -> None:
    path = write(tmp_path, WHOLE)
    assert read_experiment(path, settings={"download": True, "mirror": "https://x"}).name == "mine"
    assert read_experiment(path, settings={"download": True, "patience": 1}).name is None


@pytest.mark.parametrize("strategies", ["5", '[["soft"]]', "true"])
def test_a_variant_for_what_is_no_strategy_is_one_line(tmp_path: Path, strategies: str) -> None:
    text = f'strategies = ["hard"]\n[[variants]]\nname = "a"\nstrategies = {strategies}\n'
    with pytest.raises(UserError) as refusal:
        read_experiment(write(tmp_path, text), settings={"epochs": 1})
    assert "\n" not in str(refusal.value)
