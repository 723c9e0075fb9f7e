"""A user's own template, through the whole pipeline with a real nginx."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.ended import Case, ends
from support.nginx_lab import until
from support.pipeline import Pipeline

TEMPLATE = """{# interlock-template: 1 #}
{% extends base %}
{% block top %}# marker of mine
{% endblock %}
{% block server %}
    add_header x-mine {{ host | interpolate }} always;
{% endblock %}
{% block unknown_host %}
        location / { return 418; }
{% endblock %}
"""


def _written(pipeline: Pipeline) -> str:
    return (pipeline.folder / "state" / pipeline.installation.workers[0] / "nginx" / "nginx.conf").read_text()


def test_case_36_a_custom_template(tmp_path: Path) -> None:
    """Case 36: the output begins with its marker; its removal reverts."""
    template = tmp_path / "template.j2"
    template.write_text(TEMPLATE)
    with Pipeline(tmp_path, extension=("--template", str(template))) as pipeline:
        pipeline.service("shop")
        assert pipeline.wait_routed("shop.test").headers["x-mine"] == "shop.test"
        assert pipeline.get("nobody.test").status == 418
        assert _written(pipeline).startswith("# marker of mine\n")
        # Changes and reloads are as ever.
        pipeline.sim.scale("shop", 3)
        pipeline.sim.wait_converged("shop")
        pipeline.wait_effective("shop")
        template.write_text("{% extends base %}")
        pipeline.kill("extension")
        pipeline.start("extension")
        pipeline.wait(lambda: "x-mine" not in pipeline.get("shop.test").headers, "it is ours again")
        pipeline.wait(lambda: pipeline.get("nobody.test").status == 503, "our page answers")
        assert not _written(pipeline).startswith("# marker")


def test_case_36_one_that_cannot_be_used_ends_the_worker_at_once(tmp_path: Path) -> None:
    bad = (
        ("a\n{{ .Port }}", ":2: {{ .… is of a Go template"),
        ("{% extends base %}{% block server %}nonsense on;\n{% endblock %}", 'unknown directive "nonsense"'),
        ("{% extends base %}{% block server %}{{ nothing }}{% endblock %}", "'nothing' is undefined"),
        ("worker_processes 1; events {} http { server { listen 80; } }", "daemon off; pid nginx.pid;"),
        ("{% extends base %}{% block unknown_host %}nonsense on;{% endblock %}", 'unknown directive "nonsense"'),
    )
    templates = [tmp_path / f"{number}.j2" for number in range(len(bad))]
    for template, (text, _) in zip(templates, bad, strict=True):
        template.write_text(text)
    words = ("--bus", "redis://127.0.0.1:1/0", "--state-dir", str(tmp_path / "state"))
    cases = [Case((*words, "--template", str(template)), {}) for template in templates]
    found = ends(["interlock_extension.cli", "interlock_extension.app", "interlock_extension.nginx"], cases)
    for template, (_, said), end in zip(templates, bad, found, strict=True):
        assert end.status == 2, end.said
        assert str(template) in end.said
        assert said in end.said


def test_a_worker_that_is_stopped_while_it_tries_a_template_ends(tmp_path: Path) -> None:
    template, log = tmp_path / "endless.j2", tmp_path / "worker.log"
    again = "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(90) }}"
    template.write_text(f"{{% extends base %}}{{% block http %}}{again}{{% endblock %}}")
    words = ["--bus", "redis://127.0.0.1:1/0", "--state-dir", str(tmp_path / "state"), "--template", str(template)]
    command = [str(Path(sys.executable).with_name("interlock-extension")), *words]
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as worker:
        try:
            until(lambda: "trying the template" in log.read_text(), "it renders")
            worker.terminate()
            assert worker.wait(5) == 0
        finally:
            worker.kill()
    assert "Traceback" not in log.read_text()
