from services.catalog.definition import Definition, Problem
from services.catalog.events import Change, Content, ModuleReport
from services.catalog.sync_plan import (
    FoundModule,
    ListedModule,
    NotModule,
    Plan,
    ReadModule,
    RefusedModule,
    SameModule,
    bounded,
    plan_sync,
)


def content(name: str, path: str) -> Content:
    return Content(
        definition=Definition(name=name, title=name, credit_cost=1),
        repository="https://git.example.com/modules",
        path=path,
        commit="c1",
        archive_digest="sha256:" + "0" * 64,
        archive_folder="",
        fingerprint="f1",
        fingerprint_paths=(path,),
    )


def found(path: str, name: str | None = None) -> FoundModule:
    return FoundModule(path, content(name or path, path), (), new_id=f"new-{path}")


def refused(path: str) -> RefusedModule:
    return RefusedModule(path, (Problem(file="main.tf", line=3, message="is not valid HCL"),))


def module(name: str, path: str | None = None, *, withdrawn: bool = False) -> ListedModule:
    return ListedModule(name, f"id-{name}", path or name, 1, withdrawn)


def plan(results: list[ReadModule], *modules: ListedModule) -> Plan:
    return plan_sync(results, modules)


def outcomes(result: Plan) -> list[tuple[str, str, str]]:
    return [(report.path, report.name, report.outcome) for report in result.reports]


def test_a_new_name_gets_the_id_that_was_made_for_it() -> None:
    [put] = plan([found("web")]).puts
    assert (put.module_id, put.is_new) == ("new-web", True)


def test_a_known_name_keeps_its_id_wherever_it_moves() -> None:
    result = plan([found("apps/web", "web")], module("web"))
    [put] = result.puts
    assert (put.module_id, put.is_new) == ("id-web", False)
    assert result.withdrawn == ()


def test_a_withdrawn_name_comes_back_as_the_same_module() -> None:
    [put] = plan([found("web")], module("web", withdrawn=True)).puts
    assert (put.module_id, put.is_new) == ("id-web", False)


def test_what_has_not_changed_is_said_to_be_so() -> None:
    result = plan([SameModule("web")], module("web"))
    assert outcomes(result) == [("web", "web", "UNCHANGED")]
    assert (result.puts, result.withdrawn) == ((), ())


def test_a_module_that_is_gone_is_withdrawn() -> None:
    result = plan([found("web")], module("web"), module("old"))
    assert result.withdrawn == ("id-old",)


def test_a_module_that_was_withdrawn_before_is_not_withdrawn_again() -> None:
    assert plan([], module("old", withdrawn=True)).withdrawn == ()


def test_a_module_that_cannot_be_read_now_stays_as_it_was() -> None:
    result = plan([refused("web"), found("api")], module("web"))
    assert outcomes(result) == [("web", "web", "REFUSED")]
    assert result.withdrawn == ()
    assert [put.module_id for put in result.puts] == ["new-api"]


def test_a_directory_that_was_never_a_module_is_refused_by_its_own_name() -> None:
    assert outcomes(plan([refused("apps/new")])) == [("apps/new", "new", "REFUSED")]


def test_a_module_that_gets_another_name_is_another_module() -> None:
    result = plan([found("web", "shop")], module("web"))
    assert [(put.module_id, put.is_new) for put in result.puts] == [("new-web", True)]
    assert result.withdrawn == ("id-web",)


def test_of_two_new_directories_with_one_name_the_first_by_path_gets_it() -> None:
    result = plan([found("b", "web"), found("a", "web")])
    assert [put.found.path for put in result.puts] == ["a"]
    [clash] = result.reports
    assert (clash.path, clash.outcome) == ("b", "REFUSED")
    assert clash.problems[0].message == "the name `web` is taken by `a`"


def test_whoever_has_a_name_keeps_it() -> None:
    result = plan([found("a", "web"), found("z", "web")], module("web", "z"))
    assert [put.found.path for put in result.puts] == ["z"]
    result = plan([found("a", "web"), SameModule("z")], module("web", "z"))
    assert result.puts == ()
    assert outcomes(result) == [("z", "web", "UNCHANGED"), ("a", "web", "REFUSED")]


def test_two_modules_may_trade_places() -> None:
    result = plan(
        [found("a", "web"), found("b", "api")],
        module("web", "b"),
        module("api", "a"),
    )
    assert {put.found.path: put.module_id for put in result.puts} == {"a": "id-web", "b": "id-api"}
    assert result.withdrawn == ()


def test_directories_that_are_no_modules_are_named_as_far_as_there_is_room() -> None:
    plan = plan_sync([NotModule(f"d{number:03}") for number in reversed(range(300))], [])
    assert plan.passed_over == tuple(f"d{number:03}" for number in range(200))


def test_a_report_is_by_path_and_fits_into_one_message() -> None:
    problem = Problem(file="main.tf", line=1, message="x" * 20_000)
    reports = [
        ModuleReport(path=f"m{n:03}", name="m", outcome="REFUSED", problems=(problem,) * 10)
        for n in reversed(range(100))
    ]
    kept = bounded(reports)
    assert [report.path for report in kept] == [f"m{n:03}" for n in range(100)]
    assert len(kept[0].problems) == 10
    assert kept[-1].problems[0].message == "more could be said, but this sync's report is too long"


def test_of_very_many_changes_the_breaking_ones_are_kept() -> None:
    changes = tuple(
        Change(variable=f"v{n}", change="changed", breaking=n % 2 == 0) for n in range(300)
    )
    [report] = bounded([ModuleReport(path="a", name="a", outcome="UPDATED", changes=changes)])
    assert len(report.changes) == 200
    assert sum(change.breaking for change in report.changes) == 150
