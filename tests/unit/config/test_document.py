"""config.toml: known keys in any case, unknown ones reported, bad values refused with their place."""

from __future__ import annotations

import pytest

from interlock.config.document import SECTIONS, examine, read_document
from interlock.config.duration import parse_duration
from interlock.errors import ConfigError

TABLE = "[Extensions.x]\n"
CONFIG = "[Extensions.x.Config]\n"
HAPROXY = f"{TABLE}Extension = 'haproxy'\n{CONFIG}"


def test_keys_in_any_case() -> None:
    document = read_document('# first\npollinterval = "4s"\nDockerURL = "unix:///x"\n', where="c.toml")
    entry = document.get("PollInterval")
    assert entry is not None
    assert (entry.value, entry.line, entry.effect) == ("4s", 2, "now")
    assert document.place(entry) == "c.toml:2: pollinterval"
    assert document.get("Region") is None
    assert document.warnings == ()


def test_tables_and_their_keys_in_any_case() -> None:
    text = '[extensions]\n[extensions.Web]\nservicecluster = "east"\nTARGETPORT = 81\n'
    text += "[extensions.Web.config]\nIPHASH = true"
    document = read_document(text, where="c.toml")
    found = document.extension("east")
    assert found is not None
    assert (found.name, found.line) == ("Web", 2)
    assert found.config["iphash"].value is True
    port = found.get("TargetPort")
    assert port is not None
    assert document.place(port) == "c.toml:4: extensions.Web.TARGETPORT"
    assert document.extension("") is None
    assert document.warnings == ()


def test_a_table_in_two_spellings_is_one() -> None:
    text = '[Extensions.a]\nServiceCluster = "east"\n[extensions.b]\nServiceCluster = "west"\n'
    text += '[EXTENSIONS.a]\nImage = "i"\nLabels = {"l" = "1"}\nlabels = {"L" = "2"}\n'
    text += "[Extensions.a.Config]\nIPHash = true\n[extensions.a.config]\nReadTimeout = 7\n"
    document = read_document(text, where="c.toml")
    assert [(one.name, one.line, one.service_cluster) for one in document.extensions] == [
        ("a", 1, "east"), ("b", 3, "west"),
    ]  # fmt: skip
    a = document.extensions[0]
    assert {name: entry.value for name, entry in a.config.items()} == {"iphash": True, "readtimeout": 7}
    assert document.place(a.config["readtimeout"]) == "c.toml:12: extensions.a.config.ReadTimeout"
    assert a.entries["image"].value == "i"
    assert a.entries["labels"].value == {"l": "1", "L": "2"}
    assert document.warnings == ()


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    document = read_document('\ufeffRegion = "west"\n', where="c.toml")
    assert document.place(document.entries["region"]) == "c.toml:1: Region"


KEY, HEAD = "the key is there twice, in line", "the table is there twice, in line"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('Region = "a"\n\nRegion = "b"', f"c.toml:3: Region: {KEY} 1 too; keep one of them"),
        ("Region = \"a\"\r\nRegion = '''b\r\n\r\n'''\r\n", f"c.toml:2: Region: {KEY} 1 too; keep one of them"),
        (f"{TABLE}Image = 'a'\n{TABLE}", f"c.toml:3: Extensions.x: {HEAD} 1 too; write all its keys below one of them"),
        (
            f"{TABLE}\nLabels = {{a='1',b='2',\"a\"='3',c='4'}}",
            f"c.toml:3: Extensions.x.Labels.a: {KEY} 3 too; keep one",
        ),
        ("[[x]]\na = 1\n[[x]]\na = 1\na = 1", f"c.toml:5: x.a: {KEY} 4 too; keep one"),
        ("a.b = 1\n[a]", "c.toml:2: a: there are keys of it already, in line 1; write all of it in one place"),
        ("a = {b = 1}\na.c = 2", "c.toml:2: a.c: a is there already, in line 1, and takes no more; write all of a in"),
    ],
)
def test_what_toml_refuses_as_there_already_is_told_with_both_places(text: str, said: str) -> None:
    (found,) = examine(text, where="c.toml").said("error")
    assert found.startswith(said)


