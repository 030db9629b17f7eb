import re
from pathlib import Path

import pytest
import yaml

PROJECTS = sorted(path.parent.name for path in Path(__file__).parents[1].glob("3_projects/*/python_env.yaml"))


@pytest.fixture
def locked(root) -> dict[str, str]:
    """Return the version of every package in requirements.txt."""
    lines = (root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return dict(re.findall(r"^([\w.-]+)(?:\[.*?\])?==(\S+)", "\n".join(lines), re.MULTILINE))


def direct(root) -> list[tuple[str, str]]:
    """Return the name and the version of every direct dependency."""
    text = (root / "requirements.in").read_text(encoding="utf-8")
    return re.findall(r"^([\w.-]+)(?:\[\w+\])?==([^\s;]+)", text, re.MULTILINE)


def test_the_locked_set_holds_every_direct_dependency(root, locked):
    assert len(direct(root)) > 10
    for name, version in direct(root):
        assert locked[name] == version, name


def test_every_direct_dependency_has_its_reason_and_one_version(root):
    reason = ""
    for line in (root / "requirements.in").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            reason = line
        elif line:
            assert re.match(r"[\w.-]+(\[\w+\])?==\S+|-e \.(/server/mlflow-ftp)? ", line), line
            assert "#" in line or (";" in line and reason.startswith("# The ")), line


def test_no_index_address_and_no_cuda_is_in_the_locked_set(root):
    text = (root / "requirements.txt").read_text(encoding="utf-8").lower()
    assert "http://" not in text
    assert "https://" not in text
    assert "--index" not in text
    assert "nvidia" not in text


def test_linux_on_x86_gets_the_cpu_build_of_tensorflow_and_no_other(root):
    from packaging.requirements import Requirement

    lines = (root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(line) for line in lines if line.startswith("tensorflow")]
    linux = {"sys_platform": "linux", "platform_machine": "x86_64"}
    assert [r.name for r in requirements if r.marker.evaluate(linux)] == ["tensorflow-cpu"]
    for other in (
        {"sys_platform": "darwin", "platform_machine": "arm64"},
        {"sys_platform": "win32", "platform_machine": "AMD64"},
        {"sys_platform": "linux", "platform_machine": "aarch64"},
    ):
        assert [r.name for r in requirements if r.marker.evaluate(other)] == ["tensorflow"], other


@pytest.mark.parametrize("project", PROJECTS)
def test_the_environment_of_a_project_is_pinned_to_the_locked_versions(root, locked, project):
    environment = yaml.safe_load((root / "3_projects" / project / "python_env.yaml").read_text(encoding="utf-8"))
    for requirement in environment["dependencies"]:
        name, version = re.match(r"([\w.-]+)==([^\s;]+)", requirement).groups()
        assert locked[name] == version, requirement
