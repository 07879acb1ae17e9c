#!/bin/sh
# Makes Temporal's databases, or brings them to the version of the server of the same release. Where all is there
# already, nothing changes. Address, user and password are in the environment: SQL_HOST and its like.
set -eu
for database in temporal temporal_visibility; do
  case $database in
    temporal) schema=temporal ;;
    *) schema=visibility ;;
  esac
  temporal-sql-tool --database "$database" create-database
  temporal-sql-tool --database "$database" setup-schema --version 0.0
  temporal-sql-tool --database "$database" update-schema --schema-dir "/etc/temporal/schema/postgresql/v12/$schema/versioned"
done
