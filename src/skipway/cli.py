"""The command line: argument parsing only."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import __version__, cases
from ._cli_errors import Commands
from ._cli_options import check_ending, json_option, plan_and_save, shape_option
from ._cli_results import finish, finish_rewiring, plan_in, result_in, say_where, show
from ._cli_training import Training, training_options
from .learn._commands import learn

if TYPE_CHECKING:
    from ._case import Case

CASE_HELP = "CASE is a built-in name (see `skipway cases`) or path/to/file.py[:name]."
SUBJECT_HELP = (
    f"{CASE_HELP} With --shape, MODEL is path/to/file.py:name or package.module:name (such as "
    "torchvision.models:resnet18), a network or a function that returns one."
)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with `skipway cure`: it takes the embedded 50-layer network through everything. "
    "Then hand it a file of your own: `skipway cure my_case.py`.",
)
@click.version_option(__version__, prog_name="skipway")
@click.option("--traceback", "show_traceback", is_flag=True, help="Show where an error came from.")
def main(show_traceback: bool) -> None:
    """See where the gradient dies, give it another path, prove that it helped."""


@main.command(epilog=CASE_HELP)
@click.argument("case", default="plain-mlp", metavar="[CASE]")
@training_options
@json_option
def cure(case: str, training: Training, as_json: bool) -> None:
    """Diagnose, rewire, compare, report: the main job.

    Names the cause and the place, rewires the network by addition and by concatenation where
    depth is the cause, holds both against the given network and against controls over paired
    seeds, and writes report.html and result.json.

    Ends with status 0 when the case is cured or there is nothing to cure, 1 when it could not be
    helped, 2 on a wrong call.
    """
    from ._cure import cure as run

    problem = _find(case, training.epochs)
    place = training.place(problem.name)
    with training.kept_in(place), _progress("cure") as progress:
        result = run(
            problem,
            **training.settings(place),
            time_limit=training.time_limit,
            progress=progress,
            command=_command(),
        )
        page = result.save(place / "report.html")
        data = result.save(place / "result.json")
        for stale in place.glob("plan-*.json"):
            stale.unlink()
        for rewiring in result.rewirings:
            rewiring.plan.save(place / f"plan-{rewiring.plan.how}.json")
    show(result.to_dict(), as_json)
    for file in (page, data):
        say_where(file, as_json)
    raise SystemExit(1 if result.outcome == "not cured" else 0)


@main.command(epilog=CASE_HELP)
@click.argument("case")
@click.option("--after", default=0, type=click.IntRange(0), help="Train this many epochs first.")
@click.option("--save", type=click.Path(path_type=Path), help="Also write it as .html or .json.")
@json_option
def diagnose(case: str, after: int, save: Path | None, as_json: bool) -> None:
    """Where does the gradient die, and why?"""
    from ._cure import diagnose_case

    check_ending(save, ".html", ".json")
    with _progress("diagnose") as progress:
        result = diagnose_case(_find(case), epochs=after, progress=progress)
    finish(result, save, as_json)


@main.command(epilog=CASE_HELP)
@click.argument("case")
@click.option(
    "--how",
    type=click.Choice(["add", "cat", "dense"]),
    help="By addition, by concatenation, or every layer reads all earlier ones.  [default: add, "
    "or what the plan says]",
)
@click.option(
    "--preserve",
    is_flag=True,
    help="Start with every skip closed: the outputs stay bit for bit what they are.",
)
@plan_and_save
@json_option
def rewire(
    case: str, how: Any, preserve: bool, plan: Path | None, save: Path | None, as_json: bool
) -> None:
    """Which skips, where, and what does the code look like then?"""
    from ._cure import rewire_case

    check_ending(save, ".py", ".json", ".html")
    given = plan_in(plan)
    if given is not None and how not in (None, given.how):
        raise click.UsageError(f"--how {how} and a plan that says {given.how}; leave one out.")
    result = rewire_case(_find(case), how=how or "add", plan=given, preserve=preserve)
    finish_rewiring(result, save, as_json)


RULES = ("rezero", "skipinit", "layerscale", "stochastic-depth", "fixup", "scaled", "deepnorm",
         "highway", "hyper-connections", "manifold-hyper-connections", "denseformer",
         "attention-residuals", "delta-attention-residuals", "none")  # fmt: skip


@main.command(epilog=SUBJECT_HELP)
@click.argument("case", metavar="CASE|MODEL")
@shape_option
@click.option(
    "--rule",
    type=click.Choice(RULES),
    help="What becomes of x + f(x); none cuts the skips.  [default: rezero]",
)
@click.option(
    "--preserve/--no-preserve",
    default=True,
    show_default=True,
    help="Compute at first what it did, where the rule can.",
)
@plan_and_save
@json_option
def reconnect(
    case: str,
    shape: str | None,
    rule: str | None,
    preserve: bool,
    plan: Path | None,
    save: Path | None,
    as_json: bool,
) -> None:
    """What if its skips followed another rule, or none?"""
    from ._rewire import reconnect as run
    from ._subject import subject

    check_ending(save, ".py", ".json", ".html")
    if plan and rule:
        raise click.UsageError("--rule and --plan, which says the rule itself; leave one out.")
    chosen = None if rule == "none" else rule or "rezero"
    given = plan_in(plan)
    model, inputs = subject(case, shape)
    result = run(model, inputs, rule=chosen, preserve=preserve, plan=given)
    finish_rewiring(result, save, as_json)


@main.command(epilog=SUBJECT_HELP)
@click.argument("case", metavar="CASE|MODEL")
@shape_option
@click.option("--save", type=click.Path(path_type=Path), help="Also write it as .html or .json.")
@json_option
def skips(case: str, shape: str | None, save: Path | None, as_json: bool) -> None:
    """Which skips does this network already have?"""
    from ._rewire import skips as run
    from ._subject import subject

    check_ending(save, ".html", ".json")
    finish(run(*subject(case, shape)), save, as_json)


@main.command(epilog=CASE_HELP)
@click.argument("case_names", nargs=-1, required=True, metavar="CASE...")
@training_options
@click.option("--dry-run", is_flag=True, help="Say what would be trained and how long it takes.")
@click.option("--save", type=click.Path(path_type=Path), help="Also write it as .html or .json.")
@json_option
def compare(
    case_names: tuple[str, ...],
    training: Training,
    dry_run: bool,
    save: Path | None,
    as_json: bool,
) -> None:
    """Hold networks against each other over paired seeds.

    The first CASE is the reference. With one CASE alone it is held against the controls.
    """
    from ._compare import compare as run
    from ._compare import foresee

    problems = [_find(name, training.epochs) for name in case_names]
    names = [problem.name for problem in problems]
    if len(set(names)) < len(names):
        raise click.UsageError(f"Two of the cases have the same name: {', '.join(names)}.")
    place = training.place("-vs-".join(names))
    together, settings = dict(zip(names, problems, strict=True)), training.settings(place)
    if dry_run:
        show(foresee(together, **settings, fresh=training.fresh).to_dict(), as_json)
        return
    with training.kept_in(place):
        with _progress("compare") as progress:
            limit = training.time_limit
            result = run(together, **settings, time_limit=limit, progress=progress)
        result.save(place / "result.json")
        finish(result, save or place / "report.html", as_json)


@main.command("cases")
@json_option
def list_cases(as_json: bool) -> None:
    """List the built-in cases."""
    summaries = cases.summaries()
    if as_json:
        click.echo(json.dumps(summaries, indent=1))
        return
    width = max(map(len, summaries))
    for name, line in summaries.items():
        click.echo(f"{name:<{width}}  {line}")


@main.command()
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    help="Where to write it.  [default: report.html beside the result]",
)
@json_option  # fmt: skip
def report(run: Path, save: Path | None, as_json: bool) -> None:
    """Draw the report of a finished run again, from its folder alone.

    RUN is the folder of a run, or the result.json in it.
    """
    from ._results import read

    source = result_in(run) if run.is_dir() else run
    finish(read(source), save or source.with_name("report.html"), as_json)


main.add_command(learn)


@main.command()
@click.argument("page", default="", metavar="[PAGE[#SECTION]]")
def docs(page: str) -> None:
    """Read a page of the documentation here, or list them.

    The errors name pages: `skipway docs rewire#the-optimizer`.
    """
    from ._docs import show as show_page

    show_page(page)


def _find(spec: str, epochs: int | None = None) -> Case:
    case = cases.find(spec)
    return case if epochs is None else case.replace(epochs=epochs)


def _progress(title: str) -> Any:
    from . import report as reports

    return reports.progress(title)


def _command() -> str:
    return shlex.join(["skipway", *(word for word in sys.argv[1:] if word != "--fresh")])
