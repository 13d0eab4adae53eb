"""Accounts: passwords, sessions, API keys, links, throttling. Over a real database."""

from __future__ import annotations

import base64

import pytest
import sqlalchemy as sa
from hosting import PASSWORD
from starlette.datastructures import Headers

from ai_assistant.core.errors import (
    AuthenticationError,
    ConfigError,
    DoesNotExistError,
    TooManyRequestsError,
    ValidationError,
)
from ai_assistant.host import sessions as sessions_module
from ai_assistant.host.accounts import API_KEYS, SESSIONS, USERS
from ai_assistant.host.accounts_setup import RUN_LABEL, prepare_accounts
from ai_assistant.host.auth import Auth
from ai_assistant.host.config import load_config
from ai_assistant.host.database import Database
from ai_assistant.host.errors import CrossOriginError, CsrfError, LoginError, TokenFormatError
from ai_assistant.host.links import LIFETIME, LoginLinks
from ai_assistant.host.passwords import hash_password, verify_password
from ai_assistant.host.throttle import PER_ADDRESS, PER_USER_AND_ADDRESS, WINDOW, LoginThrottle


def test_a_password_is_kept_as_a_salted_scrypt_hash(auth: Auth, database: Database) -> None:
    with database.read() as connection:
        stored = connection.scalar(sa.select(USERS.c.password).where(USERS.c.name == "ann"))
    assert stored.startswith("scrypt$16384$8$1$")
    assert PASSWORD not in stored
    assert stored != hash_password(PASSWORD)
    assert verify_password(PASSWORD, stored)
    assert not verify_password(PASSWORD + "x", stored)
    assert not verify_password("", None)


@pytest.mark.parametrize("password", ["short", "x" * 513])
def test_a_password_of_a_wrong_length_is_refused(auth: Auth, password: str) -> None:
    with pytest.raises(ValidationError, match="8 to 512 characters"):
        auth.users.add("eve", password=password)


@pytest.mark.parametrize(
    ("name", "password", "message"),
    [
        ("ann", "wrong password", "Invalid login credentials"),
        ("nobody", PASSWORD, "Invalid login credentials"),
        ("ann\x00", PASSWORD, "Invalid login credentials"),
        ("ann\ud800", PASSWORD, "Invalid login credentials"),
        ("ann", "x" * 513, "Password size exceeded"),
        ("ann", "", "Incomplete login details"),
        ("ann", 5, "Incomplete login details"),
        (None, None, "Incomplete login details"),
    ],
)
def test_a_wrong_login_is_refused_without_telling_what_was_wrong(
    auth: Auth, name: object, password: object, message: str
) -> None:
    with pytest.raises(LoginError, match=message):
        auth.login(name, password, "10.0.0.1")


def test_a_sid_is_stored_as_its_hash_only(auth: Auth, database: Database) -> None:
    session = auth.login("ann", PASSWORD, "10.0.0.1")
    assert len(session.sid) == 48
    with database.read() as connection:
        row = connection.execute(sa.select(SESSIONS)).mappings().one()
    assert session.sid not in str(dict(row))
    assert auth.sessions.get(session.sid).user.name == "ann"
    assert auth.sessions.get(session.sid + "0") is None
    assert auth.sessions.get("x" * 5000) is None


def test_a_disabled_user_is_out_at_once(auth: Auth) -> None:
    session = auth.login("ann", PASSWORD, "10.0.0.1")
    key, secret = auth.api_keys.create(session.user)
    auth.users.set_enabled("ann", False)
    assert auth.sessions.get(session.sid) is None
    assert auth.sessions.live_hashes() == set()
    assert auth.api_keys.live_keys() == set()
    with pytest.raises(LoginError):
        auth.login("ann", PASSWORD, "10.0.0.1")
    with pytest.raises(AuthenticationError):
        auth.by_authorization(f"token {key}:{secret}")
    auth.users.set_enabled("ann", True)
    assert auth.by_authorization(f"token {key}:{secret}").user.name == "ann"


def test_a_new_password_ends_the_sessions(auth: Auth) -> None:
    session = auth.login("ann", PASSWORD, "10.0.0.1")
    auth.users.set_password("ann", "another password")
    assert auth.sessions.get(session.sid) is None
    assert auth.login("ann", "another password", "10.0.0.1")
    with pytest.raises(DoesNotExistError, match="no user 'eve'"):
        auth.users.set_password("eve", "another password")


