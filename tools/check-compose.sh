#!/usr/bin/env bash
# Reads docker-compose.yml as `docker compose config` does, and prints what it makes of it, without Docker:
#
#   tools/check-compose.sh
#
# With the loader that docker compose itself is built on, from its Go module. Needs Go; fetches 10 MB of modules, once.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Every secret is there, as in an .env that was filled in.
sed 's/=$/=secret/' .env.example >"$work/env"

cat >"$work/main.go" <<'GO'
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	options, err := cli.NewProjectOptions(
		os.Args[1:2], cli.WithProfiles([]string{"*"}), cli.WithEnvFiles(os.Args[2:]...), cli.WithDotEnv,
	)
	if err == nil {
		project, failure := options.LoadProject(context.Background())
		if err = failure; err == nil {
			var text []byte
			text, err = project.MarshalYAML()
			fmt.Print(string(text))
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "✖", err)
		os.Exit(1)
	}
}
GO
(
  cd "$work"
  go mod init check >/dev/null 2>&1
  go get github.com/compose-spec/compose-go/v2@v2.9.0 >/dev/null 2>&1
  go mod tidy >/dev/null 2>&1
  go build -o check .
)
"$work/check" docker-compose.yml "$work/env"
if "$work/check" docker-compose.yml .env.example >/dev/null 2>&1; then
  echo '✖ expected it to be refused without secrets' >&2
  exit 1
fi
