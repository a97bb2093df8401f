#!/usr/bin/env python3
"""A journal as the first version wrote it: older.py FILE.

Ids name neither bot nor conversation there, queues no bot, and there are
fewer tables and columns.
"""
import sqlite3
import sys


def text(s):
    """A MessagePack string, as we pack it."""
    b = s.encode()
    return (bytes([0xa0 + len(b)]) if len(b) < 32
            else bytes([0xd9, len(b)])) + b


db = sqlite3.connect(sys.argv[1])
for table in "event", "done":
    rows = db.execute(f"SELECT no, id FROM {table}").fetchall()
    for no, new in rows:
        new = bytes(new).decode()
        old = new.rpartition("@")[0]
        db.execute(f"UPDATE {table} SET id = ? WHERE no = ?",
                   (old.encode(), no))
        if table == "event":
            conv, body = db.execute(
                "SELECT conv, body FROM event WHERE no = ?", (no,)).fetchone()
            assert text(new) in body
            db.execute("UPDATE event SET conv = ?, body = ? WHERE no = ?",
                       (bytes(conv).partition(b"/")[2],
                        bytes(body).replace(text(new), text(old)), no))
for table, column in ("event", "set_by"), ("event", "capsule"), ("dead", "capsule"):
    db.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
db.execute("DROP TABLE rights")
db.execute("PRAGMA user_version = 1")
db.commit()
