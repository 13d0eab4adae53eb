"""The embedded host's configuration: what is read from where, and what every mistake is called."""

from __future__ import annotations

import http.server
import json
import re
import threading
from pathlib import Path

import pytest

from ai_assistant.core.errors import ConfigError
from ai_assistant.core.model import Prices, Timeouts
from ai_assistant.core.settings import Limits, Mode, Settings
from ai_assistant.host.config import ENVIRONMENT, load_config
from ai_assistant.host.config_models import DEFAULT_MODELS
from ai_assistant.host.ollama import installed_models, ollama_url
from ai_assistant.host.passwords import hash_password
from ai_assistant.traces.retention import Policy

EXAMPLE = Path(__file__).parents[3] / "examples" / "ai-assistant.toml"
SECRETS = {"DEEPSEEK_API_KEY": "sk-deep", "ANTHROPIC_API_KEY": "sk-ant", "ANN_PASSWORD": "correct horse"}
MODEL = '[[models]]\nname = "a"\nmodel = "openai/a"\n'


@pytest.fixture
def load(tmp_path):
    def load(text="", environ=None, **overrides):
        file = tmp_path / "config.toml"
        file.write_text(text, "utf-8")
        return load_config(file, environ={"HOME": str(tmp_path), **(environ or {})}, overrides=overrides)

    return load


def refused(load, text="", environ=None, **overrides):
    with pytest.raises(ConfigError) as caught:
        load(text, environ, **overrides)
    return str(caught.value)


# --- the example


def test_the_example_is_read_whole():
    config = load_config(EXAMPLE, environ=SECRETS)
    fast, careful, local = config.models
    assert (fast.name, fast.api_key, fast.fallbacks, fast.is_default) == ("fast", "sk-deep", ("local",), True)
    assert fast.timeouts == Timeouts()
    assert (careful.api_key, careful.roles, careful.parameters) == ("sk-ant", ("AI Manager",), {"max_tokens": 32000})
    assert (local.api_base, local.api_key, local.wire) == ("http://127.0.0.1:8080/v1", None, "openai-chat")
    assert local.prices == Prices(input=0, output=0, cached_input=0)
    assert config.settings.modes["agent"].parameters == {"temperature": 0.2}
    assert config.users[0].password == "correct horse"
    assert config.source == EXAMPLE
    assert not config.is_demo


def test_the_example_shows_the_defaults_of_settings():
    settings = load_config(EXAMPLE, environ=SECRETS).settings
    default = Settings()
    for name in default.__struct_fields__:
        if name not in ("default_model", "modes"):
            assert getattr(settings, name) == getattr(default, name), name


def test_the_example_names_every_key_and_every_variable(load):
    text = EXAMPLE.read_text()
    for variable in (*ENVIRONMENT, *DEFAULT_MODELS, "OLLAMA_HOST", "AI_ASSISTANT_ADMIN_PASSWORD"):
        assert variable in text, variable
    tables = ("", MODEL, "[tasks]\n", "[traces]\n", f"{MODEL}timeouts.")
    for table in (f"{place}nothing = 1\n" for place in tables):
        known = re.search(r"there are: (.*)", refused(load, table))
        assert known, table
        for key in known[1].split(", "):
            assert re.search(rf"\b{key}\b", text), key


# --- where models come from


def test_without_anything_there_is_the_demonstration_model(load):
    config = load()
    (model,) = config.models
    assert (model.name, model.title, model.model, model.demo) == ("demo", "Demonstration model", "openai/demo", True)
    assert config.is_demo
    assert config.settings.default_model == "demo"


@pytest.mark.parametrize("variable", DEFAULT_MODELS)
def test_a_key_in_the_environment_brings_its_models(load, variable):
    config = load("", {variable: " sk-1\n"})
    assert [model.model for model in config.models] == [model for model, _ in DEFAULT_MODELS[variable]]
    assert {model.api_key for model in config.models} == {"sk-1"}
    assert len(config.models) > 1
    assert config.models[0].is_default
    assert not config.is_demo


def test_models_of_the_file_replace_those_of_the_environment(load):
    config = load(MODEL, {"ANTHROPIC_API_KEY": "sk-1"})
    assert [model.name for model in config.models] == ["a"]


