"""What leaves for a model holds no secret."""

import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer_worker.redaction import redact
from tests.support.secret_lines import SEED, leaked, secret_lines

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.s5fGrGQm"
CASES = [
    ("secret", "hunter2", "login with password=hunter2 user=bob"),
    ("secret", "hunter2", '{"password": "hunter2", "user": "bob"}'),
    ("secret", "hunter2", r"{\"password\":\"hunter2\",\"user\":\"bob\"}"),
    ("secret", "hun,ter;2", '{"db_password":"hun,ter;2"}'),
    ("secret", "ter2", r'{"password": "hun\"ter2"}'),
    ("secret", "two words", "DB_PASSWORD='two words' retry"),
    ("secret", "hunter2", "password: hunter2"),
    ("secret", "hunter2", "Password => hunter2"),
    ("secret", "p;w,d", "Server=x;User Id=sa;Password=p;w,d;Database=y"),
    ("secret", "abcdef", "GET /login?access_token=abcdef&page=1"),
    ("secret", "xyzzy", "client_secret%3Dxyzzy"),
    ("secret", "hunter2", "the password is hunter2"),
    ("secret", "s3cret", "mysql --password s3cret -h db"),
    ("secret", "wJalrXUtnFEMI/K7MDENG", "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ("secret", "abc123", "Cookie: theme=dark; sid=abc123; lang=en"),
    ("secret", "123456", "otp=123456 sent"),
    ("secret", "q1w2e3", "settings['api_key'] = 'q1w2e3'"),
    ("token", "abc.def-123", "Authorization: Bearer abc.def-123"),
    ("token", "dXNlcjpwYXNz", "Authorization: Basic dXNlcjpwYXNz"),
    ("token", "abcdefabcdef", '"Authorization": "Token abcdefabcdef"'),
    ("token", "AKIAIOSFODNN7EXAMPLE", "key AKIAIOSFODNN7EXAMPLE rejected"),
    ("token", "ghp_0123456789abcdef0123", "push with ghp_0123456789abcdef0123 failed"),
    ("token", "sk-proj-0123456789abcdef", "openai key sk-proj-0123456789abcdef"),
    ("token", "xoxb-1234-abcdefgh", "slack xoxb-1234-abcdefgh"),
    ("jwt", JWT, f"token {JWT} rejected"),
    ("url_credentials", "p@ss", "postgres://app:p@ss@db:5432/x refused"),
    ("url_credentials", "p/w", "amqp://app:p/w@mq/x refused"),
    ("url_credentials", "ghx_token", "clone https://ghx_token@example.com/repo failed"),
    ("email", "bob.o'neil@example.co.uk", "mail to bob.o'neil@example.co.uk bounced"),
    ("email", "bob@example.com", "user=<bob@example.com>"),
    ("ip", "203.0.113.9", "from 203.0.113.9:52211"),
    ("ip", "2001:db8::8a2e:370:7334", "from 2001:db8::8a2e:370:7334 port 22"),
    ("card", "4111 1111 1111 1111", "card 4111 1111 1111 1111 declined"),
    ("card", "5500-0000-0000-0004", "card 5500-0000-0000-0004 declined"),
    ("ssn", "078-05-1120", "ssn 078-05-1120 on file"),
    ("user", "alice", "open /home/alice/app.py"),
    ("user", "John Smith", r"C:\Users\John Smith\AppData\x"),
    ("key", "9f86d081884c7d659a2feaa0c55ad015", "checksum 9f86d081884c7d659a2feaa0c55ad015"),
    ("key", "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MEFCQ0RFRg", "blob Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MEFCQ0RFRg=="),
    ("private_key", "MIIEvQ", "-----BEGIN RSA PRIVATE KEY----- MIIEvQ -----END RSA PRIVATE KEY----- loaded"),
    ("private_key", "MIIEvQ", "-----BEGIN PRIVATE KEY----- MIIEvQ and then it was cut"),
]


@pytest.mark.parametrize(("kind", "secret", "text"), CASES)
def test_a_secret_is_taken_out_and_counted(kind: str, secret: str, text: str) -> None:
    """Each kind, in the forms in which logs hold it."""
    result = redact(text)
    assert secret not in result.text
    assert result.counts[kind] == 1
    assert f"<redacted:{kind}>" in result.text


ORDINARY = (Path(__file__).parent / "ordinary_lines.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("text", ORDINARY)
def test_what_is_no_secret_stays(text: str) -> None:
    """What an analysis needs is not taken out."""
    assert redact(text).text == text
    assert redact(text).counts == {}


def test_of_what_rules_know_only_addresses_go() -> None:
    """The realistic messages of every category stay readable."""
    rows = (Path(__file__).parent / "wordings.tsv").read_text(encoding="utf-8").splitlines()
    found = Counter[str]()
    for row in rows:
        found.update(redact(row).counts)
    assert set(found) == {"ip"}


SECRETS = secret_lines()


def test_the_corpus_is_large_and_the_same_every_time() -> None:
    """At least two hundred secrets of a hundred forms, no two lines alike."""
    assert len({secret for line in SECRETS for secret in line.secrets}) > 400
    assert len({line.sort for line in SECRETS}) > 100
    assert secret_lines() == SECRETS
    assert secret_lines(seed=1) != SECRETS


@pytest.mark.parametrize("seed", [SEED, 1, 2, 3])
def test_no_piece_of_a_secret_stays(seed: int) -> None:
    """Each line alone, with other seeds than that which the expressions were tried on too."""
    lines = secret_lines(seed=seed)
    assert [found for line in lines for found in leaked([line], redact(line.text).text)] == []
    assert all(redact(line.text).counts for line in lines)


@given(
    st.lists(st.sampled_from([line.text for line in SECRETS] + ORDINARY), min_size=2, max_size=4),
    st.sampled_from(" \n;|,"),
)
def test_secrets_beside_each_other_hide_none(texts: list[str], sign: str) -> None:
    """Lines run together leave no piece of any, and a second pass finds nothing more."""
    once = redact(sign.join(texts)).text
    assert leaked([line for line in SECRETS if line.text in texts], once) == []
    assert redact(once).text == once


PIECES = [secret for _, secret, _ in CASES] + [text for _, _, text in CASES] + [line.text for line in SECRETS]


@given(st.lists(st.one_of(st.text(max_size=30), st.sampled_from(PIECES)), max_size=8).map(" ".join))
def test_redacting_twice_is_redacting_once(text: str) -> None:
    """Any text: it never raises, and what it leaves is left the second time too."""
    once = redact(text)
    assert redact(once.text).text == once.text


@given(st.text(alphabet="password=:\"'\\ &;,<>@/.0a-", max_size=200))
def test_redaction_is_idempotent_on_its_own_alphabet(text: str) -> None:
    """Text made of what the expressions look for."""
    once = redact(text)
    assert redact(once.text).text == once.text


@pytest.mark.parametrize(
    "piece",
    ["eyJ", "password", "a@", "a.b@a.", "1 ", ":", "://", "-----BEGIN PRIVATE KEY", "bearer ", "A1a-", "token='",
     'token="\\', "/home/a ", "password= ", "0:", "key=,", "cookie: a=b; ", "authorization: a ",
     "<password>", "-u a:", "mysql ", "mysql -p", "password '", "password.", "a%40", "1234567890:", "ip-1-", "Ma.",
     "jdbc:oracle:thin:a/", "-u ", "sshpass -p "],
)  # fmt: skip
def test_hostile_text_takes_little_time(piece: str) -> None:
    """4,096 characters of the worst each expression can meet."""
    text = (piece * 4_096)[:4_096]
    started = time.process_time()
    redact(text)
    assert time.process_time() - started < 1


def test_a_card_number_is_found_beside_other_digits() -> None:
    """A quantity after it, or an address that is taken out first, does not hide it."""
    assert redact("card 4111 1111 1111 1111 12 items").text == "card <redacted:card> items"
    assert redact("order 1700000000000000000").text == "order 1700000000000000000"
