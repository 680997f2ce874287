from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.module_reader import read_module
from services.catalog.rad_convention import UiMeta, split_ui_meta, whole_credits
from tests.unit.catalog.modules import FIXTURES, files, files_in, refusals, warnings

RAD = FIXTURES / "rad" / "modules"
BANK = files_in(RAD / "Bank_GKE")
UNREAD = "UIMeta: not read, since it is not one `{{UIMeta …}}`"
METADATA = """\
variable "module_description" {
  default = "A website."
}
variable "credit_cost" {
  default = 25
}
"""


def test_a_directory_with_reserved_variables_is_a_module_as_it_is() -> None:
    read = read_module("Bank_GKE", BANK)
    assert read is not None
    module = read.definition
    assert (module.name, module.title) == ("Bank_GKE", "Bank GKE")
    assert module.description.startswith("**Purpose:** a bank of microservices")
    assert 'Costs "real" money: $5 a day, 100 % of it yours.' in module.description
    assert (module.credit_cost, module.require_credit_purchases, module.public_access) == (
        150,
        False,
        True,
    )
    assert module.documentation == "https://docs.example.com/bank-gke"
    assert module.tags == ("GCP", "GKE", "Cloud IAM")
    assert module.dependencies == ("GCP Project", "GCP Services")
    assert module.readme == "# Bank of microservices\n"


def test_reserved_variables_are_none_of_the_form() -> None:
    read = read_module("Bank_GKE", BANK)
    assert read is not None
    assert [(v.group, v.name) for v in read.definition.variables] == [
        (0, "billing_account_id"),
        (0, "trusted_users"),
        (1, "deployment_id"),
        (1, "zone"),
        (1, "node_pools"),
        (2, "existing_project_id"),
        (2, "available_regions"),
        (3, "cluster_size"),
        (3, "deploy_application"),
        (4, "admin_password"),
    ]


def test_options_have_the_type_of_their_variable() -> None:
    read = read_module("Bank_GKE", BANK)
    assert read is not None
    by_name = {variable.name: variable for variable in read.definition.variables}
    assert by_name["cluster_size"].options == (1, 2, 4)
    assert by_name["available_regions"].options == ("us-west1", "us-east1", "europe-west1")
    assert by_name["deploy_application"].default is True
    assert by_name["existing_project_id"].description == (
        "Enter the project's ID.\nIt must exist already."
    )
    assert by_name["cluster_size"].description == "The number of clusters. At most 4."


def test_an_owner_is_told_what_is_odd_about_a_module_that_works() -> None:
    assert warnings(BANK, "Bank_GKE") == [
        (
            "variables.tf",
            71,
            (
                "variable `billing_account_id` is hidden (group 0) and has no default, "
                "so no deployment can succeed"
            ),
        ),
        ("variables.tf", 105, "variable `zone` has a default that is not among its options"),
        ("variables.tf", 124, "variable `node_pools` UIMeta: group is not a whole number"),
    ]


def test_a_directory_beside_modules_is_none() -> None:
    assert read_module("App_Common", files_in(RAD / "App_Common")) is None


def test_metadata_may_stand_in_any_file() -> None:
    read = read_module("Website_CloudRun", files_in(RAD / "Website_CloudRun"))
    assert read is not None
    assert read.definition.credit_cost == 25


def test_a_module_file_wins_over_reserved_variables() -> None:
    text = "name: web\npublic_access: true\n"
    read = read_module("x", files(module_yaml=text, variables_tf=METADATA))
    assert read is not None
    module = read.definition
    assert (module.name, module.description, module.credit_cost) == ("web", "A website.", 25)
    assert module.public_access
    assert module.variables == ()