def test_a_blank_key_is_none(load):
    assert load("", {"OPENAI_API_KEY": "  "}).is_demo


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1:11434", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("localhost", "http://localhost:11434"),
        ("http://gpu:1234/", "http://gpu:1234"),
        ("https://ollama.example.com", "https://ollama.example.com"),
        ("[::1]", "http://[::1]:11434"),
        ("[::1]:99", "http://[::1]:99"),
    ],
)
def test_ollama_host_in_any_of_its_forms(host, url):
    assert ollama_url(host) == url


def test_an_ollama_host_that_is_none_is_refused(load):
    assert refused(load, "", {"OLLAMA_HOST": "http://"}).startswith("OLLAMA_HOST: is no URL")


@pytest.fixture
def ollama():
    """An HTTP server that answers `GET /api/tags` as Ollama does."""
    rows = [{"name": "qwen3:8b"}, {"name": "nomic-embed-text:latest"}, {"name": "llama4:latest"}]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"models": rows}).encode()
            self.send_response(200 if self.path == "/api/tags" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_ollama_says_which_models_it_has(load, ollama):
    config = load("", {"OLLAMA_HOST": ollama})
    assert [model.model for model in config.models] == ["ollama/qwen3:8b", "ollama/llama4"]
    assert {model.api_base for model in config.models} == {f"http://{ollama}"}


def test_ollama_models_may_be_named(load, ollama):
    config = load("", {"OLLAMA_HOST": ollama, "AI_ASSISTANT_OLLAMA_MODELS": "a:1, library/b"})
    assert [(model.name, model.model) for model in config.models] == [
        ("a:1", "ollama/a:1"),
        ("library-b", "ollama/library/b"),
    ]


def test_an_ollama_that_does_not_answer_is_no_error(load, caplog):
    config = load("", {"OLLAMA_HOST": "127.0.0.1:1"})
    assert all(model.provider == "ollama" for model in config.models)
    assert "no list of models from http://127.0.0.1:1" in caplog.text


def test_an_answer_that_is_no_list_of_models_is_no_error(ollama, caplog):
    assert installed_models(f"http://{ollama}/nothing") == []
    assert "HTTPStatusError" in caplog.text


# --- keys


def test_a_provider_key_is_not_sent_to_another_address(load):
    config = load(MODEL + 'api_base = "https://other.example.com/v1/"', {"OPENAI_API_KEY": "sk-1"})
    assert (config.models[0].api_key, config.models[0].api_base) == (None, "https://other.example.com/v1")


def test_a_provider_key_is_taken_for_its_own_provider(load):
    text = MODEL + '[[models]]\nname = "b"\nmodel = "gpt-6-luna"\n[[models]]\nname = "c"\nmodel = "xai/grok"'
    config = load(text, {"OPENAI_API_KEY": "sk-1"})
    assert [model.api_key for model in config.models] == ["sk-1", "sk-1", None]


def test_a_disabled_model_needs_no_key(load):
    config = load(MODEL + '[[models]]\nname = "b"\nmodel = "x/y"\napi_key = "env:MISSING"\nenabled = false')
    assert [model.enabled for model in config.models] == [True, False]


def test_nothing_secret_is_shown(load):
    text = MODEL + 'api_key = "sk-secret"\n[[users]]\nname = "ann"\npassword = "env:PW"'
    config = load(
        text, {"PW": "secret-pw", "AI_ASSISTANT_ADMIN_PASSWORD": "secret-admin", "REDIS_URL": "redis://:secret@h"}
    )
    shown = f"{config!r} {config.users!r} {config.models!r}"
    assert "secret" not in shown
    assert (config.admin_password, config.users[0].password) == ("secret-admin", "secret-pw")


@pytest.mark.parametrize("text", ['api_key = ["secret"]', 'api_key = "env:secret\\u0000"', "api_base = 7"])
def test_no_error_shows_a_value_that_may_be_secret(load, text):
    message = refused(load, MODEL + text, {"api_base": "secret"})
    assert "secret'" not in message
    assert '"secret"' not in message


# --- what wins


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(load, tmp_path):
    text = 'site = "file.localhost"\nport = 1\nhost = "127.0.0.2"\nlog_level = "error"'
    environ = {"AI_ASSISTANT_SITE": "environment.localhost", "AI_ASSISTANT_PORT": "2"}
    config = load(text, environ, port=3, data_dir=tmp_path / "data", host=None)
    assert (config.site, config.port, config.host, config.log_level) == (
        "environment.localhost",
        3,
        "127.0.0.2",
        "error",
    )
    assert config.database == tmp_path / "data" / "assistant.db"


def test_every_variable_reaches_its_key(load, tmp_path):
    values = {
        "site": "s.localhost",
        "host": "0.0.0.0",
        "port": "9",
        "data_dir": str(tmp_path),
        "allowed_hosts": "a.example.com, b.example.com",
        "log_format": "json",
        "log_level": "debug",
        "default_model": "a",
        "database_url": "mysql+pymysql://db/a",
        "redis_url": "redis://r/1",
    }
    for variable, key in ENVIRONMENT.items():
        config = load(MODEL, {variable: values[key]})
        found = config.settings.default_model if key == "default_model" else getattr(config, key)
        expected = ("a.example.com", "b.example.com") if key == "allowed_hosts" else values[key]
        assert str(found) == str(expected)
    assert values.keys() == set(ENVIRONMENT.values())


def test_the_file_in_the_data_folder_is_found(tmp_path):
    (tmp_path / "ai-assistant.toml").write_text('site = "mine.localhost"')
    for arguments in (
        {"environ": {}, "overrides": {"data_dir": str(tmp_path)}},
        {"environ": {"AI_ASSISTANT_DATA_DIR": str(tmp_path)}},
        {"environ": {"AI_ASSISTANT_CONFIG": str(tmp_path / "ai-assistant.toml")}},
    ):
        assert load_config(**arguments).site == "mine.localhost"
    other = {"XDG_DATA_HOME": str(tmp_path / "none")}
    assert load_config(environ=other).site == "assistant.localhost"
    assert load_config(environ=other).data_dir == tmp_path / "none" / "ai-assistant"


def test_a_file_that_was_named_must_be_there(tmp_path):
    with pytest.raises(ConfigError, match=r"config: there is no file .*none\.toml"):
        load_config(tmp_path / "none.toml", environ={})


def test_modes_keep_what_is_left_out(load):
    settings = load(MODEL + '[modes.ask]\nsystem_prompt = "Be short."\nmodel = "a"\nparameters.top_p = 0.5').settings
    assert settings.modes["ask"] == Mode(system_prompt="Be short.", model="a", parameters={"top_p": 0.5})
    assert settings.modes["agent"] == Settings().modes["agent"]


def test_chats_need_not_be_traced(load):
    settings = load("[traces]\nchats = false\ncontent = false").settings
    assert (settings.trace_chats, settings.trace_content) == (False, False)


def test_what_may_stay_of_traces(load):
    assert load().traces.retention == Policy(days=30, max_bytes=0)
    config = load("[traces]\nretention_days = 0\nmax_bytes = 5_000_000_000")
    assert config.traces.retention == Policy(days=0, max_bytes=5_000_000_000)


def test_limits(load):
    assert load("[limits]\nrequests_per_minute = 0\ntokens_per_day = 5").settings.limits == Limits(
        requests_per_minute=0, tokens_per_day=5
    )


def test_a_user_may_have_a_hash(load):
    stored = hash_password("correct horse")
    (user,) = load(f'[[users]]\nname = "ann"\nroles = ["AI User"]\npassword = "{stored}"').users
    assert (user.password, user.password_hash, user.roles) == (None, stored, ("AI User",))


def test_replacing_the_demonstration_model_keeps_the_rest(load):
    import msgspec

    config = load()
    changed = config.with_model(msgspec.structs.replace(config.models[0], api_base="http://127.0.0.1:5/v1"))
    assert changed.models_by_name()["demo"].api_base == "http://127.0.0.1:5/v1"
    assert changed.settings == config.settings


# --- mistakes

SECOND = '[[models]]\nname = "b"\nmodel = "openai/b"\n'
MISTAKES = {
    "no TOML": ("a = ", "config: .* is not valid TOML"),
    "unknown key": ("prot = 1", r"prot: there is no such key; did you mean port\?"),
    "unknown table": ("[limit]\na = 1", r"limit: there is no such key; did you mean limits\?"),
    "key of a model": (
        MODEL + "transprot = 1",
        r"models\[0\]\.transprot: there is no such key; did you mean transport\?",
    ),
    "far off": (MODEL + "zzz = 1", r"models\[0\]\.zzz: there is no such key; there are: api_base, "),
    "one table": ('[models]\nname = "a"', r"models: must be tables: write \[\[models\]\], not a table"),
    "list of strings": ('models = ["a"]', r"models\[0\]: must be a table: write \[\[models\]\]"),
    "no name": ('[[models]]\nmodel = "a"', r"models\[0\]\.name: is missing"),
    "no model": (MODEL + '[[models]]\nname = "b"', r"models\[1\]\.model: is missing"),
    "empty": ('[[models]]\nname = " "\nmodel = "a"', r"models\[0\]\.name: is empty; give it a value"),
    "name twice": (MODEL + MODEL, r'models\[1\]\.name: "a" is the name of models\[0\] already'),
    "model with a space": (
        '[[models]]\nname = "a"\nmodel = "a b"',
        r"models\[0\]\.model: holds a space; write LiteLLM's",
    ),
    "model with slash": (
        '[[models]]\nname = "a"\nmodel = "/b"',
        r"models\[0\]\.model: has an empty part beside a slash",
    ),
    "unknown fallback": (
        MODEL + 'fallbacks = ["slow"]\n' + SECOND,
        r'models\[0\]\.fallbacks\[0\]: there is no model "slow"; there are: a, b',
    ),
    "own fallback": (
        MODEL + 'fallbacks = ["a"]',
        r'models\[0\]\.fallbacks\[0\]: "a" is this model itself; take it out',
    ),
    "fallback twice": (MODEL + 'fallbacks = ["b", "b"]\n' + SECOND, r"models\[0\]\.fallbacks\[1\]: 'b' is there twice"),
    "loop": (
        MODEL + SECOND + 'fallbacks = ["a", "c"]\n[[models]]\nname = "c"\nmodel = "c"\nfallbacks = ["b"]',
        r"models\[1\]\.fallbacks\[1\]: leads back to this model \(b → c → b\); take one of these fallbacks out",
    ),
    "variable": (MODEL + 'api_key = "env:FOO"', r"models\[0\]\.api_key: the environment variable FOO is not set"),
    "no variable": (
        MODEL + 'api_key = "env:"',
        r"models\[0\]\.api_key: the environment variable \(no name\) is not set",
    ),
    "transport without a wire": (
        '[[models]]\nname = "a"\nmodel = "bedrock/x"\napi_key = "k"\ntransport = "direct"',
        r"models\[0\]\.transport: there is no direct wire for bedrock \(model a\); use transport = auto",
    ),
    "transport": (
        MODEL + 'transport = "Direct"',
        r"models\[0\]\.transport: must be one of auto, direct, litellm, not 'Direct'; did you mean direct\?",
    ),
    "wire": (MODEL + 'wire = "openai"', r"models\[0\]\.wire: must be one of openai-chat, "),
    "wire of LiteLLM": (
        MODEL + 'wire = "ollama"\ntransport = "litellm"',
        r"models\[0\]\.wire: has no use with transport",
    ),
    "api_base": (MODEL + 'api_base = "example.com"', r"models\[0\]\.api_base: is no URL; write it with its scheme"),
    "api_base with key": (
        MODEL + 'api_base = "https://a:b@c"',
        r"models\[0\]\.api_base: holds credentials; put them into",
    ),
    "price": (MODEL + "prices.input = -1", r"models\[0\]\.prices\.input: must be at least 0, not -1"),
    "price text": (MODEL + 'prices.input = "1"', r"models\[0\]\.prices\.input: must be a number, not a string"),
    "unknown price": (
        MODEL + "prices.inptu = 1",
        r"models\[0\]\.prices\.inptu: there is no such key; did you mean input\?",
    ),
    "timeout": (MODEL + "timeouts.idle = 0", r"models\[0\]\.timeouts\.idle: must be more than 0, not 0"),
    "endless": (MODEL + "timeouts.idle = inf", r"models\[0\]\.timeouts\.idle: must be more than 0, not inf"),
    "streams": (MODEL + "max_streams = 0", r"models\[0\]\.max_streams: must be between 1 and 10000, not 0"),
    "boolean": (MODEL + "enabled = 1", r"models\[0\]\.enabled: must be true or false, not a number"),
    "number": (MODEL + "retries = true", r"models\[0\]\.retries: must be a whole number, not a boolean"),
    "role": (MODEL + "roles = [1]", r"models\[0\]\.roles\[0\]: must be a string, not a number"),
    "parameters": (MODEL + "parameters.stream = true", r"models\[0\]\.parameters: stream is set with each request"),
    "date": (MODEL + "context_window = 2026-01-01", r"models\[0\]\.context_window: must be a whole number, not a date"),
    "all disabled": (MODEL + "enabled = false", "models: every model is disabled; enable one"),
    "default": ('default_model = "x"\n' + MODEL, 'default_model: there is no enabled model "x"; there are: a'),
    "mode": ("[modes.aks]\na = 1", r"modes\.aks: there is no such key; did you mean ask\?"),
    "mode's model": (MODEL + '[modes.ask]\nmodel = "x"', r'modes\.ask\.model: there is no enabled model "x"'),
    "chats": ('[traces]\nchats = "no"', r"traces\.chats: must be true or false, not a string"),
    "retention": ("[traces]\nretention_days = -1", r"traces\.retention_days: must be between 0 and 36500, not -1"),
    "limit": ("[limits]\nconcurrent_tasks = -1", r"limits\.concurrent_tasks: must be between 0 and 2147483647, not -1"),
    "task": ("[tasks]\nno_worker_after_s = 0", r"tasks\.no_worker_after_s: must be more than 0, not 0"),
    "site": ('site = "Über"', "site: must be a host name in lower case"),
    "host": ('host = "http://a/"', "host: must be a host name or an address, without scheme and path"),
    "allowed host": ('allowed_hosts = ["a", "b/c"]', r"allowed_hosts\[1\]: must be a host name or an address"),
    "redis": ('redis_url = "http://a"', "redis_url: must begin with redis:// or rediss:// or unix://"),
    "database": ('database_url = "a.db"', "database_url: must be a SQLAlchemy URL"),
    "user twice": ('[[users]]\nname = "a"\n[[users]]\nname = "a"', r'users\[1\]\.name: "a" is there twice'),
    "guest": ('[[users]]\nname = "Guest"', r"users\[0\]\.name: Guest is whoever is not logged in"),
    "clear password": (
        '[[users]]\nname = "a"\npassword = "hunter22"',
        r"users\[0\]\.password: must not stand here in clear",
    ),
    "password variable": ('[[users]]\nname = "a"\npassword = "env:PW"', r"users\[0\]\.password: .* PW is not set"),
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_with_its_key(load, text, message):
    found = refused(load, text)
    assert re.match(message, found), found
    assert "hunter22" not in found


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"AI_ASSISTANT_PORT": "http"}, "AI_ASSISTANT_PORT: must be a port number from 0 to 65535"),
        ({"AI_ASSISTANT_PORT": "70000"}, "AI_ASSISTANT_PORT: must be between 0 and 65535, not 70000"),
        ({"AI_ASSISTANT_LOG_LEVEL": "loud"}, "AI_ASSISTANT_LOG_LEVEL: must be one of"),
        ({"REDIS_URL": "nothing"}, "REDIS_URL: must begin with redis://"),
        ({"AI_ASSISTANT_ADMIN_PASSWORD": "short"}, "AI_ASSISTANT_ADMIN_PASSWORD: a password needs 8 to 512 characters"),
        ({"AI_ASSISTANT_DEFAULT_MODEL": "x"}, 'AI_ASSISTANT_DEFAULT_MODEL: there is no enabled model "x"'),
    ],
)
def test_a_mistake_in_the_environment_is_named_with_its_variable(load, environ, message):
    assert refused(load, "", environ).startswith(message)


def test_a_mistake_on_the_command_line_is_named_with_its_option(load):
    assert refused(load, "", None, port=70000).startswith("--port: must be between 0 and 65535")
    assert refused(load, "", None, site="A B").startswith("--site: must be a host name")
