from __future__ import annotations

from local.debian_packages import Source, debian_source, parse_deb822, parse_one_line, render_source, render_status

DEB822 = """\
# the machine's own
Types: deb deb-src
URIs: http://mirror.invalid/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian.gpg

Types: deb
URIs: http://mirror.invalid/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://other.invalid/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://sources.invalid/debian
Suites: bookworm
Components: main
"""


def test_a_stanza_that_is_disabled_or_of_sources_is_left_out() -> None:
    assert [source.uris for source in parse_deb822(DEB822)] == [
        ("http://mirror.invalid/debian",),
        ("http://mirror.invalid/debian-security",),
    ]


def test_an_embedded_key_stays_whole() -> None:
    stanza = "Types: deb\nURIs: http://m.invalid/d\nSuites: sid\nComponents: main\nSigned-By:\n -----BEGIN\n .\n abc\n"

    (source,) = parse_deb822(stanza)

    assert "Signed-By: \n -----BEGIN\n .\n abc\n" in render_source(source, "unstable")


def test_a_one_line_source_brings_its_options() -> None:
    text = (
        "# deb http://old.invalid/debian bookworm main\n"
        "deb [ arch=amd64 signed-by=/k.gpg ] http://mirror.invalid/debian bookworm main # ours\n"
        "deb-src http://mirror.invalid/debian bookworm main\n"
    )

    assert parse_one_line(text) == [
        Source(("http://mirror.invalid/debian",), ("bookworm",), ("main",), {"signed-by": "/k.gpg"})
    ]


def test_the_debian_archive_is_the_one_of_the_release_itself() -> None:
    vendor = Source(("https://vendor.invalid/debian",), ("bookworm",), ("stable",))
    security = Source(("http://mirror.invalid/debian-security",), ("bookworm-security",), ("main",))
    debian = Source(("http://mirror.invalid/debian",), ("bookworm", "bookworm-updates"), ("main",))

    assert debian_source([vendor, security, debian], "bookworm") is debian
    assert debian_source([vendor, security], "bookworm") is None


def test_only_the_suite_changes() -> None:
    (source, _) = parse_deb822(DEB822)

    assert render_source(source, "unstable") == (
        "Types: deb\n"
        "URIs: http://mirror.invalid/debian\n"
        "Suites: unstable\n"
        "Components: main\n"
        "Targets: Packages\n"
        "Signed-By: /usr/share/keyrings/debian.gpg\n"
    )


def test_what_is_said_to_be_present_looks_installed_to_apt() -> None:
    assert render_status([]) == ""
    assert render_status(["libc6"]).splitlines() == [
        "Package: libc6",
        "Status: install ok installed",
        "Architecture: all",
        "Multi-Arch: foreign",
        "Version: 999",
        "",
    ]
