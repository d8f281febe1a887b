"""Declared settings: read by name, refused by name, whatever package they belong to."""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl
import pytest

from data_specs._declared import Declared, given_settings
from data_specs.errors import SettingRefused
from rating import (
    BenchmarkSettings,
    CreditSettings,
    MedicaidSettings,
    PenaltySettings,
    QuoteSettings,
    RateSettings,
    ReconcileSettings,
)
from riskadjust import ClaimSettings, PlanRiskSettings, ScoringSettings
from riskadjust._mix_settings import MixSettings

OURS = [
    BenchmarkSettings,
    ClaimSettings,
    CreditSettings,
    MedicaidSettings,
    MixSettings,
    PenaltySettings,
    PlanRiskSettings,
    QuoteSettings,
    RateSettings,
    ReconcileSettings,
    ScoringSettings,
]


@pytest.mark.parametrize("settings", OURS)
def test_every_default_may_be_given(settings):
    """A setting that the class does not say how to check, or whose default it refuses, shows here."""
    default = settings()
    assert settings.of(default.as_dict()) == settings.of(None) == settings.of({}) == default
    assert settings.of(default) == default
    assert list(default.as_dict()) == list(settings.names())


@pytest.mark.parametrize("settings", OURS)
def test_choices_are_those_of_settings_and_the_default_is_the_first(settings):
    assert set(settings.CHOICES) <= set(settings.names())
    for name, choices in settings.CHOICES.items():
        assert getattr(settings(), name) == choices[0]
        for choice in choices:
            assert settings.of({name: choice}).as_dict() == settings().as_dict() | {name: choice}


@pytest.mark.parametrize("settings", OURS)
def test_what_is_unknown_is_refused_by_name(settings):
    with pytest.raises(SettingRefused, match=r"^no setting is called 'nothing'") as refusal:
        settings.of({"nothing": 1})
    assert refusal.value.remedy == "settings: " + ", ".join(settings.names())
    for name, choices in settings.CHOICES.items():
        for value in ("never", None, 7, 2.5, [], pl.Series(["a", "b"]), pl.col("a")):
            with pytest.raises(SettingRefused, match=rf"^setting '{name}' cannot be") as refusal:
                settings.of({name: value})
            assert refusal.value.remedy == "choose one of " + ", ".join(map(repr, choices))


@pytest.mark.parametrize("given", [["tie"], "tie", 3, {"tie"}])
def test_settings_are_a_mapping(given):
    for settings in OURS:
        with pytest.raises(SettingRefused, match="settings are not a mapping"):
            settings.of(given)


def test_settings_that_were_given_are_not_changed():
    given = {"refused_discharge_status": [30, "20"]}
    assert ClaimSettings.of(given).refused_discharge_status == ("30", "20")
    assert given == {"refused_discharge_status": [30, "20"]}
    assert given_settings(given) is not given


def test_a_setting_without_a_check_is_a_fault_of_the_class():
    @dataclass(frozen=True)
    class Unsaid(Declared):
        CHOICES: ClassVar = {"word": ("a", "b")}
        word: str = "a"
        number: int = 1

    assert Unsaid.of({"word": "b"}).number == 1
    with pytest.raises(TypeError, match="Unsaid does not say what its setting 'number' may be"):
        Unsaid.of({"number": 2})


def test_counts_and_shares_keep_their_bounds():
    for value in (-1, 100, 1.0, True, "3"):
        with pytest.raises(SettingRefused, match="cannot be") as refusal:
            PlanRiskSettings.of({"family_tier_billable_children": value})
        assert refusal.value.remedy == "give a whole number from 0 to 99"
    assert PlanRiskSettings.of({"gcf_decimals": None, "family_tier_billable_children": 0}).gcf_decimals is None
    assert MixSettings.of({"retention_share": "0.125"}).retention_share == 0.125
    for value in (1, "1.0", -0.1):
        with pytest.raises(SettingRefused, match="cannot be"):
            MixSettings.of({"retention_share": value})
    for value in (-1, 2.0, "2026", False):
        with pytest.raises(SettingRefused, match="a year, or None for never"):
            RateSettings.of({"tobacco_21_from": value})
        with pytest.raises(SettingRefused, match="a whole number, zero or more"):
            RateSettings.of({"tobacco_from_age": value})
    with pytest.raises(SettingRefused, match="a whole number, zero or more"):
        RateSettings.of({"tobacco_from_age": None})
    assert RateSettings.of({"tobacco_21_from": None}).tobacco_21_from is None
