"""Basic and digest authentication, by the examples of RFC 7616 and RFC 7617."""

from __future__ import annotations

from hashlib import md5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpeg_restore.authorisation import Authorisation, parse_challenges

NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
RFC_7616 = [
    f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, nonce="{NONCE}", '
    f'opaque="{OPAQUE}"'
    for algorithm in ("SHA-256", "MD5")
]


def answer_to(*headers: str, user: str = "Mufasa", password: str = "Circle of Life") -> dict[str, str]:
    """The parameters of an answer, by the parser of challenges: the two have the same syntax."""
    authorisation = Authorisation(user, password)
    assert authorisation.accept(parse_challenges(headers))
    header = authorisation.header("GET", "/dir/index.html", CNONCE)
    assert header is not None
    (answer,) = parse_challenges([header])
    return {"scheme": answer.scheme, **answer.parameters}


def test_rfc_7616_md5() -> None:
    answer = answer_to(RFC_7616[1])
    assert answer == {
        "scheme": "digest",
        "username": "Mufasa",
        "realm": "http-auth@example.org",
        "uri": "/dir/index.html",
        "algorithm": "MD5",
        "nonce": NONCE,
        "nc": "00000001",
        "cnonce": CNONCE,
        "qop": "auth",
        "response": "8ca523f5e9506fed4657c9700eebdbec",
        "opaque": OPAQUE,
    }


def test_rfc_7616_sha_256_is_stronger_wherever_it_stands() -> None:
    response = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
    for headers in (RFC_7616, RFC_7616[::-1], [", ".join(RFC_7616)], ['Basic realm="x"', *RFC_7616]):
        answer = answer_to(*headers)
        assert (answer["algorithm"], answer["response"]) == ("SHA-256", response)


def test_rfc_2069_without_qop() -> None:
    headers = 'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'
    answer = answer_to(headers, password="CircleOfLife")
    assert answer["response"] == "1949323746fe6a43ef61f9606e7febea"  # errata 749
    assert not {"qop", "nc", "cnonce", "algorithm"} & {*answer}


def test_session_algorithms() -> None:
    # By the formula of RFC 7616, 3.4.2.
    answer = answer_to('Digest realm="r", nonce="n", qop="auth", algorithm=MD5-sess', user="u", password="p")
    secret = md5(f"{md5(b'u:r:p').hexdigest()}:n:{CNONCE}".encode()).hexdigest()
    request = md5(b"GET:/dir/index.html").hexdigest()
    assert answer["response"] == md5(f"{secret}:n:00000001:{CNONCE}:auth:{request}".encode()).hexdigest()
    assert answer_to('Digest realm="r", nonce="n", algorithm=SHA-256-sess')["algorithm"] == "SHA-256-sess"


def test_user_names_outside_of_ascii_and_hashed_ones() -> None:
    given = 'Digest realm="r", nonce="n", qop="auth", charset=UTF-8'
    assert answer_to(given, user="Jäsøn")["username*"] == "UTF-8''J%C3%A4s%C3%B8n"
    assert "username" not in answer_to(given, user="Jäsøn")
    assert len(answer_to(f"{given}, userhash=true, algorithm=SHA-256")["username"]) == 64
    assert answer_to(given, user='a"b\\c')["username"] == 'a"b\\c'


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_realm_and_nonce_outside_of_ascii_are_hashed_as_they_were_sent(encoding: str) -> None:
    realm, nonce = "Kaméra".encode(encoding), "ñ".encode(encoding)
    header = b'Digest realm="%s", nonce="%s"' % (realm, nonce)
    answer = answer_to(header.decode("latin-1"), user="Jäsøn", password="pässword")
    assert (answer["realm"].encode("latin-1"), answer["nonce"].encode("latin-1")) == (realm, nonce)
    secret = md5(b":".join(["Jäsøn".encode(), realm, "pässword".encode()])).hexdigest().encode()
    request = md5(b"GET:/dir/index.html").hexdigest().encode()
    assert answer["response"] == md5(b":".join([secret, nonce, request])).hexdigest()


def test_rfc_7617_basic() -> None:
    authorisation = Authorisation("Aladdin", "open sesame")
    assert authorisation.header("GET", "/") is None, "nothing is sent before a challenge"
    assert authorisation.accept(parse_challenges(['Basic realm="WallyWorld"']))
    assert authorisation.header("GET", "/") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    authorisation = Authorisation("test", "123£")
    authorisation.accept(parse_challenges(['Basic realm="foo", charset="UTF-8"']))
    assert authorisation.header("GET", "/") == "Basic dGVzdDoxMjPCow=="


def test_a_nonce_is_counted_until_the_next_challenge() -> None:
    authorisation = Authorisation("u", "p")
    for challenge in ('Digest nonce="a", qop="auth"', 'Digest nonce="b", qop="auth", stale=TRUE'):
        (parsed,) = parse_challenges([challenge])
        assert parsed.stale == ("stale" in challenge)
        authorisation.accept([parsed])
        for count in ("nc=00000001", "nc=00000002"):
            assert count in str(authorisation.header("GET", "/"))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Negotiate",
        "NTLM TlRMTVNTUAACAAAA==",
        'Bearer realm="x"',
        'Digest realm="r", nonce="n", algorithm=SHA-512-256',
        'Digest realm="r", nonce="n", qop="auth-int"',
    ],
)
def test_other_schemes_are_not_answered(header: str) -> None:
    authorisation = Authorisation("u", "p")
    assert not authorisation.accept(parse_challenges([header]))
    assert authorisation.accept(parse_challenges([header, "Basic"])), "the one that is supported"


def test_challenges_of_sloppy_servers() -> None:
    parsed = parse_challenges(['digest REALM = "a, b=\\"c\\"" ,nonce=abc==, opaque=, qop=auth,\r\n\talgorithm="md5"'])
    assert [(found.scheme, dict(found.parameters)) for found in parsed] == [
        ("digest", {"realm": 'a, b="c"', "nonce": "abc==", "opaque": "", "qop": "auth", "algorithm": "md5"})
    ]
    assert parsed[0].strength > 1


@given(st.text(st.characters(codec="latin-1"), max_size=200))
def test_any_header_is_parsed_and_answered_in_one_line(header: str) -> None:
    header = header.replace("\r", "").replace("\n", "")  # the client has parsed it as one line
    authorisation = Authorisation("u", "p")
    if authorisation.accept(parse_challenges([header, f"Digest {header}"])):
        assert "\n" not in str(authorisation.header("GET", "/"))