def test_the_keys_of_labels_are_the_users() -> None:
    document = read_document(f'{TABLE}ProxyLabels = {{"A.b" = "c", "a.B" = "d"}}', where="c.toml")
    entry = document.extensions[0].get("proxylabels")
    assert entry is not None
    assert entry.value == {"A.b": "c", "a.B": "d"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('PolInterval = "3s"', "c.toml:1: PolInterval: unknown key, ignored; did you mean PollInterval?"),
        ("zzz = 1", "c.toml:1: zzz: unknown key, ignored"),
        (f"{TABLE}ProxyReplica = 2", "c.toml:2: Extensions.x.ProxyReplica: unknown key, ignored; did you mean ProxyR"),
        (f"{CONFIG}\nReadTimout = 2", "c.toml:3: Extensions.x.Config.ReadTimout: unknown key, ignored; did you mean R"),
        (f"{TABLE}ReadTimeout = 2", "unknown key, ignored; it belongs into [Extensions.<name>.Config]"),
        (f'{CONFIG}DockerURL = "x"', "unknown key, ignored; it belongs at the top of the file"),
        (f"{CONFIG}clienttimeout = 2", "a key of HAProxy, ignored: this table is read for nginx; write Extens"),
        (f"{CONFIG}ServerTimeout = 2", 'write Extension = "haproxy" in [Extensions.x] if its proxy is HAProxy'),
        (
            f"{HAPROXY}ReadTimeout = 2",
            "c.toml:4: Extensions.x.Config.ReadTimeout: a key of nginx, ignored: this table is re",
        ),
        (
            f"{HAPROXY}httpoptions = 2",
            'read for HAProxy; write Extension = "nginx" in [Extensions.x] if its proxy is n',
        ),
        (
            f"{HAPROXY}SeverTimeout = 2",
            "c.toml:4: Extensions.x.Config.SeverTimeout: unknown key, ignored; did you mean Serv",
        ),
        (f"{HAPROXY}zzz = 2", "c.toml:4: Extensions.x.Config.zzz: unknown key, ignored"),
        ("ServerTimeout = 2", "unknown key, ignored; it belongs into [Extensions.<name>.Config] of HAProxy"),
        (
            f"{TABLE}Extension = 'HAProxy'",
            "c.toml:2: Extensions.x.Extension = 'HAProxy': its Config is not looked at, for ",
        ),
        (f'{TABLE}TemplatePath = "x"', "a key of Interlock 1, ignored; its place is taken by Template"),
        (f"{CONFIG}ProxyReadTimeout = 2", "a key of Interlock 1, ignored; its place is taken by ReadTimeout in"),
    ],
)
def test_an_unknown_key_is_reported_with_what_was_meant(text: str, said: str) -> None:
    (warning,) = read_document(text, where="c.toml").warnings
    assert said in warning
    assert warning.startswith("c.toml:")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("PollInterval = 3", 'c.toml:1: PollInterval = 3: a duration belongs here; write PollInterval = "3s"'),
        ('AllowInsecure = "yes"', "write AllowInsecure = true or false"),
        ("DockerURL = [1]", "c.toml:1: DockerURL = [1]: a string belongs here"),
        (
            'DockerURL = "ssh://x"',
            "DockerURL = 'ssh://x': a URL of the scheme unix or tcp or http or https belongs here",
        ),
        ('DockerURL = "tcp://x"', 'the port is missing; write DockerURL = "unix:///var/run/docker.sock" or "tcp://ho'),
        ('DockerURL = "tcp://a:hunter2@x:1"', "c.toml:1: DockerURL = 'tcp://…@x:1': Docker takes no password in it;"),
        ('a = "', "c.toml:1: not TOML"),
        ("a = 1\nb = = 2", "c.toml:2: not TOML"),
        (
            'Region = "a"\nregion = "b"',
            "c.toml:2: region: the key is there twice, as Region in line 1 too, differing in case only; keep one",
        ),
        (
            f"{TABLE}Image = 'a'\n[extensions.x]\nImage = 'a'",
            "c.toml:4: extensions.x.Image: the key is there twice, as Extensions.x.Image in line 2 too",
        ),
        (
            f"{CONFIG}IPHash = true\n[Extensions.x.config]\niphash = true",
            "c.toml:4: Extensions.x.config.iphash: the key is there twice, as Extensions.x.Config.IPHash in line 2 too",
        ),
        (
            '[Extensions."a.b"]\nLabels = {c = "1"}\nlabels = {c = "1"}',
            "c.toml:3: Extensions.a.b.labels.c: the key is there twice, as Extensions.a.b.Labels.c in line 2 too",
        ),
        (
            "Extensions = {}\nextensions = 1",
            "c.toml:2: extensions: the key is there twice, as Extensions in line 1 too",
        ),
        ("ListenAddr = 8080", 'c.toml:1: ListenAddr = 8080: a string belongs here; write ListenAddr = "8080"'),
        (
            f"{TABLE}PublishMode = 'both'",
            "Extensions.x.PublishMode = 'both': it is none of those that are known; write ",
        ),
        (f'{TABLE}ProxyReplicas = "2"', "write ProxyReplicas = 2, without quotes"),
        (f"{TABLE}TargetPort = 70000", "the number is out of bounds; write TargetPort = a number of 1 to 65535"),
        (f"{TABLE}Args = ['-D', 1]", "a list of strings belongs here; write Args = "),
        (f"{TABLE}Constraints = 'a==b'", 'write Constraints = ["a==b"]'),
        (f"{TABLE}Labels = {{a = 1}}", "a table of strings belongs here"),
        (f"{TABLE}ProxyUpdateDelay = '5'", "'5' is not a duration"),
        (
            f"{TABLE}ServiceCluster = 'a b'",
            "no label can name such a service cluster; write ServiceCluster = a name of ",
        ),
        (f"{TABLE}ServiceCluster = '~'", "no label can name such a service cluster"),
        (f"{TABLE}ServiceCluster = '{'x' * 64}'", "no label can name such a service cluster"),
        (f"{TABLE}ServiceCluster = 'east '", "no label can name such a service cluster"),
        (f"{TABLE}ServiceCluster = 1", 'write ServiceCluster = "1"'),
        (f"{TABLE}Config = 3", "a table belongs here"),
        ("Extensions = 3", "a table belongs here"),
        ("[Extensions]\nnginx = 3", "c.toml:2: Extensions.nginx = 3: a table belongs here; write [Extensions.nginx]"),
        ("[[Extensions]]\nName = 'nginx'", "[[Extensions]] is of Interlock 1; write a table [Extensions.<name>]"),
        ("[Extensions.a]\n[Extensions.b]", "serves the service cluster (unnamed), as [Extensions.a] does"),
        (f"{CONFIG}HTTPVersion = '2'", 'write HTTPVersion = "1.1" or "1.0"'),
        (f"{CONFIG}HTTPVersion = 1.1", 'write HTTPVersion = "1.1" or "1.0"'),
        (f"{CONFIG}ReadTimeout = '60s'", "a number belongs here"),
        (f"{CONFIG}ReadTimeout = 0", "the number is out of bounds"),
        (f"{CONFIG}ConnectTimeout = '0s'", "every request would fail"),
        (f"{CONFIG}WorkerProcesses = 'many'", 'write WorkerProcesses = 2, or "auto"'),
        (f"{CONFIG}WorkerProcesses = 0", "neither a number within 1 to 256 nor auto"),
        (f"{CONFIG}ClientMaxBodySize = '1 m'", "it is not a size"),
        (f"{CONFIG}LargeClientHeaderBuffers = '8k'", 'write LargeClientHeaderBuffers = "4 8k"'),
        (f"{CONFIG}GlobalOptions = 'x;'", 'write GlobalOptions = ["x;"]'),
        (f"{CONFIG}MainLogFormat = \"'$status'\"", "with a semicolon at the end"),
        (f"{CONFIG}MainLogFormat = \"'$status'; gzip on;\"", "it is not one fragment"),
        (
            f"{HAPROXY}ServerTimeout = '60s'",
            "c.toml:4: Extensions.x.Config.ServerTimeout = '60s': a number belongs here",
        ),
        (f"{HAPROXY}MaxConnections = 1", "the number is out of bounds; write MaxConnections = a number of 16 to"),
        (
            f"{HAPROXY}AccessLogPath = '/var/log/x'",
            '= \'/var/log/x\': HAProxy writes no files; write AccessLogPath = "/dev/stdout" or "/dev/stderr" or "off"',
        ),
        (
            "[Extensions.x]\nTemplate = 'x.j2'\nExtension = 'haproxy'",
            "c.toml:2: Extensions.x.Template = 'x.j2': templates are for nginx, and this table is for HAProxy; write",
        ),
        (f"{CONFIG}SSLDefaultDHParam = '1024'", "write SSLDefaultDHParam = 1024, without quotes"),
    ],
)
def test_what_cannot_be_used_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_document(text, where="c.toml")
    assert said in str(refused.value)
    assert str(refused.value).startswith("c.toml:")


