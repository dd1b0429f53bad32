"""Databases of one server: made, copied from a template, and dropped."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

import psycopg
from psycopg import sql

from app.kernel.postgres import PostgresError


def create_database(url: str, name: str, *, template: str | None = None) -> str:
    """Makes database `name` in the server of `url`, as a copy of `template` if given; returns the new one's URL.

    Nobody may be connected to the template meanwhile. Raises PostgresError, also when `name` exists.
    """
    statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
    if template is not None:
        statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
    _administer(url, statement)
    return urlsplit(url)._replace(path=f"/{quote(name)}").geturl()


def drop_database(url: str, name: str) -> None:
    """Removes database `name` from the server of `url`, if it is there, ending its connections.

    Raises PostgresError.
    """
    _administer(url, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _administer(url: str, statement: sql.Composed) -> None:
    try:
        with psycopg.connect(url, dbname="postgres", autocommit=True, connect_timeout=10) as connection:
            connection.execute(statement)
    except psycopg.Error as error:
        raise PostgresError(" ".join(str(error).split())) from error
