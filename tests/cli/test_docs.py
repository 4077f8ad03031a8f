"""docs/cli.md is what the client says of itself."""
import os
import subprocess

import recorder

DOCS = os.path.join(recorder.ROOT, "docs", "cli.md")


def test_the_reference_is_the_table_of_commands():
    printed = subprocess.run([recorder.DISPATCH, "help", "--markdown"], capture_output=True, text=True, check=True).stdout
    with open(DOCS, encoding="utf-8") as file:
        written = file.read()
    head = written.index("## dispatch ")
    assert written[head:] == printed, \
        "write what `dispatch help --markdown` prints from the first `## dispatch` on into docs/cli.md"


def test_the_file_in_the_documentation_is_taken(api, dispatch, tmp_path):
    with open(DOCS, encoding="utf-8") as file:
        yaml = file.read().split("```yaml\n")[1].split("```")[0]
    (tmp_path / "app.yaml").write_text(yaml)
    (tmp_path / "requirements.txt").write_text("requests\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "hello.py").write_text("x")
    shown = dispatch("create", "-f", "app.yaml", "--dry-run")
    assert shown.err == "" and shown.out.count("POST /v1/") == 4
