"""What of an environment a worker on a node gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from convtui.batch.ray.environment import named_variables, of_node
from convtui.errors import UsageError


def test_a_node_gives_what_a_process_needs_and_no_keys() -> None:
    node = {
        "PATH": "/bin", "HOME": "/root", "LC_ALL": "C", "SSL_CERT_FILE": "/certs", "TZ": "UTC",
        "CONVTUI_HOME": "/x", "OPENAI_API_KEY": "sk-1", "AWS_SECRET_ACCESS_KEY": "x",
        "DATABASE_URL": "postgres://u:p@h/d", "MY_SETTING": "1", "https_proxy": "http://u:p@h",
    }  # fmt: skip
    assert sorted(of_node(node)) == [
        "CONVTUI_HOME", "HOME", "LC_ALL", "PATH", "SSL_CERT_FILE", "TZ",
    ]  # fmt: skip


def test_variables_come_by_name_from_the_file_or_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("A_KEY=of the file\nOTHER=x\n")
    ours = {"A_KEY": "of the environment", "B_KEY": "b", "HOME": "/root"}
    assert named_variables([], ours, str(file)) == {}
    assert named_variables(["A_KEY", "B_KEY"], ours, str(file)) == {
        "A_KEY": "of the file",
        "B_KEY": "b",
    }


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("OPENAI_API_KEI", "it is not set in the environment, did you mean 'OPENAI_API_KEY'?"),
        ("A=b", "write the name of an environment variable alone"),
        ("", "write the name"),
    ],
)
def test_a_name_that_is_none(name: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        named_variables([name], {"OPENAI_API_KEY": "sk-1"})
    assert message in str(caught.value)
    assert "sk-1" not in str(caught.value)