def test_a_session_slides_and_ends(auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000.0
    monkeypatch.setattr(sessions_module.time, "time", lambda: now)
    sid = auth.login("ann", PASSWORD, "10.0.0.1").sid
    day = 24 * 3600
    for _ in range(15):
        now += 6 * day
        found = auth.sessions.get(sid)
    assert found is not None, "used every six days, it lives on"
    now += 6 * day
    assert auth.sessions.get(sid) is None, "a quarter of a year is the longest"
    sid = auth.login("ann", PASSWORD, "10.0.0.1").sid
    now += 7 * day + 1
    assert auth.sessions.get(sid) is None, "unused for a week"


def test_the_csrf_token_counts_from_the_moment_it_was_given(auth: Auth) -> None:
    session = auth.login("ann", PASSWORD, "10.0.0.1")
    assert auth.identify("POST", Headers({}), session.sid, {}).user.name == "ann"
    token = auth.sessions.give_csrf(session)
    assert token == auth.sessions.give_csrf(auth.sessions.get(session.sid))
    with pytest.raises(CsrfError, match="Invalid Request"):
        auth.identify("POST", Headers({}), session.sid, {})
    with pytest.raises(CsrfError):
        auth.identify("DELETE", Headers({"X-Frappe-CSRF-Token": "wrong"}), session.sid, {})
    assert auth.identify("GET", Headers({}), session.sid, {}).user.name == "ann"
    assert auth.identify("POST", Headers({"X-Frappe-CSRF-Token": token}), session.sid, {}).user.name == "ann"
    arguments = {"csrf_token": token, "a": 1}
    assert auth.identify("POST", Headers({}), session.sid, arguments).user.name == "ann"
    assert arguments == {"a": 1}


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://localhost:9999"},
        {"origin": "null"},
        {"origin": "http://localhost:8000", "sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://[broken"},
    ],
)
def test_a_write_with_a_cookie_from_another_origin_is_refused(auth: Auth, headers: dict[str, str]) -> None:
    session = auth.login("ann", PASSWORD, "10.0.0.1")
    sent = Headers({"host": "localhost:8000", **headers})
    with pytest.raises(CrossOriginError, match="are refused"):
        auth.identify("POST", sent, session.sid, {})
    assert auth.identify("GET", sent, session.sid, {}).user.name == "ann"


def test_a_write_of_the_own_page_is_accepted(auth: Auth) -> None:
    session = auth.login("ann", PASSWORD, "10.0.0.1")
    sent = Headers({"host": "localhost:8000", "origin": "http://localhost:8000", "sec-fetch-site": "same-origin"})
    assert auth.identify("POST", sent, session.sid, {}).user.name == "ann"


def test_api_keys_by_token_and_by_basic(auth: Auth, database: Database) -> None:
    user = auth.users.get("ann")
    key, secret = auth.api_keys.create(user, "laptop")
    with database.read() as connection:
        assert secret not in str(connection.execute(sa.select(API_KEYS)).all())
    basic = base64.b64encode(f"{key}:{secret}".encode()).decode()
    for value in (f"token {key}:{secret}", f"Token {key}:{secret}", f"Basic {basic}"):
        identity = auth.by_authorization(value)
        assert (identity.user.name, identity.key) == ("ann", key)
    assert auth.api_keys.keys_of("ann") == [(key, "laptop")]
    assert auth.api_keys.revoke(key)
    assert not auth.api_keys.revoke(key)
    with pytest.raises(AuthenticationError, match="wrong"):
        auth.by_authorization(f"token {key}:{secret}")


@pytest.mark.parametrize("value", ["token a:b", "token abc", "token :", "Bearer xyz", "token \x00:\xff", "what ever"])
def test_a_wrong_authorization_is_refused(auth: Auth, value: str) -> None:
    with pytest.raises(AuthenticationError):
        auth.by_authorization(value)


def test_authorization_that_is_no_pair_of_words_counts_for_nothing(auth: Auth) -> None:
    for value in ("", "token", "token a b"):
        assert auth.by_authorization(value).user.is_guest
    with pytest.raises(TokenFormatError, match="base64"):
        auth.by_authorization("Basic not-base64!")


def test_an_unknown_sid_is_a_guest_but_a_wrong_key_is_an_error(auth: Auth) -> None:
    assert auth.identify("POST", Headers({}), "0" * 48, {}).user.is_guest
    session = auth.login("ann", PASSWORD, "10.0.0.1")
    with pytest.raises(AuthenticationError):
        auth.identify("GET", Headers({"authorization": "token a:b"}), session.sid, {})


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_link_logs_in_once(auth: Auth) -> None:
    token = auth.links.create("ann")
    assert auth.login_by_link(token).user.name == "ann"
    with pytest.raises(AuthenticationError, match="used already"):
        auth.login_by_link(token)
    with pytest.raises(AuthenticationError, match="not valid"):
        auth.login_by_link("something")


