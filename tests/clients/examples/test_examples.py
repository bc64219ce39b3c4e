"""What a user of each program in examples/ sees while the server is killed, drained and restored under it."""

import re

import pytest
from programs import PROGRAMS, Run

watchers = pytest.mark.parametrize("program", [it for it in PROGRAMS if it.watches], ids=str, indirect=True)
# The scripted server has neither reflection nor a REST face.
generated = pytest.mark.parametrize("program", [it for it in PROGRAMS if it.builds], ids=str, indirect=True)


@pytest.fixture
def watched(story, program):
    """What the watch of the program said, without the words for people, by certificate."""
    lines = [line.split()[:4] for line in story.watches[program].lines()]
    return lambda name: [" ".join(words) for first, *words in lines if first == f"{program}-{name}"]


@watchers
def test_a_watch_over_kill_9_a_drain_and_a_restore_tells_each_transition_once_and_in_order(watched):
    assert watched("held") == [
        "#1 CREATED IN_PROGRESS",
        "#2 UPDATED IN_PROGRESS",
        # kill -9
        "#3 UPDATED IN_PROGRESS",
        "#4 UPDATED CANCELLED",
        # drain
        "#5 DELETED CANCELLED",
    ]
    assert watched("made") == [
        "#1 CREATED IN_PROGRESS",
        # kill -9
        "#2 UPDATED COMPLETED",
        # a new log after a restore: a snapshot, in which the deleted one is no more
        "#2 SNAPSHOT COMPLETED",
    ]
    assert watched("last") == ["#1 CREATED IN_PROGRESS", "#2 UPDATED FAILED"]


@watchers
def test_what_ended_a_watch_is_said_and_the_server_decides_when_to_come_back(story, program):
    notes = story.watches[program].notes()
    assert "watch interrupted (SERVER_DRAINING): resuming in 0.5 s" in notes, notes
    assert notes.count("the resume token has expired: starting again from a snapshot") == 1, notes


def test_a_creation_is_followed_to_its_merge_over_kill_9(story, program):
    run = story.creates[program]
    assert run.process.returncode == 0, run.told()
    first, last = run.lines()
    assert re.match(rf"{program}-made (#1 CREATED IN_PROGRESS|snapshot inProgress) ", first), run.told()
    assert re.fullmatch(rf"{program}-made (#2 UPDATED COMPLETED|updated completed)", last), run.told()
    assert "interrupted" in run.notes(), run.told()


def test_a_creation_ends_with_the_certificate(story, program):
    run = story.calls[program, "signed"]
    assert run.process.returncode == 0, run.told()
    assert run.lines()[-1].upper().endswith(" COMPLETED"), run.told()
    shown = story.calls[program, "shown"]
    assert re.fullmatch(rf"{program}-self [0-9a-f]{{32}} expires \d{{4}}-\d\d-\d\d", *shown.lines()), shown.told()


def test_a_creation_that_fails_says_why(story, program):
    run = story.calls[program, "failed"]
    assert run.process.returncode == 1, run.told()
    assert re.search(r"failed The test issuer failed", run.lines()[-1], re.IGNORECASE), run.told()


def test_a_bad_request_names_the_field(story, program):
    run = story.calls[program, "bad"]
    assert run.process.returncode == 1, run.told()
    code = r"400 BadParameter" if program.name == "curl" else r"INVALID_?ARGUMENT BAD_PARAMETER"
    field = "policy.issuer.name"
    assert re.match(rf"{code}: Property {field} has invalid value", run.notes(), re.IGNORECASE), run.told()
    if program.name != "curl":
        assert re.search(rf"^  {field}: There is no issuer named nowhere", run.notes(), re.MULTILINE), run.told()


def test_a_missing_certificate_is_said_to_be_missing(story, program):
    run = story.calls[program, "missing"]
    assert run.process.returncode == 1, run.told()
    code = r"404 CertificateNotFound" if program.name == "curl" else r"NOT_?FOUND CERTIFICATE_NOT_FOUND"
    message = rf": A certificate with \(name/id\) {program}-missing was not found .*\?linkid="
    assert re.match(code + message, run.notes(), re.IGNORECASE), run.told()
    if program.name != "curl":
        assert f"\n  about: certificate {program}-missing\n" in run.notes(), run.told()


@pytest.mark.parametrize("token", ["good", "bad"])
def test_the_token_goes_with_each_call(guarded, program, token, tmp_path):
    with Run(program, tmp_path, guarded, "show", "nothing", token=guarded.tokens[token]) as run:
        assert run.wait() == 1, run.told()
    # grpcurl asks for the contract first, and that needs the token too.
    bad = r"UNAUTHENTICATED: failed to query" if program.name == "grpcurl" else r"(UNAUTHENTICATED|401) Una?uth"
    expected = {"good": r"(NOT_?FOUND|404) Certificate_?Not_?Found:", "bad": bad}[token]
    assert re.match(expected, run.notes(), re.IGNORECASE), run.told()


@generated
def test_a_watch_takes_what_a_server_may_do(scripted, program, tmp_path):
    with Run(program, tmp_path, scripted, "watch") as run:
        assert run.wait() == 1, run.told()
    words = [line.split()[:4] for line in run.lines()]
    later = ["UNRECOGNIZED", "UNRECOGNIZED"] if program.name == "java" else ["99", "42"]
    assert words == [
        ["a", "#1", "SNAPSHOT", "IN_PROGRESS"],
        # half a snapshot cannot be resumed: all of it comes again
        ["b", "#2", "SNAPSHOT", "IN_PROGRESS"],
        ["b", "#3", "UPDATED", "IN_PROGRESS"],
        ["c", "#1", *later],
        # repeats
        ["a", "#2", "UPDATED", "IN_PROGRESS"],
        ["b", "#3", "DELETED", "IN_PROGRESS"],
    ], run.told()
    assert scripted.tokens == ["", "", "two"]
    assert "watch interrupted (STORE_UNAVAILABLE): resuming in 0.3 s" in run.notes(), run.told()
    assert re.search("^OUT_?OF_?RANGE *: so$", run.notes(), re.IGNORECASE | re.MULTILINE), run.told()