def test_without_metadata_a_variable_of_a_reserved_name_is_like_any_other() -> None:
    read = read_module("x", files(variables_tf='variable "public_access" {}\n'))
    assert read is not None
    assert [variable.name for variable in read.definition.variables] == ["public_access"]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (METADATA.replace("25", "2.5"), 4, "`credit_cost` must be a whole number of credits, not"),
        (METADATA.replace("25", "-1"), 4, "`credit_cost` must not be negative"),
        (METADATA.replace("25", '"many"'), 4, "`credit_cost` must be a whole number of credits"),
        (METADATA.replace("  default = 25\n", ""), 1, "`credit_cost` has no default"),
        ('variable "module_description" {}\n', 1, "`credit_cost` has no default"),
        (
            METADATA + 'variable "public_access" {\n  default = "perhaps"\n}\n',
            7,
            "`public_access` must be true or false, not a string",
        ),
        (METADATA + "broken {\n", 7, "is not valid HCL"),
    ],
)
def test_metadata_that_makes_no_sense_is_refused(text: str, line: int, message: str) -> None:
    [(file, found_line, found)] = refusals(files(module_yaml="", variables_tf=text))
    assert (file, found_line) == ("variables.tf", line)
    assert found.startswith(message)


def test_a_directory_that_no_module_can_be_named_after_is_refused() -> None:
    module = files(module_yaml="", variables_tf=METADATA)
    [(_, _, message)] = refusals(module, "what?!")
    assert message.startswith("the directory's name cannot be a module's")
    read = read_module("GCP Project", module)
    assert read is not None
    assert read.definition.name == "GCP-Project"


@pytest.mark.parametrize(
    ("description", "shown", "meta"),
    [
        ("Where.", "Where.", UiMeta()),
        ("Where. {{UIMeta group=2 order=5 }}", "Where.", UiMeta(group=2, order=5)),
        ("Where.{{UIMeta group=0}}", "Where.", UiMeta(group=0)),
        ("{{UIMeta updatesafe}} Where.", "Where.", UiMeta(update_safe=True)),
        ("A {{ UIMeta  Order = 3 }}, B.", "A, B.", UiMeta(order=3)),
        ("{{UIMeta options=a,b}}", "", UiMeta(options=("a", "b"))),
        (
            "{{UIMeta options=New York, Los Angeles order=2}}",
            "",
            UiMeta(options=("New York", "Los Angeles"), order=2),
        ),
        ("{{UIMeta options='a',\"b\",,}}", "", UiMeta(options=("a", "b"))),
        ("{{UIMeta dependson=(a==true||b==x) mandatory group=3}}", "", UiMeta(group=3)),
        ("{{UIMeta" + " " * 20_000 + "group = 2}}", "", UiMeta(group=2)),
        ("{{UIMeta group=-1}}", "", UiMeta(warnings=("UIMeta: group is not a whole number",))),
        ("{{UIMeta\n  group=1\n  updatesafe\n}}\nMore.", "More.", UiMeta(update_safe=True)),
        ("Says {{this}} and UIMeta", "Says {{this}} and UIMeta", UiMeta()),
        ("A {{UIMeta group=0 }", "A {{UIMeta group=0 }", UiMeta(warnings=(UNREAD,))),
        ("A {UIMeta group=0}}", "A {UIMeta group=0}}", UiMeta(warnings=(UNREAD,))),
        (
            "A {{UIMeta group=2}} {{UIMeta order=1}}",
            "A {{UIMeta order=1}}",
            UiMeta(group=2, warnings=(UNREAD,)),
        ),
    ],
)
def test_uimeta_is_read_as_people_write_it(description: str, shown: str, meta: UiMeta) -> None:
    assert split_ui_meta(description) == (shown, meta)


@pytest.mark.parametrize(
    ("value", "cost"),
    [
        (0, 0),
        (150, 150),
        ("25", 25),
        (-1, None),
        (Decimal("2.5"), None),
        (True, None),
        (None, None),
        (2**53, None),
        (["5"], None),
    ],
)
def test_credits_are_whole_and_not_negative(value: Any, cost: int | None) -> None:
    assert whole_credits(value)[0] == cost


@given(st.text(alphabet="UIMeta{}= ,\n\"'gorupdesafn0159-|()", max_size=80))
def test_any_description_can_be_read(text: str) -> None:
    split_ui_meta("{{UIMeta " + text + "}}" + text)
