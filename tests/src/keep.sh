#!/usr/bin/env bash
# Runs a server ($3 and what follows), and again whenever it dies, until standard input ends: however its user ends, the
# server does as well. Its process id is in the file $1; it is ended by the signal $2.
set -euo pipefail
pid_file=$1
signal=$2
shift 2
child=
ended=

end() {
  ended=1
  if [[ -n $child ]]; then
    # One that was stopped has to go on to hear of its end.
    kill -s "$signal" "$child" 2>/dev/null || true
    kill -s CONT "$child" 2>/dev/null || true
  fi
}
trap end TERM

exec 3<&0
(cat <&3 >/dev/null; kill -s TERM $$) &
until [[ -n $ended ]]; do
  "$@" </dev/null 3<&- &
  child=$!
  echo "$child" >"$pid_file.new"
  mv "$pid_file.new" "$pid_file"
  # The end may have come before there was a child.
  [[ -z $ended ]] || end
  wait "$child" || true
  # A trap ends the waiting, not the child.
  wait "$child" || true
  child=
  sleep 0.1
done
