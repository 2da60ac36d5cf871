"""What is drawn while somebody waits."""

from __future__ import annotations

import io

from rich.console import Console

from skipway.report._progress import bar, counter


def screen(*, terminal: bool = True) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100)


def drawn(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_counter_is_drawn_once_it_takes_long() -> None:
    console = screen()
    with counter("passes", console, after=0.0) as count:
        count(7)
    assert "7 passes" in drawn(console)


def test_what_is_quickly_over_draws_nothing_and_neither_does_what_is_no_terminal() -> None:
    console, file = screen(), screen(terminal=False)
    with counter("passes", console, after=60.0) as count, counter("steps", file, after=0.0) as two:
        count(7)
        two(7)
    assert drawn(console) == drawn(file) == ""


def test_a_bar_that_is_drawn_already_says_the_count() -> None:
    outer, inner = screen(), screen()
    with bar(console=outer), counter("passes", inner, after=0.0) as count:
        count(7)
    assert "7 passes" in drawn(outer)
    assert drawn(inner) == ""
    with counter("passes", inner, after=0.0) as count:
        count(8)
    assert "8 passes" in drawn(inner)
