#!/usr/bin/env bash
# Open3D's wheel needs two system libraries that a bare machine lacks. Install them where that is allowed; else say which.
set -u
missing=()
for pair in libusb-1.0.so.0:libusb-1.0-0 libGL.so.1:libgl1 libgomp.so.1:libgomp1; do
  ldconfig -p 2>/dev/null | grep -q "${pair%%:*}" || missing+=("${pair##*:}")
done
[ ${#missing[@]} -eq 0 ] && exit 0
if command -v apt-get >/dev/null; then
  run=""
  [ "$(id -u)" -ne 0 ] && run="sudo -n"
  if $run true 2>/dev/null; then
    $run apt-get update -qq >/dev/null 2>&1
    $run env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null 2>&1 && exit 0
  fi
fi
echo "Open3D needs system libraries that are missing here; install them with: sudo apt-get install ${missing[*]}" >&2
exit 1