def test_the_options_are_those_of_the_kind_of_proxy() -> None:
    """A key that both have is what it is for that kind; what another extension's mean is its own business."""
    for kind, effect in (("haproxy", "now"), ("", None), ("nginx", None), ("f5", None)):
        said = f"Extension = '{kind}'\n" if kind else ""
        (table,) = examine(f"{TABLE}{said}{CONFIG}ServerTimeout = 7", where="c.toml").extensions
        assert table.kind == (kind or "nginx")
        assert table.config["servertimeout"].effect == effect
    assert examine(f"{TABLE}Extension = 'f5'\n{CONFIG}ServerTimeout = 'x'", where="c.toml").findings == ()


def test_a_template_is_for_nginx_or_for_another_extension() -> None:
    for kind in ("nginx", "f5"):
        assert (
            read_document(f"{TABLE}Extension = '{kind}'\nTemplate = 'x.j2'", where="c.toml")
            .extensions[0]
            .get("Template")
        )
    assert read_document(f"{TABLE}Extension = 'haproxy'\nTemplate = ' '", where="c.toml").warnings == ()
    refused = examine(f"{TABLE}Extension = 'haproxy'\nTemplate = 'x.j2'", where="c.toml")
    assert refused.extensions[0].get("Template") is None
    assert len(refused.said("error")) == 1


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        read_document('PollInterval = "x"\n[Extensions.x]\nImage = 3\nPublishMode = "x"', where="c.toml")
    assert [line.split(": ")[0] for line in str(refused.value).splitlines()] == ["c.toml:1", "c.toml:3", "c.toml:4"]


