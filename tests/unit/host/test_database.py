"""The database as it is opened: made, upgraded, shared by threads and processes, refused when it is too new."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from ai_assistant.core.errors import ConfigError, ServiceUnavailableError
from ai_assistant.host import upgrade as upgrade_module
from ai_assistant.host.database import Database
from ai_assistant.host.schema import CONVERSATION, MESSAGE, METADATA, SCHEMA_VERSION, doctype_table
from ai_assistant.host.upgrade import CHANGES, upgrade

ROOT = Path(__file__).parents[3]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "assistant.db"


@pytest.fixture
def database(path):
    database = Database.open(path)
    yield database
    database.close()


def statements(database):
    with database.read() as connection:
        return list(connection.scalars(sa.select(CHANGES.c.statement).order_by(CHANGES.c.id)))


def declared(*columns, index=None):
    """A metadata with one table `thing`."""
    metadata = sa.MetaData()
    table = sa.Table("thing", metadata, sa.Column("name", sa.String(20), primary_key=True), *columns)
    if index:
        sa.Index(f"ix_thing_{index}", table.c[index])
    return metadata


# --- making and upgrading


def test_a_new_database_has_every_table_and_index(database):
    inspector = sa.inspect(database.engine)
    assert set(METADATA.tables) <= set(inspector.get_table_names())
    for table in METADATA.tables.values():
        assert {column["name"] for column in inspector.get_columns(table.name)} == set(table.columns.keys())
        assert {index["name"] for index in inspector.get_indexes(table.name)} == {index.name for index in table.indexes}


def test_opening_again_changes_nothing(path, database):
    before = statements(database)
    assert before[-1] == f"schema version {SCHEMA_VERSION}"
    again = Database.open(path)
    assert statements(again) == before
    again.close()


def test_new_columns_tables_and_indexes_are_added_and_recorded(path):
    Database.open(path, metadata=declared()).close()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO thing (name) VALUES ('old')")
    newer = declared(
        sa.Column("size", sa.Integer, nullable=False, server_default="7"),
        sa.Column("colour", sa.String(20), nullable=False),
        index="size",
    )
    sa.Table("other", newer, sa.Column("id", sa.Integer, primary_key=True))
    database = Database.open(path, metadata=newer)
    with database.read() as connection:
        assert connection.execute(sa.text("SELECT name, size, colour FROM thing")).all() == [("old", 7, None)]
    added = statements(database)[2:]
    assert [statement.split("(")[0].strip() for statement in added] == [
        "CREATE TABLE other",
        "ALTER TABLE thing ADD COLUMN size INTEGER DEFAULT '7' NOT NULL",
        "ALTER TABLE thing ADD COLUMN colour VARCHAR",
        "CREATE INDEX ix_thing_size ON thing",
    ]
    database.close()


def test_older_code_goes_on_with_a_database_that_newer_code_has_extended(path):
    Database.open(path, metadata=declared(sa.Column("size", sa.Integer, nullable=False, server_default="7"))).close()
    database = Database.open(path, metadata=declared())
    with database.write() as connection:
        connection.execute(sa.text("INSERT INTO thing (name) VALUES ('from older code')"))
    with database.read() as connection:
        assert connection.scalar(sa.text("SELECT size FROM thing")) == 7
    database.close()


def test_a_database_of_a_newer_version_is_refused(path):
    database = Database.open(path)
    with database.write() as connection:
        connection.execute(
            CHANGES.insert().values(
                applied_at=sa.func.current_timestamp(),
                schema_version=SCHEMA_VERSION + 1,
                package_version="9.1.0",
                statement="schema version",
            )
        )
    database.close()
    with pytest.raises(ConfigError) as caught:
        Database.open(path)
    message = str(caught.value)
    assert message.startswith("database_url: this database was written by AI Assistant 9.1.0")
    assert "Install that version, or use another data folder" in message


def test_a_failed_upgrade_leaves_the_database_as_it_was(path, monkeypatch):
    Database.open(path, metadata=declared()).close()
    newer = declared(sa.Column("size", sa.Integer), sa.Column("colour", sa.String(20)))
    run, seen = upgrade_module._run, []

    def run_once(connection, ddl, version):
        seen.append(ddl)
        if len(seen) == 2:
            raise OSError("the disk is full")
        return run(connection, ddl, version)

    monkeypatch.setattr(upgrade_module, "_run", run_once)
    with pytest.raises(OSError, match="the disk is full"):
        Database.open(path, metadata=newer)
    with sqlite3.connect(path) as connection:
        assert [row[1] for row in connection.execute("PRAGMA table_info(thing)")] == ["name"]
    monkeypatch.undo()
    database = Database.open(path, metadata=newer)
    assert {column["name"] for column in sa.inspect(database.engine).get_columns("thing")} == {
        "name",
        "size",
        "colour",
    }
    database.close()


def test_a_start_that_is_killed_in_the_middle_is_made_good_by_the_next(path):
    path.parent.mkdir()
    script = f"""
        import os, signal
        from pathlib import Path
        from ai_assistant.host import upgrade
        from ai_assistant.host.database import Database
        run, seen = upgrade._run, []
        def killed(connection, ddl, version):
            seen.append(ddl)
            if len(seen) == 4:
                os.kill(os.getpid(), signal.SIGKILL)
            return run(connection, ddl, version)
        upgrade._run = killed
        Database.open(Path({str(path)!r}))
    """
    done = run_python(script)
    assert done.returncode == -signal.SIGKILL
    database = Database.open(path)
    assert set(METADATA.tables) <= set(sa.inspect(database.engine).get_table_names())
    database.close()


def test_two_processes_may_start_together(path):
    path.parent.mkdir()
    script = f"""
        from pathlib import Path
        from ai_assistant.host.database import Database
        Database.open(Path({str(path)!r})).close()
    """
    started = [start_python(script) for _ in range(3)]
    assert [process.wait(timeout=60) for process in started] == [0, 0, 0]
    database = Database.open(path)
    found = statements(database)
    assert len(found) == len(set(found))
    database.close()


def start_python(script):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=ROOT
    )


def run_python(script):
    process = start_python(script)
    process.wait(timeout=60)
    return process


def test_upgrade_gives_what_it_did(database):
    assert upgrade(database, METADATA) == []
    metadata = declared()
    assert [each.split("(")[0].strip() for each in upgrade(database, metadata)] == ["CREATE TABLE thing"]


# --- what cannot be opened


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://", "database_url: a database in memory is not shared by threads"),
        ("sqlite:///:memory:", "database_url: a database in memory is not shared by threads"),
        ("nonsense", "database_url: this is no SQLAlchemy URL"),
        ("oracle9+nothing://x/y", "database_url: there is no driver for 'oracle9"),
        ("mysql+pymysql://root:hunter22@127.0.0.1:1/x", "database_url: "),
    ],
)
def test_a_url_that_cannot_be_opened_is_named(url, message):
    with pytest.raises(ConfigError) as caught:
        Database.open(url)
    assert str(caught.value).startswith(message)
    assert "hunter22" not in str(caught.value)


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "a.db").write_text("This is a letter to my aunt. " * 100)
    with pytest.raises(ConfigError, match="database_url: the database cannot be opened: file is not a database"):
        Database.open(tmp_path / "a.db")


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"database_url: .*assistant\.db cannot be written"):
        Database.open(tmp_path / "file" / "assistant.db")


# --- SQLite


def test_pragmas(database):
    with database.read() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 10000}


def test_only_the_owner_may_read_the_file(database, path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_message_goes_with_its_conversation(database):
    with database.write() as connection:
        connection.execute(CONVERSATION.insert().values(name="c"))
        connection.execute(MESSAGE.insert().values(name="m", conversation="c"))
        connection.execute(CONVERSATION.delete())
    with database.read() as connection:
        assert connection.execute(sa.select(MESSAGE)).all() == []


def test_a_message_without_a_conversation_cannot_be_written(database):
    def write():
        with database.write() as connection:
            connection.execute(MESSAGE.insert().values(name="m", conversation="none"))

    with pytest.raises(sa.exc.IntegrityError):
        write()


# --- transactions


def test_what_raises_is_rolled_back(database):
    def write():
        with database.write() as connection:
            connection.execute(CONVERSATION.insert().values(name="c"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write()
    with database.read() as connection:
        assert connection.execute(sa.select(CONVERSATION)).all() == []


def test_a_unit_sees_one_snapshot_until_it_writes(database):
    query = sa.select(sa.func.count()).select_from(CONVERSATION)
    with database.unit() as work:
        assert work.reading().scalar(query) == 0
        with database.write() as other:
            other.execute(CONVERSATION.insert().values(name="c"))
        assert work.reading().scalar(query) == 0
        assert work.writing().scalar(query) == 1
        work.writing().execute(CONVERSATION.delete())
        assert work.reading().scalar(query) == 0
    with database.read() as connection:
        assert connection.scalar(query) == 0


def test_a_unit_that_asks_for_nothing_takes_no_connection(database):
    with database.unit():
        assert database.engine.pool.checkedout() == 0


def test_writers_in_many_threads_lose_nothing(database):
    with database.write() as connection:
        connection.execute(CONVERSATION.insert().values(name="c", message_count=0))

    def count_up():
        for _ in range(25):
            with database.write() as connection:
                found = connection.scalar(sa.select(CONVERSATION.c.message_count))
                connection.execute(CONVERSATION.update().values(message_count=found + 1))

    threads = [threading.Thread(target=count_up, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    with database.read() as connection:
        assert connection.scalar(sa.select(CONVERSATION.c.message_count)) == 200


@pytest.mark.parametrize("where", ["the same process", "another process"])
def test_a_write_that_waits_too_long_is_told_to_come_again(path, where):
    database = Database.open(path, busy_timeout=0.2)
    other = database if where == "the same process" else Database.open(path)
    with (
        other.write(),
        pytest.raises(ServiceUnavailableError, match="The database is busy") as caught,
        database.write(),
    ):
        pass
    assert caught.value.retry_after
    with database.write() as connection:  # the lock is free again
        connection.execute(CONVERSATION.insert().values(name="c"))
    database.close()
    other.close()


# --- DocTypes


def test_a_doctype_becomes_a_table():
    table = doctype_table("AI Message", sa.MetaData())
    fields = {column.name: column for column in table.columns}
    assert list(fields)[:7] == ["name", "owner", "creation", "modified", "modified_by", "idx", "docstatus"]
    assert "content_section" not in fields
    assert isinstance(fields["content"].type, sa.Text)
    assert isinstance(fields["cost"].type, sa.Double)
    assert isinstance(fields["tool_call_id"].type, sa.Text)
    assert fields["role"].type.length == 140
    assert (fields["estimated"].nullable, fields["prompt_tokens"].nullable) == (False, True)
    assert {tuple(column.name for column in index.columns) for index in table.indexes} == {
        ("conversation",),
        ("conversation", "sequence"),
        ("status",),
        ("task_id",),
        ("trace_id",),
    }


@pytest.mark.parametrize("doctype", ["AI Conversation", "AI Message", "AI Model", "AI Model Fallback"])
def test_every_doctype_can_be_made_a_table_on_every_dialect(doctype):
    from sqlalchemy.dialects import mysql, postgresql, sqlite
    from sqlalchemy.schema import CreateTable

    metadata = sa.MetaData()
    doctype_table("AI Conversation", metadata)
    table = metadata.tables.get(doctype.lower().replace(" ", "_"))
    table = doctype_table(doctype, metadata) if table is None else table
    for dialect in (mysql, postgresql, sqlite):
        assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=dialect.dialect()))


def test_a_file_that_another_process_is_making_is_waited_for(tmp_path):
    other = sqlite3.connect(tmp_path / "new.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    other.execute("CREATE TABLE t (a)")
    threading.Timer(0.5, lambda: other.execute("COMMIT")).start()
    with Database.open(tmp_path / "new.db").read() as connection:
        assert connection.scalar(sa.text("PRAGMA journal_mode")) == "wal"
    other.close()