def test_a_link_ends_after_ten_minutes_and_with_its_user(auth: Auth) -> None:
    clock = Clock()
    links = LoginLinks(clock)
    token = links.create("ann")
    clock.now += LIFETIME + 1
    with pytest.raises(AuthenticationError, match="ten minutes"):
        links.redeem(token)
    token = auth.links.create("ann")
    auth.users.set_enabled("ann", False)
    with pytest.raises(AuthenticationError, match="disabled"):
        auth.login_by_link(token)


def test_guessing_is_slowed_down_per_user_and_address() -> None:
    clock = Clock()
    throttle = LoginThrottle(clock)
    for _ in range(PER_USER_AND_ADDRESS):
        throttle.check("ann", "10.0.0.1")
        throttle.failed("ann", "10.0.0.1")
        clock.now += 1
    with pytest.raises(TooManyRequestsError, match=r"Try again in 295 seconds") as caught:
        throttle.check("ann", "10.0.0.1")
    assert caught.value.retry_after == 295
    throttle.check("ann", "10.0.0.2")
    throttle.check("bob", "10.0.0.1")
    clock.now += WINDOW
    throttle.check("ann", "10.0.0.1")


def test_guessing_is_slowed_down_per_address() -> None:
    throttle = LoginThrottle(Clock())
    for number in range(PER_ADDRESS):
        throttle.failed(f"user{number}", "10.0.0.1")
    with pytest.raises(TooManyRequestsError):
        throttle.check("somebody else", "10.0.0.1")


def test_the_sixth_wrong_password_is_429_even_if_it_is_right(auth: Auth) -> None:
    for _ in range(PER_USER_AND_ADDRESS):
        with pytest.raises(LoginError):
            auth.login("ann", "wrong password", "10.0.0.1")
    with pytest.raises(TooManyRequestsError):
        auth.login("ann", PASSWORD, "10.0.0.1")
    assert auth.login("ann", PASSWORD, "10.0.0.2")


@pytest.mark.parametrize("name", ["", "Guest", "a b", "a/b", "a:b", "a\nb", "x" * 141, 'a"b'])
def test_a_name_that_could_break_a_room_or_a_key_is_refused(auth: Auth, name: str) -> None:
    with pytest.raises(ValidationError, match="cannot be a user's name"):
        auth.users.add(name)


def test_a_name_is_taken_once(auth: Auth) -> None:
    with pytest.raises(ValidationError, match="already is a user 'ann'"):
        auth.users.add("ann")


def test_the_configuration_brings_its_users(database: Database, tmp_path) -> None:
    stored = hash_password("password of carl")
    file = tmp_path / "c.toml"
    file.write_text(
        f"[[users]]\nname = 'carl'\nroles = ['AI Manager']\npassword = '{stored}'\n"
        "[[users]]\nname = 'dora'\npassword = 'env:DORA'\n"
    )
    environ = {"DORA": "password of dora", "AI_ASSISTANT_ADMIN_PASSWORD": "password of admin"}
    config = load_config(file, environ=environ, overrides={"data_dir": tmp_path})
    for _ in range(2):  # the second start changes nothing
        auth = prepare_accounts(config, database)
        names = ("Administrator", "carl", "dora")
        given = dict(zip(names, ("admin", "carl", "dora"), strict=True))
        sids = {name: auth.login(name, f"password of {given[name]}", "-").sid for name in names}
    assert auth.users.get("carl").is_manager
    assert not auth.users.get("dora").is_manager
    prepare_accounts(config, database)
    assert all(auth.sessions.get(sid) for sid in sids.values()), "an unchanged password ends no session"


def test_there_is_no_default_password(database: Database, tmp_path) -> None:
    auth = prepare_accounts(load_config(environ={}, overrides={"data_dir": tmp_path}), database)
    assert not auth.users.any_password()
    for guess in ("admin", "password", "Administrator", "x" * 8):
        with pytest.raises((LoginError, TooManyRequestsError)):
            auth.login("Administrator", guess, "-")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
def test_off_loopback_it_starts_only_with_a_password(database: Database, tmp_path, host: str) -> None:
    config = load_config(environ={}, overrides={"data_dir": tmp_path, "host": host})
    with pytest.raises(ConfigError, match="nobody has a password"):
        prepare_accounts(config, database)
    environ = {"AI_ASSISTANT_ADMIN_PASSWORD": "password of admin"}
    prepare_accounts(load_config(environ=environ, overrides={"data_dir": tmp_path, "host": host}), database)


def test_keys_of_a_killed_host_end_with_the_next_start(database: Database, tmp_path) -> None:
    config = load_config(environ={}, overrides={"data_dir": tmp_path})
    auth = prepare_accounts(config, database)
    key, secret = auth.api_keys.create(auth.users.get("Administrator"), RUN_LABEL)
    assert auth.by_authorization(f"token {key}:{secret}")
    auth = prepare_accounts(config, database)
    with pytest.raises(AuthenticationError):
        auth.by_authorization(f"token {key}:{secret}")
