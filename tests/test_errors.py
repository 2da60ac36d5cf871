"""An error leads to its page, and the page can be read where there is no network."""

from __future__ import annotations

import copy
import pickle
import sys
import traceback

import pytest
import torch
from torch import nn

import skipway
from skipway import SkipwayError, _docs
from skipway._errors import CaseError, RewireError, warn
from test_cli import run


def test_the_note_stands_below_the_message_and_not_in_it() -> None:
    with pytest.raises(SkipwayError) as caught:
        skipway.rewire(nn.Linear(4, 4), torch.randn(2, 4))
    assert "docs" not in str(caught.value)
    assert caught.value.page == "rewire#when-it-says-no"
    if sys.version_info >= (3, 11):
        printed = traceback.format_exception(caught.value)
        assert printed[-1] == "More: skipway docs rewire#when-it-says-no\n"


def test_a_place_of_its_own_goes_before_that_of_the_kind() -> None:
    assert RewireError("No.", page="skips").more == "More: skipway docs skips"
    assert SkipwayError("No.").more == ""
    with pytest.raises(SkipwayError) as caught:
        skipway.rewire(torch.compile(nn.Linear(4, 4), backend="eager"), torch.randn(2, 4))
    assert caught.value.page == "training-setups#torchcompile"


@pytest.mark.parametrize("travel", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_an_error_comes_whole_out_of_another_process(travel) -> None:
    error = travel(CaseError("Nothing is there.", page="compare"))
    assert (str(error), error.page) == ("Nothing is there.", "compare")
    assert getattr(error, "__notes__", ["More: skipway docs compare"]) == [error.more]


def test_a_warning_says_where_to_read_on() -> None:
    with pytest.warns(skipway.SkipwayWarning, match=r"stopped\.\nMore: skipway docs watch$"):
        warn("It stopped.", page="watch")


def test_the_command_line_shows_the_page_and_can_show_its_text(tmp_path) -> None:
    done = run("diagnose", "no-such-case", cwd=tmp_path)
    assert done.returncode == 2
    *_, last = done.stderr.splitlines()
    assert last == "More: skipway docs tutorial#the-patient"
    shown = run("docs", last.split()[-1], cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "The patient" in shown.stdout
    assert "Where does the gradient die" not in shown.stdout  # the next section


def test_the_pages_are_listed_and_a_wrong_name_is_refused(tmp_path) -> None:
    listed = run("docs", cwd=tmp_path).stdout
    assert "rewire            Rewire: another path for the gradient" in listed
    for wrong, says in (("nothing", "No page"), ("rewire#nothing", "the-optimizer"),
                        ("../README", "No page")):  # fmt: skip
        done = run("docs", wrong, cwd=tmp_path)
        assert done.returncode == 2
        assert says in done.stderr


def test_a_section_ends_where_the_next_one_begins() -> None:
    section = _docs.section("stuck#vanishing")
    assert section.startswith("## vanishing\n")
    assert "## exploding" not in section
    start = _docs.section("stuck#my-loss-is-stuck")
    assert start.startswith("# My loss is stuck\n")
    assert "## vanishing" not in start
    # A comment in a block of code is no heading.
    assert "class Plain" in _docs.section("rewire#rewire-another-path-for-the-gradient")
