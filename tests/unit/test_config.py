"""Settings: defaults, environment, overrides, and nonsense in variables."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tcomp import config
from tcomp.diagnostics import BindingError


def test_every_setting_has_a_prefixed_variable_and_a_default(monkeypatch):
    for setting in config.SETTINGS:
        assert setting.variable == f"TCOMP_{setting.name.upper()}"
        monkeypatch.delenv(setting.variable, raising=False)
        setting.get()


def test_the_environment_is_read_at_every_use(monkeypatch):
    monkeypatch.setenv("TCOMP_NUM_THREADS", "3")
    assert config.num_threads.get() == 3
    monkeypatch.setenv("TCOMP_NUM_THREADS", " ")
    assert config.num_threads.get() is None
    monkeypatch.setenv("TCOMP_CACHE_DIR", "~/somewhere")
    assert config.cache_dir.get() == Path.home() / "somewhere"


@pytest.mark.parametrize("text", ["many", "0", "-1", "2.5", "5000"])
def test_nonsense_names_the_variable_and_what_it_must_be(monkeypatch, text):
    monkeypatch.setenv("TCOMP_NUM_THREADS", text)
    with pytest.raises(BindingError, match="TCOMP_NUM_THREADS") as caught:
        config.num_threads.get()
    assert caught.value.code == "TC090"
    assert "from 1 to 4096" in caught.value.hint


def test_an_override_ends_with_its_block_and_is_its_threads_own(monkeypatch):
    monkeypatch.setenv("TCOMP_DEBUG", "1")
    seen = []
    with config.override(debug=3):
        assert config.debug.get() == 3
        other = threading.Thread(target=lambda: seen.append(config.debug.get()))
        other.start()
        other.join()
    assert config.debug.get() == 1
    assert seen == [1]


def test_an_override_of_nothing_is_an_error():
    with pytest.raises(KeyError, match="debugging"), config.override(debugging=1):
        pass