@pytest.mark.parametrize("key", ["AdminPass", "BusURL"])
def test_a_secret_is_in_no_message(key: str) -> None:
    head = CONFIG if key == "AdminPass" else ""
    (said,) = examine(f"{head}{key} = 12345", where="c.toml").said("error")
    assert "12345" not in said
    assert f"write {key} = " in said


def test_what_is_refused_is_not_among_the_entries() -> None:
    document = examine('PollInterval = "x"\nRegion = "west"', where="c.toml")
    assert list(document.entries) == ["region"]


def test_what_another_extension_is_told_is_its_own_business() -> None:
    document = read_document(
        '[Extensions.x]\nExtension = "f5"\n[Extensions.x.Config]\nURL = "https://a"\nIPHash = 3', where="c"
    )
    assert document.warnings == ()
    assert {key: entry.value for key, entry in document.extensions[0].config.items()} == {
        "url": "https://a",
        "iphash": 3,
    }
    assert (
        "unknown key"
        in read_document('[Extensions.x]\nExtension = "nginx"\n[Extensions.x.Config]\nURL = 1', where="c").warnings[0]
    )


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.title or "core")
def test_every_example_is_read(section: object) -> None:
    """The remedies that we print are taken."""
    heads = {"[Extensions.<name>.Config]": CONFIG, "[Extensions.<name>.Config] of HAProxy": HAPROXY, "": ""}
    for key in section.keys:  # type: ignore[attr-defined]  # a Section; the id needs no type
        document = read_document(f"{heads.get(section.title, TABLE)}{key.name} = {key.kind.example}", where="c.toml")  # type: ignore[attr-defined]  # as above
        assert document.warnings == (), key.name


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3s", 3), ("1m30s", 90), ("500ms", 0.5), ("1.5h", 5400), ("0", 0), (" 2s ", 2), (".5s", 0.5), ("10us", 1e-5)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "3", "s", "-3s", "3 s", "3d", "3s1"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ConfigError, match="write a duration"):
        parse_duration(text)
