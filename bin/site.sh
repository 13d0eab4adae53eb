# The tests of a Frappe site, for bin/test. Sourced by POSIX sh after lib.sh; needs $ROOT and $FRAPPE_BENCH.
#
# Nothing is copied, migrated or restarted here: the bench runs what its developer gave it. Where that is another copy of
# the app than this checkout, or the site was not meant for tests, it stops and says what to type.

# runs all of it; the exit status is 0 when every part passed
test_site() {
  find_bench
  find_site
  say "Testing the site $FRAPPE_SITE of $FRAPPE_BENCH."
  failed=
  # without CI it ends with 0 although tests failed (v15 frappe/commands/utils.py)
  CI=1 run_on_site --site "$FRAPPE_SITE" run-tests --app ai_assistant || failed="$failed run-tests"
  if [ -z "${FRAPPE_ADMIN_PASSWORD:-}" ]; then
    say "FRAPPE_ADMIN_PASSWORD is not set: the Desk's tests and the black-box suite were SKIPPED on the site."
  else
    test_over_http || failed="$failed over-HTTP"
  fi
  [ -z "$failed" ] || say "On the site failed:$failed"
  [ -z "$failed" ]
}

# checks that the bench is one, and that it runs this checkout
find_bench() {
  given=$FRAPPE_BENCH
  FRAPPE_BENCH=$(cd "$given" 2>/dev/null && pwd -P) || fail "FRAPPE_BENCH is no folder: $given"
  [ -x "$FRAPPE_BENCH/env/bin/python" ] && [ -f "$FRAPPE_BENCH/sites/apps.txt" ] ||
    fail "FRAPPE_BENCH is no bench: $FRAPPE_BENCH has no env/bin/python or no sites/apps.txt"
  copy="$FRAPPE_BENCH/apps/ai_assistant"
  [ -d "$copy" ] || fail "The bench has not the app: cd $FRAPPE_BENCH && bench get-app $ROOT"
  [ "$(cd "$copy" && pwd -P)" = "$ROOT" ] && return 0
  differs=$(diff -rq -x __pycache__ -x node_modules -x dist -x page "$ROOT/ai_assistant" "$copy/ai_assistant") || true
  [ -z "$differs" ] || fail "The bench runs another copy of the app, and it differs from this checkout:
$(printf '%s\n' "$differs" | head -n 5)
Bring it up to date first (copy or pull it, bench migrate, bench restart), or start the tests from there."
}

# the site of FRAPPE_SITE, or the first one that has the app and may be tested on
find_site() {
  [ -n "${FRAPPE_SITE:-}" ] || FRAPPE_SITE=$(cd "$FRAPPE_BENCH/sites" && for config in */site_config.json; do
    site=$(dirname "$config")
    if has_app "$site"; then
      printf '%s' "$site"
      break
    fi
  done)
  [ -n "$FRAPPE_SITE" ] || fail "No site of the bench has the app: bench --site <site> install-app ai_assistant"
  [ -f "$FRAPPE_BENCH/sites/$FRAPPE_SITE/site_config.json" ] || fail "FRAPPE_SITE: the bench has no site $FRAPPE_SITE"
  has_app "$FRAPPE_SITE" || fail "The site has not the app: bench --site $FRAPPE_SITE install-app ai_assistant"
  [ "$(site_value allow_tests)" = True ] || [ "$(site_value allow_tests)" = 1 ] || fail "$FRAPPE_SITE is not meant for tests. \
They make users and models on it. If you want that: bench --site $FRAPPE_SITE set-config allow_tests true"
}

# `list-apps` shows a table that v15 fills at the next migration only
has_app() { run_on_site --site "$1" execute frappe.get_installed_apps 2>/dev/null | grep -q '"ai_assistant"'; }

# bench's commands, by its own Python: the command `bench` need not be installed here
run_on_site() {
  (cd "$FRAPPE_BENCH/sites" && ../env/bin/python -W ignore -m frappe.utils.bench_helper frappe "$@")
}

# site_value NAME: a value of the site's configuration, or of the bench's
site_value() {
  "$FRAPPE_BENCH/env/bin/python" - "$FRAPPE_BENCH/sites" "$FRAPPE_SITE" "$1" <<'PYTHON'
import json, os, sys
sites, site, name = sys.argv[1:]
values = {}
for path in ("common_site_config.json", os.path.join(site, "site_config.json")):
    if os.path.exists(os.path.join(sites, path)):
        values.update(json.load(open(os.path.join(sites, path))))
print(values.get(name, ""))
PYTHON
}

# the Desk in a browser and the black-box suite, against the running bench
test_over_http() {
  port=$(site_value webserver_port)
  url=${AI_ASSISTANT_URL:-http://$FRAPPE_SITE:$port}
  upstream=${AI_ASSISTANT_UPSTREAM:-http://127.0.0.1:$(free_port)}
  curl -s -o /dev/null -m 10 "$url/api/method/ping" || {
    say "Nothing answers at $url: bench start, and let this machine know the name $FRAPPE_SITE (/etc/hosts)."
    return 1
  }
  (
    export AI_ASSISTANT_ADMIN_PASSWORD="$FRAPPE_ADMIN_PASSWORD"
    export AI_ASSISTANT_DESK_URL="$url" AI_ASSISTANT_DESK_PASSWORD="$FRAPPE_ADMIN_PASSWORD"
    socketio=$(site_value socketio_port)
    export AI_ASSISTANT_SOCKET_URL="${AI_ASSISTANT_SOCKET_URL:-http://$FRAPPE_SITE:$socketio}"
    status=0
    "$ROOT/.venv/bin/python" -m pytest tests/browser/test_desk.py tests/browser/test_desk_traces.py || status=1
    [ -z "${FRAPPE_SECOND_SITE:-}" ] || prepare_second_site || exit 1
    variables=$(prepare_site "$url" "$FRAPPE_SITE") || exit 1
    eval "$variables"
    "$ROOT/.venv/bin/python" -m pytest tests/wire || status=1
    exit $status
  )
}

# prepare_site URL NAME: makes the suite's users and models there, and prints the variables that say who they are
prepare_site() { "$ROOT/.venv/bin/python" -m tests.wire.site "$1" --site "$2" --upstream "$upstream"; }

# a second site of the bench, with the same Administrator's password
prepare_second_site() {
  export AI_ASSISTANT_SECOND_SITE="$FRAPPE_SECOND_SITE" AI_ASSISTANT_SECOND_URL="http://$FRAPPE_SECOND_SITE:$port"
  export AI_ASSISTANT_SECOND_SOCKET_URL="http://$FRAPPE_SECOND_SITE:$socketio"
  second=$(prepare_site "$AI_ASSISTANT_SECOND_URL" "$FRAPPE_SECOND_SITE") || return 1
  AI_ASSISTANT_SECOND_PASSWORD=$(eval "$second" && printf %s "$AI_ASSISTANT_PASSWORD")
  export AI_ASSISTANT_SECOND_PASSWORD
}

free_port() {
  "$ROOT/.venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
