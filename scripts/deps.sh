#!/usr/bin/env bash
# Installs what building and testing needs on Debian 12: by apt-get as root or through sudo; otherwise
# says what to install. Quiet when nothing is missing.
#   scripts/deps.sh [build|test]
set -euo pipefail
what=${1:-build}
packages=(gcc libc6-dev cmake ninja-build pkg-config libjansson-dev libssl-dev libcurl4-openssl-dev libmicrohttpd-dev
          libedit-dev)
if [ "$what" = test ]; then
  packages+=(libcmocka-dev python3 python3-jinja2)
  # The chat page's tests drive Chromium from node.
  if command -v node >/dev/null; then packages+=(chromium); fi
fi

missing=()
for p in "${packages[@]}"; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "installing: ${missing[*]}" >&2
sudo=()
if [ "$(id -u)" -ne 0 ]; then
  if command -v sudo >/dev/null; then
    sudo=(sudo)
  else
    echo "please install these packages and run this again: ${missing[*]}" >&2
    exit 1
  fi
fi
export DEBIAN_FRONTEND=noninteractive
# A fresh machine has no package lists, or stale ones: try, refresh, try again.
install() { "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; }
install 2>/dev/null || { "${sudo[@]}" apt-get update -qq && install; }
